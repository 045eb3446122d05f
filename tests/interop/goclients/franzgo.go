package main

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type franzGo struct {
	bootstrap string
	security  []kgo.Opt
}

// options are those that every client needs.
func (f franzGo) options(more ...kgo.Opt) []kgo.Opt {
	return append(append([]kgo.Opt{kgo.SeedBrokers(f.bootstrap)}, f.security...), more...)
}

func (f franzGo) create(topic string, partitions int32) error {
	client, err := kgo.NewClient(f.options()...)
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = kadm.NewClient(client).CreateTopic(context.Background(), partitions, 1, nil, topic)
	return err
}

func (f franzGo) produce(topic, codec string, records []record, options map[string]string) error {
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(),
		kgo.Lz4Compression(), kgo.ZstdCompression()}
	opts := f.options(kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.AllowAutoTopicCreation(), kgo.ProducerBatchMaxBytes(16384), kgo.ProducerLinger(5*time.Millisecond),
		kgo.ProducerBatchCompression(codecs[slices.Index(codecNames, codec)]))
	switch options["acks"] {
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	default:
		if options["idempotent"] == "false" {
			opts = append(opts, kgo.DisableIdempotentWrite())
		}
	}
	limit := time.Minute
	if ms, err := strconv.Atoi(options["give.up.ms"]); err == nil {
		limit = time.Duration(ms) * time.Millisecond
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var sent []*kgo.Record
	for _, r := range records {
		k := &kgo.Record{Topic: topic, Partition: r.partition, Key: r.key, Value: r.value}
		if r.timestamp >= 0 {
			k.Timestamp = time.UnixMilli(r.timestamp)
		}
		for _, h := range r.headers {
			k.Headers = append(k.Headers, kgo.RecordHeader{Key: h.name, Value: h.value})
		}
		sent = append(sent, k)
	}
	return client.ProduceSync(ctx, sent...).FirstErr()
}

func (f franzGo) consume(group string, topics []string, count int, timeout time.Duration, options map[string]string, put func(record)) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	opts := f.options(kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxPartitionBytes(65536),
		kgo.FetchMaxWait(200*time.Millisecond))
	if group != "" {
		opts = append(opts, kgo.ConsumerGroup(group), kgo.DisableAutoCommit())
	}
	if options["protocol"] == "consumer" {
		opts = append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	seen := 0
	for seen < count {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil && ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			return tooFew(seen, count, timeout)
		}
		for r := range fetches.RecordsAll() {
			line := record{topic: r.Topic, partition: r.Partition, offset: r.Offset, timestamp: -1, key: r.Key, value: r.Value}
			if r.Attrs.TimestampType() >= 0 {
				line.timestamp = r.Timestamp.UnixMilli()
			}
			for _, h := range r.Headers {
				line.headers = append(line.headers, header{h.Key, h.Value})
			}
			put(line)
			seen++
		}
	}
	if group == "" {
		return nil
	}
	return client.CommitUncommittedOffsets(ctx)
}
