package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// state is what a broker holds, as a client can see it.
type state struct {
	topics    map[string]*topicState
	committed map[string]string // "group topic partition" -> offset
}

// topicState is one topic.
type topicState struct {
	id         string            // as Kafka writes it
	configs    map[string]string // of the topic itself
	partitions map[int32]*partitionState
}

// partitionState is one partition. Records are rendered whole: what differs in the text
// differs in the record.
type partitionState struct {
	start, end  int64
	leaderEpoch int32
	records     []string
	producers   []string
}

// capture reads all that a broker holds, except its internal topics' records, whose
// meaning is in the committed offsets.
func capture(ctx context.Context, addr string) (*state, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	admin, done, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer done()
	listed, err := admin.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, err
	}
	s := &state{topics: map[string]*topicState{}}
	for _, name := range listed.Names() {
		topicID := listed[name].ID
		t := &topicState{id: base64.RawURLEncoding.EncodeToString(topicID[:]), configs: map[string]string{}, partitions: map[int32]*partitionState{}}
		if t.configs, err = topicConfigs(ctx, admin, name); err != nil {
			return nil, err
		}
		if t.partitions, err = readTopic(ctx, admin, addr, name, listed[name].Partitions); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		s.topics[name] = t
	}
	if s.committed, err = committed(ctx, admin); err != nil {
		return nil, err
	}
	return s, nil
}

func topicConfigs(ctx context.Context, admin *kadm.Client, topic string) (map[string]string, error) {
	described, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, err
	}
	configs := map[string]string{}
	for _, r := range described {
		if r.Err != nil {
			return nil, r.Err
		}
		for _, c := range r.Configs {
			if c.Source == kmsg.ConfigSourceDynamicTopicConfig {
				configs[c.Key] = c.MaybeValue()
			}
		}
	}
	return configs, nil
}

func committed(ctx context.Context, admin *kadm.Client) (map[string]string, error) {
	all := map[string]string{}
	groups, err := admin.ListGroups(ctx)
	if err != nil {
		return nil, err
	}
	for _, group := range groups.Groups() {
		offsets, err := admin.FetchOffsets(ctx, group)
		if err != nil {
			return nil, err
		}
		offsets.Each(func(o kadm.OffsetResponse) {
			all[fmt.Sprintf("%s %s %d", group, o.Topic, o.Partition)] = fmt.Sprintf("%d %q", o.At, o.Metadata)
		})
	}
	return all, nil
}

// readTopic reads all partitions of a topic from start to end, and the state of their
// producers.
func readTopic(ctx context.Context, admin *kadm.Client, addr, topic string, details kadm.PartitionDetails) (map[int32]*partitionState, error) {
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, err
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	all := map[int32]*partitionState{}
	from := map[int32]kgo.Offset{}
	for p, o := range ends[topic] {
		all[p] = &partitionState{start: starts[topic][p].Offset, end: o.Offset, leaderEpoch: details[p].LeaderEpoch}
		from[p] = kgo.NewOffset().At(all[p].start)
	}
	if details != nil {
		if err := producers(ctx, admin, topic, all); err != nil {
			return nil, err
		}
	}
	if strings.HasPrefix(topic, "__") {
		return all, nil
	}
	return all, readRecords(ctx, addr, topic, from, all)
}

func producers(ctx context.Context, admin *kadm.Client, topic string, all map[int32]*partitionState) error {
	var set kadm.TopicsSet
	set.Add(topic, slices.Collect(maps.Keys(all))...)
	described, err := admin.DescribeProducers(ctx, set)
	if err != nil {
		return fmt.Errorf("describe producers: %w", err)
	}
	for _, t := range described {
		for p, d := range t.Partitions {
			if d.Err != nil {
				return fmt.Errorf("describe producers of %s %d: %w", topic, p, d.Err)
			}
			for _, one := range d.ActiveProducers {
				all[p].producers = append(all[p].producers, fmt.Sprintf("id %d epoch %d last sequence %d at %d",
					one.ProducerID, one.ProducerEpoch, one.LastSequence, one.LastTimestamp))
			}
			slices.Sort(all[p].producers)
		}
	}
	return nil
}

// readRecords reads until each partition's next offset is its end. A control record or
// one that compaction has taken away is no record to a consumer, so the end may come
// without one: then the position says so.
func readRecords(ctx context.Context, addr, topic string, from map[int32]kgo.Offset, all map[int32]*partitionState) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchMaxWait(100_000_000), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer client.Close()
	left := 0
	for _, p := range all {
		if p.start < p.end {
			left++
		}
	}
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			p := all[r.Partition]
			if r.Offset >= p.end {
				return
			}
			p.records = append(p.records, render(r))
			if r.Offset == p.end-1 {
				left--
			}
		})
	}
	return nil
}

func render(r *kgo.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d @%d ", r.Offset, r.Timestamp.UnixMilli())
	for _, bytes := range [][]byte{r.Key, r.Value} {
		if bytes == nil {
			b.WriteString("null ")
		} else {
			fmt.Fprintf(&b, "%q ", bytes)
		}
	}
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "%s=%q ", h.Key, h.Value)
	}
	fmt.Fprintf(&b, "pid %d epoch %d", r.ProducerID, r.ProducerEpoch)
	return b.String()
}

// compare says what another broker that opened the same directory does not have, or has
// in addition. Leader epochs may go on.
func (s *state) compare(other *state) error {
	var wrong []error
	note := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	for _, name := range slices.Sorted(maps.Keys(s.topics)) {
		t, o := s.topics[name], other.topics[name]
		if o == nil {
			note("topic %s is missing", name)
			continue
		}
		if t.id != o.id {
			note("topic %s: id %s, was %s", name, o.id, t.id)
		}
		if !maps.Equal(t.configs, o.configs) {
			note("topic %s: configs %v, were %v", name, o.configs, t.configs)
		}
		if len(t.partitions) != len(o.partitions) {
			note("topic %s: %d partitions, were %d", name, len(o.partitions), len(t.partitions))
		}
		for i, p := range t.partitions {
			if q := o.partitions[i]; q != nil && !(strings.HasPrefix(name, "__")) {
				p.compare(q, func(what string) { note("%s-%d: %s", name, i, what) })
			}
		}
	}
	for name := range other.topics {
		if s.topics[name] == nil && !strings.HasPrefix(name, "__") {
			note("topic %s is new", name)
		}
	}
	if !maps.Equal(s.committed, other.committed) {
		note("committed offsets %v, were %v", other.committed, s.committed)
	}
	return errors.Join(wrong...)
}

func (p *partitionState) compare(q *partitionState, note func(string)) {
	if p.start != q.start || p.end != q.end {
		note(fmt.Sprintf("offsets %d to %d, were %d to %d", q.start, q.end, p.start, p.end))
	}
	if q.leaderEpoch < p.leaderEpoch {
		note(fmt.Sprintf("leader epoch %d, was %d", q.leaderEpoch, p.leaderEpoch))
	}
	if len(p.records) != len(q.records) {
		note(fmt.Sprintf("%d records, were %d", len(q.records), len(p.records)))
	}
	for i := range min(len(p.records), len(q.records)) {
		if p.records[i] != q.records[i] {
			note(fmt.Sprintf("record %.200s, was %.200s", q.records[i], p.records[i]))
			break
		}
	}
	if !slices.Equal(p.producers, q.producers) {
		note(fmt.Sprintf("producers %v, were %v", q.producers, p.producers))
	}
}
