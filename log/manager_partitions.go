package log

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/barnabas-broker/barnabas/protocol"
)

// dirFor chooses the directory of a new log: the one that hint names by path or id, or
// the one with the fewest logs.
func (m *Manager) dirFor(hint string) (*dataDir, error) {
	live := m.live()
	if len(live) == 0 {
		return nil, m.dirs[0].err()
	}
	if hint == "" {
		return slices.MinFunc(live, func(a, b *dataDir) int { return compareInt64(a.logCount.Load(), b.logCount.Load()) }), nil
	}
	for _, d := range m.dirs {
		if d.path == hint || !d.id.IsZero() && d.id.String() == hint {
			return d, d.err()
		}
	}
	return nil, protocol.Errorf(protocol.ErrLogDirNotFound, "there is no data directory %s", hint)
}

func (m *Manager) creatingLock(tp protocol.TopicPartition) *sync.Mutex {
	h := uint32(tp.Partition)
	for i := range len(tp.Topic) {
		h = h*31 + uint32(tp.Topic[i])
	}
	return &m.creating[h%uint32(len(m.creating))]
}

// Create returns the log of a partition, which is made if it does not exist: in the data
// directory dirHint (a path or a directory id), or the one with the fewest logs if that
// is "". cfg may be nil for the default. A log that exists under another topic id is an
// INCONSISTENT_TOPIC_ID error.
func (m *Manager) Create(tp protocol.TopicPartition, topicID protocol.UUID, cfg *Config, dirHint string) (*Log, error) {
	lock := m.creatingLock(tp)
	lock.Lock()
	defer lock.Unlock()
	if l := m.Get(tp); l != nil {
		if err := l.SetTopicID(topicID); err != nil {
			return nil, err
		}
		if cfg != nil {
			l.SetConfig(cfg)
		}
		return l, l.Err()
	}
	m.mu.RLock()
	broken := m.broken[tp]
	m.mu.RUnlock()
	if broken != nil {
		return nil, broken
	}
	d, err := m.dirFor(dirHint)
	if err != nil {
		return nil, err
	}
	l := m.newLog(tp, d.home)
	if cfg != nil {
		l.SetConfig(cfg)
	}
	if err := d.forgetDeleted(tp); err != nil {
		return nil, err
	}
	if err := m.createDir(l, topicID); err != nil {
		return nil, err
	}
	d.logCount.Add(1)
	m.mu.Lock()
	m.logs[tp] = l
	m.mu.Unlock()
	return l, nil
}

// createDir makes the directory of a new log and partition.metadata in it. The segment's
// files come with the first batch. Nothing waits for the disk: what a power cut takes
// from here, the broker makes again.
func (m *Manager) createDir(l *Log, topicID protocol.UUID) error {
	dir := l.Dir()
	if err := m.opts.FS.Mkdir(dir, 0o755); err != nil {
		if info, statErr := m.opts.FS.Stat(dir); statErr != nil || !info.IsDir() {
			return l.fail("create the directory", err)
		}
	}
	if !topicID.IsZero() {
		if err := writeWholeFile(m.opts.FS, filepath.Join(dir, PartitionMetadataName), AppendPartitionMetadata(nil, topicID), false); err != nil {
			return l.fail("write partition.metadata", err)
		}
		l.storeTopicID(topicID)
	}
	now := m.nowMs()
	s := newSegment(0, now)
	s.jitter = m.jitter(l.Config())
	l.segments.Store(&segmentList{s})
	l.lastFlushMs.Store(now)
	return nil
}

// Delete closes a log at once, with the one that is to replace it, and removes its files after file.delete.delay.ms.
func (m *Manager) Delete(tp protocol.TopicPartition) error {
	lock := m.creatingLock(tp)
	lock.Lock()
	defer lock.Unlock()
	m.mu.Lock()
	l := m.logs[tp]
	delete(m.logs, tp)
	delete(m.broken, tp)
	m.mu.Unlock()
	if err := m.deleteFuture(tp); err != nil && err != ErrUnknownLog {
		// Its directory may have failed; that is no reason to keep the log itself.
		m.opts.Logger.Error("Cannot delete a log that was to replace a deleted one", "partition", tp, "err", err)
	}
	if l == nil {
		return ErrUnknownLog
	}
	defer m.pauseCleaning(tp)()
	if err := m.retire(l, deleteSuffix); err != nil || m.cleaner == nil {
		return err
	}
	return m.cleaner.RemoveCheckpoint(l.DataDir(), tp)
}

