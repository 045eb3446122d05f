package log

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
)

// Found by tests/torture, which damages data directories by the thousand.

var otherPartition = protocol.TopicPartition{Topic: "healthy", Partition: 0}

// damagedDir leaves a clean shutdown of two partitions of 30 records behind, the first
// with several segments, and returns the first one's directory.
func damagedDir(t *testing.T) (dir, partition string) {
	t.Helper()
	dir = t.TempDir()
	m := testManager(t, dir, nil)
	cfg := configWith(func(c *Config) { c.SegmentSize, c.IndexInterval = 2000, 300 })
	l := testLog(t, m, cfg)
	healthy, err := m.Create(otherPartition, protocol.NewUUID(), cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		mustAppend(t, l, testBatch(t, 3, 100, 1000))
		mustAppend(t, healthy, testBatch(t, 3, 100, 1000))
	}
	l.RaiseHighWatermark(30)
	healthy.RaiseHighWatermark(30)
	partition = l.Dir()
	mustClose(t, m)
	return dir, partition
}

func mustClose(t *testing.T, m *Manager) {
	t.Helper()
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// wantHealthy fails unless the partition that was not damaged has all its records, and the
// data directory is online.
func wantHealthy(t *testing.T, m *Manager) {
	t.Helper()
	if err := m.Dirs()[0].Err; err != nil {
		t.Errorf("the data directory is offline: %v", err)
	}
	l := m.Get(otherPartition)
	if l == nil {
		t.Fatal("the partition that was not damaged is not there")
	}
	l.RaiseHighWatermark(l.LogEndOffset())
	wantRange(t, readAll(t, l, 1<<20), 0, 30)
}

func lastSegment(t *testing.T, partition string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(partition, "*.log"))
	if err != nil || len(names) < 2 {
		t.Fatalf("%d segments, %v", len(names), err)
	}
	return names[len(names)-1]
}

// In place, so that the directory's modification time, which the manifest goes by, stays.
func TestASegmentCutBehindTheManifestsBackIsLoadedAnew(t *testing.T) {
	for _, size := range []int64{0, 500} {
		dir, partition := damagedDir(t)
		if err := os.Truncate(lastSegment(t, partition), size); err != nil {
			t.Fatal(err)
		}
		m := testManager(t, dir, nil)
		l := m.Get(testPartition)
		l.RaiseHighWatermark(l.LogEndOffset())
		if end := l.LogEndOffset(); end >= 30 || end < 15 {
			t.Errorf("log end offset %d with a segment cut at %d", end, size)
		}
		wantRange(t, readAll(t, l, 1<<20), 0, l.LogEndOffset())
		wantHealthy(t, m)
		if info := mustAppend(t, l, testBatch(t, 1, 10, 1000)); info.FirstOffset != l.LogEndOffset()-1 {
			t.Errorf("appended at %d", info.FirstOffset)
		}
	}
}

func TestADirectoryOrADeadLinkForAFileTakesOnlyItsPartitionOffline(t *testing.T) {
	for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix} {
		for _, what := range []string{"directory", "link"} {
			dir, partition := damagedDir(t)
			path := strings.TrimSuffix(lastSegment(t, partition), logSuffix) + suffix
			err := os.Remove(path)
			if what == "directory" {
				err = errors.Join(err, os.MkdirAll(filepath.Join(path, "x"), 0o755))
			} else {
				err = errors.Join(err, os.Symlink("/nonexistent/x", path))
			}
			if err != nil {
				t.Fatal(err)
			}
			m := testManager(t, dir, nil)
			if err := m.Broken()[testPartition]; err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s for %s: the partition is offline because of %v, which does not name it", what, suffix, err)
			}
			wantHealthy(t, m)
		}
	}
}

