package tlsconf

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"time"
)

// DevCA is a certificate authority for development and tests: its key is not protected.
type DevCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  func() time.Time
}

// DevCertificate says what a certificate is for.
type DevCertificate struct {
	CommonName   string
	Organization string   // may be empty
	Hosts        []string // names and addresses for clients to verify
	Server       bool
	Client       bool
	Validity     time.Duration // 365 days
}

// PEMPair is a key with its certificate chain, as ssl.keystore.key and
// ssl.keystore.certificate.chain or, joined, a PEM key store.
type PEMPair struct {
	Key   []byte // PKCS#8
	Chain []byte // the certificate, then the CA's
}

// Joined returns one file that holds both.
func (p PEMPair) Joined() []byte { return append(bytes.Clone(p.Key), p.Chain...) }

// NewDevCA makes an authority that is valid for ten years. now may be nil.
func NewDevCA(commonName string, now func() time.Time) (*DevCA, error) {
	if now == nil {
		now = time.Now
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: commonName},
		NotBefore: now().Add(-time.Hour), NotAfter: now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return &DevCA{cert, key, now}, err
}

// LoadDevCA takes up an authority from the PEM that Pair returned.
func LoadDevCA(pair PEMPair, now func() time.Time) (*DevCA, error) {
	store, err := pemStore(pair.Joined(), Passwords{})
	if err != nil {
		return nil, err
	}
	if len(store.Keys) == 0 {
		return nil, fmt.Errorf("no usable key: %v", store.Skipped)
	}
	key, ok := store.Keys[0].Key.(*ecdsa.PrivateKey)
	cert := store.Keys[0].Chain[0]
	if !ok || !cert.IsCA {
		return nil, errors.New("this is no authority that NewDevCA made")
	}
	if now == nil {
		now = time.Now
	}
	return &DevCA{cert, key, now}, nil
}

// Pair returns the authority's own key and certificate.
func (ca *DevCA) Pair() (PEMPair, error) {
	key, err := pemKey(ca.key)
	return PEMPair{Key: key, Chain: ca.Certificate()}, err
}

// Certificate returns the authority's certificate, which is what others have to trust.
func (ca *DevCA) Certificate() []byte { return pemCertificate(ca.cert.Raw) }

// Issue makes a key and a certificate for it.
func (ca *DevCA) Issue(want DevCertificate) (PEMPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return PEMPair{}, err
	}
	validity := want.Validity
	if validity == 0 {
		validity = 365 * 24 * time.Hour
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: want.CommonName},
		NotBefore: ca.now().Add(-time.Hour), NotAfter: ca.now().Add(validity),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	if want.Organization != "" {
		template.Subject.Organization = []string{want.Organization}
	}
	for _, host := range want.Hosts {
		if a, err := netip.ParseAddr(host); err == nil {
			template.IPAddresses = append(template.IPAddresses, a.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if want.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if want.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return PEMPair{}, fmt.Errorf("make a certificate for %q: %w", want.CommonName, err)
	}
	text, err := pemKey(key)
	return PEMPair{Key: text, Chain: append(pemCertificate(der), ca.Certificate()...)}, err
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic("tlsconf: " + err.Error()) // crypto/rand does not fail
	}
	return n.Add(n, big.NewInt(1))
}

func pemCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func pemKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
