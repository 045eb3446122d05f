package log

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/barnabas-broker/barnabas/protocol"
)

// The files of a data directory that are Apache Kafka's, besides the checkpoints.
const (
	lockName          = ".lock"
	cleanShutdownName = ".kafka_cleanshutdown"
)

// The endings of the directories of logs that are not in service.
const (
	deleteSuffix = "-delete"
	futureSuffix = "-future"
	straySuffix  = "-stray"
)

// dataDir is one data directory: its identity, its checkpoints, and what is shared by the
// logs in it.
type dataDir struct {
	path    string
	manager *Manager
	lock    io.Closer // nil if the directory is offline since the start
	id      protocol.UUID

	// home is the location of all logs here that are under their own name.
	home *location

	recoveryPoints *CheckpointFile
	logStarts      *CheckpointFile
	highWatermarks *CheckpointFile
	progress       *progressFile
	flusher        *flusher
	deletions      deletions

	failure               atomic.Pointer[StorageError] // why it is offline, or nil
	recoveryPointsChanged atomic.Bool
	watermarksChanged     atomic.Bool
	logStartsChanged      atomic.Bool
	logCount              atomic.Int64

	checkpointMu sync.Mutex // held while a checkpoint is written, so that older ones never follow newer

	// Partitions deleted here of which the checkpoints may still tell.
	deletedMu  sync.Mutex
	deleted    map[protocol.TopicPartition]bool
	deletedAny bool // before a kill: nobody knows of which

	dirtyMu sync.Mutex
	dirty   []*Log // with news since they were last taken
}

func newDataDir(m *Manager, path string) *dataDir {
	d := &dataDir{path: path, manager: m}
	d.home = &location{dir: d}
	fsys := m.opts.FS
	d.recoveryPoints = NewCheckpointFile(fsys, filepath.Join(path, RecoveryPointCheckpointName))
	d.logStarts = NewCheckpointFile(fsys, filepath.Join(path, LogStartCheckpointName))
	d.highWatermarks = NewCheckpointFile(fsys, filepath.Join(path, HighWatermarkCheckpointName))
	d.progress = newProgressFile(fsys, path)
	d.flusher = newFlusher(d)
	return d
}

// err is why the directory is offline, or nil.
func (d *dataDir) err() error {
	if e := d.failure.Load(); e != nil {
		return e
	}
	return nil
}

// fail takes the directory offline: all its logs refuse all work from now on. The first
// failure is kept and told.
func (d *dataDir) fail(op string, err error) error {
	failure := &StorageError{Dir: d.path, Op: op, Err: err}
	if !d.failure.CompareAndSwap(nil, failure) {
		return failure
	}
	d.manager.opts.Logger.Error("Data directory is offline, its partitions are not served until it is repaired and the broker restarted",
		"dir", d.path, "operation", op, "err", err)
	if d.manager.cleaner != nil {
		d.manager.cleaner.DropDir(d.path)
	}
	if d.manager.opts.OnDirFailure != nil {
		d.manager.opts.OnDirFailure(d.path, failure)
	}
	return failure
}

// markDirty has the log's state noted at the next opportunity.
func (d *dataDir) markDirty(l *Log) {
	if l.dirty.Swap(true) {
		return
	}
	d.dirtyMu.Lock()
	defer d.dirtyMu.Unlock()
	d.dirty = append(d.dirty, l)
}

// noteDeleted remembers that the checkpoints tell of a log that is no more.
func (d *dataDir) noteDeleted(tp protocol.TopicPartition) {
	d.deletedMu.Lock()
	defer d.deletedMu.Unlock()
	if d.deleted == nil {
		d.deleted = make(map[protocol.TopicPartition]bool)
	}
	d.deleted[tp] = true
}

// forgetDeleted brings the checkpoints up to date before a partition is made whose name
// a deleted one had: what they tell of that one is not true of the new one.
func (d *dataDir) forgetDeleted(tp protocol.TopicPartition) error {
	d.deletedMu.Lock()
	stale := d.deletedAny || d.deleted[tp]
	if stale {
		d.deleted, d.deletedAny = nil, false
	}
	d.deletedMu.Unlock()
	if !stale {
		return nil
	}
	if err := d.manager.checkpointAll(d); err != nil {
		return d.fail("write a checkpoint", err)
	}
	return nil
}

// takeDirty returns the logs with news.
func (d *dataDir) takeDirty() []*Log {
	d.dirtyMu.Lock()
	defer d.dirtyMu.Unlock()
	dirty := d.dirty
	d.dirty = nil
	for _, l := range dirty {
		l.dirty.Store(false)
	}
	return dirty
}

// open creates the directory if need be and locks it.
func (d *dataDir) open() error {
	fsys := d.manager.opts.FS
	info, err := fsys.Stat(d.path)
	switch {
	case isNotExist(err):
		if err := fsys.MkdirAll(d.path, 0o755); err != nil {
			return d.fail("create", err)
		}
		if err := fsys.SyncDir(filepath.Dir(d.path)); err != nil {
			return d.fail("create", err)
		}
	case err != nil:
		return d.fail("open", err)
	case !info.IsDir():
		return d.fail("open", errors.New("it is not a directory"))
	}
	lock, err := fsys.Lock(filepath.Join(d.path, lockName))
	if isLocked(err) {
		return &InUseError{Dir: d.path}
	}
	if err != nil {
		return d.fail("lock", err)
	}
	d.lock = lock
	return nil
}

// InUseError says that another process works on a data directory.
type InUseError struct{ Dir string }

func (e *InUseError) Error() string {
	return fmt.Sprintf("data directory %s is in use: its .lock is held by another process, which may be a running broker", e.Dir)
}

// noteWatermark has the high watermarks written at the next opportunity.
func (d *dataDir) noteWatermark() {
	if !d.watermarksChanged.Load() {
		d.watermarksChanged.Store(true)
	}
}

// unlock lets another process have the directory.
func (d *dataDir) unlock() {
	if d.lock != nil {
		d.lock.Close()
		d.lock = nil
	}
}

// isLocked says whether a lock could not be had because somebody else has it.
func isLocked(err error) bool {
	return errors.Is(err, unix.EWOULDBLOCK)
}
