package broker

import (
	"errors"
	"fmt"
	"time"

	"github.com/barnabas-broker/barnabas/broker/quota"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// begin takes one frame of a connection from bytes to a running handler. The error closes
// the connection, after the answers that are ready have gone out.
func (b *Broker) begin(c *conn, frame []byte) error {
	h, err := protocol.ParseRequestHeader(frame)
	if err != nil {
		return badFrame("%v (key %d, version %d, correlation id %d)", err, h.Key, h.Version, h.CorrelationID)
	}
	a := b.apis.lookup(h.Key)
	if a == nil || (!a.serves(h.Version) && h.Key != protocol.KeyAPIVersions) {
		return badFrame("%s version %d is not supported (client id %q)", protocol.APIName(h.Key), h.Version, h.ClientID)
	}
	if string(h.ClientID) != c.clientID {
		c.clientID = string(h.ClientID)
	}
	r := requests.Get().(*request)
	r.conn, r.api, r.session = c, a, c.session.Load()
	r.key, r.version, r.corrID, r.clientID = h.Key, h.Version, h.CorrelationID, c.clientID
	r.body = frame[h.BodyPos:]
	r.received = c.readAt
	c.beginning = r
	if b.quotas.Limits().Any(quota.Request) {
		r.received = time.Now() // what those before it took is on their account
	}
	if !a.own {
		if err := b.decode(r); err != nil {
			b.drop(r)
			return badFrame("%s version %d from client id %q cannot be decoded: %v", a.name, h.Version, h.ClientID, err)
		}
	}
	if err := c.enqueue(r); err != nil {
		b.drop(r)
		return err
	}
	b.metrics.began(r)
	if err := b.auditBegin(r); err != nil {
		r.hangUp(err.Error())
		return nil
	}
	began := r.received
	if c.run != nil && r.key != protocol.KeyProduce {
		c.appendRun()
	}
	a.handle(b, r)
	c.useTime(began)
	return nil
}

// drop gives back a request that was never begun, and the memory it was admitted with.
func (b *Broker) drop(r *request) {
	b.admitted.release(r.admitted)
	r.reset()
	requests.Put(r)
}

// decode checks a body against its schema, admits the memory it will take, and has kmsg
// decode a copy, so that nothing of the message lies in the connection's buffer.
func (b *Broker) decode(r *request) error {
	decoded := false
	defer func() {
		if !decoded {
			b.admitted.release(r.admitted)
			r.admitted = 0
			r.conn.undecoded = r
		}
	}()
	estimate, err := schema.Check(r.key, r.version, r.body, schema.Limits{MemoryBytes: int(min(b.admitted.limit, 1<<31-1))})
	if err != nil {
		return err
	}
	memory := int64(estimate.MemoryBytes + len(r.body))
	if work := memory + elementMemory*int64(estimate.Elements); work > max(b.admitted.limit, minRequestMemory) {
		return fmt.Errorf("%d elements would take some %d MiB to answer", estimate.Elements, work>>20)
	} else if memory > freeMemory {
		memory = work
		r.conn.admit(memory)
		r.admitted = memory
	}
	r.msg = kmsg.RequestForKey(r.key)
	if r.msg == nil {
		return errors.New("no decoder")
	}
	r.msg.SetVersion(r.version)
	err = r.msg.ReadFrom(append([]byte(nil), r.body...))
	decoded = err == nil
	return err
}

// admit waits until there is memory for a request that the reading goroutine has read. What
// is answered goes out first: its clients may be those whose next request frees some.
func (c *conn) admit(memory int64) {
	if c.b.admitted.tryAcquire(memory) {
		return
	}
	c.flush() // its error comes again
	c.b.admitted.acquire(memory)
}

// elementMemory is about what an element of an array takes until it is answered: a few bytes
// that name a partition, a group or a resource become a struct, an entry of an index, and
// their part of the answer.
const elementMemory = 256

// freeMemory is what a request may take without being counted: so little that the limit
// on requests in flight bounds it.
const freeMemory = 16 << 10
