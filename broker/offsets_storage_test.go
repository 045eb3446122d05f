package broker_test

import (
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Offsets are gathered into batches that the offsets topic takes as it is configured now.
func TestOffsetsAreGatheredAsTheirTopicIsConfigured(t *testing.T) {
	b := brokertest.Start(t)
	w := dial(t, b)
	alter := func(name, value string) {
		t.Helper()
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		res := kmsg.NewIncrementalAlterConfigsRequestResource()
		res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, "__consumer_offsets"
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = name, &value
		res.Configs = append(res.Configs, c)
		req.Resources = append(req.Resources, res)
		if code := w.call(req).(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode; code != 0 {
			t.Fatal(protocol.ErrorCode(code))
		}
	}
	want := func(n int) {
		t.Helper()
		if got := b.Broker().OffsetsMaxBatchBytes(0); got != n {
			t.Errorf("%d bytes, want %d", got, n)
		}
	}
	want(0) // there is no such partition yet
	createTopic(t, b, "__consumer_offsets")
	want(1<<20 + 12)
	alter("max.message.bytes", "500000")
	want(500_000)
	alter("segment.bytes", "200000")
	want(200_000)
}
