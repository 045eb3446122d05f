package group

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// A static member that never asked for its assignment comes back, and is removed for that
// before the record of its return is written: it waits for an answer still.
func TestMemberRemovedWhileItsReturnIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemoryStorage(1)
		c := testCoordinator(t, storage, Config{InitialRebalanceDelay: time.Second})
		as := func(instance string) func(*kmsg.JoinGroupRequest) {
			return func(req *kmsg.JoinGroupRequest) {
				req.InstanceID, req.SessionTimeoutMillis = &instance, 300_000
			}
		}
		first, second := join(t, c, 5, "g", "", as("a")), join(t, c, 5, "g", "", as("b"))
		time.Sleep(3 * time.Second)
		leader := first.get()
		if leader.Generation != 1 || len(leader.Members) != 2 || second.get().Generation != 1 {
			t.Fatalf("%+v", leader)
		}
		syncGroup(t, c, "g", leader.MemberID, 1, map[string]string{leader.MemberID: "A"}).get()

		storage.hold = true
		back := join(t, c, 5, "g", "", as("b"))
		if len(storage.held) != 1 {
			t.Fatal("no write is under way")
		}
		time.Sleep(61 * time.Second)
		wantCode(t, "removed", protocol.ErrorCode(back.get().ErrorCode), protocol.ErrUnknownMemberID)
		storage.hold = false
		storage.release()
		wantCode(t, "rebalance", heartbeat(t, c, "g", leader.MemberID, 1), protocol.ErrRebalanceInProgress)
	})
}
