package tlsconf

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}

	oidKeyBag         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedKeyBag = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}

	oidX509Certificate = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidFriendlyName    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
	oidLocalKeyID      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 21}
	// oidTrustedKeyUsage marks the certificates that Java trusts.
	oidTrustedKeyUsage = asn1.ObjectIdentifier{2, 16, 840, 1, 113894, 746875, 1, 1}
)

// The structures of RFC 7292.

type pfx struct {
	Version  int
	AuthSafe contentInfo
	MAC      macData `asn1:"optional"`
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
}

type macData struct {
	Digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Salt       []byte
	Iterations int `asn1:"optional,default:1"`
}

type encryptedData struct {
	Version int
	Info    struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Data      asn1.RawValue `asn1:"optional,tag:0"`
	}
}

type safeBag struct {
	ID         asn1.ObjectIdentifier
	Value      asn1.RawValue  `asn1:"explicit,tag:0"`
	Attributes []bagAttribute `asn1:"set,optional"`
}

type bagAttribute struct {
	ID     asn1.ObjectIdentifier
	Values asn1.RawValue `asn1:"set"`
}

// parsePKCS12 reads a PKCS#12 store, with any number of keys and of trusted certificates.
// Without a password its integrity is not checked, as in Java.
func parsePKCS12(data []byte, passwords Passwords) (*Store, error) {
	var p pfx
	if err := unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("PKCS#12: %w", err)
	}
	if p.Version != 3 || !p.AuthSafe.Type.Equal(oidData) {
		return nil, errors.New("PKCS#12: not of version 3, or signed instead of protected by a password")
	}
	var safe []byte
	if err := unmarshal(p.AuthSafe.Content.Bytes, &safe); err != nil {
		return nil, fmt.Errorf("PKCS#12: %w", err)
	}
	if len(p.MAC.Digest.Algorithm.Algorithm) > 0 && !passwords.Store.IsEmpty() {
		if err := p.MAC.check(safe, passwords.Store.Reveal()); err != nil {
			return nil, err
		}
	}
	var contents []contentInfo
	if err := unmarshal(safe, &contents); err != nil {
		return nil, fmt.Errorf("PKCS#12: %w", err)
	}
	r := &pkcs12Reader{passwords: passwords}
	for _, c := range contents {
		if err := r.content(c); err != nil {
			return nil, err
		}
	}
	return r.store()
}

// unmarshal is asn1.Unmarshal of the whole of data.
func unmarshal(data []byte, into any) error {
	rest, err := asn1.Unmarshal(data, into)
	if err == nil && len(rest) > 0 {
		err = errors.New("there is something behind the end")
	}
	return err
}

func (m *macData) check(data []byte, password string) error {
	algorithm := m.Digest.Algorithm
	if algorithm.Algorithm.Equal(oidPBMAC1) {
		var p struct{ KDF, Scheme pkix.AlgorithmIdentifier }
		if err := unmarshal(algorithm.Parameters.FullBytes, &p); err != nil {
			return fmt.Errorf("PBMAC1: %w", err)
		}
		newHash := macHash(p.Scheme.Algorithm)
		if newHash == nil {
			return fmt.Errorf("PBMAC1 with %v is not supported", p.Scheme.Algorithm)
		}
		key, err := derivePBKDF2(p.KDF, password, 0)
		if err != nil {
			return err
		}
		return checkMAC(newHash, key, data, m.Digest.Digest)
	}
	newHash := digestHash(algorithm.Algorithm)
	if newHash == nil {
		return fmt.Errorf("MAC with %v is not supported", algorithm.Algorithm)
	}
	key, err := pkcs12Derive(newHash, 3, password, m.Salt, m.Iterations, newHash().Size())
	if err != nil {
		return err
	}
	return checkMAC(newHash, key, data, m.Digest.Digest)
}

// pkcs12Reader gathers what is in the bags of a store.
type pkcs12Reader struct {
	passwords Passwords
	keys      []bagKey
	certs     []bagCert
}

type bagKey struct {
	alias string
	id    []byte
	der   []byte
}

type bagCert struct {
	alias   string
	id      []byte
	cert    *x509.Certificate
	trusted bool
}

