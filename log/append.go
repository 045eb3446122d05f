package log

import (
	"errors"
	"math"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// Append writes the bytes of one partition of a Produce request, or batches that the
// broker built itself, as the leader of the partition in opts.LeaderEpoch: they are
// validated, get their offsets (in place where possible: records is changed), are
// checked against the producer's state, and written by one pwrite. The records are not
// kept. Errors are protocol errors as Kafka answers them, or a [StorageError].
func (l *Log) Append(records []byte, opts AppendOptions) (AppendInfo, error) {
	cfg := l.config.Load()
	now := l.manager.nowMs()
	v := l.manager.validators.Get().(*protocol.Validator)
	defer l.manager.validators.Put(v) // what it returns may lie in its own memory
	result, err := l.validate(v, records, cfg, opts, now)
	if err != nil || len(result.Batches) == 0 {
		return l.refused(), err
	}
	l.mu.Lock()
	info, err := l.appendAsLeaderLocked(&result, cfg, opts, now)
	l.mu.Unlock()
	if err != nil {
		return info, l.fail("append to", err)
	}
	return info, nil
}

// validate checks records to append. Without an error and without batches there is nothing
// to do.
func (l *Log) validate(v *protocol.Validator, records []byte, cfg *Config, opts AppendOptions, nowMs int64) (protocol.ValidateResult, error) {
	result, err := v.Validate(records, validateSettings(l.partition, cfg, opts, nowMs))
	if err != nil {
		return result, err
	}
	if size := int64(len(result.Batches)); size > cfg.SegmentSize {
		return result, protocol.Errorf(protocol.ErrRecordListTooLarge,
			"Message batch size is %d bytes in append to partition %v, which exceeds the maximum configured segment size of %d.",
			size, l.partition, cfg.SegmentSize)
	}
	return result, nil
}

// refused is the info of an append that wrote nothing.
func (l *Log) refused() AppendInfo {
	return AppendInfo{FirstOffset: -1, LastOffset: -1, LogAppendTime: -1, MaxTimestamp: -1, LogStartOffset: l.LogStartOffset(), LeaderEpoch: -1}
}

func validateSettings(tp protocol.TopicPartition, cfg *Config, opts AppendOptions, nowMs int64) protocol.ValidateSettings {
	s := protocol.ValidateSettings{
		Partition:            tp,
		RequestVersion:       opts.RequestVersion,
		TargetCodec:          cfg.Compression,
		CodecLevel:           cfg.CompressionLevel,
		TimestampType:        cfg.TimestampType,
		TimestampBeforeMaxMs: durationMs(cfg.TimestampBeforeMax),
		TimestampAfterMaxMs:  durationMs(cfg.TimestampAfterMax),
		MaxMessageBytes:      int32(min(max(cfg.MaxMessageSize, 1), math.MaxInt32)), // 0 lets nothing through, as 1 does
		CompactedTopic:       cfg.Compact,
		NowMs:                nowMs,
		LeaderEpoch:          opts.LeaderEpoch,
	}
	if cfg.ProducerCodec {
		s.TargetCodec = protocol.CodecProducer
	}
	if cfg.CompressionLevel == CompressionLevelDefault {
		s.CodecLevel = 0
	}
	switch opts.Origin {
	case OriginCoordinator:
		s.Origin = protocol.OriginCoordinator
	case OriginReplication:
		s.Origin = protocol.OriginReplica
	default:
		s.Origin = protocol.OriginClient
	}
	return s
}

// durationMs is a setting in milliseconds; Forever is for ever there too.
func durationMs(d time.Duration) int64 {
	if d == Forever {
		return math.MaxInt64
	}
	return d.Milliseconds()
}

func (l *Log) appendAsLeaderLocked(r *protocol.ValidateResult, cfg *Config, opts AppendOptions, nowMs int64) (AppendInfo, error) {
	if err := l.Err(); err != nil {
		return l.refused(), err
	}
	producers, err := l.producersLocked()
	if err != nil {
		return l.refused(), err
	}
	first := l.logEndOffset.Load()
	r.Assign(first, opts.LeaderEpoch)
	info := AppendInfo{
		FirstOffset: first, LastOffset: r.LastOffset, LogAppendTime: r.LogAppendTimeMs, LogStartOffset: l.logStartOffset.Load(),
		MaxTimestamp: r.MaxTimestamp, RecordCount: int(r.RecordCount), Size: len(r.Batches), LeaderEpoch: opts.LeaderEpoch,
	}
	if err := l.noteEpochLocked(r.Header.LeaderEpoch, first); err != nil {
		return l.refused(), err
	}
	s, err := l.segmentForLocked(cfg, int64(len(r.Batches)), first, r.LastOffset, r.MaxTimestamp, nowMs)
	if err != nil {
		return l.refused(), err
	}
	duplicate, isDuplicate, err := producers.Prepare(opts.Origin, &r.Header, r.Batches)
	if err != nil {
		return l.refused(), err
	}
	if isDuplicate {
		info.setDuplicate(duplicate)
		info.MustSync = cfg.DurableAcks && l.durableOffset.Load() <= duplicate.LastOffset
		return info, nil
	}
	if r.Header.HasProducerID() && !l.producersSeen.Load() {
		l.producersSeen.Store(true)
	}
	if err := l.writeLocked(s, cfg, r.Batches, r.LastOffset); err != nil {
		producers.Discard()
		return l.refused(), err
	}
	err = l.commitLocked(producers, r.LastOffset+1)
	info.MustSync = l.mustSyncLocked(cfg)
	return info, err
}

// mustSyncLocked says whether what has just been appended must be synced before it is
// acknowledged. If it is because of flush.messages, a flush is under way already.
func (l *Log) mustSyncLocked(cfg *Config) bool {
	end := l.logEndOffset.Load()
	if end-l.recoveryPoint.Load() < cfg.FlushMessages {
		return cfg.DurableAcks
	}
	l.location.Load().dir.flusher.flushTo(l, end)
	return true
}

// noteEpochLocked notes that a batch at offset was written in a leader epoch.
func (l *Log) noteEpochLocked(epoch int32, offset int64) error {
	if epoch < 0 {
		return nil
	}
	c, err := l.epochCacheLocked()
	if err == nil {
		_, err = c.Assign(epoch, offset)
	}
	return err
}

// commitLocked lets the batches just written take effect on the producers' state.
func (l *Log) commitLocked(producers *ProducerStateManager, endOffset int64) error {
	if err := producers.Commit(endOffset, (*activeTxnAppender)(l)); err != nil {
		return err
	}
	// Most appends change nothing here, and cost no more than this.
	if _, unstable := producers.FirstUnstableOffset(); unstable || l.firstUnstable.Load() >= 0 {
		l.updateFirstUnstableLocked()
	}
	return nil
}

// activeTxnAppender is a log that adds aborted transactions to its active segment's index.
type activeTxnAppender Log

// AppendAbortedTxn implements [AbortedTxnAppender].
func (a *activeTxnAppender) AppendAbortedTxn(t AbortedTxn) error {
	l := (*Log)(a)
	return txnAppender{l, l.segments.Load().active()}.AppendAbortedTxn(t)
}

// txnAppender adds aborted transactions to the transaction index of a segment, which is
// made when it gets its first.
type txnAppender struct {
	log     *Log
	segment *segment
}

// AppendAbortedTxn implements [AbortedTxnAppender].
func (a txnAppender) AppendAbortedTxn(t AbortedTxn) error {
	x := a.segment.txnIndex.Load()
	if x == nil {
		x = OpenTransactionIndex(a.log.fs(), a.segment.path(a.log.Dir(), TxnIndexSuffix))
	}
	if err := x.Append(t); err != nil {
		return err
	}
	a.segment.txnIndex.Store(x)
	return nil
}

// AppendAsFollower writes batches fetched from the leader as they are. A cut-off batch
// at the end is left out. Batches that the log has already are refused.
func (l *Log) AppendAsFollower(records []byte) (AppendInfo, error) {
	return l.AppendFetched(records, math.MaxInt32)
}

// AppendFetched is AppendAsFollower for what was fetched from the leader of leaderEpoch:
// from the first batch of a later epoch on nothing is written, for the leader's log may
// have changed while it was read (KAFKA-18723).
func (l *Log) AppendFetched(records []byte, leaderEpoch int32) (AppendInfo, error) {
	set, err := l.checkReplicated(records, leaderEpoch)
	if err != nil {
		return l.refused(), err
	}
	if set.size == 0 {
		return l.refused(), nil
	}
	l.mu.Lock()
	info, err := l.appendAsFollowerLocked(set, records[:set.size])
	l.mu.Unlock()
	if err != nil {
		return info, l.fail("append to", err)
	}
	return info, nil
}

// replicatedSet is what the batches of one fetch from a leader amount to.
type replicatedSet struct {
	size         int
	count        int
	firstOffset  int64 // of the first batch; the last offset of that, for magic 0 and 1
	lastOffset   int64
	maxTimestamp int64
	lastEpoch    int32
	legacy       bool // some batch has magic 0 or 1
	rollOffset   int64
}

// checkReplicated checks the batches' lengths, checksums and order.
func (l *Log) checkReplicated(records []byte, leaderEpoch int32) (replicatedSet, error) {
	set := replicatedSet{firstOffset: -1, lastOffset: -1, maxTimestamp: noTimestamp, lastEpoch: -1}
	for pos := 0; pos < len(records); {
		h, err := parseBatchHeader(records[pos:], int64(pos))
		if errors.Is(err, protocol.ErrBatchTruncated) || err == nil && h.end() > int64(len(records)) {
			break
		}
		if err == nil && h.epoch > leaderEpoch {
			l.manager.opts.Logger.Warn("Leader sent a batch of a later epoch, the rest is left out",
				"partition", l.partition, "leaderEpoch", leaderEpoch, "batchEpoch", h.epoch, "offset", h.baseOffset)
			break
		}
		if err == nil {
			err = protocol.CheckCRC(records[pos:h.end()])
		}
		if err != nil {
			return set, protocol.Errorf(protocol.ErrCorruptMessage, "batch at offset %d of %v from the leader: %v", h.baseOffset, l.partition, err)
		}
		if h.lastOffset <= set.lastOffset {
			return set, protocol.Errorf(protocol.ErrCorruptMessage, "batches of %v from the leader are out of order: %d after %d", l.partition, h.lastOffset, set.lastOffset)
		}
		if set.count == 0 {
			set.firstOffset, set.rollOffset = h.baseOffset, h.baseOffset
		}
		if h.maxTime > set.maxTimestamp {
			set.maxTimestamp = h.maxTime
		}
		set.legacy = set.legacy || h.magic < 2
		set.lastOffset, set.lastEpoch = h.lastOffset, h.epoch
		set.count++
		pos += int(h.size)
		set.size = pos
	}
	if set.legacy {
		// The first offset of a compressed set of old messages is inside; this is not
		// above it, for offsets in one append differ by less.
		set.rollOffset = set.lastOffset - math.MaxInt32
	}
	return set, nil
}

func (l *Log) appendAsFollowerLocked(set replicatedSet, records []byte) (AppendInfo, error) {
	if err := l.Err(); err != nil {
		return l.refused(), err
	}
	if end := l.logEndOffset.Load(); set.firstOffset < end {
		return l.refused(), &OutOfOrderOffsetsError{Partition: l.partition, First: set.firstOffset, LogEnd: end}
	}
	cfg := l.config.Load()
	now := l.manager.nowMs()
	producers, err := l.producersLocked()
	if err != nil {
		return l.refused(), err
	}
	if int64(len(records)) > cfg.SegmentSize {
		return l.refused(), protocol.Errorf(protocol.ErrRecordListTooLarge,
			"Message batch size is %d bytes in append to partition %v, which exceeds the maximum configured segment size of %d.",
			len(records), l.partition, cfg.SegmentSize)
	}
	s, err := l.segmentForLocked(cfg, int64(len(records)), set.rollOffset, set.lastOffset, set.maxTimestamp, now)
	if err != nil {
		return l.refused(), err
	}
	if err := l.prepareReplicatedLocked(producers, records); err != nil {
		return l.refused(), err
	}
	if err := l.writeLocked(s, cfg, records, set.lastOffset); err != nil {
		producers.Discard()
		return l.refused(), err
	}
	err = l.commitLocked(producers, set.lastOffset+1)
	return AppendInfo{
		FirstOffset: set.firstOffset, LastOffset: set.lastOffset, LogAppendTime: -1, LogStartOffset: l.logStartOffset.Load(),
		MaxTimestamp: set.maxTimestamp, Size: len(records), LeaderEpoch: set.lastEpoch, MustSync: l.mustSyncLocked(cfg),
	}, err
}

// prepareReplicatedLocked notes the epochs and producers of batches that were checked.
func (l *Log) prepareReplicatedLocked(producers *ProducerStateManager, records []byte) error {
	for len(records) > 0 {
		_, magic, size, err := protocol.PeekBatch(records)
		if err != nil {
			return err
		}
		if magic < 2 {
			// A leader that still writes old formats knows no epochs; without ours,
			// truncation goes by the high watermark, as it does there.
			if c, err := l.epochCacheLocked(); err != nil {
				return err
			} else if c.LatestEpoch() >= 0 {
				c.Clear()
			}
		} else {
			h, err := protocol.ParseRecordBatch(records)
			if err == nil {
				err = l.noteEpochLocked(h.LeaderEpoch, h.BaseOffset)
			}
			if err == nil && h.HasProducerID() {
				l.producersSeen.Store(true)
			}
			if err == nil {
				_, _, err = producers.Prepare(OriginReplication, &h, records[:size])
			}
			if err != nil {
				return err
			}
		}
		records = records[size:]
	}
	return nil
}

// writeLocked writes whole batches to the end of the active segment s, adds to its
// indexes what Apache Kafka would, and makes them visible to readers. If it fails the
// log is as it was; bytes that reached the file are overwritten or cut off later.
func (l *Log) writeLocked(s *segment, cfg *Config, batches []byte, lastOffset int64) error {
	o, x, err := l.openForAppendLocked(s)
	if err != nil {
		return err
	}
	pos := s.size.Load()
	if _, err := o.file.f.WriteAt(batches, pos); err != nil {
		return err
	}
	if err := s.noteWritten(x, cfg.IndexInterval, pos, batches); err != nil {
		return err
	}
	l.snapshotBytes += int64(len(batches))
	l.endVersion.Add(1)
	s.size.Store(pos + int64(len(batches)))
	l.logEndOffset.Store(lastOffset + 1)
	l.endVersion.Add(1)
	if !l.dirty.Load() {
		l.location.Load().dir.markDirty(l)
	}
	return nil
}

// noteWritten adds to the segment's indexes what belongs there after whole batches have
// been written at pos: an entry for each batch before which the interval has passed.
func (s *segment) noteWritten(x *activeIndexes, interval, pos int64, batches []byte) error {
	for len(batches) > 0 {
		h, err := parseBatchHeader(batches, pos)
		if err != nil {
			return err
		}
		if pos == 0 {
			s.firstTimestamp = h.maxTime
		}
		if h.maxTime > s.maxTimestamp.Load() {
			s.maxTimestamp.Store(h.maxTime)
			s.maxTimestampOffset = h.lastOffset
			s.timeDirty = true
		}
		if s.bytesSinceIndex > interval {
			if err := x.offsets.append(indexEntry{h.lastOffset - s.baseOffset, uint32(pos)}); err != nil {
				return err
			}
			if err := x.noteTime(s); err != nil {
				return err
			}
			s.bytesSinceIndex = 0
		}
		s.bytesSinceIndex += h.size
		pos += h.size
		batches = batches[h.size:]
	}
	return nil
}

// noteTime adds the segment's largest timestamp to the time index if it has grown since
// the newest entry.
func (x *activeIndexes) noteTime(s *segment) error {
	s.timeDirty = false
	largest := s.maxTimestamp.Load()
	if largest <= x.lastTime.key {
		return nil
	}
	e := indexEntry{largest, uint32(s.maxTimestampOffset - s.baseOffset)}
	if err := x.times.append(e); err != nil {
		return err
	}
	x.lastTime = e
	return nil
}

// openForAppendLocked opens the active segment with its indexes.
func (l *Log) openForAppendLocked(s *segment) (*openSegment, *activeIndexes, error) {
	o := s.open.Load()
	if o == nil {
		var err error
		if o, err = l.acquire(s, s.size.Load() == 0); err != nil {
			return nil, nil, err
		}
		// The segment's own hold suffices: only who has mu closes an active segment.
		o.file.release()
	} else if !o.used.Load() {
		o.used.Store(true)
	}
	x := o.indexes.Load()
	if x == nil {
		var err error
		if x, err = l.loadIndexesLocked(s); err != nil {
			return nil, nil, err
		}
		o.indexes.Store(x)
		o.cache.reset() // it knows the file as it was
	}
	return o, x, nil
}

func (l *Log) loadIndexesLocked(s *segment) (*activeIndexes, error) {
	dir := l.Dir()
	if s.size.Load() == 0 && s.maxTimestamp.Load() == timestampUnknown {
		// Nothing has been written to the segment; what its index files may hold is of
		// an earlier life.
		for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
			if err := removeIfExists(l.fs(), s.path(dir, suffix)); err != nil {
				return nil, err
			}
		}
	}
	offsets, err := openSparseIndex(l.fs(), s.path(dir, indexSuffix), offsetEntrySize)
	if err != nil {
		return nil, err
	}
	times, err := openSparseIndex(l.fs(), s.path(dir, timeIndexSuffix), timeEntrySize)
	if err != nil {
		return nil, err
	}
	offsets.before = times
	x := &activeIndexes{offsets: offsets, times: times, lastTime: indexEntry{key: noTimestamp}}
	if e, ok := times.last(); ok {
		x.lastTime = e
	}
	if s.maxTimestamp.Load() == timestampUnknown {
		s.maxTimestamp.Store(x.lastTime.key)
		s.maxTimestampOffset = s.baseOffset + int64(x.lastTime.value)
	}
	return x, nil
}
