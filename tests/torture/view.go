package main

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// view is what a broker serves.
type view struct {
	partitions map[protocol.TopicPartition]*served
	commits    map[string]string
}

// served is what it serves of one partition. A consumer would stop at the first problem;
// we look what lies behind it.
type served struct {
	code       protocol.ErrorCode // why nothing is served, or NONE
	start, end int64
	records    map[int64]string
	problems   []problem
	probes     map[int64]int64 // offsets fetched out of order, and the first that came
}

type problem struct {
	offset int64 // asked for, or first of a batch
	what   string
}

var groups = []string{"group-one", "group-two", "group-three", "group-four"}

// client is a connection that reads and writes partitions.
type client struct{ *peers.Conn }

func dial(addr string) (client, error) {
	c, err := peers.Dial(addr, "torture")
	return client{c}, err
}

// readView reads all partitions and committed offsets.
func readView(addr string, partitions []protocol.TopicPartition) (*view, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	v := &view{partitions: map[protocol.TopicPartition]*served{}, commits: map[string]string{}}
	for _, tp := range partitions {
		p := &served{records: map[int64]string{}}
		v.partitions[tp] = p
		if err := c.readPartition(tp, p); err != nil {
			return nil, fmt.Errorf("read %v: %w", tp, err)
		}
	}
	return v, c.readCommits(v)
}

func (c client) readCommits(v *view) error {
	for _, group := range groups {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.SetVersion(5)
		req.Group = group
		resp := kmsg.NewPtrOffsetFetchResponse()
		deadline := time.Now().Add(5 * time.Second)
		for {
			if err := c.Call(req, resp); err != nil {
				return err
			}
			// While the group's partition is being read the answer is "not yet".
			if code := protocol.ErrorCode(resp.ErrorCode); code != protocol.ErrCoordinatorLoadInProgress || time.Now().After(deadline) {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		text := protocol.ErrorCode(resp.ErrorCode).Error()
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				text += fmt.Sprintf(" %s-%d=%d", t.Topic, p.Partition, p.Offset)
			}
		}
		v.commits[group] = text
	}
	return nil
}

func (c client) readPartition(tp protocol.TopicPartition, p *served) (err error) {
	if p.start, p.code, err = c.ListOffset(tp, -2); err != nil || p.code != 0 {
		return err
	}
	if p.end, p.code, err = c.ListOffset(tp, -1); err != nil || p.code != 0 {
		return err
	}
	for offset := p.start; offset < p.end; {
		b, code, err := c.Fetch(tp, offset)
		if err != nil {
			return err
		}
		if code == protocol.ErrKafkaStorageError {
			p.code, p.records, p.problems = code, nil, nil // offline since it was asked where it ends
			return nil
		}
		if code != 0 {
			p.problems = append(p.problems, problem{offset, code.Error()})
			return nil
		}
		next := p.take(b, offset)
		if next <= offset {
			p.problems = append(p.problems, problem{offset, fmt.Sprintf("no progress, %d bytes came", len(b))})
			return nil
		}
		offset = next
	}
	return c.probe(tp, p)
}

// probe fetches here and there, which the indexes are for.
func (c client) probe(tp protocol.TopicPartition, p *served) error {
	p.probes = map[int64]int64{}
	step := max(1, (p.end-p.start)/16)
	for offset := p.start; offset < p.end; offset += step {
		b, code, err := c.Fetch(tp, offset)
		if err != nil {
			return err
		}
		if code != 0 || len(b) == 0 {
			continue
		}
		base, _, size, err := protocol.PeekBatch(b)
		if err != nil || size > len(b) {
			continue
		}
		if records, _, err := batchRecords(b[:size]); err == nil {
			first := base
			if b[16] < 2 {
				for o := range records {
					first = min(first, o)
				}
			}
			p.probes[offset] = first
		}
	}
	return nil
}

// take goes through fetched batches as a consumer would, and returns where to go on.
func (p *served) take(b []byte, offset int64) (next int64) {
	next = offset
	for len(b) > 0 {
		base, _, size, err := protocol.PeekBatch(b)
		if err != nil || size > len(b) {
			break
		}
		records, last, err := batchRecords(b[:size])
		if err != nil {
			p.problems = append(p.problems, problem{max(base, offset), err.Error()})
			last = base
			if h, err := protocol.ParseRecordBatch(b[:size]); b[16] == 2 && err == nil {
				last = h.LastOffset()
			}
			if last < next || last >= p.end {
				return next // nobody knows where this would lead
			}
		}
		for o, text := range records {
			if o < next {
				continue // consumers skip them
			}
			if old, twice := p.records[o]; twice && old != text {
				p.problems = append(p.problems, problem{o, "served twice with different content"})
			}
			p.records[o] = text
		}
		next = max(next, last+1)
		b = b[size:]
	}
	return next
}

// produceOne appends a record and returns its offset.
func (c client) produceOne(tp protocol.TopicPartition) (int64, protocol.ErrorCode, error) {
	records, err := protocol.AppendBatch(nil, protocol.BatchOptions{}, protocol.Record{Timestamp: time.Now().UnixMilli(),
		Key: []byte("after"), Value: []byte("appended after the damage")})
	if err != nil {
		return 0, 0, err
	}
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(8)
	req.Acks, req.TimeoutMillis = -1, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = tp.Topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = tp.Partition, records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := kmsg.NewPtrProduceResponse()
	if err := c.Call(req, resp); err != nil {
		return 0, 0, err
	}
	answer := resp.Topics[0].Partitions[0]
	return answer.BaseOffset, protocol.ErrorCode(answer.ErrorCode), nil
}
