package broker

import (
	"encoding/binary"
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

	"golang.org/x/sys/unix"

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
	// files are not, with the answers that wait for an earlier one to be ready.
	maxUnsentMemory = slabSize
)

// maxStub is how much of a frame is kept aside while the rest of it is waited for, so that
// a connection with so little holds no slab.
const maxStub = 2 << 10

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
	lingers   atomic.Bool  // the connection ends in peace, see linger
	waiting   waitingProof // guarded by Broker.unproved.mu
	charged   int          // of the bytes that unproved counts, those in buf

	session    atomic.Pointer[session]
	usage      quota.Client // what it uses of its quotas
	mutedUntil atomic.Int64 // end of a quota's silence, in Unix nanoseconds
	decisions  acl.Cache    // what its principal may do
	lastActive atomic.Int64 // broker's coarse clock, seconds; for connections.max.idle.ms

	// Used by the reading goroutine alone.
	slab     *[]byte
	buf      []byte // what is being parsed: the slab, or a larger buffer for one frame
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
	run             *produceRun // requests that are begun and not appended, or nil
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
		if err := c.fill(); err != nil {
			return err
		}
		c.touch()
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

// refuseFrame ends the connection because of bytes that are no request. What was asked
// before them is answered first, as by a broker that takes one request after the other.
func (c *conn) refuseFrame(err error) error {
	var bad *badFrameError
	c.appendRun()
	c.mu.Lock()
	earlier := c.inFlight > 0
	c.mu.Unlock()
	if !errors.As(err, &bad) || !earlier || c.gate != nil {
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

// fill reads what has arrived into buf, waiting for at least one byte. While it waits
// with next to nothing buffered the connection holds no slab.
func (c *conn) fill() error {
	if c.start == c.end {
		c.start, c.end = 0, 0
	}
	if c.raw == nil {
		return c.fillPlain()
	}
	if err := c.raw.Read(c.readFn); err != nil {
		return err
	}
	if c.readErr != nil {
		return c.readErr
	}
	if c.readN == 0 {
		return io.EOF
	}
	c.end += c.readN
	return nil
}

// tryRead is one attempt of fill, called by the poller's wrapper around the socket;
// false means wait until the socket is readable and come again.
func (c *conn) tryRead(fd uintptr) bool {
	if c.buf == nil {
		c.leaseBuffer()
		c.start, c.end = 0, copy(c.buf, c.stub)
		c.stub = c.stub[:0]
	}
	for {
		n, err := unix.Read(int(fd), c.buf[c.end:])
		switch err {
		case nil:
			c.readN, c.readErr = n, nil
			return true
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			if have := c.end - c.start; c.slab != nil && have <= maxStub {
				c.stub = append(c.stub, c.buf[c.start:c.end]...)
				c.releaseBuffers()
				c.start, c.end = 0, 0
			} else if have == 0 {
				c.releaseBuffers()
			}
			return false
		default:
			c.readN, c.readErr = 0, err
			return true
		}
	}
}

// fillPlain is fill on a transport that is no bare socket. Between requests it waits with a
// small buffer of its own.
func (c *conn) fillPlain() error {
	if c.start == c.end && c.buf != nil {
		c.releaseBuffers()
	}
	if c.buf == nil {
		if c.stub == nil {
			c.stub = make([]byte, maxStub)
		}
		n, err := c.net.Read(c.stub)
		if n == 0 {
			return err
		}
		c.leaseBuffer()
		c.start, c.end = 0, copy(c.buf, c.stub[:n])
		return nil
	}
	n, err := c.net.Read(c.buf[c.end:])
	c.end += n
	if n > 0 {
		return nil
	}
	return err
}

// nextFrame returns the next whole request without its size, nil when more must be read
// first. It makes room in buf for the rest of a frame that has begun.
func (c *conn) nextFrame() ([]byte, error) {
	have := c.end - c.start
	if have < 4 {
		c.makeRoom(4)
		return nil, nil
	}
	size := int(int32(binary.BigEndian.Uint32(c.buf[c.start:])))
	if c.gate != nil {
		if err := c.frameSize(size); err != nil {
			return nil, err
		}
	} else if err := c.requestSize(size); err != nil {
		return nil, err
	}
	if have >= 4+size {
		frame := c.buf[c.start+4 : c.start+4+size]
		c.start += 4 + size
		c.proven = max(c.proven, 4+size)
		return frame, nil
	}
	if c.shut() {
		return nil, c.makeLittleRoom(4 + size)
	}
	c.makeRoom(4 + size)
	return nil, nil
}

// hasFrame says whether the next request has arrived whole.
func (c *conn) hasFrame() bool {
	have := c.end - c.start
	if have < 4 {
		return false
	}
	size := int(int32(binary.BigEndian.Uint32(c.buf[c.start:])))
	return size >= 0 && have-4 >= size
}

// shut says whether what arrives is of a client that has yet to prove who it is. It gets
// no slab, but as much memory as it has sent bytes.
func (c *conn) shut() bool { return c.gate != nil && !c.gate.Serves() }

// leaseBuffer gets the connection a buffer to read into.
func (c *conn) leaseBuffer() {
	if c.shut() {
		c.buf = make([]byte, maxStub)
		return
	}
	c.slab = getSlab()
	c.buf = *c.slab
}

// makeLittleRoom is makeRoom for a client that has yet to prove who it is.
func (c *conn) makeLittleRoom(size int) error {
	have := c.end - c.start
	if c.buf == nil || c.start+size <= len(c.buf) || c.end < len(c.buf) {
		return nil
	}
	if c.start > 0 && have+min(size-have, maxStub/2) <= len(c.buf) {
		copy(c.buf, c.buf[c.start:c.end])
		c.start, c.end = 0, have
		return nil
	}
	room := min(size, max(2*have, maxStub))
	if !c.b.unproved.takeMemory(room) {
		return badFrame("clients that have not proved who they are hold all of barnabas.max.unauthenticated.bytes")
	}
	bigger := make([]byte, room)
	copy(bigger, c.buf[c.start:c.end])
	c.releaseBuffers()
	c.buf, c.start, c.end, c.charged = bigger, 0, have, room
	return nil
}

// requestSize says whether a request may be of the size.
func (c *conn) requestSize(size int) error {
	if size <= 0 || size > c.b.limits.requestMaxBytes {
		return badFrame("the size of a request is %d, which is not between 1 and socket.request.max.bytes=%d",
			size, c.b.limits.requestMaxBytes)
	}
	return nil
}

// makeRoom lets buf take more of a frame of size bytes that starts at start. The buffer
// grows at most to twice of what has really arrived, or to what has arrived whole before:
// a peer that only claims a length gets no memory for it.
func (c *conn) makeRoom(size int) {
	if c.buf == nil || c.start+size <= len(c.buf) {
		return
	}
	have := c.end - c.start
	if c.start > 0 && have+min(size-have, slabSize/2) <= len(c.buf) {
		copy(c.buf, c.buf[c.start:c.end])
		c.start, c.end = 0, have
		return
	}
	if c.end < len(c.buf) {
		return // fill what there is first
	}
	bigger := getBuffer(min(size, max(2*have, 2*slabSize, c.proven)))
	copy(bigger, c.buf[c.start:c.end])
	c.releaseBuffers()
	c.buf, c.start, c.end = bigger, 0, have
}

// dropLargeBuffer goes back to a slab after a frame that needed more than one.
func (c *conn) dropLargeBuffer() {
	if c.slab != nil || c.buf == nil {
		return
	}
	rest := c.buf[c.start:c.end]
	if len(rest) > slabSize/2 {
		return
	}
	if len(rest) == 0 {
		c.releaseBuffers()
		c.start, c.end = 0, 0
		return
	}
	slab := getSlab()
	copy(*slab, rest)
	c.releaseBuffers()
	c.slab, c.buf, c.start, c.end = slab, *slab, 0, len(rest)
}

func (c *conn) releaseBuffers() {
	if c.slab != nil {
		putSlab(c.slab)
		c.slab = nil
	} else if c.buf != nil {
		putBuffer(c.buf)
	}
	if c.charged > 0 {
		c.b.unproved.giveMemory(c.charged)
		c.charged = 0
	}
	c.buf = nil
}

// enqueue gives r its place in the order of answers and waits while the connection has
// too much under way.
func (c *conn) enqueue(r *request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for (c.inFlight >= maxInFlight || c.unsent > maxUnsent || c.held > maxUnsentMemory) && !c.closed {
		if c.run != nil {
			c.mu.Unlock()
			c.appendRun()
			c.mu.Lock()
			continue
		}
		c.inline = nil
		if c.writing || c.out.empty() {
			c.room.Wait()
			continue
		}
		c.writing = true
		c.mu.Unlock()
		c.writeLoop()
		c.mu.Lock()
	}
	if c.closed {
		return net.ErrClosed
	}
	if c.tail == nil {
		c.head = r
	} else {
		c.tail.next = r
	}
	c.tail = r
	c.inFlight++
	c.inline = r
	return nil
}

// complete hands in the answer of r. The answer goes out when all before it have; the
// reading goroutine sends what its own handlers answered once it has parsed all that
// arrived, everybody else starts a writer.
func (c *conn) complete(r *request) {
	c.b.admitted.release(r.admitted)
	r.admitted = 0
	held := r.held()
	c.mu.Lock()
	c.held += held
	r.done = true
	r.onClose = nil
	if c.head == r {
		c.drainLocked()
		if c.inline != r {
			c.startWriterLocked()
		}
	}
	c.mu.Unlock()
}

// completeAll is complete for requests whose handlers the reading goroutine was in.
func (c *conn) completeAll(answered []*request) {
	if len(answered) == 0 {
		return
	}
	held := 0
	for _, r := range answered {
		c.b.admitted.release(r.admitted)
		r.admitted = 0
		held += r.held()
	}
	c.mu.Lock()
	c.held += held
	for _, r := range answered {
		r.done = true
		r.onClose = nil
	}
	if c.head.done {
		c.drainLocked()
	}
	c.mu.Unlock()
}

// hangUpAfter closes the connection once the answers before r are sent.
func (c *conn) hangUpAfter(r *request) {
	c.doomed.Store(true)
	c.mu.Lock()
	if c.hangUp == nil {
		c.hangUp = r
	}
	c.mu.Unlock()
	c.complete(r)
}

// drainLocked moves the answered prefix of the queue to out.
func (c *conn) drainLocked() {
	now := time.Now()
	var finished finishedRequests
	for r := c.head; r != nil && r.done; r = c.head {
		c.head = r.next
		if c.head == nil {
			c.tail = nil
		}
		c.inFlight--
		if c.closed || c.out.hangUp {
			c.held -= r.held()
			r.releaseAttachments()
		} else {
			c.unsent += c.out.add(r)
			if c.hangUp == r {
				c.out.hangUp = true
			}
		}
		if !r.uncounted {
			finished.add(&c.b.metrics, r, now)
		}
		r.reset()
		requests.Put(r)
	}
	finished.tell(&c.b.metrics)
	c.room.Signal()
}

// held is how much of the answer lies in memory.
func (r *request) held() int {
	n := len(r.encoded)
	for i := range r.attachments {
		n += r.attachments[i].to - r.attachments[i].from
	}
	return n
}

func (r *request) releaseAttachments() {
	for i := range r.attachments {
		r.attachments[i].region.Release()
	}
}

// startWriterLocked starts a goroutine that writes what is in out, unless one is at it.
func (c *conn) startWriterLocked() {
	if c.writing || c.out.empty() || c.closed {
		return
	}
	c.writing = true
	c.b.wg.Add(1)
	go func() {
		defer c.b.wg.Done()
		c.writeLoop()
	}()
}

// flush appends the run and writes what is in out, from the reading goroutine, unless a
// writer is at it.
func (c *conn) flush() error {
	c.appendRun()
	c.mu.Lock()
	c.inline = nil
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	if c.writing || c.out.empty() {
		c.mu.Unlock()
		return nil
	}
	c.writing = true
	c.mu.Unlock()
	return c.writeLoop()
}

// writeLoop writes until out is empty. The caller has set writing.
func (c *conn) writeLoop() error {
	for {
		c.mu.Lock()
		if c.out.empty() || c.closed {
			c.writing = false
			closed := c.closed
			c.mu.Unlock()
			if closed {
				return net.ErrClosed
			}
			return nil
		}
		taken := c.out
		c.out = c.spare
		c.spare = output{}
		c.mu.Unlock()

		size, held := taken.size, len(taken.bytes)
		err := taken.writeTo(c)
		hangUp := taken.hangUp
		taken.reset()

		c.mu.Lock()
		c.spare = taken
		c.unsent -= size
		c.held -= held
		c.room.Signal()
		c.mu.Unlock()
		c.touch()
		if err == nil && hangUp {
			if c.lingers.Load() {
				c.linger()
				return net.ErrClosed
			}
			err = net.ErrClosed
		}
		if err != nil {
			c.mu.Lock()
			c.writing = false
			c.mu.Unlock()
			c.close()
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
