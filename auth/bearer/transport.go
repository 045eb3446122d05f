package bearer

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/tlsconf"
)

// Transport speaks with an issuer, for its keys or for tokens. As on Apache, ssl.truststore
// options of the login module, apart from the keys for Kafka's own connections, name the
// authorities that the issuer's certificate is judged by; without them it is nil, and the
// system's are used.
func Transport(login map[string]string) (http.RoundTripper, error) {
	for name := range login {
		switch name {
		case "ssl.truststore.location", "ssl.truststore.password", "ssl.truststore.certificates", "ssl.truststore.type":
		case "ssl.keystore.location", "ssl.keystore.key", "ssl.keystore.certificate.chain":
			return nil, fmt.Errorf("%s in the login module of OAUTHBEARER: a client's certificate for the issuer is not supported", name)
		}
	}
	location, text := login["ssl.truststore.location"], login["ssl.truststore.certificates"]
	if location == "" && text == "" {
		return nil, nil
	}
	data := []byte(text)
	if location != "" {
		var err error
		if data, err = tlsconf.ReadStore(location); err != nil {
			return nil, fmt.Errorf("ssl.truststore.location in the login module of OAUTHBEARER: %w", err)
		}
	}
	store, err := tlsconf.ParseStore(data, tlsconf.Passwords{Store: auth.NewSecret(login["ssl.truststore.password"])})
	if err != nil {
		return nil, fmt.Errorf("ssl.truststore in the login module of OAUTHBEARER: %w", err)
	}
	if len(store.Trusted) == 0 {
		return nil, fmt.Errorf("ssl.truststore in the login module of OAUTHBEARER trusts nobody")
	}
	pool := x509.NewCertPool()
	for _, t := range store.Trusted {
		pool.AddCert(t.Certificate)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	return transport, nil
}
