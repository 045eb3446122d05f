package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/broker/audit"
	"github.com/barnabas-broker/barnabas/protocol"
)

// errUnproved ends a connection whose client has not proved who it is. It has been told of.
var errUnproved = errors.New("the client has not proved who it is")

// errTokenGone is why a login by a delegation token does not count.
var errTokenGone = errors.New("the delegation token has been removed meanwhile")

// Names that the audit record has, beside those of SASL mechanisms, for what vouched.
const (
	byTLS       = "TLS"       // the client's certificate, or a TLS listener that asks for none
	bySASL      = "SASL"      // a mechanism that has not been named
	byAddress   = "ADDRESS"   // barnabas.address.principals
	byAnonymous = "ANONYMOUS" // nothing
)

// beginAuthentication readies the connection for requests as far as its listener asks: the TLS handshake
// at once, SASL by the gate that the reading goroutine then asks about each frame.
func (c *conn) beginAuthentication() error {
	s := &c.listener.security
	overTLS := s.tls != nil
	if overTLS && s.tlsOptional && c.raw != nil {
		var err error
		if overTLS, err = c.beginsWithTLS(); err != nil {
			c.refused(byTLS, "", err)
			return errUnproved
		}
	}
	if !overTLS && s.tls != nil && c.b.wantsCertificates(c.listener.cfg) {
		c.refused(byTLS, "", errors.New("a client without TLS, where ssl.client.auth=required has been set since the start"))
		return errUnproved
	}
	if overTLS {
		state, err := c.handshake(s.tls)
		if err != nil {
			c.refused(byTLS, "", err)
			return errUnproved
		}
		c.touch()
		if s.gate == nil {
			return c.proveByCertificate(state)
		}
	}
	if s.gate == nil {
		return c.beStranger(s.tlsOptional)
	}
	c.gate = auth.NewGate(s.gate, auth.Peer{Listener: c.listener.name, Address: c.peer.Addr(), TLS: overTLS})
	if s.gate.Anonymous {
		return c.beStranger(true)
	}
	c.startAuthTimer()
	return nil
}

// beginsWithTLS looks at the first byte, which stays where it is: 22 is that of a TLS
// handshake, and would be a request of more than 350 MB.
func (c *conn) beginsWithTLS() (bool, error) {
	c.tcp.SetReadDeadline(time.Now().Add(time.Duration(c.b.authTimeout.Load())))
	var first [1]byte
	var n int
	var failed error
	err := c.raw.Read(func(fd uintptr) bool {
		for {
			n, _, failed = unix.Recvfrom(int(fd), first[:], unix.MSG_PEEK)
			if failed != unix.EINTR {
				return failed != unix.EAGAIN
			}
		}
	})
	c.tcp.SetReadDeadline(time.Time{})
	switch {
	case err != nil:
		return false, err
	case failed != nil:
		return false, failed
	case n == 0:
		return false, io.EOF
	}
	return first[0] == 22, nil
}

// handshake puts TLS over the connection.
func (c *conn) handshake(config *tls.Config) (tls.ConnectionState, error) {
	under := &handshakeConn{Conn: c.net, unproved: c.b.unproved}
	t := tls.Server(under, config)
	c.mu.Lock()
	c.net, c.raw = t, nil
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(c.b.ctx, time.Duration(c.b.authTimeout.Load()))
	defer cancel()
	c.b.unproved.takeTurn()
	defer c.b.unproved.endTurn()
	err := t.HandshakeContext(ctx)
	under.over = true
	return t.ConnectionState(), err
}

// beStranger lets a client be served that proves nothing. It is told of where a listener
// asks others for a proof, and where the client is somebody by its address.
func (c *conn) beStranger(told bool) error {
	p, mapped := c.listener.security.stranger(c.address())
	c.b.unproved.leave(c)
	mechanism := byAnonymous
	if mapped {
		mechanism = byAddress
	}
	if !told && !mapped || !c.b.audit.Enabled() {
		return nil
	}
	return c.b.audit.Record(c.event(audit.Succeeded, mechanism, p.String()))
}

