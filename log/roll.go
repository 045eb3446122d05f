package log

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// segmentForLocked returns the segment to append to: the active one, or a new one if
// appending size bytes of batches from about firstOffset to lastOffset would make that
// too big, too old, its indexes too full, or its offsets too far apart.
func (l *Log) segmentForLocked(cfg *Config, size, firstOffset, lastOffset, maxTimestamp, nowMs int64) (*segment, error) {
	s := l.segments.Load().active()
	roll, err := l.shouldRollLocked(s, cfg, size, lastOffset, maxTimestamp, nowMs)
	if err != nil || !roll {
		return s, err
	}
	return l.rollLocked(cfg, firstOffset, nowMs)
}

func (l *Log) shouldRollLocked(s *segment, cfg *Config, size, lastOffset, maxTimestamp, nowMs int64) (bool, error) {
	have := s.size.Load()
	if have > cfg.SegmentSize-size || !s.fits(lastOffset) {
		return true, nil
	}
	if have > 0 {
		waited, err := l.waitedForRollLocked(s, maxTimestamp, nowMs)
		if err != nil {
			return false, err
		}
		if waited > cfg.rollAge().Milliseconds()-s.jitter {
			return true, nil
		}
	}
	if have == 0 && s.open.Load() == nil {
		return cfg.MaxIndexSize < offsetEntrySize, nil
	}
	_, x, err := l.openForAppendLocked(s)
	if err != nil {
		return false, err
	}
	// The last slot of a time index is for the entry made when the segment is closed.
	return int64(x.offsets.count()) >= cfg.MaxIndexSize/offsetEntrySize ||
		int64(x.times.count()) >= cfg.MaxIndexSize/timeEntrySize-1, nil
}

// waitedForRollLocked is how old the segment is, in milliseconds: by the timestamps of
// the records if they have any, so that replicas roll at the same places.
func (l *Log) waitedForRollLocked(s *segment, maxTimestamp, nowMs int64) (int64, error) {
	first, err := l.firstTimestampLocked(s)
	if err != nil {
		return 0, err
	}
	if first >= 0 {
		return maxTimestamp - first, nil
	}
	return nowMs - s.created, nil
}

// firstTimestampLocked is the max timestamp of the first batch of a segment that is not
// empty.
func (l *Log) firstTimestampLocked(s *segment) (int64, error) {
	if s.firstTimestamp != timestampUnknown {
		return s.firstTimestamp, nil
	}
	o, err := l.acquire(s, false)
	if err != nil {
		return 0, err
	}
	defer o.file.release()
	scan := l.manager.scanner()
	defer l.manager.scanners.Put(scan)
	scan.reset(o.file.f, o.path, 0, s.size.Load())
	ok, err := scan.scan()
	if err != nil {
		var corrupt *CorruptBatchError
		if !errors.As(err, &corrupt) {
			return 0, err
		}
		ok = false // the time of the file's making will do; readers will be told
	}
	s.firstTimestamp = noTimestamp
	if ok {
		s.firstTimestamp = scan.header.maxTime
	}
	return s.firstTimestamp, nil
}

// rollLocked closes the active segment and begins another, at firstOffset or, if that is
// lower, at the log end offset. What was active is synced in the background.
func (l *Log) rollLocked(cfg *Config, firstOffset, nowMs int64) (*segment, error) {
	segments := *l.segments.Load()
	active := segments.active()
	base := max(firstOffset, l.logEndOffset.Load())
	if active.baseOffset >= base {
		if active.size.Load() == 0 {
			return active, nil // happens if the settings allow no index entry at all
		}
		return nil, fmt.Errorf("roll a segment at %d of %v: the active one begins at %d", base, l.partition, active.baseOffset)
	}
	producers, err := l.producersLocked()
	if err != nil {
		return nil, err
	}
	if err := l.deactivateLocked(active); err != nil {
		return nil, err
	}
	s, err := l.newSegmentLocked(cfg, base, nowMs)
	if err != nil {
		return nil, err
	}
	l.setSegmentsLocked(append(slices.Clip(segments), s))

	// With a snapshot at the base of each segment, no start needs to read older ones.
	producers.SetEndOffset(base)
	if err := producers.TakeSnapshot(false); err != nil {
		return nil, err
	}
	l.snapshotBytes = 0
	if l.highWatermark.Load() > l.logEndOffset.Load() {
		l.setHighWatermarkLocked(l.logEndOffset.Load())
	}
	l.location.Load().dir.flusher.flushTo(l, base)
	l.manager.opts.Logger.Info("Rolled new log segment", "partition", l.partition, "offset", base)
	return s, nil
}

// newSegmentLocked begins a segment at base. It gets its files when something is appended,
// but for the one whose name tells where the log ends, should retention delete all others
// before. Files that an earlier life of the log left under its name are removed.
func (l *Log) newSegmentLocked(cfg *Config, base, nowMs int64) (*segment, error) {
	s := newSegment(base, nowMs)
	s.jitter = l.manager.jitter(cfg)
	dir := l.Dir()
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, TxnIndexSuffix} {
		if err := removeIfExists(l.fs(), s.path(dir, suffix)); err != nil {
			return nil, err
		}
	}
	if base == 0 {
		return s, nil
	}
	f, err := l.fs().OpenFile(s.path(dir, logSuffix), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	l.namesChanged.Store(true)
	return s, f.Close()
}

// setSegmentsLocked publishes a new list of segments.
func (l *Log) setSegmentsLocked(segments segmentList) {
	l.endVersion.Add(1)
	l.segments.Store(&segments)
	l.endVersion.Add(1)
}

// deactivateLocked completes the files of a segment that will not be appended to again:
// its largest timestamp gets an entry, and its indexes are written and dropped from
// memory.
func (l *Log) deactivateLocked(s *segment) error {
	_, x, err := l.openForAppendLocked(s)
	if err != nil {
		return err
	}
	if err := x.noteTime(s); err != nil {
		return err
	}
	o := s.open.Load()
	if err := o.writeIndexes(); err != nil {
		return err
	}
	o.indexes.Store(nil)
	return nil
}
