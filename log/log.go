package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

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
	LastOffset     int64 // of the last record, one before FirstOffset if nothing was appended
	LogAppendTime  int64 // -1 if the records keep the producer's timestamps
	LogStartOffset int64
	MaxTimestamp   int64
	RecordCount    int
	Size           int  // bytes written
	Duplicate      bool // nothing was written, the batch was here already
	LeaderEpoch    int32
	MustSync       bool // acknowledge only after WaitDurable(LastOffset+1), for durable acks and flush.messages
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
	FirstBatchTooBig    bool // the region is a piece of the first batch, which exceeds maxBytes
	AbortedTransactions []AbortedTransaction
}

// TimestampOffset is a record found by its timestamp.
type TimestampOffset struct {
	Timestamp   int64 // of the record; -1 at a log's ends
	Offset      int64 // -1 if there is none
	LeaderEpoch int32 // of the batch; -1 if unknown
}

// Log is the record batches of one partition replica. At all times
//
//	log start offset <= high watermark <= log end offset
//
// and the base offset of the first segment is not above the log start offset.
//
// Lock order: mu, then openMu, then the locks of the manager's segment cache, flushers
// and checkpoints. mu of two logs is never held at once, but for TryLock.
type Log struct {
	// Constant after open.
	partition protocol.TopicPartition
	manager   *Manager

	// Read without mu, written with it held: a fetch never waits behind an append.

	location atomic.Pointer[location]
	config   atomic.Pointer[Config]
	segments atomic.Pointer[segmentList]
	epochs   atomic.Pointer[LeaderEpochCache] // nil until needed

	// Odd while the log end offset and the active segment's size change together.
	endVersion     atomic.Uint32
	truncations    atomic.Uint32 // counts the times that something readable was cut off
	truncating     atomic.Bool   // while something is being cut off: not to be noted as progress
	producersSeen  atomic.Bool   // a producer id has been appended, or was known at the start
	namesChanged   atomic.Bool   // files were removed that a power cut must not bring back
	created        atomic.Bool   // the directory is known to be on the disk
	closed         atomic.Bool
	dirty          atomic.Bool // on its directory's list of logs with news for the next progress note
	topicID        [2]atomic.Uint64
	logStartOffset atomic.Int64
	highWatermark  atomic.Int64
	logEndOffset   atomic.Int64
	firstUnstable  atomic.Int64 // first offset of the oldest open transaction, or -1
	recoveryPoint  atomic.Int64 // everything below is synced, indexes too
	durableOffset  atomic.Int64 // all batches below are synced; not below the recovery point
	lastFlushMs    atomic.Int64

	mu        sync.Mutex            // serializes append, roll, truncation, retention; never held over an fsync
	producers *ProducerStateManager // nil until needed
	waiters   *durableWaiters       // who waits for durableOffset to rise; nil without any
	successor *Log                  // takes the log's place; from then on durableOffset stands, and no waiter is answered here

	snapshotBytes int64 // appended since the newest producer snapshot

	failure atomic.Pointer[StorageError] // why this log alone is offline, or nil

	openMu  sync.Mutex // held while a segment's file is opened
	flushMu sync.Mutex // held while the log is flushed: one flush at a time
}

// location is where a log's directory is. It changes as a whole, when the replica is
// renamed or moved.
type location struct {
	dir    *dataDir
	name   string // of the directory if it has a suffix, else "" for topic-partition
	future bool
}

// Partition is the partition that the log is a replica of.
func (l *Log) Partition() protocol.TopicPartition { return l.partition }

// TopicID is the id in partition.metadata, or zero.
func (l *Log) TopicID() protocol.UUID { return uuidOf(l.topicID[0].Load(), l.topicID[1].Load()) }

func (l *Log) storeTopicID(id protocol.UUID) {
	high, low := uuidHalves(id)
	l.topicID[0].Store(high)
	l.topicID[1].Store(low)
}

// uuidHalves and uuidOf take an id apart and together, for a pair of atomic integers.
func uuidHalves(id protocol.UUID) (high, low uint64) {
	return binary.BigEndian.Uint64(id[:]), binary.BigEndian.Uint64(id[8:])
}

func uuidOf(high, low uint64) (id protocol.UUID) {
	binary.BigEndian.PutUint64(id[:], high)
	binary.BigEndian.PutUint64(id[8:], low)
	return id
}

// SetTopicID writes partition.metadata for a log that has no topic id yet. It fails if
// the log has another one.
func (l *Log) SetTopicID(id protocol.UUID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	switch known := l.TopicID(); {
	case known == id || id.IsZero():
		return nil
	case !known.IsZero():
		return protocol.Errorf(protocol.ErrInconsistentTopicID,
			"partition %v has topic id %v on disk, not %v", l.partition, known, id)
	}
	if err := WritePartitionMetadata(l.fs(), l.Dir(), id); err != nil {
		return l.fail("write partition.metadata", err)
	}
	l.storeTopicID(id)
	return nil
}

