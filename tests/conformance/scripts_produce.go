package main

import (
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var produceScripts = []script{
	{"produce: one batch, then another", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		req := produce(topic, 0, recordsFor(t.version, "one", "two"))
		req.Topics[0].TopicID = id
		t.do(req)
		req = produce(topic, 0, recordsFor(t.version, "three"))
		req.Topics[0].TopicID = id
		t.do(req)
		t.do(at(7, listOffsets(topic, 0, -1)))
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
	{"produce: unknown topic and partition", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		req := produce(t.name("none"), 0, recordsFor(t.version, "x"))
		req.Topics[0].TopicID = [16]byte{1, 2, 3}
		t.do(req)
		for _, p := range []int32{1, -1, 2147483647, -2147483648} {
			req = produce(topic, p, recordsFor(t.version, "x"))
			req.Topics[0].TopicID = id
			t.do(req)
		}
		t.on("a").open()
	}},
	{"produce: invalid topic names", 0, 0, 12, func(t *T) {
		for _, n := range []string{"", ".", "..", "a b", "a/b", "ä", string(make([]byte, 250))} {
			t.do(produce(n, 0, recordsFor(t.version, "x")))
		}
	}},
	{"produce: acks", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		for _, acks := range []int16{1, -1, 2, -2, 32767, -32768} {
			req := produceAcks(acks, topic, 0, recordsFor(t.version, "x"))
			req.Topics[0].TopicID = id
			t.do(req)
		}
		t.do(at(7, listOffsets(topic, 0, -1)))
	}},
	{"produce: acks 0 gets no answer", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		req := produceAcks(0, topic, 0, recordsFor(t.version, "x"))
		req.Topics[0].TopicID = id
		t.on("a").send(req)
		t.on("a").open()
		t.do(at(7, listOffsets(topic, 0, -1)))
	}},
	{"produce: acks 0 that fails closes", 0, 0, 0, func(t *T) {
		req := produceAcks(0, t.name("none"), 0, recordsFor(t.version, "x"))
		req.Topics[0].TopicID = [16]byte{9}
		t.on("a").send(req)
		t.on("a").open()
	}},
	{"produce: no topics, no partitions", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		req := kmsg.NewPtrProduceRequest()
		req.Acks = 1
		t.do(req)
		req = produce(topic, 0, nil)
		req.Topics[0].TopicID = id
		req.Topics[0].Partitions = nil
		t.do(req)
	}},
	{"produce: null records", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		req := produce(topic, 0, nil)
		req.Topics[0].TopicID = id
		t.on("a").send(req).answerWithin(2 * time.Second)
	}},
	{"produce: empty records", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		req := produce(topic, 0, []byte{})
		req.Topics[0].TopicID = id
		t.do(req)
		t.on("a").open()
	}},
	{"produce: the same partition twice", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		req := produce(topic, 0, recordsFor(t.version, "one"))
		req.Topics[0].TopicID = id
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Records = recordsFor(t.version, "two")
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, rp)
		t.do(req)
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
	{"produce: the same topic twice", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		req := produce(topic, 1, recordsFor(t.version, "one"))
		req.Topics = append(req.Topics, produce(topic, 0, recordsFor(t.version, "two")).Topics[0])
		for i := range req.Topics {
			req.Topics[i].TopicID = id
		}
		t.do(req)
	}},
	{"produce: several topics, some bad", 0, 0, 0, func(t *T) {
		one, id1 := t.topic("one", 2)
		two, id2 := t.topic("two", 1)
		req := produce(two, 0, recordsFor(t.version, "a"))
		req.Topics[0].TopicID = id2
		bad := produce(t.name("none"), 0, recordsFor(t.version, "b")).Topics[0]
		bad.TopicID = [16]byte{7}
		good := produce(one, 1, recordsFor(t.version, "c")).Topics[0]
		good.TopicID = id1
		beyond := kmsg.NewProduceRequestTopicPartition()
		beyond.Partition, beyond.Records = 5, recordsFor(t.version, "d")
		good.Partitions = append(good.Partitions, beyond)
		req.Topics = append(req.Topics, bad, good)
		t.do(req)
	}},
	{"produce: older magics", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		for _, r := range [][]byte{messages(0, "a", "b"), messages(1, "c", "d"), records("e")} {
			req := produce(topic, 0, r)
			req.Topics[0].TopicID = id
			t.do(req)
		}
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
	{"produce: bad crc", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		r := recordsFor(t.version, "one")
		r[len(r)-1] ^= 1
		req := produce(topic, 0, r)
		req.Topics[0].TopicID = id
		t.do(req)
	}},
	{"produce: cut, garbage and magic 3", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		good := records("one", "two")
		magic3 := append([]byte(nil), good...)
		magic3[16] = 3
		negative := append([]byte(nil), good...)
		negative[8], negative[9], negative[10], negative[11] = 0xff, 0xff, 0xff, 0xff
		huge := append([]byte(nil), good...)
		huge[8] = 0x7f
		small := append([]byte(nil), good...)
		small[8], small[9], small[10], small[11] = 0, 0, 0, 3
		for _, r := range [][]byte{magic3, good[:len(good)-1], good[:17], good[:10], {1}, append(append([]byte(nil), good...), 0, 0, 0, 0, 0),
			append(append([]byte(nil), good...), good...), negative, huge, small, make([]byte, 100)} {
			req := produce(topic, 0, r)
			req.Topics[0].TopicID = id
			t.do(req)
		}
		t.do(at(7, listOffsets(topic, 0, -1)))
	}},
	{"produce: headers of batches that do not fit", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		change := func(fn func(h *protocol.RecordBatch)) {
			b := records("one", "two")
			h, err := protocol.ParseRecordBatch(b)
			if err != nil {
				panic(err)
			}
			fn(&h)
			req := produce(topic, 0, rewriteHeader(b, h))
			req.Topics[0].TopicID = id
			t.do(req)
		}
		change(func(h *protocol.RecordBatch) { h.BaseOffset = 1 })
		change(func(h *protocol.RecordBatch) { h.BaseOffset = -1 })
		change(func(h *protocol.RecordBatch) { h.LeaderEpoch = 77 })
		change(func(h *protocol.RecordBatch) { h.RecordCount = 0 })
		change(func(h *protocol.RecordBatch) { h.RecordCount = 1 })
		change(func(h *protocol.RecordBatch) { h.RecordCount = 3 })
		change(func(h *protocol.RecordBatch) { h.RecordCount = -1 })
		change(func(h *protocol.RecordBatch) { h.LastOffsetDelta = 0 })
		change(func(h *protocol.RecordBatch) { h.LastOffsetDelta = 2 })
		change(func(h *protocol.RecordBatch) { h.LastOffsetDelta = 2; h.RecordCount = 3 })
		change(func(h *protocol.RecordBatch) { h.LastOffsetDelta = -1 })
		change(func(h *protocol.RecordBatch) { h.Attributes = 0x20 })
		change(func(h *protocol.RecordBatch) { h.Attributes = 0x10 })
		change(func(h *protocol.RecordBatch) { h.Attributes = 0x30 })
		change(func(h *protocol.RecordBatch) { h.Attributes = 0x08 })
		change(func(h *protocol.RecordBatch) { h.Attributes = 0x40 })
		change(func(h *protocol.RecordBatch) { h.Attributes = 0x80 })
		change(func(h *protocol.RecordBatch) { h.Attributes = 0x4000 })
		for codec := range int16(8) {
			change(func(h *protocol.RecordBatch) { h.Attributes = codec })
		}
		change(func(h *protocol.RecordBatch) { h.MaxTimestamp = 5 })
		change(func(h *protocol.RecordBatch) { h.MaxTimestamp = -1 })
		change(func(h *protocol.RecordBatch) { h.BaseTimestamp = -1; h.MaxTimestamp = -1 })
		change(func(h *protocol.RecordBatch) { h.BaseTimestamp = -100 })
		change(func(h *protocol.RecordBatch) { h.BaseTimestamp = 1 << 60; h.MaxTimestamp = 1 << 60 })
		change(func(h *protocol.RecordBatch) { h.ProducerID = 5; h.ProducerEpoch = -1; h.BaseSequence = -1 })
		change(func(h *protocol.RecordBatch) { h.ProducerID = 1 << 40; h.ProducerEpoch = 0; h.BaseSequence = -1 })
		change(func(h *protocol.RecordBatch) { h.ProducerID = 1<<40 + 1; h.ProducerEpoch = -1; h.BaseSequence = 0 })
		change(func(h *protocol.RecordBatch) { h.ProducerID = -2; h.ProducerEpoch = 0; h.BaseSequence = 0 })
		change(func(h *protocol.RecordBatch) { h.ProducerEpoch = 3; h.BaseSequence = 3 })
		t.do(at(7, listOffsets(topic, 0, -1)))
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
	{"produce: codecs", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		for codec := protocol.Codec(0); codec <= 4; codec++ {
			req := produce(topic, 0, batch(protocol.BatchOptions{Codec: codec}, "one", "two", "three"))
			req.Topics[0].TopicID = id
			t.do(req)
		}
		t.do(at(10, fetch(topic, id, 0, 0)))
	}},
	{"produce: compression.type of the topic", 0, 3, 0, func(t *T) {
		for _, typ := range []string{"uncompressed", "gzip", "snappy", "lz4", "zstd", "producer"} {
			topic, id := t.topic(typ, 1, "compression.type", typ)
			for codec := protocol.Codec(0); codec <= 4; codec++ {
				req := produce(topic, 0, batch(protocol.BatchOptions{Codec: codec}, "one", "two", "three"))
				req.Topics[0].TopicID = id
				t.do(req)
			}
			t.do(at(10, fetch(topic, id, 0, 0)))
		}
	}},
	{"produce: sequences", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		pid, epoch := t.producerID()
		send := func(id16 [16]byte, pid int64, epoch int16, sequence int32, values ...string) {
			req := produce(topic, 0, idempotent(pid, epoch, sequence, values...))
			req.Topics[0].TopicID = id16
			t.do(req)
		}
		send(id, pid, epoch, 0, "a")
		send(id, pid, epoch, 0, "a") // again
		send(id, pid, epoch, 1, "b", "c")
		send(id, pid, epoch, 1, "b", "c") // again
		send(id, pid, epoch, 1, "b")      // part of one
		send(id, pid, epoch, 5, "gap")
		send(id, pid, epoch, 3, "d")
		send(id, pid, epoch, 4, "e")
		send(id, pid, epoch, 5, "f")
		send(id, pid, epoch, 6, "g")
		send(id, pid, epoch, 7, "h")
		send(id, pid, epoch, 0, "a") // forgotten
		send(id, pid, epoch, 3, "d") // the fifth last
		send(id, pid, epoch+1, 8, "new epoch, not from 0")
		send(id, pid, epoch+1, 0, "new epoch")
		send(id, pid, epoch, 8, "old epoch")
		send(id, pid, epoch+1, 0, "new epoch")
		send(id, pid+1000000, 0, 17, "an unknown producer starts anywhere")
		send(id, pid+1000000, 0, 18, "and goes on")
		send(id, pid+1000001, 0, 2147483646, "wrap", "wrap")
		send(id, pid+1000001, 0, 0, "wrapped")
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
	{"produce: transactional batches outside of a transaction", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		pid, epoch := t.producerID()
		b := batch(protocol.BatchOptions{Producer: &protocol.Producer{ID: pid, Epoch: epoch}, Transactional: true}, "x")
		req := produce(topic, 0, b)
		req.Topics[0].TopicID = id
		t.do(req)
		req = produce(topic, 0, records("plain"))
		req.Topics[0].TopicID = id
		req.TransactionID = ptr(t.name("txn"))
		t.do(req)
	}},
	{"produce: too large", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1, "max.message.bytes", "200")
		small, _ := t.topic("s", 1, "segment.bytes", "1048576", "max.message.bytes", "4000000")
		req := produce(topic, 0, recordsFor(t.version, string(make([]byte, 300))))
		req.Topics[0].TopicID = id
		t.do(req)
		req = produce(topic, 0, recordsFor(t.version, string(make([]byte, 100))))
		req.Topics[0].TopicID = id
		t.do(req)
		if t.version < 13 {
			t.do(produce(small, 0, recordsFor(t.version, string(make([]byte, 1500000)))))
		}
		t.do(at(7, listOffsets(topic, 0, -1)))
	}},
	{"produce: compacted topic", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1, "cleanup.policy", "compact")
		req := produce(topic, 0, recordsFor(t.version, "no key", "no key either"))
		req.Topics[0].TopicID = id
		t.do(req)
		var r []byte
		if t.version < 3 {
			r = protocol.AppendMessage(nil, int8(t.version/2), 0, someTime, []byte("k"), []byte("v"))
			r = protocol.AppendMessage(r, int8(t.version/2), 1, someTime, nil, []byte("v"))
		} else {
			r, _ = protocol.AppendBatch(nil, protocol.BatchOptions{}, protocol.Record{Timestamp: someTime, Key: []byte("k"), Value: []byte("v")},
				protocol.Record{Offset: 1, Timestamp: someTime, Value: []byte("v")}, protocol.Record{Offset: 2, Timestamp: someTime, Key: []byte{}})
		}
		req = produce(topic, 0, r)
		req.Topics[0].TopicID = id
		t.do(req)
		t.do(at(7, listOffsets(topic, 0, -1)))
	}},
	{"produce: timestamps out of bounds", 0, 2, 0, func(t *T) {
		topic, id := t.topic("t", 1, "message.timestamp.before.max.ms", "1000", "message.timestamp.after.max.ms", "1000")
		req := produce(topic, 0, recordsFor(t.version, "old", "old"))
		req.Topics[0].TopicID = id
		t.do(req)
		future := protocol.Record{Timestamp: 4_000_000_000_000, Value: []byte("x")}
		r := protocol.AppendMessage(nil, 1, 0, future.Timestamp, nil, future.Value)
		if t.version > 2 {
			r, _ = protocol.AppendBatch(nil, protocol.BatchOptions{}, future)
		}
		req = produce(topic, 0, r)
		req.Topics[0].TopicID = id
		t.do(req)
	}},
	{"produce: log append time", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1, "message.timestamp.type", "LogAppendTime")
		for range 2 {
			req := produce(topic, 0, recordsFor(t.version, "one", "two"))
			req.Topics[0].TopicID = id
			t.do(req)
		}
		if t.version >= 3 {
			pid, epoch := t.producerID()
			for range 2 {
				req := produce(topic, 0, idempotent(pid, epoch, 0, "dup"))
				req.Topics[0].TopicID = id
				t.do(req)
			}
		}
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
	{"produce: into internal topics", 0, 0, 12, func(t *T) {
		t.quiet(func() {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKey = "x"
			t.do(at(1, req))
		})
		t.awaitTopic("__consumer_offsets", 5)
		t.do(produce("__consumer_offsets", 0, recordsFor(t.version, "x")))
		t.do(produce("__consumer_offsets", 99, recordsFor(t.version, "x")))
	}},
	{"produce: after delete records", 0, 5, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a", "b", "c"))
		req := kmsg.NewPtrDeleteRecordsRequest()
		rt := kmsg.NewDeleteRecordsRequestTopic()
		rt.Topic = topic
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rp.Offset = 2
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		req.TimeoutMillis = 5000
		t.do(req)
		p := produce(topic, 0, records("d"))
		p.Topics[0].TopicID = id
		t.do(p)
	}},
	{"produce: min.insync.replicas above the replicas", 0, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1, "min.insync.replicas", "2")
		for _, acks := range []int16{-1, 1} {
			req := produceAcks(acks, topic, 0, recordsFor(t.version, "x"))
			req.Topics[0].TopicID = id
			t.do(req)
		}
	}},
	{"produce: a deleted and created topic", 0, 13, 13, func(t *T) {
		topic, id := t.topic("t", 1)
		t.quiet(func() { t.on("setup").do(deleteTopic(topic)) })
		t.awaitNoTopic(topic)
		_, id2 := t.topic("t", 1)
		for _, u := range [][16]byte{id, id2, {}} {
			req := produce("", 0, records("x"))
			req.Topics[0].TopicID = u
			t.do(req)
		}
	}},
	{"produce: headers", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		h := []protocol.Header{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("a"), Value: nil}, {Key: []byte{}, Value: []byte{}}}
		r, _ := protocol.AppendBatch(nil, protocol.BatchOptions{}, protocol.Record{Timestamp: someTime, Key: []byte("k"), Headers: h})
		req := produce(topic, 0, r)
		req.Topics[0].TopicID = id
		t.do(req)
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
}

func rewriteHeader(b []byte, h protocol.RecordBatch) []byte {
	out := h.AppendHeader(nil)
	out = append(out, b[len(out):]...)
	crc := protocol.BatchCRC(out)
	out[17], out[18], out[19], out[20] = byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc)
	return out
}
