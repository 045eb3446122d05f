package main

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/compress"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// message makes one message of magic 0 or 1 with any attributes.
func message(magic int8, attributes byte, offset, timestamp int64, key, value []byte) []byte {
	b := []byte{byte(magic), attributes}
	if magic > 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(timestamp))
	}
	for _, field := range [][]byte{key, value} {
		if field == nil {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
			continue
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
		b = append(b, field...)
	}
	out := binary.BigEndian.AppendUint64(nil, uint64(offset))
	out = binary.BigEndian.AppendUint32(out, uint32(len(b)+4))
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(b))
	return append(out, b...)
}

// wrapper compresses messages into one of magic 0 or 1.
func wrapper(magic int8, codec int8, offset, timestamp int64, inner []byte) []byte {
	value, err := compress.AppendCompress(nil, codec, 0, inner)
	if err != nil {
		panic(err)
	}
	return message(magic, byte(codec), offset, timestamp, nil, value)
}

// magicOf is the newest magic that a version of Produce takes.
func magicOf(version int16) int8 { return int8(min(version/2, 1)) }

// rawBatch makes a batch of magic 2 around records that are bytes already.
func rawBatch(count int32, records []byte) []byte {
	h := protocol.RecordBatch{Magic: 2, Length: int32(49 + len(records)), LastOffsetDelta: count - 1, BaseTimestamp: someTime, MaxTimestamp: someTime,
		ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, RecordCount: count}
	b := append(h.AppendHeader(nil), records...)
	crc := protocol.BatchCRC(b)
	b[17], b[18], b[19], b[20] = byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc)
	return b
}

// rawRecord makes a record of magic 2; delta to its true length may be wrong.
func rawRecord(wrong int64, attributes byte, timestampDelta, offsetDelta int64, rest ...byte) []byte {
	b := []byte{attributes}
	b = binary.AppendVarint(b, timestampDelta)
	b = binary.AppendVarint(b, offsetDelta)
	b = append(b, rest...)
	return append(binary.AppendVarint(nil, int64(len(b))+wrong), b...)
}

