package log

import (
	"errors"
	"os"
	"path/filepath"
)

// Flush makes everything appended so far durable, with the indexes, producer snapshots
// and leader epochs that belong to it, and raises the recovery point.
func (l *Log) Flush() error {
	if err := l.flushTo(l.logEndOffset.Load()); err != nil {
		return l.fail("flush", err)
	}
	return nil
}

// flushTo is Flush up to an offset. It holds mu only to look and to note the result.
func (l *Log) flushTo(offset int64) error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	if err := l.Err(); err != nil {
		return err
	}
	truncations := l.truncations.Load()
	from := l.recoveryPoint.Load()
	offset = min(offset, l.logEndOffset.Load()) // it may have been cut since it was asked for
	if offset <= from {
		return nil
	}
	segments := *l.segments.Load()
	newFiles := false
	for i, s := range segments[max(0, segments.floor(from)):] {
		if i > 0 && s.baseOffset >= offset {
			break
		}
		newFiles = newFiles || s.baseOffset >= from
		if err := l.syncSegment(s, true); err != nil {
			if isNotExist(err) && l.gone(s) {
				continue // deleted meanwhile
			}
			return err
		}
		if err := syncIfExists(l.fs(), s.path(l.Dir(), ProducerSnapshotSuffix)); err != nil {
			return err
		}
	}
	if c := l.epochs.Load(); c != nil {
		if err := c.Flush(l.fs(), l.Dir()); err != nil {
			return err
		}
	}
	if newFiles || l.namesChanged.Load() {
		if err := l.syncNames(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	if l.truncations.Load() == truncations {
		l.recoveryPoint.Store(max(l.recoveryPoint.Load(), offset))
		l.raiseDurableLocked(offset)
	}
	l.lastFlushMs.Store(l.manager.nowMs())
	l.mu.Unlock()
	l.location.Load().dir.recoveryPointsChanged.Store(true)
	return nil
}

// syncNames makes durable that the log's files exist, and, once, its directory.
func (l *Log) syncNames() error {
	l.namesChanged.Store(false)
	if !l.created.Load() {
		if err := syncIfExists(l.fs(), filepath.Join(l.Dir(), PartitionMetadataName)); err != nil {
			return err
		}
		if err := l.fs().SyncDir(l.location.Load().dir.path); err != nil {
			return err
		}
	}
	if err := l.fs().SyncDir(l.Dir()); err != nil {
		return err
	}
	l.created.Store(true)
	return nil
}

// gone says whether a segment is no longer the log's, or is about to be replaced.
func (l *Log) gone(s *segment) bool {
	if s.gone.Load() {
		return true
	}
	segments := *l.segments.Load()
	i := segments.floor(s.baseOffset)
	return i < 0 || segments[i] != s
}

// syncSegment makes the batches of a segment durable, and, if asked, its indexes.
func (l *Log) syncSegment(s *segment, indexes bool) error {
	if s.size.Load() == 0 {
		return nil
	}
	o, err := l.acquire(s, false)
	if err != nil {
		return err
	}
	defer o.file.release()
	if err := o.file.f.Sync(); err != nil || !indexes {
		return err
	}
	l.mu.Lock()
	err = l.ensureIndexFilesLocked(s)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	dir := l.Dir()
	for _, suffix := range []string{indexSuffix, timeIndexSuffix} {
		if err := syncIfExists(l.fs(), s.path(dir, suffix)); err != nil {
			return err
		}
	}
	if t := s.txnIndex.Load(); t != nil {
		return t.Flush()
	}
	return nil
}

// ensureIndexFilesLocked writes what is in memory alone, and makes the index files if
// nothing was ever written to them.
func (l *Log) ensureIndexFilesLocked(s *segment) error {
	o := s.open.Load()
	if o == nil {
		return nil
	}
	return o.writeIndexes()
}

// syncIfExists makes a file durable that need not be there.
func syncIfExists(fsys FS, path string) error {
	f, err := fsys.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func isNotExist(err error) bool { return errors.Is(err, os.ErrNotExist) }

// durableWaiters are those who wait for batches to be synced.
type durableWaiters struct {
	waiting []durableWaiter // in no order
}

type durableWaiter struct {
	offset int64
	done   func(error)
}

// WaitDurable calls done once everything below offset has been synced to the disk, or
// could not be. Waiters of all logs of a data directory share syncs; done is called
// from the directory's flusher, or at once if there is nothing to wait for, and must
// not block. Who waits for a log that another replaces goes on to wait for that one; who
// waits for what is cut off the log gets [ErrTruncated].
func (l *Log) WaitDurable(offset int64, done func(error)) {
	l.mu.Lock()
	if next := l.successor; next != nil && l.closed.Load() {
		l.mu.Unlock()
		next.WaitDurable(offset, done)
		return
	}
	if err := l.Err(); err != nil || l.durableOffset.Load() >= offset {
		l.mu.Unlock()
		done(err)
		return
	}
	if offset > l.logEndOffset.Load() {
		l.mu.Unlock()
		done(ErrTruncated) // before we were called
		return
	}
	if l.waiters == nil {
		l.waiters = &durableWaiters{}
	}
	first := len(l.waiters.waiting) == 0
	l.waiters.waiting = append(l.waiters.waiting, durableWaiter{offset, done})
	l.mu.Unlock()
	if first {
		l.location.Load().dir.flusher.sync(l)
	}
}

// raiseDurableLocked notes that everything below offset is synced. Who waited for that is
// called by the flusher.
func (l *Log) raiseDurableLocked(offset int64) {
	if offset > l.durableOffset.Load() && l.successor == nil {
		l.durableOffset.Store(offset)
	}
}

// takeDurableWaiters removes the waiters whose offset is durable, or all of them if the
// sync failed. again says whether some are left.
func (l *Log) takeDurableWaiters(failed bool) (taken []durableWaiter, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiters == nil || l.successor != nil {
		return nil, false
	}
	durable := l.durableOffset.Load()
	taken = l.takeWaitersLocked(func(w durableWaiter) bool { return failed || w.offset <= durable })
	return taken, len(l.waiters.waiting) > 0
}

// takeWaitersLocked removes some of those who wait for a sync.
func (l *Log) takeWaitersLocked(which func(durableWaiter) bool) (taken []durableWaiter) {
	if l.waiters == nil {
		return nil
	}
	left := l.waiters.waiting[:0]
	for _, w := range l.waiters.waiting {
		if which(w) {
			taken = append(taken, w)
		} else {
			left = append(left, w)
		}
	}
	clear(l.waiters.waiting[len(left):])
	l.waiters.waiting = left
	return taken
}

// succeedBy has no more of the log called durable, and nobody who waits for that answered,
// for another log is about to take its place.
func (l *Log) succeedBy(next *Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.successor = next
}

// stayOn undoes succeedBy: the log keeps its place.
func (l *Log) stayOn() {
	l.mu.Lock()
	l.successor = nil
	waiting := l.waiters != nil && len(l.waiters.waiting) > 0
	l.mu.Unlock()
	if waiting {
		l.location.Load().dir.flusher.sync(l)
	}
}

// syncBatches makes the batches appended so far durable, not their indexes: what an
// acknowledgement waits for. The recovery point stays; recovery checks what indexes say.
func (l *Log) syncBatches() error {
	if err := l.Err(); err != nil {
		return err
	}
	truncations := l.truncations.Load()
	segments, end, _ := l.end()
	from := l.durableOffset.Load()
	if end <= from {
		return nil
	}
	newFiles := false
	for _, s := range segments[max(0, segments.floor(from)):] {
		newFiles = newFiles || s.baseOffset >= from
		if err := l.syncSegment(s, false); err != nil {
			if isNotExist(err) && l.gone(s) {
				continue
			}
			return err
		}
	}
	if newFiles || l.namesChanged.Load() {
		if err := l.syncNames(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	if l.truncations.Load() == truncations {
		l.raiseDurableLocked(end)
	}
	l.mu.Unlock()
	return nil
}
