package auth

import (
	"errors"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

func TestPlain(t *testing.T) {
	const invalid = "Authentication failed: Invalid username or password"
	for _, tt := range []struct{ token, message string }{
		{"\x00alice\x00secret", ""},
		{"alice\x00alice\x00secret", ""},
		{"\x00alice\x00wrong", invalid},
		{"\x00alice\x00secret2", invalid},
		{"\x00alice\x00secre", invalid},
		{"\x00nobody\x00secret", invalid},
		{"\x00username\x00broker", invalid},
		{"\x00Alice\x00secret", invalid},
		{"\x00alice\x00\xff\xfe", invalid},
		{"\x00\x00secret", "Authentication failed: username not specified"},
		{"\x00alice\x00", "Authentication failed: password not specified"},
		{"", "Invalid SASL/PLAIN response: expected 3 tokens, got 1"},
		{"alice\x00secret", "Invalid SASL/PLAIN response: expected 3 tokens, got 2"},
		{"\x00alice\x00secret\x00", "Invalid SASL/PLAIN response: expected 3 tokens, got 4"},
		{"\x00a\x00b\x00c\x00d\x00e", "Invalid SASL/PLAIN response: expected 3 tokens, got 4"},
		// CVE-2017-12610: to act as somebody else, and only once the password is right.
		{"bob\x00alice\x00secret", differentAuthorizationID},
		{"bob\x00alice\x00wrong", invalid},
	} {
		step, err := NewPlain(testUsers()).Start(Peer{}).Step([]byte(tt.token))
		if tt.message == "" {
			if err != nil || step.Done == nil || step.Done.Principal != User("alice") || step.Token == nil {
				t.Errorf("%q: %+v, %v", tt.token, step, err)
			}
			continue
		}
		var f *Failure
		if !errors.As(err, &f) || f.Message != tt.message || step.Done != nil {
			t.Errorf("%q: %+v, %v", tt.token, step, err)
		}
	}
}

func TestPlainUsersOfJAASOptions(t *testing.T) {
	u := NewPlainUsers(map[string]string{"user_a.b": "x", "user_": "y", "user_empty": "", "username": "z"})
	if u.Len() != 1 || !u.VerifyPlain("a.b", []byte("x")) || u.VerifyPlain("", []byte("y")) || u.VerifyPlain("empty", nil) {
		t.Fatalf("%d users", u.Len())
	}
}

func FuzzPlain(f *testing.F) {
	f.Add([]byte("\x00alice\x00secret"))
	f.Add([]byte("a\x00b\x00c"))
	f.Fuzz(func(t *testing.T, token []byte) {
		defer fuzzcost.Bound(t, len(token), 64)()
		step, err := NewPlain(testUsers()).Start(Peer{}).Step(token)
		if (err == nil) != (step.Done != nil) {
			t.Fatalf("%+v, %v", step, err)
		}
		if err == nil && !strings.HasSuffix(string(token), "\x00"+map[string]string{"alice": "secret", "bob": "builder"}[step.Done.Principal.Name]) {
			t.Fatalf("%q got in", token)
		}
	})
}
