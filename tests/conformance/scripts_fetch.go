package main

import (
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var fetchScripts = []script{
	{"fetch: from every offset", 1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a", "b"), records("c"), records("d", "e", "f"))
		for _, offset := range []int64{0, 1, 2, 3, 5, 6, 7, -1, -2, 1 << 62, -1 << 63} {
			t.do(fetch(topic, id, 0, offset))
		}
	}},
	{"fetch: an empty partition", 1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.do(fetch(topic, id, 0, 0))
		t.do(fetch(topic, id, 0, 1))
	}},
	{"fetch: unknown topic and partition", 1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.do(fetch(t.name("none"), [16]byte{1}, 0, 0))
		t.do(fetch(topic, id, 1, 0))
		t.do(fetch(topic, id, -1, 0))
		t.do(fetch("", [16]byte{}, 0, 0))
		t.do(fetch("a b", [16]byte{2}, 0, 0))
		req := fetch(t.name("none"), [16]byte{1}, 0, 0)
		req.Topics = append(req.Topics, fetch(topic, id, 0, 0).Topics...)
		t.do(req)
	}},
	{"fetch: no topics", 1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		req := fetch(topic, id, 0, 0)
		req.Topics[0].Partitions = nil
		t.do(req)
		req.Topics = nil
		t.do(req)
	}},
	{"fetch: sizes", 1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		big := strings.Repeat("x", 1000)
		t.fill(topic, 0, records(big), records(big), records(big))
		t.fill(topic, 1, records(big), records(big))
		for _, max := range []int32{0, 1, 100, 1068, 1069, 1070, 2200, 1 << 30, -1, -1 << 31} {
			req := fetch(topic, id, 0, 0)
			req.Topics[0].Partitions[0].PartitionMaxBytes = max
			t.do(req)
		}
		for _, max := range []int32{0, 1, 1100, 2200, 1 << 30, -1, -1 << 31} {
			req := fetch(topic, id, 0, 0)
			req.MaxBytes = max
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchPartition(1, 0))
			t.do(req)
		}
	}},
	{"fetch: waiting", 1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a"))
		req := fetch(topic, id, 0, 1)
		req.MaxWaitMillis = 3000
		p := t.on("a").send(req)
		t.on("a").silent(150e6)
		t.fill(topic, 0, records("b"))
		p.answer()
		req = fetch(topic, id, 0, 0)
		req.MinBytes, req.MaxWaitMillis = 1<<20, 200
		t.do(req)
		for _, wait := range []int32{0, -1, -1 << 31} {
			req = fetch(topic, id, 0, 2)
			req.MaxWaitMillis = wait
			t.do(req)
		}
		for _, least := range []int32{0, -1, 1 << 30} {
			req = fetch(topic, id, 0, 0)
			req.MinBytes = least
			t.do(req)
		}
	}},
	{"fetch: isolation levels", 1, 4, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a"))
		for _, level := range []int8{0, 1, 2, 9, -1} {
			req := fetch(topic, id, 0, 0)
			req.IsolationLevel = level
			t.do(req)
		}
		req := fetch(topic, id, 0, 9)
		req.IsolationLevel = 1
		t.do(req)
		req = fetch(t.name("none"), [16]byte{5}, 0, 9)
		req.IsolationLevel = 1
		t.do(req)
	}},
	{"fetch: leader epochs", 1, 9, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a"))
		for _, epoch := range []int32{-1, 0, 1, 100, -2} {
			req := fetch(topic, id, 0, 0)
			req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
			t.do(req)
		}
	}},
	{"fetch: last fetched epochs", 1, 12, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a", "b"), records("c"))
		for _, epoch := range []int32{-1, 0, 1, 100, -2} {
			for _, offset := range []int64{0, 1, 3, 4, 5} {
				req := fetch(topic, id, 0, offset)
				req.Topics[0].Partitions[0].LastFetchedEpoch = epoch
				t.do(req)
			}
		}
	}},
	{"fetch: a moved log start", 1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a", "b", "c"), records("d"))
		t.quiet(func() { t.on("setup").do(at(2, deleteRecords(topic, 0, 2))) })
		for _, offset := range []int64{0, 1, 2, 3, 4} {
			t.do(fetch(topic, id, 0, offset))
		}
		t.quiet(func() { t.on("setup").do(at(2, deleteRecords(topic, 0, -1))) })
		t.do(fetch(topic, id, 0, 3))
		t.do(fetch(topic, id, 0, 4))
	}},
	{"fetch: sessions", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 3)
		other, otherID := t.topic("u", 1)
		t.fill(topic, 0, records("a"))
		req := fetch(topic, id, 0, 0)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchPartition(1, 0))
		req.SessionEpoch = 0
		session := int32(t.do(req).int("SessionId"))
		next := func(epoch int32, topics ...kmsg.FetchRequestTopic) *kmsg.FetchRequest {
			r := fetch(topic, id, 0, 0)
			r.SessionID, r.SessionEpoch, r.Topics = session, epoch, topics
			return r
		}
		t.do(next(1))
		r := next(2)
		r.Topics = fetch(topic, id, 0, 1).Topics
		t.do(r)
		t.do(next(3))
		t.fill(topic, 1, records("b"))
		t.do(next(4))
		t.do(next(5))
		r = next(6, fetch(other, otherID, 0, 0).Topics...)
		t.do(r)
		r = next(7)
		forgotten := kmsg.NewFetchRequestForgottenTopic()
		forgotten.Topic, forgotten.TopicID, forgotten.Partitions = topic, id, []int32{1}
		r.ForgottenTopics = append(r.ForgottenTopics, forgotten)
		t.do(r)
		t.do(next(7))  // again: wrong epoch
		t.do(next(20)) // wrong epoch
		t.do(next(8))  // the session survives
		t.do(next(9, fetch(t.name("none"), [16]byte{1, 1}, 0, 0).Topics...))
		t.do(next(10))
		t.do(next(-1)) // closes it
		t.do(next(10))
	}},
	{"fetch: session ids and epochs that are wrong", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		for _, s := range [][2]int32{{0, -1}, {0, 0}, {0, 1}, {0, 3}, {12345, 0}, {12345, 1}, {12345, -1}, {-1, 1}, {0, -2}, {0, 2147483647}} {
			req := fetch(topic, id, 0, 0)
			req.SessionID, req.SessionEpoch = s[0], s[1]
			t.do(req)
			req = fetch(topic, id, 0, 0)
			req.SessionID, req.SessionEpoch = s[0], s[1]
			req.Topics = nil
			t.do(req)
		}
	}},
	{"fetch: a session that forgets everything", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		req := fetch(topic, id, 0, 0)
		session := int32(t.do(req).int("SessionId"))
		forgotten := kmsg.NewFetchRequestForgottenTopic()
		forgotten.Topic, forgotten.TopicID, forgotten.Partitions = topic, id, []int32{0}
		r := fetch(topic, id, 0, 0)
		r.SessionID, r.SessionEpoch, r.Topics = session, 1, nil
		r.ForgottenTopics = append(r.ForgottenTopics, forgotten)
		t.do(r)
		r.SessionEpoch, r.ForgottenTopics = 2, nil
		t.do(r)
	}},
	{"fetch: a session turns from names to ids", 1, 7, 12, func(t *T) {
		topic, id := t.topic("t", 1)
		session := int32(t.do(fetch(topic, id, 0, 0)).int("SessionId"))
		req := fetch(topic, id, 0, 0)
		req.SessionID, req.SessionEpoch = session, 1
		t.do(at(13, req))
		t.do(req)
		req.SessionEpoch = 2
		t.do(req)
	}},
	{"fetch: a session that is replaced", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		session := int32(t.do(fetch(topic, id, 0, 0)).int("SessionId"))
		req := fetch(topic, id, 0, 0)
		req.SessionID = session
		second := int32(t.do(req).int("SessionId"))
		req.SessionEpoch = 1
		t.do(req)
		req.SessionID = second
		t.do(req)
	}},
	{"fetch: an incremental session tells errors and what is new", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		req := fetch(topic, id, 0, 5) // out of range
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchPartition(1, 0))
		session := int32(t.do(req).int("SessionId"))
		next := func(epoch int32) *kmsg.FetchRequest {
			r := fetch(topic, id, 0, 0)
			r.SessionID, r.SessionEpoch, r.Topics = session, epoch, nil
			return r
		}
		t.do(next(1))
		t.fill(topic, 0, records("1", "2", "3", "4", "5", "6"))
		t.do(next(2))
		t.quiet(func() { t.on("setup").do(at(2, deleteRecords(topic, 0, 5))) })
		t.do(next(3))
		t.do(next(4))
	}},
	{"fetch: the same partition twice", 1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a"), records("b"))
		req := fetch(topic, id, 0, 0)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchPartition(0, 1))
		t.do(req)
	}},
	{"fetch: as a replica", 1, 0, 14, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a"))
		for _, replica := range []int32{-2, 1, 5, -3} {
			req := fetch(topic, id, 0, 0)
			req.ReplicaID = replica
			t.do(req)
		}
	}},
	{"fetch: compressed batches", 1, 0, 0, func(t *T) {
		for codec := protocol.Codec(0); codec <= 4; codec++ {
			topic, id := t.topic(sprintf("codec%d", codec), 1)
			t.fill(topic, 0, batch(protocol.BatchOptions{Codec: codec}, "one", "two"), batch(protocol.BatchOptions{Codec: codec}, "three", "four"))
			for _, offset := range []int64{0, 1, 3} {
				t.do(fetch(topic, id, 0, offset))
			}
		}
	}},
	{"fetch: old formats of records with keys and headers", 1, 0, 3, func(t *T) {
		topic, id := t.topic("t", 1)
		h := []protocol.Header{{Key: []byte("a"), Value: []byte("1")}}
		r, _ := protocol.AppendBatch(nil, protocol.BatchOptions{}, protocol.Record{Timestamp: someTime, Key: []byte("k"), Headers: h},
			protocol.Record{Offset: 1, Timestamp: someTime + 5, Value: []byte("v")})
		t.fill(topic, 0, r)
		t.do(fetch(topic, id, 0, 0))
		t.do(fetch(topic, id, 0, 1))
		lat, latID := t.topic("lat", 1, "message.timestamp.type", "LogAppendTime")
		t.fill(lat, 0, records("x", "y"))
		t.do(fetch(lat, latID, 0, 0))
	}},
	{"fetch: what old producers wrote", 1, 0, 17, func(t *T) {
		topic, id := t.topic("t", 1)
		if !t.target.serves(0, 0) {
			return
		}
		t.do(at(0, produce(topic, 0, messages(0, "a", "b"))))
		t.do(at(2, produce(topic, 0, messages(1, "c"))))
		t.do(fetch(topic, id, 0, 0))
	}},
	{"fetch: down-conversion switched off", 1, 0, 4, func(t *T) {
		if t.target.kind == "apache-4.3.1" {
			return
		}
		topic, id := t.topic("t", 1, "message.downconversion.enable", "false")
		t.fill(topic, 0, records("a"))
		t.do(fetch(topic, id, 0, 0))
	}},
	{"fetch: zero-sized budget of a second partition", 1, 3, 0, func(t *T) {
		topic, id := t.topic("t", 3)
		for p := range int32(3) {
			t.fill(topic, p, records("a", "b"))
		}
		req := fetch(topic, id, 2, 0)
		req.MaxBytes = 10
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchPartition(0, 0), fetchPartition(1, 0))
		t.do(req)
	}},
	{"fetch: a deleted and created topic", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a"))
		session := int32(t.do(fetch(topic, id, 0, 0)).int("SessionId"))
		t.quiet(func() { t.on("setup").do(deleteTopic(topic)) })
		t.awaitNoTopic(topic)
		req := fetch(topic, id, 0, 0)
		req.SessionID, req.SessionEpoch, req.Topics = session, 1, nil
		t.do(req)
		t.do(fetch(topic, id, 0, 0))
		_, id2 := t.topic("t", 1)
		req.SessionEpoch = 2
		t.do(req)
		t.do(fetch(topic, id2, 0, 0))
	}},
	{"fetch: cluster id", 1, 12, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		req := fetch(topic, id, 0, 0)
		req.ClusterID = ptr("another cluster")
		t.do(req)
	}},
	{"fetch: rack", 1, 11, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		req := fetch(topic, id, 0, 0)
		req.Rack = "r"
		t.do(req)
	}},
}

