package log

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
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
		err = l.dropSnapshotsLocked()
	}
	l.mu.Unlock()
	if err != nil {
		l.fail("take a producer snapshot", err)
	}
}

// dropSnapshotsLocked removes the snapshots that are at no segment's base, but the two
// newest.
func (l *Log) dropSnapshotsLocked() error {
	segments := *l.segments.Load()
	kept := 0
	offsets := l.producers.Snapshots()
	for i := len(offsets) - 1; i >= 0; i-- {
		if at := segments.floor(offsets[i]); at >= 0 && segments[at].baseOffset == offsets[i] {
			continue
		}
		if kept++; kept <= 2 {
			continue
		}
		if err := l.producers.RemoveSnapshot(offsets[i]); err != nil {
			return err
		}
	}
	return nil
}

// RunCheckpoint writes the recovery point checkpoints of the directories where one moved.
func (m *Manager) RunCheckpoint() {
	m.checkpoint(func(d *dataDir) bool { return d.recoveryPointsChanged.Swap(false) },
		func(d *dataDir) *CheckpointFile { return d.recoveryPoints },
		recoveryPointOf)
}

// RunStartCheckpoint writes the log start offset checkpoints: of the logs whose start is
// not told by their first segment.
func (m *Manager) RunStartCheckpoint() {
	m.checkpoint(func(d *dataDir) bool { return d.logStartsChanged.Swap(false) },
		func(d *dataDir) *CheckpointFile { return d.logStarts },
		logStartOf)
}

// RunWatermarkCheckpoint writes the high watermark checkpoints of the directories where
// one moved.
func (m *Manager) RunWatermarkCheckpoint() {
	m.checkpoint(func(d *dataDir) bool { return d.watermarksChanged.Swap(false) },
		func(d *dataDir) *CheckpointFile { return d.highWatermarks },
		highWatermarkOf)
}

func (m *Manager) checkpoint(changed func(*dataDir) bool, file func(*dataDir) *CheckpointFile, offset func(*Log) (int64, bool)) {
	for _, d := range m.dirs {
		if d.err() != nil || !changed(d) {
			continue
		}
		if err := m.writeCheckpoint(d, file(d), offset); err != nil {
			d.fail("write a checkpoint", err)
		}
	}
}

// writeCheckpoint writes a checkpoint of all current logs in a directory.
func (m *Manager) writeCheckpoint(d *dataDir, file *CheckpointFile, offset func(*Log) (int64, bool)) error {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	var entries []PartitionOffset
	for _, l := range m.snapshot() {
		if l.location.Load().dir != d {
			continue
		}
		if o, ok := offset(l); ok {
			entries = append(entries, PartitionOffset{Partition: l.partition, Offset: o})
		}
	}
	return file.Write(append(entries, m.brokenOffsets(d, file)...))
}

// brokenOffsets are what a checkpoint told of the logs that could not be loaded: it will
// be needed when they can be.
func (m *Manager) brokenOffsets(d *dataDir, file *CheckpointFile) (entries []PartitionOffset) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for tp, failure := range m.broken {
		if failure.Dir != d.path || m.logs[tp] != nil {
			continue
		}
		if offset, ok := failure.offsets[file]; ok {
			entries = append(entries, PartitionOffset{Partition: tp, Offset: offset})
		}
	}
	return entries
}

func recoveryPointOf(l *Log) (int64, bool) { return l.recoveryPoint.Load(), true }

func highWatermarkOf(l *Log) (int64, bool) { return l.highWatermark.Load(), true }

// logStartOf is told only if it is not the base of the first segment.
func logStartOf(l *Log) (int64, bool) {
	start := l.logStartOffset.Load()
	return start, start > (*l.segments.Load())[0].baseOffset
}

func (m *Manager) checkpointRecoveryPoints(d *dataDir) error {
	return m.writeCheckpoint(d, d.recoveryPoints, recoveryPointOf)
}

