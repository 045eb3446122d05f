package log

import (
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"

	"github.com/barnabas-broker/barnabas/protocol"
)

// CreateFuture makes the log that is to replace the current one, in another data
// directory (a path or a directory id). It is empty and starts where the current one
// does; the caller fills it with [Log.AppendAsFollower]. One that is there already, of an
// earlier life of the process too, is gone on with if it is the same log's and in that
// directory.
func (m *Manager) CreateFuture(tp protocol.TopicPartition, dir string) (*Log, error) {
	lock := m.creatingLock(tp)
	lock.Lock()
	defer lock.Unlock()
	current := m.Get(tp)
	if current == nil {
		return nil, ErrUnknownLog
	}
	d, err := m.dirFor(dir)
	if err != nil {
		return nil, err
	}
	if future := m.Future(tp); future != nil {
		if future.continues(current, d) {
			return future, nil
		}
		if err := m.deleteFuture(tp); err != nil {
			return nil, err
		}
	}
	if d == current.location.Load().dir {
		return nil, fmt.Errorf("%v is in %s already", tp, d.path)
	}
	id := protocol.NewUUID()
	future := m.newLog(tp, &location{dir: d, name: fmt.Sprintf("%v.%x%s", tp, id[:], futureSuffix), future: true})
	future.SetConfig(current.Config())
	if err := d.forgetDeleted(tp); err != nil {
		return nil, err
	}
	if err := m.createDir(future, current.TopicID()); err != nil {
		return nil, err
	}
	if start := current.LogStartOffset(); start > 0 {
		if err := future.TruncateFullyAndStartAt(start); err != nil {
			return nil, err
		}
	}
	d.logCount.Add(1)
	m.mu.Lock()
	m.futures[tp] = future
	m.mu.Unlock()
	return future, nil
}

// continues says whether the future log can be gone on with to move current to d.
func (l *Log) continues(current *Log, d *dataDir) bool {
	return l.Err() == nil && l.location.Load().dir == d && l.TopicID() == current.TopicID() && l.LogEndOffset() <= current.LogEndOffset()
}

// Futures iterates over the logs that are to replace current ones, in no particular order.
func (m *Manager) Futures() iter.Seq[*Log] {
	return func(yield func(*Log) bool) {
		m.mu.RLock()
		futures := slices.Collect(maps.Values(m.futures))
		m.mu.RUnlock()
		for _, l := range futures {
			if !yield(l) {
				return
			}
		}
	}
}

// SwapFuture makes the future log the current one and deletes the old one. The caller
// has let it catch up and sees to it that nobody appends. taken is told of the new log, if
// there is one, before the old one is closed: readers must find one of them open. If it
// returns a log with an error the swap is made, but the old log is not out of the way.
// [Manager.CheckpointSwapped] must follow, when appends wait no more.
func (m *Manager) SwapFuture(tp protocol.TopicPartition, taken func(*Log)) (*Log, error) {
	lock := m.creatingLock(tp)
	lock.Lock()
	defer lock.Unlock()
	current, future := m.Get(tp), m.Future(tp)
	if current == nil || future == nil {
		return nil, ErrUnknownLog
	}
	if current.LogEndOffset() != future.LogEndOffset() {
		return nil, fmt.Errorf("swap the logs of %v: the future one ends at %d, the current one at %d", tp, future.LogEndOffset(), current.LogEndOffset())
	}
	if current.TopicID() != future.TopicID() {
		return nil, fmt.Errorf("swap the logs of %v: the future one is of topic id %v, the current one of %v", tp, future.TopicID(), current.TopicID())
	}
	defer m.pauseCleaning(tp)()
	from, to := current.location.Load().dir, future.location.Load().dir
	current.succeedBy(future)
	swapped := false
	defer func() {
		if !swapped {
			current.stayOn()
		}
	}()
	// What was acknowledged because it is on the disk must be there after the swap too.
	if future.DurableOffset() < min(current.DurableOffset(), future.LogEndOffset()) {
		if err := future.syncBatches(); err != nil {
			return nil, future.fail("sync", err)
		}
	}
	// Should we die between the two renames, the next start finds both and tells the
	// operator, as Apache Kafka does; the other way around it would find none.
	if err := future.takeOwnName(); err != nil {
		return nil, err
	}
	if start := current.LogStartOffset(); start > future.LogStartOffset() {
		future.highWatermark.Store(max(future.HighWatermark(), start))
		if _, err := future.RaiseLogStartOffset(start); err != nil {
			return nil, err
		}
	}
	future.SetHighWatermark(current.HighWatermark())
	future.SetConfig(current.Config()) // it may have been changed since the move began
	m.mu.Lock()
	m.logs[tp] = future
	delete(m.futures, tp)
	m.mu.Unlock()
	swapped = true
	taken(future)
	if m.cleaner != nil {
		if err := m.cleaner.MoveCheckpoint(tp, from.path, to.path); err != nil {
			m.opts.Logger.Warn("Cleaner checkpoint was not moved, compaction of the log starts over", "partition", tp, "err", err)
		}
	}
	return future, m.retire(current, deleteSuffix)
}

// CheckpointSwapped writes what the checkpoints of the old directory told of a log that
// has been swapped into those of the new one.
func (m *Manager) CheckpointSwapped(l *Log) {
	to := l.location.Load().dir
	if to.err() != nil {
		return
	}
	if err := m.checkpointAll(to); err != nil {
		to.fail("write a checkpoint", err)
	}
}

// takeOwnName renames a future log's directory to be the partition's.
func (l *Log) takeOwnName() error {
	l.flushMu.Lock() // a flush opens files by their names
	defer l.flushMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.openMu.Lock()
	defer l.openMu.Unlock()
	loc := l.location.Load()
	if err := l.fs().Rename(l.Dir(), filepath.Join(loc.dir.path, l.partition.String())); err != nil {
		return l.fail("rename the directory", err)
	}
	if err := l.fs().SyncDir(loc.dir.path); err != nil {
		return l.fail("rename the directory", err)
	}
	l.location.Store(loc.dir.home)
	if l.producers != nil {
		l.producers.SetDir(l.Dir())
	}
	for _, s := range *l.segments.Load() {
		if o := s.open.Load(); o != nil {
			if x := o.indexes.Load(); x != nil {
				x.offsets.setPath(s.path(l.Dir(), indexSuffix))
				x.times.setPath(s.path(l.Dir(), timeIndexSuffix))
			}
		}
		if x := s.txnIndex.Load(); x != nil {
			x.SetPath(s.path(l.Dir(), TxnIndexSuffix))
		}
	}
	return nil
}
