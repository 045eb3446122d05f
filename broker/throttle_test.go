package broker_test

import (
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func setQuota(t *testing.T, b *brokertest.Broker, key string, value float64) {
	t.Helper()
	user := "ANONYMOUS"
	res, err := b.Broker().Store().AlterClientQuotas(t.Context(), []metadata.QuotaAlteration{{
		Entity:  []metadata.QuotaComponent{{Type: "user", Name: &user}},
		Changes: []metadata.QuotaChange{{Key: key, Value: value, Remove: value == 0}}}}, false)
	if err != nil || res[0].Err != nil {
		t.Fatal(err, res)
	}
}

// A client over its quota is told so at once, and its next request waits (KIP-219).
func TestAClientOverItsQuotaIsAnsweredAndThenSilenced(t *testing.T) {
	b := brokertest.Start(t)
	createTopic(t, b, "t")
	setQuota(t, b, "producer_byte_rate", 100_000)
	w := dial(t, b)
	produce := kmsg.NewPtrProduceRequest()
	produce.SetVersion(9)
	produce.Acks = 1
	topic, part := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	topic.Topic, part.Records = "t", make([]byte, 1_050_000) // ten seconds' worth and half a second more
	topic.Partitions = append(topic.Partitions, part)
	produce.Topics = append(produce.Topics, topic)
	began := time.Now()
	resp := w.call(produce).(*kmsg.ProduceResponse)
	if resp.ThrottleMillis < 300 || resp.ThrottleMillis > 700 {
		t.Errorf("throttle_time_ms is %d, want about 500", resp.ThrottleMillis)
	}
	w.call(kmsg.NewPtrApiVersionsRequest())
	if took := time.Since(began); took < time.Duration(resp.ThrottleMillis)*time.Millisecond {
		t.Errorf("the next request was answered after %v, before the %d ms were over", took, resp.ThrottleMillis)
	}
}

func TestAFetchOverItsQuotaCarriesNothing(t *testing.T) {
	b := brokertest.Start(t)
	createTopic(t, b, "t")
	epoch := int32(-1)
	fetch := func(w *wire) *kmsg.FetchResponse {
		req := kmsg.NewPtrFetchRequest()
		req.SetVersion(11)
		req.ReplicaID, req.MaxBytes, req.SessionEpoch = -1, 1<<20, epoch
		topic, part := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
		topic.Topic, part.PartitionMaxBytes = "t", 1<<20
		topic.Partitions = append(topic.Partitions, part)
		req.Topics = append(req.Topics, topic)
		return w.call(req).(*kmsg.FetchResponse)
	}
	if resp := fetch(dial(t, b)); len(resp.Topics) != 1 || resp.ThrottleMillis != 0 {
		t.Fatalf("without a quota: %+v", resp)
	}
	setQuota(t, b, "consumer_byte_rate", 1)
	resp := fetch(dial(t, b))
	if len(resp.Topics) != 0 || resp.ThrottleMillis <= 0 || resp.ErrorCode != 0 {
		t.Errorf("over its quota: %+v", resp)
	}
	epoch = 0
	if resp := fetch(dial(t, b)); resp.ThrottleMillis <= 0 || resp.SessionID != 0 {
		t.Errorf("over its quota, asking for a session: %+v", resp)
	}
	if n := b.Broker().FetchSessions(); n != 0 {
		t.Errorf("%d sessions are kept that nobody was told of", n)
	}
}

func TestTopicsOverTheMutationQuotaAreRefusedOrSilencedByVersion(t *testing.T) {
	b := brokertest.Start(t)
	setQuota(t, b, "controller_mutation_rate", 1)
	create := func(w *wire, version int16, name string, partitions int32) (protocol.ErrorCode, int32) {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.SetVersion(version)
		req.TimeoutMillis = 10_000
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
		req.Topics = append(req.Topics, topic)
		resp := w.call(req).(*kmsg.CreateTopicsResponse)
		return protocol.ErrorCode(resp.Topics[0].ErrorCode), resp.ThrottleMillis
	}
	// Eleven are saved up; the twelfth is let into debt.
	if code, ms := create(dial(t, b), 7, "a", 20); code != 0 || ms <= 0 {
		t.Errorf("into debt: %v, %d ms", code, ms)
	}
	if code, ms := create(dial(t, b), 7, "b", 1); code != protocol.ErrThrottlingQuotaExceeded || ms <= 0 {
		t.Errorf("in debt, strict: %v, %d ms", code, ms)
	}
	if code, ms := create(dial(t, b), 5, "c", 1); code != 0 || ms <= 0 {
		t.Errorf("in debt, lenient: %v, %d ms", code, ms)
	}
}

func createTopic(t *testing.T, b *brokertest.Broker, name string) {
	t.Helper()
	made, err := b.Broker().Store().CreateTopics(t.Context(), metadata.CreateTopics{Topics: []metadata.NewTopic{{Name: name, Partitions: 1, ReplicationFactor: 1}}})
	if err != nil || made[0].Err != nil {
		t.Fatal(err, made)
	}
}

func TestConnectionsOverTheRateOfTheirAddressAreClosed(t *testing.T) {
	b := brokertest.Start(t)
	ip := "127.0.0.1"
	res, err := b.Broker().Store().AlterClientQuotas(t.Context(), []metadata.QuotaAlteration{{
		Entity:  []metadata.QuotaComponent{{Type: "ip", Name: &ip}},
		Changes: []metadata.QuotaChange{{Key: "connection_creation_rate", Value: 1}}}}, false)
	if err != nil || res[0].Err != nil {
		t.Fatal(err, res)
	}
	served := 0
	for range 13 {
		w := dial(t, b)
		w.send(kmsg.NewPtrApiVersionsRequest())
		if _, _, err := w.receive(); err == nil {
			served++
		}
	}
	// Ten are what one a second gives in ten windows; waiting for a refusal lets time pass.
	if served < 10 || served > 12 {
		t.Errorf("%d connections of 13 were served", served)
	}
}
