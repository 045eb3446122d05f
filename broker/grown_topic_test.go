package broker_test

import (
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/metadata"
)

// A partition may be asked for while it is being made. For the race detector.
func TestPartitionsAreLookedUpWhileTheirTopicGrows(t *testing.T) {
	b := brokertest.Start(t)
	newTopic(t, b, "growing")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !b.Broker().Hosts("growing", 20) {
		}
	}()
	for n := int32(2); n <= 21; n++ {
		made, err := b.Broker().Store().CreatePartitions(t.Context(), metadata.CreatePartitions{Topics: []metadata.NewPartitions{{Topic: "growing", Count: n}}})
		if err != nil || made[0].Err != nil {
			t.Fatal(err, made)
		}
	}
	<-done
}

// The sweep may look at a connection between the decision to write and the writing.
func TestAWriterThatHasNotBegunIsNotStalled(t *testing.T) {
	b := brokertest.Start(t, "connections.max.idle.ms=-1")
	dial(t, b)
	eventually(t, func() bool { return b.Broker().Connections() == 1 })
	b.Broker().WriterOnItsWay(11 * time.Minute)
	b.Broker().Sweep(0)
	if _, answers := b.Broker().SlowClosed(); answers != 0 {
		t.Error("it is closed")
	}
}
