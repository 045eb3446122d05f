package auth

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

func testOptions(c *clock) *GateOptions {
	return &GateOptions{
		Mechanisms:     []Mechanism{NewPlain(testUsers()), threeRounds{}},
		APIVersionsMax: 4,
		Now:            c.now,
	}
}

// script feeds frames to a gate and writes down the actions.
func script(g *Gate, frames ...[]byte) (actions string, last Verdict) {
	var b strings.Builder
	for _, f := range frames {
		last = g.Frame(f)
		b.WriteString([]string{"X", "x", "r", "v", "S"}[last.Do])
	}
	return b.String(), last
}

const aliceToken = "\x00alice\x00secret"

func TestWhatPassesBeforeAuthentication(t *testing.T) {
	versions, bad := versionsFrame(3), request(protocol.KeyAPIVersions, 3, 3, 'a', ' ', 2, '1', 0)
	handshake, token, metadata := handshakeFrame(1, "PLAIN"), tokenFrame(1, aliceToken), metadataFrame()
	for _, tt := range []struct {
		name    string
		frames  [][]byte
		actions string // X close now, x close delayed, r reply, v ApiVersions, S served
	}{
		{"a good client", [][]byte{versions, handshake, token, metadata, versions}, "vrrSS"},
		{"without ApiVersions", [][]byte{handshake, token, metadata}, "rrS"},
		{"with bare tokens", [][]byte{handshakeFrame(0, "PLAIN"), []byte(aliceToken), metadata}, "rrS"},
		{"GSSAPI without handshake", [][]byte{[]byte("\x60token"), {}, []byte("alice"), metadata}, "rrrS"},
		{"a second ApiVersions", [][]byte{versions, versions, handshake}, "vXX"},
		{"ApiVersions of unknown versions do not count", [][]byte{versionsFrame(9), request(18, 30000), versions, handshake}, "vvvr"},
		{"ApiVersions with a bad name do not count", [][]byte{bad, bad, versions, handshake}, "vvvr"},
		{"a malformed ApiVersions", [][]byte{request(18, 3, 0xff)}, "X"},
		{"Metadata first", [][]byte{metadata, handshake}, "xX"},
		{"Metadata after ApiVersions", [][]byte{versions, metadata}, "vx"},
		{"Metadata after the handshake", [][]byte{handshake, metadata, token}, "rxX"},
		{"a token before the handshake", [][]byte{token}, "x"},
		{"a token after ApiVersions", [][]byte{versions, token}, "vx"},
		{"an unknown mechanism", [][]byte{handshakeFrame(1, "DIGEST-MD5"), handshake}, "xX"},
		{"SaslHandshake v2", [][]byte{handshakeFrame(2, "PLAIN")}, "X"},
		{"SaslAuthenticate v3", [][]byte{handshake, tokenFrame(3, aliceToken)}, "rX"},
		{"a bare token after handshake v1", [][]byte{handshake, []byte(aliceToken)}, "rX"},
		{"a malformed handshake", [][]byte{request(17, 1, 0xff)}, "X"},
		{"a malformed token request", [][]byte{handshake, request(36, 1, 0x7f, 0xff, 0xff, 0xff)}, "rX"},
		{"handshake during authentication", [][]byte{handshake, handshake}, "rx"},
		{"a wrong password", [][]byte{handshake, tokenFrame(1, "\x00alice\x00x"), handshake}, "rxX"},
		{"a wrong password in a bare token", [][]byte{handshakeFrame(0, "PLAIN"), []byte("\x00alice\x00x"), metadata}, "rxX"},
		{"an empty first frame", [][]byte{{}, {}, []byte("alice")}, "rrr"},
		{"a failure that is to be tried again", [][]byte{handshakeFrame(1, "GSSAPI"), tokenFrame(1, "r")}, "rX"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := NewGate(testOptions(newClock()), Peer{})
			if got, v := script(g, tt.frames...); got != tt.actions {
				t.Fatalf("got %s, want %s; last %+v", got, tt.actions, v)
			}
		})
	}
}

