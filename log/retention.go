package log

import (
	"path/filepath"
	"time"
)

// DeleteOldSegments removes the segments that the log start offset has passed and, unless
// the topic is only compacted, those that retention.bytes and retention.ms let go. It
// returns how many. Nothing at or above the high watermark goes.
func (l *Log) DeleteOldSegments() (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Err(); err != nil {
		return 0, err
	}
	n, err := l.deleteOldSegmentsLocked()
	if err != nil {
		return n, l.fail("delete segments", err)
	}
	return n, nil
}

func (l *Log) deleteOldSegmentsLocked() (int, error) {
	cfg := l.config.Load()
	start := l.logStartOffset.Load()
	deleted, err := l.deleteWhileLocked("log start offset breach", func(s *segment, next int64, last bool) (bool, error) {
		return !last && next <= start, nil
	})
	if err != nil || !cfg.Delete {
		return deleted, err
	}
	if excess := l.Size() - cfg.RetentionSize; cfg.RetentionSize >= 0 && excess >= 0 {
		n, err := l.deleteWhileLocked("retention size breach", func(s *segment, _ int64, _ bool) (bool, error) {
			excess -= s.size.Load()
			return excess >= 0, nil
		})
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
	if cfg.RetentionAge >= 0 && cfg.RetentionAge != Forever {
		oldest := l.manager.nowMs() - cfg.RetentionAge.Milliseconds()
		n, err := l.deleteWhileLocked("retention time breach", func(s *segment, _ int64, _ bool) (bool, error) {
			t, err := l.largestTimestampLocked(s)
			return t < oldest, err
		})
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// deleteWhileLocked removes segments from the oldest on as long as old says so. next is
// one past the segment's last offset, last whether it is the active one. If all go, a
// new one is begun first.
func (l *Log) deleteWhileLocked(reason string, old func(s *segment, next int64, last bool) (bool, error)) (int, error) {
	segments := *l.segments.Load()
	highWatermark := l.highWatermark.Load()
	n := 0
	for i, s := range segments {
		last := i == len(segments)-1
		next := l.logEndOffset.Load()
		if !last {
			next = segments[i+1].baseOffset
		}
		if highWatermark < next || last && s.size.Load() == 0 {
			break
		}
		ok, err := old(s, next, last)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	producers, err := l.producersLocked()
	if err != nil {
		return 0, err
	}
	if n == len(segments) {
		if _, err := l.rollLocked(l.config.Load(), 0, l.manager.nowMs()); err != nil {
			return 0, err
		}
		segments = *l.segments.Load()
	}
	// The log start offset first: a reader finds the segments or learns that they went.
	if _, err := l.raiseLogStartLocked(segments[n].baseOffset, "segment deletion"); err != nil {
		return 0, err
	}
	kept := segments[n:]
	l.setSegmentsLocked(kept)
	return n, l.deleteSegmentsLocked(segments[:n], producers, reason)
}

// deleteSegmentsLocked renames the files of segments that are no longer the log's, and
// the producer snapshots at their bases, to end in .deleted, and has them removed after
// file.delete.delay.ms. Whoever reads them goes on reading.
func (l *Log) deleteSegmentsLocked(segments segmentList, producers *ProducerStateManager, reason string) error {
	dir := l.Dir()
	delay := l.config.Load().FileDeleteDelay
	for _, s := range segments {
		l.setGone(s)
		if err := l.closeSegmentLocked(s); err != nil {
			return err
		}
		for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, TxnIndexSuffix} {
			if suffix == TxnIndexSuffix && s.txnIndex.Load() == nil {
				continue
			}
			if err := l.deleteLater(s.path(dir, suffix), delay); err != nil {
				return err
			}
		}
		if path, ok := producers.ForgetSnapshot(s.baseOffset); ok {
			if err := l.deleteLater(path, delay); err != nil {
				return err
			}
		}
		l.manager.opts.Logger.Info("Deleted log segment", "partition", l.partition, "baseOffset", s.baseOffset, "size", s.size.Load(), "reason", reason)
	}
	return nil
}

// deleteLater renames a file, if there is one, to end in .deleted, and has it removed.
func (l *Log) deleteLater(path string, delay time.Duration) error {
	deleted := path + deletedSuffix
	if err := l.fs().Rename(path, deleted); err != nil {
		if isNotExist(err) {
			return nil
		}
		return err
	}
	loc := l.location.Load()
	loc.dir.deletions.add(deletion{
		due: l.manager.opts.Now().Add(delay), log: l, name: filepath.Base(deleted),
	})
	return nil
}
