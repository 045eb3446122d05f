package auth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// testScram knows alice with the password, and the token "token-id" of carl.
func testScram(t testing.TB, h ScramHash, c *clock) *Scram {
	t.Helper()
	secrets := NewTokenSecrets(NewSecret("token secret"))
	credential := DeriveScram(h, "pässword,=", []byte("some salt"), 5000)
	return NewScram(ScramOptions{
		Hash: h, Now: c.now, Pepper: NewSecret("pepper"),
		Credential: func(user string) (ScramCredential, bool) {
			switch user {
			case "alice", "a,b=c", "jürgen":
				return credential, true
			case "weak":
				weak := credential
				weak.Iterations = 4095
				return weak, true
			}
			return ScramCredential{}, false
		},
		Token: func(id string) (DelegationTokenLogin, bool) {
			return DelegationTokenLogin{Owner: User("carl"), ExpiresAt: newClock().at.Add(time.Hour), Credential: secrets.Credential(id, h)}, id == "token-id"
		},
	})
}

// drive lets a client mechanism of franz-go talk to an exchange.
func drive(t testing.TB, m Mechanism, client sasl.Mechanism) (*Identity, error) {
	t.Helper()
	session, token, err := client.Authenticate(context.Background(), "localhost")
	if err != nil {
		t.Fatal(err)
	}
	e := m.Start(Peer{})
	for {
		step, err := e.Step(token)
		if err != nil {
			return nil, err
		}
		done, next, err := session.Challenge(step.Token)
		if err != nil {
			return nil, fmt.Errorf("the client refused us: %w", err)
		}
		if step.Done != nil {
			if !done {
				t.Fatal("we are done and the client is not")
			}
			return step.Done, nil
		}
		token = next
	}
}

func franzScram(h ScramHash, a scram.Auth) sasl.Mechanism {
	if h == ScramSHA256 {
		return a.AsSha256Mechanism()
	}
	return a.AsSha512Mechanism()
}

func TestScramWithFranzGo(t *testing.T) {
	c := newClock()
	mac := NewTokenSecrets(NewSecret("token secret")).HMAC("token-id")
	tokenPassword := base64.StdEncoding.EncodeToString(mac)
	for _, h := range []ScramHash{ScramSHA256, ScramSHA512} {
		m := testScram(t, h, c)
		for _, tt := range []struct {
			name string
			auth scram.Auth
			want string // "" is a refusal
		}{
			{"good", scram.Auth{User: "alice", Pass: "pässword,="}, "alice"},
			{"a name that needs escaping", scram.Auth{User: "a,b=c", Pass: "pässword,="}, "a,b=c"},
			{"a name beyond ASCII", scram.Auth{User: "jürgen", Pass: "pässword,="}, "jürgen"},
			{"own name as authorization id", scram.Auth{User: "alice", Pass: "pässword,=", Zid: "alice"}, "alice"},
			{"wrong password", scram.Auth{User: "alice", Pass: "password,="}, ""},
			{"unknown user", scram.Auth{User: "nobody", Pass: "pässword,="}, ""},
			{"weak credential", scram.Auth{User: "weak", Pass: "pässword,="}, ""},
			{"foreign authorization id (CVE-2017-12610)", scram.Auth{User: "alice", Pass: "pässword,=", Zid: "bob"}, ""},
			{"delegation token", scram.Auth{User: "token-id", Pass: tokenPassword, IsToken: true}, "carl"},
			{"delegation token, wrong secret", scram.Auth{User: "token-id", Pass: "x", IsToken: true}, ""},
			{"delegation token that is not there", scram.Auth{User: "other-id", Pass: tokenPassword, IsToken: true}, ""},
			{"delegation token as a user", scram.Auth{User: "token-id", Pass: tokenPassword}, ""},
			{"a user as a delegation token", scram.Auth{User: "alice", Pass: "pässword,=", IsToken: true}, ""},
		} {
			id, err := drive(t, m, franzScram(h, tt.auth))
			switch {
			case tt.want == "" && err == nil:
				t.Errorf("%v, %s: got in as %+v", h.Mechanism(), tt.name, id)
			case tt.want != "" && (err != nil || id.Principal != User(tt.want)):
				t.Errorf("%v, %s: %+v, %v", h.Mechanism(), tt.name, id, err)
			case tt.want == "carl" && (!id.TokenAuthenticated() || id.ExpiresAt != c.at.Add(time.Hour)):
				t.Errorf("%v, %s: %+v", h.Mechanism(), tt.name, id)
			}
		}
	}
}

