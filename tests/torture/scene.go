package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-broker/barnabas/broker"
	"github.com/barnabas-broker/barnabas/broker/config"
	plog "github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata/controller"
	"github.com/barnabas-broker/barnabas/metadata/raftstore"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

const patience = time.Minute

// scene is the data directories, a and b, of a broker that was stopped, and what it held.
type scene struct {
	name   string
	dir    string
	clean  bool
	truth  map[protocol.TopicPartition]*truth
	before *view // as served from an undamaged copy
}

func (s *scene) recordCount() (n int) {
	for _, t := range s.truth {
		n += len(t.records)
	}
	return n
}

// partitions in a fixed order.
func (s *scene) partitions() []protocol.TopicPartition {
	return slices.SortedFunc(maps.Keys(s.truth), func(a, b protocol.TopicPartition) int { return strings.Compare(a.String(), b.String()) })
}

// brokerConfig makes small segments, dense indexes, and a broker that does nothing by
// itself later on.
func brokerConfig(dir string) map[string]string {
	return map[string]string{
		"log.dirs":                                filepath.Join(dir, "a") + "," + filepath.Join(dir, "b"),
		"log.segment.bytes":                       "16384",
		"log.index.interval.bytes":                "1024",
		"log.retention.hours":                     "-1",
		"log.cleaner.enable":                      "false",
		"log.segment.delete.delay.ms":             "600000",
		"log.flush.offset.checkpoint.interval.ms": "500",
		"offsets.topic.num.partitions":            "3",
		"barnabas.admin.listener":                 "",
		"auto.create.topics.enable":               "false",
	}
}

// prepare makes the scenes in dir, or finds them there.
func prepare(cache *peers.Cache, dir string, seed int64) ([]*scene, error) {
	scenes := []*scene{{name: "killed", dir: filepath.Join(dir, "killed")}, {name: "clean", dir: filepath.Join(dir, "clean"), clean: true}}
	if _, err := os.Stat(filepath.Join(dir, "done")); err != nil {
		if err := fill(cache, filepath.Join(dir, "work"), scenes[0], scenes[1]); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, "done"), nil, 0o644); err != nil {
			return nil, err
		}
	}
	for _, s := range scenes {
		var err error
		if s.truth, err = readTruths(s.dir); err != nil {
			return nil, err
		}
		copied := filepath.Join(dir, "look")
		if err := copyTree(s.dir, copied); err != nil {
			return nil, err
		}
		b, err := startBroker(cache, copied)
		if err != nil {
			return nil, err
		}
		s.before, err = readView(b.Addr, s.partitions())
		b.Kill()
		if err != nil {
			return nil, err
		}
		if err := s.check(); err != nil {
			return nil, err
		}
		os.RemoveAll(copied)
	}
	return scenes, nil
}

// check holds what is served from an undamaged copy against what the files hold.
func (s *scene) check() error {
	for tp, p := range s.before.partitions {
		t := s.truth[tp]
		if p.code != 0 || len(p.problems) > 0 {
			return fmt.Errorf("%s: %v is not served from an undamaged copy: %v %v", s.name, tp, p.code, p.problems)
		}
		for offset, text := range t.records {
			if got, served := p.records[offset]; offset >= p.start && offset < p.end && (!served || got != text) {
				return fmt.Errorf("%s: %v: offset %d is served as %.200q, the file has %.200q", s.name, tp, offset, got, text)
			}
		}
	}
	return nil
}

func startBroker(cache *peers.Cache, dir string) (*peers.Broker, error) {
	return cache.StartBroker(peers.Barnabas, peers.BrokerOptions{Dir: dir, Config: brokerConfig(dir)})
}

// fill makes the two scenes.
func fill(cache *peers.Cache, work string, killed, clean *scene) error {
	options := brokerConfig(work)
	options["log.cleaner.enable"] = "true"
	options["log.cleaner.backoff.ms"] = "200"
	options["log.cleaner.min.cleanable.ratio"] = "0.01"
	b, err := cache.StartBroker(peers.Barnabas, peers.BrokerOptions{Dir: work, Config: options})
	if err != nil {
		return err
	}
	defer func() { b.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	if err := load(ctx, b.Addr); err != nil {
		return err
	}
	if err := b.Stop(patience); err != nil {
		return err
	}
	if err := byHand(ctx, work); err != nil {
		return fmt.Errorf("write by hand: %w", err)
	}
	b.Options.Config["log.cleaner.enable"] = "false"
	if b, err = startBroker(cache, work); err != nil {
		return err
	}
	if err := more(ctx, b.Addr); err != nil {
		return err
	}
	b.Kill()
	if err := copyTree(work, killed.dir, "a", "b"); err != nil {
		return err
	}
	if b, err = startBroker(cache, work); err != nil {
		return err
	}
	if err := errors.Join(deleteTopic(ctx, b.Addr, "doomed-later"), b.Stop(patience)); err != nil {
		return err
	}
	return copyTree(work, clean.dir, "a", "b")
}

var codecs = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}

