package kerberos

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

var strongTypes = []int32{17, 18, 19, 20}

func TestInitiatorsOfEveryKindGetIn(t *testing.T) {
	kt := testKeytab(t, strongTypes...)
	m := testMechanism(t, kt, nil)
	for _, etype := range strongTypes {
		for _, tt := range []struct {
			name    string
			authzid string
			change  func(*initiator)
		}{
			{"mutual with subkey, as cyrus", "", func(i *initiator) { i.flags = 0x3e }},
			{"one-way with subkey, as Java", "alice@EXAMPLE.COM", func(i *initiator) {}},
			{"one-way without subkey, as franz-go", "", func(i *initiator) { i.flags, i.auth.SubKey = 0x30, types.EncryptionKey{} }},
			{"the short name as authorization id", "alice", func(i *initiator) {}},
			{"the service as authorization id, as kafka-python", "kafka@broker.example.com", func(i *initiator) {}},
			{"sealed tokens", "", func(i *initiator) { i.seal = true }},
			{"rotated tokens", "", func(i *initiator) { i.rotate = 28 }},
			{"sealed and rotated beyond the length, as RFC 4121 allows", "", func(i *initiator) { i.seal, i.rotate = true, 1000 }},
			{"an unknown key version", "", func(i *initiator) { i.kvno = 9 }},
			{"no key version", "", func(i *initiator) { i.kvno = 0 }},
			{"a clock almost off", "", func(i *initiator) { i.auth.CTime = testNow.Add(-4 * time.Minute) }},
			{"a sequence number with the high bit", "", func(i *initiator) { i.auth.SeqNumber = 0xfffffffe }},
		} {
			i := newInitiator(t, kt, etype)
			tt.change(i)
			id, err := i.run(t, m, tt.authzid)
			if err != nil {
				t.Errorf("type %d, %s: %v", etype, tt.name, err)
				continue
			}
			if id.Principal != auth.User("alice") || id.Mechanism != "GSSAPI" {
				t.Errorf("type %d, %s: got %+v", etype, tt.name, id)
			}
		}
	}
}

func TestWhatIsWrongWithATicketRefusesIt(t *testing.T) {
	kt := testKeytab(t, 18, 23)
	m := testMechanism(t, kt, nil)
	for _, tt := range []struct {
		name      string
		change    func(*initiator)
		authzid   string
		retriable bool
	}{
		{name: "the realm of the authenticator instead of the ticket's (gokrb5 issue 577)", change: func(i *initiator) { i.auth.CRealm = "ADMIN.REALM" }},
		{name: "another name in the authenticator", change: func(i *initiator) { i.auth.CName = types.NewPrincipalName(1, "bob") }},
		{name: "expired", change: func(i *initiator) { i.ticket.EndTime = testNow.Add(-6 * time.Minute) }},
		{name: "not yet valid", change: func(i *initiator) { i.ticket.StartTime = testNow.Add(6 * time.Minute) }, retriable: true},
		{name: "invalid flag", change: func(i *initiator) { types.SetFlag(&i.ticket.Flags, ticketInvalid) }, retriable: true},
		{name: "anonymous", change: func(i *initiator) { types.SetFlag(&i.ticket.Flags, ticketAnonymous) }},
		{name: "clock behind", change: func(i *initiator) { i.auth.CTime = testNow.Add(-6 * time.Minute) }},
		{name: "clock ahead", change: func(i *initiator) { i.auth.CTime = testNow.Add(6 * time.Minute) }},
		{name: "for another service", change: func(i *initiator) { i.service = types.NewPrincipalName(1, "host/broker.example.com") }},
		{name: "for another realm's service", change: func(i *initiator) { i.realm = "OTHER" }},
		{name: "for no service", change: func(i *initiator) { i.service.NameString = []string{} }},
		{name: "an encryption type that is off", change: func(i *initiator) { i.etype = 23 }},
		{name: "three components", change: func(i *initiator) {
			i.ticket.CName.NameString = []string{"a", "b", "c"}
			i.auth.CName = i.ticket.CName
		}},
		{name: "a separator in a component", change: func(i *initiator) {
			i.ticket.CName.NameString = []string{"alice/admin"}
			i.auth.CName = i.ticket.CName
		}},
		{name: "a realm in a component", change: func(i *initiator) {
			i.ticket.CName.NameString = []string{"alice@EXAMPLE.COM"}
			i.auth.CName = i.ticket.CName
		}},
		{name: "no name", change: func(i *initiator) {
			i.ticket.CName.NameString = []string{}
			i.auth.CName = i.ticket.CName
		}},
		{name: "another realm, and no rule", change: func(i *initiator) { i.ticket.CRealm, i.auth.CRealm = "OTHER", "OTHER" }},
		{name: "through realms that nobody checked", change: func(i *initiator) {
			i.ticket.CRealm, i.auth.CRealm = "OTHER", "OTHER"
			i.ticket.Transited.Contents = []byte("EVIL")
		}},
		{name: "an address that is not the client's", change: func(i *initiator) { i.ticket.CAddr = types.HostAddresses{{AddrType: 2, Address: []byte{10, 1, 2, 4}}} }},
		{name: "user-to-user", change: func(i *initiator) { types.SetFlag(&i.options, optionUseSessionKey) }},
		{name: "DCE style", change: func(i *initiator) { i.flags |= contextDCEStyle }},
		{name: "a checksum that is none of GSSAPI", change: func(i *initiator) { i.auth.Cksum = types.Checksum{CksumType: 16, Checksum: make([]byte, 24)} }},
		{name: "a short checksum", change: func(i *initiator) {
			i.auth.Cksum = types.Checksum{CksumType: checksumGSSAPI, Checksum: make([]byte, 23)}
		}},
		{name: "a subkey of a length its type does not have", change: func(i *initiator) { i.auth.SubKey.KeyValue = make([]byte, 5) }},
		{name: "a subkey of a type that is off", change: func(i *initiator) { i.auth.SubKey = types.EncryptionKey{KeyType: 23, KeyValue: make([]byte, 16)} }},
		{name: "to be somebody else", authzid: "bob"},
		{name: "to be somebody else of a realm", authzid: "alice@OTHER"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newInitiator(t, kt, 18)
			if tt.change != nil {
				tt.change(i)
			}
			id, err := i.run(t, m, tt.authzid)
			if err == nil {
				t.Fatalf("got in as %+v", id)
			}
			if isRetriable(err) != tt.retriable {
				t.Fatalf("retriable is %v: %v", !tt.retriable, err)
			}
		})
	}
}

