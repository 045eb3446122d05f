package auth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sasl/oauth"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// bearerTable knows tokens by heart.
type bearerTable map[string]BearerToken

func (b bearerTable) ValidateBearer(token string) (BearerToken, error) {
	if token == "unscoped" {
		return BearerToken{}, &BearerError{Status: "insufficient_scope", Scope: `kafka"write`, Reason: errors.New("no scope")}
	}
	t, ok := b[token]
	if !ok {
		return BearerToken{}, errors.New("unknown token")
	}
	return t, nil
}

func testBearer() *OAuthBearer {
	return NewOAuthBearer(OAuthBearerOptions{
		Validator: bearerTable{"good.token==": {Principal: "alice", ExpiresAt: newClock().at}, "endless": {Principal: "alice"}},
		Extensions: func(_ BearerToken, all map[string]string) (map[string]string, error) {
			if all["bad"] != "" {
				return nil, errors.New("bad extension")
			}
			return map[string]string{"cluster": all["cluster"]}, nil
		},
	})
}

func TestOAuthBearerWithFranzGo(t *testing.T) {
	id, err := drive(t, testBearer(), oauth.Auth{Token: "good.token==", Extensions: map[string]string{"cluster": "lkc-1", "other": "x"}}.AsMechanism())
	if err != nil || id.Principal != User("alice") || id.ExpiresAt != newClock().at || len(id.Extensions) != 1 || id.Extensions["cluster"] != "lkc-1" {
		t.Fatalf("%+v, %v", id, err)
	}
	if id, err = drive(t, testBearer(), oauth.Auth{Token: "good.token==", Zid: "alice"}.AsMechanism()); err != nil {
		t.Fatalf("%+v, %v", id, err)
	}
	for _, a := range []oauth.Auth{
		{Token: "good.token==", Zid: "bob"},
		{Token: "good.token==", Extensions: map[string]string{"bad": "x"}},
		{Token: "other"},
		{Token: "endless"},
	} {
		if id, err := drive(t, testBearer(), a.AsMechanism()); err == nil {
			t.Errorf("%+v got in as %+v", a, id)
		}
	}
}

func TestARefusedTokenIsExplainedAndThenFails(t *testing.T) {
	for _, tt := range []struct{ token, json string }{
		{"bad", `{"status":"invalid_token"}`},
		{"unscoped", `{"status":"insufficient_scope","scope":"kafka\"write"}`},
	} {
		e := testBearer().Start(Peer{})
		step, err := e.Step([]byte("n,,\x01auth=Bearer " + tt.token + "\x01\x01"))
		if err != nil || step.Done != nil || string(step.Token) != tt.json {
			t.Fatalf("%+v, %v", step, err)
		}
		_, err = e.Step([]byte{1})
		var f *Failure
		if !errors.As(err, &f) || f.Message != tt.json {
			t.Fatalf("%v", err)
		}
	}
	// There is no second try after a refusal.
	e := testBearer().Start(Peer{})
	e.Step([]byte("n,,\x01auth=Bearer bad\x01\x01"))
	if step, err := e.Step([]byte("n,,\x01auth=Bearer good.token==\x01\x01")); err == nil {
		t.Fatalf("%+v", step)
	}
}

func TestOAuthBearerMessages(t *testing.T) {
	for _, tt := range []struct {
		message string
		ok      bool
	}{
		{"n,,\x01auth=Bearer good.token==\x01\x01", true},
		{"n,,\x01auth=bEARER   good.token==\x01\x01", true},
		{"n,a=alice,\x01auth=Bearer good.token==\x01\x01", true},
		{"n,,\x01a=b c\td\x01auth=Bearer good.token==\x01z=1\x01\x01", true},
		{"n,a=bob,\x01auth=Bearer good.token==\x01\x01", false},
		{"y,,\x01auth=Bearer good.token==\x01\x01", false},
		{"n,\x01auth=Bearer good.token==\x01\x01", false},
		{"n,a=x,y,\x01auth=Bearer good.token==\x01\x01", false},
		{"n,,\x01auth=Basic good.token==\x01\x01", false},
		{"n,,\x01auth=Bearergood.token==\x01\x01", false},
		{"n,,\x01auth=Bearer good.token== x\x01\x01", false},
		{"n,,\x01auth=Bearer good.=token==\x01\x01", false},
		{"n,,\x01auth=Bearer ==\x01\x01", false},
		{"n,,\x01auth=Bearer good.token==\x01", false},
		{"n,,\x01auth=Bearer good.token==\x01\x01\x01", false},
		{"n,,\x01auth=Bearer good.token==\x01auth=Bearer bad\x01\x01", false},
		{"n,,\x01a=1\x01a=2\x01auth=Bearer good.token==\x01\x01", false},
		{"n,,\x01a1=1\x01auth=Bearer good.token==\x01\x01", false},
		{"n,,\x01a=\x02\x01auth=Bearer good.token==\x01\x01", false},
		{"n,,\x01a=\x01auth=Bearer good.token==\x01\x01", false},
		{"n,,\x01\x01", false},
		{"n,,\x01", false},
		{"", false},
		{"\x01", false},
	} {
		step, err := testBearer().Start(Peer{}).Step([]byte(tt.message))
		if ok := err == nil && step.Done != nil; ok != tt.ok {
			t.Errorf("%q: %+v, %v", tt.message, step, err)
		}
	}
	if NewOAuthBearer(OAuthBearerOptions{}).MaxTokenBytes() < 64<<10 {
		t.Error("tokens of 64 KiB do not fit")
	}
}

func TestExtensionsThatNobodyValidatesAreDropped(t *testing.T) {
	m := NewOAuthBearer(OAuthBearerOptions{Validator: bearerTable{"t": {Principal: "alice", ExpiresAt: time.Unix(1, 0)}}})
	step, err := m.Start(Peer{}).Step([]byte("n,,\x01auth=Bearer t\x01x=y\x01\x01"))
	if err != nil || step.Done == nil || len(step.Done.Extensions) != 0 {
		t.Fatalf("%+v, %v", step, err)
	}
}

func FuzzOAuthBearer(f *testing.F) {
	f.Add([]byte("n,a=alice,\x01auth=Bearer good.token==\x01k=v\x01\x01"))
	f.Add([]byte("n,,\x01\x01"))
	m := testBearer()
	f.Fuzz(func(t *testing.T, message []byte) {
		defer fuzzcost.Bound(t, len(message), 64)()
		step, err := m.Start(Peer{}).Step(message)
		if err == nil && step.Done != nil && !strings.Contains(string(message), "good.token==") {
			t.Fatalf("%q got in", message)
		}
	})
}
