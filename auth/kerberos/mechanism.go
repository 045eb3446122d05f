package kerberos

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
)

const (
	// maxTokenBytes allows tickets with the authorization data of large directories.
	maxTokenBytes = 62 << 10
	// replayLimit bounds the authenticators that are remembered, about 60 bytes each.
	replayLimit = 500_000
)

// Options make a Mechanism.
type Options struct {
	// Principal is the service's name, e.g. kafka/broker1.example.com@EXAMPLE.COM, as the
	// Krb5LoginModule's option principal has it. Tickets for others are refused.
	Principal string
	// Keytab is the content of the key table.
	Keytab []byte
	// Rules map names to users.
	Rules *Rules
	// ClockSkew is how far a client's clock may be off; 5 minutes.
	ClockSkew time.Duration
	// AllowWeakEncryption admits tickets encrypted with RC4 or triple DES. Session keys are
	// AES even then.
	AllowWeakEncryption bool
	// CheckChannelBinding refuses clients that bound themselves to another TLS channel than
	// the one they are on. Kafka does not look, and its clients do not bind.
	CheckChannelBinding bool
	// Replays are those of other mechanisms with this service; nil starts with new ones.
	Replays *Replays
	// Now is time.Now.
	Now func() time.Time
}

// Mechanism is GSSAPI with Kerberos.
type Mechanism struct {
	// Constant.
	service     Name
	rules       *Rules
	skew        time.Duration
	allowWeak   bool
	checkBinder bool
	now         func() time.Time

	keys    atomic.Pointer[serviceKeys]
	keytab  atomic.Pointer[[sha256.Size]byte] // digest of the key table that they are of
	replays *Replays
}

// New makes the mechanism. It fails if the key table has no usable key of the principal.
func New(options Options) (*Mechanism, error) {
	service, err := ParseName(options.Principal)
	if err != nil {
		return nil, err
	}
	m := &Mechanism{
		service: service, rules: options.Rules, skew: options.ClockSkew,
		allowWeak: options.AllowWeakEncryption, checkBinder: options.CheckChannelBinding, now: options.Now,
		replays: options.Replays,
	}
	if m.replays == nil {
		m.replays = NewReplays()
	}
	if m.rules == nil {
		return nil, errors.New("auth_to_local rules are missing")
	}
	if m.skew <= 0 {
		m.skew = 5 * time.Minute
	}
	if m.now == nil {
		m.now = time.Now
	}
	if err := m.SetKeytab(options.Keytab); err != nil {
		return nil, err
	}
	return m, nil
}

// ReadKeytab returns the bytes of a key table in a file, for SetKeytab.
func ReadKeytab(path string) ([]byte, error) { return auth.ReadFile(path, 4<<20) }

// SetKeytab replaces the keys by those of a new key table. If it is not good the old ones
// stay. Key tables keep older versions of a key, so tickets that are out stay good.
func (m *Mechanism) SetKeytab(data []byte) error {
	keys, err := parseKeytab(data, m.service, m.allowWeak)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(data)
	m.keys.Store(&keys)
	m.keytab.Store(&digest)
	return nil
}

// KeyVersion returns the highest key version (kvno) that is held, for metrics.
func (m *Mechanism) KeyVersion() int { return (*m.keys.Load())[0].version }

// Name returns GSSAPI.
func (*Mechanism) Name() string { return auth.MechanismGSSAPI }

// MaxTokenBytes bounds a token.
func (*Mechanism) MaxTokenBytes() int { return maxTokenBytes }

// Start begins an exchange.
func (m *Mechanism) Start(peer auth.Peer) auth.Exchange { return &exchange{m: m, peer: peer} }

// stage is what an exchange waits for.
type stage int8

const (
	expectTicket stage = iota
	expectEmpty        // after an AP-REP: the initiator has nothing to say, and our offer is next
	expectChoice       // after our offer
	ended
)

// noSecurityLayer is our offer, and the only choice to be made of it (RFC 4752): a bit
// mask of layers, and three bytes of buffer size.
var noSecurityLayer = []byte{1, 0, 0, 0}

type exchange struct {
	m    *Mechanism
	peer auth.Peer

	stage    stage
	context  securityContext
	user     string
	sequence uint64 // of our next token
}

// Step takes the next token:
//
//	mutual:     AP-REQ -> AP-REP;  empty -> offer;  choice -> done
//	otherwise:  AP-REQ -> offer;   choice -> done
//
// An AP-REP is sent if and only if the initiator asked for it: clients fail on either
// mistake.
func (e *exchange) Step(token []byte) (step auth.Step, err error) {
	defer func() {
		// Much of this runs in a library that nobody maintains, on bytes of strangers.
		if r := recover(); r != nil {
			e.stage = ended
			step, err = auth.Step{}, &auth.Failure{Reason: fmt.Errorf("panic on a token: %v", r)}
		}
	}()
	return e.step(token)
}

func (e *exchange) step(token []byte) (auth.Step, error) {
	var answer []byte
	var err error
	at := e.stage
	e.stage = ended
	switch at {
	case expectTicket:
		answer, err = e.ticket(token)
	case expectEmpty:
		if len(token) != 0 {
			return auth.Step{}, fail("a token of %d bytes where none was due", len(token))
		}
		answer, err = e.offer()
	case expectChoice:
		return e.choice(token)
	default:
		return auth.Step{}, fail("a token after the end")
	}
	if err != nil {
		var failure *auth.Failure
		if !errors.As(err, &failure) {
			err = &auth.Failure{Reason: err}
		}
		return auth.Step{}, err
	}
	return auth.Step{Token: answer}, nil
}

func fail(format string, args ...any) *auth.Failure {
	return &auth.Failure{Reason: fmt.Errorf(format, args...)}
}

// ticket takes the AP-REQ, and with it who the client is.
func (e *exchange) ticket(token []byte) ([]byte, error) {
	context, err := e.m.accept(token, e.peer)
	if err != nil {
		return nil, err
	}
	if e.user, err = e.m.rules.User(context.client); err != nil {
		return nil, err
	}
	e.context = context
	if !context.mutual {
		e.sequence = context.initiatorSequence
		return e.offer()
	}
	var random [4]byte
	rand.Read(random[:])
	e.sequence = uint64(binary.BigEndian.Uint32(random[:]) & 0x3fffffff)
	answer, err := context.reply(e.sequence)
	if err != nil {
		return nil, err
	}
	e.stage = expectEmpty
	return answer, nil
}

func (e *exchange) offer() ([]byte, error) {
	token, err := wrap(noSecurityLayer, e.context.key, e.sequence)
	if err != nil {
		return nil, err
	}
	e.stage = expectChoice
	return token, nil
}

// choice takes the layer that the client chose, with the name it wants to act under. That
// has to be its own, in either form, or none. kafka-python sends the name of the service it
// speaks to, which is nobody's.
func (e *exchange) choice(token []byte) (auth.Step, error) {
	payload, err := unwrap(token, e.context.key)
	if err != nil {
		return auth.Step{}, &auth.Failure{Reason: fmt.Errorf("choice of a security layer: %w", err)}
	}
	if len(payload) < 4 || payload[0] != noSecurityLayer[0] {
		return auth.Step{}, fail("the client chose a security layer that was not offered")
	}
	switch authzid := string(payload[4:]); authzid {
	case "", e.user, e.context.client.String(), e.m.service.Service + "@" + e.m.service.Host:
	default:
		return auth.Step{}, fail("%v asked to be %.200q", e.context.client, authzid)
	}
	return auth.Step{Done: &auth.Identity{Principal: auth.User(e.user), Mechanism: auth.MechanismGSSAPI}}, nil
}
