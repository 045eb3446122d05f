package auth

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

const (
	// handshakeMaxBytes bounds a frame before the mechanism is known.
	handshakeMaxBytes = 4 << 10
	// requestOverheadBytes is allowed on top of a token for the request around it.
	requestOverheadBytes = 2 << 10
	// rawTokenMaxBytes bounds the very first frame where it may be a GSSAPI token without a
	// handshake.
	rawTokenMaxBytes = 64 << 10
	// maxRounds bounds the tokens of one exchange; GSSAPI, the longest, needs three.
	maxRounds = 12
	// minReauthInterval is how long a connection has to wait between two starts of
	// re-authentication.
	minReauthInterval = time.Second
)

// GateOptions are what all Gates of one listener share.
type GateOptions struct {
	// Mechanisms are those enabled on the listener, in the order they are listed to clients.
	Mechanisms []Mechanism
	// MaxReauth is connections.max.reauth.ms of a mechanism, 0 for no limit; nil is 0 for all.
	MaxReauth func(mechanism string) time.Duration
	// MaxReceiveBytes is sasl.server.max.receive.size; 512 KiB. Gates keep to tighter limits
	// of their own where a mechanism needs less.
	MaxReceiveBytes int
	// APIVersionsMax is the highest version of ApiVersions that is served. A higher one is
	// answered with UNSUPPORTED_VERSION and does not count.
	APIVersionsMax int16
	// Anonymous serves requests before authentication; under which principal is the
	// caller's to say. Kafka has no such thing.
	Anonymous bool
	// ChangePrincipal, if set, lets a connection authenticate at any time, by any enabled
	// mechanism and as anybody to whom it does not object. nil keeps to KIP-368: only a
	// session that expires, with the same mechanism and the same principal.
	ChangePrincipal func(from, to *Identity) error
	// Now is the clock, and must be set.
	Now func() time.Time
}

func (o *GateOptions) mechanism(name []byte) Mechanism {
	for _, m := range o.Mechanisms {
		if m.Name() == string(name) {
			return m
		}
	}
	return nil
}

func (o *GateOptions) maxReceive(ours int) int {
	if o.MaxReceiveBytes > 0 {
		return min(ours, o.MaxReceiveBytes)
	}
	return min(ours, 512<<10)
}

// gateState is what a Gate waits for.
type gateState int8

const (
	expectAnything   gateState = iota // the first frame: a request, or a GSSAPI token as in 0.9
	expectVersions                    // a request came, ApiVersions has not been answered yet
	expectHandshake                   // ApiVersions has been answered
	expectToken                       // a mechanism is chosen
	expectWrongToken                  // re-authentication with another mechanism: its token fails
	gateOpen                          // authenticated
	gateClosed                        // failed; nothing more is looked at
)

// Gate stands between the frames of one connection of a SASL listener and the requests of
// the broker, and is Kafka's SaslServerAuthenticator in what it lets pass. It is open once
// an identity is proved; then requests are served until the session expires, and
// SaslHandshake begins a re-authentication (KIP-368). While one is under way nothing but
// its tokens is looked at.
type Gate struct {
	options *GateOptions
	peer    Peer

	state     gateState
	framed    bool // tokens come in SaslAuthenticate requests, not as bare frames
	rounds    int
	mechanism Mechanism
	exchange  Exchange

	identity      *Identity // proved; nil before
	expires       bool
	expiresAt     time.Time     // when expires
	lifetime      time.Duration // from the end of the authentication to expiresAt
	reauthStarted time.Time     // of the last re-authentication; zero before any
}

// NewGate returns the closed gate of a new connection. The options are not copied and may
// not change.
func NewGate(options *GateOptions, peer Peer) *Gate {
	return &Gate{options: options, peer: peer}
}

// Identity returns who has been proved to be on the connection, nil for nobody yet. It
// stays while a re-authentication is under way.
func (g *Gate) Identity() *Identity { return g.identity }

// Open says whether frames are requests: the connection is authenticated and is not
// re-authenticating.
func (g *Gate) Open() bool { return g.state == gateOpen }

// Serves says whether the next frame may be a request of anybody's: the gate is open, or
// serves before authentication. As long as it does not, deadlines for authentication run.
func (g *Gate) Serves() bool {
	switch g.state {
	case gateOpen:
		return true
	case expectToken, expectWrongToken, gateClosed:
		return false
	}
	return g.options.Anonymous
}

