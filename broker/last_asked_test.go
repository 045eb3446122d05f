package broker

import (
	"reflect"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
)

func TestOfAPartitionThatIsNamedTwiceTheLastCounts(t *testing.T) {
	asked := func(yield func(protocol.TopicPartition, string) bool) {
		for _, a := range []struct {
			topic     string
			partition int32
			value     string
		}{{"b", 1, "first"}, {"a", 0, "a0"}, {"b", 0, "b0"}, {"b", 1, "last"}, {"a", 2, "a2"}} {
			if !yield(protocol.TopicPartition{Topic: a.topic, Partition: a.partition}, a.value) {
				return
			}
		}
	}
	want := []askedTopic[string]{
		{"b", []askedPartition[string]{{1, "last"}, {0, "b0"}}},
		{"a", []askedPartition[string]{{0, "a0"}, {2, "a2"}}},
	}
	if got := lastAsked(asked); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
