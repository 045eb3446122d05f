package broker

import (
	"iter"

	"github.com/barnabas-broker/barnabas/protocol"
)

// askedTopic is what a request asks for of one topic's partitions.
type askedTopic[V any] struct {
	name       string
	partitions []askedPartition[V]
}

type askedPartition[V any] struct {
	index int32
	value V
}

// lastAsked puts what a request asks for into the order of its answer, as with Apache: a
// partition that is named more than once stands where it is named first, with what is asked
// for it last.
func lastAsked[V any](asked iter.Seq2[protocol.TopicPartition, V]) (topics []askedTopic[V]) {
	type place struct{ topic, partition int }
	byTopic, places := map[string]int{}, map[protocol.TopicPartition]place{}
	for tp, v := range asked {
		at, known := places[tp]
		if !known {
			t, ok := byTopic[tp.Topic]
			if !ok {
				t = len(topics)
				byTopic[tp.Topic] = t
				topics = append(topics, askedTopic[V]{name: tp.Topic})
			}
			at = place{t, len(topics[t].partitions)}
			places[tp] = at
			topics[t].partitions = append(topics[t].partitions, askedPartition[V]{index: tp.Partition})
		}
		topics[at.topic].partitions[at.partition].value = v
	}
	return topics
}
