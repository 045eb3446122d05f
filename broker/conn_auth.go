package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/broker/audit"
	"github.com/barnabas-broker/barnabas/protocol"
)

// authTimeout is how long a client has to prove who it is, from the first byte of a TLS
// handshake or of a SASL exchange to its end. Kafka knows no such limit.
const authTimeout = 10 * time.Second

// errUnproved ends a connection whose client has not proved who it is. It has been told of.
var errUnproved = errors.New("the client has not proved who it is")

// beginAuthentication readies the connection for requests as far as its listener asks: the TLS handshake
// at once, SASL by the gate that the reading goroutine then asks about each frame.
func (c *conn) beginAuthentication() error {
	s := &c.listener.security
	if s.tls == nil && s.gate == nil {
		return nil
	}
	if t, ok := c.net.(*tls.Conn); ok {
		ctx, cancel := context.WithTimeout(c.b.ctx, time.Duration(c.b.authTimeout.Load()))
		err := t.HandshakeContext(ctx)
		cancel()
		if err != nil {
			c.refused("TLS", "", err)
			return errUnproved
		}
		c.touch()
		if s.gate == nil {
			return c.proveByCertificate(t.ConnectionState())
		}
	}
	c.gate = auth.NewGate(s.gate, auth.Peer{Listener: c.listener.name, Address: c.peer.Addr(), TLS: s.tls != nil})
	c.startAuthTimer()
	return nil
}

// proveByCertificate makes the session of a client of an SSL listener.
func (c *conn) proveByCertificate(state tls.ConnectionState) error {
	p, err := c.listener.security.mapper.Principal(state)
	if err != nil {
		c.refused("TLS", "", err)
		return errUnproved
	}
	return c.proved(auth.Identity{Principal: p, Mechanism: "TLS"})
}

// proved swaps the session for that of a proved identity.
func (c *conn) proved(who auth.Identity) error {
	c.b.metrics.authenticated.Add(1)
	c.session.Store(&session{principal: who.Principal, host: c.peer.Addr(), listener: c.listener, tokenID: who.TokenID})
	if !c.b.audit.Enabled() {
		return nil
	}
	return c.b.audit.Record(c.event(audit.Succeeded, who.Mechanism, who.Principal.String()))
}

// refused tells of a client that did not prove who it is.
func (c *conn) refused(mechanism, principal string, reason error) {
	c.b.metrics.unauthenticated.Add(1)
	if c.b.audit.Enabled() {
		e := c.event(audit.Failed, mechanism, principal)
		e.Reason = reason.Error()
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
			c.refused("SASL", "", errors.New("no authentication in time"))
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
	open := c.gate.Open()
	v := c.gate.Frame(frame)
	switch v.Do {
	case auth.Serve, auth.ServeAPIVersions:
		return true, nil
	case auth.Reply:
		return false, c.replyToToken(frame, &v, open)
	case auth.CloseDelayed:
		return false, c.closeDelayed(frame, &v)
	}
	if v.Expired {
		c.b.metrics.expired.Add(1)
		c.logger().Info("closing a connection whose session has expired", "principal", c.session.Load().principal.String())
		return false, errUnproved
	}
	c.refused("SASL", "", v.Err)
	return false, errUnproved
}

// replyToToken sends the gate's answer to a step of an authentication.
func (c *conn) replyToToken(frame []byte, v *auth.Verdict, wasOpen bool) error {
	switch {
	case v.Authenticated != nil:
		c.stopAuthTimer()
		if err := c.proved(*v.Authenticated); err != nil {
			c.logger().Error("closing a connection: its authentication cannot be recorded", "err", err)
			return errUnproved
		}
	case wasOpen:
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
	c.refused("SASL", "", v.Err)
	r := c.tokenRequest(frame)
	c.start, c.end = 0, 0
	c.releaseBuffers()
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.waitUntil(time.Now().Add(c.b.config().Broker().Network.ConnectionFailedAuthDelay)); err != nil {
		return err
	}
	if v.Answer == nil {
		return errUnproved
	}
	if err := c.enqueue(r); err != nil {
		return err
	}
	c.b.metrics.began(r)
	r.encoded = append(r.encoded[:0], v.Answer...)
	c.hangUpAfter(r)
	if err := c.flush(); err != nil {
		return err
	}
	// Answers to earlier requests are still to come, or somebody else is writing.
	return c.waitUntil(time.Now().Add(time.Duration(c.b.authTimeout.Load())))
}

// waitUntil waits for a moment or, with an error, for the connection's end.
func (c *conn) waitUntil(moment time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	over := time.AfterFunc(time.Until(moment), func() {
		c.mu.Lock()
		c.room.Broadcast()
		c.mu.Unlock()
	})
	defer over.Stop()
	for !c.closed && time.Now().Before(moment) {
		c.room.Wait()
	}
	if c.closed {
		return net.ErrClosed
	}
	return nil
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