// checkpointAll writes all checkpoints of a directory.
func (m *Manager) checkpointAll(d *dataDir) error {
	return cmp.Or(
		m.checkpointRecoveryPoints(d),
		m.writeCheckpoint(d, d.logStarts, logStartOf),
		m.writeCheckpoint(d, d.highWatermarks, highWatermarkOf),
	)
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

// The number of logs of a directory from which on a shutdown syncs the whole file system
// before it closes them.
const syncAllFrom = 32

// Close flushes and closes all logs and leaves a clean shutdown behind. If ctx ends
// first, the next start recovers. Nobody may use the logs any more.
func (m *Manager) Close(ctx context.Context) error {
	m.cancel()
	m.wg.Wait()
	logs := m.everyLog()
	var wg sync.WaitGroup
	errs := make([]error, len(m.dirs))
	for i, d := range m.dirs {
		wg.Go(func() { errs[i] = m.closeDir(ctx, d, logs) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (m *Manager) closeDir(ctx context.Context, d *dataDir, everyLog []*Log) error {
	defer d.unlock()
	defer d.progress.close(false)
	var logs, unsynced []*Log
	for _, l := range everyLog {
		if l.location.Load().dir == d {
			logs = append(logs, l)
			if l.recoveryPoint.Load() < l.logEndOffset.Load() {
				unsynced = append(unsynced, l)
			}
		}
	}
	if err := d.err(); err != nil {
		inParallel(ctx, logs, (*Log).close)
		return err
	}
	whole := m.leaveOutFailed(d, &logs, &unsynced)
	all, canSyncAll := m.opts.FS.(interface{ SyncAll(string) error })
	syncAll := canSyncAll && len(unsynced) >= syncAllFrom
	err := inParallel(ctx, logs, func(l *Log) error { return l.completeFiles(!syncAll) })
	if err == nil && syncAll {
		if err = all.SyncAll(d.path); err != nil {
			err = d.fail("sync", err)
		} else {
			for _, l := range unsynced {
				l.recoveryPoint.Store(l.logEndOffset.Load())
			}
		}
	}
	if closeErr := inParallel(ctx, logs, (*Log).close); closeErr != nil || err != nil {
		return cmp.Or(err, closeErr)
	}
	if !whole {
		if err := m.checkpointAll(d); err != nil {
			return d.fail("write a checkpoint", err)
		}
		return nil
	}
	return m.leaveClean(d, logs)
}

// leaveOutFailed takes the logs that failed off the lists, and says whether the directory
// can be left as after a clean shutdown: what failed, or could not be loaded, the next
// start must recover.
func (m *Manager) leaveOutFailed(d *dataDir, lists ...*[]*Log) (whole bool) {
	whole = true
	for _, list := range lists {
		*list = slices.DeleteFunc(*list, func(l *Log) bool {
			failed := l.failure.Load() != nil
			whole = whole && !failed
			return failed
		})
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, failure := range m.broken {
		whole = whole && failure.Dir != d.path
	}
	return whole
}

// leaveClean writes the checkpoints, the manifest and the marker of a clean shutdown.
func (m *Manager) leaveClean(d *dataDir, logs []*Log) error {
	current := make([]*Log, 0, len(logs))
	for _, l := range logs {
		if !l.IsFuture() {
			current = append(current, l)
		}
	}
	if err := m.checkpointAll(d); err != nil {
		return d.fail("write a checkpoint", err)
	}
	if err := d.progress.close(true); err != nil {
		return d.fail("remove the progress file", err)
	}
	token := protocol.NewUUID()
	var records []byte
	topic := ""
	for _, l := range current {
		info, err := m.opts.FS.Stat(l.Dir())
		if err != nil {
			return d.fail("look at "+filepath.Base(l.Dir()), err)
		}
		record := l.manifestRecord(info.ModTime().UnixNano())
		records = record.append(records, topic)
		topic = l.partition.Topic
	}
	if err := writeManifest(m.opts.FS, d.path, token, records); err != nil {
		return d.fail("write the manifest", err)
	}
	if err := writeCleanShutdown(m.opts.FS, d.path, token); err != nil {
		return d.fail("write the clean shutdown marker", err)
	}
	return nil
}

// inParallel does something to all logs, to several at a time.
func inParallel(ctx context.Context, logs []*Log, do func(*Log) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs error
	next := make(chan *Log)
	for range min(flusherParallel, len(logs)) {
		wg.Go(func() {
			for l := range next {
				if err := do(l); err != nil {
					mu.Lock()
					errs = cmp.Or(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, l := range logs {
		if ctx.Err() != nil {
			break
		}
		next <- l
	}
	close(next)
	wg.Wait()
	return cmp.Or(errs, ctx.Err())
}

// close closes the log's files.
func (l *Log) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	for _, s := range *l.segments.Load() {
		err = cmp.Or(err, l.closeSegmentLocked(s))
	}
	if err != nil {
		return l.fail("close", err)
	}
	l.closed.Store(true)
	return nil
}

// completeFiles leaves the log's files as a clean shutdown does: the active segment's
// largest timestamp has its index entry, and there is a producer snapshot at the log's
// end. With sync all is durable then, else the caller syncs.
func (l *Log) completeFiles(sync bool) error {
	l.mu.Lock()
	err := l.Err()
	if err == nil {
		if err = l.completeFilesLocked(sync); err != nil {
			err = l.fail("close", err)
		}
	}
	l.mu.Unlock()
	if err != nil || !sync {
		return err
	}
	return l.Flush()
}

func (l *Log) completeFilesLocked(sync bool) error {
	active := l.segments.Load().active()
	if active.timeDirty {
		_, x, err := l.openForAppendLocked(active)
		if err == nil {
			err = x.noteTime(active)
		}
		if err != nil {
			return err
		}
	}
	if o := active.open.Load(); o != nil {
		if err := o.writeIndexes(); err != nil {
			return err
		}
	}
	if l.logEndOffset.Load() == l.logStartOffset.Load() && active.size.Load() == 0 && l.producers == nil {
		return nil
	}
	if c := l.epochs.Load(); c != nil {
		if err := c.write(l.fs(), l.Dir(), sync); err != nil {
			return err
		}
	}
	if l.producers == nil || l.logEndOffset.Load() == 0 {
		return nil
	}
	l.producersSeen.Store(!l.producers.IsEmpty())
	if err := l.producers.TakeSnapshot(sync); err != nil {
		return err
	}
	return l.removeStraySnapshots(l.producers, *l.segments.Load())
}

// removeStraySnapshots removes the snapshots that are at no segment's base, but the
// newest if it is at the log's end.
func (l *Log) removeStraySnapshots(p *ProducerStateManager, segments segmentList) error {
	bases := make([]int64, len(segments))
	for i, s := range segments {
		bases[i] = s.baseOffset
	}
	return p.RemoveStraySnapshots(bases)
}
