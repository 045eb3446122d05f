package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

// firstTimestamp lies in the past, so that the broker's own clock cannot be taken for it,
// but not so far that retention takes the records away.
var firstTimestamp = time.Now().Add(-time.Hour).UnixMilli()

// makeRecords makes records from..from+count of a topic, the same for every run: keys and
// values null, empty, short, long, of all bytes, with and without headers, as far as the
// peer can write such.
func makeRecords(p *peers.Peer, topic string, from, count, partitions int) []peers.Record {
	var records []peers.Record
	for i := from; i < from+count; i++ {
		r := peers.Record{Topic: topic, Partition: int32(i % partitions), Timestamp: -1,
			Key: fmt.Appendf(nil, "key %d", i), Value: makeValue(p, topic, i)}
		switch {
		case i%7 == 3:
			r.Key = nil
		case i%7 == 5 && !p.NoEmpty:
			r.Key = []byte{}
		}
		switch {
		case i%11 == 4 && !p.NoNullValue && r.Key != nil:
			r.Value = nil
		case i%11 == 6 && !p.NoEmpty:
			r.Value = []byte{}
		}
		if p.Timestamps {
			r.Timestamp = firstTimestamp + int64(i)*10
		}
		if p.Headers {
			r.Headers = makeHeaders(p, i)
		}
		records = append(records, r)
	}
	return records
}

func makeValue(p *peers.Peer, topic string, i int) []byte {
	value := fmt.Appendf(nil, "%s, record %d: ¡Hola, mundo! ", topic, i)
	if i%13 == 2 {
		value = append(value, bytes.Repeat([]byte("the same over and over "), 150)...)
	}
	if !p.Text && i%5 == 1 {
		for b := range 256 {
			value = append(value, byte(b))
		}
	}
	return value
}

func makeHeaders(p *peers.Peer, i int) []peers.Header {
	if p.SameHeaders {
		return []peers.Header{{Name: "trace", Value: []byte("of kcat")}, {Name: "second", Value: []byte("2")}}
	}
	if i%3 != 0 {
		return nil
	}
	return []peers.Header{{Name: "trace", Value: fmt.Appendf(nil, "header of %d", i)}, {Name: "number", Value: []byte{1, byte('A' + i%26), 0xc3}}}
}