func TestAnErrorOfOneFileTakesOnlyItsPartitionOffline(t *testing.T) {
	dir, partition := damagedDir(t)
	m := testManager(t, dir, nil)
	if err := os.RemoveAll(partition); err != nil {
		t.Fatal(err)
	}
	l := m.Get(testPartition)
	if _, err := l.Read(0, 100, UpToLogEnd, true); !errors.Is(err, protocol.ErrKafkaStorageError) {
		t.Errorf("a read of a log whose files are gone: %v", err)
	}
	if _, err := l.Append(testBatch(t, 1, 10, 1000), AppendOptions{RequestVersion: 9}); !errors.Is(err, protocol.ErrKafkaStorageError) {
		t.Errorf("an append to it: %v", err)
	}
	wantHealthy(t, m)
	mustClose(t, m)
	if _, err := os.Stat(filepath.Join(dir, cleanShutdownName)); err == nil {
		t.Error("a directory with a log that failed was left as after a clean shutdown")
	}
}

func TestAFileInAPartitionsPlaceTakesOnlyThatPartitionOffline(t *testing.T) {
	dir, partition := damagedDir(t)
	if err := errors.Join(os.RemoveAll(partition), os.WriteFile(partition, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	m := testManager(t, dir, nil)
	if _, err := m.Create(testPartition, protocol.NewUUID(), nil, ""); !errors.Is(err, protocol.ErrKafkaStorageError) || !strings.Contains(err.Error(), partition) {
		t.Errorf("a log where a file is: %v", err)
	}
	wantHealthy(t, m)
}

func TestALinkedPartitionIsLoaded(t *testing.T) {
	dir, partition := damagedDir(t)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := errors.Join(os.Rename(partition, elsewhere), os.Symlink(elsewhere, partition)); err != nil {
		t.Fatal(err)
	}
	m := testManager(t, dir, nil)
	l := m.Get(testPartition)
	if l == nil {
		t.Fatal("the partition behind the link is not there")
	}
	l.RaiseHighWatermark(l.LogEndOffset())
	wantRange(t, readAll(t, l, 1<<20), 0, 30)
}

// A wrong index must never hide records: Apache's would.
func TestAWrongIndexHidesNoRecords(t *testing.T) {
	dir := t.TempDir()
	m := testManager(t, dir, nil)
	l := testLog(t, m, configWith(func(c *Config) { c.IndexInterval = 300 }))
	for range 10 {
		mustAppend(t, l, testBatch(t, 3, 100, 1000))
	}
	partition := l.Dir()
	mustClose(t, m)
	path := filepath.Join(partition, segmentName(0, indexSuffix))
	b, err := os.ReadFile(path)
	if err != nil || len(b) < 3*offsetEntrySize {
		t.Fatalf("%d bytes of index, %v", len(b), err)
	}
	for _, change := range []struct {
		name string
		do   func(b []byte)
	}{
		{"a place in the middle of a batch", func(b []byte) { b[offsetEntrySize+7] += 3 }},
		{"a later batch's place", func(b []byte) { copy(b[4:8], b[2*offsetEntrySize+4:]) }},
		{"a lower offset", func(b []byte) { b[offsetEntrySize+3] = 0 }},
		{"a place beyond the end", func(b []byte) { b[4] = 0x7f }},
	} {
		damaged := append([]byte(nil), b...)
		change.do(damaged)
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		m := testManager(t, dir, nil)
		l := m.Get(testPartition)
		l.RaiseHighWatermark(30)
		for offset := range int64(30) {
			data, err := l.Read(offset, 1, UpToHighWatermark, true)
			if err != nil {
				t.Errorf("%s: read at %d: %v", change.name, offset, err)
				continue
			}
			var head [8]byte
			if _, err := data.Region.ReadAt(head[:], 0); err != nil {
				t.Fatal(err)
			}
			if base := int64(head[7]); base > offset || base+3 <= offset {
				t.Errorf("%s: a read at %d begins with the batch at %d", change.name, offset, base)
			}
			data.Region.Release()
		}
		mustClose(t, m)
	}
}

func TestADamagedFirstBatchDoesNotStopAppends(t *testing.T) {
	dir, partition := damagedDir(t)
	path := lastSegment(t, partition)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[:200])
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	m := testManager(t, dir, nil)
	l := m.Get(testPartition)
	end := l.LogEndOffset()
	if info := mustAppend(t, l, testBatch(t, 1, 10, 1000)); info.FirstOffset != end {
		t.Errorf("appended at %d, the log ended at %d", info.FirstOffset, end)
	}
}

func TestEmptyMetaPropertiesAreRefusedByName(t *testing.T) {
	dir, _ := damagedDir(t)
	path := filepath.Join(dir, MetaPropertiesName)
	if err := os.WriteFile(path, []byte("#\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenManager(t.Context(), ManagerOptions{Dirs: []string{dir}, NodeID: -1}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a meta.properties without anything in it: %v", err)
	}
}

func TestADirectoryWithoutAnIDGetsOne(t *testing.T) {
	for _, file := range []string{"version=1\nnode.id=1\ncluster.id=GY366tcbSDmDbNW0KN8iKA\n", "version=0\nbroker.id=1\ncluster.id=GY366tcbSDmDbNW0KN8iKA\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, MetaPropertiesName), []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
		var ids [2]protocol.UUID
		for i := range ids {
			m := testManager(t, dir, func(o *ManagerOptions) { o.NodeID, o.ClusterID = 1, "" })
			ids[i] = m.Dirs()[0].ID
			mustClose(t, m)
		}
		if ids[0].IsZero() || ids[0] != ids[1] {
			t.Errorf("ids %v and then %v of a directory that had\n%s", ids[0], ids[1], file)
		}
	}
}

func TestWhatCouldNotBeLoadedIsRecoveredLater(t *testing.T) {
	dir, partition := damagedDir(t)
	m := testManager(t, dir, nil)
	if _, err := m.Get(testPartition).DeleteRecordsTo(4); err != nil {
		t.Fatal(err)
	}
	mustClose(t, m)
	path := strings.TrimSuffix(lastSegment(t, partition), logSuffix) + indexSuffix
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	m = testManager(t, dir, nil)
	if len(m.Broken()) != 1 {
		t.Fatal(m.Broken())
	}
	mustClose(t, m)
	if _, err := os.Stat(filepath.Join(dir, cleanShutdownName)); err == nil {
		t.Error("a directory with a log that could not be loaded was left as after a clean shutdown")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	m = testManager(t, dir, nil)
	l := m.Get(testPartition)
	if l == nil || l.LogStartOffset() != 4 || l.LogEndOffset() != 30 {
		t.Errorf("the log after its repair: %v", l)
	}
}

// Apache takes the whole data directory offline for it. All that the file tells is in the batches.
func TestLeaderEpochsAreTakenFromTheBatchesIfTheirFileIsDamaged(t *testing.T) {
	dir := t.TempDir()
	m := testManager(t, dir, nil)
	l := testLog(t, m, configWith(func(c *Config) { c.SegmentSize = 2000 }))
	for i := range 20 {
		if _, err := l.Append(testBatch(t, 3, 100, 1000), AppendOptions{RequestVersion: 9, LeaderEpoch: int32(i / 4 * 2)}); err != nil {
			t.Fatal(err)
		}
	}
	l.RaiseHighWatermark(l.LogEndOffset())
	if _, err := l.DeleteRecordsTo(15); err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(l.epochs.Load().Entries())
	file := filepath.Join(l.Dir(), LeaderEpochCheckpointName)
	mustClose(t, m)
	os.Remove(file) // so that the manifest is not believed
	if err := os.WriteFile(file, []byte("0\n5\n0 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second start finds a sound file
		m = testManager(t, dir, nil)
		if got := m.Get(testPartition).epochs.Load().Entries(); !slices.Equal(got, want) {
			t.Errorf("epochs %v, want %v", got, want)
		}
		mustClose(t, m)
	}
	if _, err := OpenLeaderEpochCache(OS{}, filepath.Dir(file)); err != nil {
		t.Error(err)
	}
}