// ExpiresAt returns when the session runs out; false for never.
func (g *Gate) ExpiresAt() (time.Time, bool) { return g.expiresAt, g.expires }

// MaxFrameBytes returns the size past which the next frame is not to be read but to be
// reported to BadFrameSize; 0 leaves it to socket.request.max.bytes.
func (g *Gate) MaxFrameBytes() int {
	switch g.state {
	case gateOpen:
		return 0
	case expectToken:
		return g.options.maxReceive(g.mechanism.MaxTokenBytes() + requestOverheadBytes)
	case expectAnything:
		if g.options.mechanism([]byte(MechanismGSSAPI)) != nil {
			return g.options.maxReceive(rawTokenMaxBytes)
		}
	}
	if g.Serves() {
		return 0
	}
	return g.options.maxReceive(handshakeMaxBytes)
}

// BadFrameSize is the verdict on a frame whose size is negative or above MaxFrameBytes. A
// size of 0 is not bad while the gate is shut: GSSAPI has an empty token.
func (g *Gate) BadFrameSize(size int) Verdict {
	return g.close(CloseDelayed, fmt.Errorf("frame of %d bytes before authentication", size))
}

// Frame says what is to be done with a frame, which is what came without the four bytes of
// its size. Neither the Gate nor the Verdict keeps the frame.
func (g *Gate) Frame(frame []byte) Verdict {
	switch g.state {
	case gateOpen:
		return g.request(frame)
	case expectToken:
		return g.token(frame)
	case expectWrongToken:
		return g.close(CloseDelayed, errors.New("re-authentication with another mechanism"))
	case gateClosed:
		return Verdict{Do: CloseNow, Err: errors.New("frame after the end of the connection")}
	}
	return g.first(frame)
}

// request is a frame on an open gate. It is on the path of every request and allocates
// nothing.
func (g *Gate) request(frame []byte) Verdict {
	if len(frame) >= 2 && int16(frame[0])<<8|int16(frame[1]) == protocol.KeySASLHandshake && g.mayReauthenticate() {
		h, err := protocol.ParseRequestHeader(frame)
		if err != nil {
			return g.close(CloseNow, err)
		}
		g.reauthStarted = g.options.Now()
		return g.handshake(h, frame)
	}
	if g.expires && !g.options.Now().Before(g.expiresAt) {
		v := g.close(CloseNow, errors.New("the session has expired"))
		v.Expired = true
		return v
	}
	return Verdict{Do: Serve}
}

// mayReauthenticate says whether a SaslHandshake begins a re-authentication. Otherwise it
// is served as a request, which answers ILLEGAL_SASL_STATE.
func (g *Gate) mayReauthenticate() bool {
	if !g.expires && g.options.ChangePrincipal == nil {
		return false
	}
	return g.reauthStarted.IsZero() || g.options.Now().Sub(g.reauthStarted) >= minReauthInterval
}

// first is a frame before a mechanism is chosen.
func (g *Gate) first(frame []byte) Verdict {
	h, err := protocol.ParseRequestHeader(frame)
	if err != nil {
		if g.state != expectAnything {
			return g.close(CloseNow, err)
		}
		return g.rawGSSAPI(frame, err)
	}
	if g.state == expectAnything {
		g.state = expectVersions
	}
	switch {
	case h.Key == protocol.KeySASLHandshake:
		return g.handshake(h, frame)
	case g.options.Anonymous:
		return Verdict{Do: Serve}
	case h.Key == protocol.KeyAPIVersions:
		return g.apiVersions(h, frame)
	}
	// Its body is not even parsed: nobody has proved a right to make us.
	return g.close(CloseDelayed, fmt.Errorf("request with key %d before authentication", h.Key))
}

// rawGSSAPI takes a first frame that is no request for a GSSAPI token, as clients of 0.9
// send it without a handshake.
func (g *Gate) rawGSSAPI(frame []byte, err error) Verdict {
	m := g.options.mechanism([]byte(MechanismGSSAPI))
	if m == nil {
		return g.close(CloseDelayed, fmt.Errorf("the first frame is no request and GSSAPI is not enabled: %w", err))
	}
	g.begin(m, false)
	return g.token(frame)
}

func (g *Gate) begin(m Mechanism, framed bool) {
	g.mechanism, g.exchange = m, m.Start(g.peer)
	g.framed, g.rounds = framed, 0
	g.state = expectToken
}