func TestAddressesThatFitAreAccepted(t *testing.T) {
	kt := testKeytab(t, 18)
	i := newInitiator(t, kt, 18)
	i.ticket.CAddr = types.HostAddresses{{AddrType: 2, Address: []byte{10, 1, 2, 3}}}
	if _, err := i.run(t, testMechanism(t, kt, nil), ""); err != nil {
		t.Fatal(err)
	}
}

func TestCrossRealmTicketsMapByTheirOwnRealm(t *testing.T) {
	kt := testKeytab(t, 18)
	rules, err := ParseRules(testRealm, []string{"RULE:[1:$1.$0]", "DEFAULT"})
	if err != nil {
		t.Fatal(err)
	}
	m := testMechanism(t, kt, func(o *Options) { o.Rules = rules })
	i := newInitiator(t, kt, 18)
	i.ticket.CRealm, i.auth.CRealm = "OTHER", "OTHER"
	types.SetFlag(&i.ticket.Flags, ticketTransitedPolicyChecked)
	i.ticket.Transited.Contents = []byte("MIDDLE")
	id, err := i.run(t, m, "")
	if err != nil || id.Principal != auth.User("alice.OTHER") {
		t.Fatalf("got %+v, %v", id, err)
	}
}

func TestRC4TicketsNeedTheOption(t *testing.T) {
	kt := testKeytab(t, 23)
	data, _ := kt.Marshal()
	rules, _ := ParseRules(testRealm, nil)
	if _, err := New(Options{Principal: testService, Keytab: data, Rules: rules}); err == nil {
		t.Fatal("RC4 keys were accepted")
	}
	m := testMechanism(t, kt, func(o *Options) { o.AllowWeakEncryption = true })
	i := newInitiator(t, kt, 23)
	i.ticket.Key = randomKey(t, 18)
	i.auth.SubKey = randomKey(t, 18)
	if _, err := i.run(t, m, ""); err != nil {
		t.Fatal(err)
	}
	i = newInitiator(t, kt, 23) // with an RC4 session key
	if _, err := i.run(t, m, ""); err == nil {
		t.Fatal("an RC4 session key was accepted")
	}
}

func TestAnAuthenticatorWorksOnce(t *testing.T) {
	kt := testKeytab(t, 18)
	m := testMechanism(t, kt, nil)
	token := newInitiator(t, kt, 18).request(t)
	if _, err := m.Start(auth.Peer{}).Step(token); err != nil {
		t.Fatal(err)
	}
	_, err := m.Start(auth.Peer{}).Step(token)
	if !isRetriable(err) || !strings.Contains(err.Error(), "replay") {
		t.Fatalf("the replay got %v", err)
	}
}

