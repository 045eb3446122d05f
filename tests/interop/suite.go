package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// suite is one run of all peers against one broker.
type suite struct {
	cache       *peers.Cache
	dir         string
	kind        peers.Kind
	addr        string
	broker      *peers.Broker // nil when the target ran already
	recordCount int
	wanted      func(name string) bool
	short       bool

	admin    *kadm.Client
	results  []result
	expected map[string][]peers.Record // by topic: what was acknowledged, in order
	codecOf  map[string]string         // by topic
	topics   []string                  // keys of expected, in the order they were written
}

const patience = 60 * time.Second

func (s *suite) peers() []*peers.Peer { return peers.All() }

func (s *suite) selected(name string, inShort bool) bool {
	return s.wanted(name) && (inShort || !s.short)
}

func (s *suite) run() error {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.addr))
	if err != nil {
		return err
	}
	defer client.Close()
	s.admin = kadm.NewClient(client)
	s.codecOf = map[string]string{}
	if s.selected("2015", true) {
		s.program2015() // first: its topic must not exist yet
	}
	for _, p := range s.peers() {
		if s.selected(p.Name, p.Short) {
			s.runPeer(p)
		}
	}
	for _, p := range s.peers() {
		if s.selected(p.Name, p.Short) && !p.NoConsume && len(s.topics) > 0 && !s.dropped(p) {
			s.crossRead(p)
		}
	}
	for _, version := range []string{"3.9.2", "4.3.1"} {
		if s.selected("tools-"+version, true) {
			s.runTools(version)
		}
	}
	return nil
}

func (s *suite) open(p *peers.Peer) (peers.Client, bool) {
	c, err := p.Open(s.cache, s.addr, filepath.Join(s.dir, p.Name+".log"))
	if err != nil {
		s.check(p.Name, "open", func() error { return err })
		return nil, false
	}
	return c, true
}

// runPeer lets one peer create, write, read, commit and read on, for each of its codecs.
func (s *suite) runPeer(p *peers.Peer) {
	if s.dropped(p) {
		s.check(p.Name, "auto-create", func() error { return errors.New("not tried") })
		return
	}
	c, ok := s.open(p)
	if !ok {
		return
	}
	defer c.Close()
	if !p.NoCreate {
		s.check(p.Name, "create", func() error { return s.create(p, c) })
	}
	if !p.NoProduce {
		s.check(p.Name, "auto-create", func() error { return s.autoCreate(p, c) })
		for _, codec := range p.Codecs {
			s.check(p.Name, codec, func() error { return s.roundTrip(p, c, codec) })
		}
		for _, acks := range []string{"0", "1"} {
			s.check(p.Name, "acks="+acks, func() error { return s.withOption(p, c, "acks="+acks) })
		}
	}
	if p.Idempotent {
		s.check(p.Name, "idempotent", func() error { return s.withOption(p, c, "idempotent=true") })
	}
	if p.NewGroups && s.knowsNewGroups() {
		s.check(p.Name, "new-groups", func() error { return s.newGroups(p, c) })
	}
}

func (s *suite) create(p *peers.Peer, c peers.Client) error {
	topic := "created-by-" + p.Name
	if err := c.Create(topic, 4); err != nil {
		return err
	}
	got, err := s.partitions(topic)
	if err == nil && got != 4 {
		err = fmt.Errorf("the topic has %d partitions, not 4", got)
	}
	return err
}

// autoCreate produces to a topic that does not exist and reads it back.
func (s *suite) autoCreate(p *peers.Peer, c peers.Client) error {
	topic := "auto-" + p.Name
	records := makeRecords(p, topic, 0, 10, 1)
	if err := c.Produce(topic, "none", records); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	s.written(topic, "none", records)
	return s.readBack(p, c, "", topic, records)
}

// roundTrip writes half, reads it in a group and commits, writes the rest, and expects the
// group to get exactly the rest.
func (s *suite) roundTrip(p *peers.Peer, c peers.Client, codec string) error {
	topic := p.Name + "-" + codec
	partitions, err := s.newTopic(topic)
	if err != nil {
		return err
	}
	records := makeRecords(p, topic, 0, s.recordCount, partitions)
	half := len(records) / 2
	if err := c.Produce(topic, codec, records[:half]); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	group := "group-" + topic
	if !p.NoConsume && !p.NoGroup {
		if err := s.readBack(p, c, group, topic, records[:half]); err != nil {
			return fmt.Errorf("first half: %w", err)
		}
		if err := s.committed(p, group, topic, half); err != nil {
			return err
		}
	}
	if err := c.Produce(topic, codec, records[half:]); err != nil {
		return fmt.Errorf("produce again: %w", err)
	}
	s.written(topic, codec, records)
	switch {
	case p.NoConsume:
		return nil // the others read it
	case p.NoGroup:
		return s.readBack(p, c, "", topic, records)
	}
	if err := s.readBack(p, c, group, topic, records[half:]); err != nil {
		return fmt.Errorf("from the committed offsets: %w", err)
	}
	return s.committed(p, group, topic, len(records))
}

