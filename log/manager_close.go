package log

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"

	"github.com/barnabas-broker/barnabas/protocol"
)

// The number of logs of a directory from which on a shutdown syncs the whole file system
// before it closes them.
const syncAllFrom = 32

// Close flushes and closes all logs and leaves a clean shutdown behind. If ctx ends
// first, the next start recovers. That a directory is offline already is no error of it.
// Nobody may use the logs any more.
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
	if d.err() != nil {
		inParallel(ctx, logs, (*Log).close)
		return nil // it was told when it went offline
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
