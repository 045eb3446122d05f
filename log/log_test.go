package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// testClock is a clock that stands until it is moved.
type testClock struct{ now time.Time }

func newTestClock() *testClock { return &testClock{time.UnixMilli(1_700_000_000_000)} }

func (c *testClock) Now() time.Time          { return c.now }
func (c *testClock) advance(d time.Duration) { c.now = c.now.Add(d) }

// testManager opens a manager on dir whose background work the test does.
func testManager(t testing.TB, dir string, change func(*ManagerOptions)) *Manager {
	t.Helper()
	opts := ManagerOptions{Dirs: []string{dir}, NodeID: 1, NoBackground: true, BootID: "boot-1", Logger: slog.New(slog.DiscardHandler)}
	if testing.Verbose() {
		opts.Logger = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	if change != nil {
		change(&opts)
	}
	m, err := OpenManager(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(m) })
	return m
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(b)))
	return len(b), nil
}

// kill ends a manager as SIGKILL does: nothing is written any more, locks are released.
func kill(m *Manager) {
	m.cancel()
	m.wg.Wait()
	for _, d := range m.dirs {
		d.unlock()
		d.progress.close(false)
	}
	for _, l := range m.everyLog() {
		for _, s := range *l.segments.Load() {
			if o := s.open.Swap(nil); o != nil {
				o.file.release()
			}
		}
	}
}

var testPartition = protocol.TopicPartition{Topic: "t", Partition: 0}

