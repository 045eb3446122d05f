package clientconf

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/tlsconf"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
)

// Client is how a client connects.
type Client struct {
	BootstrapServers string        // bootstrap.servers; may be empty
	ClientID         string        // client.id; may be empty
	RequestTimeout   time.Duration // request.timeout.ms; 0: not set
	Protocol         config.SecurityProtocol
	TLS              *tls.Config    // nil without TLS
	Mechanism        sasl.Mechanism // nil without SASL
	Warnings         []string
}

// Options say where files and the environment are.
type Options struct {
	Getenv func(string) string // os.Getenv
}

// knownKeys are the keys that mean something here: others in a
// client's file are for its other work.
var knownKeys = []string{"bootstrap.servers", "client.id", "request.timeout.ms", "security.protocol", "sasl.mechanism",
	"sasl.jaas.config", "sasl.kerberos.service.name", "sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.scope", "sasl.oauthbearer.header.urlencode",
	"ssl.truststore.type", "ssl.truststore.location", "ssl.truststore.password", "ssl.truststore.certificates",
	"ssl.keystore.type", "ssl.keystore.location", "ssl.keystore.password", "ssl.keystore.key", "ssl.keystore.certificate.chain",
	"ssl.key.password", "ssl.endpoint.identification.algorithm", "ssl.enabled.protocols", "ssl.protocol", "ssl.cipher.suites"}

// Known says whether the key has an effect here.
func Known(key string) bool { return slices.Contains(knownKeys, key) }

// reader is the properties while they are read.
type reader struct {
	values map[string]string
	getenv func(string) string
}

// Load reads a properties file, and then more properties, which weigh more.
func Load(path string, more []config.Property, o Options) (*Client, error) {
	var props []config.Property
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if props, err = config.ParseProperties(data); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	c, err := Parse(append(props, more...), o)
	if err != nil && path != "" {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return c, err
}

// Parse reads properties; of a key that is there twice the last counts.
func Parse(props []config.Property, o Options) (*Client, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	r := &reader{values: map[string]string{}, getenv: o.Getenv}
	for _, p := range props {
		r.values[p.Name] = strings.TrimSpace(p.Value)
	}
	c := &Client{BootstrapServers: r.values["bootstrap.servers"], ClientID: r.values["client.id"]}
	if text := r.values["request.timeout.ms"]; text != "" {
		ms, err := strconv.ParseInt(text, 10, 32)
		if err != nil || ms < 0 {
			return nil, fmt.Errorf("request.timeout.ms=%s is no number of milliseconds", text)
		}
		c.RequestTimeout = time.Duration(ms) * time.Millisecond
	}
	if err := r.protocol(c); err != nil {
		return nil, err
	}
	if c.Protocol.TLS() {
		if err := r.tls(c); err != nil {
			return nil, err
		}
	}
	if c.Protocol.SASL() {
		m, err := r.mechanism()
		if err != nil {
			return nil, err
		}
		c.Mechanism = m
	}
	return c, nil
}

func (r *reader) protocol(c *Client) error {
	name := r.or("security.protocol", "PLAINTEXT")
	for _, p := range []config.SecurityProtocol{config.Plaintext, config.SSL, config.SaslPlaintext, config.SaslSSL} {
		if strings.EqualFold(p.String(), name) {
			c.Protocol = p
			if !p.SASL() && (r.values["sasl.jaas.config"] != "" || r.values["sasl.mechanism"] != "") {
				return fmt.Errorf("sasl.* is set, and security.protocol=%s has no SASL: SASL_SSL is meant, or SASL_PLAINTEXT", p)
			}
			return nil
		}
	}
	return fmt.Errorf("security.protocol=%s is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL", name)
}

func (r *reader) or(key, otherwise string) string {
	if v := r.values[key]; v != "" {
		return v
	}
	return otherwise
}

func (r *reader) tls(c *Client) (err error) {
	secret := func(key string) auth.Secret { return auth.NewSecret(r.values[key]) }
	verify := true
	if v, ok := r.values["ssl.endpoint.identification.algorithm"]; ok {
		switch strings.ToLower(v) {
		case "":
			verify = false
		case "https":
		default:
			return fmt.Errorf("ssl.endpoint.identification.algorithm=%s is neither https nor empty", v)
		}
	}
	c.TLS, c.Warnings, err = tlsconf.ClientConfig(tlsconf.Options{
		KeystoreType: r.values["ssl.keystore.type"], KeystoreLocation: r.values["ssl.keystore.location"],
		KeystorePassword: secret("ssl.keystore.password"), KeyPassword: secret("ssl.key.password"),
		KeystoreKey: secret("ssl.keystore.key"), KeystoreCertificateChain: secret("ssl.keystore.certificate.chain"),
		TruststoreType: r.values["ssl.truststore.type"], TruststoreLocation: r.values["ssl.truststore.location"],
		TruststorePassword: secret("ssl.truststore.password"), TruststoreCertificates: secret("ssl.truststore.certificates"),
		EnabledProtocols: words(r.values["ssl.enabled.protocols"]), Protocol: r.values["ssl.protocol"],
		CipherSuites: words(r.values["ssl.cipher.suites"]),
	}, verify)
	return err
}

func words(text string) (list []string) {
	for _, w := range strings.Split(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			list = append(list, w)
		}
	}
	return list
}

// Kgo is the settings for franz-go's client.
func (c *Client) Kgo() []kgo.Opt {
	var opts []kgo.Opt
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(c.TLS))
	}
	if c.Mechanism != nil {
		opts = append(opts, kgo.SASL(c.Mechanism))
	}
	return opts
}

var errNoJAAS = errors.New("sasl.jaas.config is not set: it names the login module with user and password, " +
	`org.apache.kafka.common.security.scram.ScramLoginModule required username="…" password="…";`)
