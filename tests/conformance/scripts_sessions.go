package main

import (
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchSession is a fetch session of a script.
type fetchSession struct {
	t     *T
	c     *Conn
	id    int32
	epoch int32
}

// open begins a session with the topics of a request.
func (t *T) openSession(c *Conn, req *kmsg.FetchRequest) *fetchSession {
	req.SessionID, req.SessionEpoch = 0, 0
	return &fetchSession{t: t, c: c, id: int32(c.do(req).int("SessionId")), epoch: 1}
}

// request makes the session's next request.
func (s *fetchSession) request(topics ...kmsg.FetchRequestTopic) *kmsg.FetchRequest {
	req := fetch("", [16]byte{}, 0, 0)
	req.SessionID, req.SessionEpoch, req.Topics = s.id, s.epoch, topics
	s.epoch++
	return req
}

func (s *fetchSession) do(topics ...kmsg.FetchRequestTopic) *Answer {
	return s.c.do(s.request(topics...))
}

func forget(topic string, id [16]byte, partitions ...int32) kmsg.FetchRequestForgottenTopic {
	f := kmsg.NewFetchRequestForgottenTopic()
	f.Topic, f.TopicID, f.Partitions = topic, id, partitions
	return f
}

// fetchAll makes a request for the first partitions of a topic, from the start.
func fetchAll(topic string, id [16]byte, partitions int32) *kmsg.FetchRequest {
	req := fetch(topic, id, 0, 0)
	for p := int32(1); p < partitions; p++ {
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, fetchPartition(p, 0))
	}
	return req
}

