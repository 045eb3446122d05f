package broker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/server"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// A JAAS file as Apache's brokers get it through KAFKA_OPTS: a section for one listener, one
// for all others, and a key of a mechanism above both.
func TestAJAASFileHoldsTheUsersOfListeners(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kafka_server_jaas.conf")
	err := os.WriteFile(path, []byte(`
// users of everybody
KafkaServer {
    org.apache.kafka.common.security.plain.PlainLoginModule required
    username="admin" password="admin-secret"
    user_alice="every\"where";
    org.apache.kafka.common.security.scram.ScramLoginModule required;
};
inside.KafkaServer {
    org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="inside";
};
Client { };
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{SecureListeners: true, Environ: []string{"KAFKA_OPTS=-Xmx1g -Djava.security.auth.login.config=" + path},
		Overrides: []string{"log.dirs=" + t.TempDir(), "barnabas.admin.listener=", "connection.failed.authentication.delay.ms=0",
			"listeners=INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0,KEYED://127.0.0.1:0", "inter.broker.listener.name=INSIDE",
			"listener.security.protocol.map=INSIDE:SASL_PLAINTEXT,OUTSIDE:SASL_PLAINTEXT,KEYED:SASL_PLAINTEXT",
			"sasl.mechanism.inter.broker.protocol=PLAIN", "sasl.enabled.mechanisms=PLAIN", "listener.name.outside.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
			`listener.name.keyed.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="keyed";`}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(t.Context(), server.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	for listener, password := range map[string]string{"INSIDE": "inside", "OUTSIDE": `every"where`, "KEYED": "keyed"} {
		for _, tried := range []string{"inside", `every"where`, "keyed"} {
			client, err := kgo.NewClient(kgo.SeedBrokers(s.Broker().Addresses()[listener]), kgo.RequestRetries(0),
				kgo.SASL(plain.Auth{User: "alice", Pass: tried}.AsMechanism()))
			if err != nil {
				t.Fatal(err)
			}
			err = client.Ping(t.Context())
			client.Close()
			if tried == password && err != nil || tried != password && !errors.Is(err, kerr.SaslAuthenticationFailed) {
				t.Errorf("%s with %s: %v", listener, tried, err)
			}
		}
	}
}