// Each listener has a mechanism of its own; what was heard on one is not good on another.
func TestAnAuthenticatorWorksOnceOnAllListeners(t *testing.T) {
	kt, seen := testKeytab(t, 18), NewReplays()
	share := func(o *Options) { o.Replays = seen }
	clear, encrypted := testMechanism(t, kt, share), testMechanism(t, kt, share)
	token := newInitiator(t, kt, 18).request(t)
	if _, err := clear.Start(auth.Peer{}).Step(token); err != nil {
		t.Fatal(err)
	}
	if _, err := encrypted.Start(auth.Peer{}).Step(token); !isRetriable(err) || !strings.Contains(err.Error(), "replay") {
		t.Fatalf("the replay on another listener got %v", err)
	}
}

func TestReplayCache(t *testing.T) {
	c := newReplays(replayShards * 4)
	now, keep := testNow, 10*time.Minute
	authenticator := func(n int) []byte { return []byte{byte(n), byte(n >> 8), 7} }
	fresh, full := 0, 0
	for n := range 2000 {
		switch c.check(authenticator(n), now, keep) {
		case replayFresh:
			fresh++
			if c.check(authenticator(n), now.Add(keep-1), keep) != replaySeen {
				t.Fatal("it was forgotten early")
			}
		case replayFull:
			full++
		}
	}
	if fresh != replayShards*4 || fresh+full != 2000 {
		t.Fatalf("%d fresh, %d refused", fresh, full)
	}
	if got := c.check(authenticator(0), now.Add(keep), keep); got != replayFresh {
		t.Fatalf("after its time it is %v", got)
	}
}

