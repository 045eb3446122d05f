package main

import (
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinGroup makes a request to join as a consumer.
func joinGroup(group, member string, protocols ...string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID = group, member
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 30000, 30000
	req.ProtocolType = "consumer"
	if len(protocols) == 0 {
		protocols = []string{"range"}
	}
	for _, name := range protocols {
		p := kmsg.NewJoinGroupRequestProtocol()
		// Of what the protocol type consumer has here Apache wants to read the topics; at
		// other bytes it never answers.
		metadata := kmsg.NewConsumerMemberMetadata()
		metadata.Topics, metadata.UserData = []string{"topic"}, []byte("for "+name)
		p.Name, p.Metadata = name, metadata.AppendTo(nil)
		req.Protocols = append(req.Protocols, p)
	}
	return req
}

// join joins, also where the broker first hands out the member id, and returns the answer.
func (c *Conn) join(req *kmsg.JoinGroupRequest) *Answer {
	a := c.do(req)
	if a.int("ErrorCode") == 79 {
		req.MemberID = a.str("MemberId")
		a = c.do(req)
	}
	return a
}

func syncGroup(group, member string, generation int32, assignments ...string) *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = group, member, generation
	req.ProtocolType, req.Protocol = ptr("consumer"), ptr("range")
	for i := 0; i+1 < len(assignments); i += 2 {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = assignments[i], []byte(assignments[i+1])
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	return req
}

func heartbeat(group, member string, generation int32) *kmsg.HeartbeatRequest {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = group, member, generation
	return req
}

func leaveGroup(group string, members ...string) *kmsg.LeaveGroupRequest {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = group
	for _, m := range members {
		req.MemberID = m
		rm := kmsg.NewLeaveGroupRequestMember()
		rm.MemberID = m
		req.Members = append(req.Members, rm)
	}
	return req
}

func offsetCommit(group, member string, generation int32, topic string, id [16]byte, partition int32, offset int64) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = group, member, generation
	req.RetentionTimeMillis = -1
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic, rt.TopicID = topic, id
	rp := kmsg.NewOffsetCommitRequestTopicPartition()
	rp.Partition, rp.Offset, rp.Metadata, rp.LeaderEpoch = partition, offset, ptr("m"), -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func offsetFetch(group, topic string, id [16]byte, partitions ...int32) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	rt := kmsg.NewOffsetFetchRequestTopic()
	rt.Topic, rt.Partitions = topic, partitions
	req.Topics = append(req.Topics, rt)
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = group
	gt := kmsg.NewOffsetFetchRequestGroupTopic()
	gt.Topic, gt.TopicID, gt.Partitions = topic, id, partitions
	rg.Topics = append(rg.Topics, gt)
	req.Groups = append(req.Groups, rg)
	return req
}

func describeGroups(names ...string) *kmsg.DescribeGroupsRequest {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = names
	return req
}

// stable makes a group of one member that has synced, and returns member and generation.
func (t *T) stable(c *Conn, group string) (member string, generation int32) {
	t.offsetsTopic()
	a := c.join(joinGroup(group, ""))
	member, generation = a.str("MemberId"), int32(a.int("GenerationId"))
	c.do(syncGroup(group, member, generation, member, "assigned"))
	return member, generation
}

