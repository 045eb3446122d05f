package broker

import (
	"encoding/binary"
	"io"

	"golang.org/x/sys/unix"
)

// maxStub is how much of a frame is kept aside while the rest of it is waited for, so that
// a connection with so little holds no slab.
const maxStub = 2 << 10

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
	if c.slab = c.b.slabs.lease(); c.slab == nil {
		c.buf = make([]byte, littleBuffer)
		return
	}
	c.buf = c.slab.bytes
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
	var bigger []byte
	if c.b.slabs.scarce() {
		bigger = make([]byte, min(size, max(2*have, littleBuffer)))
	} else {
		bigger = getBuffer(min(size, max(2*have, 2*slabSize, c.proven)))
	}
	copy(bigger, c.buf[c.start:c.end])
	c.releaseBuffers()
	c.buf, c.start, c.end = bigger, 0, have
}

// dropLargeBuffer goes back to a slab after a frame that needed more than one, or came
// when there was none; or, if there is none still, to a smaller buffer.
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
	slab, smaller := c.b.slabs.lease(), []byte(nil)
	switch {
	case slab != nil:
		smaller = slab.bytes
	case len(c.buf) <= littleBuffer || len(rest) > len(c.buf)/2:
		return
	default:
		smaller = make([]byte, max(len(rest), littleBuffer))
	}
	copy(smaller, rest)
	c.releaseBuffers()
	c.slab, c.buf, c.start, c.end = slab, smaller, 0, len(rest)
}

func (c *conn) releaseBuffers() {
	if c.slab != nil {
		c.slab.giveBack()
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