func testLog(t testing.TB, m *Manager, cfg *Config) *Log {
	t.Helper()
	l, err := m.Create(testPartition, protocol.UUID{1}, cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func configWith(change func(*Config)) *Config {
	c := DefaultConfig()
	change(c)
	return c
}

// testBatch makes a batch of count records of about size bytes each, as a producer sends it.
func testBatch(t testing.TB, count, size int, timestamp int64) []byte {
	t.Helper()
	records := make([]protocol.Record, count)
	for i := range records {
		records[i] = protocol.Record{Timestamp: timestamp + int64(i), Key: []byte(fmt.Sprintf("k%d", i)), Value: bytes.Repeat([]byte{'v'}, size)}
	}
	b, err := protocol.AppendBatch(nil, protocol.BatchOptions{LeaderEpoch: -1}, records...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustAppend(t testing.TB, l *Log, batch []byte) AppendInfo {
	t.Helper()
	info, err := l.Append(batch, AppendOptions{RequestVersion: 9, LeaderEpoch: 0})
	if err != nil {
		t.Fatal(err)
	}
	l.RaiseHighWatermark(l.LogEndOffset())
	return info
}

// readAll reads the log from its start to its end and returns the offsets of its records.
func readAll(t testing.TB, l *Log, maxBytes int) []int64 {
	t.Helper()
	var offsets []int64
	for next := l.LogStartOffset(); next < l.LogEndOffset(); {
		data, err := l.Read(next, maxBytes, UpToLogEnd, true)
		if err != nil {
			t.Fatal(err)
		}
		b, err := data.Region.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 {
			t.Fatalf("nothing to read at %d", next)
		}
		data.Region.Release()
		for len(b) > 0 {
			records, err := protocol.ReadRecords(b)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range records {
				if r.Offset >= next {
					offsets = append(offsets, r.Offset)
				}
			}
			h, err := protocol.ParseBatch(b)
			if err != nil {
				t.Fatal(err)
			}
			b = b[h.Size():]
		}
		if data.NextOffset <= next {
			t.Fatalf("next offset %d after a read from %d", data.NextOffset, next)
		}
		next = data.NextOffset
	}
	return offsets
}

func wantRange(t testing.TB, got []int64, from, to int64) {
	t.Helper()
	if int64(len(got)) != to-from {
		t.Fatalf("read %d records, want those from %d to %d", len(got), from, to)
	}
	for i, o := range got {
		if o != from+int64(i) {
			t.Fatalf("record %d has offset %d, want %d", i, o, from+int64(i))
		}
	}
}

func TestAppendedRecordsAreReadAfterACleanStop(t *testing.T) {
	dir := t.TempDir()
	m := testManager(t, dir, nil)
	l := testLog(t, m, nil)
	for i := range 50 {
		info := mustAppend(t, l, testBatch(t, 3, 500, 1000+int64(i)))
		if info.FirstOffset != int64(3*i) || info.LastOffset != int64(3*i+2) {
			t.Fatalf("append %d got offsets %d to %d", i, info.FirstOffset, info.LastOffset)
		}
	}
	for _, maxBytes := range []int{1, 4000, 10_000, 1 << 20} {
		wantRange(t, readAll(t, l, maxBytes), 0, 150)
	}
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	m = testManager(t, dir, nil)
	if !m.WasClean() {
		t.Error("the shutdown was not found to be clean")
	}
	l = m.Get(testPartition)
	if l.HighWatermark() != 150 || l.RecoveryPoint() != 150 || l.LatestEpoch() != 0 || l.TopicID() != (protocol.UUID{1}) {
		t.Errorf("after the start: high watermark %d, recovery point %d, epoch %d, id %v", l.HighWatermark(), l.RecoveryPoint(), l.LatestEpoch(), l.TopicID())
	}
	mustAppend(t, l, testBatch(t, 10, 100, 2000))
	wantRange(t, readAll(t, l, 1<<20), 0, 160)
}

func TestSegmentsRollAndAreDeletedByRetention(t *testing.T) {
	dir := t.TempDir()
	clock := newTestClock()
	m := testManager(t, dir, func(o *ManagerOptions) { o.Now = clock.Now })
	cfg := configWith(func(c *Config) {
		c.SegmentSize = 4096
		c.RetentionSize = 10_000
		c.FileDeleteDelay = time.Minute
	})
	l := testLog(t, m, cfg)
	for range 40 {
		mustAppend(t, l, testBatch(t, 2, 500, clock.now.UnixMilli()))
	}
	before := l.SegmentCount()
	old, err := l.Read(0, 1<<20, UpToHighWatermark, true)
	if err != nil {
		t.Fatal(err)
	}
	n, err := l.DeleteOldSegments()
	if err != nil || n == 0 || l.SegmentCount() != before-n {
		t.Fatalf("deleted %d of %d segments, %d left: %v", n, before, l.SegmentCount(), err)
	}
	if size := l.Size(); size > 10_000+4096 || size < 10_000 {
		t.Errorf("size is %d after retention", size)
	}
	if _, err := l.Read(0, 1, UpToHighWatermark, true); !errors.Is(err, protocol.ErrOffsetOutOfRange) {
		t.Errorf("reading a deleted offset: %v", err)
	}
	clock.advance(2 * time.Minute)
	m.RunDeletions()
	if left, _ := filepath.Glob(filepath.Join(dir, "t-0", "*.deleted")); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
	if b, err := old.Region.AppendTo(nil); err != nil || protocol.CheckCRC(b[:mustSize(t, b)]) != nil {
		t.Errorf("a region of a deleted segment cannot be read: %v", err)
	}
	old.Region.Release()
	wantRange(t, readAll(t, l, 1<<20), l.LogStartOffset(), l.LogEndOffset())

	clock.advance(8 * 24 * time.Hour)
	l.DeleteOldSegments()
	if l.LogStartOffset() != l.LogEndOffset() || l.SegmentCount() != 1 || l.Size() != 0 {
		t.Errorf("after retention.ms: start %d, end %d, %d segments", l.LogStartOffset(), l.LogEndOffset(), l.SegmentCount())
	}
	mustAppend(t, l, testBatch(t, 1, 10, clock.now.UnixMilli()))
	wantRange(t, readAll(t, l, 1<<20), 80, 81)
}

func mustSize(t testing.TB, b []byte) int {
	t.Helper()
	h, err := protocol.ParseBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	return h.Size()
}

func TestASecondManagerIsRefused(t *testing.T) {
	dir := t.TempDir()
	testManager(t, dir, nil)
	_, err := OpenManager(context.Background(), ManagerOptions{Dirs: []string{dir}, NoBackground: true})
	var inUse *InUseError
	if !errors.As(err, &inUse) {
		t.Fatalf("second manager: %v", err)
	}
}

func TestAKillLosesNothingThatWasAppended(t *testing.T) {
	for _, noted := range []bool{false, true} {
		t.Run(fmt.Sprintf("noted=%v", noted), func(t *testing.T) {
			dir := t.TempDir()
			m := testManager(t, dir, nil)
			l := testLog(t, m, configWith(func(c *Config) { c.SegmentSize = 20_000 }))
			for i := range 60 {
				mustAppend(t, l, testBatch(t, 2, 600, int64(i)))
				if noted && i == 45 {
					m.RunProgress()
				}
			}
			kill(m)
			m = testManager(t, dir, nil)
			if m.WasClean() {
				t.Error("a kill was taken for a clean shutdown")
			}
			l = m.Get(testPartition)
			wantRange(t, readAll(t, l, 5000), 0, 120)
			found, err := l.OffsetForTimestamp(30, UpToLogEnd)
			if err != nil || found.Offset != 59 {
				t.Errorf("search by timestamp found %+v, %v", found, err)
			}
			mustAppend(t, l, testBatch(t, 1, 10, 100))
			wantRange(t, readAll(t, l, 5000), 0, 121)
		})
	}
}

func TestATornTailIsCutOffAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	m := testManager(t, dir, nil)
	l := testLog(t, m, nil)
	mustAppend(t, l, testBatch(t, 2, 50, 1))
	mustAppend(t, l, testBatch(t, 2, 50, 2))
	whole := l.Size()
	last := testBatch(t, 2, 50, 3)
	mustAppend(t, l, last)
	kill(m)
	logFile := filepath.Join(dir, "t-0", segmentName(0, logSuffix))
	content, err := os.ReadFile(logFile)
	if err != nil {
		t.Fatal(err)
	}
	for cut := whole; cut < int64(len(content)); cut++ {
		for _, garbled := range []bool{false, true} {
			torn := bytes.Clone(content[:cut])
			if garbled {
				torn = bytes.Clone(content)
				torn[cut] ^= 0x55
			}
			if err := os.WriteFile(logFile, torn, 0o644); err != nil {
				t.Fatal(err)
			}
			m := testManager(t, dir, nil)
			l := m.Get(testPartition)
			// Base offset and leader epoch are not covered by the checksum.
			free := garbled && (cut-whole < 8 || cut-whole >= 12 && cut-whole < 16)
			if l.LogEndOffset() != 4 && !free {
				t.Fatalf("cut at %d (garbled %v): log ends at %d", cut-whole, garbled, l.LogEndOffset())
			}
			if !free {
				wantRange(t, readAll(t, l, 1000), 0, 4)
			}
			kill(m)
		}
	}
}

func TestTruncationRemovesWholeBatches(t *testing.T) {
	dir := t.TempDir()
	m := testManager(t, dir, nil)
	l := testLog(t, m, configWith(func(c *Config) { c.SegmentSize = 10_000; c.IndexInterval = 500 }))
	for i := range 30 {
		mustAppend(t, l, testBatch(t, 2, 400, int64(i)))
	}
	for _, to := range []int64{50, 31, 20, 4} {
		if ok, err := l.TruncateTo(to); !ok || err != nil {
			t.Fatalf("truncate to %d: %v, %v", to, ok, err)
		}
		if l.LogEndOffset() != to || l.HighWatermark() != to {
			t.Fatalf("truncated to %d: log ends at %d, high watermark %d", to, l.LogEndOffset(), l.HighWatermark())
		}
		mustAppend(t, l, testBatch(t, 2, 400, 100))
		got := readAll(t, l, 2000)
		if got[len(got)-1] != to+1 || got[len(got)-2] != to {
			t.Fatalf("after truncation to %d: %v", to, got)
		}
	}
	if err := l.TruncateFullyAndStartAt(1000); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, testBatch(t, 2, 400, 100))
	wantRange(t, readAll(t, l, 2000), 1000, 1002)
	kill(m)
	m = testManager(t, dir, nil)
	wantRange(t, readAll(t, m.Get(testPartition), 2000), 1000, 1002)
}
