package broker

import (
	"crypto/tls"
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errParked ends the reading of a connection that a timer closes.
var errParked = errors.New("the connection waits for its end")

// lingerAt is when a connection whose last answer is sent is looked at, since the look
// before. It is closed once its client has closed, and after the last look.
var lingerAt = [...]time.Duration{20 * time.Millisecond, 80 * time.Millisecond, 300 * time.Millisecond, 600 * time.Millisecond}

// lingerMaxBytes is how much a client may send meanwhile.
const lingerMaxBytes = 256 << 10

// park has the connection closed after the delay, with answer right before it, if there is
// one. Until then it costs a place in the heap of timers, and no goroutine.
func (c *conn) park(r *request, answer []byte, delay time.Duration) error {
	c.start, c.end = 0, 0
	c.releaseBuffers()
	if err := c.flush(); err != nil {
		return err
	}
	c.unproved.Store(false)
	c.b.timers.stop(&c.authTimer)
	c.b.timers.start(&c.authTimer, time.Now().Add(delay), func() {
		if answer == nil {
			c.close()
			return
		}
		go c.lastAnswer(r, answer) // the socket may be full of earlier answers
	})
	return errParked
}

// lastAnswer sends an answer and ends the connection.
func (c *conn) lastAnswer(r *request, answer []byte) {
	defer c.contain(r)
	if c.enqueue(r) != nil {
		return
	}
	c.b.metrics.began(r)
	r.encoded = append(r.encoded[:0], answer...)
	c.lingers.Store(true)
	c.hangUpAfter(r)
	c.flush()
}

// linger ends a connection whose last answer is on its way: our side at once, all of it
// when the client has closed its own or has had a second for it. A socket that is closed
// with bytes in it that nobody has read is reset, and the client may never see the answer.
// The caller has set writing, and nobody writes any more.
func (c *conn) linger() {
	if t, ok := c.net.(*tls.Conn); ok {
		t.SetWriteDeadline(time.Now().Add(time.Second))
		t.CloseWrite()
	}
	if c.tcp == nil || c.tcp.CloseWrite() != nil {
		c.close()
		return
	}
	raw, err := c.tcp.SyscallConn()
	if err != nil {
		c.close()
		return
	}
	c.look(raw, 0, lingerMaxBytes)
}

// look reads what the client has sent, and closes the connection if it is to end now.
func (c *conn) look(raw syscall.RawConn, n, left int) {
	var buf [2048]byte
	over := n == len(lingerAt)
	err := raw.Control(func(fd uintptr) {
		for !over {
			got, err := unix.Read(int(fd), buf[:])
			switch {
			case err == unix.EINTR:
			case err == unix.EAGAIN:
				return
			case err != nil || got == 0:
				over = true
			default:
				left -= got
				over = left <= 0
			}
		}
	})
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if over || err != nil || closed {
		c.close()
		return
	}
	c.b.timers.start(&c.authTimer, time.Now().Add(lingerAt[n]), func() { c.look(raw, n+1, left) })
}