func TestExpiredTokensAreRefused(t *testing.T) {
	c := newClock()
	m := testScram(t, ScramSHA256, c)
	password := base64.StdEncoding.EncodeToString(NewTokenSecrets(NewSecret("token secret")).HMAC("token-id"))
	c.advance(time.Hour)
	if id, err := drive(t, m, franzScram(ScramSHA256, scram.Auth{User: "token-id", Pass: password, IsToken: true})); err == nil {
		t.Fatalf("got in as %+v", id)
	}
}

// What an unknown user sees is what one with a wrong password sees: the same messages in
// the same order, with a salt that stays.
func TestUnknownUsersLookLikeWrongPasswords(t *testing.T) {
	m := testScram(t, ScramSHA256, newClock())
	salt := func(user string) string {
		step, err := m.Start(Peer{}).Step([]byte("n,,n=" + user + ",r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range strings.Split(string(step.Token), ",") {
			if s, ok := strings.CutPrefix(field, "s="); ok {
				return s
			}
		}
		t.Fatalf("%q", step.Token)
		return ""
	}
	first, again := salt("nobody"), salt("nobody")
	if first != again || first == salt("nobody2") {
		t.Fatal("salts of unknown users change, or do not differ")
	}
	other := NewScram(ScramOptions{Hash: ScramSHA256, Pepper: NewSecret("pepper"), Credential: func(string) (ScramCredential, bool) { return ScramCredential{}, false }})
	step, _ := other.Start(Peer{}).Step([]byte("n,,n=nobody,r=abc"))
	if !strings.Contains(string(step.Token), "s="+salt("nobody")+",") {
		t.Fatal("brokers with the same pepper answer differently")
	}
	var said []string
	for _, user := range []string{"alice", "nobody", "weak"} {
		_, err := drive(t, m, franzScram(ScramSHA256, scram.Auth{User: user, Pass: "wrong"}))
		var f *Failure
		if !errors.As(err, &f) {
			t.Fatal(err)
		}
		said = append(said, f.Message)
	}
	if said[0] != said[1] || said[0] != said[2] {
		t.Fatalf("%q", said)
	}
}

// clientFinal makes a right final message, and lets change alter it before the proof.
func clientFinal(h ScramHash, password, firstBare, serverFirst string, change func(withoutProof string) string) []byte {
	fields := map[byte]string{}
	for _, f := range strings.Split(serverFirst, ",") {
		fields[f[0]] = f[2:]
	}
	salt, _ := base64.StdEncoding.DecodeString(fields['s'])
	var iterations int32
	fmt.Sscan(fields['i'], &iterations)
	withoutProof := change("c=biws,r=" + fields['r'])
	c := DeriveScram(h, password, salt, iterations)
	signature := macOf(h, c.StoredKey, []byte(firstBare+","+serverFirst+","+withoutProof))
	clientKey := clientKeyOf(h, password, salt, iterations)
	subtle.XORBytes(signature, signature, clientKey)
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(signature))
}

func clientKeyOf(h ScramHash, password string, salt []byte, iterations int32) []byte {
	// Hi() of RFC 5802, written out.
	mac := hmac.New(h.new, []byte(password))
	mac.Write(append(bytes.Clone(salt), 0, 0, 0, 1))
	u := mac.Sum(nil)
	salted := bytes.Clone(u)
	for range iterations - 1 {
		mac.Reset()
		mac.Write(u)
		u = mac.Sum(nil)
		subtle.XORBytes(salted, salted, u)
	}
	return macOf(h, salted, []byte("Client Key"))
}

func TestScramFinalMessages(t *testing.T) {
	m := testScram(t, ScramSHA256, newClock())
	same := func(s string) string { return s }
	for _, tt := range []struct {
		name   string
		header string
		change func(string) string
		ok     bool
	}{
		{"right", "n,,", same, true},
		{"with an extension", "n,,", func(s string) string { return s + ",x=y" }, true},
		{"the plain header although there is an authorization id", "n,a=alice,", same, true},
		{"the header that was sent", "n,a=alice,", func(s string) string { return strings.Replace(s, "biws", "bixhPWFsaWNlLA==", 1) }, true},
		{"another header", "n,,", func(s string) string { return strings.Replace(s, "biws", "bixhPWFsaWNlLA==", 1) }, false},
		// CVE-2024-56128.
		{"the client's half twice, as librdkafka before 2.6.1", "n,,", func(s string) string { return strings.Replace(s, "r=", "r=fyko", 1) }, true},
		{"the client's half thrice", "n,,", func(s string) string { return strings.Replace(s, "r=", "r=fykofyko", 1) }, false},
		{"a nonce with something in front", "n,,", func(s string) string { return strings.Replace(s, "r=", "r=x", 1) }, false},
		{"a nonce cut off", "n,,", func(s string) string { return s[:len(s)-1] }, false},
		{"a nonce with something behind", "n,,", func(s string) string { return s + "x" }, false},
		{"the server's half of the nonce only", "n,,", func(s string) string { return strings.Replace(s, "r=fyko", "r=", 1) }, false},
	} {
		e := m.Start(Peer{})
		bare := "n=alice,r=fyko"
		step, err := e.Step([]byte(tt.header + bare))
		if err != nil {
			t.Fatal(err)
		}
		step, err = e.Step(clientFinal(ScramSHA256, "pässword,=", bare, string(step.Token), tt.change))
		if (err == nil) != tt.ok || tt.ok && step.Done.Principal != User("alice") {
			t.Errorf("%s: %+v, %v", tt.name, step, err)
		}
	}
}

