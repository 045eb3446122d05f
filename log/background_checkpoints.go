package log

import (
	"cmp"
)

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
