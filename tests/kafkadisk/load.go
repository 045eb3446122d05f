package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// brokerConfig makes small segments and an eager cleaner.
var brokerConfig = map[string]string{
	"num.partitions":                          "2",
	"log.segment.bytes":                       "262144",
	"log.cleaner.backoff.ms":                  "500",
	"log.cleaner.min.cleanable.ratio":         "0.01",
	"log.retention.check.interval.ms":         "2000",
	"log.segment.delete.delay.ms":             "1000",
	"group.initial.rebalance.delay.ms":        "0",
	"log.flush.offset.checkpoint.interval.ms": "1000",
}

// stillConfig is for a broker that shall change nothing.
func stillConfig() map[string]string {
	config := maps.Clone(brokerConfig)
	config["log.cleaner.enable"] = "false"
	return config
}

var codecs = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}

const compactedKeys = 50

// load puts everything into a broker that leaves traces on disk. It kills the broker
// twice on the way.
func load(ctx context.Context, b *peers.Broker, seed int64) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	admin, done, err := dial(b.Addr)
	if err != nil {
		return err
	}
	defer done()
	for codec := range codecs {
		if err := create(ctx, admin, "codec-"+codec, 2, nil); err != nil {
			return err
		}
	}
	compacted := map[string]*string{"cleanup.policy": kadm.StringPtr("compact"), "segment.bytes": kadm.StringPtr("65536"),
		"min.cleanable.dirty.ratio": kadm.StringPtr("0.01"), "delete.retention.ms": kadm.StringPtr("86400000")}
	if err := errors.Join(create(ctx, admin, "compacted", 1, compacted),
		create(ctx, admin, "trimmed", 1, map[string]*string{"retention.ms": kadm.StringPtr("86400000")})); err != nil {
		return err
	}
	for codec := range codecs {
		if err := produce(ctx, b.Addr, "codec-"+codec, codec, 2, 0, 3000); err != nil {
			return fmt.Errorf("produce %s: %w", codec, err)
		}
	}
	random := rand.New(rand.NewSource(seed))
	for range 2 {
		if err := killUnderLoad(ctx, b, time.Duration(random.Intn(500))*time.Millisecond); err != nil {
			return err
		}
	}
	if err := produce(ctx, b.Addr, "trimmed", "none", 1, 0, 3000); err != nil {
		return err
	}
	var trim kadm.Offsets
	trim.AddOffset("trimmed", 0, 1234, -1)
	if answer, err := admin.DeleteRecords(ctx, trim); err != nil || answer.Error() != nil {
		return fmt.Errorf("delete records: %w", errors.Join(err, answer.Error()))
	}
	var offsets kadm.Offsets
	offsets.AddOffset("codec-none", 0, 77, -1)
	offsets.AddOffset("codec-zstd", 1, 1000, -1)
	for _, group := range []string{"group-one", "group-two"} {
		if answer, err := admin.CommitOffsets(ctx, group, offsets); err != nil || answer.Error() != nil {
			return fmt.Errorf("commit: %w", errors.Join(err, answer.Error()))
		}
	}
	return nil
}

func dial(addr string, opts ...kgo.Opt) (*kadm.Client, func(), error) {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
		kgo.MetadataMinAge(50 * time.Millisecond)}, opts...)...)
	if err != nil {
		return nil, nil, err
	}
	return kadm.NewClient(client), client.Close, nil
}

func create(ctx context.Context, admin *kadm.Client, topic string, partitions int32, configs map[string]*string) error {
	if _, err := admin.CreateTopic(ctx, partitions, 1, configs, topic); err != nil {
		return fmt.Errorf("create %s: %w", topic, err)
	}
	return nil
}

// produce sends count records with an idempotent producer of its own.
func produce(ctx context.Context, addr, topic, codec string, partitions, from, count int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codecs[codec]), kgo.ProducerBatchMaxBytes(8192), kgo.UnknownTopicRetries(-1),
		kgo.RequestRetries(1<<30), kgo.RetryTimeout(patience),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
	if err != nil {
		return err
	}
	defer client.Close()
	var records []*kgo.Record
	for i := from; i < from+count; i++ {
		r := &kgo.Record{Topic: topic, Partition: int32(i % partitions), Key: fmt.Appendf(nil, "key %d", i),
			Value: []byte(fmt.Sprintf("%s record %d ", topic, i) + strings.Repeat("some more ", i%30))}
		if i%5 == 0 {
			r.Headers = []kgo.RecordHeader{{Key: "number", Value: fmt.Append(nil, i)}}
		}
		if i%17 == 0 {
			r.Key = nil
		}
		records = append(records, r)
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

// killUnderLoad kills the broker while an idempotent producer writes, and starts it again.
func killUnderLoad(ctx context.Context, b *peers.Broker, after time.Duration) error {
	sent := make(chan error, 1)
	go func() { sent <- produce(ctx, b.Addr, "codec-lz4", "lz4", 2, 10_000, 200_000) }()
	time.Sleep(300*time.Millisecond + after)
	b.Kill()
	if err := b.Start(); err != nil {
		return err
	}
	if err := <-sent; err != nil {
		return fmt.Errorf("produce over a kill: %w", err)
	}
	return nil
}

// compact writes the same keys over and over, some tombstones among them, and waits until
// the cleaner has been there.
func compact(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, patience/3)
	defer cancel()
	admin, done, err := dial(addr)
	if err != nil {
		return err
	}
	defer done()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ProducerBatchMaxBytes(4096))
	if err != nil {
		return err
	}
	defer client.Close()
	const count = 5000
	var records []*kgo.Record
	for i := range count {
		r := &kgo.Record{Topic: "compacted", Key: fmt.Append(nil, i%compactedKeys), Value: fmt.Appendf(nil, "value %d of the key %s", i, strings.Repeat("x", 50))}
		if i >= count-compactedKeys && i%10 == 3 {
			r.Value = nil
		}
		records = append(records, r)
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err
	}
	for range 600 {
		s, err := readTopic(ctx, admin, addr, "compacted", nil)
		if err != nil {
			return err
		}
		if len(s[0].records) < count/2 {
			// One more round may be under way; the state is captured when nothing changes.
			return settled(ctx, admin, addr, len(s[0].records))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d records are still there: %w", len(s[0].records), count, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
	return errors.New("the cleaner has not come")
}

// settled waits until the compacted topic has stopped getting smaller.
func settled(ctx context.Context, admin *kadm.Client, addr string, last int) error {
	for quiet := 0; quiet < 3; quiet++ {
		time.Sleep(time.Second)
		s, err := readTopic(ctx, admin, addr, "compacted", nil)
		if err != nil {
			return err
		}
		if now := len(s[0].records); now != last {
			last, quiet = now, 0
		}
	}
	return nil
}