var formatScripts = []script{
	{"formats: compressed wrappers", 0, 0, 2, func(t *T) {
		topic, id := t.topic("t", 1)
		magic := magicOf(t.version)
		for codec := int8(1); codec <= 3; codec++ {
			inner := messages(magic, "a", "b", "c")
			t.do(produce(topic, 0, wrapper(magic, codec, 2, someTime+2, inner)))
			t.do(produce(topic, 0, wrapper(magic, codec, 0, someTime, inner)))
		}
		for _, version := range []int16{3, 10} {
			t.do(at(version, fetch(topic, id, 0, 0)))
			t.do(at(version, fetch(topic, id, 0, 4)))
		}
	}},
	{"formats: wrappers that are odd", 0, 0, 2, func(t *T) {
		topic, id := t.topic("t", 1)
		magic := magicOf(t.version)
		m := func(offset int64, value string) []byte {
			return message(magic, 0, offset, someTime, nil, []byte(value))
		}
		join := func(parts ...[]byte) (all []byte) {
			for _, p := range parts {
				all = append(all, p...)
			}
			return all
		}
		garbage := message(magic, 1, 0, someTime, nil, []byte("this is no gzip"))
		badCRC := m(0, "x")
		badCRC[len(badCRC)-1] ^= 1
		nested := wrapper(magic, 1, 0, someTime, wrapper(magic, 1, 0, someTime, m(0, "deep")))
		for _, set := range [][]byte{
			wrapper(magic, 1, 5, someTime, join(m(5, "a"), m(9, "b"))),
			wrapper(magic, 1, 1, someTime, join(m(1, "a"), m(0, "b"))),
			wrapper(magic, 1, 0, someTime, join(m(0, "a"), m(0, "b"))),
			wrapper(magic, 1, 0, someTime, nil),
			wrapper(magic, 1, -1, someTime, m(-1, "a")),
			wrapper(magic, 1, 0, someTime, badCRC),
			wrapper(magic, 1, 0, someTime, m(0, "cut")[:20]),
			wrapper(magic, 1, 0, someTime, message(1-magic, 0, 0, someTime, nil, []byte("the other magic"))),
			garbage, nested, badCRC,
			message(magic, 1, 0, someTime, nil, nil),
			message(magic, 1, 0, someTime, []byte("key"), nil),
			message(magic, 4, 0, someTime, nil, []byte("codec 4")),
			message(magic, 7, 0, someTime, nil, []byte("codec 7")),
			message(magic, 0x10, 0, someTime, nil, []byte("an attribute that is not")),
		} {
			t.do(produce(topic, 0, set))
			t.on("a").open()
		}
		t.do(at(7, listOffsets(topic, 0, -1)))
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
	{"formats: sets of several wrappers and messages", 0, 0, 2, func(t *T) {
		topic, id := t.topic("t", 1)
		magic := magicOf(t.version)
		set := wrapper(magic, 1, 1, someTime, messages(magic, "a", "b"))
		set = append(set, message(magic, 0, 2, someTime+9, []byte("k"), []byte("c"))...)
		set = append(set, wrapper(magic, 2, 3, someTime, messages(magic, "d"))...)
		t.do(produce(topic, 0, set))
		t.do(produce(topic, 0, append(set, 1, 2, 3)))
		t.do(produce(topic, 0, append(messages(0, "magic 0"), messages(1, "magic 1")...)))
		t.do(produce(topic, 0, append(messages(1, "magic 1"), messages(0, "magic 0")...)))
		t.do(produce(topic, 0, append(records("magic 2"), messages(0, "magic 0")...)))
		t.do(at(11, fetch(topic, id, 0, 0)))
		t.do(at(3, fetch(topic, id, 0, 0)))
	}},
	{"formats: timestamps of magic 1", 0, 2, 2, func(t *T) {
		for _, typ := range []string{"CreateTime", "LogAppendTime"} {
			topic, id := t.topic(typ, 1, "message.timestamp.type", typ)
			for _, attributes := range []byte{0, 8} {
				for _, ts := range []int64{someTime, -1, -2, 0, 1 << 62} {
					t.do(produce(topic, 0, message(1, attributes, 0, ts, nil, []byte("x"))))
				}
			}
			inner := append(message(1, 0, 0, someTime+5, nil, []byte("a")), message(1, 0, 1, someTime, nil, []byte("b"))...)
			t.do(produce(topic, 0, wrapper(1, 1, 1, someTime, inner)))
			t.do(produce(topic, 0, wrapper(1, 1, 1, -1, inner)))
			t.do(at(7, listOffsets(topic, 0, someTime+4)))
			t.do(at(11, fetch(topic, id, 0, 0)))
		}
	}},
	{"formats: old messages into topics that compress", 0, 0, 2, func(t *T) {
		magic := magicOf(t.version)
		for _, typ := range []string{"gzip", "lz4", "zstd", "uncompressed"} {
			topic, id := t.topic(typ, 1, "compression.type", typ)
			t.do(produce(topic, 0, messages(magic, "a", "b")))
			t.do(produce(topic, 0, wrapper(magic, 2, 1, someTime, messages(magic, "a", "b"))))
			t.do(at(11, fetch(topic, id, 0, 0)))
		}
	}},
	{"formats: old messages in new versions", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		for _, set := range [][]byte{messages(0, "a"), messages(1, "a"), wrapper(1, 1, 0, someTime, messages(1, "a")), append(records("a"), messages(1, "b")...)} {
			req := produce(topic, 0, set)
			req.Topics[0].TopicID = id
			t.do(req)
		}
		t.do(at(7, listOffsets(topic, 0, -1)))
	}},
	{"formats: a batch without records", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		h := protocol.RecordBatch{Magic: 2, BaseTimestamp: -1, MaxTimestamp: -1, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1, LastOffsetDelta: 0}
		for _, last := range []int32{-1, 0, 4} {
			h.LastOffsetDelta = last
			req := produce(topic, 0, protocol.AppendEmptyBatch(nil, &h))
			req.Topics[0].TopicID = id
			t.do(req)
		}
		for _, count := range []int32{0, 1} {
			req := produce(topic, 0, rawBatch(count, nil))
			req.Topics[0].TopicID = id
			t.do(req)
		}
		t.do(at(7, listOffsets(topic, 0, -1)))
	}},
	{"formats: compressed batches whose count lies", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		for codec := protocol.Codec(1); codec <= 4; codec++ {
			if codec == protocol.CodecZstd && t.version < 7 {
				continue
			}
			for _, c := range [][2]int32{{1, 0}, {3, 2}, {0, -1}, {3, 1}, {1000000, 999999}} {
				b := batch(protocol.BatchOptions{Codec: codec}, "one", "two")
				h, _ := protocol.ParseRecordBatch(b)
				h.RecordCount, h.LastOffsetDelta = c[0], c[1]
				req := produce(topic, 0, rewriteHeader(b, h))
				req.Topics[0].TopicID = id
				t.do(req)
			}
		}
		t.do(at(7, listOffsets(topic, 0, -1)))
	}},
	{"formats: records that lie", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		kv := []byte{1, 2, 'v', 0} // null key, one byte of value, no headers
		for _, r := range [][]byte{
			rawRecord(0, 0, 0, 0, kv...),
			rawRecord(1, 0, 0, 0, kv...),
			rawRecord(-1, 0, 0, 0, kv...),
			rawRecord(-100, 0, 0, 0, kv...),
			rawRecord(1<<30, 0, 0, 0, kv...),
			rawRecord(0, 0xff, 0, 0, kv...),
			rawRecord(0, 0, -5, 0, kv...),
			rawRecord(0, 0, 1<<62, 0, kv...),
			rawRecord(0, 0, 0, 1, kv...),
			rawRecord(0, 0, 0, -1, kv...),
			rawRecord(0, 0, 0, 1<<40, kv...),
			rawRecord(0, 0, 0, 0, 3, 2, 'v', 0),                // key length -2
			rawRecord(0, 0, 0, 0, 1, 3, 0),                     // value length -2
			rawRecord(0, 0, 0, 0, 1, 200, 1, 'v', 0),           // value beyond the end
			rawRecord(0, 0, 0, 0, 1, 2, 'v', 1),                // -1 headers
			rawRecord(0, 0, 0, 0, 1, 2, 'v', 2),                // one header that is not there
			rawRecord(0, 0, 0, 0, 1, 2, 'v', 2, 1, 1),          // a header with a null key
			rawRecord(0, 0, 0, 0, 1, 2, 'v', 2, 2, 'h', 1),     // a header with a null value
			rawRecord(0, 0, 0, 0, 1, 2, 'v', 200, 200, 200, 1), // very many headers
			rawRecord(0, 0, 0, 0, 1, 2, 'v', 0, 9, 9),          // bytes behind its end
			append(rawRecord(0, 0, 0, 0, kv...), 0, 0, 0),      // bytes behind the last
			{},
		} {
			req := produce(topic, 0, rawBatch(1, r))
			req.Topics[0].TopicID = id
			t.do(req)
		}
		two := append(rawRecord(0, 0, 0, 0, kv...), rawRecord(0, 0, 0, 0, kv...)...)
		req := produce(topic, 0, rawBatch(2, two))
		req.Topics[0].TopicID = id
		t.do(req)
		t.do(at(7, listOffsets(topic, 0, -1)))
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
	{"formats: control batches of a client", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		pid, epoch := t.producerID()
		for _, b := range [][]byte{
			protocol.AppendEndTxnBatch(nil, pid, epoch, someTime, protocol.EndTxnMarker{}),
			batch(protocol.BatchOptions{Control: true}, "x"),
			batch(protocol.BatchOptions{Control: true, Transactional: true, Producer: &protocol.Producer{ID: pid, Epoch: epoch, BaseSequence: -1}}, "x"),
			batch(protocol.BatchOptions{Control: true, Codec: 1}, "x"),
		} {
			req := produce(topic, 0, b)
			req.Topics[0].TopicID = id
			t.do(req)
		}
		t.do(at(7, listOffsets(topic, 0, -1)))
	}},
	{"formats: zstd in every version", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		for _, b := range [][]byte{batch(protocol.BatchOptions{Codec: protocol.CodecZstd}, "a", "b"), rewriteHeader(records("x"), func() protocol.RecordBatch {
			h, _ := protocol.ParseRecordBatch(records("x"))
			h.Attributes = 4
			return h
		}())} {
			req := produce(topic, 0, b)
			req.Topics[0].TopicID = id
			t.do(req)
		}
	}},
	{"formats: zstd read in every version", 1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		t.fill(topic, 0, records("plain"), batch(protocol.BatchOptions{Codec: protocol.CodecZstd}, "a", "b"), records("plain"))
		t.fill(topic, 1, records("plain"))
		for offset := range int64(5) {
			t.do(fetch(topic, id, 0, offset))
		}
		req := fetch(topic, id, 0, 1)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchPartition(1, 0))
		t.do(req)
	}},
	{"formats: down-conversion of every codec", 1, 0, 4, func(t *T) {
		for codec := protocol.Codec(0); codec <= 3; codec++ {
			topic, id := t.topic(sprintf("c%d", codec), 1)
			t.fill(topic, 0, batch(protocol.BatchOptions{Codec: codec}, "a", "b", "c"), batch(protocol.BatchOptions{Codec: codec}, "d"),
				batch(protocol.BatchOptions{Codec: codec, Producer: &protocol.Producer{ID: 1 << 40, BaseSequence: 0}}, "e", "f"))
			for offset := range int64(7) {
				t.do(fetch(topic, id, 0, offset))
			}
		}
	}},
	{"formats: down-conversion with log append time", 1, 0, 4, func(t *T) {
		topic, id := t.topic("t", 1, "message.timestamp.type", "LogAppendTime")
		t.fill(topic, 0, records("a", "b"), batch(protocol.BatchOptions{Codec: 1}, "c", "d"))
		for offset := range int64(4) {
			t.do(fetch(topic, id, 0, offset))
		}
	}},
	{"formats: timestamps of records in a batch", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		for _, ts := range [][]int64{{someTime, someTime - 1000}, {-1, -1}, {0, someTime}, {someTime, -1}, {-1, someTime}, {someTime + 5, someTime + 9, someTime + 7}} {
			var list []protocol.Record
			for i, at := range ts {
				list = append(list, protocol.Record{Offset: int64(i), Timestamp: at, Value: []byte("x")})
			}
			b, err := protocol.AppendBatch(nil, protocol.BatchOptions{}, list...)
			if err != nil {
				panic(err)
			}
			req := produce(topic, 0, b)
			req.Topics[0].TopicID = id
			t.do(req)
		}
		for _, ts := range []int64{0, someTime, someTime + 6, someTime + 9, someTime + 10, -3} {
			t.do(at(7, listOffsets(topic, 0, ts)))
		}
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
	{"formats: ten partitions, some of them wrong", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 8)
		req := produce(topic, 0, nil)
		req.Topics[0].TopicID = id
		req.Topics[0].Partitions = nil
		for i := range int32(10) {
			rp := kmsg.NewProduceRequestTopicPartition()
			rp.Partition, rp.Records = i, records(sprintf("%d", i))
			switch i {
			case 3:
				rp.Records[len(rp.Records)-1] ^= 1
			case 5:
				rp.Records = batch(protocol.BatchOptions{Control: true}, "x")
			}
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, rp)
		}
		t.do(req)
		for i := range int32(8) {
			t.do(at(7, listOffsets(topic, i, -1)))
		}
	}},
}
