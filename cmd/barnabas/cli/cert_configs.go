package cli

import (
	"fmt"
	"path/filepath"
)

// configFile is a client's configuration.
type configFile struct {
	name, text string
	secret     bool // holds a password
}

// clientConfigs are configurations that connect by a client certificate, for clients of
// several languages.
func clientConfigs(dir, name, bootstrap, password string) []configFile {
	ca, key := filepath.Join(dir, caFile), filepath.Join(dir, name+".pem")
	return []configFile{
		{name + ".properties", fmt.Sprintf(`# Java clients and tools since Kafka 3.3, and barnabas --command-config.
bootstrap.servers=%s
security.protocol=SSL
ssl.truststore.type=PEM
ssl.truststore.location=%s
ssl.keystore.type=PEM
ssl.keystore.location=%s
`, bootstrap, ca, key), false},
		{name + "-p12.properties", fmt.Sprintf(`# Java clients and tools of any age.
bootstrap.servers=%s
security.protocol=SSL
ssl.truststore.type=PKCS12
ssl.truststore.location=%s
ssl.truststore.password=%s
ssl.keystore.type=PKCS12
ssl.keystore.location=%s
ssl.keystore.password=%s
ssl.key.password=%s
`, bootstrap, filepath.Join(dir, caStoreFile), password, filepath.Join(dir, name+".p12"), password, password), true},
		{name + "-librdkafka.properties", fmt.Sprintf(`# librdkafka and what is built on it (kcat -F, confluent-kafka for Python, Go, .NET, Node).
bootstrap.servers=%s
security.protocol=ssl
ssl.ca.location=%s
ssl.certificate.location=%s
ssl.key.location=%s
`, bootstrap, ca, key, key), false},
		{name + ".go", fmt.Sprintf(`// Options of franz-go for %[1]s:  client, err := kgo.NewClient(options...)
package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
)

func options() ([]kgo.Opt, error) {
	authority, err := os.ReadFile(%[3]q)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	certificate, err := tls.LoadX509KeyPair(%[4]q, %[4]q)
	if err != nil {
		return nil, err
	}
	return []kgo.Opt{
		kgo.SeedBrokers(%[2]q),
		kgo.DialTLSConfig(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}}),
	}, nil
}
`, name, bootstrap, ca, key), false},
		{name + ".py", fmt.Sprintf(`# kafka-python: KafkaProducer(**config), KafkaConsumer("topic", **config)
config = {
    "bootstrap_servers": %[1]q,
    "security_protocol": "SSL",
    "ssl_cafile": %[2]q,
    "ssl_certfile": %[3]q,
    "ssl_keyfile": %[3]q,
}
`, bootstrap, ca, key), false},
	}
}
