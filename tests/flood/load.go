package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const topic = "flood"

// client is one connection that has logged in.
type client struct {
	conn net.Conn
	next int32
	buf  []byte
}

func login(t *target, encrypted bool) (*client, error) {
	c := &client{}
	var err error
	if encrypted {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(t.ca)
		c.conn, err = tls.Dial("tcp", t.encrypted, &tls.Config{RootCAs: pool})
	} else {
		c.conn, err = net.Dial("tcp", t.plaintext)
	}
	if err != nil {
		return nil, err
	}
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.SetVersion(1)
	handshake.Mechanism = "PLAIN"
	if err := c.call(handshake); err != nil {
		return nil, err
	}
	token := kmsg.NewPtrSASLAuthenticateRequest()
	token.SetVersion(1)
	token.SASLAuthBytes = []byte("\x00alice\x00secret")
	return c, c.call(token)
}

func (c *client) call(req kmsg.Request) error {
	c.next++
	h := protocol.RequestHeader{Key: req.Key(), Version: req.GetVersion(), CorrelationID: c.next, ClientID: []byte("flood")}
	c.buf = protocol.AppendRequestHeader(append(c.buf[:0], 0, 0, 0, 0), &h)
	c.buf = req.AppendTo(c.buf)
	binary.BigEndian.PutUint32(c.buf, uint32(len(c.buf)-4))
	c.conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.conn.Write(c.buf); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.conn, c.buf[:4]); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint32(c.buf))
	c.buf = slices.Grow(c.buf[:0], n)[:n]
	_, err := io.ReadFull(c.conn, c.buf)
	if id := int32(binary.BigEndian.Uint32(c.buf)); err == nil && id != c.next {
		err = fmt.Errorf("correlation id %d, want %d", id, c.next)
	}
	return err
}

// load is all clients that have logged in, and what they have seen.
type load struct {
	done chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	took  []time.Duration
	since time.Time
	err   error
}

func newLoad(t *target, clients int) (*load, error) {
	l := &load{done: make(chan struct{}), since: time.Now()}
	records, err := protocol.AppendBatch(nil, protocol.BatchOptions{}, protocol.Record{Value: make([]byte, 1024), Timestamp: time.Now().UnixMilli()})
	if err != nil {
		return nil, err
	}
	for i := range clients {
		c, err := login(t, i%2 == 1)
		if err != nil {
			return nil, fmt.Errorf("log in: %w", err)
		}
		if i == 0 {
			create := kmsg.NewPtrCreateTopicsRequest()
			create.SetVersion(2)
			create.TimeoutMillis = 30_000
			about := kmsg.NewCreateTopicsRequestTopic()
			about.Topic, about.NumPartitions, about.ReplicationFactor = topic, 8, 1
			create.Topics = append(create.Topics, about)
			if err := c.call(create); err != nil {
				return nil, err
			}
			time.Sleep(time.Second) // Apache serves a new topic a moment later
		}
		produce := kmsg.NewPtrProduceRequest()
		produce.SetVersion(8)
		produce.Acks, produce.TimeoutMillis = 1, 30_000
		about := kmsg.NewProduceRequestTopic()
		about.Topic = topic
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = int32(i%8), slices.Clone(records)
		about.Partitions = append(about.Partitions, part)
		produce.Topics = append(produce.Topics, about)
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			defer c.conn.Close()
			l.produce(c, produce)
		}()
	}
	return l, nil
}

func (l *load) produce(c *client, req kmsg.Request) {
	for {
		select {
		case <-l.done:
			return
		default:
		}
		began := time.Now()
		err := c.call(req)
		if at := 4 + 4 + 2 + len(topic) + 4 + 4; err == nil && (len(c.buf) < at+2 || c.buf[at] != 0 || c.buf[at+1] != 0) {
			err = fmt.Errorf("a produce request was answered % x", c.buf)
		}
		l.mu.Lock()
		l.took = append(l.took, time.Since(began))
		if err != nil && l.err == nil {
			l.err = err
		}
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (l *load) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *load) stop() {
	close(l.done)
	l.wg.Wait()
}

// seen is what happened since the last look.
type seen struct {
	took []time.Duration // sorted
	over time.Duration
}

func (l *load) take() seen {
	l.mu.Lock()
	s := seen{l.took, time.Since(l.since)}
	l.took, l.since = nil, time.Now()
	l.mu.Unlock()
	slices.Sort(s.took)
	return s
}

func (s seen) perSecond() float64 { return float64(len(s.took)) / s.over.Seconds() }

func (s seen) quantile(q float64) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	return s.took[min(len(s.took)-1, int(float64(len(s.took))*q))].Round(10 * time.Microsecond)
}
