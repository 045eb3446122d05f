package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// plainMaxTokenBytes allows three names of 1,000 characters; RFC 4616 asks for 255 octets.
const plainMaxTokenBytes = 4 << 10

// PlainVerifier says whether a password is a user's. It takes the same time for a user
// that does not exist.
type PlainVerifier interface {
	VerifyPlain(user string, password []byte) bool
}

// PlainUsers is the user table of a PlainLoginModule.
type PlainUsers struct {
	key     [sha256.Size]byte // so that digests of equal passwords differ between processes
	digests map[string][sha256.Size]byte
	nobody  [sha256.Size]byte // compared with for users that do not exist; of no password

	hashed map[string]*hashedPassword // of users whose password the table does not hold itself
	costly *hashedPassword            // of nobody; computed for everybody else if there are such users
	slots  chan struct{}              // one for each computation at a time
}

// NewPlainUsers reads the options of a PlainLoginModule: each user_<name> is the password
// of a user. Others, such as username and password, are left alone.
func NewPlainUsers(options map[string]string) *PlainUsers {
	u := &PlainUsers{digests: make(map[string][sha256.Size]byte)}
	rand.Read(u.key[:])
	rand.Read(u.nobody[:])
	for name, password := range options {
		if user, ok := strings.CutPrefix(name, "user_"); ok && user != "" && password != "" {
			u.digests[user] = u.digest([]byte(password))
		}
	}
	return u
}

// Len returns the number of users.
func (u *PlainUsers) Len() int { return len(u.digests) + len(u.hashed) }

// digest brings passwords of any length to one length, so that the comparison can take one
// time for all.
func (u *PlainUsers) digest(password []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(u.key[:])
	h.Write(password)
	return [sha256.Size]byte(h.Sum(nil))
}

// VerifyPlain says whether the password is the user's.
func (u *PlainUsers) VerifyPlain(user string, password []byte) bool {
	got := u.digest(password)
	if u.costly != nil {
		h, isHashed := u.hashed[user]
		if !isHashed {
			h = u.costly
		}
		if fits := u.verifyHashed(h, got, password); isHashed {
			return fits
		}
	}
	want, known := u.digests[user]
	if !known {
		want = u.nobody
	}
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && known
}

// Plain is the mechanism PLAIN (RFC 4616).
type Plain struct{ verifier PlainVerifier }

// NewPlain makes the mechanism from whoever knows the passwords.
func NewPlain(verifier PlainVerifier) *Plain { return &Plain{verifier} }

// Name returns PLAIN.
func (*Plain) Name() string { return MechanismPlain }

// MaxTokenBytes bounds authorization id, user and password together.
func (*Plain) MaxTokenBytes() int { return plainMaxTokenBytes }

// Start begins an exchange.
func (p *Plain) Start(Peer) Exchange { return plainExchange{p.verifier} }

type plainExchange struct{ verifier PlainVerifier }

// Step takes the only token, [authzid] NUL authcid NUL passwd. The messages are Kafka's.
func (e plainExchange) Step(token []byte) (Step, error) {
	parts := bytes.SplitN(token, []byte{0}, 4)
	if len(parts) != 3 {
		return Step{}, &Failure{Message: fmt.Sprintf("Invalid SASL/PLAIN response: expected 3 tokens, got %d", len(parts))}
	}
	authzid, user, password := parts[0], string(parts[1]), parts[2]
	switch {
	case user == "":
		return Step{}, &Failure{Message: "Authentication failed: username not specified"}
	case len(password) == 0:
		return Step{}, &Failure{Message: "Authentication failed: password not specified"}
	case !utf8.Valid(token):
		return Step{}, plainRefused(errors.New("the token is not UTF-8"))
	case !e.verifier.VerifyPlain(user, password):
		return Step{}, plainRefused(fmt.Errorf("user %.128q and password do not fit", user))
	case len(authzid) > 0 && string(authzid) != user:
		// Only now: whoever does not know the password learns nothing from it.
		return Step{}, &Failure{Message: differentAuthorizationID, Reason: fmt.Errorf("user %.128q asked to be %.128q", user, authzid)}
	}
	return Step{Token: []byte{}, Done: &Identity{Principal: User(user), Mechanism: MechanismPlain}}, nil
}

func plainRefused(reason error) *Failure {
	return &Failure{Message: "Authentication failed: Invalid username or password", Reason: reason}
}

// differentAuthorizationID is Kafka's sentence for a client that wants to act as another
// than the one it proved to be (CVE-2017-12610).
const differentAuthorizationID = "Authentication failed: Client requested an authorization id that is different from username"
