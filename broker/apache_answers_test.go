package broker_test

import (
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A member that is refused has no protocol: null from v7 on, before that an empty string.
func TestARefusedJoinNamesNoProtocol(t *testing.T) {
	b := brokertest.Start(t)
	w := dial(t, b)
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKey = "refused"
	for w.call(find).(*kmsg.FindCoordinatorResponse).ErrorCode != 0 { // makes the topic of offsets
	}
	for version := range int16(10) {
		req := kmsg.NewPtrJoinGroupRequest()
		req.SetVersion(version)
		req.Group, req.MemberID, req.ProtocolType = "refused", "nobody-knows", "consumer"
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 10_000
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name = "range"
		req.Protocols = append(req.Protocols, p)
		resp := w.call(req).(*kmsg.JoinGroupResponse)
		if protocol.ErrorCode(resp.ErrorCode) != protocol.ErrUnknownMemberID || resp.Generation != -1 {
			t.Fatalf("v%d: error %d, generation %d", version, resp.ErrorCode, resp.Generation)
		}
		switch {
		case version >= 7 && resp.Protocol != nil:
			t.Errorf("v%d: the protocol is %q", version, *resp.Protocol)
		case version < 7 && (resp.Protocol == nil || *resp.Protocol != ""):
			t.Errorf("v%d: the protocol is %v", version, resp.Protocol)
		}
	}
}

// What is not a batch is refused as that before the topic is for being internal.
func TestAProduceToAnInternalTopicIsJudgedByItsShapeFirst(t *testing.T) {
	b := brokertest.Start(t)
	made, err := b.Broker().Store().CreateTopics(t.Context(), metadata.CreateTopics{Topics: []metadata.NewTopic{
		{Name: "__consumer_offsets", Partitions: 1, ReplicationFactor: 1}}})
	if err != nil || made[0].Err != nil {
		t.Fatal(err, made)
	}
	w := dial(t, b)
	good := oneRecord(t, "k", "v")
	for _, c := range []struct {
		name    string
		records []byte
		want    protocol.ErrorCode
	}{
		{"a batch", good, protocol.ErrInvalidTopicException},
		{"two batches", append(append([]byte{}, good...), good...), protocol.ErrInvalidRecord},
		{"nothing", []byte{}, protocol.ErrInvalidRecord},
	} {
		if code := protocol.ErrorCode(w.call(produceOf("__consumer_offsets", -1, c.records)).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode); code != c.want {
			t.Errorf("%s: %v, want %v", c.name, code, c.want)
		}
	}
}

// A reader whose epoch has diverged is told where, without records, and of no aborted
// transactions: null, as from a partition that has a leader and nothing to tell.
func TestADivergingEpochComesWithoutAbortedTransactions(t *testing.T) {
	b := brokertest.Start(t)
	id := newTopic(t, b, "diverged")
	w := dial(t, b)
	w.produceTo("diverged", 3)
	for version := int16(12); version <= 16; version++ {
		req := fetchVersion(version, "diverged", id)
		p := &req.Topics[0].Partitions[0]
		p.FetchOffset, p.LastFetchedEpoch = 9, 0
		got := w.call(req).(*kmsg.FetchResponse).Topics[0].Partitions[0]
		if got.ErrorCode != 0 || got.DivergingEpoch.EndOffset != 3 || got.DivergingEpoch.Epoch != 0 {
			t.Fatalf("v%d: error %d, diverging %+v", version, got.ErrorCode, got.DivergingEpoch)
		}
		if got.AbortedTransactions != nil || len(got.RecordBatches) != 0 {
			t.Errorf("v%d: aborted transactions %v, %d bytes", version, got.AbortedTransactions, len(got.RecordBatches))
		}
	}
}
