package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// bearerMaxTokenBytes allows access tokens of 64 KiB and as much of extensions.
const bearerMaxTokenBytes = 128 << 10

// BearerToken is an access token that was found good.
type BearerToken struct {
	Principal string    // the user
	ExpiresAt time.Time // never zero
	Scope     []string
	Claims    map[string]any
}

// BearerValidator checks access tokens. It answers from memory: what it lacks it fetches
// behind the caller's back, for the next try.
type BearerValidator interface {
	// ValidateBearer returns the token, or why it is not good; a *BearerError says
	// in addition what the client is told.
	ValidateBearer(token string) (BearerToken, error)
}

// BearerError is a refusal of an access token with the status of RFC 7628 that the client
// sees.
type BearerError struct {
	Status string // e.g. insufficient_scope; any other error is invalid_token
	Scope  string // the scope that would do; may be empty
	Reason error
}

func (e *BearerError) Error() string { return e.Status + ": " + e.Reason.Error() }

// Unwrap returns the reason.
func (e *BearerError) Unwrap() error { return e.Reason }

// OAuthBearerOptions make an OAuthBearer.
type OAuthBearerOptions struct {
	Validator BearerValidator
	// Extensions returns those SASL extensions that are good for the token; what it does not
	// return is dropped, an error refuses the client. nil drops all.
	Extensions func(token BearerToken, extensions map[string]string) (map[string]string, error)
}

// OAuthBearer is the mechanism OAUTHBEARER (RFC 7628, KIP-255, KIP-342).
type OAuthBearer struct{ options OAuthBearerOptions }

// NewOAuthBearer makes the mechanism.
func NewOAuthBearer(options OAuthBearerOptions) *OAuthBearer { return &OAuthBearer{options} }

// Name returns OAUTHBEARER.
func (*OAuthBearer) Name() string { return MechanismOAuthBearer }

// MaxTokenBytes bounds access token and extensions together.
func (*OAuthBearer) MaxTokenBytes() int { return bearerMaxTokenBytes }

// Start begins an exchange.
func (o *OAuthBearer) Start(Peer) Exchange { return &bearerExchange{options: &o.options} }

type bearerExchange struct {
	options *OAuthBearerOptions
	refused string // the JSON that told the client so; its next token ends the exchange
	reason  error
}

// Step takes the client's message. If the token is refused, the client is told so in a
// challenge, which it acknowledges by one byte 0x01; only then the exchange fails.
func (e *bearerExchange) Step(message []byte) (Step, error) {
	if e.refused != "" {
		return Step{}, &Failure{Message: e.refused, Reason: e.reason}
	}
	first, err := parseBearerFirst(message)
	if err != nil {
		return Step{}, &Failure{Reason: err}
	}
	token, err := e.options.Validator.ValidateBearer(first.token)
	if err != nil {
		return e.refuse(err), nil
	}
	if token.Principal == "" || token.ExpiresAt.IsZero() {
		return e.refuse(errors.New("the token has no principal or no end")), nil
	}
	if first.authzid != "" && first.authzid != token.Principal {
		return Step{}, &Failure{
			Message: fmt.Sprintf("Authentication failed: Client requested an authorization id (%s) that is different from the token's principal name (%s)",
				first.authzid, token.Principal),
		}
	}
	id := &Identity{Principal: User(token.Principal), Mechanism: MechanismOAuthBearer, ExpiresAt: token.ExpiresAt}
	if e.options.Extensions != nil {
		if id.Extensions, err = e.options.Extensions(token, first.extensions); err != nil {
			return Step{}, &Failure{Reason: fmt.Errorf("extensions: %w", err)}
		}
	}
	return Step{Token: []byte{}, Done: id}, nil
}

func (e *bearerExchange) refuse(reason error) Step {
	answer := struct {
		Status string `json:"status"`
		Scope  string `json:"scope,omitempty"`
	}{Status: "invalid_token"}
	var told *BearerError
	if errors.As(reason, &told) {
		answer.Status, answer.Scope = told.Status, told.Scope
	}
	text, err := json.Marshal(answer)
	if err != nil {
		text = []byte(`{"status":"invalid_token"}`)
	}
	e.refused, e.reason = string(text), reason
	return Step{Token: text, Refused: reason}
}

// bearerFirst is a client's message, ^A being the byte 0x01:
//
//	n,[a=<authzid>],^A(<key>=<value>^A)*^A
//
// with auth=Bearer <token> among the keys and extensions in the others.
type bearerFirst struct {
	authzid    string
	token      string
	extensions map[string]string
}

func parseBearerFirst(message []byte) (bearerFirst, error) {
	var f bearerFirst
	fail := func(what string) (bearerFirst, error) {
		return bearerFirst{}, errors.New("OAUTHBEARER message: " + what)
	}
	header, rest, ok := strings.Cut(string(message), "\x01")
	if !ok {
		return fail("there is no 0x01")
	}
	header, ok = strings.CutPrefix(header, "n,")
	if !ok {
		return fail("it does not begin with n, for no channel binding")
	}
	if header, ok = strings.CutSuffix(header, ","); !ok {
		return fail("the header has no end")
	}
	if header != "" {
		name, ok := strings.CutPrefix(header, "a=")
		if !ok || strings.ContainsAny(name, ",") {
			return fail("the header is malformed")
		}
		if f.authzid, ok = unescapeSaslName(name); !ok {
			return fail("the authorization id is malformed")
		}
	}
	auth, found := "", false
	for rest != "\x01" {
		var pair string
		if pair, rest, ok = strings.Cut(rest, "\x01"); !ok {
			return fail("it does not end with 0x01 0x01")
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok || !letters(key) || !bearerValue(value) {
			return fail("a key or value is malformed")
		}
		if key == "auth" {
			if found {
				return fail("there is auth twice")
			}
			auth, found = value, true
			continue
		}
		if f.extensions == nil {
			f.extensions = make(map[string]string)
		}
		if _, twice := f.extensions[key]; twice {
			return fail("an extension is there twice")
		}
		f.extensions[key] = value
	}
	if !found {
		return fail("there is no auth")
	}
	scheme, token, _ := strings.Cut(auth, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return fail("the scheme is not Bearer")
	}
	f.token = strings.TrimLeft(token, " ")
	if !bearerTokenText(f.token) {
		return fail("there is no token behind Bearer")
	}
	return f, nil
}

// bearerValue says whether s may be the value of a key: visible ASCII and blanks, and
// something.
func bearerValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 0x20 || c > 0x7e) && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return s != ""
}

// bearerTokenText says whether s is a b64token of RFC 6750.
func bearerTokenText(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		switch c := body[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return body != ""
}
