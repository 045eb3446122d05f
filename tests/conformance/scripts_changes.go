package main

import (
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// set changes a key of a topic as a preparation.
func (t *T) set(topic, key, value string) {
	t.quiet(func() {
		a := t.on("setup").do(at(1, alterConfig(2, topic, 0, key, &value)))
		if code := a.int("Responses[0].ErrorCode"); code != 0 {
			t.fail("set %s of %s: error %d", key, topic, code)
		}
	})
	t.settle()
}

// produceAs sends records of the newest format to partition 0.
func (t *T) produceAs(topic string, id [16]byte, records []byte) *Answer {
	req := produce(topic, 0, records)
	req.Topics[0].TopicID = id
	return t.do(req)
}

var changeScripts = []script{
	{"change: max.message.bytes between requests", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		b := func() []byte { return records(strings.Repeat("x", 500)) }
		t.produceAs(topic, id, b())
		t.set(topic, "max.message.bytes", "200")
		t.produceAs(topic, id, b())
		t.produceAs(topic, id, records("small"))
		t.produceAs(topic, id, batch(protocol.BatchOptions{Codec: 1}, strings.Repeat("x", 500)))
		t.set(topic, "max.message.bytes", "0")
		t.produceAs(topic, id, records(""))
		t.set(topic, "max.message.bytes", "1000")
		t.produceAs(topic, id, b())
		t.do(at(7, listOffsets(topic, 0, -1)))
	}},
	{"change: message.timestamp.type between requests", 0, 2, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		for _, typ := range []string{"LogAppendTime", "CreateTime", "LogAppendTime"} {
			t.produceAs(topic, id, recordsFor(t.version, "a", "b"))
			t.set(topic, "message.timestamp.type", typ)
			time.Sleep(5 * time.Millisecond) // each append in a millisecond of its own
		}
		t.produceAs(topic, id, recordsFor(t.version, "a", "b"))
		t.do(at(11, fetch(topic, id, 0, 0)))
		for _, ts := range []int64{someTime, someTime + 1, someTime + 2, -3} {
			t.do(at(7, listOffsets(topic, 0, ts)))
		}
	}},
	{"change: cleanup.policy between requests", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.produceAs(topic, id, records("no key"))
		for _, policy := range []string{"compact", "compact,delete", "delete"} {
			t.set(topic, "cleanup.policy", policy)
			t.produceAs(topic, id, records("no key"))
			pid, epoch := t.producerID()
			t.produceAs(topic, id, idempotent(pid, epoch, 0, "no key"))
		}
		t.do(at(7, listOffsets(topic, 0, -1)))
	}},
	{"change: compression.type between requests", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		for _, typ := range []string{"gzip", "producer", "uncompressed", "lz4", "snappy", "zstd", "producer"} {
			t.set(topic, "compression.type", typ)
			t.produceAs(topic, id, records("a", "b"))
			t.produceAs(topic, id, batch(protocol.BatchOptions{Codec: 2}, "a", "b"))
		}
		t.do(at(11, fetch(topic, id, 0, 0)))
	}},
	{"change: min.insync.replicas and timestamps between requests", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.set(topic, "min.insync.replicas", "3")
		t.produceAs(topic, id, records("a"))
		t.set(topic, "message.timestamp.before.max.ms", "1000")
		t.produceAs(topic, id, records("a"))
		t.set(topic, "message.timestamp.type", "LogAppendTime")
		t.produceAs(topic, id, records("a"))
	}},
	{"change: the old formats switched off and on", 1, 0, 3, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a"))
		for _, on := range []string{"false", "true"} {
			t.set(topic, "message.downconversion.enable", on)
			t.do(fetch(topic, id, 0, 0))
		}
	}},
	{"change: deleted and created, the settings are new", 32, 1, 0, func(t *T) {
		topic, _ := t.topic("t", 1, "retention.ms", "123456", "segment.bytes", "1048576")
		t.do(describeConfigs(2, topic, "retention.ms", "segment.bytes"))
		t.quiet(func() { t.on("setup").do(deleteTopic(topic)) })
		t.awaitNoTopic(topic)
		t.do(describeConfigs(2, topic, "retention.ms"))
		t.topic("t", 1)
		t.do(describeConfigs(2, topic, "retention.ms", "segment.bytes"))
	}},
	{"change: keys set, seen, appended and taken back", 44, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		steps := []struct {
			op    int8
			key   string
			value *string
		}{{0, "cleanup.policy", ptr("compact,delete")}, {3, "cleanup.policy", ptr("compact")}, {2, "cleanup.policy", ptr("compact,compact")}, {3, "cleanup.policy", ptr("compact,delete")},
			{0, "retention.ms", ptr("1")}, {1, "retention.ms", nil}, {0, "compression.type", ptr("zstd")}, {0, "compression.zstd.level", ptr("99")}, {0, "compression.zstd.level", ptr("9")},
			{0, "leader.replication.throttled.replicas", ptr("*")}, {2, "leader.replication.throttled.replicas", ptr("0:1")}, {0, "segment.ms", ptr("0")}, {0, "segment.jitter.ms", ptr("-1")},
			{0, "delete.retention.ms", ptr("1e3")}, {0, "retention.ms", ptr("0x10")}, {0, "retention.ms", ptr("+5")}, {0, "unclean.leader.election.enable", ptr("TRUE")}, {0, "message.timestamp.type", ptr("createtime")}}
		for _, s := range steps {
			t.do(alterConfig(2, topic, s.op, s.key, s.value))
			t.settle()
			t.do(at(4, describeConfigs(2, topic, s.key)))
		}
	}},
	{"change: several resources, one of them wrong", 44, 0, 0, func(t *T) {
		one, _ := t.topic("one", 1)
		two, _ := t.topic("two", 1)
		req := alterConfig(2, one, 0, "retention.ms", ptr("5"))
		req.Resources = append(req.Resources, alterConfig(2, t.name("none"), 0, "retention.ms", ptr("5")).Resources[0],
			alterConfig(2, two, 0, "retention.ms", ptr("x")).Resources[0])
		t.do(req)
		t.settle()
		t.do(at(4, describeConfigs(2, one, "retention.ms")))
		req = alterConfig(2, one, 0, "retention.ms", ptr("7"))
		req.Resources[0].Configs = append(req.Resources[0].Configs, alterConfig(2, one, 0, "segment.bytes", ptr("x")).Resources[0].Configs[0])
		t.do(req)
		t.settle()
		t.do(at(4, describeConfigs(2, one, "retention.ms")))
	}},
	{"change: dynamic keys of a broker", 44, 1, 0, func(t *T) {
		// Only one that nothing else looks at, and back at the end.
		key := "log.cleaner.io.buffer.load.factor"
		for _, name := range []string{"1", ""} {
			t.do(alterConfig(4, name, 0, key, ptr("0.8")))
			t.settle()
			t.do(at(4, describeConfigs(4, name, key)))
			req := describeConfigs(4, name, key)
			req.IncludeSynonyms = true
			t.do(at(4, req))
			t.do(alterConfig(4, name, 0, key, ptr("x")))
			t.do(alterConfig(4, name, 2, key, ptr("0.5")))
			t.do(alterConfig(4, name, 1, key, nil))
			t.settle()
			t.do(at(4, describeConfigs(4, name, key)))
		}
	}},
	{"change: partitions are added under a producer and a consumer", 37, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		s := produce(topic, 2, records("early"))
		t.do(at(9, s))
		t.do(at(11, fetch(topic, id, 2, 0)))
		t.do(createPartitions(topic, 3))
		t.awaitTopic(topic, 3)
		t.do(at(9, s))
		t.do(at(11, fetch(topic, id, 2, 0)))
		t.do(createPartitions(topic, 3))
		t.do(createPartitions(topic, 2))
		t.do(at(12, metadataOf(topic)))
	}},
	{"createpartitions: internal, deleted, and very many", 37, 0, 0, func(t *T) {
		t.offsetsTopic()
		t.do(createPartitions("__consumer_offsets", 2))
		topic, _ := t.topic("t", 1)
		t.quiet(func() { t.on("setup").do(deleteTopic(topic)) })
		t.awaitNoTopic(topic)
		t.do(createPartitions(topic, 3))
		topic, _ = t.topic("u", 1)
		for _, n := range []int32{-2147483648, 2147483647} {
			req := createPartitions(topic, n)
			req.ValidateOnly = true
			if n < 0 {
				t.do(req)
			}
		}
		req := createPartitions(topic, 2)
		req.Topics = append(req.Topics, createPartitions(t.name("none"), 2).Topics[0], createPartitions(topic, 5).Topics[0])
		t.do(req)
		t.do(at(12, metadataOf(topic)))
	}},
	{"createtopics: assignments only looked at", 19, 1, 0, func(t *T) {
		for i, replicas := range [][]int32{{1}, {9}, {1, 1}, {}} {
			req := createTopic(t.name(sprintf("t%d", i)), -1, -1, "retention.ms", "5")
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Replicas = replicas
			req.Topics[0].ReplicaAssignment = append(req.Topics[0].ReplicaAssignment, a)
			req.ValidateOnly = true
			t.do(req)
			t.do(at(12, metadataOf(t.name(sprintf("t%d", i)))))
		}
		topic, _ := t.topic("there", 1)
		req := createTopic(topic, 1, 1)
		req.ValidateOnly = true
		req.Topics = append(req.Topics, newTopic(t.name("new"), 1, 1, "no.such.key", "1"), newTopic("a b", 1, 1))
		t.do(req)
	}},
	{"createtopics: and deleted without waiting", 19, 0, 0, func(t *T) {
		name := t.name("t")
		var all []*Pending
		for range 3 {
			all = append(all, t.on("a").send(createTopic(name, 1, 1)), t.on("a").send(at(4, deleteTopic(name))))
		}
		for _, p := range all {
			p.answer()
		}
	}},
	{"createtopics: settings as they come back", 19, 5, 0, func(t *T) {
		t.do(createTopic(t.name("a"), 2, 1, "cleanup.policy", "compact", "retention.ms", "-1", "min.insync.replicas", "1", "compression.type", "lz4"))
		t.do(createTopic(t.name("b"), -1, -1))
		req := createTopic(t.name("c"), 1, 1, "retention.ms", "1")
		req.ValidateOnly = true
		t.do(req)
	}},
	{"deletetopics: of many, some not there", 20, 0, 5, func(t *T) {
		one, _ := t.topic("one", 1)
		two, _ := t.topic("two", 3)
		req := deleteTopic(one)
		req.TopicNames = []string{one, t.name("none"), two, "a b", ""}
		t.do(req)
		t.awaitNoTopic(one)
		t.do(at(12, metadataOf(one, two)))
	}},
	{"describelogdirs: with what is written", 35, 1, 0, func(t *T) {
		topic, _ := t.topic("t", 3)
		t.fill(topic, 0, records("a"), records("b"))
		t.fill(topic, 2, records(strings.Repeat("x", 5000)))
		req := kmsg.NewPtrDescribeLogDirsRequest()
		rt := kmsg.NewDescribeLogDirsRequestTopic()
		rt.Topic, rt.Partitions = topic, []int32{2, 0, 1, 0}
		req.Topics = append(req.Topics, rt, rt)
		t.do(req)
		t.quiet(func() { t.on("setup").do(deleteTopic(topic)) })
		t.awaitNoTopic(topic)
		t.quiet(func() { // its directories go some time later
			for range 300 {
				list, _ := wire.At(asAny(t.on("setup").do(req).Tree), "Results[0].Topics").(wire.List)
				if len(list) == 0 {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
		t.do(req)
	}},
	{"describequorum: partitions", 55, 0, 0, func(t *T) {
		ask := func(topics ...any) {
			req := kmsg.NewPtrDescribeQuorumRequest()
			for i := 0; i+1 < len(topics); i += 2 {
				rt := kmsg.NewDescribeQuorumRequestTopic()
				rt.Topic = topics[i].(string)
				for _, p := range topics[i+1].([]int32) {
					rp := kmsg.NewDescribeQuorumRequestTopicPartition()
					rp.Partition = p
					rt.Partitions = append(rt.Partitions, rp)
				}
				req.Topics = append(req.Topics, rt)
			}
			t.do(req)
		}
		topic, _ := t.topic("t", 1)
		ask("__cluster_metadata", []int32{0})
		ask("__cluster_metadata", []int32{1})
		ask("__cluster_metadata", []int32{0, 1})
		ask("__cluster_metadata", []int32{0, 0})
		ask("__cluster_metadata", []int32{})
		ask(topic, []int32{0})
		ask("", []int32{0, -1})
		ask("__cluster_metadata", []int32{0}, topic, []int32{0})
		ask("__cluster_metadata", []int32{0}, "__cluster_metadata", []int32{0})
		ask()
	}},
	{"unregisterbroker: who is not there", 64, 0, 0, func(t *T) {
		for _, id := range []int32{77, 0, -1, -2147483648, 2147483647} {
			req := kmsg.NewPtrUnregisterBrokerRequest()
			req.BrokerID = id
			t.do(req)
		}
	}},
}