func load(ctx context.Context, addr string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	names := map[string]int32{"plain": 2, "legacy": 2, "transactions": 2, "trimmed": 1, "empty": 1, "doomed-now": 2, "doomed-later": 2}
	for codec := range codecs {
		names["codec-"+codec] = 2
	}
	for name, partitions := range names {
		if _, err := admin.CreateTopic(ctx, partitions, 1, nil, name); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	compact := map[string]*string{"cleanup.policy": kadm.StringPtr("compact")}
	if _, err := admin.CreateTopic(ctx, 1, 1, compact, "compacted"); err != nil {
		return err
	}
	for codec := range codecs {
		if err := produce(ctx, addr, "codec-"+codec, codec, 2, 500); err != nil {
			return err
		}
	}
	for _, topic := range []string{"plain", "doomed-now", "doomed-later"} {
		if err := produce(ctx, addr, topic, "none", 2, 300); err != nil {
			return err
		}
	}
	if err := errors.Join(produce(ctx, addr, "trimmed", "none", 1, 300), produce(ctx, addr, "compacted", "none", 1, 1500)); err != nil {
		return err
	}
	time.Sleep(1500 * time.Millisecond) // for the cleaner
	return nil
}

// produce writes records with an idempotent producer, in small batches.
func produce(ctx context.Context, addr, topic, codec string, partitions, count int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codecs[codec]), kgo.ProducerBatchMaxBytes(1200))
	if err != nil {
		return err
	}
	defer client.Close()
	var records []*kgo.Record
	for i := range count {
		r := &kgo.Record{Topic: topic, Partition: int32(i % partitions), Key: fmt.Appendf(nil, "key %d", i%40),
			Value: []byte(fmt.Sprintf("%s record %d ", topic, i) + strings.Repeat(fmt.Sprint(i*7919), i%20))}
		if i%5 == 0 {
			r.Headers = []kgo.RecordHeader{{Key: "number", Value: fmt.Append(nil, i)}}
		}
		if topic == "compacted" && i > count-20 && i%3 == 0 {
			r.Value = nil
		}
		records = append(records, r)
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

// more is what happens after the second start: some of it is not synced when the broker
// is killed, some has not even been noted.
func more(ctx context.Context, addr string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	var trim kadm.Offsets
	trim.AddOffset("trimmed", 0, 77, -1)
	if answer, err := admin.DeleteRecords(ctx, trim); err != nil || answer.Error() != nil {
		return fmt.Errorf("delete records: %w", errors.Join(err, answer.Error()))
	}
	var offsets kadm.Offsets
	offsets.AddOffset("codec-none", 0, 77, -1)
	offsets.AddOffset("codec-zstd", 1, 100, -1)
	for _, group := range []string{"group-one", "group-two", "group-three", "group-four"} {
		if answer, err := admin.CommitOffsets(ctx, group, offsets); err != nil || answer.Error() != nil {
			return fmt.Errorf("commit: %w", errors.Join(err, answer.Error()))
		}
	}
	if err := deleteTopic(ctx, addr, "doomed-now"); err != nil {
		return err
	}
	for round := range 2 {
		for codec := range codecs {
			if err := produce(ctx, addr, "codec-"+codec, codec, 2, 120); err != nil {
				return err
			}
		}
		if err := produce(ctx, addr, "plain", "none", 2, 60); err != nil {
			return err
		}
		if round == 0 {
			time.Sleep(1500 * time.Millisecond) // until it has been noted
		}
	}
	return nil
}

func deleteTopic(ctx context.Context, addr, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = kadm.NewClient(client).DeleteTopic(ctx, topic)
	return err
}

// byHand appends what no client of today writes, through the log package: messages of
// magic 0 and 1, and transactions. It also has the metadata store take a snapshot.
func byHand(ctx context.Context, dir string) error {
	cfg := plog.DefaultConfig()
	cfg.SegmentSize, cfg.IndexInterval, cfg.RetentionAge = 16384, 1024, plog.Forever
	m, err := plog.OpenManager(ctx, plog.ManagerOptions{Dirs: []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")},
		NodeID: -1, Config: cfg, NoBackground: true})
	if err != nil {
		return err
	}
	err = errors.Join(legacy(m), transactions(m), snapshotMetadata(ctx, m, dir))
	return errors.Join(err, m.Close(ctx))
}

func appendTo(m *plog.Manager, topic string, partition int32, b []byte) error {
	l := m.Get(protocol.TopicPartition{Topic: topic, Partition: partition})
	if l == nil {
		return fmt.Errorf("%s %d has no log", topic, partition)
	}
	if _, err := l.AppendAsFollower(b); err != nil {
		return fmt.Errorf("append to %s %d: %w", topic, partition, err)
	}
	l.SetHighWatermark(l.LogEndOffset())
	return nil
}

func legacy(m *plog.Manager) error {
	now := time.Now().UnixMilli()
	for magic := range int8(2) {
		offset := int64(0)
		for i := range 120 {
			codec := []protocol.Codec{protocol.CodecNone, protocol.CodecGzip, protocol.CodecSnappy, protocol.CodecLZ4}[i/5%4]
			var records []protocol.Record
			for j := range int64(1 + i%6) {
				records = append(records, protocol.Record{Offset: offset + j, Timestamp: now + offset + j,
					Key: fmt.Appendf(nil, "old key %d", i), Value: []byte("old value " + strings.Repeat(fmt.Sprint(i*104729), i%25))})
			}
			b, err := protocol.AppendBatch(nil, protocol.BatchOptions{BaseOffset: offset, Codec: codec}, records...)
			if err != nil {
				return err
			}
			set, err := protocol.DownConvert(nil, b, magic, offset)
			if err != nil {
				return err
			}
			if err := appendTo(m, "legacy", int32(magic), set); err != nil {
				return err
			}
			offset += int64(len(records))
		}
	}
	return nil
}

func transactions(m *plog.Manager) error {
	now := time.Now().UnixMilli()
	for partition := range int32(2) {
		offset, sequence := int64(0), map[int64]int32{}
		for i := range 150 {
			id := int64(9001 + i%3)
			producer := protocol.Producer{ID: id, Epoch: 2, BaseSequence: sequence[id]}
			if i%7 == 6 && i < 140 {
				b := protocol.AppendEndTxnBatch(nil, id, 2, now+offset, protocol.EndTxnMarker{Commit: i%2 == 0, CoordinatorEpoch: 3})
				protocol.SetBatchOffset(b, offset, 0)
				if err := appendTo(m, "transactions", partition, b); err != nil {
					return err
				}
				offset++
				continue
			}
			var records []protocol.Record
			for j := range int64(1 + i%4) {
				records = append(records, protocol.Record{Offset: offset + j, Timestamp: now + offset + j,
					Key: fmt.Appendf(nil, "key %d", i), Value: []byte("transactional " + strings.Repeat(fmt.Sprint(i*611953), 1+i%25))})
			}
			b, err := protocol.AppendBatch(nil, protocol.BatchOptions{BaseOffset: offset, Producer: &producer, Transactional: true}, records...)
			if err != nil {
				return err
			}
			if err := appendTo(m, "transactions", partition, b); err != nil {
				return err
			}
			offset += int64(len(records))
			sequence[id] += int32(len(records))
		}
	}
	return nil
}

func snapshotMetadata(ctx context.Context, m *plog.Manager, dir string) error {
	c, err := config.Load(config.Options{})
	if err != nil {
		return err
	}
	s, err := raftstore.Open(ctx, raftstore.Options{Dir: filepath.Join(dir, "a", raftstore.DirName), NodeID: m.NodeID(),
		DirectoryID: m.Dirs()[0].ID, ClusterID: m.ClusterID(), Logger: slog.New(slog.DiscardHandler),
		Controller: controller.Options{DefaultPartitions: 1, DefaultReplicationFactor: 1,
			Schema: &config.Schema{Current: func() *config.Config { return c }}, Features: broker.SupportedFeatures()}})
	if err != nil {
		return err
	}
	return errors.Join(s.Raft().Snapshot().Error(), s.Close())
}

// copyTree copies a directory with its times, and does not write what is zero: the
// metadata store allocates megabytes of it. Of the top only the names given, or all.
func copyTree(from, to string, names ...string) error {
	if len(names) > 0 {
		for _, name := range names {
			if err := copyTree(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
				return err
			}
		}
		return nil
	}
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return copyFile(from, to, info)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyTree(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

func copyFile(from, to string, info os.FileInfo) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	const page = 4096
	for pos := 0; pos < len(data) && err == nil; pos += page {
		if b := data[pos:min(pos+page, len(data))]; !isZero(b) {
			_, err = f.WriteAt(b, int64(pos))
		}
	}
	return errors.Join(err, f.Truncate(int64(len(data))), f.Close(), os.Chtimes(to, info.ModTime(), info.ModTime()))
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
