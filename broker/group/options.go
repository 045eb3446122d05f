package group

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// OffsetsTopic is the internal topic that holds groups and committed offsets.
const OffsetsTopic = "__consumer_offsets"

// Config is the part of the broker's configuration that groups obey. The zero value of
// each field means Kafka's default, except where noted.
type Config struct {
	MinSessionTimeout     time.Duration // group.min.session.timeout.ms; 6 s
	MaxSessionTimeout     time.Duration // group.max.session.timeout.ms; 30 min
	InitialRebalanceDelay time.Duration // group.initial.rebalance.delay.ms; zero means none, not the default of 3 s
	MaxSize               int           // group.max.size; no bound

	OffsetMetadataMaxBytes        int            // offset.metadata.max.bytes, counted in characters; 4096
	OffsetsCommitTimeout          time.Duration  // offsets.commit.timeout.ms; 5 s
	OffsetsRetention              time.Duration  // offsets.retention.minutes; 7 days
	OffsetsRetentionCheckInterval time.Duration  // offsets.retention.check.interval.ms; 10 min
	OffsetsTopicCodec             protocol.Codec // offsets.topic.compression.codec; none
}

// Options of a [Coordinator].
type Options struct {
	Config   Config
	Storage  Storage                           // required
	Now      func() time.Time                  // time.Now
	After    func(time.Duration, func()) Timer // time.AfterFunc
	MemberID func() protocol.UUID              // the random part of member ids; protocol.NewUUID
	Logger   *slog.Logger                      // discards
}

// Timer is the part of *time.Timer that the coordinator needs; it uses one.
type Timer interface {
	Reset(time.Duration) bool
	Stop() bool
}

// Storage is the broker's side of __consumer_offsets.
type Storage interface {
	// PartitionCount is the number of partitions of the topic, 0 while it does not exist.
	PartitionCount() int32

	// MaxBatchBytes is the largest batch that the partition takes now; records are
	// gathered up to it. It is called where Append is.
	MaxBatchBytes(partition int32) int

	// Append appends one batch to a partition this broker leads and calls done exactly
	// once: with nil when the high watermark has passed it, or with the reason. It may
	// call done before it returns. w.Batch belongs to the coordinator again once done has
	// been called. At most one Append per partition is under way at any time.
	//
	// What done may bring, and what clients are told then: ErrRequestTimedOut and
	// ErrNotEnoughReplicasAfterAppend (the batch is in the log, but was not seen to be
	// replicated within w.Timeout), ErrNotEnoughReplicas, ErrUnknownTopicOrPartition: 15;
	// ErrNotLeaderOrFollower, ErrKafkaStorageError, ErrFencedLeaderEpoch: 16;
	// ErrMessageTooLarge, ErrRecordListTooLarge: 28; for transactional writes also what the
	// check of the transaction says. Anything else is UNKNOWN_SERVER_ERROR.
	Append(w Write, done func(error))

	// Load hands every batch of a partition, from its log start to its log end, to fn, in
	// order; whole batches of whatever magic, one at a time. The bytes are good until fn returns. It
	// returns early with fn's error, when ctx ends or when leadership is lost. What lies
	// above the high watermark is this leader's to commit, and counts.
	Load(ctx context.Context, partition int32, fn func(batch []byte) error) error
}

// Write is one batch for one partition of __consumer_offsets.
type Write struct {
	Partition   int32
	LeaderEpoch int32 // the leadership under which the coordinator decided; later ones refuse
	Batch       []byte
	Timeout     time.Duration // longest wait for replication

	// TransactionalID is set for the offsets of a transaction: the batch is transactional,
	// and whether its producer has that transaction open is for Append to verify.
	TransactionalID string
}

// Kafka's defaults.
const (
	defaultMinSessionTimeout = 6 * time.Second
	defaultMaxSessionTimeout = 30 * time.Minute
	defaultMetadataMaxBytes  = 4096
	defaultCommitTimeout     = 5 * time.Second
	defaultRetention         = 7 * 24 * time.Hour
	defaultRetentionCheck    = 10 * time.Minute
)

func (c Config) withDefaults() Config {
	setDefault(&c.MinSessionTimeout, defaultMinSessionTimeout)
	setDefault(&c.MaxSessionTimeout, defaultMaxSessionTimeout)
	setDefault(&c.MaxSize, math.MaxInt32)
	setDefault(&c.OffsetMetadataMaxBytes, defaultMetadataMaxBytes)
	setDefault(&c.OffsetsCommitTimeout, defaultCommitTimeout)
	setDefault(&c.OffsetsRetention, defaultRetention)
	setDefault(&c.OffsetsRetentionCheckInterval, defaultRetentionCheck)
	return c
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
