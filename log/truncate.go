package log

import (
	"errors"
	"fmt"
	"os"
)

// TruncateTo removes everything from offset on. It says whether anything was removed.
// Batches are removed whole: if offset lies inside one, that goes, and its earlier
// records with it; the log end offset is offset all the same, as in Apache Kafka.
func (l *Log) TruncateTo(offset int64) (bool, error) {
	if offset < 0 {
		return false, fmt.Errorf("truncate %v: offset %d is negative", l.partition, offset)
	}
	if offset < l.logEndOffset.Load() {
		defer l.truncateCleaned(offset)()
	}
	var cut []durableWaiter
	defer func() { answerCut(cut) }()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return false, err
	}
	epochs, err := l.epochCacheLocked()
	if err != nil {
		return false, err
	}
	if end := l.logEndOffset.Load(); offset >= end {
		// A leader that was deposed before it wrote anything has noted an epoch that
		// begins at its log's end; another's may begin there instead.
		epochs.TruncateFromEnd(end)
		return false, nil
	}
	if err := l.truncateLocked(offset); err != nil {
		return false, l.fail("truncate", err)
	}
	cut = l.takeCutLocked()
	return true, nil
}

// takeCutLocked removes those who wait for the sync of what has been cut off.
func (l *Log) takeCutLocked() []durableWaiter {
	end := l.logEndOffset.Load()
	return l.takeWaitersLocked(func(w durableWaiter) bool { return w.offset > end })
}

func answerCut(waiters []durableWaiter) {
	for _, w := range waiters {
		w.done(ErrTruncated)
	}
}

// truncateCleaned keeps compaction away until the function it returns is called, which
// makes it begin no later than at the segment that was cut.
func (l *Log) truncateCleaned(offset int64) (done func()) {
	m := l.manager
	if m.cleaner == nil || l.IsFuture() {
		return func() {}
	}
	resume := m.pauseCleaning(l.partition)
	return func() {
		base := min(offset, l.segments.Load().active().baseOffset)
		if err := m.cleaner.TruncateCheckpoint(l.DataDir(), l.partition, base); err != nil {
			m.opts.Logger.Warn("Cleaner checkpoint was not lowered", "partition", l.partition, "err", err)
		}
		resume()
	}
}

func (l *Log) truncateLocked(offset int64) error {
	segments := *l.segments.Load()
	if segments[0].baseOffset > offset {
		return l.truncateFullyLocked(offset)
	}
	producers, err := l.producersLocked()
	if err != nil {
		return err
	}
	keep := segments.floor(offset) + 1
	removed, kept := segments[keep:], segments[:keep:keep]
	l.truncating.Store(true)
	defer l.truncating.Store(false)
	// The segment that is cut must be synced again, as a whole.
	if err := l.distrust(kept.active().baseOffset); err != nil {
		return err
	}
	pos, err := l.positionOf(kept.active(), offset, kept.active().size.Load(), -1)
	if err != nil {
		return err
	}
	// Readers first: whoever is reading what is about to go finds out by truncations.
	l.truncations.Add(1)
	l.endVersion.Add(1)
	l.segments.Store(&kept)
	kept.active().size.Store(pos)
	l.logEndOffset.Store(offset)
	l.endVersion.Add(1)
	if err := l.cutSegmentLocked(kept.active(), offset, pos); err != nil {
		return err
	}
	l.logStartOffset.Store(min(l.logStartOffset.Load(), offset))
	l.epochs.Load().TruncateFromEnd(offset)
	if err := l.deleteSegmentsLocked(removed, producers, "log truncation"); err != nil {
		return err
	}
	if err := l.reloadProducersLocked(producers, offset); err != nil {
		return err
	}
	if err := producers.TakeSnapshot(false); err != nil {
		return err
	}
	l.setHighWatermarkLocked(l.highWatermark.Load())
	l.manager.opts.Logger.Info("Truncated log", "partition", l.partition, "offset", offset)
	return nil
}

// distrust takes back, on the disk, what has been said of the log above offset, before
// that is cut off and other batches come in its place: a start after a crash would
// believe that they were synced or whole.
func (l *Log) distrust(offset int64) error {
	dir := l.location.Load().dir
	if err := dir.progress.forget(l); err != nil {
		return err
	}
	l.namesChanged.Store(true)
	l.durableOffset.Store(min(l.durableOffset.Load(), offset))
	if offset >= l.recoveryPoint.Load() {
		return nil
	}
	l.recoveryPoint.Store(offset)
	if l.IsFuture() {
		return nil
	}
	return l.manager.checkpointRecoveryPoints(dir)
}

// cutSegmentLocked cuts the files of a segment at pos, where the batch begins that holds
// offset, and makes it ready to be appended to.
func (l *Log) cutSegmentLocked(s *segment, offset, pos int64) error {
	o, x, err := l.openForAppendLocked(s)
	if err != nil {
		return err
	}
	if err := truncateIndexes(x, s, offset); err != nil {
		return err
	}
	if t := s.txnIndex.Load(); t != nil {
		if err := t.TruncateTo(offset); err != nil {
			return err
		}
	}
	if err := o.file.f.Truncate(pos); err != nil {
		return err
	}
	s.bytesSinceIndex = 0
	if pos == 0 {
		s.firstTimestamp, s.created = timestampUnknown, l.manager.nowMs()
	}
	if err := l.rescanMaxTimestampLocked(s, x, o, pos); err != nil {
		return err
	}
	// The next to open the segment remembers no positions from before.
	return l.closeSegmentLocked(s)
}

