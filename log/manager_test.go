package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

func TestAppendAndReadAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector pools forget at random")
	}
	m := testManager(t, t.TempDir(), nil)
	l := testLog(t, m, nil)
	batch := testBatch(t, 10, 100, 1000)
	mustAppend(t, l, bytes.Clone(batch))
	opts := AppendOptions{RequestVersion: 9}
	if n := testing.AllocsPerRun(2000, func() {
		protocol.SetBatchOffset(batch, 0, -1)
		if _, err := l.Append(batch, opts); err != nil {
			t.Fatal(err)
		}
		l.RaiseHighWatermark(l.LogEndOffset())
	}); n > 0 {
		t.Errorf("an append allocates %v times", n)
	}
	offset := l.LogEndOffset() - 10
	if n := testing.AllocsPerRun(2000, func() {
		data, err := l.Read(offset, 1<<20, UpToHighWatermark, true)
		if err != nil || data.Region.Size() == 0 {
			t.Fatal(err)
		}
		data.Region.Release()
		l.BytesFrom(offset, UpToHighWatermark)
	}); n > 0 {
		t.Errorf("a read allocates %v times", n)
	}
}

func TestDurableAcksShareSyncs(t *testing.T) {
	fsys := newFaultyFS()
	m, err := OpenManager(context.Background(), ManagerOptions{Dirs: []string{"/d"}, FS: fsys, ProgressInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer kill(m)
	l := testLog(t, m, configWith(func(c *Config) { c.DurableAcks = true }))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				info, err := l.Append(testBatch(t, 1, 50, 1), AppendOptions{RequestVersion: 9})
				if err != nil || !info.MustSync {
					t.Errorf("append: %v, must sync %v", err, info.MustSync)
					return
				}
				done := make(chan error, 1)
				l.WaitDurable(info.LastOffset+1, func(err error) { done <- err })
				if err := <-done; err != nil || l.DurableOffset() <= info.LastOffset {
					t.Errorf("durable up to %d, want %d: %v", l.DurableOffset(), info.LastOffset+1, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestReadCommittedStopsAtOpenTransactionsAndNamesAborted(t *testing.T) {
	dir := t.TempDir()
	m := testManager(t, dir, nil)
	l := testLog(t, m, nil)
	data := func(producer int64, sequence int32) {
		b, err := protocol.AppendBatch(nil, protocol.BatchOptions{
			LeaderEpoch: -1, Producer: &protocol.Producer{ID: producer, BaseSequence: sequence}, Transactional: true,
		}, protocol.Record{Value: []byte("v"), Timestamp: time.Now().UnixMilli()})
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, b)
	}
	end := func(producer int64, commit bool) {
		b := protocol.AppendEndTxnBatch(nil, producer, 0, time.Now().UnixMilli(), protocol.EndTxnMarker{Commit: commit})
		if _, err := l.Append(b, AppendOptions{RequestVersion: 11, Origin: OriginCoordinator}); err != nil {
			t.Fatal(err)
		}
		l.RaiseHighWatermark(l.LogEndOffset())
	}
	data(1, 0) // 0
	data(2, 0) // 1
	if l.LastStableOffset() != 0 {
		t.Errorf("last stable offset %d with a transaction open from 0", l.LastStableOffset())
	}
	end(1, false) // 2
	if l.LastStableOffset() != 1 {
		t.Errorf("last stable offset %d with a transaction open from 1", l.LastStableOffset())
	}
	read, err := l.Read(0, 1<<20, UpToLastStable, true)
	if err != nil || read.NextOffset != 1 {
		t.Fatalf("read committed up to %d, %v", read.NextOffset, err)
	}
	if want := []AbortedTransaction{{1, 0}}; !slices.Equal(read.AbortedTransactions, want) {
		t.Errorf("aborted transactions %v, want %v", read.AbortedTransactions, want)
	}
	read.Region.Release()
	kill(m) // what was open must be found again, by way of the log
	m = testManager(t, dir, nil)
	l = m.Get(testPartition)
	l.RaiseHighWatermark(l.LogEndOffset())
	if l.LastStableOffset() != 1 {
		t.Errorf("last stable offset %d after a kill", l.LastStableOffset())
	}
	end(2, true)
	if l.LastStableOffset() != 4 {
		t.Errorf("last stable offset %d when all are complete", l.LastStableOffset())
	}
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	m = testManager(t, dir, nil)
	l = m.Get(testPartition)
	read, err = l.Read(0, 1<<20, UpToLastStable, true)
	if err != nil || len(read.AbortedTransactions) != 1 {
		t.Errorf("aborted transactions after a start: %v, %v", read.AbortedTransactions, err)
	}
	read.Region.Release()
	if p := l.ActiveProducers(); len(p) != 2 {
		t.Errorf("active producers after a start: %v", p)
	}
}

func TestADeletedTopicLeavesNothingToItsSuccessor(t *testing.T) {
	dir := t.TempDir()
	clock := newTestClock()
	m := testManager(t, dir, func(o *ManagerOptions) { o.Now = clock.Now })
	l := testLog(t, m, nil)
	for range 10 {
		mustAppend(t, l, testBatch(t, 1, 100, clock.now.UnixMilli()))
	}
	if _, err := l.DeleteRecordsTo(8); err != nil {
		t.Fatal(err)
	}
	l.Flush()
	m.RunCheckpoint()
	m.RunStartCheckpoint()
	m.RunWatermarkCheckpoint()
	m.RunProgress()
	if err := m.Delete(testPartition); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(testBatch(t, 1, 1, 1), AppendOptions{RequestVersion: 9}); !errors.Is(err, protocol.ErrKafkaStorageError) {
		t.Errorf("append to a deleted log: %v", err)
	}
	if _, err := m.Create(testPartition, protocol.UUID{9}, nil, ""); err != nil {
		t.Fatal(err)
	}
	next := m.Get(testPartition)
	mustAppend(t, next, testBatch(t, 1, 100, clock.now.UnixMilli()))
	names, _ := filepath.Glob(filepath.Join(dir, "t-0.*-delete"))
	if len(names) != 1 {
		t.Fatalf("directories of deleted logs: %v", names)
	}
	kill(m)
	os.Mkdir(filepath.Join(dir, "x-3.0123456789abcdef0123456789abcdef-stray"), 0o755)
	os.Mkdir(filepath.Join(dir, "lost+found"), 0o755)
	m = testManager(t, dir, func(o *ManagerOptions) { o.Now = clock.Now })
	next = m.Get(testPartition)
	if next.LogStartOffset() != 0 || next.LogEndOffset() != 1 || next.TopicID() != (protocol.UUID{9}) {
		t.Errorf("the new log is from %d to %d, id %v", next.LogStartOffset(), next.LogEndOffset(), next.TopicID())
	}
	m.RunDeletions()
	left, _ := os.ReadDir(dir)
	for _, f := range left {
		if strings.HasSuffix(f.Name(), deleteSuffix) {
			t.Errorf("%s was left at the start", f.Name())
		}
	}
	for _, name := range []string{"lost+found", "x-3.0123456789abcdef0123456789abcdef-stray"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if m.Count() != 1 {
		t.Errorf("%d logs", m.Count())
	}
	if _, err := m.Create(testPartition, protocol.UUID{7}, nil, ""); !errors.Is(err, protocol.ErrInconsistentTopicID) {
		t.Errorf("create under another id: %v", err)
	}
}

// A kill may come before the checkpoints have forgotten a deleted log. What they tell of it,
// where it began above all, is not true of a log of the same name.
func TestADeletedTopicLeavesNothingToItsSuccessorAfterAKill(t *testing.T) {
	dir := t.TempDir()
	m := testManager(t, dir, nil)
	l := testLog(t, m, configWith(func(c *Config) { c.FileDeleteDelay = 0 }))
	for range 10 {
		mustAppend(t, l, testBatch(t, 1, 100, 1))
	}
	if _, err := l.DeleteRecordsTo(8); err != nil {
		t.Fatal(err)
	}
	l.Flush()
	m.RunCheckpoint()
	m.RunStartCheckpoint()
	m.RunWatermarkCheckpoint()
	if err := m.Delete(testPartition); err != nil {
		t.Fatal(err)
	}
	m.RunDeletions()
	kill(m)
	m = testManager(t, dir, nil)
	if _, err := m.Create(testPartition, protocol.UUID{9}, nil, ""); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, m.Get(testPartition), testBatch(t, 1, 100, 1))
	kill(m)
	m = testManager(t, dir, nil)
	next := m.Get(testPartition)
	if next.LogStartOffset() != 0 || next.LogEndOffset() != 1 || next.RecoveryPoint() != 0 {
		t.Errorf("the new log is from %d to %d, recovery point %d", next.LogStartOffset(), next.LogEndOffset(), next.RecoveryPoint())
	}
}

// Offsets go on where they were though retention has left no record: consumers that stand
// there would miss what is written under the old ones.
func TestALogThatRetentionHasEmptiedEndsWhereItDid(t *testing.T) {
	for _, clean := range []bool{true, false} {
		dir := t.TempDir()
		clock := newTestClock()
		open := func() *Manager { return testManager(t, dir, func(o *ManagerOptions) { o.Now = clock.Now }) }
		m := open()
		l := testLog(t, m, configWith(func(c *Config) { c.RetentionAge, c.FileDeleteDelay = time.Second, 0 }))
		for range 3 {
			mustAppend(t, l, testBatch(t, 2, 100, clock.now.UnixMilli()))
		}
		clock.now = clock.now.Add(time.Minute)
		m.RunRetention()
		m.RunDeletions()
		m.RunStartCheckpoint()
		if l.LogStartOffset() != 6 {
			t.Fatalf("retention left what is from %d on", l.LogStartOffset())
		}
		if clean {
			if err := m.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			os.Remove(filepath.Join(dir, ".barnabas-manifest")) // as for Apache Kafka, which does not know of it
		} else {
			kill(m)
		}
		l = open().Get(testPartition)
		if l.LogStartOffset() != 6 || l.LogEndOffset() != 6 {
			t.Errorf("clean %v: the log is from %d to %d", clean, l.LogStartOffset(), l.LogEndOffset())
		}
		if info := mustAppend(t, l, testBatch(t, 1, 100, 1)); info.FirstOffset != 6 {
			t.Errorf("clean %v: the next record is %d", clean, info.FirstOffset)
		}
	}
}

// What has waited for max.compaction.lag.ms must not wait for the active segment to be full.
func TestTheActiveSegmentOfACompactedLogIsNotOlderThanItsLag(t *testing.T) {
	for _, compact := range []bool{true, false} {
		l := testLog(t, testManager(t, t.TempDir(), nil), configWith(func(c *Config) { c.Compact, c.MaxCompactLag = compact, time.Second }))
		for _, timestamp := range []int64{1000, 2000, 2001} {
			mustAppend(t, l, testBatch(t, 1, 100, timestamp))
		}
		want := 1
		if compact {
			want = 2
		}
		if n := l.SegmentCount(); n != want {
			t.Errorf("compacted %v: %d segments, want %d", compact, n, want)
		}
	}
}

// A log that comes back to a directory is not what that one's checkpoints tell of it, and
// what was on the disk is when it has moved.
func TestAReplicaThatMovesBackIsAsOnDiskAsItWas(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	open := func() *Manager { return testManager(t, "", func(o *ManagerOptions) { o.Dirs = dirs }) }
	m := open()
	l, err := m.Create(testPartition, protocol.UUID{1}, nil, dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		mustAppend(t, l, testBatch(t, 10, 100, 1))
		l.Flush()
		m.RunCheckpoint()
		future, err := m.CreateFuture(testPartition, dirs[(i+1)%2])
		if err != nil {
			t.Fatal(err)
		}
		copyNext(t, l, future, 1<<20)
		if l, err = m.SwapFuture(testPartition, func(*Log) {}); err != nil {
			t.Fatal(err)
		}
		for j, d := range m.dirs {
			points, err := d.recoveryPoints.Read()
			if err != nil {
				t.Fatal(err)
			}
			if point := points[testPartition]; j == (i+1)%2 && point > l.RecoveryPoint() {
				t.Errorf("%d: the checkpoint tells of %d as synced, it is so up to %d", i, point, l.RecoveryPoint())
			}
		}
		m.CheckpointSwapped(l)
		if points, err := l.location.Load().dir.recoveryPoints.Read(); err != nil || points[testPartition] != l.RecoveryPoint() {
			t.Errorf("%d: the checkpoint tells of %d as synced, it is so up to %d, %v", i, points[testPartition], l.RecoveryPoint(), err)
		}
	}
}

func TestAReplicaMovesToAnotherDirectory(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	open := func() *Manager { return testManager(t, "", func(o *ManagerOptions) { o.Dirs = dirs }) }
	m := open()
	l, err := m.Create(testPartition, protocol.UUID{1}, configWith(func(c *Config) { c.SegmentSize = 5000; c.IndexInterval = 500 }), dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		mustAppend(t, l, testBatch(t, 2, 300, int64(i)))
	}
	future, err := m.CreateFuture(testPartition, dirs[1])
	if err != nil {
		t.Fatal(err)
	}
	for future.LogEndOffset() < l.LogEndOffset() {
		copyNext(t, l, future, 3000)
		if future.LogEndOffset() == 40 {
			if _, err := m.SwapFuture(testPartition, func(*Log) {}); err == nil {
				t.Fatal("a log was swapped that had not caught up")
			}
		}
	}
	swapped, err := m.SwapFuture(testPartition, func(*Log) {})
	if err != nil || swapped != future || m.Get(testPartition) != future || m.Future(testPartition) != nil {
		t.Fatalf("swap: %v", err)
	}
	if future.DataDir() != dirs[1] || future.IsFuture() || future.HighWatermark() != 80 {
		t.Errorf("after the swap: %s, future %v, high watermark %d", future.DataDir(), future.IsFuture(), future.HighWatermark())
	}
	mustAppend(t, future, testBatch(t, 2, 300, 50))
	wantRange(t, readAll(t, future, 2000), 0, 82)
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	m = open()
	m.RunDeletions()
	wantRange(t, readAll(t, m.Get(testPartition), 2000), 0, 82)
	if left, _ := filepath.Glob(filepath.Join(dirs[0], "t-0*")); len(left) > 0 {
		t.Errorf("left in the old directory: %v", left)
	}
}

func TestLostAndDamagedIndexesAreRebuilt(t *testing.T) {
	for _, clean := range []bool{true, false} {
		for _, damage := range []string{"remove", "zero", "garble", "cut", "pad"} {
			t.Run(fmt.Sprintf("clean=%v %s", clean, damage), func(t *testing.T) {
				dir := t.TempDir()
				m := testManager(t, dir, nil)
				l := testLog(t, m, configWith(func(c *Config) { c.SegmentSize = 8000; c.IndexInterval = 300 }))
				for i := range 60 {
					mustAppend(t, l, testBatch(t, 2, 200, int64(i)))
				}
				if clean {
					if err := m.Close(context.Background()); err != nil {
						t.Fatal(err)
					}
				} else {
					kill(m)
				}
				indexes, _ := filepath.Glob(filepath.Join(dir, "t-0", "*index"))
				for _, name := range indexes {
					content, err := os.ReadFile(name)
					if err != nil {
						t.Fatal(err)
					}
					switch damage {
					case "remove":
						err = os.Remove(name)
					case "zero":
						clear(content)
						err = os.WriteFile(name, content, 0o644)
					case "garble":
						for i := range content {
							content[i] ^= 0xa5
						}
						err = os.WriteFile(name, content, 0o644)
					case "cut":
						err = os.Truncate(name, int64(len(content)/2))
					case "pad": // as Apache's active segments have it
						err = os.WriteFile(name, append(content, make([]byte, 1200)...), 0o644)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if clean && damage != "remove" {
					t.Skip("after a clean shutdown indexes are believed, as Apache does")
				}
				m = testManager(t, dir, nil)
				l = m.Get(testPartition)
				wantRange(t, readAll(t, l, 1000), 0, 120)
				for i := range 60 {
					found, err := l.OffsetForTimestamp(int64(i), UpToLogEnd)
					if want := int64(max(0, 2*i-1)); err != nil || found.Offset != want {
						t.Fatalf("search for timestamp %d found %+v, %v, want %d", i, found, err, want)
					}
				}
			})
		}
	}
}

func TestAnIndexThatPointsNowhereCannotHideRecords(t *testing.T) {
	dir := t.TempDir()
	m := testManager(t, dir, nil)
	l := testLog(t, m, configWith(func(c *Config) { c.IndexInterval = 300 }))
	for i := range 60 {
		mustAppend(t, l, testBatch(t, 2, 200, int64(i)))
	}
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "t-0", segmentName(0, indexSuffix))
	content, _ := os.ReadFile(name)
	for i := range content {
		content[i] ^= 0xa5
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	m = testManager(t, dir, nil)
	l = m.Get(testPartition)
	for offset := range int64(120) {
		data, err := l.Read(offset, 500, UpToLogEnd, true)
		if err == nil {
			b, _ := data.Region.AppendTo(nil)
			data.Region.Release()
			if h, perr := protocol.ParseRecordBatch(b); perr != nil || h.LastOffset() < offset || h.BaseOffset > offset {
				t.Fatalf("read at %d returned something else: %v", offset, perr)
			}
		} else if !errors.Is(err, protocol.ErrCorruptMessage) {
			t.Fatalf("read at %d: %v", offset, err)
		}
	}
	if l.Err() != nil {
		t.Errorf("a damaged index took the log offline: %v", l.Err())
	}
}
