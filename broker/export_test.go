package broker

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
)

// Store is the broker's metadata store, for tests.
func (b *Broker) Store() metadata.Store { return b.store }

// RequestsOf is how many requests of an API have been begun, for tests.
func (b *Broker) RequestsOf(key int16) int64 { return b.metrics.apis[key].requests() }

// SetAuthTimeout changes how long clients have for authentication, for tests.
func (b *Broker) SetAuthTimeout(d time.Duration) { b.authTimeout.Store(int64(d)) }

// ReloadTLS looks at the files of all listeners, for tests.
func (b *Broker) ReloadTLS() error {
	for _, l := range b.listeners {
		if _, err := l.security.files.Reload(); err != nil {
			return err
		}
	}
	return nil
}

// RemoveExpiredTokens is what the broker does every delegation.token.expiry.check.interval.ms.
func (b *Broker) RemoveExpiredTokens(ctx context.Context, now time.Time) {
	b.removeExpiredTokens(ctx, now)
}

// PutSessionsForward makes the clock that connections to come go by in their authentication
// run ahead, by what advance says each time it is called.
func (b *Broker) PutSessionsForward() (advance func(time.Duration)) {
	var ahead atomic.Int64
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.listeners {
		l.security.gate.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	}
	return func(d time.Duration) { ahead.Add(int64(d)) }
}

// PanicAt makes requests of an API, on connections to come, run into a panic of a kind.
func (b *Broker) PanicAt(key int16, kind string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	row := *b.apis[key]
	handle := row.handle
	row.handle = map[string]func(*Broker, *request){
		"in the handler": func(b *Broker, r *request) { panic("the handler failed at a-secret") },
		"while the answer is put in its place": func(b *Broker, r *request) {
			r.encoded = make([]byte, 8)
			r.attachments = append(r.attachments, attachment{at: 100, to: 0})
			r.replyEncoded() // with the connection's lock held
		},
		"while a coordinator's answer is put in its place": func(b *Broker, r *request) {
			r.attachments = append(r.attachments, attachment{at: 1 << 20})
			handle(b, r)
		},
		"in a goroutine of the request": func(b *Broker, r *request) {
			go func() {
				defer r.conn.contain(r)
				panic(errors.New("it failed"))
			}()
		},
		"after the answer": func(b *Broker, r *request) {
			r.encoded = r.beginResponse(false)
			r.replyEncoded()
			panic("late")
		},
		"in what is shared": func(b *Broker, r *request) { b.timers.start(nil, time.Now(), nil) },
		"in the log":        func(b *Broker, r *request) { (*log.Log)(nil).Flush() },
	}[kind]
	b.apis[key] = &row
}

// Sweep looks at the connections as if it were so much later.
func (b *Broker) Sweep(later time.Duration) {
	b.sweepConnections(b.coarseNow.Load() + int64(later/time.Second))
}

// FetchSessions is how many there are.
func (b *Broker) FetchSessions() int {
	n, _, _ := b.sessions.count()
	return n
}

// Hosts says whether a partition is looked up here.
func (b *Broker) Hosts(topic string, partition int32) bool {
	return b.replicas.Get(topic, partition) != nil
}

// AppendAsIs writes a batch to a partition as a follower does.
func (b *Broker) AppendAsIs(topic string, partition int32, batch []byte) error {
	l, err := b.replicas.Get(topic, partition).Log()
	if err != nil {
		return err
	}
	_, err = l.AppendAsFollower(batch)
	l.SetHighWatermark(l.LogEndOffset())
	return err
}

// WriterOnItsWay sets the connections, on which nothing was written for so long, to where
// another goroutine is about to write to them.
func (b *Broker) WriterOnItsWay(idle time.Duration) {
	b.coarseNow.Add(int64(idle / time.Second))
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		c.mu.Lock()
		c.beginWritingLocked()
		c.mu.Unlock()
	}
}

// Connections is how many there are.
func (b *Broker) Connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}