// apiVersions lets one ApiVersions pass that is answered with success, and any number
// that are not.
func (g *Gate) apiVersions(h protocol.RequestHeader, frame []byte) Verdict {
	if g.state == expectHandshake {
		return g.close(CloseNow, errors.New("a second ApiVersions before authentication"))
	}
	if h.Version < 0 || h.Version > g.options.APIVersionsMax {
		return Verdict{Do: ServeAPIVersions}
	}
	var req protocol.APIVersionsRequest
	if err := req.Decode(h.Version, frame[h.BodyPos:]); err != nil {
		return g.close(CloseNow, err)
	}
	if h.Version < 3 || protocol.ValidSoftware(req.ClientSoftwareName) && protocol.ValidSoftware(req.ClientSoftwareVersion) {
		g.state = expectHandshake
	}
	return Verdict{Do: ServeAPIVersions}
}

// handshake begins an exchange, the first or that of a re-authentication.
func (g *Gate) handshake(h protocol.RequestHeader, frame []byte) Verdict {
	var req protocol.SASLHandshakeRequest
	if err := req.Decode(h.Version, frame[h.BodyPos:]); err != nil {
		return g.close(CloseNow, err)
	}
	resp := protocol.SASLHandshakeResponse{Mechanisms: g.mechanismNames()}
	m := g.options.mechanism(req.Mechanism)
	if m == nil {
		err := fmt.Errorf("mechanism %.64q is not enabled", req.Mechanism)
		if g.identity != nil {
			return g.close(CloseNow, err)
		}
		resp.ErrorCode = protocol.ErrUnsupportedSASLMechanism
		v := g.close(CloseDelayed, err)
		v.Answer = resp.AppendFrame(nil, h.Version, h.CorrelationID)
		return v
	}
	if g.identity != nil && m.Name() != g.identity.Mechanism && g.options.ChangePrincipal == nil {
		g.state = expectWrongToken
	} else {
		g.begin(m, h.Version >= 1)
	}
	return Verdict{Do: Reply, Answer: resp.AppendFrame(nil, h.Version, h.CorrelationID)}
}

func (g *Gate) mechanismNames() []string {
	names := make([]string, 0, len(g.options.Mechanisms))
	for _, m := range g.options.Mechanisms {
		names = append(names, m.Name())
	}
	return names
}

// token is a frame of an exchange, bare or in a SaslAuthenticate request.
func (g *Gate) token(frame []byte) Verdict {
	if !g.framed {
		step, err := g.step(frame)
		if err != nil {
			return g.close(CloseDelayed, err) // bare tokens have no place for an error code
		}
		v := g.stepped(step)
		if step.Token != nil {
			v.Answer = appendSized(step.Token)
		}
		return v
	}
	h, err := protocol.ParseRequestHeader(frame)
	if err != nil {
		return g.close(CloseNow, err)
	}
	if h.Key != protocol.KeySASLAuthenticate {
		return g.illegalState(h)
	}
	var req protocol.SASLAuthenticateRequest
	if err := req.Decode(h.Version, frame[h.BodyPos:]); err != nil {
		return g.close(CloseNow, err)
	}
	step, err := g.step(req.AuthBytes)
	if err != nil {
		return g.failed(h, err)
	}
	v := g.stepped(step)
	resp := protocol.SASLAuthenticateResponse{AuthBytes: step.Token}
	if step.Done != nil {
		resp.SessionLifetimeMs = g.lifetime.Milliseconds()
	}
	v.Answer = resp.AppendFrame(nil, h.Version, h.CorrelationID)
	return v
}

// step feeds the exchange, and checks what it proves against what a re-authentication may.
func (g *Gate) step(token []byte) (Step, error) {
	if g.rounds++; g.rounds > maxRounds {
		return Step{}, &Failure{Reason: fmt.Errorf("more than %d tokens", maxRounds)}
	}
	if len(token) > g.mechanism.MaxTokenBytes() {
		return Step{}, &Failure{Reason: fmt.Errorf("token of %d bytes", len(token))}
	}
	step, err := g.exchange.Step(token)
	if err != nil || step.Done == nil || g.identity == nil {
		return step, err
	}
	if g.options.ChangePrincipal != nil {
		if err := g.options.ChangePrincipal(g.identity, step.Done); err != nil {
			return Step{}, &Failure{Reason: fmt.Errorf("change from %v to %v: %w", g.identity.Principal, step.Done.Principal, err)}
		}
		return step, nil
	}
	if from, to := g.identity.Principal, step.Done.Principal; from != to {
		return Step{}, &Failure{Message: fmt.Sprintf("Cannot change principals during re-authentication from %s.%s: %s.%s",
			from.Type, from.Name, to.Type, to.Name)}
	}
	return step, nil
}

