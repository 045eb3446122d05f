package broker

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/barnabas-broker/barnabas/log"
)

// sendfileSlice is how much one sendfile call is offered. Slices of 32 KiB measured
// faster than one call for the whole region: what is queued stays in cache until the
// receiver copies it.
const sendfileSlice = 32 << 10

// errRegionShort says that a log file ended before the region that was promised.
var errRegionShort = errors.New("a log file is shorter than its index says")

// output is a run of answers on its way to a socket: bytes, and log regions at places
// between them.
type output struct {
	bytes   []byte
	slab    *slab        // whose memory bytes is, or nil
	regions []attachment // at counts in bytes
	size    int          // of all, regions included
	hangUp  bool         // close the connection after it
}

func (o *output) empty() bool { return o.size == 0 && !o.hangUp }

// maxKeptOutput is how large a buffer a connection keeps for its answers while there are
// none. What needs more takes a pooled one.
const maxKeptOutput = 4 << 10

// add appends the answer of r, taking over its regions, and returns its size.
func (o *output) add(r *request) (size int) {
	o.makeRoom(r.held(), &r.conn.b.slabs)
	done := 0
	size = len(r.encoded)
	for i := range r.attachments {
		a := &r.attachments[i]
		size += a.size()
		o.bytes = append(o.bytes, r.encoded[done:a.at]...)
		done = a.at
		if a.region.Size() == 0 {
			o.bytes = append(o.bytes, r.scratch[a.from:a.to]...)
			continue
		}
		o.regions = append(o.regions, attachment{at: len(o.bytes), region: a.region})
		a.region = log.Region{} // it is released once, whatever comes next
	}
	o.bytes = append(o.bytes, r.encoded[done:]...)
	o.size += size
	return size
}

// makeRoom lets bytes take n more without growing as append does, which leaves all that it
// outgrows for the collector.
func (o *output) makeRoom(n int, stock *slabStock) {
	need := len(o.bytes) + n
	switch {
	case need <= cap(o.bytes):
	case need <= maxKeptOutput/8:
		o.bytes = append(make([]byte, 0, maxKeptOutput/8), o.bytes...)
	case need <= maxKeptOutput:
		o.bytes = append(make([]byte, 0, maxKeptOutput), o.bytes...)
	case need <= slabSize:
		if o.slab = stock.lease(); o.slab != nil {
			o.bytes = append(o.slab.bytes[:0], o.bytes...)
		} else {
			o.bytes = append(make([]byte, 0, min(max(need, 2*cap(o.bytes)), slabSize)), o.bytes...)
		}
	default:
		var bigger []byte
		if stock.scarce() {
			bigger = append(make([]byte, 0, max(need, len(o.bytes)*3/2)), o.bytes...)
		} else {
			bigger = append(getBuffer(need)[:0], o.bytes...)
		}
		o.dropBytes()
		o.bytes = bigger
	}
}

// dropBytes gives back the buffer, unless it is small enough to be kept.
func (o *output) dropBytes() {
	switch {
	case o.slab != nil:
		o.slab.giveBack()
	case cap(o.bytes) <= maxKeptOutput:
		o.bytes = o.bytes[:0]
		return
	default:
		putBuffer(o.bytes)
	}
	o.slab, o.bytes = nil, nil
}

// release drops everything.
func (o *output) release() {
	for i := range o.regions {
		o.regions[i].region.Release()
	}
	o.regions = o.regions[:0]
	o.reset()
}

// reset empties what writeTo has sent. Large buffers are not kept.
func (o *output) reset() {
	clear(o.regions)
	o.regions = o.regions[:0]
	o.dropBytes()
	if cap(o.regions) > 64 {
		o.regions = nil
	}
	o.size, o.hangUp = 0, false
}

// writeTo sends everything and releases the regions, whatever happens.
func (o *output) writeTo(c *conn) error {
	sent := 0
	for i := range o.regions {
		a := &o.regions[i]
		if err := c.write(o.bytes[sent:a.at], true); err != nil {
			o.releaseFrom(i)
			return err
		}
		sent = a.at
		err := c.writeRegion(&a.region)
		a.region.Release()
		if err != nil {
			o.releaseFrom(i + 1)
			return err
		}
	}
	return c.write(o.bytes[sent:], false)
}

func (o *output) releaseFrom(i int) {
	for ; i < len(o.regions); i++ {
		o.regions[i].region.Release()
	}
}

// sender is what a connection's writer is at. There is one writer at a time, and the
// functions that the socket's poller calls are made once, so that writing allocates nothing.
type sender struct {
	conn     *conn
	bytesFn  func(fd uintptr) bool
	regionFn func(fd uintptr) bool
	bytes    []byte // left to send
	src      int    // the file of a region
	pos      int64  // in it
	left     int    // of the region
	err      error
}

func (s *sender) init(c *conn) {
	s.conn = c
	s.bytesFn, s.regionFn = s.tryBytes, s.tryRegion
}

// write sends b; more says that something follows at once, so that the kernel need not
// make a packet of a response header.
func (c *conn) write(b []byte, more bool) error {
	if len(b) == 0 {
		return nil
	}
	if c.raw == nil || !more {
		for len(b) > slabSize {
			if _, err := c.net.Write(b[:slabSize]); err != nil {
				return err
			}
			b = b[slabSize:]
			c.took()
		}
		_, err := c.net.Write(b)
		return err
	}
	s := &c.send
	s.bytes, s.err = b, nil
	err := c.raw.Write(s.bytesFn)
	s.bytes = nil
	if err != nil {
		return err
	}
	return s.err
}

// tryBytes sends what the socket takes; false means wait until it takes more.
func (s *sender) tryBytes(fd uintptr) bool {
	for len(s.bytes) > 0 {
		n, err := unix.SendmsgN(int(fd), s.bytes, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			s.bytes = s.bytes[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			s.conn.took()
			return false
		default:
			s.err = err
			return true
		}
	}
	return true
}

// writeRegion sends a region of a log file: by sendfile where the transport is a bare
// socket, so that its bytes never enter this process, else through a pooled buffer.
func (c *conn) writeRegion(region *log.Region) error {
	if c.raw == nil {
		return c.copyRegion(region)
	}
	file := region.File()
	if file == nil {
		return c.copyRegion(region)
	}
	s := &c.send
	s.src, s.pos, s.left, s.err = int(file.Fd()), region.Pos(), int(region.Size()), nil
	err := c.raw.Write(s.regionFn)
	c.b.metrics.sendfileBytes.Add(region.Size() - int64(s.left))
	if err != nil {
		return err
	}
	return s.err
}

// tryRegion sends what the socket takes of a region.
func (s *sender) tryRegion(fd uintptr) bool {
	for s.left > 0 {
		n, err := unix.Sendfile(int(fd), s.src, &s.pos, min(s.left, sendfileSlice))
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			s.conn.took()
			return false
		case err != nil:
			s.err = err
			return true
		case n == 0:
			s.err = errRegionShort
			return true
		default:
			s.left -= n
		}
	}
	return true
}

func (c *conn) copyRegion(region *log.Region) error {
	var buf []byte
	if slab := c.b.slabs.lease(); slab != nil {
		defer slab.giveBack()
		buf = slab.bytes
	} else {
		buf = make([]byte, littleBuffer)
	}
	for at := int64(0); at < region.Size(); {
		n, err := region.ReadAt(buf[:min(int64(len(buf)), region.Size()-at)], at)
		if n == 0 && err != nil {
			return err
		}
		if _, err := c.net.Write(buf[:n]); err != nil {
			return err
		}
		c.took()
		at += int64(n)
	}
	return nil
}