// proveByCertificate makes the session of a client of an SSL listener.
func (c *conn) proveByCertificate(state tls.ConnectionState) error {
	s := &c.listener.security
	if len(state.PeerCertificates) == 0 {
		p, mapped := s.stranger(c.address())
		if mapped {
			return c.becomes(auth.Identity{Principal: p, Mechanism: byAddress}, nil, false)
		}
		return c.becomes(auth.Identity{Principal: p, Mechanism: byTLS}, nil, false)
	}
	p, err := s.mapper.Principal(state)
	if err != nil {
		c.refused(byTLS, "", err)
		return errUnproved
	}
	return c.proved(auth.Identity{Principal: p, Mechanism: byTLS}, nil)
}

// proved swaps the session for that of a proved identity.
func (c *conn) proved(who auth.Identity, previous *auth.Identity) error {
	return c.becomes(who, previous, true)
}

// becomes swaps the session.
func (c *conn) becomes(who auth.Identity, previous *auth.Identity, proved bool) error {
	c.b.unproved.leave(c)
	c.b.metrics.authenticated.Add(1)
	c.session.Store(&session{principal: who.Principal, host: c.peer.Addr(), listener: c.listener, tokenID: who.TokenID, proved: proved})
	if who.TokenID != "" && !c.b.tokens.known(who.TokenID) {
		// Removed after it was looked up; whoever closed its sessions may not have seen this one.
		c.refused(who.Mechanism, who.Principal.String(), errTokenGone)
		return errTokenGone
	}
	if !c.b.audit.Enabled() {
		return nil
	}
	e := c.event(audit.Succeeded, who.Mechanism, who.Principal.String())
	if previous != nil && previous.Principal != who.Principal {
		e.Previous = previous.Principal.String()
	}
	return c.b.audit.Record(e)
}

// refused tells of a client that did not prove who it is, once.
func (c *conn) refused(mechanism, principal string, reason error) {
	if c.told.Swap(true) {
		return
	}
	c.b.metrics.unauthenticated.Add(1)
	if c.b.audit.Enabled() {
		e := c.event(audit.Failed, mechanism, principal)
		e.Reason = reason.Error()
		if c.gate != nil && c.gate.Identity() != nil {
			e.Previous = c.gate.Identity().Principal.String()
		}
		c.b.audit.Record(e)
	}
	key := "authentication " + c.listener.name + " " + c.peer.Addr().String()
	if skipped, ok := c.b.refusals.Say(key, time.Now()); ok {
		c.logger().Info("failed authentication", "mechanism", mechanism, "reason", reason, "repeated", skipped)
	}
}

func (c *conn) event(outcome audit.Outcome, mechanism, principal string) audit.Event {
	return audit.Event{Kind: audit.Authentication, Outcome: outcome, Principal: principal, Peer: acl.HostText(c.peer.Addr()),
		Listener: c.listener.name, Connection: c.id, Mechanism: mechanism}
}

// startAuthTimer closes the connection if its client proves nothing in time.
func (c *conn) startAuthTimer() {
	c.unproved.Store(true)
	c.b.timers.stop(&c.authTimer)
	c.b.timers.start(&c.authTimer, time.Now().Add(time.Duration(c.b.authTimeout.Load())), func() {
		if c.unproved.Load() {
			c.refused(bySASL, "", errors.New("no authentication in time"))
			c.close()
		}
	})
}

func (c *conn) stopAuthTimer() {
	c.unproved.Store(false)
	c.b.timers.stop(&c.authTimer)
}

