package log

import (
	"context"
	"errors"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// startBackground begins what a manager does by itself: a flusher for each directory, and
// one goroutine for all that goes by the clock.
func (m *Manager) startBackground() {
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	if m.opts.NoBackground {
		return
	}
	for _, d := range m.dirs {
		m.wg.Go(func() { d.flusher.run(ctx) })
	}
	m.wg.Go(func() { m.runBackground(ctx) })
	if m.cleaner != nil {
		m.wg.Go(func() { m.cleaner.Run(ctx) })
	}
}

// runBackground does each task at its interval, one after the other.
func (m *Manager) runBackground(ctx context.Context) {
	tasks := []struct {
		every time.Duration
		run   func()
		next  time.Time
	}{
		{every: m.opts.ProgressInterval, run: m.RunProgress},
		{every: m.opts.WatermarkInterval, run: m.RunWatermarkCheckpoint},
		{every: m.opts.CheckpointInterval, run: m.RunCheckpoint},
		{every: m.opts.StartCheckpointInterval, run: m.RunStartCheckpoint},
		{every: m.opts.FlushCheckInterval, run: m.RunFlush},
		{every: m.opts.RetentionInterval, run: m.RunRetention},
		{every: m.opts.ProducerExpirationCheck, run: m.RunProducerExpiration},
		{every: time.Minute, run: m.RunIdleClose},
	}
	for i := range tasks {
		tasks[i].next = time.Now().Add(tasks[i].every)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.kick:
		case <-timer.C:
		}
		m.RunDeletions()
		next := time.Now().Add(time.Minute)
		for i := range tasks {
			t := &tasks[i]
			if now := time.Now(); !t.next.After(now) {
				t.run()
				t.next = time.Now().Add(t.every)
			}
			if t.next.Before(next) {
				next = t.next
			}
		}
		for _, d := range m.dirs {
			if due, ok := d.deletions.next(); ok {
				if wait := due.Sub(m.opts.Now()); time.Now().Add(wait).Before(next) {
					next = time.Now().Add(max(wait, time.Millisecond))
				}
			}
		}
		timer.Reset(time.Until(next))
	}
}

func (m *Manager) wakeBackground() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// RunRetention deletes what the retention settings say, in all logs.
func (m *Manager) RunRetention() {
	for _, l := range m.everyLog() {
		// The cleaner applies retention to compacted logs, for it must not be disturbed.
		if cfg := l.config.Load(); cfg.Compact && !l.IsFuture() {
			continue
		}
		if _, err := l.DeleteOldSegments(); err != nil && !errors.Is(err, protocol.ErrKafkaStorageError) {
			m.opts.Logger.Error("Retention failed", "partition", l.partition, "err", err)
		}
	}
	m.wakeBackground()
}

// RunRolledFlush syncs the segments that were rolled, as is done in the background.
func (m *Manager) RunRolledFlush() {
	for _, d := range m.dirs {
		d.flusher.step()
	}
}

// RunFlush syncs the logs whose flush.ms has passed.
func (m *Manager) RunFlush() {
	now := m.nowMs()
	for _, l := range m.everyLog() {
		if l.recoveryPoint.Load() < l.logEndOffset.Load() && now-l.lastFlushMs.Load() >= durationMs(l.config.Load().FlushInterval) {
			l.Flush()
		}
	}
}

// RunProgress notes up to where logs have been written, see progressFile.
func (m *Manager) RunProgress() {
	for _, d := range m.dirs {
		dirty := d.takeDirty()
		if d.err() != nil || len(dirty) == 0 {
			continue
		}
		for _, l := range dirty {
			if l.snapshotDue() {
				l.takeSnapshot()
			}
		}
		var err error
		if d.progress.grown() {
			err = d.progress.rewrite(m.unsyncedIn(d))
		} else {
			var skipped []*Log
			skipped, err = d.progress.note(dirty)
			for _, l := range skipped {
				if !l.closed.Load() {
					d.markDirty(l)
				}
			}
		}
		if err != nil {
			d.fail("note progress", err)
		}
	}
}

// unsyncedIn iterates over the logs of a directory that have something to recover.
func (m *Manager) unsyncedIn(d *dataDir) func(yield func(*Log) bool) {
	return func(yield func(*Log) bool) {
		for _, l := range m.snapshot() {
			if l.location.Load().dir == d && l.recoveryPoint.Load() < l.logEndOffset.Load() && !yield(l) {
				return
			}
		}
	}
}

// After so many bytes the producers' state is written to a file even if no segment is
// rolled, so that a start after a kill has not too many batches to look at again.
const snapshotEvery = 32 << 20

func (l *Log) snapshotDue() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.snapshotBytes >= snapshotEvery && l.producers != nil && !l.producers.IsEmpty()
}

// takeSnapshot writes a producer snapshot at the log end offset. The one before the last
// is kept too: from it, a start learns more of each producer than the last batch.
func (l *Log) takeSnapshot() {
	l.mu.Lock()
	if l.producers == nil || l.Err() != nil {
		l.mu.Unlock()
		return
	}
	snapshot := l.producers.Snapshot()
	l.snapshotBytes = 0
	var err error
	if snapshot != nil {
		err = snapshot.Write(false)
	}
	if err == nil {
		err = dropSnapshots(l.producers, *l.segments.Load())
	}
	l.mu.Unlock()
	if err != nil {
		l.fail("take a producer snapshot", err)
	}
}

// dropSnapshots removes the snapshots that are at no segment's base, but the two newest.
func dropSnapshots(p *ProducerStateManager, segments segmentList) error {
	kept := 0
	offsets := p.Snapshots()
	for i := len(offsets) - 1; i >= 0; i-- {
		if at := segments.floor(offsets[i]); at >= 0 && segments[at].baseOffset == offsets[i] {
			continue
		}
		if kept++; kept <= 2 {
			continue
		}
		if err := p.RemoveSnapshot(offsets[i]); err != nil {
			return err
		}
	}
	return nil
}

// RunDeletions removes the files whose file.delete.delay.ms has passed.
func (m *Manager) RunDeletions() {
	now := m.opts.Now()
	for _, d := range m.dirs {
		if d.err() != nil {
			continue
		}
		if err := d.deletions.run(now); err != nil {
			d.fail("delete files", err)
		}
	}
}

// RunProducerExpiration forgets producers unheard of for producer.id.expiration.ms.
func (m *Manager) RunProducerExpiration() {
	now := m.nowMs()
	for _, l := range m.everyLog() {
		l.mu.Lock()
		if l.producers != nil {
			l.producers.RemoveExpired(now)
		}
		l.mu.Unlock()
	}
}

// RunIdleClose closes the segments that nobody has used since it was called before.
func (m *Manager) RunIdleClose() {
	for _, o := range m.cache.idle() {
		o.log.evict(o)
	}
}
