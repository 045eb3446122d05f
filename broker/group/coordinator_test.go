package group

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// testCoordinator leads all partitions of storage. Inside a synctest bubble.
func testCoordinator(t *testing.T, storage *memoryStorage, cfg Config) *Coordinator {
	t.Helper()
	c := New(Options{Config: cfg, Storage: storage})
	t.Cleanup(c.Close)
	for p := range storage.count {
		c.BecomeLeader(p, 0)
	}
	if err := c.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

var testContext = RequestContext{ClientID: "client", ClientHost: "/10.0.0.1"}

// anyTopic finds every name with 10 partitions and an id made of the name, and every id.
func anyTopic(name string, id protocol.UUID) Topic {
	t := Topic{Name: name, ID: id, Partitions: 10}
	if name == "" {
		t.Name = strings.TrimRight(string(id[:]), "\x00")
	} else {
		copy(t.ID[:], name)
	}
	switch t.Name {
	case "secret":
		t.Err = protocol.ErrTopicAuthorizationFailed
	case "missing":
		t.Err, t.ID = protocol.ErrUnknownTopicOrPartition, protocol.UUID{}
		if name == "" {
			t.Err = protocol.ErrUnknownTopicID
		}
	}
	return t
}

// slot holds an answer that may come later.
type slot[T any] struct {
	t     *testing.T
	value *T
}

func (s *slot[T]) set(v *T) {
	if s.value != nil {
		s.t.Error("answered twice")
	}
	s.value = v
}

func (s *slot[T]) get() *T {
	s.t.Helper()
	synctest.Wait()
	if s.value == nil {
		s.t.Fatal("not answered")
	}
	return s.value
}

func (s *slot[T]) pending() bool { synctest.Wait(); return s.value == nil }

func join(t *testing.T, c *Coordinator, version int16, group, memberID string, mod ...func(*kmsg.JoinGroupRequest)) *slot[kmsg.JoinGroupResponse] {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version = version
	req.Group, req.MemberID = group, memberID
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 60_000
	req.ProtocolType = "consumer"
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscription("orders")}}
	for _, f := range mod {
		f(req)
	}
	s := &slot[kmsg.JoinGroupResponse]{t: t}
	c.JoinGroup(testContext, req, s.set)
	for i := range req.Protocols { // the request's memory is used again
		clear(req.Protocols[i].Metadata)
	}
	return s
}

// joinKnown joins with v4+ through MEMBER_ID_REQUIRED.
func joinKnown(t *testing.T, c *Coordinator, version int16, group string, mod ...func(*kmsg.JoinGroupRequest)) *slot[kmsg.JoinGroupResponse] {
	t.Helper()
	first := join(t, c, version, group, "", mod...).get()
	if first.ErrorCode != int16(protocol.ErrMemberIDRequired) || first.MemberID == "" {
		t.Fatalf("first join: %+v", first)
	}
	return join(t, c, version, group, first.MemberID, mod...)
}

func syncGroup(t *testing.T, c *Coordinator, group, memberID string, generation int32, assignment map[string]string) *slot[kmsg.SyncGroupResponse] {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version = 3
	req.Group, req.MemberID, req.Generation = group, memberID, generation
	for id, a := range assignment {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: id, MemberAssignment: []byte(a)})
	}
	s := &slot[kmsg.SyncGroupResponse]{t: t}
	c.SyncGroup(testContext, req, s.set)
	for i := range req.GroupAssignment {
		clear(req.GroupAssignment[i].MemberAssignment)
	}
	return s
}

func heartbeat(t *testing.T, c *Coordinator, group, memberID string, generation int32) protocol.ErrorCode {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = group, memberID, generation
	s := &slot[kmsg.HeartbeatResponse]{t: t}
	c.Heartbeat(testContext, req, s.set)
	return protocol.ErrorCode(s.get().ErrorCode)
}

func leave(t *testing.T, c *Coordinator, group, memberID string) protocol.ErrorCode {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = group, memberID
	s := &slot[kmsg.LeaveGroupResponse]{t: t}
	c.LeaveGroup(testContext, req, s.set)
	return protocol.ErrorCode(s.get().ErrorCode)
}