// withOption writes in another way and reads back. What was sent with acks=0 is read once
// it is there.
func (s *suite) withOption(p *peers.Peer, c peers.Client, option string) error {
	topic := p.Name + "-" + strings.ReplaceAll(option, "=", "-")
	partitions, err := s.newTopic(topic)
	if err != nil {
		return err
	}
	records := makeRecords(p, topic, 0, 30, partitions)
	if err := c.Produce(topic, "none", records, option); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	if err := s.waitForRecords(topic, len(records)); err != nil {
		return err
	}
	s.written(topic, "none", records)
	if p.NoConsume {
		return nil
	}
	return s.readBack(p, c, "", topic, records)
}

// newGroups reads as a member of a group of KIP-848.
func (s *suite) newGroups(p *peers.Peer, c peers.Client) error {
	topic := p.Name + "-new-groups"
	partitions, err := s.newTopic(topic)
	if err != nil {
		return err
	}
	records := makeRecords(p, topic, 0, 30, partitions)
	if err := c.Produce(topic, "none", records); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	got, err := c.Consume("new-"+topic, []string{topic}, len(records), patience, "protocol=consumer")
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	return compare(p, p, records, got)
}

func (s *suite) knowsNewGroups() bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	versions, err := s.admin.ApiVersions(ctx)
	if err != nil {
		return false
	}
	for _, v := range versions {
		if _, ok := v.KeyMaxVersion(68); ok { // ConsumerGroupHeartbeat
			return true
		}
	}
	return false
}

// crossRead lets one peer read what all others wrote.
func (s *suite) crossRead(p *peers.Peer) {
	c, ok := s.open(p)
	if !ok {
		return
	}
	defer func() { c.Close() }()
	s.check(p.Name, "reads all", func() error {
		var topics []string
		count := 0
		for _, t := range s.topics {
			if p.CanRead(s.codecOf[t]) {
				topics = append(topics, t)
				count += len(s.expected[t])
			}
		}
		// Some clients open connections for each of hundreds of partitions, one after the other.
		got, err := c.Consume("", topics, count, 4*patience)
		if err == nil {
			return s.compareTopics(p, topics, got)
		}
		// Find which topic it is.
		var bad []string
		for _, t := range topics {
			got, oneErr := c.Consume("", []string{t}, len(s.expected[t]), 5*time.Second)
			if oneErr == nil {
				oneErr = s.compareTopics(p, []string{t}, got)
			}
			if oneErr != nil && len(bad) == 3 {
				bad = append(bad, "and more")
				break
			}
			if oneErr != nil {
				bad = append(bad, fmt.Sprintf("%s: %v", t, oneErr))
				c.Close()
				if c, ok = s.open(p); !ok {
					break
				}
			}
		}
		return fmt.Errorf("%w; of the topics alone: %s", err, strings.Join(bad, "; "))
	})
}

func (s *suite) compareTopics(p *peers.Peer, topics []string, got []peers.Record) error {
	byTopic := map[string][]peers.Record{}
	for _, r := range got {
		byTopic[r.Topic] = append(byTopic[r.Topic], r)
	}
	for _, t := range topics {
		if err := compare(s.writerOf(t), p, s.expected[t], byTopic[t]); err != nil {
			return fmt.Errorf("topic %s: %w", t, err)
		}
	}
	return nil
}

// writerOf finds the peer a topic was written by from its name: the longest that fits.
func (s *suite) writerOf(topic string) *peers.Peer {
	var writer *peers.Peer
	for _, p := range s.peers() {
		if strings.HasPrefix(strings.TrimPrefix(topic, "auto-"), p.Name) && (writer == nil || len(p.Name) > len(writer.Name)) {
			writer = p
		}
	}
	return writer
}

func (s *suite) readBack(p *peers.Peer, c peers.Client, group, topic string, want []peers.Record) error {
	if p.NoConsume {
		return nil
	}
	got, err := c.Consume(group, []string{topic}, len(want), patience)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	return compare(p, p, want, got)
}

