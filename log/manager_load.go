package log

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/barnabas-broker/barnabas/protocol"
)

// dirLoad is the loading of all logs of one data directory.
type dirLoad struct {
	manager *Manager
	dir     *dataDir
	clean   bool
	names   []string // of the directories in it

	manifest       map[string]manifestRecord
	checkpoints    sync.Once // reads the next three, when a log is not loaded from the manifest
	recoveryPoints map[protocol.TopicPartition]int64
	logStarts      map[protocol.TopicPartition]int64
	highWatermarks map[protocol.TopicPartition]int64
	notes          map[protocol.TopicPartition]progressNote
}

// load finds the logs in all directories and loads them, in parallel.
func (m *Manager) load(ctx context.Context) error {
	m.wasClean = true
	var loads []*dirLoad
	type job struct {
		load *dirLoad
		name string
	}
	var jobs []job
	for _, d := range m.live() {
		r := &dirLoad{manager: m, dir: d}
		if err := r.prepare(); err != nil {
			d.fail("load", err)
			continue
		}
		loads = append(loads, r)
		m.wasClean = m.wasClean && (r.clean || len(r.names) == 0)
		for _, name := range r.names {
			jobs = append(jobs, job{r, name})
		}
	}
	next := make(chan []job)
	var wg sync.WaitGroup
	var firstErr error
	var errMu sync.Mutex
	for range max(1, m.opts.RecoveryThreads) {
		wg.Go(func() {
			for batch := range next {
				for _, j := range batch {
					if err := j.load.loadOne(j.name); err != nil {
						errMu.Lock()
						firstErr = errors.Join(firstErr, err)
						errMu.Unlock()
					}
				}
			}
		})
	}
	const share = 16
	for i := 0; i < len(jobs) && ctx.Err() == nil; i += share {
		next <- jobs[i:min(i+share, len(jobs))]
	}
	close(next)
	wg.Wait()
	if err := errors.Join(ctx.Err(), firstErr); err != nil {
		return err
	}
	for _, r := range loads {
		m.opts.Logger.Info("Loaded logs", "dir", r.dir.path, "count", len(r.names), "clean", r.clean)
	}
	return nil
}

// prepare reads what the directory's own files say, and takes away the marker of the
// clean shutdown: should we crash from here on, it was none.
func (r *dirLoad) prepare() error {
	fsys, d := r.manager.opts.FS, r.dir
	clean, token, err := readCleanShutdown(fsys, d.path)
	if err != nil {
		return err
	}
	r.clean = clean
	entries, err := fsys.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		isDir := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := fsys.Stat(filepath.Join(d.path, e.Name()))
			isDir = err == nil && info.IsDir()
		}
		if isDir {
			r.names = append(r.names, e.Name())
		}
	}
	if clean && token != "" {
		r.readManifest(token)
	}
	if !clean {
		if r.notes, err = d.progress.read(); isDiskError(err) {
			return err
		} else if err != nil {
			r.manager.opts.Logger.Warn("What was noted of the progress cannot be read and is ignored", "dir", d.path, "err", err)
		}
	}
	if !clean {
		// The checkpoints may tell of logs that were deleted before.
		for _, name := range []string{RecoveryPointCheckpointName, HighWatermarkCheckpointName, LogStartCheckpointName} {
			if _, err := fsys.Stat(filepath.Join(d.path, name)); err == nil {
				d.deletedAny = true
			}
		}
	}
	if clean {
		if err := removeIfExists(fsys, filepath.Join(d.path, cleanShutdownName)); err != nil {
			return err
		}
		return fsys.SyncDir(d.path)
	}
	return nil
}

// readCheckpoint reads a checkpoint file. One that cannot be read only costs time, or
// brings records back that had been deleted.
func (r *dirLoad) readCheckpoint(c *CheckpointFile) map[protocol.TopicPartition]int64 {
	offsets, err := c.Read()
	if err != nil {
		r.manager.opts.Logger.Warn("Checkpoint file cannot be read and is ignored", "dir", r.dir.path, "err", err)
	}
	return offsets
}

func (r *dirLoad) readManifest(token string) {
	b := binaryReader{b: readManifest(r.manager.opts.FS, r.dir.path, token)}
	r.manifest = make(map[string]manifestRecord, len(r.names))
	topic := ""
	for len(b.b) > 0 {
		var record manifestRecord
		if !record.read(&b, topic) {
			r.manager.opts.Logger.Warn("Manifest cannot be read and is ignored", "dir", r.dir.path)
			r.manifest = nil
			return
		}
		topic = record.partition.Topic
		r.manifest[record.partition.String()] = record
	}
}

