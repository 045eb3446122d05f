package controller

import (
	"testing"

	"github.com/barnabas-broker/barnabas/metadata"
)

// A stored switch counts however it is written, as Kafka's parser takes it.
func TestSwitchesAreReadInAnyCase(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "TRUE": true, " True": true, "false": false, "FALSE": false} {
		d := metadata.NewDraft(metadata.EmptyImage())
		err := d.Apply(&metadata.ConfigRecord{Resource: metadata.ConfigResource{Type: metadata.TopicResource, Name: "t"},
			Name: "unclean.leader.election.enable", Value: &value})
		if err != nil {
			t.Fatal(err)
		}
		image, _ := d.Finish(1)
		if got := new(Controller).uncleanElection(image, "t"); got != want {
			t.Errorf("%q is %v", value, got)
		}
	}
}