func (s *suite) written(topic, codec string, records []peers.Record) {
	s.expected[topic] = records
	s.codecOf[topic] = codec
	s.topics = append(s.topics, topic)
}

// newTopic creates a topic of three partitions and waits until it can be written to, which
// on Apache is later than the answer to the creation.
func (s *suite) newTopic(topic string) (partitions int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := s.admin.CreateTopic(ctx, 3, 1, nil, topic); err != nil {
		return 0, fmt.Errorf("create %s: %w", topic, err)
	}
	return 3, s.waitForRecords(topic, 0)
}

// waitForRecords waits until the end offsets of a topic add up to count.
func (s *suite) waitForRecords(topic string, count int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		ends, err := s.admin.ListEndOffsets(ctx, topic)
		if err == nil {
			err = ends.Error()
		}
		sum := int64(0)
		ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
		if err == nil && sum == int64(count) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the end offsets of %s add up to %d, not %d: %v", topic, sum, count, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *suite) partitions(topic string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		details, err := s.admin.ListTopics(ctx, topic)
		if err == nil {
			err = details.Error()
		}
		if err == nil {
			return len(details[topic].Partitions), nil
		}
		if !s.kind.IsApache() || ctx.Err() != nil {
			return 0, err
		}
		time.Sleep(20 * time.Millisecond) // only Apache may answer before it knows
	}
}

// committed checks with our own client what the group has committed.
func (s *suite) committed(p *peers.Peer, group, topic string, count int) error {
	if p.OwnOffsets {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	offsets, err := s.admin.FetchOffsets(ctx, group)
	if err != nil {
		return fmt.Errorf("fetch the committed offsets: %w", err)
	}
	sum := int64(0)
	for _, o := range offsets[topic] {
		sum += o.At
	}
	if sum != int64(count) {
		return fmt.Errorf("the committed offsets of %s add up to %d, not %d", group, sum, count)
	}
	return nil
}

// compare holds what was read against what was written, partition by partition. What
// either of the two peers cannot say is left out.
func compare(writer, reader *peers.Peer, want, got []peers.Record) error {
	if len(got) != len(want) {
		return fmt.Errorf("read %d records, wrote %d", len(got), len(want))
	}
	byPartition := func(records []peers.Record) map[int32][]peers.Record {
		m := map[int32][]peers.Record{}
		for _, r := range records {
			m[r.Partition] = append(m[r.Partition], r)
		}
		return m
	}
	wanted, read := byPartition(want), byPartition(got)
	for partition, w := range wanted {
		g := read[partition]
		if len(g) != len(w) {
			return fmt.Errorf("partition %d: read %d records, wrote %d", partition, len(g), len(w))
		}
		for i := range w {
			if i > 0 && g[i].Offset != g[i-1].Offset+1 {
				return fmt.Errorf("partition %d: offset %d follows %d", partition, g[i].Offset, g[i-1].Offset)
			}
			if what := differs(writer, reader, w[i], g[i]); what != "" {
				return fmt.Errorf("partition %d offset %d: %s", partition, g[i].Offset, what)
			}
		}
	}
	return nil
}

func differs(writer, reader *peers.Peer, want, got peers.Record) string {
	same := func(a, b []byte) bool {
		return bytes.Equal(a, b) && (reader.BlurNull || (a == nil) == (b == nil))
	}
	if !same(want.Key, got.Key) {
		return fmt.Sprintf("key %s, wrote %s", brief(got.Key), brief(want.Key))
	}
	if !same(want.Value, got.Value) {
		return fmt.Sprintf("value %s, wrote %s", brief(got.Value), brief(want.Value))
	}
	if writer.Timestamps && reader.Timestamps && got.Timestamp != want.Timestamp {
		return fmt.Sprintf("timestamp %d, wrote %d", got.Timestamp, want.Timestamp)
	}
	if reader.Headers && !slices.EqualFunc(want.Headers, got.Headers, func(a, b peers.Header) bool {
		return a.Name == b.Name && same(a.Value, b.Value)
	}) {
		return fmt.Sprintf("headers %v, wrote %v", got.Headers, want.Headers)
	}
	return ""
}

func brief(b []byte) string {
	switch {
	case b == nil:
		return "null"
	case len(b) > 40:
		return fmt.Sprintf("%q… (%d bytes)", b[:40], len(b))
	}
	return fmt.Sprintf("%q", b)
}
