package group

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	gosync "sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

func TestPartitionOfIsJavasHash(t *testing.T) {
	// By Java: Math.abs(id.hashCode()) % 50.
	for id, want := range map[string]int32{
		"":                   0,
		"a":                  47,
		"test-group":         12,
		"connect-cluster":    13,
		"analytics":          10,
		"\u00e4":             28,
		"\U0001f600":         49,
		"polygenelubricants": 0, // hash -2147483648, which has no absolute value
	} {
		if got := PartitionOf(id, 50); got != want {
			t.Errorf("%q: %d, want %d", id, got, want)
		}
	}
}

func TestWhileLoadingAndWithoutTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemoryStorage(0)
		c := New(Options{Storage: storage})
		defer c.Close()
		wantCode(t, "no topic", commitCode(t, commit(t, c, 5, "g", "", -1, "orders", 1)), protocol.ErrCoordinatorNotAvailable)
		storage.count, storage.loadGate = 1, make(chan struct{})
		wantCode(t, "not ours", commitCode(t, commit(t, c, 5, "g", "", -1, "orders", 1)), protocol.ErrNotCoordinator)
		c.BecomeLeader(0, 3)
		code := protocol.ErrCoordinatorLoadInProgress
		wantCode(t, "commit", commitCode(t, commit(t, c, 5, "g", "", -1, "orders", 1)), code)
		wantCode(t, "join", protocol.ErrorCode(join(t, c, 5, "g", "").get().ErrorCode), code)
		wantCode(t, "sync", protocol.ErrorCode(syncGroup(t, c, "g", "m", 1, nil).get().ErrorCode), protocol.ErrRebalanceInProgress)
		wantCode(t, "heartbeat", heartbeat(t, c, "g", "m", 1), protocol.None)
		wantCode(t, "leave", leave(t, c, "g", "m"), code)
		list := &slot[kmsg.ListGroupsResponse]{t: t}
		c.ListGroups(testContext, kmsg.NewPtrListGroupsRequest(), nil, list.set)
		wantCode(t, "list", protocol.ErrorCode(list.get().ErrorCode), code)
		if s := c.Stats(); s.PartitionsLoading != 1 || s.PartitionsLed != 0 {
			t.Errorf("%+v", s)
		}
		close(storage.loadGate)
		if err := c.WaitLoaded(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "loaded", commitCode(t, commit(t, c, 5, "g", "", -1, "orders", 1)), protocol.None)
	})
}

// What happens to a partition while it is read must not be lost to it.
func TestMarkerWhileLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemoryStorage(1)
		c := testCoordinator(t, storage, Config{})
		w := &ourWorld{t: t, storage: storage, c: c}
		play(t, "txn-commit v=3 g=g pid=5 o=orders/0:77\n", w)
		c.Close()
		storage.loadGate = make(chan struct{})
		c = New(Options{Storage: storage})
		defer c.Close()
		c.BecomeLeader(0, 1)
		c.TransactionCompleted(0, 5, true)
		close(storage.loadGate)
		if err := c.WaitLoaded(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o, _, code := fetch(t, c, 7, "g", "orders", 0, true); o != 77 || code != 0 {
			t.Error(o, code)
		}
	})
}

type failingLoads struct {
	*memoryStorage
	failures int
}

func (f *failingLoads) Load(ctx context.Context, partition int32, fn func([]byte) error) error {
	if f.failures > 0 {
		f.failures--
		return errors.New("disk")
	}
	return f.memoryStorage.Load(ctx, partition, fn)
}

func TestFailedLoadIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Storage: &failingLoads{newMemoryStorage(1), 2}})
		defer c.Close()
		c.BecomeLeader(0, 1)
		if err := c.WaitLoaded(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "failed", commitCode(t, commit(t, c, 5, "g", "", -1, "orders", 1)), protocol.ErrCoordinatorLoadInProgress)
		time.Sleep(2*loadRetry + time.Second)
		wantCode(t, "loaded", commitCode(t, commit(t, c, 5, "g", "", -1, "orders", 1)), protocol.None)
		if s := c.Stats(); s.LoadsFailed != 2 || s.Loads != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestFiltersOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testCoordinator(t, newMemoryStorage(1), Config{})
		commit(t, c, 5, "g", "", -1, "orders", 1).get()
		commit(t, c, 5, "hidden", "", -1, "orders", 1).get()
		wantCode(t, "topic", commitCode(t, commit(t, c, 5, "g", "", -1, "secret", 1)), protocol.ErrTopicAuthorizationFailed)
		if _, _, code := fetch(t, c, 7, "g", "secret", 0, false); code != protocol.ErrTopicAuthorizationFailed {
			t.Error(code)
		}
		filter := func(id string) protocol.ErrorCode {
			if id == "hidden" {
				return protocol.ErrGroupAuthorizationFailed
			}
			return protocol.None
		}
		list := &slot[kmsg.ListGroupsResponse]{t: t}
		c.ListGroups(testContext, kmsg.NewPtrListGroupsRequest(), filter, list.set)
		if got := list.get().Groups; len(got) != 1 || got[0].Group != "g" {
			t.Errorf("%+v", got)
		}
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Version, req.Groups, req.IncludeAuthorizedOperations = 5, []string{"g", "hidden", "none"}, true
		described := &slot[kmsg.DescribeGroupsResponse]{t: t}
		c.DescribeGroups(testContext, req, filter, func(string) int32 { return 42 }, described.set)
		for i, want := range []int32{42, -2147483648, 42} {
			if g := described.get().Groups[i]; g.AuthorizedOperations != want {
				t.Errorf("%+v", g)
			}
		}
		del := &slot[kmsg.DeleteGroupsResponse]{t: t}
		c.DeleteGroups(testContext, &kmsg.DeleteGroupsRequest{Version: 2, Groups: []string{"hidden", "g", "g"}}, filter, del.set)
		if got := del.get().Groups; len(got) != 2 || got[0].ErrorCode != int16(protocol.ErrGroupAuthorizationFailed) || got[1].ErrorCode != 0 {
			t.Errorf("%+v", got)
		}
		for version, where := range map[int16]string{1: "partition", 5: "top", 9: "group"} {
			f := kmsg.NewPtrOffsetFetchRequest()
			f.Version, f.Group = version, "hidden"
			f.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "orders", Partitions: []int32{0}}}
			f.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "hidden"}}
			s := &slot[kmsg.OffsetFetchResponse]{t: t}
			c.OffsetFetch(testContext, f, filter, anyTopic, s.set)
			r, code := s.get(), int16(0)
			switch where {
			case "partition":
				code = r.Topics[0].Partitions[0].ErrorCode
			case "top":
				code = r.ErrorCode
			default:
				code = r.Groups[0].ErrorCode
			}
			wantCode(t, where, protocol.ErrorCode(code), protocol.ErrGroupAuthorizationFailed)
		}
	})
}

// slowStorage appends from a goroutine of its own, as a broker with replicas does.
type slowStorage struct {
	*memoryStorage
	wg gosync.WaitGroup
}

func (s *slowStorage) Append(w Write, done func(error)) {
	s.wg.Go(func() { s.memoryStorage.Append(w, done) })
}

// Everything at once, for the race detector: every request is answered once, and the log
// in the end says what the coordinator says.
func TestManyAtOnce(t *testing.T) {
	storage := &slowStorage{memoryStorage: newMemoryStorage(3)}
	c := New(Options{Storage: storage, Config: Config{InitialRebalanceDelay: time.Millisecond}})
	for p := range storage.count {
		c.BecomeLeader(p, 0)
	}
	if err := c.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	var clients gosync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			g := fmt.Sprint("g", i%3)
			for n := range 100 {
				var wg gosync.WaitGroup
				wg.Add(3)
				req := kmsg.NewPtrOffsetCommitRequest()
				req.Version, req.Group, req.Generation = 5, fmt.Sprint("offsets", i), -1
				rt := kmsg.OffsetCommitRequestTopic{Topic: "orders", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Partition: 1, Offset: int64(n)}}}
				req.Topics = append(req.Topics, rt)
				c.OffsetCommit(testContext, req, anyTopic, func(r *kmsg.OffsetCommitResponse) {
					if r.Topics[0].Partitions[0].ErrorCode != 0 {
						t.Error(r.Topics[0].Partitions[0].ErrorCode)
					}
					wg.Done()
				})
				j := kmsg.NewPtrJoinGroupRequest()
				j.Group, j.SessionTimeoutMillis, j.ProtocolType = g, 6000, "consumer"
				j.Version, j.RebalanceTimeoutMillis = 1, 20
				j.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscription("orders")}}
				c.JoinGroup(testContext, j, func(r *kmsg.JoinGroupResponse) {
					if r.ErrorCode != 0 {
						wg.Done()
						return
					}
					s := kmsg.NewPtrSyncGroupRequest()
					s.Group, s.MemberID, s.Generation = g, r.MemberID, r.Generation
					c.SyncGroup(testContext, s, func(*kmsg.SyncGroupResponse) {
						l := kmsg.NewPtrLeaveGroupRequest()
						l.Group, l.MemberID = g, r.MemberID
						c.LeaveGroup(testContext, l, func(*kmsg.LeaveGroupResponse) { wg.Done() })
					})
				})
				c.ListGroups(testContext, kmsg.NewPtrListGroupsRequest(), nil, func(*kmsg.ListGroupsResponse) { wg.Done() })
				c.Stats()
				wg.Wait()
			}
		})
	}
	clients.Wait()
	storage.wg.Wait()
	appends := c.Stats().Appends
	c.Close()
	c = New(Options{Storage: storage})
	for p := range storage.count {
		c.BecomeLeader(p, 1)
	}
	if err := c.WaitLoaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 8 {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version, req.Group = 5, fmt.Sprint("offsets", i)
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "orders", Partitions: []int32{1}}}
		c.OffsetFetch(testContext, req, nil, anyTopic, func(r *kmsg.OffsetFetchResponse) {
			if o := r.Topics[0].Partitions[0].Offset; o != 99 {
				t.Errorf("offset %d", o)
			}
		})
	}
	t.Log("appends:", appends)
}

