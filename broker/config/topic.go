package config

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
)

// topicValue is the effective value of a topic key: the topic's own, else the broker's
// under the first synonym that is set, else the default. ok is false only for unknown keys.
func (c *Config) topicValue(overrides map[string]string, name string) (value string, ok bool) {
	if v, ok := overrides[name]; ok {
		if k := Lookup(ScopeTopic, name); k != nil && k.Check(v) == nil {
			return trim(v), true
		}
	}
	return c.TopicDefault(name)
}

// TopicDefault is what a topic key is worth where the topic does not set it.
func (c *Config) TopicDefault(name string) (value string, ok bool) {
	k := Lookup(ScopeTopic, name)
	if k == nil {
		return "", false
	}
	for _, s := range topicSynonyms[name] {
		v, ok := c.Value(s.name)
		if !ok {
			continue
		}
		if s.factor == 1 {
			return v, true
		}
		return strconv.FormatInt(s.convert(c.long(s.name)), 10), true
	}
	return k.Default, !k.NoDefault
}

// Topic returns the settings of a topic's logs from its own settings, over this broker's.
// Own settings that are not valid (they were stored by something else) do not count. All
// topics without any share one result. It is called again when the topic's or the broker's
// settings change.
func (c *Config) Topic(overrides map[string]string) *log.Config {
	if len(overrides) == 0 {
		return c.topicDefault
	}
	return c.topic(overrides)
}

func (c *Config) topic(overrides map[string]string) *log.Config {
	t := topicView{c, overrides}
	policy := t.list("cleanup.policy")
	cfg := &log.Config{
		SegmentSize:        t.long("segment.bytes"),
		SegmentAge:         t.millis("segment.ms"),
		SegmentJitter:      t.millis("segment.jitter.ms"),
		MaxIndexSize:       t.long("segment.index.bytes"),
		IndexInterval:      t.long("index.interval.bytes"),
		Preallocate:        t.boolean("preallocate"),
		FlushMessages:      t.long("flush.messages"),
		FlushInterval:      t.millis("flush.ms"),
		DurableAcks:        t.boolean("barnabas.durable.acks"),
		FileDeleteDelay:    t.millis("file.delete.delay.ms"),
		Delete:             contains(policy, "delete"),
		Compact:            contains(policy, "compact"),
		RetentionAge:       t.unlimited("retention.ms"),
		RetentionSize:      t.long("retention.bytes"),
		DeleteRetention:    t.millis("delete.retention.ms"),
		MinCompactLag:      t.millis("min.compaction.lag.ms"),
		MaxCompactLag:      t.millis("max.compaction.lag.ms"),
		MinDirtyRatio:      t.double("min.cleanable.dirty.ratio"),
		MaxMessageSize:     int(t.long("max.message.bytes")),
		TimestampType:      protocol.CreateTime,
		TimestampBeforeMax: t.timestampMax("before"),
		TimestampAfterMax:  t.timestampMax("after"),
		CompressionLevel:   log.CompressionLevelDefault,
	}
	if internal, ok := overrides["internal.segment.bytes"]; ok {
		if n, err := strconv.ParseInt(trim(internal), 10, 32); err == nil && n > 0 {
			cfg.SegmentSize = n
		}
	}
	if t.text("message.timestamp.type") == "LogAppendTime" {
		cfg.TimestampType = protocol.LogAppendTime
	}
	t.compression(cfg)
	return cfg
}

// MinInsyncReplicas, UncleanLeaderElection and the throttled replicas of a topic are not the
// log's business; they have accessors of their own.

// TopicMinInsyncReplicas is min.insync.replicas of a topic with these own settings.
func (c *Config) TopicMinInsyncReplicas(overrides map[string]string) int {
	return int(topicView{c, overrides}.long("min.insync.replicas"))
}

// TopicUncleanLeaderElection is unclean.leader.election.enable of a topic.
func (c *Config) TopicUncleanLeaderElection(overrides map[string]string) bool {
	return topicView{c, overrides}.boolean("unclean.leader.election.enable")
}

// TopicDownConversion is message.downconversion.enable of a topic.
func (c *Config) TopicDownConversion(overrides map[string]string) bool {
	return topicView{c, overrides}.boolean("message.downconversion.enable")
}

type topicView struct {
	c         *Config
	overrides map[string]string
}

func (t topicView) parsed(name string) any {
	if v, ok := t.overrides[name]; ok {
		if p, err := Lookup(ScopeTopic, name).parse(v); err == nil {
			return p
		}
	}
	return t.c.topicParsed[name]
}

// parseTopicDefaults parses once what topics take from this broker.
func (c *Config) parseTopicDefaults() {
	c.topicParsed = make(map[string]any, len(topicKeys))
	for i := range topicKeys {
		k := &topicKeys[i]
		v, ok := c.TopicDefault(k.Name)
		if !ok {
			continue
		}
		p, err := k.parse(v)
		if err != nil {
			// A broker's value may be outside of the topic key's range (log.retention.ms=-5);
			// it is used as it is, as Apache does.
			p, _ = (&Key{Name: k.Name, Type: k.Type}).parse(v)
		}
		c.topicParsed[k.Name] = p
	}
	c.topicDefault = c.topic(nil)
}

func (t topicView) long(name string) int64 { n, _ := t.parsed(name).(int64); return n }

func (t topicView) boolean(name string) bool { b, _ := t.parsed(name).(bool); return b }

func (t topicView) double(name string) float64 { f, _ := t.parsed(name).(float64); return f }

func (t topicView) text(name string) string { s, _ := t.parsed(name).(string); return s }

func (t topicView) list(name string) []string { l, _ := t.parsed(name).([]string); return l }

func (t topicView) millis(name string) time.Duration {
	return durationOf(t.long(name), time.Millisecond)
}

// unlimited is millis with every negative number as -1.
func (t topicView) unlimited(name string) time.Duration {
	if t.long(name) < 0 {
		return -1
	}
	return t.millis(name)
}

// timestampMax is message.timestamp.<side>.max.ms, or the deprecated ...difference.max.ms
// where the former is at its default.
func (t topicView) timestampMax(side string) time.Duration {
	n := t.long("message.timestamp." + side + ".max.ms")
	if n == math.MaxInt64 {
		n = t.long("message.timestamp.difference.max.ms")
	}
	return durationOf(n, time.Millisecond)
}

func (t topicView) compression(cfg *log.Config) {
	level := func(name string) int { return int(t.long("compression." + name + ".level")) }
	switch name := strings.ToLower(t.text("compression.type")); name {
	case "producer":
		cfg.ProducerCodec = true
	case "gzip":
		cfg.Compression = protocol.CodecGzip
		if n := level(name); n != -1 {
			cfg.CompressionLevel = n
		}
	case "snappy":
		cfg.Compression = protocol.CodecSnappy
	case "lz4":
		cfg.Compression, cfg.CompressionLevel = protocol.CodecLZ4, level(name)
	case "zstd":
		cfg.Compression, cfg.CompressionLevel = protocol.CodecZstd, level(name)
	default:
		cfg.Compression = protocol.CodecNone
	}
}
