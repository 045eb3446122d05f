package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

type saramaClient struct {
	bootstrap string
	version   sarama.KafkaVersion
	security  func(*sarama.Config) // nil is none
}

func newSarama(bootstrap, version string, security func(*sarama.Config)) saramaClient {
	v := sarama.MaxVersion
	if version != "" {
		var err error
		if v, err = sarama.ParseKafkaVersion(version); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	return saramaClient{bootstrap, v, security}
}

func (s saramaClient) config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = s.version
	c.ApiVersionsRequest = s.version.IsAtLeast(sarama.V0_10_0_0)
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Flush.Messages = 20
	c.Producer.Flush.Frequency = 5 * time.Millisecond
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.MaxWaitTime = 200 * time.Millisecond
	c.Consumer.Fetch.Default = 65536
	c.Consumer.Return.Errors = false
	c.Net.MaxOpenRequests = 1 // keeps the order over retries
	if s.security != nil {
		s.security(c)
	}
	return c
}

func (s saramaClient) create(topic string, partitions int32) error {
	admin, err := sarama.NewClusterAdmin([]string{s.bootstrap}, s.config())
	if err != nil {
		return err
	}
	defer admin.Close()
	return admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false)
}

func (s saramaClient) produce(topic, codec string, records []record, options map[string]string) error {
	c := s.config()
	c.Producer.Compression = sarama.CompressionCodec(slices.Index(codecNames, codec))
	switch options["acks"] {
	case "0":
		c.Producer.RequiredAcks = sarama.NoResponse
	case "1":
		c.Producer.RequiredAcks = sarama.WaitForLocal
	}
	c.Producer.Idempotent = options["idempotent"] == "true"
	producer, err := sarama.NewSyncProducer([]string{s.bootstrap}, c)
	if err != nil {
		return err
	}
	defer producer.Close()
	var sent []*sarama.ProducerMessage
	for _, r := range records {
		m := &sarama.ProducerMessage{Topic: topic, Partition: r.partition}
		if r.key != nil {
			m.Key = sarama.ByteEncoder(r.key)
		}
		if r.value != nil {
			m.Value = sarama.ByteEncoder(r.value)
		}
		if r.timestamp >= 0 {
			m.Timestamp = time.UnixMilli(r.timestamp)
		}
		for _, h := range r.headers {
			m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.name), Value: h.value})
		}
		sent = append(sent, m)
	}
	err = producer.SendMessages(sent)
	var each sarama.ProducerErrors
	if errors.As(err, &each) && len(each) > 0 { // it only counts them
		return each[0].Err
	}
	return err
}

func (s saramaClient) line(m *sarama.ConsumerMessage) record {
	r := record{topic: m.Topic, partition: m.Partition, offset: m.Offset, timestamp: -1, key: m.Key, value: m.Value}
	if s.version.IsAtLeast(sarama.V0_10_0_0) && !m.Timestamp.IsZero() {
		r.timestamp = m.Timestamp.UnixMilli()
	}
	for _, h := range m.Headers {
		r.headers = append(r.headers, header{string(h.Key), h.Value})
	}
	return r
}

func (s saramaClient) consume(group string, topics []string, count int, timeout time.Duration, options map[string]string, put func(record)) error {
	if group == "" {
		return s.consumeAll(topics, count, timeout, put)
	}
	g, err := sarama.NewConsumerGroup([]string{s.bootstrap}, group, s.config())
	if err != nil {
		return err
	}
	defer g.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	h := &groupHandler{count: count, client: s, put: put, enough: cancel}
	for h.seen < count && ctx.Err() == nil {
		if err := g.Consume(ctx, topics, h); err != nil {
			return err
		}
	}
	if h.seen < count {
		return tooFew(h.seen, count, timeout)
	}
	return nil
}

// groupHandler collects records of all claims until there are enough of them.
type groupHandler struct {
	client saramaClient
	put    func(record)
	enough func()
	count  int

	mu   sync.Mutex
	seen int // guarded by mu
}

func (h *groupHandler) Setup(sarama.ConsumerGroupSession) error { return nil }

func (h *groupHandler) Cleanup(s sarama.ConsumerGroupSession) error {
	s.Commit()
	return nil
}

func (h *groupHandler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			h.mu.Lock()
			h.put(h.client.line(m))
			h.seen++
			s.MarkMessage(m, "")
			if h.seen == h.count {
				h.enough()
			}
			h.mu.Unlock()
		case <-s.Context().Done():
			return nil
		}
	}
}

func (s saramaClient) consumeAll(topics []string, count int, timeout time.Duration, put func(record)) error {
	consumer, err := sarama.NewConsumer([]string{s.bootstrap}, s.config())
	if err != nil {
		return err
	}
	defer consumer.Close()
	messages := make(chan *sarama.ConsumerMessage)
	done := make(chan struct{})
	defer close(done)
	for _, topic := range topics {
		partitions, err := consumer.Partitions(topic)
		if err != nil {
			return err
		}
		for _, p := range partitions {
			pc, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
			if err != nil {
				return err
			}
			defer pc.AsyncClose()
			go func() {
				for m := range pc.Messages() {
					select {
					case messages <- m:
					case <-done:
					}
				}
			}()
		}
	}
	deadline := time.After(timeout)
	for seen := 0; seen < count; seen++ {
		select {
		case m := <-messages:
			put(s.line(m))
		case <-deadline:
			return tooFew(seen, count, timeout)
		}
	}
	return nil
}
