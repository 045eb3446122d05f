package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/tests/bench/replay"
)

const patience = 20 * time.Second

// wire is a connection of our own, for what no client sends.
type wire struct{ *replay.Conn }

// dial connects to a listener, over TLS where that is the listener's, with a certificate or nil.
func (w *world) dial(listener string, certificate *tls.Certificate) (*wire, error) {
	return w.dialRecorded(listener, certificate, nil)
}

// recorded is a connection of which all that is sent is kept, as somebody on the way could.
type recorded struct {
	net.Conn
	sent *bytes.Buffer
}

func (r recorded) Write(b []byte) (int, error) {
	r.sent.Write(b)
	return r.Conn.Write(b)
}

// dialRecorded is dial, and keeps what goes over the wire if there is a buffer for it.
func (w *world) dialRecorded(listener string, certificate *tls.Certificate, sent *bytes.Buffer) (*wire, error) {
	c, err := net.DialTimeout("tcp", w.addr[listener], patience)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(patience))
	if sent != nil {
		c = recorded{c, sent}
	}
	if listener == listenerClear {
		return &wire{&replay.Conn{Conn: c}}, nil
	}
	config := w.clientTLS.Clone()
	// Shown whether or not the broker names its authority.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if certificate == nil {
			return new(tls.Certificate), nil
		}
		return certificate, nil
	}
	t := tls.Client(c, config)
	if err := t.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return &wire{&replay.Conn{Conn: t}}, nil
}

// refusal is an answer with an error, or the end of the connection in code 0.
type refusal struct {
	code    int16
	message string
}

func (r *refusal) Error() string {
	if r.code == 0 {
		return r.message
	}
	return fmt.Sprintf("%d %s", r.code, r.message)
}

// outcome is what came of an attempt, in the words of the table.
func outcome(err error) string {
	var r *refusal
	var alert tls.AlertError
	switch {
	case err == nil:
		return "let in"
	case errors.As(err, &r):
		return r.Error()
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls"):
		_, text, _ := strings.Cut(err.Error(), "tls: ")
		return "TLS alert: " + text
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "connection reset"), strings.Contains(err.Error(), "broken pipe"):
		return "closed"
	}
	return err.Error()
}

// handshake asks for a mechanism.
func (c *wire) handshake(mechanism string) error {
	r := kmsg.NewPtrSASLHandshakeRequest()
	r.Version, r.Mechanism = 1, mechanism
	answer, err := c.Ask(r, patience)
	if err != nil {
		return err
	}
	if code := answer.(*kmsg.SASLHandshakeResponse).ErrorCode; code != 0 {
		return &refusal{code, "handshake"}
	}
	return nil
}

// token sends one token and returns the broker's.
func (c *wire) token(token []byte) ([]byte, error) {
	r := kmsg.NewPtrSASLAuthenticateRequest()
	r.Version, r.SASLAuthBytes = 2, token
	answer, err := c.Ask(r, patience)
	if err != nil {
		return nil, err
	}
	a := answer.(*kmsg.SASLAuthenticateResponse)
	if a.ErrorCode != 0 {
		message := ""
		if a.ErrorMessage != nil {
			message = *a.ErrorMessage
		}
		return nil, &refusal{a.ErrorCode, message}
	}
	return a.SASLAuthBytes, nil
}

// served says whether the broker answers a request now.
func (c *wire) served() error {
	r := kmsg.NewPtrMetadataRequest()
	r.Version, r.Topics = 9, []kmsg.MetadataRequestTopic{}
	_, err := c.Ask(r, patience)
	return err
}

func (c *wire) plain(authzid, user, password string) error {
	if err := c.handshake("PLAIN"); err != nil {
		return err
	}
	_, err := c.token([]byte(authzid + "\x00" + user + "\x00" + password))
	return err
}

// scramTry is a SCRAM exchange with one thing wrong.
type scramTry struct {
	mechanism, user, password string
	token                     bool                         // is a delegation token
	authzid                   string                       // asks to be another
	nonce                     func(combined string) string // changes the nonce in the last message
	proof                     func([]byte)                 // changes the proof
	final                     string                       // instead of the last message, one of an earlier exchange

	sent string // the last message as it was sent
}

func (c *wire) scram(s *scramTry) error {
	if err := c.handshake(s.mechanism); err != nil {
		return err
	}
	newHash, size := sha256.New, sha256.Size
	if s.mechanism == "SCRAM-SHA-512" {
		newHash, size = sha512.New, sha512.Size
	}
	header := "n,,"
	if s.authzid != "" {
		header = "n,a=" + s.authzid + ","
	}
	const nonce = "fyko+d2lbbFgONRv9qkxdawL"
	bare := "n=" + s.user + ",r=" + nonce
	if s.token {
		bare += ",tokenauth=true"
	}
	first, err := c.token([]byte(header + bare))
	if err != nil {
		return err
	}
	var combined string
	var salt []byte
	iterations := 0
	for field := range strings.SplitSeq(string(first), ",") {
		name, value, _ := strings.Cut(field, "=")
		switch name {
		case "r":
			combined = value
		case "s":
			salt, err = base64.StdEncoding.DecodeString(value)
		case "i":
			iterations, err = strconv.Atoi(value)
		}
		if err != nil {
			return err
		}
	}
	if !strings.HasPrefix(combined, nonce) || iterations == 0 {
		return fmt.Errorf("the broker's first message is %q", first)
	}
	if s.nonce != nil {
		combined = s.nonce(combined)
	}
	withoutProof := "c=" + base64.StdEncoding.EncodeToString([]byte(header)) + ",r=" + combined
	salted, err := pbkdf2.Key(newHash, s.password, salt, iterations, size)
	if err != nil {
		return err
	}
	clientKey := sum(newHash, salted, "Client Key")
	stored := newHash()
	stored.Write(clientKey)
	proof := sum(newHash, stored.Sum(nil), bare+","+string(first)+","+withoutProof)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	if s.proof != nil {
		s.proof(proof)
	}
	s.sent = withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof)
	if s.final != "" {
		s.sent = s.final
	}
	_, err = c.token([]byte(s.sent))
	return err
}

func sum(newHash func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(newHash, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// bearer shows an access token. A broker says what is wrong with it in a token of its own,
// and refuses once that was taken note of.
func (c *wire) bearer(authzid, token string) error {
	if err := c.handshake("OAUTHBEARER"); err != nil {
		return err
	}
	if authzid != "" {
		authzid = "a=" + authzid
	}
	answer, err := c.token([]byte("n," + authzid + ",\x01auth=Bearer " + token + "\x01\x01"))
	if err != nil || len(answer) == 0 {
		return err
	}
	if _, err = c.token([]byte("\x01")); err == nil {
		return errors.New("let in after " + string(answer))
	}
	return err
}

// kerberos shows a ticket.
func (c *wire) kerberos(first []byte, t *ticket, authzid string) error {
	if err := c.handshake("GSSAPI"); err != nil {
		return err
	}
	offer, err := c.token(first)
	if err != nil || t == nil {
		return err
	}
	second, err := t.secondToken(offer, authzid)
	if err != nil {
		return err
	}
	_, err = c.token(second)
	return err
}

func base64Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
