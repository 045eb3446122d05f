package auth

import (
	"net/netip"
	"time"
)

// Names of the mechanisms.
const (
	MechanismPlain       = "PLAIN"
	MechanismScramSHA256 = "SCRAM-SHA-256"
	MechanismScramSHA512 = "SCRAM-SHA-512"
	MechanismGSSAPI      = "GSSAPI"
	MechanismOAuthBearer = "OAUTHBEARER"
)

// Peer is what is known of a client before it says who it is.
type Peer struct {
	Listener string
	Address  netip.Addr
	TLS      bool
	// ServerEndPoint is the tls-server-end-point channel binding (RFC 5929) of the
	// connection; nil if there is none.
	ServerEndPoint []byte
}

// Identity is what an exchange has proved.
type Identity struct {
	Principal Principal
	Mechanism string
	// ExpiresAt is when the credential runs out, and with it the session; zero for never.
	ExpiresAt time.Time
	// TokenID is the id of the delegation token that was used, else "". Principal is then
	// the token's owner.
	TokenID string
	// Extensions are OAUTHBEARER's SASL extensions, those alone that were validated.
	Extensions map[string]string
}

// TokenAuthenticated says whether a delegation token proved the identity. Such a session
// may not make or renew tokens.
func (i *Identity) TokenAuthenticated() bool { return i.TokenID != "" }

// Mechanism makes the server's side of exchanges.
type Mechanism interface {
	// Name is the mechanism's name as SaslHandshake has it.
	Name() string
	// MaxTokenBytes is the size past which a token of a client fails unread.
	MaxTokenBytes() int
	// Start begins the exchange with one client.
	Start(peer Peer) Exchange
}

// Exchange is the server's side of one SASL exchange. It ends with the first Step that
// returns an identity or an error; nothing may be asked of it afterwards.
type Exchange interface {
	// Step takes the client's next token, and does not keep it. An error is always a
	// *Failure.
	Step(token []byte) (Step, error)
}

// Step is an exchange's answer to one token.
type Step struct {
	// Token is to be sent. An empty token is still sent as an empty frame where tokens
	// travel as bare frames (SaslHandshake v0), nil is not.
	Token []byte
	// Done is the outcome, and ends the exchange; nil asks for another token.
	Done *Identity
	// Refused says why, where Token tells the client that it is refused: the mechanism has it
	// answer once more before the exchange fails, and it may leave instead.
	Refused error
}

// Failure says why a client is not who it says. Only Message may reach the client.
type Failure struct {
	// Message goes to the client beside SASL_AUTHENTICATION_FAILED. Empty stands for the
	// sentence that tells nothing but the mechanism.
	Message string
	// Reason is for our log.
	Reason error
	// Retriable failures close the connection without an answer: the client is to come
	// again with the same credentials (some of Kerberos' errors).
	Retriable bool
}

func (f *Failure) Error() string {
	switch {
	case f.Reason == nil:
		return f.Message
	case f.Message == "":
		return f.Reason.Error()
	}
	return f.Message + ": " + f.Reason.Error()
}

// Unwrap returns the reason.
func (f *Failure) Unwrap() error { return f.Reason }