// DataDir is the data directory that the log is in, as it was configured.
func (l *Log) DataDir() string { return l.location.Load().dir.path }

// Dir is the log's own directory.
func (l *Log) Dir() string {
	loc := l.location.Load()
	return filepath.Join(loc.dir.path, l.nameAt(loc))
}

func (l *Log) nameAt(loc *location) string {
	if loc.name != "" {
		return loc.name
	}
	return l.partition.String()
}

// IsFuture says whether the log is a copy being made in another data directory, to
// replace the current one when it has caught up.
func (l *Log) IsFuture() bool { return l.location.Load().future }

func (l *Log) fs() FS { return l.manager.opts.FS }

// Config returns the settings in force.
func (l *Log) Config() *Config { return l.config.Load() }

// SetConfig puts other settings in force.
func (l *Log) SetConfig(c *Config) { l.config.Store(c) }

// Err is nil while the log serves, else a [StorageError] or [ErrClosed].
func (l *Log) Err() error {
	if l.closed.Load() {
		return ErrClosed
	}
	if e := l.failure.Load(); e != nil {
		return e
	}
	return l.location.Load().dir.err()
}

// fail returns what to tell the caller of an error. If a file could not be read or written
// it takes the log out of service, and, if the system says that the disk is to blame, the
// whole data directory.
func (l *Log) fail(op string, err error) error {
	var (
		storage *StorageError
		corrupt *CorruptBatchError
		code    protocol.ErrorCode
	)
	switch {
	case l.closed.Load():
		return ErrClosed
	case errors.As(err, &storage), errors.As(err, &corrupt), errors.As(err, &code):
		return err
	}
	dir := l.location.Load().dir
	reading := op == "read" || op == "search by timestamp"
	op = fmt.Sprintf("%s of %v", op, l.partition)
	if reading && (errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)) {
		return &StorageError{Dir: dir.path, Op: op, Err: err} // nothing is wrong with the disk, and nothing has changed on it
	}
	if isDiskError(err) {
		return dir.fail(op, err)
	}
	failure := &StorageError{Dir: dir.path, Op: op, Err: err}
	if l.failure.CompareAndSwap(nil, failure) {
		l.manager.opts.Logger.Error("Partition is offline, it is not served until it is repaired and the broker restarted",
			"partition", l.partition, "dir", l.Dir(), "operation", op, "err", err)
	}
	return failure
}

// LogStartOffset is the first offset still readable.
func (l *Log) LogStartOffset() int64 { return l.logStartOffset.Load() }

// HighWatermark is the first offset not known to be on every in-sync replica.
func (l *Log) HighWatermark() int64 { return l.highWatermark.Load() }

// LastStableOffset is the lower of the high watermark and the first offset of the
// oldest open transaction.
func (l *Log) LastStableOffset() int64 {
	highWatermark := l.highWatermark.Load()
	if unstable := l.firstUnstable.Load(); unstable >= 0 && unstable < highWatermark {
		return unstable
	}
	return highWatermark
}

// LogEndOffset is the offset that the next record will get.
func (l *Log) LogEndOffset() int64 { return l.logEndOffset.Load() }

// RecoveryPoint is the offset below which everything has been synced to the disk.
func (l *Log) RecoveryPoint() int64 { return l.recoveryPoint.Load() }

// DurableOffset is the offset below which the batches are known to be on the disk. It
// runs ahead of the recovery point, which waits for the indexes too.
func (l *Log) DurableOffset() int64 { return l.durableOffset.Load() }

// SetHighWatermark moves the high watermark to offset, or to the nearest end of the log
// if it lies outside, and returns where it is now. A leader's never goes back: that is
// the caller's to ensure, by [Log.RaiseHighWatermark].
func (l *Log) SetHighWatermark(offset int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.setHighWatermarkLocked(offset)
}

func (l *Log) setHighWatermarkLocked(offset int64) int64 {
	offset = min(max(offset, l.logStartOffset.Load()), l.logEndOffset.Load())
	l.highWatermark.Store(offset)
	l.location.Load().dir.noteWatermark()
	l.updateFirstUnstableLocked()
	return offset
}

// RaiseHighWatermark moves the high watermark up to offset, at most to the log end
// offset. It says whether it moved.
func (l *Log) RaiseHighWatermark(offset int64) bool {
	for {
		now := l.highWatermark.Load()
		offset = min(offset, l.logEndOffset.Load())
		if offset <= now {
			return false
		}
		if l.highWatermark.CompareAndSwap(now, offset) {
			break
		}
	}
	l.location.Load().dir.noteWatermark()
	if l.firstUnstable.Load() >= 0 {
		l.mu.Lock()
		l.updateFirstUnstableLocked()
		l.mu.Unlock()
	}
	return true
}