// Waiting is how many connections wait for the rest of a request, and how many for their
// client to take an answer.
func (b *Broker) Waiting() (requests, answers int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		if c.pace.since.Load() != 0 {
			requests++
		}
		c.mu.Lock()
		if c.writing {
			answers++
		}
		c.mu.Unlock()
	}
	return requests, answers
}

// SlowClosed is how many connections were closed because of slow requests and answers.
func (b *Broker) SlowClosed() (requests, answers int64) {
	return b.metrics.slowRequests.Load(), b.metrics.stalledAnswers.Load()
}

// Pace is for tests what a connection knows of how fast a request comes.
type Pace struct{ p pace }

func (p *Pace) Wait(now int64)                     { p.p.wait(now) }
func (p *Pace) Came(now int64, n, enough int) bool { return p.p.came(now, n, enough) }
func (p *Pace) Whole()                             { p.p.whole() }
func (p *Pace) TooSlow(now int64) bool             { return p.p.tooSlow(now) }

// PanicsEnd says whether this is built so that every panic ends the process.
const PanicsEnd = panicsEnd

// SharedTypes are those in whose methods a panic ends the process.
func SharedTypes() (names []string) {
	for _, t := range sharedTypes {
		names = append(names, t.String())
	}
	return names
}

// panicking is a mechanism at whose tokens something fails.
type panicking struct{ auth.Mechanism }

func (p panicking) Start(auth.Peer) auth.Exchange { panic("the exchange failed at a-secret") }

// PanicInAuthentication makes the beginning of every exchange run into a panic until the
// function that it returns is called.
func (b *Broker) PanicInAuthentication() (over func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opts.PanicsEnd = false
	var undo []func()
	for _, l := range b.listeners {
		for _, m := range l.security.gate.Mechanisms {
			m := m.(*liveMechanism)
			good := m.current.Load()
			undo = append(undo, func() { m.current.Store(good) })
			var bad auth.Mechanism = panicking{*good}
			m.current.Store(&bad)
		}
	}
	return func() {
		for _, f := range undo {
			f()
		}
	}
}

// Strangers is how many clients have yet to prove who they are, and how many processors
// work for them.
func (b *Broker) Strangers() (clients, turns int) { return b.unproved.count(), len(b.unproved.turns) }

// Panics is how many have ended a connection, and the memory that requests hold.
func (b *Broker) Panics() (ended, held int64) { return b.metrics.panics.Load(), b.admitted.held.Load() }

// HoldMemory takes all the memory that requests may have until release is called.
func (b *Broker) HoldMemory() (release func()) {
	limit := b.admitted.limit
	b.admitted.acquire(limit)
	return sync.OnceFunc(func() { b.admitted.release(limit) })
}

// OffsetsMaxBatchBytes is the largest batch that a partition of the offsets topic takes.
func (b *Broker) OffsetsMaxBatchBytes(partition int32) int {
	return offsetsStorage{b}.MaxBatchBytes(partition)
}

// ServeConn serves requests from nc, which is no socket, until it ends.
func (b *Broker) ServeConn(nc net.Conn) {
	c := newConn(b, b.listeners[0], nc, 0)
	c.serve()
}

// ServeFullConn is ServeConn for a connection that has to send before it may answer more.
func (b *Broker) ServeFullConn(nc net.Conn) {
	c := newConn(b, b.listeners[0], nc, 0)
	c.unsent = c.out.add(&request{conn: c, encoded: make([]byte, maxUnsentMemory+1)})
	c.held = c.unsent
	c.serve()
}

// FailedAuthentications is how many have failed, for tests.
func (b *Broker) FailedAuthentications() int64 { return b.metrics.unauthenticated.Load() }

// StrangersBytes is the memory held for clients that have not proved who they are.
func (b *Broker) StrangersBytes() int64 { return b.unproved.memory.Load() }

// SetSlabs changes how many slabs the connections may get from now on.
func (b *Broker) SetSlabs(left int64) { b.slabs.left.Store(left) }

// SlabsLeft is how many slabs the connections may still get.
func (b *Broker) SlabsLeft() int64 { return b.slabs.left.Load() }