func TestChannelBindings(t *testing.T) {
	kt := testKeytab(t, 18)
	m := testMechanism(t, kt, func(o *Options) { o.CheckChannelBinding = true })
	ours, other := []byte("hash of our certificate"), []byte("hash of another")
	for _, tt := range []struct {
		name  string
		bound []byte
		ok    bool
	}{{"unbound", nil, true}, {"bound to us", ours, true}, {"bound to another", other, false}} {
		i := newInitiator(t, kt, 18)
		if tt.bound != nil {
			i.binding = bindingHash(tt.bound)
		}
		_, err := m.Start(auth.Peer{TLS: true, ServerEndPoint: ours}).Step(i.request(t))
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// The library under us panics on a cipher shorter than its checksum; one such frame kills
// a broker that calls it as it comes.
func TestShortCiphersAreRefusedWithoutPanic(t *testing.T) {
	kt := testKeytab(t, 17, 18, 19, 20, 23)
	m := testMechanism(t, kt, func(o *Options) { o.AllowWeakEncryption = true })
	for _, etype := range []int32{17, 18, 19, 20, 23} {
		key, _, err := kt.GetEncryptionKey(types.NewPrincipalName(1, "kafka/broker.example.com"), testRealm, 3, etype)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 64 {
			if _, err := decrypt(make([]byte, n), key, usageTicket); err == nil {
				t.Fatalf("type %d decrypted %d zero bytes", etype, n)
			}
		}
	}
	_ = m
}

func TestBadKeytabsKeepTheOldKeys(t *testing.T) {
	kt := testKeytab(t, 18)
	m := testMechanism(t, kt, nil)
	if err := m.SetKeytab([]byte("nonsense")); err == nil {
		t.Fatal("nonsense was accepted")
	}
	other, _ := func() ([]byte, error) {
		k := testKeytab(t)
		k.AddEntry("host/broker.example.com", testRealm, "x", testNow, 1, 18)
		return k.Marshal()
	}()
	if err := m.SetKeytab(other); err == nil {
		t.Fatal("a key table of somebody else was accepted")
	}
	if _, err := newInitiator(t, kt, 18).run(t, m, ""); err != nil {
		t.Fatal(err)
	}
}

func TestTokensThatAreNotDueAreRefused(t *testing.T) {
	kt := testKeytab(t, 18)
	m := testMechanism(t, kt, nil)
	i := newInitiator(t, kt, 18)
	i.flags = 0x3e
	e := m.Start(auth.Peer{})
	if _, err := e.Step(i.request(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Step(i.wrapped(t, noSecurityLayer)); err == nil {
		t.Fatal("the choice came before the offer")
	}
	for _, payload := range [][]byte{{}, {1, 0, 0}, {0, 0, 0, 0}, {2, 0, 0, 0}, {4, 0, 0, 0}, {7, 0, 0, 0}} {
		i := newInitiator(t, kt, 18)
		e := m.Start(auth.Peer{})
		if _, err := e.Step(i.request(t)); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Step(i.wrapped(t, payload)); err == nil {
			t.Fatalf("the choice %x passed", payload)
		}
	}
}

// Every single bit matters: a token with one changed is refused, wherever it is.
func TestFlippedBitsAreRefused(t *testing.T) {
	kt := testKeytab(t, 18)
	m := testMechanism(t, kt, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	token := newInitiator(t, kt, 18).request(t)
	for range 400 {
		bad := append([]byte(nil), token...)
		bad[rng.IntN(len(bad))] ^= 1 << rng.IntN(8)
		e := m.Start(auth.Peer{Address: netip.MustParseAddr("10.1.2.3")}).(*exchange)
		if _, err := e.step(bad); err == nil {
			// What is not sealed and says nothing: key version, name types, spare options.
			if e.context.client.String() != "alice@EXAMPLE.COM" {
				t.Fatalf("got in as %v", e.context.client)
			}
			m = testMechanism(t, kt, nil)
		}
	}
	i := newInitiator(t, kt, 18)
	e := m.Start(auth.Peer{})
	if _, err := e.Step(i.request(t)); err != nil {
		t.Fatal(err)
	}
	key := e.(*exchange).context.key
	for _, seal := range []bool{false, true} {
		i.seal = seal
		token := i.wrapped(t, noSecurityLayer)
		for at := range len(token) * 8 {
			if at/8 == 6 || at/8 == 7 { // a rotation by a multiple of the length is none
				continue
			}
			bad := append([]byte(nil), token...)
			bad[at/8] ^= 1 << (at % 8)
			if _, err := unwrap(bad, key); err == nil {
				t.Fatalf("sealed %v: bit %d changed and nobody saw", seal, at)
			}
		}
	}
}

func FuzzAccept(f *testing.F) {
	kt := testKeytab(f, 17, 18, 19, 20, 23)
	for _, etype := range strongTypes {
		i := newInitiator(f, kt, etype)
		f.Add(i.request(f), i.wrapped(f, noSecurityLayer))
		i = newInitiator(f, kt, etype)
		i.flags, i.seal = 0x3e, true
		f.Add(i.request(f), i.wrapped(f, noSecurityLayer))
	}
	f.Add([]byte{0x60, 0}, []byte{})
	m := testMechanism(f, kt, func(o *Options) { o.AllowWeakEncryption = true })
	f.Fuzz(func(t *testing.T, first, second []byte) {
		defer fuzzcost.Bound(t, len(first)+len(second), 64)()
		m.replays = newReplays(replayShards)
		e := &exchange{m: m}
		step, err := e.step(first) // not Step: a panic shall show
		if err != nil {
			var failure *auth.Failure
			if !errors.As(err, &failure) {
				t.Fatalf("%T", err)
			}
			return
		}
		if step.Done != nil {
			t.Fatal("done after one token")
		}
		e.step(second)
	})
}

// Inside a good envelope everything is a client's to choose.
func FuzzAuthenticator(f *testing.F) {
	kt := testKeytab(f, 18)
	m := testMechanism(f, kt, nil)
	f.Add([]byte{}, []byte{})
	f.Add([]byte("\x62\x03\x30\x01\x00"), []byte("\x05\x04"))
	i := newInitiator(f, kt, 18)
	i.request(f)
	b, _ := i.auth.Marshal()
	f.Add(b, i.wrapped(f, noSecurityLayer))
	f.Fuzz(func(t *testing.T, authenticator, token []byte) {
		defer fuzzcost.Bound(t, len(authenticator)+len(token), 64)()
		i := newInitiator(t, kt, 18)
		i.ticket.Key = types.EncryptionKey{KeyType: 18, KeyValue: make([]byte, 32)}
		first := i.requestWith(t, authenticator)
		m.replays = newReplays(replayShards)
		e := &exchange{m: m}
		if _, err := e.step(first); err == nil {
			e.step(token)
		}
		unwrap(token, i.ticket.Key)
	})
}

func FuzzKeytab(f *testing.F) {
	data, _ := testKeytab(f, strongTypes...).Marshal()
	f.Add(data)
	f.Add([]byte{5, 2, 0xff, 0xff, 0xff, 0xff})
	service, _ := ParseName(testService)
	f.Fuzz(func(t *testing.T, data []byte) {
		defer fuzzcost.Bound(t, len(data), 64)()
		if keys, err := parseKeytab(data, service, true); err == nil && len(keys) == 0 {
			t.Fatal("no keys and no error")
		}
	})
}
