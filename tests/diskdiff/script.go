package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// script is what is sent, the same to both.
type script struct {
	topics map[string]map[string]string // configs by topic, of one partition each
	steps  []step
	trims  map[string]int64 // DeleteRecords
	count  int
}

type step struct {
	topic   string
	version int16
	records []byte
}

// newScript makes the requests. All timestamps are fixed now.
func newScript(now int64) *script {
	s := &script{topics: map[string]map[string]string{}, trims: map[string]int64{"trimmed": 177, "trimmed-compact": 120}}
	hour := time.Hour.Milliseconds()
	topic := func(name string, configs ...string) string {
		s.topics[name] = map[string]string{"segment.bytes": "20000"}
		for i := 0; i < len(configs); i += 2 {
			s.topics[name][configs[i]] = configs[i+1]
		}
		return name
	}
	codecs := map[string]protocol.Codec{"none": protocol.CodecNone, "gzip": protocol.CodecGzip, "snappy": protocol.CodecSnappy,
		"lz4": protocol.CodecLZ4, "zstd": protocol.CodecZstd}
	for _, name := range slices.Sorted(maps.Keys(codecs)) {
		t := topic("codec-" + name)
		for i := range 120 {
			s.add(t, 9, batch(protocol.BatchOptions{LeaderEpoch: -1, Codec: codecs[name]}, i, 1+i%7, now+int64(i)*10, 60))
		}
	}
	t := topic("out-of-order-times")
	for i := range 80 {
		s.add(t, 9, batch(protocol.BatchOptions{LeaderEpoch: -1}, i, 2, now-int64(i*7919%3000), 60))
	}
	t = topic("idempotent")
	sequence := map[int64]int32{}
	for i := range 150 {
		id, n := int64(4000+i%3), 1+i%4
		s.add(t, 9, batch(protocol.BatchOptions{LeaderEpoch: -1, Producer: &protocol.Producer{ID: id, Epoch: int16(i % 3), BaseSequence: sequence[id]}}, i, n, now+int64(i), 60))
		sequence[id] += int32(n)
	}
	t = topic("small-indexes", "segment.index.bytes", "48")
	for i := range 60 {
		s.add(t, 9, batch(protocol.BatchOptions{LeaderEpoch: -1}, i, 3, now+int64(i), 60))
	}
	t = topic("rolled-by-time", "segment.ms", "60000")
	for i := range 30 {
		s.add(t, 9, batch(protocol.BatchOptions{LeaderEpoch: -1}, i, 3, now-hour+int64(i)*11_000, 60))
	}
	for magic := range int8(2) {
		for _, codec := range []string{"none", "gzip", "lz4"} {
			t := topic(fmt.Sprintf("magic%d-%s", magic, codec))
			for i := range 60 {
				b := batch(protocol.BatchOptions{Codec: codecs[codec]}, i, 1+i%3, now+int64(i), 60)
				set, err := protocol.DownConvert(nil, b, magic, 0)
				if err != nil {
					panic(err)
				}
				s.add(t, int16(magic)*2, set)
			}
		}
	}
	for _, t := range []string{topic("trimmed"), topic("trimmed-compact", "cleanup.policy", "compact,delete", "delete.retention.ms", "86400000")} {
		for i := range 100 {
			s.add(t, 9, batch(protocol.BatchOptions{LeaderEpoch: -1}, i, 3, now+int64(i), 60))
		}
	}
	for _, t := range []string{topic("compact", "cleanup.policy", "compact", "delete.retention.ms", "86400000"),
		topic("compact-tombstones-go", "cleanup.policy", "compact", "delete.retention.ms", "0"),
		topic("compact-lag", "cleanup.policy", "compact", "min.compaction.lag.ms", fmt.Sprint(hour), "delete.retention.ms", "86400000"),
		topic("compact-gzip", "cleanup.policy", "compact", "delete.retention.ms", "86400000"),
		topic("compact-delete", "cleanup.policy", "compact,delete", "retention.ms", fmt.Sprint(3*hour), "delete.retention.ms", "86400000")} {
		codec := protocol.CodecNone
		if t == "compact-gzip" {
			codec = protocol.CodecGzip
		}
		for i := range 240 {
			s.add(t, 9, batch(protocol.BatchOptions{LeaderEpoch: -1, Codec: codec}, i, 4, now-6*hour+int64(i)*6*hour/240, 13))
		}
	}
	t = topic("compact-idempotent", "cleanup.policy", "compact", "delete.retention.ms", "86400000")
	for i := range 200 {
		s.add(t, 9, batch(protocol.BatchOptions{LeaderEpoch: -1, Producer: &protocol.Producer{ID: int64(5000 + i%2), BaseSequence: int32(i / 2 * 2)}}, i, 2, now+int64(i), 13))
	}
	for _, t := range []string{topic("by-size", "retention.bytes", "30000"), topic("by-time", "retention.ms", fmt.Sprint(hour))} {
		for i := range 150 {
			s.add(t, 9, batch(protocol.BatchOptions{LeaderEpoch: -1}, i, 4, now-2*hour+int64(i)*2*hour/150, 60))
		}
	}
	return s
}

