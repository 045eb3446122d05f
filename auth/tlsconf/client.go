package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ClientConfig reads the options as a client does: it trusts the trust store, or the
// system's CAs if there is none, and shows the key store's certificate if there is one.
// Without verifyHost (an empty ssl.endpoint.identification.algorithm) a broker's
// certificate has to be of the right authority, whatever host it names. A name that stands
// only in the CN counts for nothing, unlike in Java: certificates need subject alternative
// names.
func ClientConfig(o Options, verifyHost bool) (config *tls.Config, warnings []string, err error) {
	truststore, err := o.readTruststore()
	if err != nil {
		return nil, nil, err
	}
	m := &material{}
	if o.KeystoreLocation != "" || !o.KeystoreKey.IsEmpty() || !o.KeystoreCertificateChain.IsEmpty() || !o.KeystorePassword.IsEmpty() {
		keystore, err := o.readKeystore()
		if err != nil {
			return nil, nil, err
		}
		if len(keystore.Keys) == 0 {
			return nil, nil, fmt.Errorf("the key store holds no usable key: %v", keystore.Skipped)
		}
		m.keys, m.warnings = keystore.Keys, keystore.Skipped
	}
	var pool *x509.CertPool // nil: the system's
	if truststore != nil {
		pool = x509.NewCertPool()
		for _, t := range truststore.Trusted {
			pool.AddCert(t.Certificate)
		}
	}
	config, err = o.config(m, nil)
	if err != nil {
		return nil, nil, err
	}
	config.ClientAuth, config.RootCAs = tls.NoClientCert, pool
	if !verifyHost {
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(state tls.ConnectionState) error { return verifyChain(state, pool) }
	}
	return config, m.warnings, nil
}

// verifyChain checks everything about a server's certificate but its name.
func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server has no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}
