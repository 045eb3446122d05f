package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/barnabas-broker/barnabas/auth"
)

// Options are the ssl.* settings of one listener, as they stand in the configuration. The
// zero value of a field is a key that is not set.
type Options struct {
	KeystoreType             string
	KeystoreLocation         string
	KeystorePassword         auth.Secret
	KeyPassword              auth.Secret
	KeystoreKey              auth.Secret // inline PEM
	KeystoreCertificateChain auth.Secret // inline PEM

	TruststoreType         string
	TruststoreLocation     string
	TruststorePassword     auth.Secret
	TruststoreCertificates auth.Secret // inline PEM

	ClientAuth       string // none, requested or required; none
	EnabledProtocols []string
	Protocol         string
	CipherSuites     []string

	// AllowDNChanges and AllowSANChanges let a reload bring a certificate for another
	// subject or for other names.
	AllowDNChanges  bool
	AllowSANChanges bool

	// ReadFile is ReadStore.
	ReadFile func(path string) ([]byte, error)
}

// readKeystore reads the key store, from wherever it is.
func (o *Options) readKeystore() (*Store, error) {
	inline := !o.KeystoreKey.IsEmpty() || !o.KeystoreCertificateChain.IsEmpty()
	pem := o.KeystoreType == string(PEM)
	switch {
	case inline && !pem:
		return nil, errors.New("ssl.keystore.key and ssl.keystore.certificate.chain need ssl.keystore.type=PEM")
	case inline && o.KeystoreLocation != "":
		return nil, errors.New("ssl.keystore.location and an inline key cannot be set together")
	case inline && o.KeystoreKey.IsEmpty():
		return nil, errors.New("ssl.keystore.certificate.chain is set without ssl.keystore.key")
	case inline && o.KeystoreCertificateChain.IsEmpty():
		return nil, errors.New("ssl.keystore.key is set without ssl.keystore.certificate.chain")
	case pem && !o.KeystorePassword.IsEmpty():
		return nil, errors.New("ssl.keystore.password cannot be set with PEM; an encrypted key is opened by ssl.key.password")
	case inline:
		return pemStore([]byte(o.KeystoreKey.Reveal()+"\n"+o.KeystoreCertificateChain.Reveal()), Passwords{Key: o.KeyPassword})
	case o.KeystoreLocation == "" && !o.KeystorePassword.IsEmpty():
		return nil, errors.New("ssl.keystore.password is set without ssl.keystore.location")
	case o.KeystoreLocation == "":
		return nil, errors.New("there is no key store: ssl.keystore.location is not set")
	}
	s, err := o.readStore("ssl.keystore.location", o.KeystoreLocation, Passwords{Store: o.KeystorePassword, Key: o.KeyPassword})
	if err != nil {
		return nil, err
	}
	if s.Format != PEM && o.KeystorePassword.IsEmpty() {
		return nil, fmt.Errorf("ssl.keystore.location: a %s store needs ssl.keystore.password", s.Format)
	}
	return s, nil
}

// readTruststore reads the trust store; nil stands for the system's CAs.
func (o *Options) readTruststore() (*Store, error) {
	inline := !o.TruststoreCertificates.IsEmpty()
	pem := o.TruststoreType == string(PEM)
	switch {
	case inline && !pem:
		return nil, errors.New("ssl.truststore.certificates needs ssl.truststore.type=PEM")
	case inline && o.TruststoreLocation != "":
		return nil, errors.New("ssl.truststore.location and ssl.truststore.certificates cannot be set together")
	case pem && !o.TruststorePassword.IsEmpty():
		return nil, errors.New("ssl.truststore.password cannot be set with PEM")
	case inline:
		return trusting(pemStore([]byte(o.TruststoreCertificates.Reveal()), Passwords{}))
	case o.TruststoreLocation == "" && !o.TruststorePassword.IsEmpty():
		return nil, errors.New("ssl.truststore.password is set without ssl.truststore.location")
	case o.TruststoreLocation == "":
		return nil, nil
	}
	return trusting(o.readStore("ssl.truststore.location", o.TruststoreLocation, Passwords{Store: o.TruststorePassword}))
}