// BenchmarkIdleGroups measures what a group costs that nobody uses.
func BenchmarkIdleGroups(b *testing.B) {
	for _, offsets := range []int{1, 10} {
		b.Run(fmt.Sprintf("offsets=%d", offsets), func(b *testing.B) {
			const groups = 10_000
			for b.Loop() {
				cfg := Config{}.withDefaults()
				core := newCore(&cfg, protocol.NewUUID, new(Stats))
				core.now = instant{monotonicMs: 1}
				before := heapBytes()
				for i := range groups {
					g := core.getOrCreate(fmt.Sprint("group-", i))
					for p := range offsets {
						core.setOffset(g, partitionKey{topic: "orders", partition: int32(p)}, committed{})
					}
				}
				b.ReportMetric(float64(heapBytes()-before)/groups, "B/group")
				runtime.KeepAlive(core)
			}
		})
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// discardStorage takes everything and keeps nothing.
type discardStorage struct{ *memoryStorage }

func (discardStorage) Append(_ Write, done func(error)) { done(nil) }

func benchmarkMember(b *testing.B) (*Coordinator, string) {
	c := New(Options{Storage: discardStorage{newMemoryStorage(1)}})
	b.Cleanup(c.Close)
	c.BecomeLeader(0, 0)
	if err := c.WaitLoaded(b.Context()); err != nil {
		b.Fatal(err)
	}
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.SessionTimeoutMillis, req.ProtocolType = "g", 10_000, "consumer"
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscription("orders")}}
	var member string
	c.JoinGroup(testContext, req, func(r *kmsg.JoinGroupResponse) { member = r.MemberID })
	c.SyncGroup(testContext, &kmsg.SyncGroupRequest{Group: "g", MemberID: member, Generation: 1}, func(*kmsg.SyncGroupResponse) {})
	return c, member
}

func BenchmarkHeartbeat(b *testing.B) {
	c, member := benchmarkMember(b)
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = "g", member, 1
	b.ReportAllocs()
	for b.Loop() {
		c.Heartbeat(testContext, req, func(r *kmsg.HeartbeatResponse) {
			if r.ErrorCode != 0 {
				b.Fatal(r.ErrorCode)
			}
		})
	}
}

func BenchmarkOffsetCommit(b *testing.B) {
	for _, partitions := range []int{1, 10} {
		b.Run(fmt.Sprintf("partitions=%d", partitions), func(b *testing.B) {
			c, member := benchmarkMember(b)
			req := kmsg.NewPtrOffsetCommitRequest()
			req.Version, req.Group, req.MemberID, req.Generation = 8, "g", member, 1
			rt := kmsg.NewOffsetCommitRequestTopic()
			rt.Topic = "orders"
			for p := range partitions {
				rp := kmsg.NewOffsetCommitRequestTopicPartition()
				rp.Partition, rp.Offset = int32(p), 5
				rt.Partitions = append(rt.Partitions, rp)
			}
			req.Topics = append(req.Topics, rt)
			b.ReportAllocs()
			for b.Loop() {
				c.OffsetCommit(testContext, req, anyTopic, func(r *kmsg.OffsetCommitResponse) {
					if r.Topics[0].Partitions[0].ErrorCode != 0 {
						b.Fatal(r.Topics[0].Partitions[0].ErrorCode)
					}
				})
			}
		})
	}
}

// A partition that holds what we cannot read still serves the rest; records of other group
// types, as Apache 4.3.1 left them, are passed over.
func TestLoadPassesOverWhatItCannotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newOurWorld(t)
		if _, err := w.command("load", args{"file": "apache-4.3.1.log"}); err != nil {
			t.Fatal(err)
		}
		cfg := Config{}.withDefaults()
		l := loader{core: newCore(&cfg, protocol.NewUUID, new(Stats))}
		for _, b := range w.storage.partitions[0] {
			if err := l.load(b); err != nil {
				t.Fatal(err)
			}
		}
		if l.foreign == 0 || l.skipped != 0 {
			t.Errorf("%d foreign, %d skipped", l.foreign, l.skipped)
		}
		broken, err := protocol.AppendBatch(nil, protocol.BatchOptions{},
			protocol.Record{Key: []byte{0, 1, 0x7f}, Value: []byte{0, 3}}, protocol.Record{Value: []byte{1}})
		if err != nil {
			t.Fatal(err)
		}
		w.storage.partitions[0] = append(w.storage.partitions[0], []byte("no batch at all, but long enough to look like one"), broken, broken[:70])
		if _, err := w.command("restart", nil); err != nil {
			t.Fatal(err)
		}
		if s := w.c.Stats(); s.RecordsSkipped < 4 || s.Groups != 5 {
			t.Errorf("%+v", s)
		}
	})
}
