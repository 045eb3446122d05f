package log

import (
	"math"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// Config is the effective settings of one topic's logs: the topic's own over the
// broker's over the defaults. It is immutable; a change is a new Config given to
// [Log.SetConfig]. Logs of topics without settings of their own share one.
//
// Durations and sizes that Kafka lets be unlimited are -1 (or the largest value) then.
type Config struct {
	SegmentSize   int64         // segment.bytes
	SegmentAge    time.Duration // segment.ms
	SegmentJitter time.Duration // segment.jitter.ms
	MaxIndexSize  int64         // segment.index.bytes
	IndexInterval int64         // index.interval.bytes: batches between two index entries
	Preallocate   bool          // preallocate

	FlushMessages   int64         // flush.messages: records between two forced flushes
	FlushInterval   time.Duration // flush.ms
	DurableAcks     bool          // barnabas.durable.acks: acknowledge only what is fdatasynced
	FileDeleteDelay time.Duration // file.delete.delay.ms

	Delete          bool          // cleanup.policy has delete
	Compact         bool          // cleanup.policy has compact
	RetentionAge    time.Duration // retention.ms; -1 keeps for ever
	RetentionSize   int64         // retention.bytes; -1 keeps all
	DeleteRetention time.Duration // delete.retention.ms: life of tombstones in compacted logs
	MinCompactLag   time.Duration // min.compaction.lag.ms
	MaxCompactLag   time.Duration // max.compaction.lag.ms
	MinDirtyRatio   float64       // min.cleanable.dirty.ratio

	MaxMessageSize     int                    // max.message.bytes: the largest batch
	Compression        protocol.Codec         // compression.type, unless CompressionOfProducer
	ProducerCodec      bool                   // compression.type is producer: keep what came
	CompressionLevel   int                    // compression.<codec>.level of Compression
	TimestampType      protocol.TimestampType // message.timestamp.type
	TimestampBeforeMax time.Duration          // message.timestamp.before.max.ms
	TimestampAfterMax  time.Duration          // message.timestamp.after.max.ms
}

// Forever is a duration that never passes: Kafka's 9223372036854775807 ms.
const Forever = time.Duration(math.MaxInt64)

// DefaultConfig returns Kafka 3.9's defaults of all topic settings.
func DefaultConfig() *Config {
	return &Config{
		SegmentSize:        1 << 30,
		SegmentAge:         7 * 24 * time.Hour,
		MaxIndexSize:       10 << 20,
		IndexInterval:      4096,
		FlushMessages:      math.MaxInt64,
		FlushInterval:      Forever,
		FileDeleteDelay:    time.Minute,
		Delete:             true,
		RetentionAge:       7 * 24 * time.Hour,
		RetentionSize:      -1,
		DeleteRetention:    24 * time.Hour,
		MaxCompactLag:      Forever,
		MinDirtyRatio:      0.5,
		MaxMessageSize:     1<<20 + protocol.BatchLogOverhead,
		ProducerCodec:      true,
		CompressionLevel:   CompressionLevelDefault,
		TimestampBeforeMax: Forever,
		TimestampAfterMax:  Forever,
	}
}

// CompressionLevelDefault asks for the codec's own default level.
const CompressionLevelDefault = math.MinInt32

// rollAge is the age at which a segment is full. Only what is not appended to any more can
// be compacted, so max.compaction.lag.ms bounds it too.
func (c *Config) rollAge() time.Duration {
	if c.Compact && c.MaxCompactLag > 0 {
		return min(c.SegmentAge, c.MaxCompactLag)
	}
	return c.SegmentAge
}

// SyncBeforeAck says whether every acknowledgement waits for the disk: by durable acks, or
// because flush.messages is 1.
func (c *Config) SyncBeforeAck() bool { return c.DurableAcks || c.FlushMessages <= 1 }