func commit(t *testing.T, c *Coordinator, version int16, group, memberID string, generation int32, topic string, offsets ...int64) *slot[kmsg.OffsetCommitResponse] {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version = version
	req.Group, req.MemberID, req.Generation = group, memberID, generation
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = topic
	copy(rt.TopicID[:], topic)
	for p, o := range offsets {
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset = int32(p), o
		rp.Metadata = kmsg.StringPtr(fmt.Sprint("m", o))
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	s := &slot[kmsg.OffsetCommitResponse]{t: t}
	c.OffsetCommit(testContext, req, anyTopic, s.set)
	return s
}

func commitCode(t *testing.T, s *slot[kmsg.OffsetCommitResponse]) protocol.ErrorCode {
	t.Helper()
	return protocol.ErrorCode(s.get().Topics[0].Partitions[0].ErrorCode)
}

// fetch asks for one partition.
func fetch(t *testing.T, c *Coordinator, version int16, group, topic string, partition int32, stable bool) (int64, string, protocol.ErrorCode) {
	t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version = version
	req.RequireStable = stable
	if version < 8 {
		req.Group = group
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: topic, Partitions: []int32{partition}}}
	} else {
		rt := kmsg.OffsetFetchRequestGroupTopic{Topic: topic, Partitions: []int32{partition}}
		copy(rt.TopicID[:], topic)
		req.Groups = []kmsg.OffsetFetchRequestGroup{{Group: group, Topics: []kmsg.OffsetFetchRequestGroupTopic{rt}}}
	}
	s := &slot[kmsg.OffsetFetchResponse]{t: t}
	c.OffsetFetch(testContext, req, nil, anyTopic, s.set)
	resp := s.get()
	if version < 8 {
		if resp.ErrorCode != 0 {
			return -1, "", protocol.ErrorCode(resp.ErrorCode)
		}
		p := resp.Topics[0].Partitions[0]
		return p.Offset, *p.Metadata, protocol.ErrorCode(p.ErrorCode)
	}
	if resp.Groups[0].ErrorCode != 0 {
		return -1, "", protocol.ErrorCode(resp.Groups[0].ErrorCode)
	}
	p := resp.Groups[0].Topics[0].Partitions[0]
	return p.Offset, *p.Metadata, protocol.ErrorCode(p.ErrorCode)
}

func subscription(topics ...string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version = 1
	m.Topics = topics
	return m.AppendTo(nil)
}

