package config

import (
	"maps"
	"slices"
	"time"
)

// synonym is one spelling of a setting; factor turns its unit into the first spelling's.
type synonym struct {
	name   string
	factor int64
}

// convert saturates instead of overflowing and leaves negatives (unlimited) as they are.
func (s synonym) convert(n int64) int64 {
	if s.factor == 0 || s.factor == 1 || n < 0 {
		return n
	}
	if n > (1<<63-1)/s.factor {
		return 1<<63 - 1
	}
	return n * s.factor
}

const (
	msPerMinute = int64(time.Minute / time.Millisecond)
	msPerHour   = int64(time.Hour / time.Millisecond)
)

var (
	retentionSynonyms = []synonym{{"log.retention.ms", 1}, {"log.retention.minutes", msPerMinute}, {"log.retention.hours", msPerHour}}
	rollSynonyms      = []synonym{{"log.roll.ms", 1}, {"log.roll.hours", msPerHour}}
	jitterSynonyms    = []synonym{{"log.roll.jitter.ms", 1}, {"log.roll.jitter.hours", msPerHour}}
	flushSynonyms     = []synonym{{"log.flush.interval.ms", 1}, {"log.flush.scheduler.interval.ms", 1}}
)

// topicSynonyms are the broker keys that give a topic key its value where the topic has none
// of its own, the first that is set winning.
var topicSynonyms = map[string][]synonym{
	"barnabas.durable.acks":               {{"barnabas.durable.acks", 1}},
	"cleanup.policy":                      {{"log.cleanup.policy", 1}},
	"compression.gzip.level":              {{"compression.gzip.level", 1}},
	"compression.lz4.level":               {{"compression.lz4.level", 1}},
	"compression.type":                    {{"compression.type", 1}},
	"compression.zstd.level":              {{"compression.zstd.level", 1}},
	"delete.retention.ms":                 {{"log.cleaner.delete.retention.ms", 1}},
	"file.delete.delay.ms":                {{"log.segment.delete.delay.ms", 1}},
	"flush.messages":                      {{"log.flush.interval.messages", 1}},
	"flush.ms":                            flushSynonyms,
	"index.interval.bytes":                {{"log.index.interval.bytes", 1}},
	"local.retention.bytes":               {{"log.local.retention.bytes", 1}},
	"local.retention.ms":                  {{"log.local.retention.ms", 1}},
	"max.compaction.lag.ms":               {{"log.cleaner.max.compaction.lag.ms", 1}},
	"max.message.bytes":                   {{"message.max.bytes", 1}},
	"message.downconversion.enable":       {{"log.message.downconversion.enable", 1}},
	"message.format.version":              {{"log.message.format.version", 1}},
	"message.timestamp.after.max.ms":      {{"log.message.timestamp.after.max.ms", 1}},
	"message.timestamp.before.max.ms":     {{"log.message.timestamp.before.max.ms", 1}},
	"message.timestamp.difference.max.ms": {{"log.message.timestamp.difference.max.ms", 1}},
	"message.timestamp.type":              {{"log.message.timestamp.type", 1}},
	"min.cleanable.dirty.ratio":           {{"log.cleaner.min.cleanable.ratio", 1}},
	"min.compaction.lag.ms":               {{"log.cleaner.min.compaction.lag.ms", 1}},
	"min.insync.replicas":                 {{"min.insync.replicas", 1}},
	"preallocate":                         {{"log.preallocate", 1}},
	"retention.bytes":                     {{"log.retention.bytes", 1}},
	"retention.ms":                        retentionSynonyms,
	"segment.bytes":                       {{"log.segment.bytes", 1}},
	"segment.index.bytes":                 {{"log.index.size.max.bytes", 1}},
	"segment.jitter.ms":                   jitterSynonyms,
	"segment.ms":                          rollSynonyms,
	"unclean.leader.election.enable":      {{"unclean.leader.election.enable", 1}},
}

// brokerSynonyms returns the names that DescribeConfigs lists for a broker key: itself and
// its other spellings, or for listener.name.<l>.<key> itself and the plain key.
func brokerSynonyms(name string) []string {
	for _, group := range [][]synonym{retentionSynonyms, rollSynonyms, jitterSynonyms} {
		for _, s := range group {
			if s.name == name {
				return names(group)
			}
		}
	}
	if name == "log.flush.interval.ms" {
		return names(flushSynonyms)
	}
	if k, listener, _ := lookupPrefixed(name); k != nil && listener != "" {
		return []string{name, k.Name}
	}
	return []string{name}
}

func names(group []synonym) []string {
	list := make([]string, len(group))
	for i, s := range group {
		list[i] = s.name
	}
	return list
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
