package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// scramMinIterations is Kafka's least; a stored credential with fewer is refused.
	scramMinIterations = 4096
	// scramMaxTokenBytes is far above any message of a real client.
	scramMaxTokenBytes = 4 << 10
	// scramNonceBytes of randomness are in our half of the nonce.
	scramNonceBytes = 24
)

// ScramHash is one of Kafka's two SCRAM mechanisms; the numbers are Kafka's.
type ScramHash int8

// The SCRAM mechanisms.
const (
	ScramSHA256 ScramHash = 1
	ScramSHA512 ScramHash = 2
)

// Mechanism returns the mechanism's name.
func (h ScramHash) Mechanism() string {
	if h == ScramSHA256 {
		return MechanismScramSHA256
	}
	return MechanismScramSHA512
}

// Size returns the length of the keys.
func (h ScramHash) Size() int {
	if h == ScramSHA256 {
		return sha256.Size
	}
	return sha512.Size
}

func (h ScramHash) new() hash.Hash {
	if h == ScramSHA256 {
		return sha256.New()
	}
	return sha512.New()
}

// ScramCredential is what a broker keeps of a password.
type ScramCredential struct {
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
	Iterations int32
}

// usable says whether the credential can be logged in with.
func (c *ScramCredential) usable(h ScramHash) bool {
	return len(c.Salt) > 0 && len(c.StoredKey) == h.Size() && len(c.ServerKey) == h.Size() && c.Iterations >= scramMinIterations
}

// DelegationTokenLogin is what SCRAM needs of a delegation token.
type DelegationTokenLogin struct {
	Owner      Principal
	ExpiresAt  time.Time
	Credential ScramCredential
}

// ScramOptions make a Scram.
type ScramOptions struct {
	Hash ScramHash
	// Credential finds a user's credential. It is called with unproved names.
	Credential func(user string) (ScramCredential, bool)
	// Token finds a delegation token by its id; nil where tokens are not enabled. It is
	// called with unproved ids.
	Token func(id string) (DelegationTokenLogin, bool)
	// Iterations is what users that do not exist pretend to, and should be what most of those
	// have that exist; nil, or too few, for 4096.
	Iterations func() int32
	// Pepper makes the salts of users that do not exist, which must not change between two
	// tries. Brokers of one cluster should have the same. Empty: a random one.
	Pepper Secret
	// Rand is the source of nonces; crypto/rand.
	Rand io.Reader
	// Now is time.Now; tokens that ran out are refused.
	Now func() time.Time
}

// Scram is the mechanism SCRAM-SHA-256 or SCRAM-SHA-512 (RFC 5802, RFC 7677), with Kafka's
// extension tokenauth=true for delegation tokens (KIP-48).
type Scram struct {
	options ScramOptions
	pepper  []byte
}