// DeleteFuture gives up a future log.
func (m *Manager) DeleteFuture(tp protocol.TopicPartition) error {
	lock := m.creatingLock(tp)
	lock.Lock()
	defer lock.Unlock()
	return m.deleteFuture(tp)
}

// deleteFuture is DeleteFuture with the partition's lock of creating held.
func (m *Manager) deleteFuture(tp protocol.TopicPartition) error {
	return m.takeOut(m.futures, tp, deleteSuffix)
}

// takeOut takes a log off a list and retires it, with the partition's lock of creating held.
func (m *Manager) takeOut(list map[protocol.TopicPartition]*Log, tp protocol.TopicPartition, suffix string) error {
	m.mu.Lock()
	l := list[tp]
	delete(list, tp)
	m.mu.Unlock()
	if l == nil {
		return ErrUnknownLog
	}
	return m.retire(l, suffix)
}

// MarkStray takes a log out of service that the cluster does not know of, and leaves its
// files in a directory renamed to end in -stray.
func (m *Manager) MarkStray(tp protocol.TopicPartition) error {
	lock := m.creatingLock(tp)
	lock.Lock()
	defer lock.Unlock()
	return m.takeOut(m.logs, tp, straySuffix)
}

// suffixedName is the name of a directory that is no current log's: topic-partition, a
// dot, a unique id, the suffix, and the topic cut if need be for 255 characters.
func suffixedName(tp protocol.TopicPartition, suffix string) string {
	id := protocol.NewUUID()
	end := fmt.Sprintf("-%d.%x%s", tp.Partition, id[:], suffix)
	return tp.Topic[:min(len(tp.Topic), 255-len(end))] + end
}

// retire closes a log that is no longer on any list, renames its directory, and, if it
// is to be deleted, has that removed.
func (m *Manager) retire(l *Log, suffix string) error {
	loc := l.location.Load()
	loc.dir.logCount.Add(-1)
	loc.dir.noteDeleted(l.partition)
	l.noMoreFiles()
	l.mu.Lock()
	err := l.retireLocked(suffix)
	next := l.successor
	waiters := l.takeWaitersLocked(func(durableWaiter) bool { return true })
	l.mu.Unlock()
	for _, w := range waiters {
		if next != nil {
			next.WaitDurable(w.offset, w.done)
		} else {
			w.done(ErrClosed)
		}
	}
	if err != nil {
		return err
	}
	if suffix == deleteSuffix {
		loc.dir.deletions.add(deletion{due: m.opts.Now().Add(l.config.Load().FileDeleteDelay), log: l})
		m.wakeBackground()
	} else {
		m.mu.Lock()
		m.strays = append(m.strays, l)
		m.mu.Unlock()
	}
	return nil
}

// noMoreFiles closes the log, and returns when none of its files is being opened or made:
// from then on its directory's name may be another's.
func (l *Log) noMoreFiles() {
	l.mu.Lock()
	l.openMu.Lock()
	l.closed.Store(true)
	l.openMu.Unlock()
	l.mu.Unlock()
	if c := l.epochs.Load(); c != nil {
		c.retire()
	}
}

func (l *Log) retireLocked(suffix string) error {
	loc := l.location.Load()
	err := loc.dir.err()
	l.truncating.Store(true) // no more notes
	for _, s := range *l.segments.Load() {
		if o := s.open.Load(); o != nil {
			o.indexes.Store(nil) // what they would still write nobody needs
		}
		l.closeSegmentLocked(s)
	}
	if err != nil {
		return err
	}
	if err := loc.dir.progress.forget(l); err != nil {
		return loc.dir.fail("note progress", err)
	}
	name := suffixedName(l.partition, suffix)
	if err := l.fs().Rename(l.Dir(), filepath.Join(loc.dir.path, name)); err != nil {
		return loc.dir.fail("rename the directory of "+l.partition.String(), err)
	}
	l.location.Store(&location{dir: loc.dir, name: name})
	return nil
}
