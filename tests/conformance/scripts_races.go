package main

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// waits is how long a request is watched that should not be answered yet.
const waits = 250 * time.Millisecond

// sendJoin begins to join and returns with the join that waits: where the broker first
// hands out a member id the join is repeated with it.
func (c *Conn) sendJoin(req *kmsg.JoinGroupRequest) *Pending {
	version := auxiliary[11]
	if c.t.key == 11 {
		version = c.t.version
	}
	p := c.send(req)
	if version >= 4 && req.MemberID == "" && req.InstanceID == nil {
		req.MemberID = p.answer().str("MemberId")
		p = c.send(req)
	}
	return p
}

// pair makes a stable group of a leader on connection a and a follower on b.
func (t *T) pair(group string, change func(*kmsg.JoinGroupRequest)) (leader, follower string, generation int32) {
	if change == nil {
		change = func(*kmsg.JoinGroupRequest) {}
	}
	t.offsetsTopic()
	t.quiet(func() {
		a, b := t.on("a"), t.on("b")
		one := joinGroup(group, "")
		change(one)
		leader = a.join(one).str("MemberId")
		two := joinGroup(group, "")
		change(two)
		p := b.sendJoin(two)
		time.Sleep(50 * time.Millisecond)
		one = joinGroup(group, leader)
		change(one)
		generation = int32(a.do(one).int("GenerationId"))
		follower = p.answer().str("MemberId")
		s := b.send(syncGroup(group, follower, generation))
		a.do(syncGroup(group, leader, generation, leader, "one", follower, "two"))
		s.answer()
	})
	return leader, follower, generation
}

func static(group, member, instance string, protocols ...string) *kmsg.JoinGroupRequest {
	req := joinGroup(group, member, protocols...)
	req.InstanceID = ptr(instance)
	return req
}

