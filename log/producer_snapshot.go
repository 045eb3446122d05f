package log

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ProducerSnapshotSuffix ends the names of producer snapshot files.
const ProducerSnapshotSuffix = ".snapshot"

// ErrCorruptSnapshot says that a producer snapshot file cannot be read.
var ErrCorruptSnapshot = errors.New("producer snapshot is corrupt")

// ProducerSnapshotEntry is one producer in a snapshot file, 46 bytes:
//
//	 0 producer id          8
//	 8 producer epoch       2
//	10 last sequence        4   -1 if no data batch is known
//	14 last offset          8   -1 if no data batch is known
//	22 offset delta         4   last offset minus first offset of the last batch
//	26 timestamp            8
//	34 coordinator epoch    4
//	38 txn first offset     8   -1 if no transaction is open
type ProducerSnapshotEntry struct {
	ProducerID       int64
	ProducerEpoch    int16
	LastSequence     int32
	LastOffset       int64
	OffsetDelta      int32
	Timestamp        int64
	CoordinatorEpoch int32
	TxnFirstOffset   int64
}

// A snapshot file: version 2, CRC-32C of all after it 4, entry count 4, the entries.
const (
	snapshotVersion     = 1
	snapshotCRCPos      = 2
	snapshotCountPos    = 6
	snapshotEntriesPos  = 10
	snapshotEntrySize   = 46
	snapshotMaxFileSize = 1 << 30
)

var castagnoliTable = crc32.MakeTable(crc32.Castagnoli)

// ProducerSnapshotName is the file name of the snapshot at an offset.
func ProducerSnapshotName(offset int64) string {
	return fmt.Sprintf("%020d%s", offset, ProducerSnapshotSuffix)
}

