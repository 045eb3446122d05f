package group

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// A member that names a protocol twice joins with it once, and is recognised when it asks
// again: only news begins another round.
func TestAProtocolNamedTwiceIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testCoordinator(t, newMemoryStorage(1), Config{})
		twice := func(req *kmsg.JoinGroupRequest) { req.Protocols = append(req.Protocols, req.Protocols[0]) }
		first := join(t, c, 3, "g", "", twice).get()
		second := join(t, c, 3, "g", "", twice)
		join(t, c, 3, "g", first.MemberID, twice)
		follower := second.get()
		if follower.Generation != 2 || follower.LeaderID != first.MemberID {
			t.Fatalf("%+v", follower)
		}
		syncGroup(t, c, "g", first.MemberID, 2, nil).get()
		if again := join(t, c, 3, "g", follower.MemberID, twice).get(); again.Generation != 2 {
			t.Errorf("%+v", again)
		}
		news := join(t, c, 3, "g", follower.MemberID, twice, func(req *kmsg.JoinGroupRequest) { req.Protocols[1].Name = "sticky" })
		if !news.pending() {
			t.Error("another protocol began no round")
		}
		wantCode(t, "heartbeat", heartbeat(t, c, "g", first.MemberID, 2), protocol.ErrRebalanceInProgress)
	})
}

// manyMembers makes a group of n members that have their assignments.
func manyMembers(t *testing.T, c *Coordinator, n int) (ids []string, generation int32) {
	t.Helper()
	var joins []*slot[kmsg.JoinGroupResponse]
	for range n {
		joins = append(joins, join(t, c, 3, "g", "", func(req *kmsg.JoinGroupRequest) { req.RebalanceTimeoutMillis = 5000 }))
	}
	time.Sleep(6 * time.Second)
	for _, j := range joins {
		ids = append(ids, j.get().MemberID)
	}
	generation = joins[0].get().Generation
	for i := n - 1; i >= 0; i-- {
		syncGroup(t, c, "g", ids[i], generation, nil)
	}
	wantCode(t, "stable", heartbeat(t, c, "g", ids[n-1], generation), protocol.None)
	return ids, generation
}

// Members that go together, by a LeaveGroup, by their sessions' ends or because they do not
// come back to a rebalance, leave the others in order and with a leader.
func TestManyMembersGoTogether(t *testing.T) {
	for _, how := range []string{"leave", "session", "rebalance", "sync"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := testCoordinator(t, newMemoryStorage(1), Config{InitialRebalanceDelay: 3 * time.Second})
				ids, generation := manyMembers(t, c, 30)
				stays := func(i int) bool { return i%3 == 1 }
				switch how {
				case "leave":
					req := kmsg.NewPtrLeaveGroupRequest()
					req.Version, req.Group = 3, "g"
					for i, id := range ids {
						if !stays(i) {
							req.Members = append(req.Members, kmsg.LeaveGroupRequestMember{MemberID: id}, kmsg.LeaveGroupRequestMember{MemberID: id})
						}
					}
					s := &slot[kmsg.LeaveGroupResponse]{t: t}
					c.LeaveGroup(testContext, req, s.set)
					for i, m := range s.get().Members {
						wantCode(t, "leave", protocol.ErrorCode(m.ErrorCode), []protocol.ErrorCode{protocol.None, protocol.ErrUnknownMemberID}[i%2])
					}
				case "session":
					for range 4 {
						time.Sleep(3 * time.Second)
						for i, id := range ids {
							if stays(i) {
								heartbeat(t, c, "g", id, generation)
							}
						}
					}
				case "rebalance", "sync": // they come with news; others do not come, or do not ask for what they get
				}
				var joins []*slot[kmsg.JoinGroupResponse]
				var staying []string
				for i, id := range ids {
					if stays(i) || how == "sync" {
						joins = append(joins, join(t, c, 3, "g", id, func(req *kmsg.JoinGroupRequest) {
							req.RebalanceTimeoutMillis = 5000
							req.Protocols[0].Metadata = subscription("other")
						}))
					}
					if stays(i) {
						staying = append(staying, id)
					}
				}
				if how != "sync" { // there all have come back
					time.Sleep(6 * time.Second)
				}
				next := joins[0].get()
				if how == "sync" {
					for i, j := range joins {
						if stays(i) {
							syncGroup(t, c, "g", j.get().MemberID, next.Generation, nil)
						}
					}
					time.Sleep(6 * time.Second)
					joins = nil
					for _, id := range staying {
						joins = append(joins, join(t, c, 3, "g", id))
					}
					next = joins[0].get()
				}
				if next.LeaderID != staying[0] {
					t.Errorf("leader %s, want %s", next.LeaderID, staying[0])
				}
				var got []string
				for _, m := range next.Members {
					got = append(got, m.MemberID)
				}
				if fmt.Sprint(got) != fmt.Sprint(staying) {
					t.Errorf("members\n%v\nwant\n%v", got, staying)
				}
			})
		})
	}
}