// truncateIndexes removes the entries for offset and above.
func truncateIndexes(x *activeIndexes, s *segment, offset int64) error {
	relative := offset - s.baseOffset
	for _, index := range []struct {
		x       *sparseIndex
		byValue bool
	}{{x.offsets, false}, {x.times, true}} {
		_, slot, err := index.x.lookup(relative-1, index.byValue)
		if err == nil {
			err = index.x.truncate(slot + 1)
		}
		if err != nil {
			return err
		}
	}
	x.lastTime = indexEntry{key: noTimestamp}
	if e, ok := x.times.last(); ok {
		x.lastTime = e
	}
	return nil
}

// rescanMaxTimestampLocked finds the largest timestamp among the batches that are left:
// that of the newest time entry, or one after it.
func (l *Log) rescanMaxTimestampLocked(s *segment, x *activeIndexes, o *openSegment, size int64) error {
	largest, at := x.lastTime.key, s.baseOffset+int64(x.lastTime.value)
	e, _, err := x.offsets.lookup(int64(x.lastTime.value), false)
	if err != nil {
		return err
	}
	scan := l.manager.scanner()
	defer l.manager.scanners.Put(scan)
	scan.reset(o.file.f, o.path, int64(e.value), size)
	for {
		ok, err := scan.scan()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if scan.header.maxTime > largest {
			largest, at = scan.header.maxTime, scan.header.lastOffset
		}
	}
	s.maxTimestamp.Store(largest)
	s.maxTimestampOffset = at
	return nil
}

// TruncateFullyAndStartAt removes everything and starts an empty log at offset.
func (l *Log) TruncateFullyAndStartAt(offset int64) error {
	defer l.truncateCleaned(offset)()
	var cut []durableWaiter
	defer func() { answerCut(cut) }()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	if err := l.truncateFullyLocked(offset); err != nil {
		return l.fail("truncate", err)
	}
	// Also those below offset: none of what they wait for is there.
	cut = l.takeWaitersLocked(func(durableWaiter) bool { return true })
	return nil
}

func (l *Log) truncateFullyLocked(offset int64) error {
	producers, err := l.producersLocked()
	if err != nil {
		return err
	}
	epochs, err := l.epochCacheLocked()
	if err != nil {
		return err
	}
	l.truncating.Store(true)
	defer l.truncating.Store(false)
	if err := l.distrust(offset); err != nil {
		return err
	}
	segments := *l.segments.Load()
	if err := l.deleteSegmentsLocked(segments, producers, "log truncation"); err != nil {
		return err
	}
	s, err := l.newSegmentLocked(l.config.Load(), offset, l.manager.nowMs())
	if err != nil {
		return err
	}
	l.truncations.Add(1)
	l.endVersion.Add(1)
	l.segments.Store(&segmentList{s})
	l.logEndOffset.Store(offset)
	l.endVersion.Add(1)
	l.logStartOffset.Store(offset)
	epochs.Clear()
	if err := producers.TruncateFullyAndStartAt(offset); err != nil {
		return err
	}
	l.highWatermark.Store(offset)
	l.updateFirstUnstableLocked()
	return nil
}

// DeleteRecordsTo raises the log start offset to offset, or to the high watermark if
// offset is -1, and removes the segments wholly below it in the background. It returns
// the log start offset.
func (l *Log) DeleteRecordsTo(offset int64) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	highWatermark := l.highWatermark.Load()
	if offset == -1 {
		offset = highWatermark
	}
	if offset < 0 || offset > highWatermark {
		return l.logStartOffset.Load(), &OffsetOutOfRangeError{
			Partition: l.partition, Asked: offset, LogStart: l.logStartOffset.Load(), End: highWatermark,
		}
	}
	if _, err := l.raiseLogStartLocked(offset, "records deleted by clients"); err != nil {
		return l.logStartOffset.Load(), err
	}
	return l.logStartOffset.Load(), nil
}

// RaiseLogStartOffset raises the log start offset to where the leader's is. It is a
// follower's DeleteRecordsTo and says whether anything changed.
func (l *Log) RaiseLogStartOffset(offset int64) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if highWatermark := l.highWatermark.Load(); offset > highWatermark {
		return false, &OffsetOutOfRangeError{Partition: l.partition, Asked: offset, LogStart: l.logStartOffset.Load(), End: highWatermark}
	}
	return l.raiseLogStartLocked(offset, "leader offset incremented")
}

func (l *Log) raiseLogStartLocked(offset int64, reason string) (bool, error) {
	if err := l.Err(); err != nil {
		return false, err
	}
	if offset <= l.logStartOffset.Load() {
		return false, nil
	}
	epochs, err := l.epochCacheLocked()
	if err != nil {
		return false, err
	}
	l.logStartOffset.Store(offset)
	epochs.TruncateFromStart(offset)
	if l.producers != nil {
		l.producers.OnLogStart(offset)
		l.updateFirstUnstableLocked()
	}
	l.location.Load().dir.logStartsChanged.Store(true)
	l.manager.opts.Logger.Info("Incremented log start offset", "partition", l.partition, "offset", offset, "reason", reason)
	return true, nil
}

// removeIfExists removes a file that need not be there.
func removeIfExists(fsys FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
