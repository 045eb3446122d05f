package log

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// CleanableSegments returns the segments for compaction, oldest first.
func (l *Log) CleanableSegments() []CleanableSegment {
	segments := *l.segments.Load()
	cleanable := make([]CleanableSegment, len(segments))
	for i, s := range segments {
		cleanable[i] = &cleanableSegment{log: l, segment: s}
	}
	return cleanable
}

// AbortedTxnsIn returns the aborted transactions that overlap the offsets from up to, not
// including, to.
func (l *Log) AbortedTxnsIn(from, to int64) ([]AbortedTxn, error) {
	for {
		seen := l.seen()
		segments := *seen.segments
		txns, err := collectAborted(segments[max(0, segments.floor(from)):], from, to)
		if err == nil || !l.changedSince(seen, err) {
			return txns, err
		}
	}
}

// LastRecordsOfProducers returns what compaction must keep of each active producer.
func (l *Log) LastRecordsOfProducers() map[int64]LastRecord {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.producersLocked()
	if err != nil {
		return nil
	}
	return p.LastRecords()
}

// cleanableSegment is a segment as compaction sees it.
type cleanableSegment struct {
	log     *Log
	segment *segment
}

func (s *cleanableSegment) BaseOffset() int64      { return s.segment.baseOffset }
func (s *cleanableSegment) Size() int64            { return s.segment.size.Load() }
func (s *cleanableSegment) OffsetIndexSize() int64 { return s.fileSize(indexSuffix) }
func (s *cleanableSegment) TimeIndexSize() int64   { return s.fileSize(timeIndexSuffix) }

func (s *cleanableSegment) fileSize(suffix string) int64 {
	info, err := s.log.fs().Stat(s.segment.path(s.log.Dir(), suffix))
	if err != nil {
		return 0
	}
	return info.Size()
}

func (s *cleanableSegment) LastModified() time.Time {
	ms, err := s.log.lastModified(s.segment)
	if err != nil {
		return s.log.manager.opts.Now()
	}
	return time.UnixMilli(ms)
}

func (s *cleanableSegment) LargestTimestamp() (int64, error) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.largestTimestampLocked(s.segment)
}