func TestAFirstFrameThatIsNoRequestNeedsGSSAPI(t *testing.T) {
	o := testOptions(newClock())
	o.Mechanisms = o.Mechanisms[:1]
	if v := NewGate(o, Peer{}).Frame([]byte("\x60token")); v.Do != CloseDelayed || v.Answer != nil {
		t.Fatalf("%+v", v)
	}
}

func TestAnswersOfTheGate(t *testing.T) {
	o := testOptions(newClock())
	g := NewGate(o, Peer{})
	v := g.Frame(handshakeFrame(1, "NTLM"))
	if code := handshakeCode(t, v.Answer); code != protocol.ErrUnsupportedSASLMechanism || !strings.Contains(string(v.Answer), "PLAIN") {
		t.Fatalf("%v %q", code, v.Answer)
	}

	g = NewGate(o, Peer{})
	script(g, handshakeFrame(1, "PLAIN"))
	a := parseAuthenticate(t, g.Frame(tokenFrame(1, "\x00alice\x00wrong")).Answer)
	if a.code != protocol.ErrSASLAuthenticationFailed || a.message != "Authentication failed: Invalid username or password" {
		t.Fatalf("%+v", a)
	}

	g = NewGate(o, Peer{})
	script(g, handshakeFrame(1, "GSSAPI"))
	a = parseAuthenticate(t, g.Frame(tokenFrame(1, "x")).Answer)
	if a.message != "Authentication failed during authentication due to invalid credentials with SASL mechanism GSSAPI" {
		t.Fatalf("%+v", a)
	}

	// PLAIN over bare frames ends with an empty one, GSSAPI with none.
	g = NewGate(o, Peer{})
	script(g, handshakeFrame(0, "PLAIN"))
	if v := g.Frame([]byte(aliceToken)); string(v.Answer) != "\x00\x00\x00\x00" || v.Authenticated == nil {
		t.Fatalf("%+v", v)
	}
	g = NewGate(o, Peer{})
	script(g, handshakeFrame(0, "GSSAPI"), []byte("1"), []byte("2"))
	if v := g.Frame([]byte("alice")); v.Answer != nil || v.Authenticated == nil || v.Do != Reply {
		t.Fatalf("%+v", v)
	}

	g = NewGate(o, Peer{})
	script(g, handshakeFrame(1, "PLAIN"))
	if v := g.Frame(metadataFrame()); v.Code != protocol.ErrIllegalSASLState || v.Header.Key != protocol.KeyMetadata {
		t.Fatalf("%+v", v)
	}
	g = NewGate(o, Peer{})
	script(g, handshakeFrame(1, "PLAIN"))
	if v := g.Frame(versionsFrame(0)); handshakeCode(t, v.Answer) != protocol.ErrIllegalSASLState {
		t.Fatalf("%+v", v)
	}
}

func TestFrameSizes(t *testing.T) {
	o := testOptions(newClock())
	g := NewGate(o, Peer{})
	sizes := []int{g.MaxFrameBytes()}
	for _, f := range [][]byte{versionsFrame(0), handshakeFrame(1, "PLAIN"), tokenFrame(1, aliceToken)} {
		g.Frame(f)
		sizes = append(sizes, g.MaxFrameBytes())
	}
	want := []int{64 << 10, 4 << 10, 6 << 10, 0}
	for i := range want {
		if sizes[i] != want[i] {
			t.Fatalf("limits %v, want %v", sizes, want)
		}
	}
	o.MaxReceiveBytes = 1000
	if got := NewGate(o, Peer{}).MaxFrameBytes(); got != 1000 {
		t.Fatalf("limit %d", got)
	}
	g = NewGate(o, Peer{})
	if v := g.BadFrameSize(-1); v.Do != CloseDelayed || v.Answer != nil || g.Frame(handshakeFrame(1, "PLAIN")).Do != CloseNow {
		t.Fatalf("%+v", v)
	}
}