// NewScram makes the mechanism.
func NewScram(options ScramOptions) *Scram {
	if options.Rand == nil {
		options.Rand = rand.Reader
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Scram{options: options, pepper: []byte(options.Pepper.Reveal())}
	if len(s.pepper) == 0 {
		s.pepper = make([]byte, 32)
		rand.Read(s.pepper)
	}
	return s
}

// Name returns the mechanism's name.
func (s *Scram) Name() string { return s.options.Hash.Mechanism() }

// MaxTokenBytes bounds either message of a client.
func (s *Scram) MaxTokenBytes() int { return scramMaxTokenBytes }

// Start begins an exchange.
func (s *Scram) Start(Peer) Exchange { return &scramExchange{scram: s} }

// scramExchange answers a user that does not exist exactly as one that does, until the
// proof fails.
type scramExchange struct {
	scram *Scram

	started     bool
	known       error // why the login will fail whatever the proof; nil if it may succeed
	credential  ScramCredential
	identity    Identity
	gs2Header   string
	clientNonce string
	nonce       string // both halves
	authMessage []byte // client first bare "," server first ",": what came, byte by byte
}

// Step takes the client's first, then its final message.
func (e *scramExchange) Step(token []byte) (Step, error) {
	if !e.started {
		e.started = true
		return e.first(token)
	}
	return e.final(token)
}

func (e *scramExchange) first(token []byte) (Step, error) {
	first, err := parseScramFirst(token)
	if err != nil {
		return Step{}, &Failure{Reason: err}
	}
	if first.authzid != "" && first.authzid != first.user {
		return Step{}, &Failure{Message: differentAuthorizationID, Reason: fmt.Errorf("user %.128q asked to be %.128q", first.user, first.authzid)}
	}
	e.lookUp(first)
	ours := make([]byte, scramNonceBytes)
	if _, err := io.ReadFull(e.scram.options.Rand, ours); err != nil {
		return Step{}, &Failure{Reason: fmt.Errorf("make a nonce: %w", err)}
	}
	e.nonce = first.nonce + base64.RawStdEncoding.EncodeToString(ours)
	e.clientNonce, e.gs2Header = first.nonce, first.gs2Header
	answer := "r=" + e.nonce + ",s=" + base64.StdEncoding.EncodeToString(e.credential.Salt) +
		",i=" + strconv.Itoa(int(e.credential.Iterations))
	e.authMessage = append(e.authMessage, first.bare...)
	e.authMessage = append(e.authMessage, ',')
	e.authMessage = append(e.authMessage, answer...)
	e.authMessage = append(e.authMessage, ',')
	return Step{Token: []byte(answer)}, nil
}

// lookUp finds the credential, or one that looks alike and fits no password.
func (e *scramExchange) lookUp(first scramFirst) {
	o := &e.scram.options
	e.identity = Identity{Mechanism: o.Hash.Mechanism()}
	found := false
	if first.tokenAuth {
		e.known = fmt.Errorf("there is no delegation token %.128q", first.user)
		if o.Token != nil {
			var login DelegationTokenLogin
			if login, found = o.Token(first.user); found {
				e.identity.Principal, e.identity.ExpiresAt = login.Owner, login.ExpiresAt
				e.identity.TokenID = first.user
				e.credential = login.Credential
				if !login.ExpiresAt.IsZero() && !o.Now().Before(login.ExpiresAt) {
					found, e.known = false, fmt.Errorf("delegation token %.128q has expired", first.user)
				}
			}
		}
	} else {
		e.known = fmt.Errorf("user %.128q has no credential for %s", first.user, o.Hash.Mechanism())
		e.identity.Principal = User(first.user)
		e.credential, found = o.Credential(first.user)
	}
	if found && !e.credential.usable(o.Hash) {
		found, e.known = false, fmt.Errorf("the credential of %.128q is not usable: %d iterations", first.user, e.credential.Iterations)
	}
	pretended := e.scram.pretend(first)
	if found {
		e.known = nil
	} else {
		e.credential = pretended
	}
}

// pretend makes the credential of somebody who does not exist: a salt such as Apache's
// tools make them, always the same for a name, and keys that are nobody's.
func (s *Scram) pretend(first scramFirst) ScramCredential {
	mac := hmac.New(sha512.New, s.pepper)
	fmt.Fprintf(mac, "%s\x00%t\x00%s", s.Name(), first.tokenAuth, first.user)
	sum := mac.Sum(nil)
	iterations := int32(scramMinIterations)
	if s.options.Iterations != nil && !first.tokenAuth { // tokens have the least
		iterations = max(iterations, s.options.Iterations())
	}
	size := s.options.Hash.Size()
	keys := make([]byte, 2*size)
	rand.Read(keys)
	return ScramCredential{Salt: scramSalt(sum), StoredKey: keys[:size], ServerKey: keys[size:], Iterations: iterations}
}

// scramSaltRandom is how many bytes a salt is made of.
const scramSaltRandom = 17

// scramSalt makes a salt of random bytes, in the form that Apache's tools give theirs: 130
// bits as a number of base 36.
func scramSalt(random []byte) []byte {
	n := new(big.Int).SetBytes(random[:scramSaltRandom])
	return n.Rsh(n, 8*scramSaltRandom-130).Append(nil, 36)
}

// NewScramSalt makes a salt. All look alike, those of Apache's tools and of users that do not
// exist too.
func NewScramSalt() []byte {
	random := make([]byte, scramSaltRandom)
	rand.Read(random)
	return scramSalt(random)
}

func (e *scramExchange) final(token []byte) (Step, error) {
	final, err := parseScramFinal(token)
	if err != nil {
		return Step{}, &Failure{Reason: err}
	}
	h := e.scram.options.Hash
	// Not to compare at all is CVE-2024-56128. librdkafka before 2.6.1 repeats its own half
	// in front; Apache 3.9 takes anything there, 4.x nothing.
	if final.nonce != e.nonce && final.nonce != e.clientNonce+e.nonce {
		return Step{}, &Failure{Reason: errors.New("the nonce is not the one that was agreed")}
	}
	// Some clients send the plain header although they named an authorization id, which has
	// been checked. None of them has a channel to bind to.
	if c := string(final.channelBinding); c != "n,," && c != e.gs2Header {
		return Step{}, &Failure{Reason: errors.New("the channel binding is not the header that was sent")}
	}
	if len(final.proof) != h.Size() {
		return Step{}, &Failure{Reason: fmt.Errorf("a proof of %d bytes", len(final.proof))}
	}
	e.authMessage = append(e.authMessage, final.withoutProof...)
	clientKey := macOf(h, e.credential.StoredKey, e.authMessage) // the client's signature, for now
	subtle.XORBytes(clientKey, clientKey, final.proof)
	storedKey := digestOf(h, clientKey)
	matches := subtle.ConstantTimeCompare(storedKey, e.credential.StoredKey) == 1
	signature := macOf(h, e.credential.ServerKey, e.authMessage)
	if e.known != nil {
		return Step{}, &Failure{Reason: e.known}
	}
	if !matches {
		return Step{}, &Failure{Reason: fmt.Errorf("the proof does not fit the credential of %v", e.identity.Principal)}
	}
	done := e.identity
	return Step{Token: []byte("v=" + base64.StdEncoding.EncodeToString(signature)), Done: &done}, nil
}

func macOf(h ScramHash, key, message []byte) []byte {
	mac := hmac.New(h.new, key)
	mac.Write(message)
	return mac.Sum(nil)
}

func digestOf(h ScramHash, b []byte) []byte {
	d := h.new()
	d.Write(b)
	return d.Sum(nil)
}

// scramFirst is a client's first message:
//
//	n,[a=<authzid>],n=<user>,r=<nonce>[,<name>=<value>]...
type scramFirst struct {
	gs2Header string
	authzid   string
	user      string
	nonce     string
	tokenAuth bool
	bare      []byte // from n= on, as it came
}

func parseScramFirst(token []byte) (scramFirst, error) {
	var f scramFirst
	fail := func(what string) (scramFirst, error) {
		return scramFirst{}, errors.New("first message: " + what)
	}
	if !utf8.Valid(token) || bytes.IndexByte(token, 0) >= 0 {
		return fail("it is not UTF-8 without NUL")
	}
	rest, ok := strings.CutPrefix(string(token), "n,")
	if !ok {
		return fail("it does not begin with n, for no channel binding")
	}
	authzid, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return fail("the header has no end")
	}
	f.gs2Header = "n," + authzid + ","
	f.bare = token[len(f.gs2Header):]
	if authzid != "" {
		name, ok := strings.CutPrefix(authzid, "a=")
		if !ok {
			return fail("the header holds something else than a=")
		}
		if f.authzid, ok = unescapeSaslName(name); !ok {
			return fail("the authorization id is malformed")
		}
	}
	fields := strings.Split(bare, ",")
	if len(fields) < 2 {
		return fail("user or nonce is missing")
	}
	name, ok := strings.CutPrefix(fields[0], "n=")
	if !ok {
		return fail("there is no n= behind the header")
	}
	if f.user, ok = unescapeSaslName(name); !ok {
		return fail("the user name is malformed")
	}
	if f.nonce, ok = strings.CutPrefix(fields[1], "r="); !ok || !printable(f.nonce) {
		return fail("there is no good r= behind the user")
	}
	for _, field := range fields[2:] {
		name, value, ok := strings.Cut(field, "=")
		if !ok || !letters(name) || value == "" {
			return fail("an extension is malformed")
		}
		if name == "tokenauth" {
			f.tokenAuth = strings.EqualFold(value, "true")
		}
	}
	return f, nil
}