// loadOne loads the log in one directory. A log that cannot be loaded is left out and the
// others are served, unless the disk fails; an error is for what nobody can decide but
// the operator.
func (r *dirLoad) loadOne(name string) error {
	m, d := r.manager, r.dir
	if d.err() != nil {
		return nil
	}
	tp, suffix, ok := parseLogDirName(name)
	switch {
	case !ok || tp.Topic == "__cluster_metadata":
		if !ok {
			m.opts.Logger.Warn("Directory is not named as a partition's and is ignored", "dir", d.path, "name", name)
		}
		return nil
	case suffix == straySuffix:
		m.opts.Logger.Warn("Stray partition directory is left alone", "dir", d.path, "name", name)
		return nil
	case suffix == deleteSuffix:
		l := m.newLog(tp, &location{dir: d, name: name})
		l.closed.Store(true)
		l.segments.Store(&segmentList{newSegment(0, m.nowMs())})
		d.deletions.add(deletion{due: m.opts.Now(), log: l})
		return nil
	}
	if record, ok := r.manifest[name]; ok {
		info, err := m.opts.FS.Stat(filepath.Join(d.path, name))
		if err == nil && info.ModTime().UnixNano() == record.modifiedNs && r.hasSizes(name, &record) {
			return m.addLoaded(m.logFromManifest(d, &record, m.nowMs()))
		}
	}
	at := d.home
	if suffix != "" {
		at = &location{dir: d, name: name, future: true}
	}
	l := m.newLog(tp, at)
	r.checkpoints.Do(func() {
		r.recoveryPoints = r.readCheckpoint(d.recoveryPoints)
		r.logStarts = r.readCheckpoint(d.logStarts)
		r.highWatermarks = r.readCheckpoint(d.highWatermarks)
	})
	load := logLoad{
		log: l, dir: filepath.Join(d.path, name), clean: r.clean,
		recoveryPoint: r.recoveryPoints[tp], logStart: r.logStarts[tp], highWatermark: r.highWatermarks[tp],
	}
	if n, ok := r.notes[tp]; ok && suffix == "" {
		load.note = &n
	}
	if err := load.checkNote().run(); err != nil {
		r.leaveOut(l, err)
		return nil
	}
	if load.recovered && !r.clean {
		d.markDirty(l)
		m.opts.Logger.Info("Recovered log", "partition", tp, "dir", d.path, "logStartOffset", l.LogStartOffset(), "logEndOffset", l.LogEndOffset(), "segments", l.SegmentCount())
	}
	return m.addLoaded(l)
}

// hasSizes says whether the segments have the sizes that the manifest tells. A file that
// is cut does not change its directory.
func (r *dirLoad) hasSizes(name string, record *manifestRecord) bool {
	for _, s := range record.segments {
		if s.size == 0 {
			continue // there need not be a file
		}
		info, err := r.manager.opts.FS.Stat(filepath.Join(r.dir.path, name, segmentName(s.baseOffset, logSuffix)))
		if err != nil || info.Size() != s.size {
			r.manager.opts.Logger.Warn("A segment is not as it was left by the clean shutdown, its log is loaded anew",
				"dir", r.dir.path, "log", name, "baseOffset", s.baseOffset, "size", s.size)
			return false
		}
	}
	return true
}

// checkNote drops a note that is of another topic of the same name, or of no use.
func (r *logLoad) checkNote() *logLoad {
	if r.note == nil {
		return r
	}
	id, err := ReadPartitionMetadata(r.log.fs(), r.dir)
	if r.note.base < 0 || err == nil && id != r.note.topicID {
		r.note = nil
	}
	return r
}

// leaveOut takes out of service what could not be loaded: the log, or, if the system
// reports an I/O error, the whole directory.
func (r *dirLoad) leaveOut(l *Log, err error) {
	m := r.manager
	for _, s := range *segmentsOrNone(l) {
		if o := s.open.Load(); o != nil {
			o.indexes.Store(nil)
		}
		l.closeSegmentLocked(s)
	}
	if isDiskError(err) {
		r.dir.fail("load "+l.partition.String(), err)
		return
	}
	failure := &brokenLog{StorageError{Dir: r.dir.path, Op: "load " + l.partition.String(), Err: err}, map[*CheckpointFile]int64{}}
	for file, offsets := range map[*CheckpointFile]map[protocol.TopicPartition]int64{
		r.dir.recoveryPoints: r.recoveryPoints, r.dir.logStarts: r.logStarts, r.dir.highWatermarks: r.highWatermarks,
	} {
		if offset, ok := offsets[l.partition]; ok {
			failure.offsets[file] = offset
		}
	}
	m.opts.Logger.Error("Partition is offline, its log could not be loaded", "partition", l.partition, "dir", r.dir.path, "err", err)
	m.mu.Lock()
	m.broken[l.partition] = failure
	m.mu.Unlock()
}

// brokenLog is a log that could not be loaded.
type brokenLog struct {
	StorageError
	offsets map[*CheckpointFile]int64 // what the checkpoints tell of it
}

func segmentsOrNone(l *Log) *segmentList {
	if s := l.segments.Load(); s != nil {
		return s
	}
	return &segmentList{}
}

func (m *Manager) addLoaded(l *Log) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	loc := l.location.Load()
	logs := m.logs
	if loc.future {
		logs = m.futures
	}
	if other := logs[l.partition]; other != nil {
		return fmt.Errorf("duplicate directories of %v are in both %s and %s: probably a data directory failed while a replica was "+
			"moved to another; delete one of the two by hand, preferably the one on the disk that failed", l.partition, other.Dir(), l.Dir())
	}
	logs[l.partition] = l
	loc.dir.logCount.Add(1)
	return nil
}