func TestExchangesThatNeverEndAreEnded(t *testing.T) {
	o := testOptions(newClock())
	o.Mechanisms = []Mechanism{endless{}}
	g := NewGate(o, Peer{})
	g.Frame(handshakeFrame(0, "ENDLESS"))
	for n := range 100 {
		if v := g.Frame([]byte("a")); v.Do != Reply {
			if n != maxRounds || v.Do != CloseDelayed {
				t.Fatalf("round %d: %+v", n, v)
			}
			return
		}
	}
	t.Fatal("a hundred rounds")
}

type endless struct{}

func (endless) Name() string                { return "ENDLESS" }
func (endless) MaxTokenBytes() int          { return 100 }
func (endless) Start(Peer) Exchange         { return endless{} }
func (endless) Step(_ []byte) (Step, error) { return Step{Token: []byte("again")}, nil }

// opened returns a gate that alice has passed.
func opened(t *testing.T, o *GateOptions, version int16) (*Gate, Verdict) {
	t.Helper()
	g := NewGate(o, Peer{})
	actions, v := script(g, handshakeFrame(1, "PLAIN"), tokenFrame(version, aliceToken))
	if actions != "rr" || v.Authenticated == nil || v.Authenticated.Principal != User("alice") || !g.Open() {
		t.Fatalf("%s %+v", actions, v)
	}
	return g, v
}

func TestSessionsExpire(t *testing.T) {
	c := newClock()
	o := testOptions(c)
	o.MaxReauth = func(string) time.Duration { return time.Minute }
	g, v := opened(t, o, 1)
	if a := parseAuthenticate(t, v.Answer); a.lifetime != 60_000 {
		t.Fatalf("%+v", a)
	}
	c.advance(time.Minute - 1)
	if v := g.Frame(metadataFrame()); v.Do != Serve {
		t.Fatalf("%+v", v)
	}
	c.advance(1)
	if v := g.Frame(metadataFrame()); v.Do != CloseNow || !v.Expired {
		t.Fatalf("%+v", v)
	}
	if v := g.Frame(metadataFrame()); v.Do != CloseNow {
		t.Fatalf("%+v", v)
	}

	// An expired session may still authenticate again.
	g, _ = opened(t, o, 1)
	c.advance(time.Hour)
	if actions, v := script(g, handshakeFrame(1, "PLAIN"), tokenFrame(1, aliceToken), metadataFrame()); actions != "rrS" {
		t.Fatalf("%s %+v", actions, v)
	}
}

func TestTheShorterLifetimeCounts(t *testing.T) {
	c := newClock()
	for _, tt := range []struct {
		name     string
		limit    time.Duration
		expires  time.Duration // 0: never
		lifetime int64
		ends     bool
	}{
		{"neither", 0, 0, 0, false},
		{"the configured", time.Minute, 0, 60_000, true},
		{"the credential's", 0, time.Second, 1_000, true},
		{"the credential's is shorter", time.Minute, time.Second, 1_000, true},
		{"the configured is shorter", time.Minute, time.Hour, 60_000, true},
		{"the credential has run out already", time.Minute, -time.Second, 0, true},
	} {
		o := testOptions(c)
		o.MaxReauth = func(string) time.Duration { return tt.limit }
		m := threeRounds{}
		if tt.expires != 0 {
			m.expiresAt = c.at.Add(tt.expires)
		}
		o.Mechanisms = []Mechanism{m}
		g := NewGate(o, Peer{})
		_, v := script(g, handshakeFrame(1, "GSSAPI"), tokenFrame(1, "1"), tokenFrame(1, "2"), tokenFrame(1, "alice"))
		a := parseAuthenticate(t, v.Answer)
		if _, ends := g.ExpiresAt(); a.lifetime != tt.lifetime || ends != tt.ends {
			t.Errorf("%s: %+v, ends %v", tt.name, a, ends)
		}
	}
}

