package broker_test

import (
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Clients that leave the timeout at 0 are served where nothing is to be waited for.
func TestATimeoutOfZeroIsEnoughForWhatIsAnsweredAtOnce(t *testing.T) {
	b := brokertest.Start(t)
	produceN(t, b, "elected", 1)
	w := dial(t, b)

	elect := kmsg.NewPtrElectLeadersRequest()
	elect.SetVersion(1)
	topic := kmsg.NewElectLeadersRequestTopic()
	topic.Topic, topic.Partitions = "elected", []int32{0}
	elect.Topics = append(elect.Topics, topic)
	elect.TimeoutMillis = 0
	elected := w.call(elect).(*kmsg.ElectLeadersResponse)
	const electionNotNeeded = 84
	if elected.ErrorCode != 0 || len(elected.Topics) != 1 || elected.Topics[0].Partitions[0].ErrorCode != electionNotNeeded {
		t.Errorf("ElectLeaders: %+v", elected)
	}

	list := kmsg.NewPtrListPartitionReassignmentsRequest()
	list.TimeoutMillis = 0
	if listed := w.call(list).(*kmsg.ListPartitionReassignmentsResponse); listed.ErrorCode != 0 {
		t.Errorf("ListPartitionReassignments: %+v", listed)
	}

	update := kmsg.NewPtrUpdateFeaturesRequest()
	update.SetVersion(1)
	update.TimeoutMillis, update.ValidateOnly = 0, true
	if updated := w.call(update).(*kmsg.UpdateFeaturesResponse); updated.ErrorCode != 0 {
		t.Errorf("UpdateFeatures: %+v", updated)
	}
}
