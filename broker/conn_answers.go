package broker

import (
	"net"
	"time"
)

// enqueue gives r its place in the order of answers and waits while the connection has
// too much under way.
func (c *conn) enqueue(r *request) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for (c.inFlight >= maxInFlight || c.unsent > maxUnsent || c.held > c.maxHeld()) && !c.closed {
		if c.run != nil {
			c.unlocked(c.appendRun)
			continue
		}
		c.inline = nil
		if c.writing || c.out.empty() {
			c.room.Wait()
			continue
		}
		c.beginWritingLocked()
		c.unlocked(func() { c.writeLoop() })
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

// unlocked calls f without mu, which is held before and after, also if f panics.
func (c *conn) unlocked(f func()) {
	c.mu.Unlock()
	defer c.mu.Lock()
	f()
}

// maxHeld is how much of its answers the connection may hold in memory.
func (c *conn) maxHeld() int {
	if c.b.slabs.scarce() {
		return scarceUnsentMemory
	}
	return maxUnsentMemory
}

// complete hands in the answer of r. The answer goes out when all before it have; the
// reading goroutine sends what its own handlers answered once it has parsed all that
// arrived, everybody else starts a writer.
func (c *conn) complete(r *request) {
	var admitted int64
	defer func() { c.b.admitted.release(admitted) }()
	c.handIn(r, &admitted)
}

// handIn is complete but for the memory that r was admitted with, of which it tells.
func (c *conn) handIn(r *request, admitted *int64) {
	held := r.held()
	c.mu.Lock()
	defer c.mu.Unlock()
	*admitted, r.admitted = r.admitted, 0
	if r.lost {
		r.releaseAttachments()
		return
	}
	c.held += held
	r.done = true
	r.onClose = nil
	if c.head == r {
		c.drainLocked()
		if c.inline != r {
			c.startWriterLocked()
		}
	}
}

// completeAll is complete for requests whose handlers the reading goroutine was in.
func (c *conn) completeAll(answered []*request) {
	if len(answered) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range answered { // produces: they are not admitted, and have no attachments
		if !r.lost {
			c.held += r.held()
			r.done = true
			r.onClose = nil
		}
	}
	if c.head != nil && c.head.done { // there is none if the connection was abandoned
		c.drainLocked()
	}
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
		if r.lost {
			// Its handler may still come with an answer: it is not used again.
		} else if c.closed || c.out.hangUp {
			c.held -= r.held()
			r.releaseAttachments()
		} else {
			c.unsent += c.out.add(r)
			if c.hangUp == r {
				c.out.hangUp = true
			}
		}
		c.head = r.next
		if c.head == nil {
			c.tail = nil
		}
		c.inFlight--
		if !r.uncounted {
			finished.add(&c.b.metrics, r, now)
		}
		if !r.lost {
			r.reset()
			requests.Put(r)
		}
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
	c.beginWritingLocked()
	c.b.wg.Add(1)
	go func() {
		defer c.b.wg.Done()
		defer c.contain(nil)
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
	c.beginWritingLocked()
	c.mu.Unlock()
	return c.writeLoop()
}

// beginWritingLocked sets writing. The time is set with it: the sweep may look before the
// writer is at it.
func (c *conn) beginWritingLocked() {
	c.writing = true
	c.sent = c.b.coarseNow.Load()
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
		c.sent = c.b.coarseNow.Load()
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
