package log

import (
	"errors"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// UpTo says where a read or a search by timestamp stops.
type UpTo int8

const (
	// UpToHighWatermark is for consumers that read everything replicated.
	UpToHighWatermark UpTo = iota
	// UpToLastStable is for consumers that read committed transactions only.
	UpToLastStable
	// UpToLogEnd is for followers, and for readers within the broker.
	UpToLogEnd
)

// The timestamps that mean something else in [Log.OffsetForTimestamp].
const (
	TimestampLatest                int64 = -1
	TimestampEarliest              int64 = -2
	TimestampMax                   int64 = -3 // the record with the largest timestamp (KIP-734)
	TimestampEarliestLocal         int64 = -4 // KIP-405; the same as earliest without tiered storage
	TimestampLatestTiered          int64 = -5 // KIP-1005; nothing without tiered storage
	TimestampEarliestPendingUpload int64 = -6 // KIP-1023; nothing without tiered storage
)

// AppendOptions are the circumstances of an append by the leader.
type AppendOptions struct {
	LeaderEpoch    int32
	RequestVersion int16 // of the Produce request; newest if the broker itself appends
	Origin         AppendOrigin
}

// AppendInfo says what an append did.
type AppendInfo struct {
	FirstOffset    int64 // of the first record; of the batch found again if Duplicate
	LastOffset     int64 // of the last record, -1 if there was none
	LogAppendTime  int64 // -1 if the records keep the producer's timestamps
	LogStartOffset int64
	MaxTimestamp   int64
	RecordCount    int
	Size           int  // bytes written
	Duplicate      bool // nothing was written, the batch was here already
	LeaderEpoch    int32
}

// AbortedTransaction tells a consumer that reads committed records to skip those of a
// producer from an offset on, up to that producer's next abort marker.
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64
}

// FetchData is what [Log.Read] found. The receiver releases Region.
type FetchData struct {
	Region              Region
	FirstOffset         int64 // the offset asked for
	NextOffset          int64 // one past the last record in the region; what was asked for if it is empty
	LogStartOffset      int64
	HighWatermark       int64
	LastStableOffset    int64
	FirstBatchTooBig    bool // the region is empty because the first batch exceeds maxBytes
	AbortedTransactions []AbortedTransaction
}

// TimestampOffset is a record found by its timestamp.
type TimestampOffset struct {
	Timestamp   int64 // of the record; -1 at a log's ends
	Offset      int64 // -1 if there is none
	LeaderEpoch int32 // of the batch; -1 if unknown
}

var errTodo = errors.New("not yet")

// Log is the record batches of one partition replica. At all times
//
//	log start offset <= high watermark <= log end offset
//
// Its directory and data directory change only when the replica is moved to another
// data directory or deleted.
type Log struct{}

// Partition is the partition that the log is a replica of.
func (l *Log) Partition() protocol.TopicPartition { return protocol.TopicPartition{} }

// TopicID is the id in partition.metadata, or zero.
func (l *Log) TopicID() protocol.UUID { return protocol.UUID{} }

// SetTopicID writes partition.metadata for a log that has no topic id yet. It fails if
// the log has another one.
func (l *Log) SetTopicID(id protocol.UUID) error { return errTodo }

// DataDir is the data directory that the log is in, as it was configured.
func (l *Log) DataDir() string { return "" }

// Dir is the log's own directory.
func (l *Log) Dir() string { return "" }

// IsFuture says whether the log is a copy being made in another data directory, to
// replace the current one when it has caught up.
func (l *Log) IsFuture() bool { return false }

// Config returns the settings in force.
func (l *Log) Config() *Config { return nil }

// SetConfig puts other settings in force.
func (l *Log) SetConfig(c *Config) {}

// Err is nil while the log serves, else a [StorageError] or [ErrClosed].
func (l *Log) Err() error { return nil }

// LogStartOffset is the first offset still readable.
func (l *Log) LogStartOffset() int64 { return 0 }

// HighWatermark is the first offset not known to be on every in-sync replica.
func (l *Log) HighWatermark() int64 { return 0 }

// LastStableOffset is the lower of the high watermark and the first offset of the
// oldest open transaction.
func (l *Log) LastStableOffset() int64 { return 0 }

// LogEndOffset is the offset that the next record will get.
func (l *Log) LogEndOffset() int64 { return 0 }

// RecoveryPoint is the offset below which everything has been synced to the disk.
func (l *Log) RecoveryPoint() int64 { return 0 }

// SetHighWatermark moves the high watermark to offset, or to the nearest end of the log
// if it lies outside, and returns where it is now. A leader's never goes back: that is
// the caller's to ensure, by [Log.RaiseHighWatermark].
func (l *Log) SetHighWatermark(offset int64) int64 { return 0 }

