package broker_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func scramClient(t *testing.T, b *brokertest.Broker, user, password string) *kgo.Client {
	return saslClient(t, b, scram.Auth{User: user, Pass: password}.AsSha512Mechanism())
}

func TestTheFirstUsersAreThereBeforeAnybodyConnects(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte("# more of them\nSCRAM-SHA-512=[name=bob,password=b]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", "barnabas.scram.users=SCRAM-SHA-512=[name=alice,password=first];SCRAM-SHA-256=[name=alice,password=other]",
		"barnabas.scram.users.file="+file)...)
	alice := scramClient(t, b, "alice", "first")
	if err := creates(t, alice, "alices"); err != nil {
		t.Fatal(err)
	}
	if err := creates(t, scramClient(t, b, "bob", "b"), "bobs"); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Fatal(err)
	}
	// A password that was changed stays so.
	setSCRAM(t, alice, "alice", "second")
	b.Restart()
	if err := creates(t, scramClient(t, b, "alice", "second"), "more"); err != nil {
		t.Fatal(err)
	}
	if err := creates(t, scramClient(t, b, "alice", "first"), "none"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Fatal(err)
	}
}
