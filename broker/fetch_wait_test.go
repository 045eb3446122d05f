package broker_test

import (
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A read gives whole batches of one segment, while what a fetch waits for is counted by
// positions. A fetch for which the positions say enough has to be answered with what the
// read gives, as Kafka does, neither at its deadline nor never.
func TestAFetchWhoseMinBytesOnlyAPieceOfABatchWouldFillIsAnswered(t *testing.T) {
	b := brokertest.Start(t)
	produceN(t, b, "pieces", 1)
	w := dial(t, b)
	w.produceTo("pieces", 3)
	fetch := fetchRequest("pieces", 0)
	fetch.SetVersion(11)
	size := len(oneRecord(t, "k", "v"))
	fetch.MaxWaitMillis, fetch.MinBytes, fetch.MaxBytes = 1<<30, int32(size+size/2), int32(size+size/2)
	resp := w.call(fetch).(*kmsg.FetchResponse)
	got := resp.Topics[0].Partitions[0]
	if got.ErrorCode != 0 || len(got.RecordBatches) == 0 {
		t.Fatalf("error %d, %d bytes", got.ErrorCode, len(got.RecordBatches))
	}
}

func TestAFetchAtTheEndOfAnOlderSegmentDoesNotWaitForMinBytes(t *testing.T) {
	b := brokertest.Start(t)
	w := dial(t, b)
	create := kmsg.NewPtrCreateTopicsRequest()
	create.SetVersion(4)
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "rolled", 1, 1
	config := kmsg.NewCreateTopicsRequestTopicConfig()
	config.Name, config.Value = "segment.bytes", kmsg.StringPtr("150")
	topic.Configs = append(topic.Configs, config)
	create.Topics = append(create.Topics, topic)
	if resp := w.call(create).(*kmsg.CreateTopicsResponse); resp.Topics[0].ErrorCode != 0 {
		t.Fatalf("create: error %d", resp.Topics[0].ErrorCode)
	}
	w.produceTo("rolled", 6)
	fetch := fetchRequest("rolled", 0)
	fetch.SetVersion(11)
	fetch.MaxWaitMillis, fetch.MinBytes, fetch.MaxBytes = 1<<30, 1<<20, 1<<20
	resp := w.call(fetch).(*kmsg.FetchResponse)
	got := resp.Topics[0].Partitions[0]
	if got.ErrorCode != 0 || len(got.RecordBatches) == 0 {
		t.Fatalf("error %d, %d bytes", got.ErrorCode, len(got.RecordBatches))
	}
}

func fetchRequest(topic string, offset int64) *kmsg.FetchRequest {
	fetch := kmsg.NewPtrFetchRequest()
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.FetchOffset, p.PartitionMaxBytes = offset, 1<<20
	t.Partitions = append(t.Partitions, p)
	fetch.Topics = append(fetch.Topics, t)
	return fetch
}

// produceTo writes batches of one record each to partition 0.
func (w *wire) produceTo(topic string, count int) {
	w.t.Helper()
	for range count {
		w.produceBatch(topic, oneRecord(w.t, "k", "v"))
	}
}

// produceBatch writes a batch to partition 0.
func (w *wire) produceBatch(topic string, batch []byte) {
	w.t.Helper()
	produce := kmsg.NewPtrProduceRequest()
	produce.SetVersion(8)
	produce.Acks, produce.TimeoutMillis = -1, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batch
	t.Partitions = append(t.Partitions, p)
	produce.Topics = append(produce.Topics, t)
	resp := w.call(produce).(*kmsg.ProduceResponse)
	if code := resp.Topics[0].Partitions[0].ErrorCode; code != 0 {
		w.t.Fatalf("produce: error %d", code)
	}
}