func (r *pkcs12Reader) content(c contentInfo) error {
	var bags []byte
	switch {
	case c.Type.Equal(oidData):
		if err := unmarshal(c.Content.Bytes, &bags); err != nil {
			return fmt.Errorf("PKCS#12: %w", err)
		}
	case c.Type.Equal(oidEncryptedData):
		var e encryptedData
		if err := unmarshal(c.Content.Bytes, &e); err != nil {
			return fmt.Errorf("PKCS#12: %w", err)
		}
		var err error
		if bags, err = decryptPBE(e.Info.Algorithm, e.Info.Data.Bytes, r.passwords.Store.Reveal()); err != nil {
			return err
		}
	default:
		return fmt.Errorf("PKCS#12: content of type %v is not supported", c.Type)
	}
	var list []safeBag
	if err := unmarshal(bags, &list); err != nil {
		return fmt.Errorf("PKCS#12: %w", err)
	}
	for i := range list {
		if err := r.bag(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *pkcs12Reader) bag(b *safeBag) error {
	alias, id, trusted := b.attributes()
	switch {
	case b.ID.Equal(oidKeyBag):
		r.keys = append(r.keys, bagKey{alias, id, b.Value.Bytes})
	case b.ID.Equal(oidShroudedKeyBag):
		der, err := decryptPKCS8(b.Value.Bytes, r.passwords)
		if err != nil {
			return fmt.Errorf("key %q: %w", alias, err)
		}
		r.keys = append(r.keys, bagKey{alias, id, der})
	case b.ID.Equal(oidCertBag):
		var c struct {
			Type asn1.ObjectIdentifier
			Data []byte `asn1:"explicit,tag:0"`
		}
		if err := unmarshal(b.Value.Bytes, &c); err != nil {
			return fmt.Errorf("certificate %q: %w", alias, err)
		}
		if !c.Type.Equal(oidX509Certificate) {
			return nil
		}
		cert, err := x509.ParseCertificate(c.Data)
		if err != nil {
			return fmt.Errorf("certificate %q: %w", alias, err)
		}
		r.certs = append(r.certs, bagCert{alias, id, cert, trusted})
	}
	return nil // other bags hold secret keys and revocation lists
}

// decryptPKCS8 decrypts a key with the key's password, else with the store's.
func decryptPKCS8(der []byte, passwords Passwords) ([]byte, error) {
	var info encryptedPrivateKeyInfo
	if err := unmarshal(der, &info); err != nil {
		return nil, err
	}
	return decryptPBE(info.Algorithm, info.Data, passwords.key())
}

func (b *safeBag) attributes() (alias string, id []byte, trusted bool) {
	for _, a := range b.Attributes {
		var value asn1.RawValue
		if _, err := asn1.Unmarshal(a.Values.Bytes, &value); err != nil {
			continue
		}
		switch {
		case a.ID.Equal(oidFriendlyName):
			var units []uint16
			for at := 0; at+1 < len(value.Bytes); at += 2 {
				units = append(units, binary.BigEndian.Uint16(value.Bytes[at:]))
			}
			alias = string(utf16.Decode(units))
		case a.ID.Equal(oidLocalKeyID):
			id = value.Bytes
		case a.ID.Equal(oidTrustedKeyUsage):
			trusted = true
		}
	}
	return alias, id, trusted
}

// store sorts certificates to keys, by id or else by public key, and follows the issuers.
func (r *pkcs12Reader) store() (*Store, error) {
	out := &Store{Format: PKCS12}
	for _, c := range r.certs {
		if c.trusted {
			out.Trusted = append(out.Trusted, TrustedCertificate{c.alias, c.cert})
		}
	}
	for _, k := range r.keys {
		var leaf *x509.Certificate
		for _, c := range r.certs {
			if k.id != nil && bytes.Equal(k.id, c.id) {
				leaf = c.cert
				break
			}
		}
		if leaf == nil {
			leaf = r.certificateOf(k.der)
		}
		if leaf == nil {
			out.Skipped = append(out.Skipped, fmt.Sprintf("key %q has no certificate", k.alias))
			continue
		}
		out.addKey(k.alias, k.der, r.chainOf(leaf))
	}
	if len(r.keys) == 0 && len(out.Trusted) == 0 && len(r.certs) > 0 {
		return nil, errors.New("PKCS#12: it holds certificates, but none is marked as trusted as Java wants it; " +
			"import them with keytool -importcert, or give them as PEM")
	}
	return out, nil
}

func (r *pkcs12Reader) certificateOf(der []byte) *x509.Certificate {
	key, err := parsePrivateKey(der)
	if err != nil {
		return nil
	}
	for _, c := range r.certs {
		if samePublicKey(key, c.cert) {
			return c.cert
		}
	}
	return nil
}

func (r *pkcs12Reader) chainOf(leaf *x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	for len(chain) <= len(r.certs) {
		last := chain[len(chain)-1]
		if bytes.Equal(last.RawIssuer, last.RawSubject) {
			break
		}
		var issuer *x509.Certificate
		for _, c := range r.certs {
			if bytes.Equal(c.cert.RawSubject, last.RawIssuer) && last.CheckSignatureFrom(c.cert) == nil {
				issuer = c.cert
				break
			}
		}
		if issuer == nil {
			break
		}
		chain = append(chain, issuer)
	}
	return chain
}