// scramFinal is a client's final message:
//
//	c=<base64>,r=<nonce>[,<name>=<value>]...,p=<base64>
type scramFinal struct {
	channelBinding []byte
	nonce          string
	proof          []byte
	withoutProof   []byte // as it came
}

func parseScramFinal(token []byte) (scramFinal, error) {
	var f scramFinal
	fail := func(what string) (scramFinal, error) {
		return scramFinal{}, errors.New("final message: " + what)
	}
	at := bytes.LastIndex(token, []byte(",p="))
	if at < 0 {
		return fail("there is no proof")
	}
	f.withoutProof = token[:at]
	var err error
	if f.proof, err = base64.StdEncoding.Strict().DecodeString(string(token[at+3:])); err != nil || bytes.ContainsAny(token[at:], "\r\n") {
		return fail("the proof is not base64")
	}
	fields := strings.Split(string(f.withoutProof), ",")
	if len(fields) < 2 {
		return fail("channel binding or nonce is missing")
	}
	binding, ok := strings.CutPrefix(fields[0], "c=")
	if !ok {
		return fail("it does not begin with c=")
	}
	if f.channelBinding, err = base64.StdEncoding.Strict().DecodeString(binding); err != nil || strings.ContainsAny(binding, "\r\n") {
		return fail("the channel binding is not base64")
	}
	if f.nonce, ok = strings.CutPrefix(fields[1], "r="); !ok || !printable(f.nonce) {
		return fail("there is no good r= behind the channel binding")
	}
	for _, field := range fields[2:] {
		if name, value, ok := strings.Cut(field, "="); !ok || !letters(name) || value == "" {
			return fail("an extension is malformed")
		}
	}
	return f, nil
}

// unescapeSaslName undoes =2C for a comma and =3D for an equals sign. Any other = is
// malformed, and so is an empty name.
func unescapeSaslName(s string) (string, bool) {
	if s == "" {
		return "", false
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "=")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		switch {
		case strings.HasPrefix(after, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(after, "3D"):
			b.WriteByte('=')
		default:
			return "", false
		}
		s = after[2:]
	}
}

// printable says whether s is visible ASCII without commas, and something.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

// letters says whether s is ASCII letters, and something.
func letters(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return s != ""
}