// trusting refuses a store that trusts nobody.
func trusting(s *Store, err error) (*Store, error) {
	if err == nil && len(s.Trusted) == 0 {
		err = errors.New("the trust store holds no trusted certificate")
	}
	return s, err
}

func (o *Options) readStore(key, path string, passwords Passwords) (*Store, error) {
	data, err := o.read(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	s, err := ParseStore(data, passwords)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", key, path, err)
	}
	return s, nil
}

func (o *Options) read(path string) ([]byte, error) {
	if o.ReadFile != nil {
		return o.ReadFile(path)
	}
	return ReadStore(path)
}

func clientAuthOf(value string) (tls.ClientAuthType, error) {
	switch value {
	case "", "none":
		return tls.NoClientCert, nil
	case "requested":
		return tls.VerifyClientCertIfGiven, nil
	case "required":
		return tls.RequireAndVerifyClientCert, nil
	}
	return 0, fmt.Errorf("ssl.client.auth: %q is none of none, requested, required", value)
}

// material is everything that one reading of the options gave. It is immutable.
type material struct {
	config   *tls.Config
	keys     []KeyEntry
	trusted  []TrustedCertificate
	warnings []string
}

func (o *Options) load() (*material, error) {
	keystore, err := o.readKeystore()
	if err != nil {
		return nil, err
	}
	m := &material{keys: keystore.Keys, warnings: keystore.Skipped}
	if len(m.keys) == 0 {
		return nil, fmt.Errorf("the key store holds no usable key: %v", keystore.Skipped)
	}
	if mismatch(o.KeystoreType, keystore.Format) {
		m.warnings = append(m.warnings, fmt.Sprintf("ssl.keystore.type is %s, the store is %s and read as such", o.KeystoreType, keystore.Format))
	}
	if len(m.keys) > 1 {
		m.warnings = append(m.warnings, fmt.Sprintf("the key store holds %d keys; clients that name no host get %q", len(m.keys), m.keys[0].Alias))
	}
	truststore, err := o.readTruststore()
	if err != nil {
		return nil, err
	}
	var pool *x509.CertPool
	if truststore == nil {
		if pool, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("the system's CAs: %w", err)
		}
	} else {
		pool = x509.NewCertPool()
		m.trusted = truststore.Trusted
		for _, t := range truststore.Trusted {
			pool.AddCert(t.Certificate)
		}
	}
	if m.config, err = o.config(m, pool); err != nil {
		return nil, err
	}
	return m, nil
}

func mismatch(configured string, found Format) bool {
	return configured != "" && configured != string(found)
}

func (o *Options) config(m *material, pool *x509.CertPool) (*tls.Config, error) {
	clientAuth, err := clientAuthOf(o.ClientAuth)
	if err != nil {
		return nil, err
	}
	lowest, highest, err := versionsOf(o.EnabledProtocols, o.Protocol)
	if err != nil {
		return nil, err
	}
	ids, lowest, highest, warnings, err := suitesOf(o.CipherSuites, lowest, highest)
	if err != nil {
		return nil, err
	}
	m.warnings = append(m.warnings, warnings...)
	if lowest < tls.VersionTLS12 {
		m.warnings = append(m.warnings, "TLS below 1.2 is enabled")
	}
	c := &tls.Config{
		ClientAuth: clientAuth, ClientCAs: pool,
		MinVersion: lowest, MaxVersion: highest, CipherSuites: ids,
		// A ticket would let a client in after its CA is gone from the trust store.
		SessionTicketsDisabled: true,
	}
	for _, k := range m.keys {
		certificate := tls.Certificate{PrivateKey: k.Key, Leaf: k.Chain[0]}
		for _, link := range k.Chain {
			certificate.Certificate = append(certificate.Certificate, link.Raw)
		}
		c.Certificates = append(c.Certificates, certificate)
	}
	return c, nil
}