var sessionScripts = []script{
	{"fetch session: on two connections", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		s := t.openSession(t.on("a"), fetch(topic, id, 0, 0))
		s.c = t.on("b")
		t.fill(topic, 0, records("a"))
		s.do()
		t.on("a").raw.close()
		s.do()
		s.c = t.on("c")
		s.do()
	}},
	{"fetch session: the topic is deleted", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		s := t.openSession(t.on("a"), fetch(topic, id, 0, 0))
		s.do()
		t.quiet(func() { t.on("setup").do(deleteTopic(topic)) })
		t.awaitNoTopic(topic)
		t.settle()
		s.do()
		s.do()
		_, id2 := t.topic("t", 1)
		t.fill(topic, 0, records("of the new one"))
		t.settle()
		s.do()
		s.do(fetch(topic, id2, 0, 0).Topics...)
		s.do()
	}},
	{"fetch session: forgets what is not there, and what it adds", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 3)
		for p := range int32(3) {
			t.fill(topic, p, records("a"))
		}
		s := t.openSession(t.on("a"), fetchAll(topic, id, 2))
		for _, f := range []kmsg.FetchRequestForgottenTopic{forget(topic, id, 7), forget(t.name("none"), [16]byte{1}, 0), forget(topic, id), forget("", [16]byte{7}, 0), forget(topic, id, 0, 0)} {
			req := s.request()
			req.ForgottenTopics = append(req.ForgottenTopics, f)
			t.do(req)
		}
		req := s.request(fetch(topic, id, 2, 0).Topics...)
		req.ForgottenTopics = append(req.ForgottenTopics, forget(topic, id, 2))
		t.do(req)
		s.do()
		req = s.request(fetch(topic, id, 1, 0).Topics...)
		req.ForgottenTopics = append(req.ForgottenTopics, forget(topic, id, 1), forget(topic, id, 0))
		t.do(req)
		s.do()
	}},
	{"fetch session: what is new moves to the end", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 4)
		big := strings.Repeat("x", 1000)
		for p := range int32(4) {
			t.fill(topic, p, records(big), records(big), records(big))
		}
		first := fetchAll(topic, id, 4)
		first.MaxBytes = 1500
		s := t.openSession(t.on("a"), first)
		for range 6 {
			req := s.request()
			req.MaxBytes = 1500
			t.do(req)
		}
		req := s.request(fetch(topic, id, 2, 1).Topics...)
		req.MaxBytes = 1500
		t.do(req)
		for range 3 {
			req := s.request()
			req.MaxBytes = 1500
			t.do(req)
		}
	}},
	{"fetch session: offsets, sizes and log start move", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		t.fill(topic, 0, records("a"), records("b"), records("c"))
		t.fill(topic, 1, records("d"))
		s := t.openSession(t.on("a"), fetchAll(topic, id, 2))
		s.do(fetch(topic, id, 0, 3).Topics...)
		s.do(fetch(topic, id, 1, 1).Topics...)
		s.do()
		t.quiet(func() { t.on("setup").do(at(2, deleteRecords(topic, 0, 2))) })
		s.do()
		s.do()
		s.do(fetch(topic, id, 0, 1).Topics...)
		s.do()
		s.do(fetch(topic, id, 0, 2).Topics...)
		s.do(fetch(topic, id, 0, 99).Topics...)
		s.do()
		small := fetch(topic, id, 0, 2)
		small.Topics[0].Partitions[0].PartitionMaxBytes = 1
		s.do(small.Topics...)
		epoch := fetch(topic, id, 0, 2)
		epoch.Topics[0].Partitions[0].CurrentLeaderEpoch = 9
		s.do(epoch.Topics...)
		s.do()
	}},
	{"fetch session: waits, and is told", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 3)
		s := t.openSession(t.on("a"), fetchAll(topic, id, 3))
		req := s.request()
		req.MaxWaitMillis = 5000
		p := t.on("a").send(req)
		t.on("a").silent(waits)
		t.fill(topic, 1, records("a"))
		p.answer()
		s.do(fetch(topic, id, 1, 1).Topics...)
		req = s.request()
		req.MaxWaitMillis = 5000
		p = t.on("a").send(req)
		t.on("a").silent(waits)
		t.fill(topic, 2, records("b"))
		p.answer()
	}},
	{"fetch session: its request comes twice at once", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		s := t.openSession(t.on("a"), fetch(topic, id, 0, 0))
		req := s.request()
		req.MaxWaitMillis = 1000
		p := t.on("a").send(req)
		t.on("a").silent(waits)
		t.on("b").do(req)
		req.SessionEpoch++
		p.answer()
		t.on("b").do(req)
	}},
	{"fetch session: closed while it waits", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		s := t.openSession(t.on("a"), fetch(topic, id, 0, 0))
		req := s.request()
		req.MaxWaitMillis = 1000
		p := t.on("a").send(req)
		t.on("a").silent(waits)
		end := s.request()
		end.SessionEpoch = -1
		t.on("b").do(end)
		p.answer()
		s.do()
	}},
	{"fetch session: several topics, some not there", 1, 7, 0, func(t *T) {
		one, id1 := t.topic("one", 2)
		two, id2 := t.topic("two", 1)
		t.fill(one, 1, records("a"))
		t.fill(two, 0, records("b"))
		req := fetch(one, id1, 1, 0)
		req.Topics = append(req.Topics, fetch(t.name("none"), [16]byte{3}, 0, 0).Topics[0], fetch(two, id2, 0, 0).Topics[0], fetch(one, id1, 9, 0).Topics[0])
		s := t.openSession(t.on("a"), req)
		s.do()
		s.do(fetch(one, id1, 1, 1).Topics...)
		s.do()
		if t.version <= 12 {
			t.topic("none", 1)
			t.settle()
			s.do()
			s.do()
		}
	}},
	{"fetch session: ids that are nobody's", 1, 13, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a"))
		req := fetch("", [16]byte{9, 9}, 0, 0)
		req.Topics = append(req.Topics, fetch(topic, id, 0, 0).Topics[0], fetch("", [16]byte{9, 8}, 0, 0).Topics[0])
		s := t.openSession(t.on("a"), req)
		s.do()
		end := s.request()
		end.ForgottenTopics = append(end.ForgottenTopics, forget("", [16]byte{9, 9}, 0), forget("", [16]byte{9, 8}, 0))
		t.do(end)
		s.do()
	}},
	{"fetch: the log start moves under one that waits", 1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a", "b"))
		req := fetch(topic, id, 0, 2)
		req.MaxWaitMillis = 1200
		p := t.on("a").send(req)
		t.on("a").silent(waits)
		t.quiet(func() { t.on("setup").do(at(2, deleteRecords(topic, 0, -1))) })
		p.answer()
		req = fetch(topic, id, 0, 1)
		req.MinBytes, req.MaxWaitMillis = 1<<20, 300
		t.do(req)
	}},
	{"fetch: the topic is deleted under one that waits", 1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a"))
		req := fetch(topic, id, 0, 1)
		req.MaxWaitMillis = 8000 // longer than it takes to delete a topic, on any day
		p := t.on("a").send(req)
		t.on("a").silent(waits)
		t.quiet(func() { t.on("setup").do(deleteTopic(topic)) })
		p.answer()
	}},
	{"fetch: one of many partitions gets records", 1, 3, 0, func(t *T) {
		topic, id := t.topic("t", 5)
		req := fetchAll(topic, id, 5)
		req.MaxWaitMillis, req.MinBytes = 3000, 100
		p := t.on("a").send(req)
		t.on("a").silent(waits)
		t.fill(topic, 3, records("few"))
		t.on("a").silent(waits)
		t.fill(topic, 1, records(strings.Repeat("x", 200)))
		p.answer()
	}},
	{"listoffsets: under changes", 2, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		ask := func() {
			for _, ts := range []int64{-1, -2, -3, someTime, someTime + 1, someTime + 2, 0} {
				t.do(listOffsets(topic, 0, ts))
			}
		}
		t.fill(topic, 0, records("a", "b"))
		ask()
		t.quiet(func() { t.on("setup").do(at(2, deleteRecords(topic, 0, 1))) })
		ask()
		t.fill(topic, 0, records("c", "d", "e"))
		ask()
		t.quiet(func() { t.on("setup").do(at(2, deleteRecords(topic, 0, -1))) })
		ask()
	}},
	{"deleterecords: then everything else", 21, 0, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		t.fill(topic, 0, records("a", "b", "c"))
		t.do(deleteRecords(topic, 0, 1))
		t.do(deleteRecords(topic, 0, 1))
		t.do(deleteRecords(topic, 0, 0))
		t.do(at(11, fetch(topic, id, 0, 0)))
		t.do(at(11, fetch(topic, id, 0, 1)))
		t.do(deleteRecords(topic, 0, 3))
		t.do(deleteRecords(topic, 0, 4))
		t.do(deleteRecords(topic, 0, -2))
		t.do(at(11, fetch(topic, id, 0, 3)))
		t.fill(topic, 0, records("d"))
		t.do(at(11, fetch(topic, id, 0, 3)))
		t.do(at(4, leaderEpoch(topic, 0, -1, 0)))
		req := deleteRecords(topic, 0, 2)
		req.TimeoutMillis = 0
		t.do(req)
		req.TimeoutMillis = -1
		t.do(req)
		t.do(deleteRecords(topic, 1, -1))
	}},
	{"leader epochs: wrong either way", 23, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a", "b"))
		for _, current := range []int32{-1, 0, 1, 2147483647, -2, -1 << 31} {
			for _, epoch := range []int32{-1, 0, 1, 2147483647, -2} {
				t.do(leaderEpoch(topic, 0, current, epoch))
			}
			f := fetch(topic, id, 0, 0)
			f.Topics[0].Partitions[0].CurrentLeaderEpoch = current
			t.do(at(12, f))
			l := listOffsets(topic, 0, -1)
			l.Topics[0].Partitions[0].CurrentLeaderEpoch = current
			t.do(at(7, l))
			c := offsetCommit(t.name("g"), "", -1, topic, id, 0, 5)
			c.Topics[0].Partitions[0].LeaderEpoch = current
			t.offsetsTopic()
			t.do(at(8, c))
			t.do(at(8, offsetFetch(t.name("g"), topic, id, 0)))
		}
	}},
	{"offsets: of a topic that was deleted and created", 9, 1, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		t.offsetsTopic()
		g := t.name("g")
		t.quiet(func() {
			t.on("setup").do(at(8, offsetCommit(g, "", -1, topic, id, 0, 5)))
			t.on("setup").do(at(8, offsetCommit(g, "", -1, topic, id, 1, 6)))
		})
		t.quiet(func() { t.on("setup").do(deleteTopic(topic)) })
		t.awaitNoTopic(topic)
		_, id2 := t.topic("t", 1)
		time.Sleep(200 * time.Millisecond)
		t.do(offsetFetch(g, topic, id2, 0, 1))
		if t.version >= 10 {
			t.do(offsetFetch(g, topic, id, 0, 1))
		}
	}},
	{"offsets: stable ones only", 9, 7, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		t.offsetsTopic()
		g := t.name("g")
		t.quiet(func() { t.on("setup").do(at(8, offsetCommit(g, "", -1, topic, id, 0, 5))) })
		for _, stable := range []bool{false, true} {
			req := offsetFetch(g, topic, id, 0, 1, 7)
			req.RequireStable = stable
			t.do(req)
			req.Topics, req.Groups[0].Topics = nil, nil
			t.do(req)
			req = offsetFetch(t.name("none"), topic, id, 0)
			req.RequireStable = stable
			t.do(req)
		}
	}},
	{"offsets: committed again and again", 8, 0, 0, func(t *T) {
		topic, id := t.topic("t", 3)
		other, otherID := t.topic("u", 1)
		t.offsetsTopic()
		g := t.name("g")
		for _, offset := range []int64{0, 1 << 62, 1<<63 - 1, -1, -2, -1 << 63, 3} {
			req := offsetCommit(g, "", -1, topic, id, 0, offset)
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, offsetCommit(g, "", -1, topic, id, 2, offset).Topics[0].Partitions[0],
				offsetCommit(g, "", -1, topic, id, 9, offset).Topics[0].Partitions[0])
			req.Topics = append(req.Topics, offsetCommit(g, "", -1, other, otherID, 0, offset).Topics[0])
			t.do(req)
			t.do(at(7, offsetFetch(g, topic, id, 0, 1, 2, 9)))
		}
		all := offsetFetch(g, topic, id)
		all.Topics = nil
		t.do(at(7, all))
	}},
}

func leaderEpoch(topic string, partition, current, epoch int32) *kmsg.OffsetForLeaderEpochRequest {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	rt := kmsg.NewOffsetForLeaderEpochRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
	rp.Partition, rp.CurrentLeaderEpoch, rp.LeaderEpoch = partition, current, epoch
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}