func wantCode(t *testing.T, what string, got, want protocol.ErrorCode) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestGroupLivesFromJoinToRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemoryStorage(3)
		c := testCoordinator(t, storage, Config{})
		a := joinKnown(t, c, 5, "g", func(*kmsg.JoinGroupRequest) {}).get()
		if a.ErrorCode != 0 || a.Generation != 1 || a.LeaderID != a.MemberID || len(a.Members) != 1 || *a.Protocol != "range" {
			t.Fatalf("%+v", a)
		}
		if !strings.HasPrefix(a.MemberID, "client-") || len(a.MemberID) != len("client-")+36 {
			t.Errorf("member id %q", a.MemberID)
		}
		wantCode(t, "heartbeat while completing", heartbeat(t, c, "g", a.MemberID, 1), protocol.None)
		wantCode(t, "commit while completing", commitCode(t, commit(t, c, 5, "g", a.MemberID, 1, "orders", 1)), protocol.ErrRebalanceInProgress)
		if got := syncGroup(t, c, "g", a.MemberID, 1, map[string]string{a.MemberID: "A"}).get(); string(got.MemberAssignment) != "A" {
			t.Fatalf("%+v", got)
		}
		wantCode(t, "commit", commitCode(t, commit(t, c, 5, "g", a.MemberID, 1, "orders", 7, 8)), protocol.None)
		wantCode(t, "commit -1", commitCode(t, commit(t, c, 5, "g", "", -1, "orders", 7, 8)), protocol.ErrUnknownMemberID)
		wantCode(t, "commit -1 known", commitCode(t, commit(t, c, 2, "g", a.MemberID, -1, "orders", 7, 8)), protocol.ErrIllegalGeneration)

		// A second member: the first is told by heartbeat, and rejoins.
		second := joinKnown(t, c, 5, "g")
		if !second.pending() {
			t.Fatal("did not wait")
		}
		wantCode(t, "heartbeat while preparing", heartbeat(t, c, "g", a.MemberID, 1), protocol.ErrRebalanceInProgress)
		a2 := join(t, c, 5, "g", a.MemberID).get()
		b := second.get()
		if a2.Generation != 2 || b.Generation != 2 || b.LeaderID != a.MemberID || len(a2.Members) != 2 || len(b.Members) != 0 {
			t.Fatalf("%+v %+v", a2, b)
		}
		follower := syncGroup(t, c, "g", b.MemberID, 2, nil)
		if !follower.pending() {
			t.Fatal("follower did not wait")
		}
		syncGroup(t, c, "g", a.MemberID, 2, map[string]string{a.MemberID: "A", b.MemberID: "B"}).get()
		if string(follower.get().MemberAssignment) != "B" {
			t.Fatalf("%+v", follower.value)
		}
		c.Close()

		c = testCoordinator(t, storage, Config{})
		wantCode(t, "heartbeat after restart", heartbeat(t, c, "g", b.MemberID, 2), protocol.None)
		if o, m, code := fetch(t, c, 5, "g", "orders", 1, true); o != 8 || m != "m8" || code != 0 {
			t.Error(o, m, code)
		}
		if o, m, code := fetch(t, c, 9, "g", "orders", 0, true); o != 7 || m != "m7" || code != 0 {
			t.Error(o, m, code)
		}
		// b stays silent and is removed; a goes on alone.
		for range 4 {
			time.Sleep(3 * time.Second)
			heartbeat(t, c, "g", a.MemberID, 2)
		}
		wantCode(t, "silent member", heartbeat(t, c, "g", b.MemberID, 2), protocol.ErrUnknownMemberID)
		wantCode(t, "other member", heartbeat(t, c, "g", a.MemberID, 2), protocol.ErrRebalanceInProgress)
		if got := join(t, c, 5, "g", a.MemberID).get(); got.Generation != 3 || len(got.Members) != 1 {
			t.Fatalf("%+v", got)
		}
		wantCode(t, "leave", leave(t, c, "g", a.MemberID), protocol.None)
		wantCode(t, "leave again", leave(t, c, "g", a.MemberID), protocol.ErrUnknownMemberID)
		if s := c.Stats(); s.Groups != 1 || s.GroupsEmpty != 1 || s.Offsets != 2 || s.Members != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestZooKeeperOffsetsStandApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemoryStorage(1)
		c := testCoordinator(t, storage, Config{})
		wantCode(t, "commit v0", commitCode(t, commit(t, c, 0, "g", "", -1, "orders", 5)), protocol.None)
		if o, _, code := fetch(t, c, 1, "g", "orders", 0, false); o != -1 || code != 0 {
			t.Error(o, code)
		}
		c.Close()
		c = testCoordinator(t, storage, Config{})
		if o, m, code := fetch(t, c, 0, "g", "orders", 0, false); o != 5 || m != "m5" || code != 0 {
			t.Error(o, m, code)
		}
		if o, m, code := fetch(t, c, 0, "g", "orders", 1, false); o != -1 || m != "" || code != protocol.ErrUnknownTopicOrPartition {
			t.Error(o, m, code)
		}
		if s := c.Stats(); s.Groups != 0 || s.ZooKeeperOffsets != 1 {
			t.Errorf("%+v", s)
		}
		c.TopicsDeleted([]Topic{{Name: "orders"}})
		if _, _, code := fetch(t, c, 0, "g", "orders", 0, false); code != protocol.ErrUnknownTopicOrPartition {
			t.Error(code)
		}
	})
}
