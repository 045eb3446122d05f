package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

type kafkaGo struct{ bootstrap string }

func (k kafkaGo) create(topic string, partitions int32) error {
	conn, err := kafka.Dial("tcp", k.bootstrap)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.CreateTopics(kafka.TopicConfig{Topic: topic, NumPartitions: int(partitions), ReplicationFactor: 1})
}

// asked sends each message to the partition that its WriterData names.
type asked struct{}

func (asked) Balance(m kafka.Message, partitions ...int) int {
	return m.WriterData.(int)
}

func (k kafkaGo) produce(topic, codec string, records []record, options map[string]string) error {
	w := &kafka.Writer{Addr: kafka.TCP(k.bootstrap), Topic: topic, Balancer: asked{}, BatchSize: 20,
		BatchTimeout: 5 * time.Millisecond, AllowAutoTopicCreation: true, MaxAttempts: 20,
		RequiredAcks: kafka.RequireAll, Compression: kafka.Compression(slices.Index(codecNames, codec))}
	switch options["acks"] {
	case "0":
		w.RequiredAcks = kafka.RequireNone
	case "1":
		w.RequiredAcks = kafka.RequireOne
	}
	defer w.Close()
	var sent []kafka.Message
	for _, r := range records {
		m := kafka.Message{Key: r.key, Value: r.value, WriterData: int(r.partition)}
		if r.timestamp >= 0 {
			m.Time = time.UnixMilli(r.timestamp)
		}
		for _, h := range r.headers {
			m.Headers = append(m.Headers, kafka.Header{Key: h.name, Value: h.value})
		}
		sent = append(sent, m)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// A topic that auto-creation has just begun is not written to by kafka-go itself: it
	// answers unknown topic and leaves the retry to us.
	for {
		err := w.WriteMessages(ctx, sent...)
		if !errors.Is(err, kafka.UnknownTopicOrPartition) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (k kafkaGo) consume(group string, topics []string, count int, timeout time.Duration, options map[string]string, put func(record)) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if group == "" {
		return k.consumeAll(ctx, topics, count, timeout, put)
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{k.bootstrap}, GroupID: group, GroupTopics: topics,
		StartOffset: kafka.FirstOffset, MaxWait: 200 * time.Millisecond, MinBytes: 1, MaxBytes: 1 << 20})
	defer r.Close()
	last := map[string]kafka.Message{}
	for seen := 0; seen < count; seen++ {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return tooFew(seen, count, timeout)
			}
			return err
		}
		put(kafkaGoLine(m))
		last[m.Topic+" "+string(rune(m.Partition))] = m
	}
	for _, m := range last {
		if err := r.CommitMessages(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (k kafkaGo) consumeAll(ctx context.Context, topics []string, count int, timeout time.Duration, put func(record)) error {
	seen := 0
	for _, topic := range topics {
		partitions, err := kafka.LookupPartitions(ctx, "tcp", k.bootstrap, topic)
		if err != nil {
			return err
		}
		for _, p := range partitions {
			end, err := k.endOffset(ctx, topic, p.ID)
			if err != nil {
				return err
			}
			if end == 0 {
				continue
			}
			// Close waits for the fetch that is out by then, and there are hundreds of partitions.
			r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{k.bootstrap}, Topic: topic, Partition: p.ID,
				MaxWait: 20 * time.Millisecond, MinBytes: 1, MaxBytes: 1 << 20})
			for {
				m, err := r.FetchMessage(ctx)
				if err != nil {
					r.Close()
					if ctx.Err() != nil {
						return tooFew(seen, count, timeout)
					}
					return err
				}
				put(kafkaGoLine(m))
				seen++
				if m.Offset >= end-1 {
					break
				}
			}
			r.Close()
		}
	}
	if seen < count {
		return tooFew(seen, count, timeout)
	}
	return nil
}

func (k kafkaGo) endOffset(ctx context.Context, topic string, partition int) (int64, error) {
	conn, err := kafka.DialLeader(ctx, "tcp", k.bootstrap, topic, partition)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return conn.ReadLastOffset()
}

func kafkaGoLine(m kafka.Message) record {
	r := record{topic: m.Topic, partition: int32(m.Partition), offset: m.Offset, timestamp: -1, key: m.Key, value: m.Value}
	if !m.Time.IsZero() {
		r.timestamp = m.Time.UnixMilli()
	}
	for _, h := range m.Headers {
		r.headers = append(r.headers, header{h.Key, h.Value})
	}
	return r
}