// batch makes count records; keys repeat after some, and some of those are tombstones.
func batch(o protocol.BatchOptions, number, count int, timestamp int64, keys int) []byte {
	var records []protocol.Record
	for j := range count {
		n := number*7 + j
		r := protocol.Record{Offset: int64(j), Timestamp: timestamp + int64(j), Key: fmt.Appendf(nil, "key %d", n%keys),
			Value: []byte(fmt.Sprintf("value %d of batch %d ", j, number) + strings.Repeat(fmt.Sprint(n), n%40))}
		if n%11 == 3 {
			r.Headers = []protocol.Header{{Key: []byte("n"), Value: fmt.Append(nil, n)}, {Key: []byte("null")}}
		}
		if keys < 60 && n%9 == 4 {
			r.Value = nil
		}
		records = append(records, r)
	}
	b, err := protocol.AppendBatch(nil, o, records...)
	if err != nil {
		panic(err)
	}
	return b
}

func (s *script) add(topic string, version int16, records []byte) {
	s.steps = append(s.steps, step{topic, version, records})
}

// send makes the topics and sends everything, one request at a time.
func (s *script) send(addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for _, name := range slices.Sorted(maps.Keys(s.topics)) {
		configs := map[string]*string{}
		for key, value := range s.topics[name] {
			configs[key] = &value
		}
		if _, err := admin.CreateTopic(ctx, 1, 1, configs, name); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	c, err := peers.Dial(addr, clientID)
	if err != nil {
		return err
	}
	defer c.Close()
	s.count = len(s.steps)
	for i, step := range s.steps {
		if err := produce(c, step); err != nil {
			return fmt.Errorf("request %d, to %s: %w", i, step.topic, err)
		}
	}
	for topic, offset := range s.trims {
		var trim kadm.Offsets
		trim.AddOffset(topic, 0, offset, -1)
		if answer, err := admin.DeleteRecords(ctx, trim); err != nil || answer.Error() != nil {
			return fmt.Errorf("delete records: %w", errors.Join(err, answer.Error()))
		}
	}
	for i := range 20 {
		var offsets kadm.Offsets
		offsets.AddOffset("codec-none", 0, int64(i), -1)
		if answer, err := admin.CommitOffsets(ctx, fmt.Sprintf("group-%d", i%4), offsets); err != nil || answer.Error() != nil {
			return fmt.Errorf("commit: %w", errors.Join(err, answer.Error()))
		}
	}
	return nil
}

func produce(c *peers.Conn, s step) error {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(min(s.version, 8))
	req.Acks, req.TimeoutMillis = -1, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = s.topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = slices.Clone(s.records)
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := kmsg.NewPtrProduceResponse()
	for range 200 {
		if err := c.Call(req, resp); err != nil {
			return err
		}
		code := protocol.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode)
		if code == 0 {
			return nil
		}
		if code != protocol.ErrUnknownTopicOrPartition && code != protocol.ErrNotLeaderOrFollower {
			return code
		}
		time.Sleep(20 * time.Millisecond) // not known everywhere yet
	}
	return errors.New("the topic does not come")
}

// partitionLeft is what is left of a partition once cleaner and retention have been there.
type partitionLeft struct {
	start, end int64
	records    []string
	segments   []string // base offsets, but for empty segments
}

// settle reads all topics until nothing changes any more.
func (s *script) settle(addr, dataDir string) (map[string]*partitionLeft, error) {
	const quiet = 6
	var last map[string]*partitionLeft
	for same, tries := 0, 0; same < quiet; tries++ {
		if tries > 90 {
			return nil, errors.New("it does not settle")
		}
		time.Sleep(time.Second)
		now := map[string]*partitionLeft{}
		for name := range s.topics {
			p, err := readTopic(addr, name)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
			files, err := filepath.Glob(filepath.Join(dataDir, name+"-0", "*.log"))
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				if info, err := os.Stat(f); err == nil && info.Size() > 0 {
					p.segments = append(p.segments, filepath.Base(f))
				}
			}
			now[name] = p
		}
		same++
		for name, p := range now {
			if q := last[name]; q == nil || q.start != p.start || !slices.Equal(q.records, p.records) || !slices.Equal(q.segments, p.segments) {
				same = 0
			}
		}
		last = now
	}
	return last, nil
}