// stepped opens the gate if the step was the last.
func (g *Gate) stepped(step Step) Verdict {
	if step.Done == nil {
		return Verdict{Do: Reply, Refused: step.Refused, Mechanism: g.mechanism.Name()}
	}
	v := Verdict{Do: Reply, Authenticated: step.Done, Previous: g.identity}
	g.identity = step.Done
	g.state, g.exchange, g.mechanism = gateOpen, nil, nil
	g.setLifetime(g.options.Now())
	return v
}

// setLifetime bounds the session by connections.max.reauth.ms and by the credential's own
// end, whichever comes first.
func (g *Gate) setLifetime(now time.Time) {
	g.expires, g.lifetime = false, 0
	if g.options.MaxReauth != nil {
		if limit := g.options.MaxReauth(g.identity.Mechanism); limit > 0 {
			g.expires, g.lifetime = true, limit
		}
	}
	if at := g.identity.ExpiresAt; !at.IsZero() {
		if left := max(at.Sub(now), 0); !g.expires || left < g.lifetime {
			g.expires, g.lifetime = true, left
		}
	}
	g.expiresAt = now.Add(g.lifetime)
}

// failed answers a SaslAuthenticate whose token was refused.
func (g *Gate) failed(h protocol.RequestHeader, err error) Verdict {
	var failure *Failure
	if !errors.As(err, &failure) {
		failure = &Failure{Reason: err}
	}
	if failure.Retriable {
		return g.close(CloseNow, err)
	}
	resp := protocol.SASLAuthenticateResponse{ErrorCode: protocol.ErrSASLAuthenticationFailed, ErrorMessage: failure.Message}
	if resp.ErrorMessage == "" {
		during := "authentication"
		if g.identity != nil {
			during = "re-authentication"
		}
		resp.ErrorMessage = "Authentication failed during " + during + " due to invalid credentials with SASL mechanism " + g.mechanism.Name()
	}
	v := g.close(CloseDelayed, err)
	v.Answer = resp.AppendFrame(nil, h.Version, h.CorrelationID)
	return v
}

// illegalState refuses a request that came where a SaslAuthenticate had to. It is answered
// in its own form; the Gate writes the answer only of the two APIs that are in its hands
// anyway, and leaves those of others to its caller.
func (g *Gate) illegalState(h protocol.RequestHeader) Verdict {
	v := g.close(CloseDelayed, &Failure{Message: "Unexpected Kafka request of type " + apacheName(h.Key) + " during SASL authentication."})
	switch {
	case h.Key == protocol.KeySASLHandshake && (h.Version == 0 || h.Version == 1):
		resp := protocol.SASLHandshakeResponse{ErrorCode: protocol.ErrIllegalSASLState}
		v.Answer = resp.AppendFrame(nil, h.Version, h.CorrelationID)
	case h.Key == protocol.KeyAPIVersions && h.Version >= 0 && h.Version <= g.options.APIVersionsMax:
		resp := protocol.APIVersionsResponse{ErrorCode: protocol.ErrIllegalSASLState, FinalizedFeaturesEpoch: -1}
		v.Answer = resp.AppendFrame(nil, h.Version, h.CorrelationID)
	default:
		h.ClientID = slices.Clone(h.ClientID)
		v.Code, v.Header = protocol.ErrIllegalSASLState, h
	}
	return v
}

// apacheName is an API's name as Apache's messages have it, LIST_OFFSETS for ListOffsets.
func apacheName(key int16) string {
	var out []byte
	for i, c := range []byte(protocol.APIName(key)) {
		if i > 0 && c >= 'A' && c <= 'Z' {
			out = append(out, '_')
		}
		out = append(out, c&^0x20)
	}
	return string(out)
}

func (g *Gate) close(how Action, err error) Verdict {
	v := Verdict{Do: how, Err: err}
	if g.mechanism != nil {
		v.Mechanism = g.mechanism.Name()
	}
	g.state, g.exchange = gateClosed, nil
	return v
}

// appendSized returns a bare frame: the size of the token, and the token.
func appendSized(token []byte) []byte {
	n := len(token)
	return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, token...)
}