func TestReauthentication(t *testing.T) {
	handshake := handshakeFrame(1, "PLAIN")
	bob := tokenFrame(1, "\x00bob\x00builder")
	for _, tt := range []struct {
		name    string
		frames  [][]byte
		actions string
	}{
		{"the same principal", [][]byte{handshake, tokenFrame(1, aliceToken), metadataFrame()}, "rrS"},
		{"bare tokens", [][]byte{handshakeFrame(0, "PLAIN"), []byte(aliceToken), metadataFrame()}, "rrS"},
		{"another principal", [][]byte{handshake, bob, metadataFrame()}, "rxX"},
		{"another mechanism", [][]byte{handshakeFrame(1, "GSSAPI"), tokenFrame(1, "1")}, "rx"},
		{"a mechanism that is not enabled", [][]byte{handshakeFrame(1, "NTLM")}, "X"},
		{"SaslHandshake v2", [][]byte{handshakeFrame(2, "PLAIN")}, "X"},
		{"a request in between", [][]byte{handshake, metadataFrame()}, "rx"},
		{"ApiVersions in between", [][]byte{handshake, versionsFrame(0)}, "rx"},
		{"a wrong password", [][]byte{handshake, tokenFrame(1, "\x00alice\x00x")}, "rx"},
		{"twice within a second", [][]byte{handshake, tokenFrame(1, aliceToken), handshake, metadataFrame()}, "rrSS"},
	} {
		c := newClock()
		o := testOptions(c)
		o.MaxReauth = func(string) time.Duration { return time.Minute }
		g, _ := opened(t, o, 1)
		if got, v := script(g, tt.frames...); got != tt.actions {
			t.Errorf("%s: got %s, want %s; last %+v", tt.name, got, tt.actions, v)
		}
	}
}

func TestReauthenticationExtendsTheSession(t *testing.T) {
	c := newClock()
	o := testOptions(c)
	o.MaxReauth = func(string) time.Duration { return time.Minute }
	g, _ := opened(t, o, 1)
	for range 5 {
		c.advance(50 * time.Second)
		actions, v := script(g, metadataFrame(), handshakeFrame(1, "PLAIN"), tokenFrame(1, aliceToken), metadataFrame())
		if actions != "SrrS" {
			t.Fatalf("%s %+v", actions, v)
		}
	}
	_, v := script(g, handshakeFrame(1, "PLAIN"))
	if v.Do != Serve { // and is answered with 34 there
		t.Fatalf("%+v", v)
	}
	c.advance(time.Second)
	_, v = script(g, handshakeFrame(1, "PLAIN"), tokenFrame(1, "\x00bob\x00builder"))
	if a := parseAuthenticate(t, v.Answer); a.message != "Cannot change principals during re-authentication from User.alice: User.bob" {
		t.Fatalf("%+v", a)
	}
	if v := g.Frame(metadataFrame()); v.Do != CloseNow {
		t.Fatalf("%+v", v)
	}
}

func TestSessionsThatDoNotExpireDoNotReauthenticate(t *testing.T) {
	g, _ := opened(t, testOptions(newClock()), 1)
	if actions, v := script(g, handshakeFrame(1, "PLAIN"), tokenFrame(1, aliceToken), metadataFrame()); actions != "SSS" {
		t.Fatalf("%s %+v", actions, v)
	}
}

func TestChangeOfPrincipalWhereItIsAllowed(t *testing.T) {
	c := newClock()
	o := testOptions(c)
	asked := 0
	o.ChangePrincipal = func(from, to *Identity) error {
		asked++
		if to.Principal.Name == "carl" {
			return errors.New("never carl")
		}
		return nil
	}
	g, _ := opened(t, o, 1)
	actions, v := script(g, handshakeFrame(1, "PLAIN"), tokenFrame(1, "\x00bob\x00builder"))
	if actions != "rr" || v.Authenticated.Principal != User("bob") || v.Previous.Principal != User("alice") || g.Identity().Principal != User("bob") {
		t.Fatalf("%s %+v", actions, v)
	}
	c.advance(time.Second)
	actions, v = script(g, handshakeFrame(1, "GSSAPI"), tokenFrame(1, "1"), tokenFrame(1, "2"), tokenFrame(1, "dora"), metadataFrame())
	if actions != "rrrrS" || g.Identity().Principal != User("dora") {
		t.Fatalf("%s %+v", actions, v)
	}
	c.advance(time.Second)
	actions, v = script(g, handshakeFrame(1, "GSSAPI"), tokenFrame(1, "1"), tokenFrame(1, "2"), tokenFrame(1, "carl"), metadataFrame())
	if actions != "rrrxX" || asked != 3 || g.Identity().Principal != User("dora") {
		t.Fatalf("%s %+v", actions, v)
	}
}

