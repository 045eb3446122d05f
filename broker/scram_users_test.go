package broker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
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

// strugglingStore answers the first attempts at credentials with errors.
type strugglingStore struct {
	metadata.Store
	errs  []error
	first bool // the first attempt happens all the same
	asked int
}

func (s *strugglingStore) AlterUserScramCredentials(ctx context.Context, d []metadata.ScramDeletion, u []metadata.ScramUpsertion) ([]metadata.UserResult, error) {
	s.asked++
	if len(s.errs) == 0 {
		return s.Store.AlterUserScramCredentials(ctx, d, u)
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	if s.first {
		s.Store.AlterUserScramCredentials(ctx, d, u)
	}
	return nil, err
}

func TestTheFirstUsersAreTriedAgain(t *testing.T) {
	for _, tt := range []struct {
		name  string
		store *strugglingStore
		asked int
		fails bool
	}{
		{"no controller for a while", &strugglingStore{errs: []error{protocol.ErrNotController, protocol.ErrRequestTimedOut, protocol.ErrNotController}}, 4, false},
		{"it happened and nobody said so", &strugglingStore{errs: []error{protocol.ErrRequestTimedOut}, first: true}, 1, false},
		{"something else", &strugglingStore{errs: []error{protocol.ErrUnacceptableCredential}}, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := startWith(t, log.OS{}, func(s metadata.Store) metadata.Store {
				tt.store.Store = s
				return tt.store
			}, "barnabas.scram.users=SCRAM-SHA-512=[name=alice,password=first]")
			if tt.fails != (err != nil) || tt.store.asked != tt.asked {
				t.Fatalf("asked %d times, %v", tt.store.asked, err)
			}
			if err == nil && b.Store().Image().ScramCredential("alice", metadata.ScramMechanism(auth.ScramSHA512)) == nil {
				t.Error("she is not there")
			}
		})
	}
}
