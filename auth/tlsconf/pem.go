package tlsconf

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// pemBlock finds blocks as Kafka does, which is looser than RFC 7468: line ends may have
// become blanks on the way through a properties file.
var pemBlock = regexp.MustCompile(`-+BEGIN\s+([A-Z0-9 ]+?)\s*-+((?:\s*[^\r\n:]+:[^\r\n]*[\r\n]+)*)([a-zA-Z0-9/+=\s]*)-+END\s+([A-Z0-9 ]+?)\s*-+`)

// pemContent is what PEM text holds.
type pemContent struct {
	keys  [][]byte // PKCS#8, decrypted
	certs []*x509.Certificate
}

func parsePEM(text []byte, passwords Passwords) (*pemContent, error) {
	out := new(pemContent)
	for _, m := range pemBlock.FindAllSubmatch(text, -1) {
		kind, headers := string(m[1]), string(m[2])
		if kind != string(m[4]) {
			return nil, fmt.Errorf("PEM: BEGIN %.40s ends with END %.40s", kind, m[4])
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(m[3])), ""))
		if err != nil {
			return nil, fmt.Errorf("PEM: %s is not base64", kind)
		}
		switch {
		case strings.HasSuffix(kind, "CERTIFICATE"):
			c, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, fmt.Errorf("PEM: %w", err)
			}
			out.certs = append(out.certs, c)
		case kind == "ENCRYPTED PRIVATE KEY":
			if passwords.Key.IsEmpty() {
				return nil, errors.New("PEM: the key is encrypted and there is no ssl.key.password")
			}
			if der, err = decryptPKCS8(der, passwords); err != nil {
				return nil, fmt.Errorf("PEM: %w", err)
			}
			out.keys = append(out.keys, der)
		case strings.HasSuffix(kind, "PRIVATE KEY"):
			if strings.Contains(headers, "ENCRYPTED") {
				return nil, fmt.Errorf("PEM: the %s is encrypted in the old way of OpenSSL; convert it with openssl pkcs8 -topk8", kind)
			}
			out.keys = append(out.keys, der)
		}
	}
	return out, nil
}

// pemStore makes a store of the text of a key and its chain, which may be one text.
func pemStore(text []byte, passwords Passwords) (*Store, error) {
	content, err := parsePEM(text, passwords)
	if err != nil {
		return nil, err
	}
	out := &Store{Format: PEM}
	switch {
	case len(content.keys) > 1:
		return nil, fmt.Errorf("PEM: %d private keys, only one is allowed", len(content.keys))
	case len(content.keys) == 1 && len(content.certs) == 0:
		return nil, errors.New("PEM: there is a private key and no certificate")
	case len(content.keys) == 1:
		out.addKey("kafka", content.keys[0], content.certs)
	default:
		for i, c := range content.certs {
			out.Trusted = append(out.Trusted, TrustedCertificate{fmt.Sprintf("kafka%d", i), c})
		}
	}
	if len(content.keys)+len(content.certs) == 0 {
		return nil, errors.New("PEM: there is neither key nor certificate")
	}
	return out, nil
}

// parsePrivateKey reads PKCS#8, and what OpenSSL wrote before it.
func parsePrivateKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if rsa, err := x509.ParsePKCS1PrivateKey(der); err == nil {
			return rsa, nil
		}
		if ec, err := x509.ParseECPrivateKey(der); err == nil {
			return ec, nil
		}
		return nil, errors.New("the private key is of no kind that TLS uses here: RSA, EC or Ed25519 in PKCS#8")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
	return signer, nil
}

func samePublicKey(key crypto.Signer, c *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}