// RaiseHighWatermark moves the high watermark up to offset, at most to the log end
// offset. It says whether it moved.
func (l *Log) RaiseHighWatermark(offset int64) bool { return false }

// Append writes the bytes of one partition of a Produce request, or batches that the
// broker built itself, as the leader of the partition in opts.LeaderEpoch: they are
// validated, get their offsets (in place where possible: records is changed), are
// checked against the producer's state, and written by one pwrite. The records are not
// kept. Errors are protocol errors as Kafka answers them, or a [StorageError].
func (l *Log) Append(records []byte, opts AppendOptions) (AppendInfo, error) {
	return AppendInfo{}, errTodo
}

// AppendAsFollower writes batches fetched from the leader as they are. A cut-off batch
// at the end is left out. Batches that the log has already are refused.
func (l *Log) AppendAsFollower(records []byte) (AppendInfo, error) { return AppendInfo{}, errTodo }

// Read returns the whole batches from the one that holds offset on, up to about maxBytes
// and to the limit that upTo names. With minOneBatch the first batch is returned even
// if it exceeds maxBytes. Aborted transactions are looked up for UpToLastStable only.
// At the limit the region is empty; past it, or before the log start offset, the error
// is an [OffsetOutOfRangeError].
func (l *Log) Read(offset int64, maxBytes int, upTo UpTo, minOneBatch bool) (FetchData, error) {
	return FetchData{}, errTodo
}

// BytesFrom estimates how many bytes a read from offset up to the limit would find,
// without touching a file. It is what decides whether a waiting fetch may be answered.
func (l *Log) BytesFrom(offset int64, upTo UpTo) int64 { return 0 }

// OffsetForTimestamp finds the first record whose timestamp is at or after timestamp and
// whose offset is below the limit that upTo names, or, for the special timestamps, what
// they mean. If there is none, Offset is -1.
func (l *Log) OffsetForTimestamp(timestamp int64, upTo UpTo) (TimestampOffset, error) {
	return TimestampOffset{}, errTodo
}

// LatestEpoch is the newest leader epoch known to the log, -1 if none is.
func (l *Log) LatestEpoch() int32 { return -1 }

// EpochForOffset is the leader epoch in which the record at offset was written, -1 if
// unknown.
func (l *Log) EpochForOffset(offset int64) int32 { return -1 }

// AssignEpoch notes that the leader epoch begins at startOffset, as a replica does that
// becomes leader. Nothing is written until a record is appended in it.
func (l *Log) AssignEpoch(epoch int32, startOffset int64) error { return errTodo }

// EndOffsetForEpoch answers OffsetForLeaderEpoch: the largest epoch known that is not
// above the one asked for, and where it ended. Both are -1 if there is none.
func (l *Log) EndOffsetForEpoch(epoch int32) (foundEpoch int32, endOffset int64) { return -1, -1 }

// TruncateTo removes everything from offset on. It says whether anything was removed.
func (l *Log) TruncateTo(offset int64) (bool, error) { return false, errTodo }

// TruncateFullyAndStartAt removes everything and starts an empty log at offset.
func (l *Log) TruncateFullyAndStartAt(offset int64) error { return errTodo }

// DeleteRecordsTo raises the log start offset to offset, or to the high watermark if
// offset is -1, and removes the segments wholly below it in the background. It returns
// the log start offset.
func (l *Log) DeleteRecordsTo(offset int64) (int64, error) { return 0, errTodo }

// RaiseLogStartOffset raises the log start offset to where the leader's is. It is a
// follower's DeleteRecordsTo and says whether anything changed.
func (l *Log) RaiseLogStartOffset(offset int64) (bool, error) { return false, errTodo }

// Flush makes everything appended so far durable and raises the recovery point.
func (l *Log) Flush() error { return errTodo }

// WaitDurable calls done once everything below offset has been synced to the disk, or
// could not be. Waiters of all logs of a data directory share syncs; done is called
// from the directory's flusher, or at once if there is nothing to wait for, and must
// not block.
func (l *Log) WaitDurable(offset int64, done func(error)) {}

// Size is the bytes of all segments.
func (l *Log) Size() int64 { return 0 }

// SegmentCount is the number of segments.
func (l *Log) SegmentCount() int { return 0 }

// ActiveProducers lists the producers that the log remembers.
func (l *Log) ActiveProducers() []ActiveProducer { return nil }

// LastFlush is when the log was last synced.
func (l *Log) LastFlush() time.Time { return time.Time{} }
