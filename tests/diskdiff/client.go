package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// client is one raw connection.
type client struct {
	conn net.Conn
	next int32
}

func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	return &client{conn: conn}, err
}

// call sends one request of a version without tagged fields and reads its answer.
func (c *client) call(req kmsg.Request, resp kmsg.Response) error {
	c.conn.SetDeadline(time.Now().Add(30 * time.Second))
	c.next++
	h := protocol.RequestHeader{Key: req.Key(), Version: req.GetVersion(), CorrelationID: c.next, ClientID: []byte("diskdiff")}
	b := req.AppendTo(protocol.AppendRequestHeader(make([]byte, 4), &h))
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if _, err := c.conn.Write(b); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(c.conn, size[:]); err != nil {
		return err
	}
	b = make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c.conn, b); err != nil {
		return err
	}
	resp.SetVersion(req.GetVersion())
	return resp.ReadFrom(b[4:])
}

func (c *client) listOffset(topic string, timestamp int64) (int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.SetVersion(5)
	req.ReplicaID = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp, p.CurrentLeaderEpoch = timestamp, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := kmsg.NewPtrListOffsetsResponse()
	if err := c.call(req, resp); err != nil {
		return 0, err
	}
	answer := resp.Topics[0].Partitions[0]
	if answer.ErrorCode != 0 {
		return 0, protocol.ErrorCode(answer.ErrorCode)
	}
	return answer.Offset, nil
}

// readTopic reads partition 0 of a topic from its start to its end.
func readTopic(addr, topic string) (*partitionLeft, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	p := &partitionLeft{}
	if p.start, err = c.listOffset(topic, -2); err != nil {
		return nil, err
	}
	if p.end, err = c.listOffset(topic, -1); err != nil {
		return nil, err
	}
	for offset := p.start; offset < p.end; {
		b, err := c.fetch(topic, offset)
		if err != nil {
			return nil, err
		}
		next := offset
		for len(b) > 0 {
			_, _, size, err := protocol.PeekBatch(b)
			if err != nil || size > len(b) {
				break
			}
			records, err := protocol.ReadRecords(b[:size])
			if err != nil {
				return nil, err
			}
			h, err := protocol.ParseBatch(b[:size])
			if err != nil {
				return nil, err
			}
			for _, r := range records {
				if r.Offset >= offset {
					p.records = append(p.records, render(&r))
				}
			}
			next, b = h.NextOffset(), b[size:]
		}
		if next <= offset {
			return nil, fmt.Errorf("nothing to read at %d", offset)
		}
		offset = next
	}
	return p, nil
}

func render(r *protocol.Record) string {
	quote := func(b []byte) string {
		if b == nil {
			return "null"
		}
		return strconv.Quote(string(b))
	}
	text := fmt.Sprintf("%d @%d %s %s seq %d", r.Offset, r.Timestamp, quote(r.Key), quote(r.Value), r.Sequence)
	for _, h := range r.Headers {
		text += " " + quote(h.Key) + "=" + quote(h.Value)
	}
	return text
}

func (c *client) fetch(topic string, offset int64) ([]byte, error) {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(11)
	req.ReplicaID, req.MaxBytes, req.SessionEpoch, req.MinBytes, req.MaxWaitMillis = -1, 1<<20, -1, 1, 1000
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = offset, 1<<20, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := kmsg.NewPtrFetchResponse()
	if err := c.call(req, resp); err != nil {
		return nil, err
	}
	answer := resp.Topics[0].Partitions[0]
	if answer.ErrorCode != 0 {
		return nil, protocol.ErrorCode(answer.ErrorCode)
	}
	return answer.RecordBatches, nil
}