func TestScramFirstMessages(t *testing.T) {
	m := testScram(t, ScramSHA256, newClock())
	for _, tt := range []struct {
		message string
		ok      bool
	}{
		{"n,,n=alice,r=abc", true},
		{"n,a=alice,n=alice,r=abc", true},
		{"n,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=abc", true},
		{"n,,n=alice,r=abc,ext=a=b,tokenauth=false", true},
		{"y,,n=alice,r=abc", false},
		{"p=tls-unique,,n=alice,r=abc", false},
		{",,,", false},
		{"n,,", false},
		{"n,,n=alice", false},
		{"n,,n=,r=abc", false},
		{"n,,n=alice,r=", false},
		{"n,,n=alice,r=a\x7f", false},
		{"n,,n=alice,r=a b", false},
		{"n,,n=al=2cice,r=abc", false},
		{"n,,n=alice=,r=abc", false},
		{"n,,r=abc,n=alice", false},
		{"n,,m=x,n=alice,r=abc", false},
		{"n,,n=alice,r=abc,", false},
		{"n,,n=alice,r=abc,1=b", false},
		{"n,b=alice,n=alice,r=abc", false},
		{"n,a=,n=alice,r=abc", false},
		{"n,,n=ali\x00ce,r=abc", false},
		{"n,,n=ali\xffce,r=abc", false},
		{"n,a=bob,n=alice,r=abc", false},
		{"n,a=a=2Cx,n=a=2Cb,r=abc", false},
		{"", false},
	} {
		step, err := m.Start(Peer{}).Step([]byte(tt.message))
		if (err == nil) != tt.ok || tt.ok && !strings.HasPrefix(string(step.Token), "r=abc") {
			t.Errorf("%q: %q, %v", tt.message, step.Token, err)
		}
	}
}

func TestDelegationTokenSecrets(t *testing.T) {
	s := NewTokenSecrets(NewSecret("key"))
	id := NewDelegationTokenID()
	if len(id) != 22 || id == NewDelegationTokenID() {
		t.Fatalf("id %q", id)
	}
	if !s.Matches(id, s.HMAC(id)) || s.Matches(id, s.HMAC(id+"x")) || s.Matches(id, nil) {
		t.Fatal("HMACs do not match")
	}
	a, b := s.Credential(id, ScramSHA512), NewTokenSecrets(NewSecret("key")).Credential(id, ScramSHA512)
	if !bytes.Equal(a.Salt, b.Salt) || !bytes.Equal(a.StoredKey, b.StoredKey) {
		t.Fatal("two brokers derive different credentials")
	}
}

func BenchmarkScramLogin(b *testing.B) {
	m := testScram(b, ScramSHA256, newClock())
	bare := "n=alice,r=fyko"
	for b.Loop() {
		e := m.Start(Peer{})
		if _, err := e.Step([]byte("n,," + bare)); err != nil {
			b.Fatal(err)
		}
		e.Step([]byte("c=biws,r=x,p=AAAA"))
	}
}

func FuzzScram(f *testing.F) {
	f.Add([]byte("n,,n=alice,r=abc"), []byte("c=biws,r=abc,p=AAAA"))
	f.Add([]byte("n,a=alice,n=alice,r=abc,tokenauth=true"), []byte("c=,r=,p="))
	f.Add([]byte(",,,"), []byte(",p="))
	m := testScram(f, ScramSHA256, newClock())
	f.Fuzz(func(t *testing.T, first, final []byte) {
		defer fuzzcost.Bound(t, len(first)+len(final), 64)()
		e := m.Start(Peer{})
		step, err := e.Step(first)
		if err != nil {
			return
		}
		if step.Done != nil {
			t.Fatal("done after one message")
		}
		if step, err := e.Step(final); err == nil {
			t.Fatalf("%+v got in without a proof", step.Done)
		}
	})
}
