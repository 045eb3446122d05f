package broker_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A JoinGroup waits for the other members, whose requests have to be let in for it to end.
func TestAWaitingJoinKeepsNobodyOut(t *testing.T) {
	b := startLogged(t, "listeners=PLAINTEXT://127.0.0.1:0", "socket.request.max.bytes=100000", "queued.max.request.bytes=100000",
		"group.initial.rebalance.delay.ms=600000")
	other := dialAddress(t, b.address)
	find := kmsg.NewPtrFindCoordinatorRequest() // makes the offsets topic
	find.CoordinatorKey = "g"
	other.call(find)
	for n := range 3 {
		join := kmsg.NewPtrJoinGroupRequest()
		join.Group, join.SessionTimeoutMillis, join.ProtocolType = "g", 6000, "consumer"
		protocols := kmsg.NewJoinGroupRequestProtocol()
		protocols.Name, protocols.Metadata = "range", make([]byte, 60_000)
		join.Protocols = append(join.Protocols, protocols)
		w := dialAddress(t, b.address)
		w.send(join)
		// Its answer stays out, and it holds nothing.
		describe := kmsg.NewPtrDescribeGroupsRequest()
		describe.Groups = []string{"g"}
		eventually(t, func() bool {
			_, held := b.Broker().Panics()
			groups := other.call(describe).(*kmsg.DescribeGroupsResponse).Groups
			return held == 0 && groups[0].State == "PreparingRebalance" && len(groups[0].Members) == n+1
		})
	}
}
