package main

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var adminScripts = []script{
	{"createtopics: and again", 19, 0, 0, func(t *T) {
		t.do(createTopic(t.name("t"), 2, 1))
		t.do(createTopic(t.name("t"), 2, 1))
		t.awaitTopic(t.name("t"), 2)
		t.do(metadataOf(t.name("t")))
	}},
	{"createtopics: counts", 19, 0, 0, func(t *T) {
		for i, c := range [][2]int32{{-1, -1}, {1, -1}, {-1, 1}, {0, 1}, {1, 0}, {-2, 1}, {1, -2}, {1, 2}, {1, 3}, {1, 32767}} {
			t.do(createTopic(t.name(sprintf("t%d", i)), c[0], int16(c[1])))
		}
	}},
	{"createtopics: names", 19, 0, 0, func(t *T) {
		for _, n := range []string{"", ".", "..", "a b", "a/b", "ä", "a\x00b", strings.Repeat("x", 250), "__cluster_metadata"} {
			t.do(createTopic(n, 1, 1))
		}
		t.do(createTopic(t.name("a.b"), 1, 1))
		t.awaitTopic(t.name("a.b"), 1)
		t.do(createTopic(t.name("a_b"), 1, 1))
	}},
	{"createtopics: the same name twice", 19, 0, 0, func(t *T) {
		req := createTopic(t.name("a"), 1, 1)
		req.Topics = append(req.Topics, newTopic(t.name("b"), 1, 1), newTopic(t.name("a"), 1, 1), newTopic(t.name("c"), 1, 1))
		t.do(req)
	}},
	{"createtopics: none", 19, 0, 0, func(t *T) {
		req := createTopic("x", 1, 1)
		req.Topics = nil
		t.do(req)
	}},
	{"createtopics: configs", 19, 0, 0, func(t *T) {
		for i, c := range [][]string{{"retention.ms", "1000"}, {"retention.ms", "x"}, {"retention.ms", ""}, {"no.such.key", "1"}, {"", "1"}, {"cleanup.policy", "compact,delete"},
			{"cleanup.policy", "nothing"}, {"compression.type", "zstd"}, {"compression.type", "ZSTD"}, {"segment.bytes", "1"}, {"segment.bytes", "1048576"}, {"retention.ms", "1", "retention.ms", "2"},
			{"min.insync.replicas", "0"}, {"max.message.bytes", "-1"}, {"preallocate", "maybe"}, {"retention.ms", " 5 "}, {"retention.bytes", "9223372036854775808"},
			{"follower.replication.throttled.replicas", "0:1,1:2"}, {"follower.replication.throttled.replicas", "x"}, {"min.cleanable.dirty.ratio", "0.3"}, {"min.cleanable.dirty.ratio", "2"},
			{"message.timestamp.type", "CreateTime"}, {"max.compaction.lag.ms", "1", "min.compaction.lag.ms", "2"}, {"remote.storage.enable", "true"}, {"local.retention.ms", "5"}} {
			t.do(createTopic(t.name(sprintf("t%d", i)), 1, 1, c...))
		}
		req := createTopic(t.name("null"), 1, 1, "retention.ms", "1")
		req.Topics[0].Configs[0].Value = nil
		t.do(req)
	}},
	{"createtopics: validate only", 19, 1, 0, func(t *T) {
		req := createTopic(t.name("t"), 3, 1, "retention.ms", "77")
		req.ValidateOnly = true
		t.do(req)
		t.do(at(12, metadataOf(t.name("t"))))
		req = createTopic(t.name("u"), 3, 9)
		req.ValidateOnly = true
		t.do(req)
	}},
	{"createtopics: assignments", 19, 0, 0, func(t *T) {
		try := func(partitions int32, rf int16, assignment ...[]int32) {
			req := createTopic(t.name(sprintf("t%d", t.lastID)), partitions, rf)
			for i, replicas := range assignment {
				a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
				a.Partition, a.Replicas = int32(i), replicas
				req.Topics[0].ReplicaAssignment = append(req.Topics[0].ReplicaAssignment, a)
			}
			t.do(req)
		}
		try(-1, -1, []int32{1}, []int32{1})
		try(2, -1, []int32{1}, []int32{1})
		try(-1, 1, []int32{1})
		try(-1, -1, []int32{1, 1})
		try(-1, -1, []int32{9})
		try(-1, -1, []int32{1}, []int32{})
		try(-1, -1, []int32{})
		try(-1, -1, []int32{-1})
		req := createTopic(t.name("gap"), -1, -1)
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition, a.Replicas = 1, []int32{1}
		req.Topics[0].ReplicaAssignment = append(req.Topics[0].ReplicaAssignment, a)
		t.do(req)
		req = createTopic(t.name("dup"), -1, -1)
		a.Partition = 0
		req.Topics[0].ReplicaAssignment = append(req.Topics[0].ReplicaAssignment, a, a)
		t.do(req)
	}},
	{"createtopics: timeouts", 19, 0, 0, func(t *T) {
		for i, timeout := range []int32{0, -1, -1 << 31} {
			req := createTopic(t.name(sprintf("t%d", i)), 1, 1)
			req.TimeoutMillis = timeout
			t.do(req)
		}
	}},
	{"deletetopics: by name", 20, 0, 5, func(t *T) {
		topic, _ := t.topic("t", 1)
		t.do(deleteTopic(topic))
		t.awaitNoTopic(topic)
		t.do(deleteTopic(topic))
		for _, n := range []string{"", "a b", t.name("none"), strings.Repeat("x", 250)} {
			t.do(deleteTopic(n))
		}
		req := deleteTopic("x")
		req.TopicNames = nil
		t.do(req)
	}},
	{"deletetopics: the same twice", 20, 0, 5, func(t *T) {
		topic, _ := t.topic("t", 1)
		req := deleteTopic(topic)
		req.TopicNames = append(req.TopicNames, topic, t.name("none"))
		t.do(req)
	}},
	{"deletetopics: names and ids", 20, 6, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		try := func(name *string, id [16]byte) {
			req := deleteTopic("x")
			req.Topics[0].Topic, req.Topics[0].TopicID = name, id
			t.do(req)
		}
		try(nil, [16]byte{})
		try(nil, [16]byte{5})
		try(&topic, id)
		try(&topic, [16]byte{5})
		try(ptr(t.name("none")), [16]byte{})
		try(ptr(""), [16]byte{})
		try(ptr("a b"), [16]byte{})
		req := deleteTopic(topic)
		rt := kmsg.NewDeleteTopicsRequestTopic()
		rt.TopicID = id
		req.Topics = append(req.Topics, rt)
		t.do(req)
		two := deleteTopic(topic)
		two.Topics = append(two.Topics, two.Topics[0])
		t.do(two)
		try(nil, id)
		t.awaitNoTopic(topic)
		try(nil, id)
	}},
	{"deletetopics: timeouts", 20, 1, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		for _, timeout := range []int32{0, -1} {
			req := deleteTopic(topic)
			req.TimeoutMillis = timeout
			t.do(req)
		}
	}},
	{"createpartitions: counts", 37, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 2)
		for _, n := range []int32{2, 1, 0, -1, 3} {
			t.do(createPartitions(topic, n))
		}
		t.awaitTopic(topic, 3)
		t.do(createPartitions(topic, 3))
		t.do(createPartitions(t.name("none"), 3))
		t.do(createPartitions("", 3))
		t.do(createPartitions("a b", 3))
	}},
	{"createpartitions: assignments", 37, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		for _, assignment := range [][][]int32{{{1}}, {{1}, {1}, {1}}, {{1}, {9}}, {{1}, {}}, {{1}, {1, 1}}, {{1}, {1}}} {
			req := createPartitions(topic, 3)
			for _, replicas := range assignment {
				a := kmsg.NewCreatePartitionsRequestTopicAssignment()
				a.Replicas = replicas
				req.Topics[0].Assignment = append(req.Topics[0].Assignment, a)
			}
			t.do(req)
		}
		req := createPartitions(topic, 4)
		req.Topics[0].Assignment = []kmsg.CreatePartitionsRequestTopicAssignment{}
		t.do(req)
	}},
	{"createpartitions: validate only, twice, none, in no time", 37, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		req := createPartitions(topic, 5)
		req.ValidateOnly = true
		t.do(req)
		req = createPartitions(topic, 2)
		req.Topics = append(req.Topics, req.Topics[0])
		t.do(req)
		req.Topics = nil
		t.do(req)
		req = createPartitions(topic, 2)
		req.TimeoutMillis = 0
		t.do(req)
		req.TimeoutMillis = -1
		t.do(req)
		t.do(at(12, metadataOf(topic)))
	}},
	{"describeconfigs: a topic", 32, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1, "retention.ms", "12345", "cleanup.policy", "compact")
		t.do(describeConfigs(2, topic, "retention.ms", "cleanup.policy", "segment.bytes", "no.such.key"))
		t.do(describeConfigs(2, topic))
		req := describeConfigs(2, topic, "retention.ms", "segment.bytes", "min.insync.replicas", "compression.type")
		req.IncludeSynonyms = true
		t.do(req)
		req.IncludeDocumentation = true
		a := t.on("a").send(req)
		a.answer()
		empty := describeConfigs(2, topic)
		empty.Resources[0].ConfigNames = []string{}
		t.do(empty)
	}},
	{"describeconfigs: what is not there", 32, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		for _, r := range []struct {
			typ  int8
			name string
		}{{2, t.name("none")}, {2, ""}, {2, "a b"}, {4, "1"}, {4, "2"}, {4, ""}, {4, "x"}, {4, "-1"}, {8, "1"}, {8, "2"}, {8, ""}, {0, "x"}, {3, "x"}, {16, "x"}, {32, "x"}, {99, "x"}, {-1, "x"}} {
			t.do(describeConfigs(kmsg.ConfigResourceType(r.typ), r.name, "retention.ms"))
		}
		req := describeConfigs(2, topic, "retention.ms")
		req.Resources = append(req.Resources, req.Resources[0], describeConfigs(2, t.name("none"), "retention.ms").Resources[0])
		t.do(req)
		req.Resources = nil
		t.do(req)
	}},
	{"describeconfigs: broker keys", 32, 1, 0, func(t *T) {
		req := describeConfigs(4, "1", "num.partitions", "log.retention.ms", "log.retention.hours", "message.max.bytes", "compression.type", "log.cleaner.threads", "ssl.keystore.password",
			"offsets.topic.replication.factor", "group.initial.rebalance.delay.ms", "min.insync.replicas", "auto.create.topics.enable", "log.segment.bytes", "no.such.key")
		t.do(req)
		req.IncludeSynonyms = true
		t.do(req)
		req.IncludeDocumentation = true
		t.do(req)
	}},
	{"alone: IncrementalAlterConfigs with operations that there are not", 44, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		t.do(alterConfig(2, topic, 4, "retention.ms", ptr("5")))
		t.do(alterConfig(2, topic, -1, "retention.ms", ptr("5")))
		t.settle() // Apache's controller dies of them, and comes back
	}},
	{"incrementalalterconfigs: operations", 44, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		try := func(op int8, key string, value *string) {
			t.do(alterConfig(2, topic, op, key, value))
		}
		try(0, "retention.ms", ptr("5"))
		try(0, "retention.ms", ptr("x"))
		try(0, "retention.ms", nil)
		try(1, "retention.ms", nil)
		try(1, "retention.ms", ptr("x"))
		try(2, "cleanup.policy", ptr("compact"))
		try(2, "cleanup.policy", ptr("compact"))
		try(2, "cleanup.policy", ptr("nothing"))
		try(3, "cleanup.policy", ptr("delete"))
		try(3, "cleanup.policy", ptr("compact"))
		try(2, "retention.ms", ptr("5"))
		try(3, "retention.ms", ptr("5"))
		try(0, "no.such.key", ptr("5"))
		try(1, "no.such.key", nil)
		try(0, "", ptr("5"))
		t.settle()
		t.do(describeConfigs(2, topic, "retention.ms", "cleanup.policy"))
	}},
	{"incrementalalterconfigs: what is not there", 44, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		for _, r := range []struct {
			typ  int8
			name string
		}{{2, t.name("none")}, {2, ""}, {2, "a b"}, {4, "2"}, {4, "x"}, {8, "2"}, {8, ""}, {0, "x"}, {3, "x"}, {99, "x"}, {-1, "x"}} {
			t.do(alterConfig(r.typ, r.name, 0, "retention.ms", ptr("5")))
		}
		req := alterConfig(2, topic, 0, "retention.ms", ptr("5"))
		req.Resources = append(req.Resources, req.Resources[0])
		t.do(req)
		req = alterConfig(2, topic, 0, "retention.ms", ptr("5"))
		req.Resources[0].Configs = append(req.Resources[0].Configs, req.Resources[0].Configs[0])
		t.do(req)
		req = alterConfig(2, topic, 0, "retention.ms", ptr("5"))
		req.ValidateOnly = true
		t.do(req)
		req.Resources[0].Configs = nil
		t.do(req)
		req.Resources = nil
		t.do(req)
		t.do(at(4, describeConfigs(2, topic, "retention.ms")))
	}},
	{"incrementalalterconfigs: broker keys", 44, 0, 0, func(t *T) {
		for _, kv := range [][2]string{{"num.partitions", "4"}, {"broker.id", "7"}, {"log.retention.ms", "x"}, {"no.such.key", "1"}, {"listeners", "PLAINTEXT://:1"}, {"log.dirs", "/x"}} {
			req := alterConfig(4, "1", 0, kv[0], ptr(kv[1]))
			req.ValidateOnly = true
			t.do(req)
			req = alterConfig(4, "", 0, kv[0], ptr(kv[1]))
			req.ValidateOnly = true
			t.do(req)
		}
	}},
	{"alterconfigs: replaces", 33, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1, "retention.ms", "1", "retention.bytes", "2")
		t.do(alterConfigs(2, topic, "retention.ms", "5"))
		t.settle()
		t.do(at(4, describeConfigs(2, topic, "retention.ms", "retention.bytes")))
		t.do(alterConfigs(2, topic, "retention.ms", "x"))
		t.do(alterConfigs(2, topic, "no.such.key", "x"))
		t.do(alterConfigs(2, topic))
		t.do(alterConfigs(2, t.name("none"), "retention.ms", "5"))
		t.do(alterConfigs(2, "", "retention.ms", "5"))
		t.do(alterConfigs(8, "1", "kafka", "INFO"))
		t.do(alterConfigs(4, "7", "x", "y"))
		t.do(alterConfigs(0, "7", "x", "y"))
		t.do(alterConfigs(99, "7", "x", "y"))
		null := alterConfigs(2, topic, "retention.ms", "5")
		null.Resources[0].Configs[0].Value = nil
		t.do(null)
		only := alterConfigs(2, topic, "retention.ms", "9")
		only.ValidateOnly = true
		t.do(only)
		t.settle()
		t.do(at(4, describeConfigs(2, topic, "retention.ms", "retention.bytes")))
	}},
	{"electleaders: elections", 43, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 2)
		elect := func(typ int8, topic string, partitions ...int32) {
			req := kmsg.NewPtrElectLeadersRequest()
			req.TimeoutMillis = 5000
			req.ElectionType = typ
			rt := kmsg.NewElectLeadersRequestTopic()
			rt.Topic, rt.Partitions = topic, partitions
			req.Topics = append(req.Topics, rt)
			t.do(req)
		}
		elect(0, topic, 0, 1)
		elect(1, topic, 0)
		elect(2, topic, 0)
		elect(-1, topic, 0)
		elect(0, topic, 5)
		elect(0, topic, -1)
		elect(0, t.name("none"), 0)
		elect(0, "", 0)
		elect(0, topic, 0, 0)
		elect(0, topic)
		req := kmsg.NewPtrElectLeadersRequest()
		req.TimeoutMillis = 5000
		req.Topics = []kmsg.ElectLeadersRequestTopic{}
		t.do(req)
		req.Topics = append(req.Topics, kmsg.ElectLeadersRequestTopic{Topic: topic, Partitions: []int32{0}})
		req.TimeoutMillis = 0
		t.do(req)
	}},
	{"reassignments: alter", 45, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 2)
		alter := func(topic string, partition int32, replicas []int32) {
			req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
			req.TimeoutMillis = 5000
			rt := kmsg.NewAlterPartitionAssignmentsRequestTopic()
			rt.Topic = topic
			rp := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			rp.Partition, rp.Replicas = partition, replicas
			rt.Partitions = append(rt.Partitions, rp)
			req.Topics = append(req.Topics, rt)
			t.do(req)
		}
		alter(topic, 0, []int32{1})
		alter(topic, 0, nil)
		alter(topic, 0, []int32{})
		alter(topic, 0, []int32{9})
		alter(topic, 0, []int32{1, 1})
		alter(topic, 0, []int32{-1})
		alter(topic, 7, []int32{1})
		alter(t.name("none"), 0, []int32{1})
		alter(t.name("none"), 0, nil)
		alter("", 0, []int32{1})
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		req.TimeoutMillis = 5000
		t.do(req)
	}},
	{"reassignments: list", 46, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 2)
		req := kmsg.NewPtrListPartitionReassignmentsRequest()
		req.TimeoutMillis = 5000
		t.do(req)
		for _, n := range []string{topic, t.name("none"), ""} {
			rt := kmsg.NewListPartitionReassignmentsRequestTopic()
			rt.Topic, rt.Partitions = n, []int32{0, 7}
			req.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{rt}
			t.do(req)
		}
		req.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{}
		t.do(req)
	}},
	{"logdirs: describe", 35, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 2)
		t.fill(topic, 0, records("a"))
		req := kmsg.NewPtrDescribeLogDirsRequest()
		rt := kmsg.NewDescribeLogDirsRequestTopic()
		rt.Topic, rt.Partitions = topic, []int32{0, 1, 5}
		req.Topics = append(req.Topics, rt)
		t.do(req)
		req.Topics[0].Partitions = nil
		t.do(req)
		req.Topics[0].Topic, req.Topics[0].Partitions = t.name("none"), []int32{0}
		t.do(req)
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{}
		t.do(req)
	}},
	{"logdirs: alter", 34, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		for _, dir := range []string{"/no/such/dir", "", "relative"} {
			req := kmsg.NewPtrAlterReplicaLogDirsRequest()
			rd := kmsg.NewAlterReplicaLogDirsRequestDir()
			rd.Dir = dir
			for _, n := range []string{topic, t.name("none")} {
				rt := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
				rt.Topic, rt.Partitions = n, []int32{0, 9}
				rd.Topics = append(rd.Topics, rt)
			}
			req.Dirs = append(req.Dirs, rd)
			t.do(req)
		}
		t.do(kmsg.NewPtrAlterReplicaLogDirsRequest())
	}},
	{"quotas: alter and describe", 49, 0, 0, func(t *T) {
		user := t.name("user")
		alter := func(only bool, entity []string, ops ...any) {
			req := kmsg.NewPtrAlterClientQuotasRequest()
			req.ValidateOnly = only
			e := kmsg.NewAlterClientQuotasRequestEntry()
			for i := 0; i+1 < len(entity); i += 2 {
				c := kmsg.NewAlterClientQuotasRequestEntryEntity()
				c.Type, c.Name = entity[i], ptr(entity[i+1])
				e.Entity = append(e.Entity, c)
			}
			for i := 0; i+1 < len(ops); i += 2 {
				o := kmsg.NewAlterClientQuotasRequestEntryOp()
				o.Key = ops[i].(string)
				if v, ok := ops[i+1].(float64); ok {
					o.Value = v
				} else {
					o.Remove = true
				}
				e.Ops = append(e.Ops, o)
			}
			req.Entries = append(req.Entries, e)
			t.do(req)
		}
		describe := func(strict bool, components ...any) {
			t.settle()
			req := kmsg.NewPtrDescribeClientQuotasRequest()
			req.Strict = strict
			for i := 0; i+2 < len(components); i += 3 {
				c := kmsg.NewDescribeClientQuotasRequestComponent()
				c.EntityType, c.MatchType = components[i].(string), kmsg.QuotasMatchType(components[i+1].(int))
				if s, ok := components[i+2].(string); ok {
					c.Match = &s
				}
				req.Components = append(req.Components, c)
			}
			t.do(at(min(t.version, 1), req))
		}
		alter(true, []string{"user", user}, "producer_byte_rate", 100.0)
		describe(true, "user", 0, user)
		alter(false, []string{"user", user}, "producer_byte_rate", 100.0, "consumer_byte_rate", 5.0)
		describe(true, "user", 0, user)
		describe(false, "user", 0, user)
		alter(false, []string{"user", user, "client-id", "c"}, "request_percentage", 1.5)
		describe(true, "user", 0, user)
		describe(false, "user", 0, user)
		describe(true, "user", 0, user, "client-id", 0, "c")
		describe(true, "user", 0, user, "client-id", 2, nil)
		alter(false, []string{"user", user}, "producer_byte_rate", nil)
		describe(true, "user", 0, user)
		alter(false, []string{"user", user}, "producer_byte_rate", 1.5)
		alter(false, []string{"user", user}, "producer_byte_rate", 0.0)
		alter(false, []string{"user", user}, "producer_byte_rate", -1.0)
		alter(false, []string{"user", user}, "no_such_key", 1.0)
		alter(false, []string{"user", user}, "no_such_key", nil)
		alter(false, []string{"user", user}, "consumer_byte_rate", 1.0, "consumer_byte_rate", 2.0)
		alter(false, []string{"color", "red"}, "producer_byte_rate", 1.0)
		alter(false, []string{"ip", "1.2.3.4", "user", user}, "producer_byte_rate", 1.0)
		alter(false, []string{"ip", "1.2.3.4"}, "producer_byte_rate", 1.0)
		alter(false, []string{"ip", "not an ip"}, "connection_creation_rate", 1.0)
		alter(false, []string{}, "producer_byte_rate", 1.0)
		alter(false, []string{"user", ""}, "producer_byte_rate", 1.0)
		alter(false, []string{"user", user})
		describe(true, "color", 0, "red")
		describe(true, "user", 7, "red")
		describe(true, "user", 0, nil)
		describe(true, "user", 0, user, "user", 0, user)
		describe(true, "user", 0, user, "ip", 0, "1.2.3.4")
	}},
	{"telemetry: without a receiver", 71, 0, 0, func(t *T) {
		if t.target.kind != "barnabas" && !t.target.serves(71, 0) {
			return
		}
	}},
}

func createPartitions(topic string, count int32) *kmsg.CreatePartitionsRequest {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 10000
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = topic, count
	req.Topics = append(req.Topics, rt)
	return req
}

func describeConfigs(typ kmsg.ConfigResourceType, name string, keys ...string) *kmsg.DescribeConfigsRequest {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName = typ, name
	r.ConfigNames = keys
	req.Resources = append(req.Resources, r)
	return req
}

func alterConfig(typ int8, name string, op int8, key string, value *string) *kmsg.IncrementalAlterConfigsRequest {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceType(typ), name
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Op, c.Value = key, kmsg.IncrementalAlterConfigOp(op), value
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	return req
}

func alterConfigs(typ int8, name string, configs ...string) *kmsg.AlterConfigsRequest {
	req := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceType(typ), name
	for i := 0; i+1 < len(configs); i += 2 {
		c := kmsg.NewAlterConfigsRequestResourceConfig()
		c.Name, c.Value = configs[i], ptr(configs[i+1])
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	return req
}