// updateFirstUnstableLocked finds the oldest open transaction anew, after the high
// watermark, the log start offset or the producer state has changed.
func (l *Log) updateFirstUnstableLocked() {
	if l.producers == nil {
		return
	}
	l.producers.OnHighWatermark(l.highWatermark.Load())
	first, ok := l.producers.FirstUnstableOffset()
	if !ok {
		first = -1
	} else {
		first = max(first, l.logStartOffset.Load())
	}
	if l.firstUnstable.Load() != first {
		l.firstUnstable.Store(first)
	}
}

// endOf returns the log end offset and the size that the active segment of segments had
// when the log ended there.
func (l *Log) end() (segments segmentList, logEndOffset, activeSize int64) {
	for {
		version := l.endVersion.Load()
		segments = *l.segments.Load()
		logEndOffset = l.logEndOffset.Load()
		activeSize = segments.active().size.Load()
		if version&1 == 0 && l.endVersion.Load() == version {
			return segments, logEndOffset, activeSize
		}
	}
}

// LatestEpoch is the newest leader epoch known to the log, -1 if none is.
func (l *Log) LatestEpoch() int32 {
	if c, err := l.epochCache(); err == nil {
		return c.LatestEpoch()
	}
	return -1
}

// EpochForOffset is the leader epoch in which the record at offset was written, -1 if
// unknown.
func (l *Log) EpochForOffset(offset int64) int32 {
	if c, err := l.epochCache(); err == nil {
		return c.EpochForOffset(offset)
	}
	return -1
}

// AssignEpoch notes that the leader epoch begins at startOffset, as a replica does that
// becomes leader. Nothing is written until a record is appended in it.
func (l *Log) AssignEpoch(epoch int32, startOffset int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, err := l.epochCacheLocked()
	if err == nil {
		_, err = c.Assign(epoch, startOffset)
	}
	return err
}

// EndOffsetForEpoch answers OffsetForLeaderEpoch: the largest epoch known that is not
// above the one asked for, and where it ended. Both are -1 if there is none.
func (l *Log) EndOffsetForEpoch(epoch int32) (foundEpoch int32, endOffset int64) {
	c, err := l.epochCache()
	if err != nil {
		return -1, -1
	}
	return c.EndOffsetFor(epoch, l.logEndOffset.Load())
}

func (l *Log) epochCache() (*LeaderEpochCache, error) {
	if c := l.epochs.Load(); c != nil {
		return c, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epochCacheLocked()
}

func (l *Log) epochCacheLocked() (*LeaderEpochCache, error) {
	if c := l.epochs.Load(); c != nil {
		return c, nil
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	c, err := OpenLeaderEpochCache(l.fs(), l.Dir())
	if err != nil {
		return nil, l.fail("read leader epochs", err)
	}
	l.epochs.Store(c)
	return c, nil
}

// producersLocked returns the producer state, which is loaded if it is not in memory.
func (l *Log) producersLocked() (*ProducerStateManager, error) {
	if l.producers != nil {
		return l.producers, nil
	}
	p := NewProducerStateManager(l.partition, l.Dir(), l.fs(), l.manager.opts.ProducerState, l.manager.opts.Logger)
	end := l.logEndOffset.Load()
	if end == 0 {
		l.producers = p
		return p, nil
	}
	err := p.ListSnapshots()
	if err == nil {
		err = l.reloadProducersLocked(p, end)
	}
	if err != nil {
		return nil, l.fail("load producer state", err)
	}
	l.producers = p
	l.updateFirstUnstableLocked()
	return p, nil
}

// reloadProducersLocked makes p the state of the log up to end: from the newest snapshot
// and the batches after it.
func (l *Log) reloadProducersLocked(p *ProducerStateManager, end int64) error {
	return l.reloadProducersBelowLocked(p, end, math.MaxInt64)
}

// reloadProducersBelowLocked is reloadProducersLocked from a snapshot below an offset.
func (l *Log) reloadProducersBelowLocked(p *ProducerStateManager, end, below int64) error {
	if err := p.truncateAndReloadBelow(l.logStartOffset.Load(), end, below, l.manager.nowMs()); err != nil {
		return err
	}
	if err := l.recallBatches(p, *l.segments.Load(), p.EndOffset()); err != nil {
		return err
	}
	if p.EndOffset() < end {
		if err := l.replayProducers(p, *l.segments.Load(), p.EndOffset(), end); err != nil {
			return err
		}
	}
	p.SetEndOffset(end)
	return nil
}

// ActiveProducers lists the producers that the log remembers.
func (l *Log) ActiveProducers() []ActiveProducer {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.producersLocked()
	if err != nil {
		return nil
	}
	return p.ActiveProducers()
}

// Size is the bytes of all segments.
func (l *Log) Size() int64 { return l.segments.Load().size() }

// SegmentCount is the number of segments.
func (l *Log) SegmentCount() int { return len(*l.segments.Load()) }

// LastFlush is when the log was last synced.
func (l *Log) LastFlush() time.Time { return time.UnixMilli(l.lastFlushMs.Load()) }
