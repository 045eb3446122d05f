package broker_test

import (
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestARequestInPlaceOfATokenIsRefusedInItsOwnForm(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT")...)
	const illegal = int16(protocol.ErrIllegalSASLState)
	refused := func(req kmsg.Request) kmsg.Response {
		w := dial(t, b)
		w.call(handshake("PLAIN", 1))
		resp := w.call(req)
		if _, _, err := w.receive(); err == nil {
			t.Errorf("%T: the connection stays open", req)
		}
		return resp
	}
	name := "t"
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.SetVersion(12)
	metadata.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	if topics := refused(metadata).(*kmsg.MetadataResponse).Topics; len(topics) != 1 || topics[0].ErrorCode != illegal || *topics[0].Topic != "t" {
		t.Errorf("Metadata: %+v", topics)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	create.SetVersion(5)
	create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "t", NumPartitions: 1, ReplicationFactor: 1}}
	if topics := refused(create).(*kmsg.CreateTopicsResponse).Topics; len(topics) != 1 || topics[0].ErrorCode != illegal || topics[0].Topic != "t" ||
		*topics[0].ErrorMessage != "Unexpected Kafka request of type CREATE_TOPICS during SASL authentication." {
		t.Errorf("CreateTopics: %+v", topics)
	}
	groups := kmsg.NewPtrDeleteGroupsRequest()
	groups.Groups = []string{"g", "h"}
	if list := refused(groups).(*kmsg.DeleteGroupsResponse).Groups; len(list) != 2 || list[1].Group != "h" || list[1].ErrorCode != illegal {
		t.Errorf("DeleteGroups: %+v", list)
	}
	heartbeat := kmsg.NewPtrHeartbeatRequest()
	if code := refused(heartbeat).(*kmsg.HeartbeatResponse).ErrorCode; code != illegal {
		t.Errorf("Heartbeat: %d", code)
	}
	if b.Broker().Store().Image().Topic("t") != nil {
		t.Error("the topic is there")
	}
	// What cannot be decoded is not answered.
	w := dial(t, b)
	w.call(handshake("PLAIN", 1))
	began := time.Now()
	w.conn.Write([]byte{0, 0, 0, 12, 0, 3, 0, 12, 0, 0, 0, 1, 255, 255, 0, 200})
	if _, _, err := w.receive(); err == nil {
		t.Errorf("an answer after %v", time.Since(began))
	}
}
