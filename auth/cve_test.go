package auth

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Apache's PLAIN and SCRAM let a client act for any user it named beside its own. GSSAPI's
// and OAUTHBEARER's tests of the same name are beside those mechanisms.
func TestCVE_2017_12610_NobodyActsForAnother(t *testing.T) {
	for _, authzid := range []string{"bob", "Alice", "alice ", " alice", "alice\n", "bob=2C", "=61lice", "alice=2C", "*", "ANONYMOUS"} {
		if _, err := NewPlain(testUsers()).Start(Peer{}).Step([]byte(authzid + "\x00alice\x00secret")); err == nil {
			t.Errorf("PLAIN: alice acts for %q", authzid)
		}
		for _, h := range []ScramHash{ScramSHA256, ScramSHA512} {
			m := testScram(t, h, newClock())
			first := "n,a=" + authzid + ",n=alice,r=fyko"
			step, err := m.Start(Peer{}).Step([]byte(first))
			if err == nil {
				t.Errorf("SCRAM: alice acts for %q: %q", authzid, step.Token)
			}
		}
	}
	id, err := drive(t, testScram(t, ScramSHA256, newClock()), scram.Auth{User: "alice", Pass: "pässword,=", Zid: "alice"}.AsSha256Mechanism())
	if err != nil || id.Principal != User("alice") {
		t.Errorf("alice may not act for herself: %v", err)
	}
}

// Secrets were compared by functions that return at the first difference. Here everything
// that is compared with a secret goes through crypto/subtle or crypto/hmac: the sources of
// this package and those of its mechanisms know no other comparison of bytes, but for the
// ones listed.
func TestCVE_2021_38153_SecretsAreComparedInConstantTime(t *testing.T) {
	public := map[string]int{ // comparisons of what is no secret, by file
		"kerberos/accept.go":   5, // names, addresses, channel bindings
		"kerberos/crypt.go":    1, // the header inside a token that has been decrypted
		"kerberos/keys.go":     1, // names
		"kerberos/selftest.go": 1, // names
	}
	for _, dir := range []string{".", "bearer", "kerberos"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		constantTime := 0
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, text, 0)
			if err != nil {
				t.Fatal(err)
			}
			early := 0
			ast.Inspect(file, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				from, ok := s.X.(*ast.Ident)
				if !ok {
					return true
				}
				switch from.Name + "." + s.Sel.Name {
				case "bytes.Equal", "bytes.Compare", "reflect.DeepEqual", "slices.Equal":
					early++
				case "subtle.ConstantTimeCompare", "hmac.Equal":
					constantTime++
				}
				return true
			})
			if early != public[filepath.ToSlash(path)] {
				t.Errorf("%s compares bytes %d times so that the time tells where they differ; %d of these are known to be public", path, early, public[filepath.ToSlash(path)])
			}
		}
		if dir == "." && constantTime == 0 {
			t.Error("nothing is compared in constant time")
		}
	}
}