func (s *cleanableSegment) FirstBatchTimestamp() (int64, error) {
	if s.Size() == 0 {
		return noTimestamp, nil
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.firstTimestampLocked(s.segment)
}

func (s *cleanableSegment) NextOffset() (int64, error) { return s.log.endOfSegment(s.segment) }

func (s *cleanableSegment) PositionBefore(offset int64) (int64, error) {
	o, err := s.log.acquire(s.segment, false)
	if err != nil {
		return 0, err
	}
	defer o.file.release()
	scan := s.log.manager.scanner()
	defer s.log.manager.scanners.Put(scan)
	err = o.walkFrom(scan, offset, s.segment.size.Load())
	return scan.next, err
}

func (s *cleanableSegment) ReadAt(p []byte, pos int64) (int, error) {
	o, err := s.log.acquire(s.segment, false)
	if err != nil {
		return 0, err
	}
	defer o.file.release()
	return o.file.f.ReadAt(p, pos)
}

// cleanedSegment is a segment that compaction writes, in files that end in .cleaned.
type cleanedSegment struct {
	log     *Log
	segment *segment
	dir     string
	file    File
	indexes *activeIndexes
}

// NewCleanedSegment creates an empty segment whose files have the suffix .cleaned.
func (l *Log) NewCleanedSegment(baseOffset int64) (CleanedSegment, error) {
	c := &cleanedSegment{log: l, segment: newSegment(baseOffset, l.manager.nowMs()), dir: l.Dir()}
	c.segment.maxTimestamp.Store(noTimestamp)
	if err := c.remove(cleanedSuffix); err != nil {
		return nil, err
	}
	f, err := l.fs().OpenFile(c.path(logSuffix), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	c.file = f
	c.indexes = &activeIndexes{lastTime: indexEntry{key: noTimestamp}}
	if c.indexes.offsets, err = openSparseIndex(l.fs(), c.path(indexSuffix), offsetEntrySize); err == nil {
		c.indexes.times, err = openSparseIndex(l.fs(), c.path(timeIndexSuffix), timeEntrySize)
	}
	if err != nil {
		return nil, errors.Join(err, c.Discard())
	}
	return c, nil
}

func (c *cleanedSegment) path(suffix string) string {
	return c.segment.path(c.dir, suffix) + cleanedSuffix
}

var segmentSuffixes = []string{logSuffix, indexSuffix, timeIndexSuffix, TxnIndexSuffix}

// remove removes the segment's files that have a suffix besides their own.
func (c *cleanedSegment) remove(suffix string) error {
	var errs []error
	for _, s := range segmentSuffixes {
		errs = append(errs, removeIfExists(c.log.fs(), c.segment.path(c.dir, s)+suffix))
	}
	return errors.Join(errs...)
}

func (c *cleanedSegment) Size() int64 { return c.segment.size.Load() }

func (c *cleanedSegment) AppendAbortedTxn(t AbortedTxn) error {
	x := c.segment.txnIndex.Load()
	if x == nil {
		x = OpenTransactionIndex(c.log.fs(), c.path(TxnIndexSuffix))
	}
	if err := x.Append(t); err != nil {
		return err
	}
	c.segment.txnIndex.Store(x)
	return nil
}

func (c *cleanedSegment) Append(lastOffset, maxTimestamp, offsetOfMaxTimestamp int64, batches []byte) error {
	s := c.segment
	pos := s.size.Load()
	if !s.fits(lastOffset) || pos+int64(len(batches)) > 1<<31-1 {
		return fmt.Errorf("append to cleaned segment %d: offset %d or %d bytes more are too much", s.baseOffset, lastOffset, len(batches))
	}
	if _, err := c.file.WriteAt(batches, pos); err != nil {
		return err
	}
	if err := s.noteWritten(c.indexes, c.log.config.Load().IndexInterval, pos, batches); err != nil {
		return err
	}
	s.size.Store(pos + int64(len(batches)))
	return nil
}

func (c *cleanedSegment) Seal(modified time.Time) error {
	if err := c.indexes.noteTime(c.segment); err != nil {
		return err
	}
	if err := errors.Join(c.indexes.offsets.write(), c.indexes.times.write(), c.file.Sync()); err != nil {
		return err
	}
	for _, suffix := range []string{indexSuffix, timeIndexSuffix, TxnIndexSuffix} {
		if err := syncIfExists(c.log.fs(), c.path(suffix)); err != nil {
			return err
		}
	}
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix} {
		if err := c.log.fs().SetModTime(c.path(suffix), modified); err != nil {
			return err
		}
	}
	return nil
}

func (c *cleanedSegment) Discard() error {
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return cmp.Or(c.remove(cleanedSuffix), err)
}

// ReplaceSegments puts a cleaned and sealed segment in the place of the segments it was
// made from.
func (l *Log) ReplaceSegments(cleaned CleanedSegment, old []CleanableSegment) error {
	c := cleaned.(*cleanedSegment)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	segments := *l.segments.Load()
	first := segments.floor(old[0].BaseOffset())
	if first < 0 || first+len(old) >= len(segments) {
		return fmt.Errorf("replace segments of %v: %w", l.partition, errSegmentGone)
	}
	for i, o := range old {
		if segments[first+i] != o.(*cleanableSegment).segment {
			return fmt.Errorf("replace segments of %v: %w", l.partition, errSegmentGone)
		}
	}
	producers, err := l.producersLocked()
	if err != nil {
		return err
	}
	if err := l.replaceLocked(c, segments, first, len(old), producers); err != nil {
		return l.fail("replace segments", err)
	}
	return nil
}

func (l *Log) replaceLocked(c *cleanedSegment, segments segmentList, first, count int, producers *ProducerStateManager) error {
	s := c.segment
	if err := l.renameSegment(s, cleanedSuffix, swapSuffix); err != nil {
		return err
	}
	// Readers find the new segment open, so its name does not matter to them until it has
	// its own. Nobody can close it while mu is held.
	o := &openSegment{log: l, segment: s, file: newOpenFile(c.file), path: s.path(l.Dir(), logSuffix)}
	o.used.Store(true)
	s.open.Store(o)
	c.file = nil
	if x := s.txnIndex.Load(); x != nil {
		x.SetPath(s.path(l.Dir(), TxnIndexSuffix))
	}
	old := segments[first : first+count]
	for _, s := range old {
		l.setGone(s)
	}
	l.setSegmentsLocked(slices.Concat(segments[:first], segmentList{s}, segments[first+count:]))
	delay := l.config.Load().FileDeleteDelay
	for _, dead := range old {
		if err := l.closeSegmentLocked(dead); err != nil {
			return err
		}
		for _, suffix := range segmentSuffixes {
			if err := l.deleteLater(dead.path(l.Dir(), suffix), delay); err != nil {
				return err
			}
		}
		if dead.baseOffset == s.baseOffset {
			continue
		}
		if path, ok := producers.ForgetSnapshot(dead.baseOffset); ok {
			if err := l.deleteLater(path, delay); err != nil {
				return err
			}
		}
	}
	if err := l.renameSegment(s, swapSuffix, ""); err != nil {
		return err
	}
	o.cache.reset() // who was quick read an index of what was there before
	l.manager.cache.add(o)
	return l.fs().SyncDir(l.Dir())
}

// renameSegment changes what the names of a segment's files end in.
func (l *Log) renameSegment(s *segment, from, to string) error {
	dir := l.Dir()
	for _, suffix := range segmentSuffixes {
		path := s.path(dir, suffix)
		if err := l.fs().Rename(path+from, path+to); err != nil && !(isNotExist(err) && suffix == TxnIndexSuffix) {
			return err
		}
	}
	return nil
}
