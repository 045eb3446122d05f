package main

import (
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// sender sends batches of idempotent producers to partition 0 of a topic.
func (t *T) sender(topic string, id [16]byte) func(producer int64, epoch int16, sequence int32, values ...string) *Answer {
	return func(producer int64, epoch int16, sequence int32, values ...string) *Answer {
		req := produce(topic, 0, idempotent(producer, epoch, sequence, values...))
		req.Topics[0].TopicID = id
		return t.do(req)
	}
}

func describeProducers(topic string, partitions ...int32) *kmsg.DescribeProducersRequest {
	req := kmsg.NewPtrDescribeProducersRequest()
	rt := kmsg.NewDescribeProducersRequestTopic()
	rt.Topic, rt.Partitions = topic, partitions
	req.Topics = append(req.Topics, rt)
	return req
}

var sequenceScripts = []script{
	{"sequences: around 2147483647", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		pid, epoch := t.producerID()
		send := t.sender(topic, id)
		send(pid, epoch, 2147483645, "a")
		send(pid, epoch, 2147483646, "b", "c", "d") // the last of them is 0
		send(pid, epoch, 2147483646, "b", "c", "d") // again
		send(pid, epoch, 2147483646, "b", "c")
		send(pid, epoch, 2, "gap")
		send(pid, epoch, 0, "old")
		send(pid, epoch, 1, "e")
		send(pid, epoch, 1, "e")
		t.do(describeProducers(topic, 0))
		pid, epoch = t.producerID()
		send(pid, epoch, 2147483647, "alone at the end")
		send(pid, epoch, 1, "gap")
		send(pid, epoch, 0, "from 0 again")
		send(pid, epoch, 2147483647, "alone at the end")
		t.do(describeProducers(topic, 0))
		t.do(fetch(topic, id, 0, 0))
	}},
	{"sequences: negative ones", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		pid, epoch := t.producerID()
		send := t.sender(topic, id)
		for _, s := range []int32{-1, -2, -1 << 31} {
			send(pid, epoch, s, "x")
		}
		send(pid, -1, 0, "x")
		send(pid, -2, 0, "x")
		send(-1, epoch, 0, "x")
		send(-1, -1, 0, "x")
		t.do(describeProducers(topic, 0))
	}},
	{"sequences: two producers, more than five batches each", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		one, epoch := t.producerID()
		two, _ := t.producerID()
		send := t.sender(topic, id)
		for i := range int32(7) {
			send(one, epoch, 2*i, "a", "b")
			send(two, epoch, i, "c")
		}
		for i := range int32(7) {
			send(one, epoch, 2*i, "a", "b")
			send(two, epoch, i, "c")
		}
		send(one, epoch, 12, "a")
		send(one, epoch, 13, "b")
		send(one, epoch, 11, "b", "c")
		send(one, epoch, 14, "next")
		send(two, epoch, 7, "next")
		t.do(describeProducers(topic, 0))
	}},
	{"sequences: epochs", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		pid, _ := t.producerID()
		send := t.sender(topic, id)
		send(pid, 0, 0, "a")
		send(pid, 1, 1, "not from 0")
		send(pid, 1, 0, "b")
		send(pid, 1, 0, "b")
		send(pid, 0, 1, "the old one")
		send(pid, 0, 0, "a")
		send(pid, 30000, 0, "c")
		send(pid, 29999, 0, "d")
		send(pid, 30000, 1, "d")
		send(pid, 32767, 0, "e")
		send(pid, 32767, 1, "f")
		send(pid, -1, 2, "g")
		t.do(describeProducers(topic, 0))
		t.do(fetch(topic, id, 0, 0))
	}},
	{"sequences: several partitions", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 3)
		pid, epoch := t.producerID()
		send := func(sequences ...int32) {
			req := produce(topic, 0, nil)
			req.Topics[0].TopicID = id
			req.Topics[0].Partitions = nil
			for i, s := range sequences {
				rp := kmsg.NewProduceRequestTopicPartition()
				rp.Partition, rp.Records = int32(i), idempotent(pid, epoch, s, "a", "b")
				req.Topics[0].Partitions = append(req.Topics[0].Partitions, rp)
			}
			t.do(req)
		}
		send(0, 0, 0)
		send(2, 0, 5)
		send(4, 2, 2)
		send(4, 4, 4)
		t.do(describeProducers(topic, 0, 1, 2))
	}},
	{"sequences: what is refused does not count", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1, "max.message.bytes", "300")
		pid, epoch := t.producerID()
		send := t.sender(topic, id)
		send(pid, epoch, 0, "a")
		send(pid, epoch, 1, strings.Repeat("x", 500))
		send(pid, epoch, 1, "b")
		b := idempotent(pid, epoch, 2, "c")
		b[len(b)-1] ^= 1
		req := produce(topic, 0, b)
		req.Topics[0].TopicID = id
		t.do(req)
		send(pid, epoch, 2, "c")
		send(pid, epoch, 1, strings.Repeat("x", 500)) // too large, and were it not, a duplicate
		send(pid, epoch, 1, "another value, the same sequence")
		t.do(describeProducers(topic, 0))
	}},
	{"sequences: after DeleteRecords", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		pid, epoch := t.producerID()
		send := t.sender(topic, id)
		send(pid, epoch, 0, "a", "b")
		send(pid, epoch, 2, "c")
		t.do(at(2, deleteRecords(topic, 0, -1)))
		t.do(describeProducers(topic, 0))
		send(pid, epoch, 2, "c") // again, though the records are gone
		send(pid, epoch, 3, "d")
		send(pid, epoch, 9, "gap")
		t.do(at(7, listOffsets(topic, 0, -2)))
		t.do(fetch(topic, id, 0, 3))
	}},
	{"sequences: of a topic that was deleted and created", 0, 3, 12, func(t *T) {
		topic, id := t.topic("t", 1)
		pid, epoch := t.producerID()
		send := t.sender(topic, id)
		send(pid, epoch, 0, "a", "b")
		t.quiet(func() { t.on("setup").do(deleteTopic(topic)) })
		t.awaitNoTopic(topic)
		t.topic("t", 1)
		send(pid, epoch, 2, "goes on")
		send(pid, epoch, 2, "goes on")
		send(pid, epoch, 4, "gap")
		send(pid, epoch, 0, "from 0")
		t.do(describeProducers(topic, 0))
	}},
	{"sequences: in flight", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		pid, epoch := t.producerID()
		var all []*Pending
		for _, s := range []int32{0, 1, 2, 3, 4, 6, 5, 6, 0, 4} {
			req := produce(topic, 0, idempotent(pid, epoch, s, sprintf("%d", s)))
			req.Topics[0].TopicID = id
			all = append(all, t.on("a").send(req))
		}
		for _, p := range all {
			p.answer()
		}
		t.do(fetch(topic, id, 0, 0))
	}},
	{"sequences: acks 0 and 1", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		pid, epoch := t.producerID()
		for i, acks := range []int16{1, -1, 1, 0} {
			req := produceAcks(acks, topic, 0, idempotent(pid, epoch, int32(i), "x"))
			req.Topics[0].TopicID = id
			p := t.on("a").send(req)
			if acks != 0 {
				p.answer()
			}
		}
		t.do(at(7, listOffsets(topic, 0, -1)))
		req := produceAcks(0, topic, 0, idempotent(pid, epoch, 3, "x")) // again
		req.Topics[0].TopicID = id
		t.on("a").send(req)
		t.on("a").open()
		req = produceAcks(0, topic, 0, idempotent(pid, epoch, 9, "gap"))
		req.Topics[0].TopicID = id
		t.on("a").send(req)
		t.on("a").open()
	}},
	{"sequences: compressed, and changed by the topic", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1, "compression.type", "gzip")
		pid, epoch := t.producerID()
		for _, codec := range []protocol.Codec{0, 1, 2, 0, 1} {
			b := batch(protocol.BatchOptions{Codec: codec, Producer: &protocol.Producer{ID: pid, Epoch: epoch, BaseSequence: 0}}, "a", "b")
			req := produce(topic, 0, b)
			req.Topics[0].TopicID = id
			t.do(req)
		}
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
	{"sequences: many producers described", 61, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		for i := range int32(4) {
			pid, epoch := t.producerID()
			for s := range i + 1 {
				t.fill(topic, 0, idempotent(pid, epoch, s, "x"))
			}
			t.do(describeProducers(topic, 0))
		}
		t.fill(topic, 0, records("nobody's"))
		t.do(describeProducers(topic, 0, 0, 1))
	}},
}
