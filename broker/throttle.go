package broker

import (
	"net"
	"time"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/broker/quota"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func newQuotas(c config.Quota) *quota.Manager {
	return quota.NewManager(quota.Options{Windows: c.WindowCount, WindowSize: c.WindowSize,
		ControllerWindows: c.ControllerWindowCount, ControllerWindowSize: c.ControllerWindowSize})
}

// applyToQuotas follows the quotas of the metadata.
func (b *Broker) applyToQuotas(d *metadata.Delta, image *metadata.Image) {
	if len(d.Quotas) > 0 {
		b.quotas.SetLimits(quota.NewLimits(image.AllQuotas()))
	}
}

// use notes what the request's client uses. What it then has to wait is told in the answer
// and enforced after it (KIP-219).
func (r *request) use(kind quota.Kind, amount float64) {
	b := r.conn.b
	if !b.quotas.Limits().Any(kind) {
		return
	}
	r.wait(r.conn.usage.Record(b.quotas, kind, r.session.principal.Name, r.clientID, amount, time.Now()))
}

// useTime notes how long a request has kept this broker busy: from its first byte until
// its handler returned, whatever it waits for after that. It is not in the request's own
// answer, which may be on its way already, but in the connection's next.
func (c *conn) useTime(began time.Time) {
	if !c.b.quotas.Limits().Any(quota.Request) {
		return
	}
	now := time.Now()
	percent := float64(now.Sub(began)) / float64(time.Second) * 100
	c.usage.Record(c.b.quotas, quota.Request, c.session.Load().principal.Name, c.clientID, percent, now)
}

func (r *request) wait(d time.Duration) { r.throttle = max(r.throttle, d) }

// throttleMs is what the answer says, and silences the connection for as long. It is
// called once, when the answer is encoded.
func (r *request) throttleMs() int32 {
	if r.key != protocol.KeyFetch || r.throttle == 0 {
		// A fetch that is over its bandwidth waits for that alone, as on Apache.
		r.use(quota.Request, 0)
	}
	if r.throttle > 0 {
		r.conn.mute(r.throttle)
	}
	return int32(r.throttle.Milliseconds())
}

// setThrottle puts the request's wait into an answer that has room for it.
func (r *request) setThrottle(resp kmsg.Response) {
	if ms := r.throttleMs(); ms > 0 {
		if t, ok := resp.(kmsg.SetThrottleResponse); ok {
			t.SetThrottle(ms)
		}
	}
}

// mute keeps the connection from being read for d from now, whatever becomes of the wall
// clock.
func (c *conn) mute(d time.Duration) {
	until := int64(time.Since(c.b.started) + d)
	for {
		have := c.mutedUntil.Load()
		if have >= until || c.mutedUntil.CompareAndSwap(have, until) {
			return
		}
	}
}

// waitMuted waits until the connection may be read, after it has sent what is answered.
// The reading goroutine calls it before it begins a request.
func (c *conn) waitMuted() error {
	if err := c.flush(); err != nil {
		return err
	}
	for {
		until := c.mutedUntil.Load()
		left := time.Duration(until) - time.Since(c.b.started)
		if left <= 0 {
			c.mutedUntil.CompareAndSwap(until, 0)
			c.touch()
			return nil
		}
		c.touch()
		c.mu.Lock()
		over := time.AfterFunc(min(left, time.Minute), func() { // not before Wait has given mu up
			c.mu.Lock()
			c.room.Broadcast()
			c.mu.Unlock()
		})
		if !c.closed {
			c.room.Wait()
		}
		closed := c.closed
		c.mu.Unlock()
		over.Stop()
		if closed {
			return net.ErrClosed
		}
	}
}

// mutate spends partitions of the client's controller_mutation_rate. From the version on
// that knows the error a client in debt is refused; older ones are only silenced (KIP-599).
func (r *request) mutate(strictFrom int16, partitions int) error {
	b := r.conn.b
	if partitions <= 0 || !b.quotas.Limits().Any(quota.ControllerMutation) {
		return nil
	}
	user, now := r.session.principal.Name, time.Now()
	if r.version < strictFrom {
		r.wait(r.conn.usage.Record(b.quotas, quota.ControllerMutation, user, r.clientID, float64(partitions), now))
		return nil
	}
	d, ok := r.conn.usage.Admit(b.quotas, user, r.clientID, float64(partitions), now)
	r.wait(d)
	if !ok {
		return protocol.Errorf(protocol.ErrThrottlingQuotaExceeded, "The throttling quota has been exceeded.")
	}
	return nil
}

// Versions from which a client in debt is refused (KIP-599).
const (
	strictCreateTopics     = 6
	strictDeleteTopics     = 5
	strictCreatePartitions = 3
)

// mutateBy is mutate for a change that may only be validated, which costs nothing.
func (b *Broker) mutateBy(r *request, strictFrom int16, validateOnly bool, partitions int) error {
	if validateOnly {
		return nil
	}
	return r.mutate(strictFrom, partitions)
}

// partitionsOf is how many partitions a new topic asks for.
func (b *Broker) partitionsOf(t *metadata.NewTopic) int {
	switch {
	case len(t.Assignments) > 0:
		return len(t.Assignments)
	case t.Partitions > 0:
		return int(t.Partitions)
	default:
		return int(b.config().Broker().Topics.NumPartitions)
	}
}

// maxLingering is how many refused connections are kept open for their wait; more are
// closed at once, so that waiting costs a flood something and not us.
const maxLingering = 1000

// tooManyFrom applies the quota of an address on new connections (KIP-612). A connection
// over it is closed, as on Apache not at once but after its wait, at most one window: a
// client that only comes again when it is turned away comes that much slower.
func (b *Broker) tooManyFrom(nc net.Conn) bool {
	if !b.quotas.Limits().Any(quota.ConnectionCreation) {
		return false
	}
	d := b.quotas.RecordConnection(peerAddr(nc).String(), time.Now())
	if d == 0 {
		return false
	}
	if b.lingering.Add(1) > maxLingering {
		b.lingering.Add(-1)
		nc.Close()
		return true
	}
	time.AfterFunc(d, func() {
		b.lingering.Add(-1)
		nc.Close()
	})
	return true
}