// Apache before 3.7.2, 3.8.1 and 3.9.0 did not look at the nonce of a client's last
// message, so that a recorded login could be used again. (Since then it looks at the end of
// it; here the whole of it counts, but for the doubled half that librdkafka before 2.6.1
// sends.) The nonces changed in other ways are in TestScramFinalMessages.
func TestCVE_2024_56128_ARecordedLoginIsNotGoodTwice(t *testing.T) {
	for _, h := range []ScramHash{ScramSHA256, ScramSHA512} {
		m := testScram(t, h, newClock())
		login := func(final []byte) ([]byte, error) {
			e := m.Start(Peer{})
			bare := "n=alice,r=fyko"
			step, err := e.Step([]byte("n,," + bare))
			if err != nil {
				t.Fatal(err)
			}
			if final == nil {
				final = clientFinal(h, "pässword,=", bare, string(step.Token), func(s string) string { return s })
			}
			_, err = e.Step(final)
			return final, err
		}
		recorded, err := login(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := login(recorded); err == nil {
			t.Error("a recorded login was let in again")
		}
	}
}

// Whether there is such a user must not show: the same steps, the same failure.
func TestUsersCannotBeListedByTheirRefusals(t *testing.T) {
	plain := NewPlain(testUsers())
	_, known := plain.Start(Peer{}).Step([]byte("\x00alice\x00wrong"))
	_, unknown := plain.Start(Peer{}).Step([]byte("\x00nobody\x00wrong"))
	var a, b *Failure
	if !errors.As(known, &a) || !errors.As(unknown, &b) || a.Message != b.Message || a.Retriable != b.Retriable {
		t.Errorf("a known user: %v; an unknown one: %v", known, unknown)
	}
}

// Karapace let in whoever sent no Authorization header, because only a header that was there
// was checked; ZooKeeper's quorum let in whose proof lacked its optional part (2023-44981).
// Credentials that are not there are wrong ones, for every mechanism and at every step.
func TestCVE_2025_61673_CVE_2023_44981_WhatIsMissingIsWrong(t *testing.T) {
	noPassword := NewPlain(NewPlainUsers(map[string]string{"user_alice": "", "user_": "x", "user_bob": "builder"}))
	scram256, scram512 := testScram(t, ScramSHA256, newClock()), testScram(t, ScramSHA512, newClock())
	mechanisms := map[string]func() Exchange{
		"PLAIN":                           func() Exchange { return NewPlain(testUsers()).Start(Peer{}) },
		"PLAIN of users without password": func() Exchange { return noPassword.Start(Peer{}) },
		"PLAIN without users":             func() Exchange { return NewPlain(NewPlainUsers(nil)).Start(Peer{}) },
		"SCRAM-SHA-256":                   func() Exchange { return scram256.Start(Peer{}) },
		"SCRAM-SHA-512":                   func() Exchange { return scram512.Start(Peer{}) },
		"OAUTHBEARER":                     func() Exchange { return testBearer().Start(Peer{}) },
		"OAUTHBEARER without a validator": func() Exchange { return NewOAuthBearer(OAuthBearerOptions{Validator: bearerTable{}}).Start(Peer{}) },
	}
	messages := []string{"", "\x00", "\x00\x00", "\x00\x00\x00", "\x00alice", "\x00alice\x00", "alice\x00alice\x00", "\x00\x00secret", "alice",
		"n,,", "n,,\x01", "n,,\x01\x01", "n,,\x01auth=\x01\x01", "n,,\x01auth=Bearer\x01\x01", "n,,\x01auth=Bearer \x01\x01", "n,a=alice,\x01\x01", "n,,\x01Auth=Bearer good.token==\x01\x01",
		"n,,n=alice", "n,,n=,r=", "n,,n=alice,r=", "n,,r=x", "n,,n=alice,r=x,tokenauth=true", "c=biws,r=x", "c=biws,r=x,p=", "c=biws,p=", ",,", "e=other"}
	for name, start := range mechanisms {
		for _, first := range messages {
			for _, second := range messages {
				e := start()
				step, err := e.Step([]byte(first))
				if err == nil && step.Done == nil {
					step, err = e.Step([]byte(second))
				}
				if err == nil && step.Done != nil {
					t.Fatalf("%s: %q and %q are %v", name, first, second, step.Done.Principal)
				}
			}
		}
	}
}

// librdkafka takes SCRAM's nonces from a generator that can be guessed, and any client may
// send the same one for ever: that a recorded login is not good twice rests on our half of
// the nonce, which has as many random bits as the mechanism asks for and is never used twice.
func TestAReplayIsPreventedByTheServersNonceAlone(t *testing.T) {
	if scramNonceBytes*8 < 128 {
		t.Errorf("%d random bits are in the server's nonce", scramNonceBytes*8)
	}
	m := testScram(t, ScramSHA256, newClock())
	seen := map[string]bool{}
	for range 1000 {
		step, err := m.Start(Peer{}).Step([]byte("n,,n=alice,r=always-the-same"))
		if err != nil {
			t.Fatal(err)
		}
		nonce, _, _ := strings.Cut(string(step.Token), ",")
		ours, ok := strings.CutPrefix(nonce, "r=always-the-same")
		if !ok || len(ours) < 22 || seen[ours] {
			t.Fatalf("%q", step.Token)
		}
		seen[ours] = true
	}
}
