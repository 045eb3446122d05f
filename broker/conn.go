package broker

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/broker/quota"
)

const (
	// maxInFlight bounds the requests of one connection that wait for their answers. A
	// client that has more gets its next request read when one is answered.
	maxInFlight = 1024
	// maxUnsent bounds the answers of one connection that wait for its socket; past it
	// nothing more is read from the connection.
	maxUnsent = 1 << 20
	// maxUnsentMemory bounds the part of them that is held in memory, which regions of log
	// files are not, with the answers that wait for an earlier one to be ready: with the
	// one that passes it they mostly fit a slab.
	maxUnsentMemory = slabSize - 8<<10
	// scarceUnsentMemory is that bound while there are no slabs.
	scarceUnsentMemory = littleBuffer / 2
)

// session is who is on a connection: an immutable snapshot, swapped whole.
type session struct {
	principal auth.Principal
	host      netip.Addr // the peer's address
	listener  *listener
	tokenID   string // of the delegation token that proved the principal; else ""
	proved    bool   // by SASL or a certificate; not by an address or by nothing
}

// conn is one client connection.
//
// Lock order: conn.mu is a leaf; nothing is called with it held.
type conn struct {
	// Constant after newConn.
	b        *Broker
	listener *listener
	tcp      *net.TCPConn
	peer     netip.AddrPort
	id       uint64

	// The transport: tcp, or TLS over it. Changed once, with mu held, before the first byte is
	// read or written.
	net net.Conn
	raw syscall.RawConn // nil where the transport is not a bare TCP socket

	gate      *auth.Gate   // of a SASL listener; used by the reading goroutine alone
	authTimer timer        // of the authentication, then of the end after its failure
	unproved  atomic.Bool  // authTimer counts
	told      atomic.Bool  // of the client that it did not prove who it is
	lingers   atomic.Bool  // the connection ends in peace, see linger
	waiting   waitingProof // guarded by Broker.unproved.mu
	charged   int          // of the bytes that unproved counts, those in buf

	session    atomic.Pointer[session]
	usage      quota.Client // what it uses of its quotas
	mutedUntil atomic.Int64 // end of a quota's silence, in nanoseconds since Broker.started
	decisions  acl.Cache    // what its principal may do
	lastActive atomic.Int64 // broker's coarse clock, seconds; for connections.max.idle.ms

	// Used by the reading goroutine alone.
	slab     *slab
	buf      []byte // what is being parsed: the slab, a larger buffer for one frame, or a smaller one for want of slabs
	start    int    // buf[start:end] has been read and not been parsed
	end      int
	clientID string // of the last request: most connections have one
	// What the client says it is (KIP-511); empty before ApiVersions.
	softwareName    string
	softwareVersion string
	proven          int // the largest frame that came whole: so much the peer may get at once
	readFn          func(fd uintptr) bool
	readN           int
	readErr         error
	stub            []byte // the beginning of a frame, while no buffer is held
	readAt          time.Time
	pace            pace
	run             *produceRun // requests that are begun and not appended, or nil
	beginning       *request    // the last that was read; only compared, for it may be another's by now
	undecoded       *request    // what decode failed at
	target          target

	doomed atomic.Bool // nothing more is begun: a request closes the connection

	send sender // used by whoever has set writing

	mu       sync.Mutex
	room     sync.Cond // on mu: in-flight count or unsent bytes went down, or closed
	head     *request  // the oldest request not yet handed to out
	tail     *request
	inFlight int
	inline   *request // the request whose handler the reading goroutine is in
	out      output   // answers in order, not yet taken by a writer
	spare    output   // the writer's other buffer
	writing  bool     // somebody is in writeLoop
	sent     int64    // broker's coarse clock, when the client last took something, while writing
	unsent   int      // bytes in out and with the writer
	held     int      // bytes in memory of these and of the answers that are ready in the queue
	hangUp   *request // close once everything before it is sent
	closed   bool
}

func newConn(b *Broker, l *listener, nc net.Conn, id uint64) *conn {
	c := &conn{b: b, listener: l, net: nc, id: id}
	c.room.L = &c.mu
	if addr, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.peer = addr.AddrPort()
		c.peer = netip.AddrPortFrom(c.peer.Addr().Unmap(), c.peer.Port())
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		c.tcp = tcp
		c.raw, _ = tcp.SyscallConn()
	}
	c.readFn = c.tryRead
	c.send.init(c)
	stranger, _ := l.security.stranger(c.address())
	c.session.Store(&session{principal: stranger, host: c.peer.Addr(), listener: l})
	c.touch()
	return c
}

// address is the peer's, without a zone.
func (c *conn) address() netip.Addr { return c.peer.Addr().WithZone("") }