var groupScripts = []script{
	{"join: one member", 11, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		a := t.on("a").join(joinGroup(g, ""))
		m := a.str("MemberId")
		t.do(describeGroups(g))
		t.do(syncGroup(g, m, 1, m, "x"))
		t.do(heartbeat(g, m, 1))
		t.do(describeGroups(g))
		t.do(joinGroup(g, m))
		t.do(heartbeat(g, m, 1))
		t.do(heartbeat(g, m, 2))
		t.do(leaveGroup(g, m))
		t.do(describeGroups(g))
	}},
	{"join: what is refused", 11, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		t.do(joinGroup("", ""))
		t.do(joinGroup(g, "unknown"))
		for _, ms := range []int32{0, -1, 999, 1800001, 1 << 30} {
			req := joinGroup(g, "")
			req.SessionTimeoutMillis = ms
			t.do(req)
		}
		req := joinGroup(g, "")
		req.Protocols = nil
		t.do(req)
		req = joinGroup(g, "")
		req.ProtocolType = ""
		t.do(req)
		t.do(describeGroups(g))
	}},
	{"join: a rebalance timeout that is not positive", 11, 1, 0, func(t *T) {
		t.offsetsTopic()
		for i, ms := range []int32{0, -1} {
			req := joinGroup(t.name(sprintf("g%d", i)), "")
			req.RebalanceTimeoutMillis = ms
			t.on("a").join(req)
		}
	}},
	{"join: two members", 11, 0, 0, func(t *T) {
		g := t.name("g")
		m1, _ := t.stable(t.on("a"), g)
		req := joinGroup(g, "")
		b := t.on("b")
		p := b.send(req)
		if t.version >= 4 {
			req.MemberID = p.answer().str("MemberId")
			p = b.send(req)
		}
		b.silent(200 * time.Millisecond)
		t.do(heartbeat(g, m1, 1))
		t.do(offsetCommitTopicless(g, m1, 1))
		t.do(syncGroup(g, m1, 1))
		t.do(joinGroup(g, m1))
		m2 := p.answer().str("MemberId")
		t.do(heartbeat(g, m1, 2))
		s2 := b.send(syncGroup(g, m2, 2))
		b.silent(200 * time.Millisecond)
		t.do(heartbeat(g, m1, 1))
		t.do(syncGroup(g, m1, 2, m1, "one", m2, "two"))
		s2.answer()
		t.do(describeGroups(g))
		t.do(syncGroup(g, m1, 2))
		t.do(joinGroup(g, m2)) // on the wrong connection, but the same metadata: a follower
		b.do(leaveGroup(g, m2))
		t.do(heartbeat(g, m1, 2))
		t.do(leaveGroup(g, m1))
	}},
	{"join: protocols that do not fit", 11, 0, 0, func(t *T) {
		g := t.name("g")
		t.stable(t.on("a"), g)
		b := t.on("b")
		b.do(joinGroup(g, "", "other"))
		req := joinGroup(g, "")
		req.ProtocolType = "connect"
		b.do(req)
	}},
	{"join: a vote of protocols", 11, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		a := t.on("a").join(joinGroup(g, "", "x", "y", "z"))
		m1 := a.str("MemberId")
		req := joinGroup(g, "", "z", "y")
		p := t.on("b").send(req)
		if t.version >= 4 {
			req.MemberID = p.answer().str("MemberId")
			p = t.on("b").send(req)
		}
		t.on("b").silent(150 * time.Millisecond)
		t.do(joinGroup(g, m1, "x", "y", "z"))
		p.answer()
	}},
	{"join: metadata changes", 11, 0, 0, func(t *T) {
		g := t.name("g")
		m, _ := t.stable(t.on("a"), g)
		t.do(joinGroup(g, m))
		t.do(syncGroup(g, m, 2, m, "again"))
		req := joinGroup(g, m)
		req.Protocols[0].Metadata = append(req.Protocols[0].Metadata, 0)
		t.do(req)
		t.do(describeGroups(g))
	}},
	{"join: pending members", 11, 4, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		m := t.do(joinGroup(g, "")).str("MemberId")
		t.do(heartbeat(g, m, -1))
		t.do(syncGroup(g, m, 0))
		t.do(describeGroups(g))
		t.do(leaveGroup(g, m))
		t.do(joinGroup(g, m))
	}},
	{"join: static members", 11, 5, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		static := func(member string) *kmsg.JoinGroupRequest {
			req := joinGroup(g, member)
			req.InstanceID = ptr("inst")
			return req
		}
		m1 := t.do(static("")).str("MemberId")
		t.do(syncGroup(g, m1, 1, m1, "x"))
		t.do(describeGroups(g))
		m2 := t.on("b").do(static("")).str("MemberId") // takes over
		old := heartbeat(g, m1, 1)
		t.do(old)
		old.InstanceID = ptr("inst")
		t.do(old)
		t.do(static(m1))
		fresh := heartbeat(g, m2, 1)
		fresh.InstanceID = ptr("inst")
		t.on("b").do(fresh)
		t.on("b").do(syncGroup(g, m2, 1))
		s := syncGroup(g, m1, 1)
		s.InstanceID = ptr("inst")
		t.do(s)
		t.do(describeGroups(g))
		l := leaveGroup(g, "")
		l.Members[0].InstanceID = ptr("inst")
		t.do(l)
		t.do(l)
		t.do(describeGroups(g))
		t.do(static("unknown"))
	}},
	{"join: group instance ids that are odd", 11, 5, 0, func(t *T) {
		t.offsetsTopic()
		for i, id := range []string{"", ".", "..", "a b", "ä", strings.Repeat("x", 249), strings.Repeat("x", 250)} {
			req := joinGroup(t.name(sprintf("g%d", i)), "")
			req.InstanceID = &id
			t.do(req)
		}
	}},
	{"sync: what is refused", 14, 0, 0, func(t *T) {
		g := t.name("g")
		m, gen := t.stable(t.on("a"), g)
		t.do(syncGroup("", m, gen))
		t.do(syncGroup(g, "unknown", gen))
		t.do(syncGroup(g, m, gen+1))
		t.do(syncGroup(g, m, -1))
		t.do(syncGroup(t.name("none"), m, gen))
		t.do(syncGroup(g, m, gen))
		t.do(syncGroup(g, "", gen))
	}},
	{"sync: protocol names", 14, 5, 0, func(t *T) {
		g := t.name("g")
		m, gen := t.stable(t.on("a"), g)
		for _, pair := range [][2]*string{{nil, nil}, {nil, ptr("range")}, {ptr("consumer"), nil}, {ptr("x"), ptr("range")}, {ptr("consumer"), ptr("x")}, {ptr(""), ptr("")}} {
			req := syncGroup(g, m, gen)
			req.ProtocolType, req.Protocol = pair[0], pair[1]
			t.do(req)
		}
	}},
	{"sync: assignments of strangers and of nobody", 14, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		m := t.on("a").join(joinGroup(g, "")).str("MemberId")
		t.do(syncGroup(g, m, 1, "stranger", "x"))
		t.do(describeGroups(g))
	}},
	{"heartbeat: what is refused", 12, 0, 0, func(t *T) {
		g := t.name("g")
		m, gen := t.stable(t.on("a"), g)
		t.do(heartbeat("", m, gen))
		t.do(heartbeat(g, "", gen))
		t.do(heartbeat(g, "unknown", gen))
		t.do(heartbeat(g, m, gen+1))
		t.do(heartbeat(g, m, gen-1))
		t.do(heartbeat(g, m, -1))
		t.do(heartbeat(t.name("none"), m, gen))
		t.do(heartbeat(g, m, gen))
	}},
	{"heartbeat: instance ids", 12, 3, 0, func(t *T) {
		g := t.name("g")
		m, gen := t.stable(t.on("a"), g)
		req := heartbeat(g, m, gen)
		req.InstanceID = ptr("unknown")
		t.do(req)
	}},
	{"leave: one", 13, 0, 2, func(t *T) {
		g := t.name("g")
		m, gen := t.stable(t.on("a"), g)
		t.do(leaveGroup("", m))
		t.do(leaveGroup(g, "unknown"))
		t.do(leaveGroup(g, ""))
		t.do(leaveGroup(t.name("none"), m))
		t.do(leaveGroup(g, m))
		t.do(leaveGroup(g, m))
		t.do(heartbeat(g, m, gen))
	}},
	{"leave: several", 13, 3, 0, func(t *T) {
		g := t.name("g")
		m, _ := t.stable(t.on("a"), g)
		t.do(leaveGroup(g))
		t.do(leaveGroup("", m))
		t.do(leaveGroup(t.name("none"), m, "x"))
		t.do(leaveGroup(t.name("none")))
		req := leaveGroup(g, m, "unknown", "", m)
		req.Members[2].InstanceID = ptr("nobody")
		t.do(req)
		t.do(describeGroups(g))
	}},
	{"session: a member that is silent", -1, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		req := joinGroup(g, "")
		req.SessionTimeoutMillis = 1000
		m := t.on("a").join(req).str("MemberId")
		t.do(syncGroup(g, m, 1, m, "x"))
		t.do(describeGroups(g))
		time.Sleep(2500 * time.Millisecond)
		t.do(describeGroups(g))
		t.do(heartbeat(g, m, 1))
	}},
	{"session: a member whose connection closes stays", -1, 0, 0, func(t *T) {
		g := t.name("g")
		m, gen := t.stable(t.on("a"), g)
		t.on("a").raw.close()
		t.on("b").do(describeGroups(g))
		t.on("b").do(heartbeat(g, m, gen))
	}},
	{"session: who does not rejoin is dropped", -1, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		req := joinGroup(g, "")
		req.RebalanceTimeoutMillis = 800
		m := t.on("a").join(req).str("MemberId")
		t.do(syncGroup(g, m, 1, m, "x"))
		two := joinGroup(g, "")
		two.RebalanceTimeoutMillis = 800
		two.MemberID = t.on("b").do(two).str("MemberId")
		t.on("b").do(two)
		t.do(heartbeat(g, m, 1))
		t.on("b").do(describeGroups(g))
	}},
	{"commit: of a member", 8, 0, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		g := t.name("g")
		m, gen := t.stable(t.on("a"), g)
		commit := func(member string, generation int32) {
			t.do(offsetCommit(g, member, generation, topic, id, 0, 5))
		}
		commit(m, gen)
		commit(m, gen+1)
		commit(m, gen-1)
		commit(m, -1)
		commit("unknown", gen)
		commit("", -1)
		commit("", gen)
		commit("", -2)
		t.do(offsetFetch(g, topic, id, 0, 1))
	}},
	{"commit: without a group", 8, 0, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		t.offsetsTopic()
		g := t.name("g")
		t.do(offsetCommit(g, "", -1, topic, id, 0, 5))
		t.do(offsetCommit(g, "", -1, topic, id, 1, -5))
		t.do(offsetCommit(g, "", -1, topic, id, 7, 5))
		t.do(offsetCommit(g, "", -1, topic, id, -1, 5))
		t.do(offsetCommit(g, "", -1, t.name("none"), [16]byte{3}, 0, 5))
		t.do(offsetCommit(g, "", -1, "", [16]byte{}, 0, 5))
		t.do(offsetCommit(g, "", -1, "a b", [16]byte{4}, 0, 5))
		t.do(offsetCommit(g, "", -2, topic, id, 0, 6))
		t.do(offsetCommit(g, "x", -1, topic, id, 0, 7))
		t.do(offsetCommit(t.name("h"), "", 3, topic, id, 0, 5))
		t.do(offsetCommit(t.name("h"), "x", 3, topic, id, 0, 5))
		t.do(offsetFetch(g, topic, id, 0, 1, 2, 7, -1))
		t.do(describeGroups(g))
	}},
	{"commit: metadata", 8, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		g := t.name("g")
		for _, m := range []*string{nil, ptr(""), ptr(strings.Repeat("m", 4096)), ptr(strings.Repeat("m", 4097)), ptr("ä")} {
			req := offsetCommit(g, "", -1, topic, id, 0, 5)
			req.Topics[0].Partitions[0].Metadata = m
			t.do(req)
			a := t.on("a").send(offsetFetch(g, topic, id, 0))
			a.answer()
		}
	}},
	{"alone: commit to the group without a name", 8, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		t.do(offsetCommit("", "", -1, topic, id, 0, 5))
		t.do(offsetFetch("", topic, id, 0))
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = []string{""}
		t.do(req)
		t.do(req)
	}},
	{"commit: nothing, and twice", 8, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		g := t.name("g")
		req := offsetCommit(g, "", -1, topic, id, 0, 5)
		req.Topics[0].Partitions = nil
		t.do(req)
		req.Topics = nil
		t.do(req)
		req = offsetCommit(g, "", -1, topic, id, 0, 5)
		two := offsetCommit(g, "", -1, topic, id, 0, 6)
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, two.Topics[0].Partitions[0])
		t.do(req)
		t.do(offsetFetch(g, topic, id, 0))
	}},
	{"commit: leader epochs", 8, 6, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		g := t.name("g")
		for _, epoch := range []int32{-1, 0, 7, -2} {
			req := offsetCommit(g, "", -1, topic, id, 0, 5)
			req.Topics[0].Partitions[0].LeaderEpoch = epoch
			t.do(req)
			t.do(offsetFetch(g, topic, id, 0))
		}
	}},
	{"commit: while the group rebalances", 8, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		g := t.name("g")
		m := t.on("a").join(joinGroup(g, "")).str("MemberId")
		t.do(offsetCommit(g, m, 1, topic, id, 0, 5)) // nobody has synced
		t.do(syncGroup(g, m, 1, m, "x"))
		two := joinGroup(g, "")
		two.MemberID = t.on("b").do(two).str("MemberId")
		t.on("b").send(two)
		t.on("b").silent(150 * time.Millisecond)
		t.do(offsetCommit(g, m, 1, topic, id, 0, 6))
		t.do(offsetFetch(g, topic, id, 0))
	}},
	{"commit: a simple commit into a group with members", 8, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		g := t.name("g")
		m, _ := t.stable(t.on("a"), g)
		t.do(offsetCommit(g, "", -1, topic, id, 0, 5))
		t.do(leaveGroup(g, m))
		t.do(offsetCommit(g, "", -1, topic, id, 0, 5))
		t.do(offsetCommit(g, m, 1, topic, id, 0, 5))
	}},
	{"offsetfetch: nothing there", 9, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		t.do(offsetFetch(t.name("none"), topic, id, 0))
		t.do(offsetFetch(t.name("none"), t.name("none"), [16]byte{8}, 0))
		t.do(offsetFetch(t.name("none"), topic, id, 9, -1))
		t.do(offsetFetch(t.name("none"), topic, id))
		t.do(offsetFetch("", topic, id, 0))
	}},
	{"offsetfetch: all topics", 9, 2, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		g := t.name("g")
		t.quiet(func() { t.on("setup").do(at(8, offsetCommit(g, "", -1, topic, id, 0, 5))) })
		all := offsetFetch(g, topic, id, 0)
		all.Topics, all.Groups[0].Topics = nil, nil
		t.do(all)
		all.Group, all.Groups[0].Group = t.name("none"), t.name("none")
		t.do(all)
		none := offsetFetch(g, topic, id, 0)
		none.Topics, none.Groups[0].Topics = []kmsg.OffsetFetchRequestTopic{}, []kmsg.OffsetFetchRequestGroupTopic{}
		t.do(none)
	}},
	{"offsetfetch: several groups", 9, 8, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		g := t.name("g")
		t.quiet(func() { t.on("setup").do(at(8, offsetCommit(g, "", -1, topic, id, 0, 5))) })
		req := offsetFetch(g, topic, id, 0)
		req.Groups = append(req.Groups, offsetFetch(t.name("none"), topic, id, 0).Groups[0], offsetFetch(g, topic, id, 0).Groups[0])
		t.do(req)
		req.RequireStable = true
		t.do(req)
		req.Groups = nil
		t.do(req)
	}},
	{"offsetfetch: members", 9, 9, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		g := t.name("g")
		m, _ := t.stable(t.on("a"), g)
		for _, epoch := range []int32{-1, 0, 1, 5} {
			req := offsetFetch(g, topic, id, 0)
			req.Groups[0].MemberID, req.Groups[0].MemberEpoch = &m, epoch
			t.do(req)
			req.Groups[0].MemberID = ptr("unknown")
			t.do(req)
		}
	}},
	{"offsetfetch: of a deleted topic", 9, 1, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		g := t.name("g")
		t.quiet(func() { t.on("setup").do(at(8, offsetCommit(g, "", -1, topic, id, 0, 5))) })
		t.do(offsetFetch(g, topic, id, 0))
		t.quiet(func() { t.on("setup").do(deleteTopic(topic)) })
		t.awaitNoTopic(topic)
		t.settle()
		t.do(offsetFetch(g, topic, id, 0))
	}},
	{"describegroups: kinds of states", 15, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		g := t.name("g")
		t.do(describeGroups(t.name("none")))
		t.do(describeGroups(""))
		t.do(describeGroups())
		t.quiet(func() { t.on("setup").do(at(8, offsetCommit(t.name("simple"), "", -1, topic, id, 0, 5))) })
		t.do(describeGroups(t.name("simple")))
		m := t.on("a").join(joinGroup(g, "")).str("MemberId")
		t.do(describeGroups(g))
		t.do(syncGroup(g, m, 1, m, "x"))
		t.do(describeGroups(g, t.name("none"), t.name("simple"), g))
		two := joinGroup(g, "")
		two.MemberID = t.on("b").do(two).str("MemberId")
		t.on("b").send(two)
		t.on("b").silent(150 * time.Millisecond)
		t.do(describeGroups(g))
		req := describeGroups(g, t.name("none"))
		req.IncludeAuthorizedOperations = true
		t.do(req)
	}},
	{"listgroups: filters", 16, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		g := t.name("g")
		t.stable(t.on("a"), g)
		t.quiet(func() { t.on("setup").do(at(8, offsetCommit(t.name("simple"), "", -1, topic, id, 0, 5))) })
		req := kmsg.NewPtrListGroupsRequest()
		t.onlyOurs(req, "Groups", "GroupId")
		if t.version < 4 {
			return
		}
		for _, states := range [][]string{{"Stable"}, {"stable"}, {"Empty"}, {"Stable", "Empty"}, {"Nonsense"}, {""}, {"Dead"}} {
			req.StatesFilter = states
			t.onlyOurs(req, "Groups", "GroupId")
		}
		req.StatesFilter = nil
		if t.version < 5 {
			return
		}
		for _, types := range [][]string{{"classic"}, {"Classic"}, {"consumer"}, {"nonsense"}, {""}, {"classic", "consumer"}} {
			req.TypesFilter = types
			t.onlyOurs(req, "Groups", "GroupId")
		}
	}},
	{"deletegroups: kinds of groups", 42, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		g := t.name("g")
		m, _ := t.stable(t.on("a"), g)
		t.quiet(func() { t.on("setup").do(at(8, offsetCommit(t.name("simple"), "", -1, topic, id, 0, 5))) })
		del := func(names ...string) {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = names
			t.do(req)
		}
		del(g)
		del(t.name("none"))
		del("")
		del()
		del(t.name("simple"))
		t.do(offsetFetch(t.name("simple"), topic, id, 0))
		del(t.name("simple"))
		t.do(leaveGroup(g, m))
		del(g, t.name("none"), t.name("other"))
		del(g, g)
	}},
	{"offsetdelete: partitions", 47, 0, 0, func(t *T) {
		topic, id := t.topic("t", 2)
		t.offsetsTopic()
		g := t.name("g")
		del := func(group, topic string, partitions ...int32) {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = group
			rt := kmsg.NewOffsetDeleteRequestTopic()
			rt.Topic = topic
			for _, n := range partitions {
				rp := kmsg.NewOffsetDeleteRequestTopicPartition()
				rp.Partition = n
				rt.Partitions = append(rt.Partitions, rp)
			}
			req.Topics = append(req.Topics, rt)
			t.do(req)
		}
		t.quiet(func() {
			t.on("setup").do(at(8, offsetCommit(g, "", -1, topic, id, 0, 5)))
			t.on("setup").do(at(8, offsetCommit(g, "", -1, topic, id, 1, 5)))
		})
		del(t.name("none"), topic, 0)
		del("", topic, 0)
		del(g, t.name("none"), 0)
		del(g, topic, 7)
		del(g, topic)
		del(g, topic, 0)
		del(g, topic, 0)
		t.do(offsetFetch(g, topic, id, 0, 1))
	}},
	{"offsetdelete: a group with members", 47, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		other, otherID := t.topic("u", 1)
		t.offsetsTopic()
		g := t.name("g")
		req := joinGroup(g, "")
		member := kmsg.NewConsumerMemberMetadata()
		member.Topics = []string{topic}
		req.Protocols[0].Metadata = member.AppendTo(nil)
		m := t.on("a").join(req).str("MemberId")
		t.do(syncGroup(g, m, 1, m, "x"))
		t.quiet(func() {
			t.on("setup").do(at(8, offsetCommit(g, m, 1, topic, id, 0, 5)))
			t.on("setup").do(at(8, offsetCommit(g, m, 1, other, otherID, 0, 5)))
		})
		del := kmsg.NewPtrOffsetDeleteRequest()
		del.Group = g
		for _, n := range []string{topic, other} {
			rt := kmsg.NewOffsetDeleteRequestTopic()
			rt.Topic = n
			rt.Partitions = append(rt.Partitions, kmsg.NewOffsetDeleteRequestTopicPartition())
			del.Topics = append(del.Topics, rt)
		}
		t.do(del)
		t.do(offsetFetch(g, other, otherID, 0))
	}},
	{"group: another protocol type", -1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		g := t.name("g")
		req := joinGroup(g, "")
		req.ProtocolType = "connect"
		m := t.on("a").join(req).str("MemberId")
		s := syncGroup(g, m, 1, m, "x")
		s.ProtocolType = ptr("connect")
		t.do(s)
		t.do(describeGroups(g))
		t.quiet(func() { t.on("setup").do(at(8, offsetCommit(g, m, 1, topic, id, 0, 5))) })
		del := kmsg.NewPtrOffsetDeleteRequest()
		del.Group = g
		rt := kmsg.NewOffsetDeleteRequestTopic()
		rt.Topic = topic
		rt.Partitions = append(rt.Partitions, kmsg.NewOffsetDeleteRequestTopicPartition())
		del.Topics = append(del.Topics, rt)
		t.do(del)
	}},
}

// offsetCommitTopicless commits nothing, which tells what the group thinks of the member.
func offsetCommitTopicless(group, member string, generation int32) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation, req.RetentionTimeMillis = group, member, generation, -1
	return req
}