// ParseProducerSnapshotName returns the offset in a snapshot's file name.
func ParseProducerSnapshotName(name string) (int64, bool) {
	digits, ok := strings.CutSuffix(name, ProducerSnapshotSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	offset, err := strconv.ParseUint(digits, 10, 63)
	return int64(offset), err == nil
}

// ParseProducerSnapshot reads the contents of a snapshot file. Its error is
// [ErrCorruptSnapshot], with what is wrong.
func ParseProducerSnapshot(b []byte) ([]ProducerSnapshotEntry, error) {
	be := binary.BigEndian
	if len(b) < snapshotEntriesPos {
		return nil, fmt.Errorf("%w: only %d bytes", ErrCorruptSnapshot, len(b))
	}
	if v := int16(be.Uint16(b)); v != snapshotVersion {
		return nil, fmt.Errorf("%w: unknown version %d", ErrCorruptSnapshot, v)
	}
	stored, computed := be.Uint32(b[snapshotCRCPos:]), crc32.Checksum(b[snapshotCountPos:], castagnoliTable)
	if stored != computed {
		return nil, fmt.Errorf("%w: stored checksum %#08x, computed %#08x", ErrCorruptSnapshot, stored, computed)
	}
	count := int32(be.Uint32(b[snapshotCountPos:]))
	if count < 0 || int64(count)*snapshotEntrySize != int64(len(b)-snapshotEntriesPos) {
		return nil, fmt.Errorf("%w: %d entries in %d bytes", ErrCorruptSnapshot, count, len(b))
	}
	entries := make([]ProducerSnapshotEntry, count)
	for i := range entries {
		e := b[snapshotEntriesPos+i*snapshotEntrySize:]
		entries[i] = ProducerSnapshotEntry{
			ProducerID:       int64(be.Uint64(e)),
			ProducerEpoch:    int16(be.Uint16(e[8:])),
			LastSequence:     int32(be.Uint32(e[10:])),
			LastOffset:       int64(be.Uint64(e[14:])),
			OffsetDelta:      int32(be.Uint32(e[22:])),
			Timestamp:        int64(be.Uint64(e[26:])),
			CoordinatorEpoch: int32(be.Uint32(e[34:])),
			TxnFirstOffset:   int64(be.Uint64(e[38:])),
		}
	}
	return entries, nil
}

// AppendProducerSnapshot appends the contents of a snapshot file to dst.
func AppendProducerSnapshot(dst []byte, entries []ProducerSnapshotEntry) []byte {
	be := binary.BigEndian
	start := len(dst)
	dst = slices.Grow(dst, snapshotEntriesPos+len(entries)*snapshotEntrySize)
	dst = be.AppendUint16(dst, snapshotVersion)
	dst = be.AppendUint32(dst, 0) // the checksum, below
	dst = be.AppendUint32(dst, uint32(len(entries)))
	for i := range entries {
		e := &entries[i]
		dst = be.AppendUint64(dst, uint64(e.ProducerID))
		dst = be.AppendUint16(dst, uint16(e.ProducerEpoch))
		dst = be.AppendUint32(dst, uint32(e.LastSequence))
		dst = be.AppendUint64(dst, uint64(e.LastOffset))
		dst = be.AppendUint32(dst, uint32(e.OffsetDelta))
		dst = be.AppendUint64(dst, uint64(e.Timestamp))
		dst = be.AppendUint32(dst, uint32(e.CoordinatorEpoch))
		dst = be.AppendUint64(dst, uint64(e.TxnFirstOffset))
	}
	be.PutUint32(dst[start+snapshotCRCPos:], crc32.Checksum(dst[start+snapshotCountPos:], castagnoliTable))
	return dst
}

// PendingSnapshot is a producer snapshot that has been taken and is still to be written,
// by whoever holds no lock.
type PendingSnapshot struct {
	Offset int64
	fs     FS
	path   string
	data   []byte
}

// writeWholeFile creates or overwrites a file, and waits for the disk if sync is set.
func writeWholeFile(fsys FS, path string, data []byte, sync bool) error {
	f, err := fsys.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(data, 0); err == nil && sync {
		err = f.Sync()
	}
	return cmp.Or(err, f.Close())
}

// Write writes the snapshot file, and waits for the disk if sync is set.
func (s *PendingSnapshot) Write(sync bool) error {
	if err := writeWholeFile(s.fs, s.path, s.data, sync); err != nil {
		return fmt.Errorf("write producer snapshot: %w", err)
	}
	return nil
}

// Snapshot takes a snapshot at the current end offset, or returns nil if the last one was
// taken there. The manager counts it as present; the caller must write it.
func (m *ProducerStateManager) Snapshot() *PendingSnapshot {
	if m.endOffset <= m.lastSnapshotOffset {
		return nil
	}
	s := &PendingSnapshot{Offset: m.endOffset, fs: m.fs, path: m.snapshotPath(m.endOffset), data: AppendProducerSnapshot(nil, m.snapshotEntries())}
	if i, found := slices.BinarySearch(m.snapshots, s.Offset); !found {
		m.snapshots = slices.Insert(m.snapshots, i, s.Offset)
	}
	m.lastSnapshotOffset = s.Offset
	return s
}

// TakeSnapshot is Snapshot and Write in one.
func (m *ProducerStateManager) TakeSnapshot(sync bool) error {
	if s := m.Snapshot(); s != nil {
		return s.Write(sync)
	}
	return nil
}

func (m *ProducerStateManager) snapshotEntries() []ProducerSnapshotEntry {
	if m.table == nil {
		return nil
	}
	entries := make([]ProducerSnapshotEntry, 0, len(m.table.producers))
	for id, p := range m.table.producers {
		e := ProducerSnapshotEntry{
			ProducerID: id, ProducerEpoch: p.epoch, LastSequence: -1, LastOffset: -1,
			Timestamp: p.lastTimestamp, CoordinatorEpoch: p.coordinatorEpoch, TxnFirstOffset: p.txnFirstOffset,
		}
		if b, ok := p.lastBatch(); ok {
			e.LastSequence, e.LastOffset, e.OffsetDelta = b.lastSequence, b.lastOffset, b.offsetDelta
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b ProducerSnapshotEntry) int { return cmp.Compare(a.ProducerID, b.ProducerID) })
	return entries
}

func (m *ProducerStateManager) snapshotPath(offset int64) string {
	return filepath.Join(m.dir, ProducerSnapshotName(offset))
}

// SetSnapshots tells the manager the offsets of the snapshot files in its directory, for
// callers that have listed it anyway.
func (m *ProducerStateManager) SetSnapshots(offsets []int64) {
	m.snapshots = slices.Clone(offsets)
	slices.Sort(m.snapshots)
}

// ListSnapshots looks for snapshot files in the directory.
func (m *ProducerStateManager) ListSnapshots() error {
	files, err := m.fs.ReadDir(m.dir)
	if err != nil {
		return fmt.Errorf("list producer snapshots: %w", err)
	}
	m.snapshots = nil
	for _, f := range files {
		if offset, ok := ParseProducerSnapshotName(f.Name()); ok && f.Type().IsRegular() {
			m.snapshots = append(m.snapshots, offset)
		}
	}
	slices.Sort(m.snapshots)
	return nil
}

// Snapshots returns the offsets of the snapshot files, ascending.
func (m *ProducerStateManager) Snapshots() []int64 { return slices.Clone(m.snapshots) }

// LatestSnapshot is the highest offset of a snapshot file.
func (m *ProducerStateManager) LatestSnapshot() (int64, bool) {
	if n := len(m.snapshots); n > 0 {
		return m.snapshots[n-1], true
	}
	return 0, false
}

// OldestSnapshot is the lowest offset of a snapshot file.
func (m *ProducerStateManager) OldestSnapshot() (int64, bool) {
	if len(m.snapshots) > 0 {
		return m.snapshots[0], true
	}
	return 0, false
}

// RemoveStraySnapshots deletes the snapshot files that belong to no segment, but not the
// newest of them if it lies past the last segment's base: a clean shutdown wrote it.
func (m *ProducerStateManager) RemoveStraySnapshots(segmentBaseOffsets []int64) error {
	last := int64(-1)
	for _, base := range segmentBaseOffsets {
		last = max(last, base)
	}
	var newestStray int64 = -1
	for _, offset := range m.snapshots {
		if !slices.Contains(segmentBaseOffsets, offset) {
			newestStray = offset
		}
	}
	return m.removeSnapshots(func(offset int64) bool {
		return !slices.Contains(segmentBaseOffsets, offset) && !(offset == newestStray && offset >= last)
	})
}

// TruncateAndReload makes the state that of the log between two offsets: snapshots out of
// that range are deleted and, unless the state ends at logEndOffset already, the newest
// one left that can be read is loaded; the caller replays the log from EndOffset.
func (m *ProducerStateManager) TruncateAndReload(logStartOffset, logEndOffset, nowMs int64) error {
	return m.truncateAndReloadBelow(logStartOffset, logEndOffset, math.MaxInt64, nowMs)
}

// truncateAndReloadBelow is TruncateAndReload from a snapshot below an offset. Those from
// there on stay all the same.
func (m *ProducerStateManager) truncateAndReloadBelow(logStartOffset, logEndOffset, below, nowMs int64) error {
	err := m.removeSnapshots(func(offset int64) bool { return offset > logEndOffset || offset <= logStartOffset })
	if err != nil {
		return err
	}
	if logEndOffset == m.endOffset {
		m.OnLogStart(logStartOffset)
		return nil
	}
	m.table = nil
	err = m.loadNewestSnapshot(logStartOffset, below, nowMs)
	if newest, ok := m.LatestSnapshot(); ok {
		m.lastSnapshotOffset = newest
	}
	return err
}

func (m *ProducerStateManager) loadNewestSnapshot(logStartOffset, below, nowMs int64) error {
	for {
		i, _ := slices.BinarySearch(m.snapshots, below)
		if i == 0 {
			m.lastSnapshotOffset, m.endOffset = logStartOffset, logStartOffset
			return nil
		}
		offset := m.snapshots[i-1]
		entries, err := readProducerSnapshot(m.fs, m.snapshotPath(offset))
		if err == nil {
			m.load(entries, nowMs)
			m.lastSnapshotOffset, m.endOffset = offset, offset
			return nil
		}
		if !errors.Is(err, ErrCorruptSnapshot) && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		m.logger.Warn("Producer snapshot cannot be read, the one before it will be used", "partition", m.partition, "offset", offset, "err", err)
		if err := m.removeSnapshots(func(o int64) bool { return o == offset }); err != nil {
			return err
		}
	}
}

func readProducerSnapshot(fsys FS, path string) ([]ProducerSnapshotEntry, error) {
	b, err := readFile(fsys, path, snapshotMaxFileSize)
	if err != nil {
		return nil, fmt.Errorf("read producer snapshot: %w", err)
	}
	entries, err := ParseProducerSnapshot(b)
	if err != nil {
		return nil, fmt.Errorf("read producer snapshot %s: %w", path, err)
	}
	return entries, nil
}

func (m *ProducerStateManager) load(entries []ProducerSnapshotEntry, nowMs int64) {
	for i := range entries {
		e := &entries[i]
		p := newProducer()
		p.epoch, p.coordinatorEpoch, p.lastTimestamp = e.ProducerEpoch, e.CoordinatorEpoch, e.Timestamp
		if e.TxnFirstOffset >= 0 {
			p.txnFirstOffset = e.TxnFirstOffset
		}
		if m.isExpired(nowMs, p.lastTimestamp, p.txnFirstOffset) {
			continue
		}
		if e.LastOffset >= 0 {
			p.addBatch(batchMetadata{lastOffset: e.LastOffset, timestamp: e.Timestamp, lastSequence: e.LastSequence, offsetDelta: e.OffsetDelta})
		}
		if m.table == nil {
			m.table = &producerTable{producers: make(map[int64]*producer, len(entries)-i)}
		}
		m.table.producers[e.ProducerID] = &p
		if p.txnFirstOffset >= 0 {
			m.table.ongoing = append(m.table.ongoing, openTxn{producerID: e.ProducerID, firstOffset: p.txnFirstOffset, lastOffset: -1})
		}
	}
	if m.table != nil {
		slices.SortFunc(m.table.ongoing, func(a, b openTxn) int { return cmp.Compare(a.firstOffset, b.firstOffset) })
	}
}

// TruncateFullyAndStartAt forgets everything and deletes all snapshots.
func (m *ProducerStateManager) TruncateFullyAndStartAt(offset int64) error {
	m.table = nil
	m.lastSnapshotOffset, m.endOffset = 0, offset
	return m.removeSnapshots(func(int64) bool { return true })
}

// RemoveSnapshotsBefore deletes the snapshots below offset.
func (m *ProducerStateManager) RemoveSnapshotsBefore(offset int64) error {
	return m.removeSnapshots(func(o int64) bool { return o < offset })
}

// RemoveSnapshot deletes the snapshot at offset, if there is one.
func (m *ProducerStateManager) RemoveSnapshot(offset int64) error {
	return m.removeSnapshots(func(o int64) bool { return o == offset })
}

// ForgetSnapshot takes the snapshot at offset off the list and returns its path, for a
// caller that deletes the file together with its segment's, later.
func (m *ProducerStateManager) ForgetSnapshot(offset int64) (path string, ok bool) {
	i, ok := slices.BinarySearch(m.snapshots, offset)
	if !ok {
		return "", false
	}
	m.snapshots = slices.Delete(m.snapshots, i, i+1)
	return m.snapshotPath(offset), true
}

// removeSnapshots deletes files; one that cannot be deleted stays on the list.
func (m *ProducerStateManager) removeSnapshots(remove func(offset int64) bool) error {
	var errs []error
	m.snapshots = slices.DeleteFunc(m.snapshots, func(offset int64) bool {
		if !remove(offset) {
			return false
		}
		err := m.fs.Remove(m.snapshotPath(offset))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("delete producer snapshot: %w", err))
			return false
		}
		return true
	})
	return errors.Join(errs...)
}