func (c *conn) touch() { c.lastActive.Store(c.b.coarseNow.Load()) }

func (c *conn) logger() *slog.Logger {
	return c.b.logger.With("peer", c.peer.String(), "listener", c.listener.name, "connection", c.id)
}

// serve reads and begins requests until the connection ends.
func (c *conn) serve() {
	defer c.containReading()
	err := c.beginAuthentication()
	if err == nil {
		err = c.readLoop()
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.ECONNRESET) {
		var bad *badFrameError
		if errors.As(err, &bad) {
			c.b.metrics.badFrames.Add(1)
			c.logger().Warn("closing the connection", "reason", bad.reason)
		} else {
			c.logger().Debug("connection ended", "err", err)
		}
	}
	if !errors.Is(err, errParked) {
		c.close()
		c.stopAuthTimer()
	}
	c.b.telemetry.forget(c.id)
	c.releaseBuffers()
}

// badFrameError says why bytes that arrived cannot be a request.
type badFrameError struct{ reason string }

func (e *badFrameError) Error() string { return e.reason }

func badFrame(format string, args ...any) error {
	return &badFrameError{fmt.Sprintf(format, args...)}
}

func (c *conn) readLoop() error {
	for {
		if err := c.fillAtPace(); err != nil {
			return err
		}
		c.readAt = time.Now()
		for {
			if !c.hasFrame() {
				c.appendRun() // the next frame may move what it has in the buffer
			}
			frame, err := c.nextFrame()
			if err != nil {
				return c.refuseFrame(err)
			}
			if frame == nil {
				break
			}
			if c.mutedUntil.Load() != 0 {
				if err := c.waitMuted(); err != nil {
					return err
				}
			}
			if c.gate != nil {
				request, err := c.pass(frame)
				if err != nil {
					c.flush()
					return err
				}
				if !request {
					continue
				}
			}
			if err := c.b.begin(c, frame); err != nil {
				return c.refuseFrame(err)
			}
			if c.doomed.Load() {
				return c.discard()
			}
			c.dropLargeBuffer()
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
}

// fillAtPace is fill, with an eye on how fast the rest of a request comes. Only a whole
// request, or as much of it as may be expected of a slow client, is a sign of life.
func (c *conn) fillAtPace() error {
	have := c.end - c.start
	if have == 0 {
		c.pace.whole()
		if err := c.fill(); err != nil {
			return err
		}
		if c.hasFrame() {
			c.touch()
		}
		return nil
	}
	c.pace.wait(c.b.coarseNow.Load())
	if err := c.fill(); err != nil {
		return err
	}
	enough := c.b.config().Broker().Network.MinRequestRate * int(paceWindow/time.Second)
	came := c.pace.came(c.b.coarseNow.Load(), c.end-c.start-have, enough)
	if c.hasFrame() {
		c.pace.whole()
		came = true
	}
	if came {
		c.touch()
	}
	return nil
}

// refuseFrame ends the connection because of bytes that are no request. What was asked
// before them is answered first, as by a broker that takes one request after the other.
func (c *conn) refuseFrame(err error) error {
	var bad *badFrameError
	c.appendRun()
	c.mu.Lock()
	earlier := c.inFlight > 0
	c.mu.Unlock()
	if !errors.As(err, &bad) || !earlier || c.shut() {
		c.flush()
		return err
	}
	c.b.metrics.badFrames.Add(1)
	c.logger().Warn("closing the connection", "reason", bad.reason)
	r := requests.Get().(*request)
	r.conn, r.session, r.received, r.uncounted = c, c.session.Load(), time.Now(), true
	if err := c.enqueue(r); err != nil {
		return err
	}
	c.hangUpAfter(r)
	return c.discard()
}

// discard waits for the end of a connection that is about to be closed. Nothing that
// stands behind the request that closes it is begun.
func (c *conn) discard() error {
	if err := c.flush(); err != nil {
		return err
	}
	c.dropLargeBuffer()
	for {
		c.start, c.end = 0, 0
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// close ends the connection. Requests under way are told; their answers go nowhere.
func (c *conn) close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	var told []func()
	for r := c.head; r != nil; r = r.next {
		if r.onClose != nil && !r.done {
			told = append(told, r.onClose)
			r.onClose = nil
		}
	}
	c.out.release()
	c.room.Broadcast()
	nc := c.net
	c.mu.Unlock()

	nc.Close()
	for _, f := range told {
		f()
	}
	c.b.forget(c)
}

// setOnClose has f called when the connection closes before r is answered. It reports
// false, and does not keep f, when the connection is closed already.
func (c *conn) setOnClose(r *request, f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if !r.done {
		r.onClose = f
	}
	return true
}
