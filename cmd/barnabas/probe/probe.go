// Package probe asks an address what a client has to bring: whether it speaks Kafka's
// protocol at all, in plaintext or over TLS, and which SASL mechanisms it wants. It logs in
// nowhere and shows no certificate.
package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Result is what an address says of itself.
type Result struct {
	Kafka      bool // it answers ApiVersions
	TLS        bool
	SASL       bool
	Mechanisms []string // of SASL, as the broker lists them

	// Of TLS: what the server showed, unverified, and whether it asked for a certificate.
	Certificates         []*x509.Certificate
	Version              uint16
	ClientCertAsked      bool
	ClientCertIsRequired bool
}

// SecurityProtocol is Kafka's name for what the address speaks.
func (r *Result) SecurityProtocol() string {
	name := "PLAINTEXT"
	if r.TLS {
		name = "SSL"
	}
	if r.SASL {
		name = "SASL_" + name
	}
	return name
}

// String is a sentence for a person.
func (r *Result) String() string {
	if !r.Kafka && !r.TLS {
		return "does not speak Kafka's protocol"
	}
	var s strings.Builder
	if !r.Kafka {
		s.WriteString("speaks TLS")
	} else {
		s.WriteString("expects security.protocol=" + r.SecurityProtocol())
	}
	if r.SASL {
		s.WriteString(" with sasl.mechanism " + strings.Join(r.Mechanisms, " or "))
	}
	if r.ClientCertIsRequired {
		s.WriteString(" and a certificate of the client (ssl.keystore.location)")
	}
	return s.String()
}

// answerMaxBytes is far above any answer to what is asked here.
const answerMaxBytes = 1 << 20

// Ask asks the address. An error means that nobody listens there, or that ctx ended.
func Ask(ctx context.Context, address string) (Result, error) {
	var r Result
	if err := attempt(ctx, address, false, &r); err != nil || r.Kafka {
		return r, err
	}
	err := attempt(ctx, address, true, &r)
	return r, err
}

// patience bounds one attempt: an address of something else may say nothing at all.
const patience = 3 * time.Second

// attempt connects once. Only a failed connect is an error; a conversation that fails
// leaves the result as it is.
func attempt(ctx context.Context, address string, useTLS bool, r *Result) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	c.SetDeadline(deadline)
	if useTLS {
		host, _, _ := net.SplitHostPort(address)
		t := tls.Client(c, &tls.Config{
			ServerName:         host,
			InsecureSkipVerify: true, // to look, not to trust: nothing is sent that is worth anything
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				r.ClientCertAsked = true
				return &tls.Certificate{}, nil
			},
		})
		if err := t.HandshakeContext(ctx); err != nil {
			// Before TLS 1.3 the want of a certificate ends the handshake.
			if r.ClientCertAsked {
				r.TLS, r.ClientCertIsRequired = true, true
			}
			return nil
		}
		state := t.ConnectionState()
		r.TLS, r.Certificates, r.Version = true, state.PeerCertificates, state.Version
		c = t
	}
	if err := r.converse(c); err != nil && r.ClientCertAsked {
		var op *net.OpError
		r.ClientCertIsRequired = errors.As(err, &op) && op.Op == "remote error" // an alert: in TLS 1.3 it comes late
	}
	return nil
}

// Numbers of the protocol that are needed here.
const (
	keyAPIVersions           = 18
	keySaslHandshake         = 17
	unsupportedMechanism     = 33
	nobodysMechanism         = "PROBE"
	clientID                 = "barnabas-probe"
	apiVersionsCorrelationID = 1
	handshakeCorrelationID   = 2
)

// converse asks for ApiVersions and then for a mechanism that nobody has: a listener with
// SASL answers which ones it does have, another that SASL has no place on it.
func (r *Result) converse(c net.Conn) error {
	in := bufio.NewReader(c)
	if err := send(c, keyAPIVersions, 0, apiVersionsCorrelationID, nil); err != nil {
		return err
	}
	body, err := receive(in, apiVersionsCorrelationID)
	if err != nil {
		return err
	}
	if len(body) < 6 || binary.BigEndian.Uint16(body) != 0 {
		return errors.New("no answer to ApiVersions")
	}
	r.Kafka = true
	if err := send(c, keySaslHandshake, 1, handshakeCorrelationID, appendString(nil, nobodysMechanism)); err != nil {
		return err
	}
	if body, err = receive(in, handshakeCorrelationID); err != nil {
		return err
	}
	if len(body) >= 6 && binary.BigEndian.Uint16(body) == unsupportedMechanism {
		r.SASL = true
		r.Mechanisms = parseStrings(body[2:])
	}
	return nil
}

func appendString(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func send(w io.Writer, key, version uint16, correlationID uint32, body []byte) error {
	b := make([]byte, 4, 64)
	b = binary.BigEndian.AppendUint16(b, key)
	b = binary.BigEndian.AppendUint16(b, version)
	b = binary.BigEndian.AppendUint32(b, correlationID)
	b = append(appendString(b, clientID), body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	_, err := w.Write(b)
	return err
}

func receive(in *bufio.Reader, correlationID uint32) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 4 || size > answerMaxBytes || binary.BigEndian.Uint32(head[4:]) != correlationID {
		return nil, fmt.Errorf("the answer begins with % x, which is not Kafka's", head)
	}
	var body bytes.Buffer // grows with what comes, not with what is announced
	if _, err := io.CopyN(&body, in, int64(size)-4); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

// parseStrings reads an array of strings, as far as it is one.
func parseStrings(b []byte) (list []string) {
	if len(b) < 4 {
		return nil
	}
	count := binary.BigEndian.Uint32(b)
	for b = b[4:]; count > 0 && len(b) >= 2; count-- {
		n := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; n > len(b) {
			break
		}
		list, b = append(list, string(b[:n])), b[n:]
	}
	return list
}
