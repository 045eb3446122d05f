package main

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// clientID is what this program calls itself on the wire.
const clientID = "diskdiff"

// readTopic reads partition 0 of a topic from its start to its end.
func readTopic(addr, topic string) (*partitionLeft, error) {
	c, err := peers.Dial(addr, clientID)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	tp := protocol.TopicPartition{Topic: topic}
	p := &partitionLeft{}
	var code protocol.ErrorCode
	if p.start, code, err = c.ListOffset(tp, -2); err != nil || code != 0 {
		return nil, cmp.Or[error](err, code)
	}
	if p.end, code, err = c.ListOffset(tp, -1); err != nil || code != 0 {
		return nil, cmp.Or[error](err, code)
	}
	for offset := p.start; offset < p.end; {
		b, code, err := c.Fetch(tp, offset)
		if err != nil || code != 0 {
			return nil, cmp.Or[error](err, code)
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
