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
