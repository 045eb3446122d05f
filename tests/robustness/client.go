package main

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/peers"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topic is what the bystander writes to and the others read.
const topic = "robustness"

// client is one connection; id is its number in its scenario.
type client struct {
	*peers.Conn
	id int
}

func dial(addr string, id int) (*client, error) {
	c, err := peers.Dial(addr, "robustness")
	return &client{c, id}, err
}

func (c *client) write(b []byte) error {
	_, err := c.Write(b)
	return err
}

// writeSome writes what is taken without reading: a broker that reads no further has
// every right to.
func (c *client) writeSome(b []byte) error {
	c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Write(b); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// call sends one request and reads its answer.
func (c *client) call(req kmsg.Request) (kmsg.Response, error) {
	resp := req.ResponseKind()
	return resp, c.Call(req, resp)
}

// trickle reads a byte now and then until the connection ends.
func (c *client) trickle() {
	var b [1]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func apiVersions() kmsg.Request { return kmsg.NewPtrApiVersionsRequest() }

func fetch(topic string, offset int64, maxBytes, waitMs int32) kmsg.Request {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(4)
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = waitMs, 1, maxBytes
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, maxBytes
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func produce(records []byte) kmsg.Request {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(8)
	req.Acks, req.TimeoutMillis = 1, 30_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// bystander produces one record after the other and notes how long each takes.
type bystander struct {
	c    *client
	done chan struct{}
	over chan struct{}

	mu   sync.Mutex
	took latencies
	err  error
}

func newBystander(addr string) (*bystander, error) {
	c, err := dial(addr, 0)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, 1, 1
	req.Topics = append(req.Topics, t)
	req.TimeoutMillis = 30_000
	req.SetVersion(2)
	if _, err := c.call(req); err != nil {
		return nil, err
	}
	time.Sleep(time.Second) // Apache serves a new topic a moment later
	big, err := protocol.AppendBatch(nil, protocol.BatchOptions{}, protocol.Record{Value: make([]byte, 500_000), Timestamp: time.Now().UnixMilli()})
	if err != nil {
		return nil, err
	}
	for range 10 {
		if _, err := c.call(produce(big)); err != nil {
			return nil, err
		}
	}
	b := &bystander{c: c, done: make(chan struct{}), over: make(chan struct{})}
	go b.run()
	return b, nil
}

func (b *bystander) run() {
	defer close(b.over)
	records, err := protocol.AppendBatch(nil, protocol.BatchOptions{}, protocol.Record{Value: make([]byte, 100), Timestamp: time.Now().UnixMilli()})
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for err == nil {
		select {
		case <-b.done:
			return
		case <-tick.C:
		}
		began := time.Now()
		_, err = b.c.call(produce(records))
		b.mu.Lock()
		b.took = append(b.took, time.Since(began))
		b.mu.Unlock()
	}
	b.mu.Lock()
	b.err = err
	b.mu.Unlock()
}

func (b *bystander) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// take returns the latencies since the last call.
func (b *bystander) take() latencies {
	b.mu.Lock()
	defer b.mu.Unlock()
	took := b.took
	b.took = nil
	slices.Sort(took)
	return took
}

func (b *bystander) stop() {
	close(b.done)
	<-b.over
	b.c.Close()
}

// latencies are sorted.
type latencies []time.Duration

func (l latencies) quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(len(l)-1, int(float64(len(l))*q))].Round(10 * time.Microsecond)
}
