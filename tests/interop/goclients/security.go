package main

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"hash"
	"os"

	"github.com/IBM/sarama"
	krb5client "github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/kerberos"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	xdgscram "github.com/xdg-go/scram"
)

// security is what ADAPTER_SECURITY asks for; see Security in tests/peers.
type security struct {
	TLS                                bool
	Mechanism, User, Password          string
	TokenAuth                          bool
	Token                              string
	Krb5Conf, Keytab, Principal, Realm string
	CA, Certificate, Key               string

	tls *tls.Config
}

// readSecurity returns nil where nothing is asked for.
func readSecurity() (*security, error) {
	path := os.Getenv("ADAPTER_SECURITY")
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := new(security)
	if err := json.Unmarshal(text, s); err != nil || !s.TLS {
		return s, err
	}
	ca, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, err
	}
	s.tls = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	s.tls.RootCAs.AppendCertsFromPEM(ca)
	if s.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(s.Certificate, s.Key)
		if err != nil {
			return nil, err
		}
		// Also to a server that names no authority of ours: it has to refuse it itself.
		s.tls.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return s, nil
}

func (s *security) franzGo() []kgo.Opt {
	if s == nil {
		return nil
	}
	var o []kgo.Opt
	if s.tls != nil {
		o = append(o, kgo.DialTLSConfig(s.tls))
	}
	switch s.Mechanism {
	case "PLAIN":
		o = append(o, kgo.SASL(plain.Auth{User: s.User, Pass: s.Password}.AsMechanism()))
	case "SCRAM-SHA-256":
		o = append(o, kgo.SASL(scram.Auth{User: s.User, Pass: s.Password, IsToken: s.TokenAuth}.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		o = append(o, kgo.SASL(scram.Auth{User: s.User, Pass: s.Password, IsToken: s.TokenAuth}.AsSha512Mechanism()))
	case "OAUTHBEARER":
		o = append(o, kgo.SASL(oauth.Auth{Token: s.Token}.AsMechanism()))
	case "GSSAPI":
		c, err := s.kerberosClient()
		if err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(2)
		}
		o = append(o, kgo.SASL(kerberos.Auth{Client: c, Service: "kafka", PersistAfterAuth: true}.AsMechanism()))
	}
	return o
}

func (s *security) kerberosClient() (*krb5client.Client, error) {
	conf, err := config.Load(s.Krb5Conf)
	if err != nil {
		return nil, err
	}
	keys, err := keytab.Load(s.Keytab)
	if err != nil {
		return nil, err
	}
	return krb5client.NewWithKeytab(s.Principal, s.Realm, keys, conf, krb5client.DisablePAFXFAST(true)), nil
}

func (s *security) sarama() func(*sarama.Config) {
	if s == nil {
		return nil
	}
	return func(c *sarama.Config) {
		c.Metadata.Retry.Max, c.Producer.Retry.Max = 1, 1
		c.Net.TLS.Enable, c.Net.TLS.Config = s.TLS, s.tls
		if s.Mechanism == "" {
			return
		}
		c.Net.SASL.Enable = true
		c.Net.SASL.Version = sarama.SASLHandshakeV1
		c.Net.SASL.Mechanism = sarama.SASLMechanism(s.Mechanism)
		c.Net.SASL.User, c.Net.SASL.Password = s.User, s.Password
		switch s.Mechanism {
		case sarama.SASLTypeSCRAMSHA256:
			c.Net.SASL.SCRAMClientGeneratorFunc = scramClient(sha256.New)
		case sarama.SASLTypeSCRAMSHA512:
			c.Net.SASL.SCRAMClientGeneratorFunc = scramClient(sha512.New)
		case sarama.SASLTypeOAuth:
			c.Net.SASL.TokenProvider = given(s.Token)
		case sarama.SASLTypeGSSAPI:
			c.Net.SASL.GSSAPI = sarama.GSSAPIConfig{AuthType: sarama.KRB5_KEYTAB_AUTH, KeyTabPath: s.Keytab, KerberosConfigPath: s.Krb5Conf,
				ServiceName: "kafka", Username: s.Principal, Realm: s.Realm, DisablePAFXFAST: true}
		}
	}
}

// saramaScram is SCRAM as sarama's own examples have it.
type saramaScram struct {
	hash         func() hash.Hash
	conversation *xdgscram.ClientConversation
}

func scramClient(hash func() hash.Hash) func() sarama.SCRAMClient {
	return func() sarama.SCRAMClient { return &saramaScram{hash: hash} }
}

func (x *saramaScram) Begin(user, password, authzid string) error {
	c, err := xdgscram.HashGeneratorFcn(x.hash).NewClient(user, password, authzid)
	if err != nil {
		return err
	}
	x.conversation = c.NewConversation()
	return nil
}

func (x *saramaScram) Step(challenge string) (string, error) { return x.conversation.Step(challenge) }

func (x *saramaScram) Done() bool { return x.conversation.Done() }

// given is sarama's provider of one token.
type given string

func (g given) Token() (*sarama.AccessToken, error) {
	return &sarama.AccessToken{Token: string(g)}, nil
}