// pass asks the gate about a frame. It reports whether the frame is a request that is to be
// served; all else it does itself.
func (c *conn) pass(frame []byte) (bool, error) {
	served := c.gate.Serves()
	if served && c.listener.security.changes() && isHandshake(frame) {
		if err := c.waitAnswered(); err != nil {
			return false, err
		}
	}
	v := c.judge(frame, served)
	switch v.Do {
	case auth.Serve, auth.ServeAPIVersions:
		return true, nil
	case auth.Reply:
		return false, c.replyToToken(frame, &v, served)
	case auth.CloseDelayed:
		return false, c.closeDelayed(frame, &v)
	}
	if v.Expired {
		c.b.metrics.expired.Add(1)
		c.logger().Info("closing a connection whose session has expired", "principal", c.session.Load().principal.String())
		return false, errUnproved
	}
	c.refused(cmp.Or(v.Mechanism, bySASL), "", v.Err)
	return false, errUnproved
}

// judge has the gate look at a frame. A client that is not served has a turn for just that:
// what follows may wait for its socket.
func (c *conn) judge(frame []byte, served bool) auth.Verdict {
	if !served {
		c.b.unproved.takeTurn()
		defer c.b.unproved.endTurn()
	}
	return c.gate.Frame(frame)
}

func isHandshake(frame []byte) bool {
	return len(frame) >= 2 && int16(binary.BigEndian.Uint16(frame)) == protocol.KeySASLHandshake
}

// waitAnswered waits until no request is under way: what one principal has begun is over
// before the connection is another's.
func (c *conn) waitAnswered() error {
	if err := c.flush(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.inFlight > 0 && !c.closed {
		c.room.Wait()
	}
	if c.closed {
		return net.ErrClosed
	}
	return nil
}

// replyToToken sends the gate's answer to a step of an authentication.
func (c *conn) replyToToken(frame []byte, v *auth.Verdict, served bool) error {
	switch {
	case v.Authenticated != nil:
		c.stopAuthTimer()
		switch err := c.proved(*v.Authenticated, v.Previous); {
		case errors.Is(err, errTokenGone):
			return errUnproved
		case err != nil:
			c.logger().Error("closing a connection: its authentication cannot be recorded", "err", err)
			return errUnproved
		}
	case v.Refused != nil:
		// Some clients leave with that, and have tried all the same.
		c.refused(v.Mechanism, "", v.Refused)
	case served:
		c.startAuthTimer()
	}
	if v.Answer == nil {
		return nil
	}
	r := c.tokenRequest(frame)
	if err := c.enqueue(r); err != nil {
		return err
	}
	c.b.metrics.began(r)
	r.encoded = append(r.encoded[:0], v.Answer...)
	c.complete(r)
	return nil
}

// tokenRequest gives the answer to a frame that the gate kept its place among the answers.
func (c *conn) tokenRequest(frame []byte) *request {
	r := requests.Get().(*request)
	r.conn, r.session, r.received = c, c.session.Load(), time.Now()
	r.key = protocol.KeySASLAuthenticate
	if h, err := protocol.ParseRequestHeader(frame); err == nil && h.Key == protocol.KeySASLHandshake {
		r.key, r.version = h.Key, h.Version
	}
	return r
}

// closeDelayed closes the connection after connection.failed.authentication.delay.ms, with
// the gate's answer right before it. Nothing is read and no buffer is held meanwhile.
func (c *conn) closeDelayed(frame []byte, v *auth.Verdict) error {
	c.refused(cmp.Or(v.Mechanism, bySASL), "", v.Err)
	if v.Answer == nil && v.Code != protocol.None {
		if err := c.b.refuseInItsForm(frame, v); err != nil {
			return errUnproved
		}
	}
	return c.park(c.tokenRequest(frame), v.Answer, c.b.config().Broker().Network.ConnectionFailedAuthDelay)
}

// frameSize says whether a frame of the size may come while the gate has a limit of its own.
func (c *conn) frameSize(size int) error {
	most := c.gate.MaxFrameBytes()
	if c.gate.Open() || most == 0 {
		return c.requestSize(size)
	}
	if size >= 0 && size <= most {
		return nil
	}
	v := c.gate.BadFrameSize(size)
	c.b.metrics.badFrames.Add(1)
	return c.closeDelayed(nil, &v)
}
