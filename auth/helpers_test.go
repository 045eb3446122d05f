package auth

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

func newClock() *clock { return &clock{time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)} }

func testUsers() *PlainUsers {
	return NewPlainUsers(map[string]string{"user_alice": "secret", "user_bob": "builder", "username": "broker", "password": "x"})
}

// threeRounds is a mechanism that lets anybody in after three tokens, under the name that
// the last one holds.
type threeRounds struct{ expiresAt time.Time }

func (threeRounds) Name() string       { return "GSSAPI" }
func (threeRounds) MaxTokenBytes() int { return 60 << 10 }
func (m threeRounds) Start(Peer) Exchange {
	return &threeRoundsExchange{expiresAt: m.expiresAt}
}

type threeRoundsExchange struct {
	expiresAt time.Time
	n         int
}

func (e *threeRoundsExchange) Step(token []byte) (Step, error) {
	e.n++
	switch {
	case len(token) > 0 && token[0] == 'x':
		return Step{}, &Failure{Reason: errors.New("x")}
	case len(token) > 0 && token[0] == 'r':
		return Step{}, &Failure{Reason: errors.New("r"), Retriable: true}
	case e.n < 3:
		return Step{Token: []byte{byte(e.n)}}, nil
	}
	return Step{Done: &Identity{Principal: User(string(token)), Mechanism: "GSSAPI", ExpiresAt: e.expiresAt}}, nil
}

// Frames of requests, without their size.

func request(key, version int16, body ...byte) []byte {
	return append(protocol.AppendRequestHeader(nil, &protocol.RequestHeader{Key: key, Version: version, CorrelationID: 7}), body...)
}

func handshakeFrame(version int16, mechanism string) []byte {
	return request(protocol.KeySASLHandshake, version, protocol.AppendString(nil, false, mechanism)...)
}

func tokenFrame(version int16, token string) []byte {
	body := protocol.AppendBytesLength(nil, version >= 2, len(token))
	body = append(body, token...)
	if version >= 2 {
		body = append(body, 0)
	}
	return request(protocol.KeySASLAuthenticate, version, body...)
}

func versionsFrame(version int16) []byte {
	if version < 3 {
		return request(protocol.KeyAPIVersions, version)
	}
	return request(protocol.KeyAPIVersions, version, 2, 'a', 2, '1', 0)
}

func metadataFrame() []byte { return request(protocol.KeyMetadata, 1, 0, 0, 0, 0) }

// authenticateAnswer takes a SaslAuthenticate answer v1 apart.
type authenticateAnswer struct {
	code     protocol.ErrorCode
	message  string
	token    string
	lifetime int64
}

func parseAuthenticate(t *testing.T, answer []byte) authenticateAnswer {
	t.Helper()
	if len(answer) < 8 || int(binary.BigEndian.Uint32(answer)) != len(answer)-4 {
		t.Fatalf("answer %x", answer)
	}
	r := protocol.NewReader(answer[8:])
	a := authenticateAnswer{code: protocol.ErrorCode(r.Int16())}
	a.message = string(r.NullableString(false))
	a.token = string(r.Bytes(false))
	a.lifetime = r.Int64()
	return a
}

// handshakeCode is the error code of a SaslHandshake answer.
func handshakeCode(t *testing.T, answer []byte) protocol.ErrorCode {
	t.Helper()
	if len(answer) < 10 {
		t.Fatalf("answer %x", answer)
	}
	return protocol.ErrorCode(int16(binary.BigEndian.Uint16(answer[8:])))
}
