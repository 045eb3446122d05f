package log

import (
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// CleanableLog is what compaction needs of a log; [Log] gives it.
type CleanableLog interface {
	Partition() protocol.TopicPartition
	DataDir() string // where the cleaner's checkpoint is
	Config() *Config

	LogStartOffset() int64
	LogEndOffset() int64
	LastStableOffset() int64

	// CleanableSegments returns all segments, oldest first; the last is the active one.
	CleanableSegments() []CleanableSegment

	// AbortedTxnsIn returns the aborted transactions that overlap the offsets from up to,
	// not including, to.
	AbortedTxnsIn(from, to int64) ([]AbortedTxn, error)

	// LastRecordsOfProducers returns what must be kept of each active producer.
	LastRecordsOfProducers() map[int64]LastRecord

	// NewCleanedSegment creates an empty segment whose files have the suffix .cleaned.
	// Leftovers of an earlier attempt are overwritten.
	NewCleanedSegment(baseOffset int64) (CleanedSegment, error)

	// ReplaceSegments puts a cleaned and sealed segment in the place of the segments it
	// was made from: its files are renamed to .swap, the old ones to .deleted, the .swap
	// ones to their final names, so that recovery can finish or undo after a crash at any
	// point. It fails if any of the old segments is no longer part of the log.
	ReplaceSegments(cleaned CleanedSegment, old []CleanableSegment) error

	// DeleteOldSegments applies retention, and removes what lies below the log start
	// offset, for logs that are compacted too. It returns the number of segments removed.
	DeleteOldSegments() (int, error)
}

// CleanableSegment is a segment that compaction reads. It stays readable while it is
// being compacted even if the log lets go of it meanwhile; then the pass fails.
type CleanableSegment interface {
	BaseOffset() int64
	Size() int64
	OffsetIndexSize() int64
	TimeIndexSize() int64
	LastModified() time.Time

	// LargestTimestamp is the largest of the segment's records, or its modification time
	// in milliseconds if it has no timestamps.
	LargestTimestamp() (int64, error)
	// FirstBatchTimestamp is the max timestamp of the first batch, or -1.
	FirstBatchTimestamp() (int64, error)
	// NextOffset is one past the last offset in the segment.
	NextOffset() (int64, error)
	// PositionBefore returns a place in the file at which a batch begins and before which
	// there are only offsets below offset, by the offset index.
	PositionBefore(offset int64) (int64, error)
	// ReadAt reads the file of batches.
	ReadAt(p []byte, pos int64) (int, error)
}

// CleanedSegment is a segment that compaction writes. One goroutine uses it.
type CleanedSegment interface {
	AbortedTxnAppender

	Size() int64
	// Append writes whole batches and adds to the indexes, one entry at most. lastOffset is the last offset
	// of the last batch, maxTimestamp the largest of them and offsetOfMaxTimestamp the
	// last offset of the batch that has it. The bytes are not kept.
	Append(lastOffset, maxTimestamp, offsetOfMaxTimestamp int64, batches []byte) error
	// Seal makes the segment what an inactive one is: indexes trimmed, all synced, and
	// modified stamped on its files.
	Seal(modified time.Time) error
	// Discard closes and deletes the files. It may follow any other call, but a
	// successful ReplaceSegments.
	Discard() error
}