func deleteRecords(topic string, partition int32, offset int64) *kmsg.DeleteRecordsRequest {
	req := kmsg.NewPtrDeleteRecordsRequest()
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Partition, rp.Offset = partition, offset
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	req.TimeoutMillis = 5000
	return req
}

var offsetScripts = []script{
	{"listoffsets: special timestamps", 2, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		for range 2 {
			for ts := int64(0); ts >= -9; ts-- {
				t.do(listOffsets(topic, 0, ts))
			}
			t.fill(topic, 0, records("a", "b", "c"), records("d"))
			t.quiet(func() { t.on("setup").do(at(2, deleteRecords(topic, 0, 1))) })
		}
	}},
	{"listoffsets: by timestamp", 2, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		t.fill(topic, 0, records("a", "b", "c"), records("d"), batch(protocol.BatchOptions{Codec: 1}, "e", "f", "g", "h"))
		for _, ts := range []int64{0, someTime - 1, someTime, someTime + 1, someTime + 2, someTime + 3, someTime + 4, 1 << 62} {
			t.do(listOffsets(topic, 0, ts))
		}
	}},
	{"listoffsets: unknown topic and partition", 2, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		t.do(listOffsets(t.name("none"), 0, -1))
		t.do(listOffsets("", 0, -1))
		t.do(listOffsets("a b", 0, -1))
		for _, p := range []int32{1, -1, 1 << 30} {
			t.do(listOffsets(topic, p, -1))
		}
		req := listOffsets(topic, 0, -1)
		req.Topics[0].Partitions = nil
		t.do(req)
		req.Topics = nil
		t.do(req)
	}},
	{"listoffsets: duplicates", 2, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 2)
		req := listOffsets(topic, 0, -1)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, req.Topics[0].Partitions[0], listOffsets(topic, 1, -2).Topics[0].Partitions[0])
		t.do(req)
		req = listOffsets(topic, 0, -1)
		req.Topics = append(req.Topics, listOffsets(topic, 0, -2).Topics[0])
		t.do(req)
	}},
	{"listoffsets: isolation levels", 2, 2, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		t.fill(topic, 0, records("a"))
		for _, level := range []int8{0, 1, 2, -1} {
			req := listOffsets(topic, 0, -1)
			req.IsolationLevel = level
			t.do(req)
		}
	}},
	{"listoffsets: leader epochs", 2, 4, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		for _, epoch := range []int32{-1, 0, 1, -2, 77} {
			req := listOffsets(topic, 0, -1)
			req.Topics[0].Partitions[0].CurrentLeaderEpoch = epoch
			t.do(req)
		}
	}},
	{"listoffsets: replica ids", 2, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		t.fill(topic, 0, records("a"))
		for _, id := range []int32{-2, -3, 1, 7} {
			req := listOffsets(topic, 0, -1)
			req.ReplicaID = id
			t.do(req)
		}
	}},
	{"listoffsets: number of offsets", 2, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		t.fill(topic, 0, records("a", "b"))
		for _, n := range []int32{0, 1, 2, -1} {
			req := listOffsets(topic, 0, -1)
			req.Topics[0].Partitions[0].MaxNumOffsets = n
			t.do(req)
		}
	}},
	{"listoffsets: largest timestamp", 2, 7, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		r1, _ := protocol.AppendBatch(nil, protocol.BatchOptions{}, protocol.Record{Timestamp: someTime + 50, Value: []byte("a")},
			protocol.Record{Offset: 1, Timestamp: someTime + 100, Value: []byte("b")}, protocol.Record{Offset: 2, Timestamp: someTime, Value: []byte("c")})
		t.fill(topic, 0, r1, records("d"))
		t.do(listOffsets(topic, 0, -3))
		t.fill(topic, 0, r1)
		t.do(listOffsets(topic, 0, -3))
		t.do(listOffsets(topic, 0, someTime+60))
	}},
	{"offsetforleaderepoch: epochs", 23, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		for range 2 {
			for _, epoch := range []int32{0, 1, 5, -1, -2} {
				for _, current := range []int32{-1, 0, 1} {
					req := kmsg.NewPtrOffsetForLeaderEpochRequest()
					req.ReplicaID = -1
					rt := kmsg.NewOffsetForLeaderEpochRequestTopic()
					rt.Topic = topic
					rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
					rp.LeaderEpoch, rp.CurrentLeaderEpoch = epoch, current
					rt.Partitions = append(rt.Partitions, rp)
					req.Topics = append(req.Topics, rt)
					t.do(req)
				}
			}
			t.fill(topic, 0, records("a", "b"))
		}
	}},
	{"offsetforleaderepoch: unknown topic and partition", 23, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		req.ReplicaID = -2
		t.do(req)
		for _, n := range []string{t.name("none"), topic, "a b", ""} {
			rt := kmsg.NewOffsetForLeaderEpochRequestTopic()
			rt.Topic = n
			for _, p := range []int32{0, 1, -1} {
				rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
				rp.Partition, rp.CurrentLeaderEpoch = p, -1
				rt.Partitions = append(rt.Partitions, rp)
			}
			req.Topics = append(req.Topics[:0], rt)
			t.do(req)
		}
	}},
	{"deleterecords: offsets", 21, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		t.fill(topic, 0, records("a", "b", "c"))
		for _, offset := range []int64{0, 1, 1, 0, 4, 5, -2, -1 << 63, 2, -1, -1} {
			t.do(deleteRecords(topic, 0, offset))
		}
		t.do(at(7, listOffsets(topic, 0, -2)))
	}},
	{"deleterecords: what cannot be", 21, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1, "cleanup.policy", "compact")
		both, _ := t.topic("both", 1, "cleanup.policy", "compact,delete")
		t.do(deleteRecords(topic, 0, 0))
		t.do(deleteRecords(both, 0, 0))
		t.do(deleteRecords(topic, 1, 0))
		t.do(deleteRecords(t.name("none"), 0, 0))
		t.do(deleteRecords("", 0, 0))
		t.do(deleteRecords("a b", 0, 0))
		req := deleteRecords(both, 0, 0)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, req.Topics[0].Partitions[0])
		t.do(req)
		req.Topics[0].Partitions = nil
		t.do(req)
		req.Topics = nil
		t.do(req)
		req = deleteRecords(both, 0, 0)
		req.TimeoutMillis = 0
		t.do(req)
		req.TimeoutMillis = -1
		t.do(req)
	}},
	{"deleterecords: internal topic", 21, 0, 0, func(t *T) {
		t.offsetsTopic()
		t.do(deleteRecords("__consumer_offsets", 0, 0))
	}},
	{"initproducerid: idempotent", 22, 0, 0, func(t *T) {
		t.producerID()
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionTimeoutMillis = 60000
		t.do(req)
		t.do(req)
		for _, timeout := range []int32{0, -1, 1 << 30} {
			req.TransactionTimeoutMillis = timeout
			t.do(req)
		}
	}},
	{"initproducerid: with an id and epoch", 22, 3, 0, func(t *T) {
		pid, epoch := t.producerID()
		for _, e := range [][2]int64{{pid, int64(epoch)}, {pid, int64(epoch) + 5}, {-1, 0}, {pid, -1}, {-5, -1}, {-1, -5}} {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = 60000, e[0], int16(e[1])
			t.do(req)
		}
	}},
	{"initproducerid: empty transactional id", 22, 0, 0, func(t *T) {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionTimeoutMillis, req.TransactionalID = 60000, ptr("")
		t.do(req)
	}},
	{"describeproducers: partitions", 61, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		pid, epoch := t.producerID()
		describe := func(topic string, partitions ...int32) {
			req := kmsg.NewPtrDescribeProducersRequest()
			rt := kmsg.NewDescribeProducersRequestTopic()
			rt.Topic, rt.Partitions = topic, partitions
			req.Topics = append(req.Topics, rt)
			t.do(req)
		}
		describe(topic, 0)
		t.quiet(func() { t.on("setup").do(at(9, produce(topic, 0, idempotent(pid, epoch, 0, "a", "b")))) })
		describe(topic, 0)
		describe(topic, 0, 1, -1)
		describe(topic)
		describe(t.name("none"), 0)
		describe("", 0)
		describe("a b", 0)
	}},
}

// offsetsTopic makes sure that the topic of the groups' offsets is there.
func (t *T) offsetsTopic() {
	t.quiet(func() {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorKey = "x"
		t.on("setup").do(at(1, req))
	})
	t.awaitTopic("__consumer_offsets", 5)
}
