package main

import (
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ptr is a pointer to a value.
func ptr[V any](v V) *V { return &v }

// topic creates a topic as a preparation and waits until the broker shows its leaders.
// configs are pairs of key and value. It returns the name and id.
func (t *T) topic(suffix string, partitions int32, configs ...string) (string, [16]byte) {
	name := t.name(suffix)
	var id [16]byte
	t.quiet(func() {
		a := t.on("setup").do(at(7, createTopic(name, partitions, 1, configs...)))
		if code := a.int("Topics[0].ErrorCode"); code != 0 {
			t.fail("create %s: error %d %s", name, code, a.str("Topics[0].ErrorMessage"))
		}
		id = t.awaitTopic(name, partitions)
	})
	return name, id
}

// awaitTopic waits until a topic has its leaders.
func (t *T) awaitTopic(name string, partitions int32) (id [16]byte) {
	t.quiet(func() {
		deadline := time.Now().Add(60 * time.Second)
		for {
			req := kmsg.NewPtrMetadataRequest()
			rt := kmsg.NewMetadataRequestTopic()
			rt.Topic = &name
			req.Topics = append(req.Topics, rt)
			req.AllowAutoTopicCreation = false
			a := t.on("setup").do(at(12, req))
			ready := a.int("Topics[0].ErrorCode") == 0
			for p := range partitions {
				ready = ready && a.int(sprintf("Topics[0].Partitions[%d].LeaderId", p)) >= 0 && a.int(sprintf("Topics[0].Partitions[%d].ErrorCode", p)) == 0
			}
			if ready && t.leads(name, partitions) {
				id = a.uuid("Topics[0].TopicId")
				return
			}
			if time.Now().After(deadline) {
				t.fail("topic %s has no leaders", name)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	return id
}

// leads says whether the broker serves all partitions of a topic: a KRaft broker shows
// leaders in Metadata before it is one.
func (t *T) leads(name string, partitions int32) bool {
	req := listOffsets(name, 0, -1)
	for p := int32(1); p < partitions; p++ {
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, listOffsets(name, p, -1).Topics[0].Partitions[0])
	}
	a := t.on("setup").do(at(7, req))
	for p := range partitions {
		if a.int(sprintf("Topics[0].Partitions[%d].ErrorCode", p)) != 0 {
			return false
		}
	}
	return true
}

// settle waits until what was changed shows: at Apache's brokers that is some time after
// the answer, at ours before it. What is changed shows in the order of the changes, so it
// changes a thing that can be asked for, and asks for it.
func (t *T) settle() {
	if !t.target.kind.IsApache() {
		return
	}
	t.quiet(func() {
		c := t.on("setup")
		t.settled++
		c.do(at(1, settleQuota(t.name("settle"), float64(t.settled))))
		for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			req := kmsg.NewPtrDescribeClientQuotasRequest()
			req.Strict = true
			e := kmsg.NewDescribeClientQuotasRequestComponent()
			e.EntityType, e.Match = "user", ptr(t.name("settle"))
			req.Components = append(req.Components, e)
			a := c.do(at(1, req))
			if v, _ := wire.At(asAny(a.Tree), "Entries[0].Values[0].Value").(float64); v == float64(t.settled) {
				break
			}
			if time.Now().After(deadline) {
				t.fail("changes do not show")
			}
		}
		c.do(at(1, settleQuota(t.name("settle"), 0)))
		time.Sleep(30 * time.Millisecond) // what shows is acted on a moment later
	})
}

func settleQuota(user string, value float64) *kmsg.AlterClientQuotasRequest {
	req := kmsg.NewPtrAlterClientQuotasRequest()
	entry := kmsg.NewAlterClientQuotasRequestEntry()
	entity := kmsg.NewAlterClientQuotasRequestEntryEntity()
	entity.Type, entity.Name = "user", &user
	entry.Entity = append(entry.Entity, entity)
	op := kmsg.NewAlterClientQuotasRequestEntryOp()
	op.Key, op.Value, op.Remove = "controller_mutation_rate", value, value == 0
	entry.Ops = append(entry.Ops, op)
	req.Entries = append(req.Entries, entry)
	return req
}

// awaitNoTopic waits until a topic is gone.
func (t *T) awaitNoTopic(name string) {
	t.quiet(func() {
		for range 12000 {
			req := kmsg.NewPtrMetadataRequest()
			rt := kmsg.NewMetadataRequestTopic()
			rt.Topic = &name
			req.Topics = append(req.Topics, rt)
			req.AllowAutoTopicCreation = false
			a := t.on("setup").do(at(12, req))
			if a.int("Topics[0].ErrorCode") == 3 {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.fail("topic %s does not go away", name)
	})
}

func createTopic(name string, partitions int32, replication int16, configs ...string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 10000
	req.Topics = append(req.Topics, newTopic(name, partitions, replication, configs...))
	return req
}

func newTopic(name string, partitions int32, replication int16, configs ...string) kmsg.CreateTopicsRequestTopic {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, partitions, replication
	for i := 0; i+1 < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], ptr(configs[i+1])
		rt.Configs = append(rt.Configs, c)
	}
	return rt
}

func deleteTopic(name string) *kmsg.DeleteTopicsRequest {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 10000
	req.TopicNames = []string{name}
	rt := kmsg.NewDeleteTopicsRequestTopic()
	rt.Topic = ptr(name)
	req.Topics = append(req.Topics, rt)
	return req
}

// someTime is the timestamp of the first record of a batch of records(); one record later
// is one millisecond later.
const someTime = 1_700_000_000_000

// records makes a batch of magic 2 with the values, without keys.
func records(values ...string) []byte { return batch(protocol.BatchOptions{}, values...) }

func batch(opts protocol.BatchOptions, values ...string) []byte {
	var list []protocol.Record
	for i, v := range values {
		list = append(list, protocol.Record{Offset: int64(i), Timestamp: someTime + int64(i), Value: []byte(v)})
	}
	b, err := protocol.AppendBatch(nil, opts, list...)
	if err != nil {
		panic(err)
	}
	return b
}

// messages makes a message set of magic 0 or 1 without compression.
func messages(magic int8, values ...string) []byte {
	var b []byte
	for i, v := range values {
		b = protocol.AppendMessage(b, magic, int64(i), someTime+int64(i), nil, []byte(v))
	}
	return b
}

// idempotent makes a batch of a producer.
func idempotent(id int64, epoch int16, sequence int32, values ...string) []byte {
	return batch(protocol.BatchOptions{Producer: &protocol.Producer{ID: id, Epoch: epoch, BaseSequence: sequence}}, values...)
}

// recordsFor makes what the version of Produce takes.
func recordsFor(version int16, values ...string) []byte {
	switch {
	case version < 2:
		return messages(0, values...)
	case version == 2:
		return messages(1, values...)
	}
	return records(values...)
}

// produce makes a request for one partition.
func produce(topic string, partition int32, records []byte) *kmsg.ProduceRequest {
	return produceAcks(-1, topic, partition, records)
}

func produceAcks(acks int16, topic string, partition int32, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = acks, 5000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = partition, records
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// fill produces batches as a preparation.
func (t *T) fill(topic string, partition int32, batches ...[]byte) {
	t.quiet(func() {
		for _, b := range batches {
			a := t.on("setup").do(at(9, produce(topic, partition, b)))
			if code := a.int("Responses[0].PartitionResponses[0].ErrorCode"); code != 0 {
				t.fail("fill %s: error %d", topic, code)
			}
		}
	})
}

// producerID gets a producer id as a preparation.
func (t *T) producerID() (id int64, epoch int16) {
	t.quiet(func() {
		for range 200 {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionTimeoutMillis = 60000
			a := t.on("setup").do(at(4, req))
			if a.int("ErrorCode") == 0 {
				id, epoch = a.int("ProducerId"), int16(a.int("ProducerEpoch"))
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.fail("no producer id")
	})
	return id, epoch
}

// fetch makes a request for one partition.
func fetch(topic string, id [16]byte, partition int32, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 100, 1, 1<<20
	req.ReplicaID = -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = topic, id
	rt.Partitions = append(rt.Partitions, fetchPartition(partition, offset))
	req.Topics = append(req.Topics, rt)
	return req
}

func fetchPartition(partition int32, offset int64) kmsg.FetchRequestTopicPartition {
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = partition, offset, 1<<20
	rp.CurrentLeaderEpoch, rp.LastFetchedEpoch, rp.LogStartOffset = -1, -1, -1
	return rp
}

func listOffsets(topic string, partition int32, timestamp int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch, rp.MaxNumOffsets = partition, timestamp, -1, 10
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func metadataOf(names ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, n := range names {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = ptr(n)
		req.Topics = append(req.Topics, rt)
	}
	return req
}