var raceScripts = []script{
	{"race: the follower syncs first", 14, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		m1 := t.on("a").join(joinGroup(g, "")).str("MemberId")
		p := t.on("b").sendJoin(joinGroup(g, ""))
		t.on("b").silent(waits)
		t.do(joinGroup(g, m1))
		m2 := p.answer().str("MemberId")
		s := t.on("b").send(syncGroup(g, m2, 2, m2, "a follower's own wish"))
		t.on("b").silent(waits)
		t.do(syncGroup(g, m1, 2, m1, "one"))
		s.answer()
		t.on("b").do(syncGroup(g, m2, 2))
		t.on("b").do(syncGroup(g, m2, 1))
		t.do(describeGroups(g))
	}},
	{"race: a third member while others sync", 14, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		m1 := t.on("a").join(joinGroup(g, "")).str("MemberId")
		p := t.on("b").sendJoin(joinGroup(g, ""))
		t.on("b").silent(waits)
		t.do(joinGroup(g, m1))
		m2 := p.answer().str("MemberId")
		s := t.on("b").send(syncGroup(g, m2, 2))
		t.on("b").silent(waits)
		third := t.on("c").sendJoin(joinGroup(g, ""))
		s.answer()
		t.do(syncGroup(g, m1, 2, m1, "late"))
		t.do(heartbeat(g, m1, 2))
		t.on("b").do(heartbeat(g, m2, 2))
		t.do(describeGroups(g))
		again := t.on("b").send(joinGroup(g, m2))
		t.on("b").silent(waits)
		t.do(joinGroup(g, m1))
		again.answer()
		third.answer()
	}},
	{"race: a member joins twice on two connections", 11, 0, 0, func(t *T) {
		g := t.name("g")
		m1, m2, gen := t.pair(g, nil)
		change := func(member string, data string) *kmsg.JoinGroupRequest {
			req := joinGroup(g, member)
			req.Protocols[0].Metadata = append(req.Protocols[0].Metadata, data...)
			return req
		}
		first := t.on("b").send(change(m2, "x"))
		t.on("b").silent(waits)
		second := t.on("c").send(change(m2, "y"))
		t.on("c").silent(waits)
		t.do(heartbeat(g, m1, gen))
		t.do(joinGroup(g, m1))
		second.answer()
		first.answerWithin(time.Second)
	}},
	{"race: a member syncs twice on two connections", 14, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		m1, m2, gen := t.pair(g, nil)
		p := t.on("b").send(joinGroup(g, m2, "range", "other"))
		t.on("b").silent(waits)
		t.do(joinGroup(g, m1))
		p.answer()
		first := t.on("b").send(syncGroup(g, m2, gen+1))
		t.on("b").silent(waits)
		second := t.on("c").send(syncGroup(g, m2, gen+1))
		t.on("c").silent(waits)
		t.do(syncGroup(g, m1, gen+1, m1, "1", m2, "2"))
		second.answer()
		first.answerWithin(time.Second)
	}},
	{"race: leaving while the join waits", 13, 0, 0, func(t *T) {
		g := t.name("g")
		m1, m2, gen := t.pair(g, nil)
		p := t.on("c").sendJoin(joinGroup(g, ""))
		t.on("c").silent(waits)
		t.do(describeGroups(g))
		t.do(leaveGroup(g, m1))
		t.on("c").silent(waits)
		t.do(heartbeat(g, m2, gen))
		t.do(leaveGroup(g, m2))
		p.answer()
		t.do(leaveGroup(g, m2))
	}},
	{"race: one leaves whose own join waits", 13, 0, 0, func(t *T) {
		g := t.name("g")
		m1, m2, gen := t.pair(g, nil)
		p := t.on("b").send(joinGroup(g, m2, "range", "x"))
		t.on("b").silent(waits)
		t.on("c").do(leaveGroup(g, m2))
		p.answer()
		t.do(heartbeat(g, m1, gen))
		t.do(joinGroup(g, m1))
	}},
	{"race: one leaves whose sync waits", 13, 0, 0, func(t *T) {
		g := t.name("g")
		m1, m2, gen := t.pair(g, nil)
		p := t.on("b").send(joinGroup(g, m2, "range", "x"))
		t.on("b").silent(waits)
		t.do(joinGroup(g, m1))
		p.answer()
		s := t.on("b").send(syncGroup(g, m2, gen+1))
		t.on("b").silent(waits)
		t.on("c").do(leaveGroup(g, m2))
		s.answer()
		t.do(syncGroup(g, m1, gen+1, m1, "1"))
		t.do(heartbeat(g, m1, gen+1))
	}},
	{"race: the leader vanishes while others sync", -1, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		short := func(member string) *kmsg.JoinGroupRequest {
			req := joinGroup(g, member)
			if member == "" {
				req.SessionTimeoutMillis = 1500
			}
			return req
		}
		m1 := t.on("a").join(short("")).str("MemberId")
		p := t.on("b").sendJoin(joinGroup(g, ""))
		t.on("b").silent(waits)
		one := short(m1)
		one.SessionTimeoutMillis = 1500
		t.do(one)
		m2 := p.answer().str("MemberId")
		s := t.on("b").send(syncGroup(g, m2, 2))
		t.on("b").silent(500 * time.Millisecond)
		s.answer() // when the leader's session is over
		t.on("b").do(joinGroup(g, m2))
		t.on("b").do(syncGroup(g, m2, 3, m2, "all"))
		t.do(heartbeat(g, m1, 2))
		t.do(syncGroup(g, m1, 2, m1, "x"))
		t.do(describeGroups(g))
	}},
	{"race: the leader vanishes while others join", -1, 0, 0, func(t *T) {
		g := t.name("g")
		m1, m2, gen := t.pair(g, func(req *kmsg.JoinGroupRequest) { req.RebalanceTimeoutMillis = 1000 })
		again := joinGroup(g, m2, "range", "x")
		again.RebalanceTimeoutMillis = 1000
		p := t.on("b").send(again)
		t.on("b").silent(waits)
		t.do(heartbeat(g, m1, gen))
		p.answer() // when the time to rejoin is over
		t.do(heartbeat(g, m1, gen))
		t.do(describeGroups(g))
	}},
	{"race: nobody syncs", -1, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		req := joinGroup(g, "")
		req.RebalanceTimeoutMillis = 1000
		m := t.on("a").join(req).str("MemberId")
		t.do(heartbeat(g, m, 1))
		time.Sleep(1800 * time.Millisecond)
		t.do(heartbeat(g, m, 1))
		t.do(describeGroups(g))
	}},
	{"race: heartbeats and commits in every state", 8, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		g := t.name("g")
		m1, m2, gen := t.pair(g, nil)
		probe := func(generation int32) {
			t.do(heartbeat(g, m1, generation))
			t.do(offsetCommit(g, m1, generation, topic, id, 0, int64(generation)))
			t.do(offsetCommit(g, m1, generation-1, topic, id, 0, 99))
			t.do(offsetCommit(g, m1, generation+1, topic, id, 0, 99))
			t.do(offsetCommit(g, "stranger", generation, topic, id, 0, 99))
			t.do(offsetCommit(g, "", -1, topic, id, 0, 99))
		}
		probe(gen)
		p := t.on("b").send(joinGroup(g, m2, "range", "x"))
		t.on("b").silent(waits)
		probe(gen)
		t.do(joinGroup(g, m1))
		p.answer()
		probe(gen)
		probe(gen + 1)
		t.do(syncGroup(g, m1, gen+1, m1, "1"))
		probe(gen + 1)
		t.do(leaveGroup(g, m1, m2))
		probe(gen + 1)
		t.do(offsetFetch(g, topic, id, 0))
	}},
	{"race: the metadata of a follower changes, and of nobody", 11, 0, 0, func(t *T) {
		g := t.name("g")
		m1, m2, gen := t.pair(g, nil)
		t.on("b").do(joinGroup(g, m2)) // a follower that changes nothing
		t.do(heartbeat(g, m1, gen))
		p := t.on("a").send(joinGroup(g, m1)) // the leader: a rebalance
		t.on("a").silent(waits)
		t.on("b").do(heartbeat(g, m2, gen))
		t.on("b").do(joinGroup(g, m2))
		p.answer()
		t.on("b").do(joinGroup(g, m2)) // while the others sync
		t.do(joinGroup(g, m1))
		t.do(describeGroups(g))
	}},
	{"race: protocols of several members", 11, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		m1 := t.on("a").join(joinGroup(g, "", "cooperative-sticky", "range")).str("MemberId")
		p := t.on("b").sendJoin(joinGroup(g, "", "range"))
		t.on("b").silent(waits)
		t.do(joinGroup(g, m1, "cooperative-sticky", "range"))
		m2 := p.answer().str("MemberId")
		t.on("c").do(joinGroup(g, "", "cooperative-sticky"))
		t.on("c").do(joinGroup(g, "", "sticky"))
		t.do(joinGroup(g, m1, "cooperative-sticky"))
		t.on("b").do(leaveGroup(g, m2))
		t.do(joinGroup(g, m1, "cooperative-sticky"))
		p = t.on("c").sendJoin(joinGroup(g, "", "cooperative-sticky", "range"))
		t.on("c").silent(waits)
		t.do(joinGroup(g, m1, "range", "cooperative-sticky"))
		p.answer()
	}},
	{"race: an empty group and another protocol type", 11, 0, 0, func(t *T) {
		g := t.name("g")
		m, _ := t.stable(t.on("a"), g)
		t.do(leaveGroup(g, m))
		req := joinGroup(g, "", "v1")
		req.ProtocolType = "connect"
		a := t.on("a").join(req)
		t.do(describeGroups(g))
		t.do(joinGroup(g, a.str("MemberId")))
	}},
	{"static: the old one is fenced in Heartbeat", 12, 3, 0, func(t *T) {
		t.takeover(func(g, old, fresh string) {
			for _, m := range []string{old, fresh, "", "stranger"} {
				for _, gen := range []int32{1, 0, 2, -1} {
					req := heartbeat(g, m, gen)
					req.InstanceID = ptr("inst")
					t.do(req)
				}
			}
			req := heartbeat(g, fresh, 1)
			req.InstanceID = ptr("another")
			t.do(req)
			t.do(heartbeat(g, fresh, 1))
		})
	}},
	{"static: the old one is fenced in SyncGroup", 14, 3, 0, func(t *T) {
		t.takeover(func(g, old, fresh string) {
			for _, m := range []string{old, fresh, "", "stranger"} {
				for _, gen := range []int32{1, 0, 2} {
					req := syncGroup(g, m, gen)
					req.InstanceID = ptr("inst")
					t.do(req)
				}
			}
			req := syncGroup(g, fresh, 1)
			req.InstanceID = ptr("another")
			t.do(req)
		})
	}},
	{"static: the old one is fenced in OffsetCommit", 8, 7, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.takeover(func(g, old, fresh string) {
			for _, m := range []string{old, fresh, "", "stranger"} {
				for _, gen := range []int32{1, 0, 2, -1} {
					req := offsetCommit(g, m, gen, topic, id, 0, 7)
					req.InstanceID = ptr("inst")
					t.do(req)
				}
			}
			req := offsetCommit(g, fresh, 1, topic, id, 0, 7)
			req.InstanceID = ptr("another")
			t.do(req)
			t.do(offsetFetch(g, topic, id, 0))
		})
	}},
	{"static: the old one is fenced in LeaveGroup", 13, 3, 0, func(t *T) {
		t.takeover(func(g, old, fresh string) {
			leave := func(pairs ...string) {
				req := leaveGroup(g)
				for i := 0; i+1 < len(pairs); i += 2 {
					m := kmsg.NewLeaveGroupRequestMember()
					m.MemberID = pairs[i]
					if pairs[i+1] != "" {
						m.InstanceID = ptr(pairs[i+1])
					}
					req.Members = append(req.Members, m)
				}
				t.do(req)
			}
			leave()
			leave("", "")
			leave(old, "")
			leave(old, "inst")
			leave("stranger", "inst", fresh, "another", "", "another")
			leave(old, "inst", fresh, "inst", "", "inst")
			t.do(describeGroups(g))
		})
	}},
	{"static: the old one is fenced in JoinGroup", 11, 5, 0, func(t *T) {
		t.takeover(func(g, old, fresh string) {
			t.do(static(g, old, "inst"))
			t.do(static(g, fresh, "another"))
			t.do(static(g, "stranger", "inst"))
			t.do(joinGroup(g, fresh))
			t.do(static(g, fresh, "inst"))
			t.do(describeGroups(g))
		})
	}},
	{"static: comes back with other protocols", 11, 5, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		m := t.do(static(g, "", "inst", "range", "x")).str("MemberId")
		t.do(syncGroup(g, m, 1, m, "assigned"))
		t.on("b").do(static(g, "", "inst", "x", "range"))
		t.on("b").do(describeGroups(g))
		t.on("c").do(static(g, "", "inst", "range", "x"))
		t.on("c").do(describeGroups(g))
	}},
	{"static: is replaced while others join", 11, 5, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		m1 := t.do(static(g, "", "one")).str("MemberId")
		t.do(syncGroup(g, m1, 1, m1, "x"))
		p := t.on("b").send(static(g, "", "two"))
		t.on("b").silent(waits)
		second := t.on("c").send(static(g, "", "two"))
		t.on("c").silent(waits)
		p.answerWithin(time.Second)
		t.do(static(g, m1, "one"))
		second.answer()
		t.do(describeGroups(g))
	}},
	{"static: is replaced while others sync", 11, 5, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		m1 := t.do(static(g, "", "one")).str("MemberId")
		p := t.on("b").send(static(g, "", "two"))
		t.on("b").silent(waits)
		gen := int32(t.do(static(g, m1, "one")).int("GenerationId"))
		m2 := p.answer().str("MemberId")
		s := t.on("b").send(syncGroup(g, m2, gen))
		t.on("b").silent(waits)
		third := t.on("c").send(static(g, "", "two"))
		s.answerWithin(time.Second)
		t.on("c").silent(waits)
		t.do(heartbeat(g, m1, gen))
		t.do(static(g, m1, "one"))
		third.answer()
	}},
	{"static: the session ends", -1, 0, 0, func(t *T) {
		t.offsetsTopic()
		g := t.name("g")
		req := static(g, "", "inst")
		req.SessionTimeoutMillis = 1000
		m := t.do(req).str("MemberId")
		t.do(syncGroup(g, m, 1, m, "x"))
		time.Sleep(2 * time.Second)
		h := heartbeat(g, m, 1)
		h.InstanceID = ptr("inst")
		t.do(h)
		t.do(describeGroups(g))
		t.do(static(g, m, "inst"))
		t.do(static(g, "", "inst"))
	}},
	{"race: deleting a group in every state", 42, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		g := t.name("g")
		del := func() {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = []string{g}
			t.do(req)
		}
		t.offsetsTopic()
		req := joinGroup(g, "")
		req.MemberID = t.do(req).str("MemberId") // pending
		del()
		t.do(req)
		del()
		t.do(syncGroup(g, req.MemberID, 1, req.MemberID, "x"))
		t.do(offsetCommit(g, req.MemberID, 1, topic, id, 0, 5))
		del()
		t.do(leaveGroup(g, req.MemberID))
		del()
		del()
		t.do(offsetFetch(g, topic, id, 0))
		t.do(offsetCommit(g, "", -1, topic, id, 0, 6))
		t.do(describeGroups(g))
	}},
}

// takeover makes a group whose static member inst was taken over by another process.
func (t *T) takeover(fn func(group, old, fresh string)) {
	t.offsetsTopic()
	g := t.name("g")
	var old, fresh string
	t.quiet(func() {
		old = t.on("a").do(at(7, static(g, "", "inst"))).str("MemberId")
		t.on("a").do(at(5, syncGroup(g, old, 1, old, "x")))
		fresh = t.on("b").do(at(7, static(g, "", "inst"))).str("MemberId")
	})
	fn(g, old, fresh)
}