func TestAnonymousWhereItIsAllowed(t *testing.T) {
	o := testOptions(newClock())
	o.Anonymous = true
	g := NewGate(o, Peer{})
	actions, v := script(g, metadataFrame(), versionsFrame(3), versionsFrame(3), handshakeFrame(1, "PLAIN"), tokenFrame(1, aliceToken), metadataFrame())
	if actions != "SSSrrS" || g.Identity().Principal != User("alice") {
		t.Fatalf("%s %+v", actions, v)
	}
	g = NewGate(o, Peer{})
	if actions, v := script(g, metadataFrame(), handshakeFrame(1, "PLAIN"), metadataFrame()); actions != "Srx" {
		t.Fatalf("%s %+v", actions, v)
	}
}

func TestServingARequestAllocatesNothing(t *testing.T) {
	c := newClock()
	o := testOptions(c)
	o.MaxReauth = func(string) time.Duration { return time.Minute }
	g, _ := opened(t, o, 1)
	frame := metadataFrame()
	if n := testing.AllocsPerRun(100, func() { g.Frame(frame) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// checkGate holds what must be true of a gate after any frame: nothing is served, and
// nobody is on the connection, unless a mechanism has vouched; and nothing lives on after
// a close.
func checkGate(t *testing.T, g *Gate, v Verdict, vouched, closed *bool) {
	t.Helper()
	if v.Authenticated != nil {
		*vouched = true
	}
	switch {
	case *closed && v.Do != CloseNow:
		t.Fatalf("%v after the close", v.Do)
	case v.Do == Serve && !*vouched:
		t.Fatal("a request was served before authentication")
	case g.Identity() != nil && !*vouched:
		t.Fatal("an identity without authentication")
	case g.Open() && !*vouched:
		t.Fatal("open without authentication")
	case (v.Do == CloseNow || v.Do == CloseDelayed) && (v.Err == nil || g.Open()):
		t.Fatalf("closed without a reason, or not closed: %+v", v)
	case v.Do != Reply && v.Do != CloseDelayed && v.Answer != nil:
		t.Fatalf("an answer with %v", v.Do)
	}
	*closed = *closed || v.Do == CloseNow || v.Do == CloseDelayed
}

// rightToken is what alone gets in; no generator here makes it up.
const rightToken = "\x00alice\x00correct horse battery staple"

var propertyCredential = sync.OnceValue(func() ScramCredential {
	return DeriveScram(ScramSHA256, "correct horse battery staple", []byte("0123456789"), 4096)
})

func propertyOptions(c *clock) *GateOptions {
	users := NewPlainUsers(map[string]string{"user_alice": "correct horse battery staple"})
	credential := propertyCredential()
	return &GateOptions{
		Mechanisms: []Mechanism{NewPlain(users), NewScram(ScramOptions{
			Hash:       ScramSHA256,
			Credential: func(user string) (ScramCredential, bool) { return credential, user == "alice" },
		}), refuseAll{}},
		APIVersionsMax: 4, Now: c.now,
		MaxReauth: func(string) time.Duration { return time.Minute },
	}
}

// refuseAll is a GSSAPI that talks for a while and lets nobody in.
type refuseAll struct{}

func (refuseAll) Name() string        { return "GSSAPI" }
func (refuseAll) MaxTokenBytes() int  { return 60 << 10 }
func (refuseAll) Start(Peer) Exchange { return refuseAll{} }
func (refuseAll) Step(token []byte) (Step, error) {
	if len(token)%3 == 0 {
		return Step{}, &Failure{Reason: errors.New("no")}
	}
	return Step{Token: token}, nil
}

// randomFrame makes frames that get far: real requests of all kinds, some broken.
func randomFrame(rng *rand.Rand) []byte {
	version := int16(rng.IntN(4))
	var f []byte
	switch rng.IntN(10) {
	case 0:
		f = versionsFrame(version)
	case 1, 2:
		f = handshakeFrame(version%2, []string{"PLAIN", "SCRAM-SHA-256", "GSSAPI", "NTLM", ""}[rng.IntN(5)])
	case 3:
		f = tokenFrame(version%3, "\x00alice\x00"+[]string{"", "x", "secret"}[rng.IntN(3)])
	case 4:
		f = tokenFrame(version%3, []string{"n,,n=alice,r=abc", "c=biws,r=abc,p=AAAA", "n,,n=bob,r=abc,tokenauth=true", ""}[rng.IntN(4)])
	case 5:
		f = []byte("n,,n=alice,r=nonce")
	case 6:
		f = request(int16(rng.IntN(95)), version, make([]byte, rng.IntN(20))...)
	case 7:
		f = make([]byte, rng.IntN(64))
		for i := range f {
			f[i] = byte(rng.Uint32())
		}
	case 8:
		f = []byte("\x00alice\x00wrong")
	case 9:
		f = metadataFrame()
	}
	if len(f) > 0 && rng.IntN(6) == 0 {
		f[rng.IntN(len(f))] ^= 1 << rng.IntN(8)
	}
	if len(f) > 0 && rng.IntN(12) == 0 {
		f = f[:rng.IntN(len(f))]
	}
	return f
}

// No request before authentication, whatever comes; and after a good authentication in
// the middle of it all, requests until the session expires and no longer.
func TestNoRequestIsServedBeforeAuthentication(t *testing.T) {
	reached := map[gateState]int{}
	for seed := range uint64(30_000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := newClock()
		g := NewGate(propertyOptions(c), Peer{})
		vouched, closed := false, false
		for range 1 + rng.IntN(12) {
			f := randomFrame(rng)
			if rng.IntN(10) == 0 && g.state == expectToken && g.mechanism.Name() == "PLAIN" {
				if f = []byte(rightToken); g.framed {
					f = tokenFrame(1, rightToken)
				}
			}
			c.advance(time.Duration(rng.IntN(20)) * time.Second)
			before, expired := g.Identity(), g.expires && !c.at.Before(g.expiresAt)
			v := g.Frame(f)
			checkGate(t, g, v, &vouched, &closed)
			if v.Do == Serve && (before == nil || expired) {
				t.Fatalf("seed %d: served although nobody was there or the session was over", seed)
			}
			reached[g.state]++
		}
	}
	for state := expectVersions; state <= gateClosed; state++ {
		if reached[state] == 0 {
			t.Errorf("the generator never reached state %d", state)
		}
	}
}

func FuzzGate(f *testing.F) {
	f.Add([]byte("\x00\x0c\x00\x12\x00\x00\x00\x00\x00\x07\x00\x00"))
	join := func(frames ...[]byte) []byte {
		var out []byte
		for _, frame := range frames {
			out = append(append(out, byte(len(frame)>>8), byte(len(frame))), frame...)
		}
		return out
	}
	f.Add(join(versionsFrame(3), handshakeFrame(1, "PLAIN"), tokenFrame(2, aliceToken), metadataFrame()))
	f.Add(join(handshakeFrame(0, "SCRAM-SHA-256"), []byte("n,,n=alice,r=abc"), []byte("c=biws,r=abc,p=AAAA")))
	f.Add(join([]byte("\x60a"), []byte("b"), []byte("c")))
	f.Fuzz(func(t *testing.T, stream []byte) {
		defer fuzzcost.Bound(t, len(stream), 64)()
		c := newClock()
		g := NewGate(propertyOptions(c), Peer{})
		vouched, closed := false, false
		for len(stream) >= 2 {
			size := min(int(stream[0])<<8|int(stream[1]), len(stream)-2)
			v := g.Frame(stream[2 : 2+size])
			stream = stream[2+size:]
			checkGate(t, g, v, &vouched, &closed)
		}
		if vouched {
			t.Fatal("somebody guessed the password")
		}
	})
}
