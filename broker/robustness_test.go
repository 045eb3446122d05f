package broker_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaks watches goroutines and descriptors of this process.
type leaks struct {
	goroutines  int
	descriptors []string
}

func watchLeaks() leaks { return leaks{runtime.NumGoroutine(), openDescriptors()} }

// openDescriptors tells what the descriptors of this process are, sorted, but for the file
// that a broker opens once, when it first notes how far it is.
func openDescriptors() (names []string) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		name, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if filepath.Base(name) != ".barnabas-progress" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// check waits until there are no more than at the start.
func (l leaks) check(t *testing.T) {
	t.Helper()
	for range 1000 {
		if runtime.NumGoroutine() <= l.goroutines && len(openDescriptors()) <= len(l.descriptors) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Fatalf("%d goroutines became %d, descriptors %q %q\n%s", l.goroutines, runtime.NumGoroutine(), l.descriptors, openDescriptors(),
		stacks[:runtime.Stack(stacks, true)])
}

// A client that asks for much and reads nothing holds up itself alone, keeps a bounded
// part of its answers in memory, and leaves nothing behind.
func TestASlowReaderHoldsUpItselfAlone(t *testing.T) {
	b := brokertest.Start(t)
	bystander := dial(t, b)
	makeTopic(bystander, "slow")
	batch := recordsOf(t, 10_000)
	for range 20 {
		bystander.call(produceOf("slow", 1, batch))
	}
	before := watchLeaks()
	var memory, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	var slow []*wire
	for range 20 {
		w := dial(t, b)
		w.conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		// 1,000 requests of up to 7 MB each; the broker stops reading them at some point.
		for range 1000 {
			if _, err := w.conn.Write(w.frame(fetchOf("slow", 0, 8<<20))); err != nil {
				break
			}
		}
		slow = append(slow, w)
	}
	bystander.call(produceOf("slow", 1, batch))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(memory.HeapAlloc); grown > 50<<20 {
		t.Errorf("20 connections that do not read hold %d bytes", grown)
	}
	for _, w := range slow {
		w.conn.Close()
	}
	before.check(t)
	bystander.call(kmsg.NewPtrApiVersionsRequest())
}

// A pipeline that nobody reads until all of it is sent is answered whole and in order,
// also when there are no slabs, or few, to read it into and to answer from.
func TestAPipelineIsReadLate(t *testing.T) {
	for _, slabs := range []int64{1024, 1, 0} {
		t.Run(fmt.Sprint(slabs, " slabs"), func(t *testing.T) {
			b := brokertest.Start(t)
			b.Broker().SetSlabs(slabs)
			w := dial(t, b)
			makeTopic(w, "pipeline")
			w.call(produceOf("pipeline", 1, recordsOf(t, 100)))
			large := kmsg.NewPtrProduceRequest()
			large.SetVersion(7)
			large.Acks = 1
			for i := range 2000 { // 100 KiB of a topic that is not there
				topic := kmsg.NewProduceRequestTopic()
				topic.Topic = fmt.Sprintf("no topic has this name of forty bytes %3d", i)
				topic.Partitions = []kmsg.ProduceRequestTopicPartition{kmsg.NewProduceRequestTopicPartition()}
				large.Topics = append(large.Topics, topic)
			}
			var all []byte
			first := w.next
			const count = 1000
			for i := range count {
				switch {
				case i%100 == 99:
					all = append(all, w.frame(large)...)
				case i%3 == 0:
					all = append(all, w.frame(produceOf("pipeline", -1, recordsOf(t, 1)))...)
				case i%3 == 1:
					all = append(all, w.frame(fetchOf("pipeline", 0, 1<<20))...)
				default:
					all = append(all, w.frame(kmsg.NewPtrApiVersionsRequest())...)
				}
			}
			sent := make(chan error, 1)
			go func() {
				_, err := w.conn.Write(all)
				sent <- err
			}()
			time.Sleep(50 * time.Millisecond)
			for i := range count {
				id, _, err := w.receive()
				if err != nil || id != first+int32(i)+1 {
					t.Fatalf("answer %d: %d %v", i, id, err)
				}
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Clients that go on asking and do not read share a bounded number of slabs, and hold little
// besides; who comes later is served all the same.
func TestClientsThatDoNotReadShareTheSlabs(t *testing.T) {
	b := brokertest.Start(t, "socket.send.buffer.bytes=16384")
	const slabs = 4
	b.Broker().SetSlabs(slabs)
	var memory, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	var all []byte
	var deaf []*wire
	for range 100 {
		w := dial(t, b)
		if all == nil {
			for range 3000 {
				all = append(all, w.frame(kmsg.NewPtrApiVersionsRequest())...)
			}
		}
		w.conn.(*net.TCPConn).SetReadBuffer(16 << 10)
		w.conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		w.conn.Write(all) // as much as the broker takes
		deaf = append(deaf, w)
	}
	bystander := dial(t, b)
	makeTopic(bystander, "late")
	batch := recordsOf(t, 10_000)
	for range 5 {
		bystander.call(produceOf("late", 1, batch))
		bystander.call(fetchOf("late", 0, 1<<20))
	}
	runtime.GC()
	runtime.GC() // what pools keep is let go the second time
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(memory.HeapAlloc) - int64(cap(all))
	t.Logf("%d clients hold %d KiB each", len(deaf), grown>>10/int64(len(deaf)))
	if grown > int64(len(deaf))*(40<<10) {
		t.Errorf("%d clients that do not read hold %d bytes", len(deaf), grown)
	}
	for _, w := range deaf {
		w.conn.Close()
	}
	for waited := 0; b.Broker().SlabsLeft() != slabs; waited++ {
		if waited > 1000 {
			t.Fatalf("%d of %d slabs are left when nobody has any", b.Broker().SlabsLeft(), slabs)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Half a frame, of whatever length it claims to be, costs what has arrived of it.
func TestHalfSentFramesCostWhatTheyAre(t *testing.T) {
	b := brokertest.Start(t)
	before := watchLeaks()
	var memory, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	var halves []*wire
	const count = 300
	for i := range count {
		w := dial(t, b)
		var half []byte
		switch i % 3 {
		case 0:
			half = []byte{0, 0}
		case 1:
			half = binary.BigEndian.AppendUint32(nil, 100<<20)
		default:
			half = append(binary.BigEndian.AppendUint32(nil, 100<<20), make([]byte, 1000)...)
		}
		w.conn.Write(half)
		halves = append(halves, w)
	}
	dial(t, b).call(kmsg.NewPtrApiVersionsRequest())
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(memory.HeapAlloc); grown > count*(64<<10+16<<10)+8<<20 {
		t.Errorf("%d halves of frames hold %d bytes", count, grown)
	}
	for _, w := range halves {
		w.conn.Close()
	}
	before.goroutines++ // the bystander
	before.descriptors = append(before.descriptors, "the bystander here", "and there")
	before.check(t)
}

func joinRequest(group, member string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.SetVersion(5)
	req.Group, req.MemberID, req.ProtocolType = group, member, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 1000, 1000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", []byte{0, 0}
	req.Protocols = append(req.Protocols, p)
	return req
}

// findGroup waits until the coordinator serves.
func findGroup(w *wire, group string) {
	w.t.Helper()
	for range 500 {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.SetVersion(1)
		req.CoordinatorKey = group
		if w.call(req).(*kmsg.FindCoordinatorResponse).ErrorCode == 0 {
			hb := kmsg.NewPtrHeartbeatRequest()
			hb.Group = group
			if code := protocol.ErrorCode(w.call(hb).(*kmsg.HeartbeatResponse).ErrorCode); code != protocol.ErrCoordinatorLoadInProgress && code != protocol.ErrNotCoordinator && code != protocol.ErrCoordinatorNotAvailable {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatal("no coordinator")
}

// joined makes w's client the lone member and leader of the group.
func joined(w *wire, group string) (member string, generation int32) {
	w.t.Helper()
	resp := w.call(joinRequest(group, "")).(*kmsg.JoinGroupResponse)
	if protocol.ErrorCode(resp.ErrorCode) == protocol.ErrMemberIDRequired {
		resp = w.call(joinRequest(group, resp.MemberID)).(*kmsg.JoinGroupResponse)
	}
	if resp.ErrorCode != 0 {
		w.t.Fatal(protocol.ErrorCode(resp.ErrorCode))
	}
	return resp.MemberID, resp.Generation
}

// Clients that vanish while they join, wait for their assignment, or hold one must leave
// no goroutine, descriptor or deadline behind, and others get into their group.
func TestClientsThatVanishInARebalanceLeaveNothing(t *testing.T) {
	b := brokertest.Start(t, "group.min.session.timeout.ms=100", "offsets.topic.num.partitions=1")
	bystander := dial(t, b)
	findGroup(bystander, "g")
	joined(bystander, "g") // opens the files of the group's partition
	for _, tt := range []struct {
		name   string
		vanish func(group string)
	}{
		{"before the answer to a first join", func(group string) {
			w := dial(t, b)
			w.send(joinRequest(group, ""))
			w.conn.Close()
		}},
		{"while others are waited for", func(group string) {
			leader, second := dial(t, b), dial(t, b)
			joined(leader, group)
			resp := second.call(joinRequest(group, "")).(*kmsg.JoinGroupResponse)
			second.send(joinRequest(group, resp.MemberID)) // waits for the leader to join again
			time.Sleep(time.Millisecond)
			second.conn.Close()
			leader.conn.Close()
		}},
		{"as a leader that should assign", func(group string) {
			w := dial(t, b)
			joined(w, group)
			w.conn.Close()
		}},
		{"as a follower waiting for its assignment", func(group string) {
			w := dial(t, b)
			member, generation := joined(w, group)
			second := dial(t, b)
			resp := second.call(joinRequest(group, "")).(*kmsg.JoinGroupResponse)
			second.send(joinRequest(group, resp.MemberID))
			for { // until the second has joined
				hb := kmsg.NewPtrHeartbeatRequest()
				hb.SetVersion(3)
				hb.Group, hb.MemberID, hb.Generation = group, member, generation
				if protocol.ErrorCode(w.call(hb).(*kmsg.HeartbeatResponse).ErrorCode) == protocol.ErrRebalanceInProgress {
					break
				}
				time.Sleep(time.Millisecond)
			}
			again := w.call(joinRequest(group, member)).(*kmsg.JoinGroupResponse)
			if again.Generation != generation+1 {
				t.Errorf("generation %d after %d", again.Generation, generation)
			}
			if _, _, err := second.receive(); err != nil {
				t.Fatal(err)
			}
			sync := kmsg.NewPtrSyncGroupRequest()
			sync.SetVersion(3)
			sync.Group, sync.MemberID, sync.Generation = group, resp.MemberID, again.Generation
			second.send(sync) // waits for the leader's
			second.conn.Close()
			w.conn.Close()
		}},
		{"with an assignment", func(group string) {
			w := dial(t, b)
			member, generation := joined(w, group)
			sync := kmsg.NewPtrSyncGroupRequest()
			sync.SetVersion(3)
			sync.Group, sync.MemberID, sync.Generation = group, member, generation
			if resp := w.call(sync).(*kmsg.SyncGroupResponse); resp.ErrorCode != 0 {
				t.Error(protocol.ErrorCode(resp.ErrorCode))
			}
			w.conn.Close()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			group := "g-" + tt.name
			before := watchLeaks()
			for i := range 5 {
				tt.vanish(group + string(rune('a'+i)))
			}
			before.check(t)
			bystander.conn.SetDeadline(time.Now().Add(30 * time.Second))
			tt.vanish(group)
			joined(bystander, group) // once the sessions of the vanished are over
		})
	}
}
