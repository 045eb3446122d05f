package log

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

func compactConfig() *Config {
	c := DefaultConfig()
	c.Compact, c.Delete = true, false
	return c
}

func newMemoryLog(dir, topic string, config *Config) *memoryLog {
	l := &memoryLog{partition: protocol.TopicPartition{Topic: topic}, dir: dir, config: config}
	l.roll()
	return l
}

// roll begins a new active segment. As in any log, no two segments begin at one offset.
func (l *memoryLog) roll() {
	if n := len(l.segments); n > 0 && l.segments[n-1].base == l.logEnd {
		return
	}
	l.segments = append(l.segments, &memorySegment{log: l, base: l.logEnd, modified: time.Unix(l.logEnd, 0)})
}

// write appends a batch of key=value; a value of "-" is a tombstone.
func (l *memoryLog) write(t testing.TB, opts protocol.BatchOptions, records ...string) {
	t.Helper()
	var rs []protocol.Record
	for _, r := range records {
		key, value, _ := strings.Cut(r, "=")
		record := protocol.Record{Timestamp: 1000 + l.logEnd, Key: []byte(key), Value: []byte(value)}
		if value == "-" {
			record.Value = nil
		}
		rs = append(rs, record)
	}
	opts.BaseOffset = l.logEnd
	s := l.segments[len(l.segments)-1]
	b, err := protocol.AppendBatch(s.batches, opts, rs...)
	if err != nil {
		t.Fatal(err)
	}
	s.batches = b
	l.logEnd += int64(len(records))
	l.lastStable = l.logEnd
}

type memoryRecord struct {
	offset     int64
	key, value string
	tombstone  bool
}

func (l *memoryLog) records(t testing.TB) (all []memoryRecord) {
	t.Helper()
	for _, s := range l.segments {
		err := s.each(func(h *protocol.RecordBatch, b []byte) error {
			if err := protocol.CheckCRC(b); err != nil || h.IsControl() || h.RecordCount == 0 {
				return err
			}
			return protocol.WalkRecords(b, h, nil, func(r *protocol.Record) error {
				all = append(all, memoryRecord{r.Offset, string(r.Key), string(r.Value), r.Value == nil})
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func newTestCleaner(t testing.TB, opts CleanerOptions, logs ...*memoryLog) *Cleaner {
	t.Helper()
	opts.Logs = func(yield func(CleanableLog) bool) {
		for _, l := range logs {
			if !yield(l) {
				return
			}
		}
	}
	opts.Rand = func(b []byte) { clear(b) }
	c, err := NewCleaner(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func cleanOnce(t testing.TB, c *Cleaner) bool {
	t.Helper()
	cleaned, err := c.CleanOnce(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return cleaned
}

// TestCompactionFollowsModel writes keys at random and compacts in between. At any time
// the newest record of each key must be what a map holds, records keep their offsets, and
// what was compacted has each key once.
func TestCompactionFollowsModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 4 {
		dir := t.TempDir()
		now := time.UnixMilli(1 << 40)
		config := compactConfig()
		config.MinDirtyRatio = 0
		config.SegmentSize = 1 + random.Int64N(8000)
		config.DeleteRetention = time.Second * time.Duration(random.IntN(5))
		l := newMemoryLog(dir, "t", config)
		c := newTestCleaner(t, CleanerOptions{
			Dirs: []string{dir}, Now: func() time.Time { return now },
			DedupeBufferSize: int64(64*24*2 + random.IntN(20000)), IOBufferSize: 2 * (100 + random.IntN(4000)),
		}, l)
		original := make(map[int64]memoryRecord)
		newest := make(map[string]memoryRecord)
		for range 300 {
			now = now.Add(time.Duration(random.IntN(300)) * time.Millisecond)
			switch n := random.IntN(10); {
			case n < 8:
				var records []string
				for range 1 + random.IntN(6) {
					record := fmt.Sprintf("k%d=v%d", random.IntN(50), random.Uint64())
					if random.IntN(5) == 0 {
						record = fmt.Sprintf("k%d=-", random.IntN(50))
					}
					records = append(records, record)
				}
				for i, record := range records {
					key, value, _ := strings.Cut(record, "=")
					r := memoryRecord{l.logEnd + int64(i), key, value, value == "-"}
					if r.tombstone {
						r.value = ""
					}
					original[r.offset], newest[key] = r, r
				}
				l.write(t, protocol.BatchOptions{Codec: protocol.Codec(random.IntN(5))}, records...)
			case n == 8:
				l.roll()
			case n == 9:
				for range 3 {
					cleanOnce(t, c)
				}
				checkpoint, _ := c.Checkpoint(dir, l.partition)
				checkCompacted(t, l, checkpoint, original, newest)
			}
		}
	}
}

func checkCompacted(t *testing.T, l *memoryLog, checkpoint int64, original map[int64]memoryRecord, newest map[string]memoryRecord) {
	t.Helper()
	got := make(map[string]memoryRecord)
	previous := int64(-1)
	for _, r := range l.records(t) {
		if r.offset <= previous {
			t.Fatalf("offset %d after %d", r.offset, previous)
		}
		previous = r.offset
		if r != original[r.offset] {
			t.Fatalf("offset %d is %+v, was written as %+v", r.offset, r, original[r.offset])
		}
		if before, ok := got[r.key]; ok && r.offset < checkpoint {
			t.Fatalf("key %s at %d and %d, below %d", r.key, before.offset, r.offset, checkpoint)
		}
		got[r.key] = r
	}
	for key, want := range newest {
		r, ok := got[key]
		if !ok && want.tombstone && want.offset < checkpoint {
			continue // old enough to go
		}
		if r != want {
			t.Fatalf("newest record of %s is %+v, want %+v", key, r, want)
		}
	}
}

func TestTombstonesAndMarkersStayForDeleteRetention(t *testing.T) {
	dir := t.TempDir()
	now := time.UnixMilli(1 << 40)
	config := compactConfig()
	config.MinDirtyRatio, config.DeleteRetention = 0, time.Minute
	l := newMemoryLog(dir, "t", config)
	c := newTestCleaner(t, CleanerOptions{Dirs: []string{dir}, Now: func() time.Time { return now }}, l)
	l.write(t, protocol.BatchOptions{}, "a=1", "b=1")
	l.write(t, protocol.BatchOptions{}, "a=-")
	l.roll()
	l.write(t, protocol.BatchOptions{}, "c=1")
	step := func(want string) {
		t.Helper()
		l.roll()
		l.write(t, protocol.BatchOptions{}, "z=1")
		if !cleanOnce(t, c) {
			t.Fatal("nothing was compacted")
		}
		var keys []string
		for _, r := range l.records(t) {
			keys = append(keys, r.key)
		}
		if got := strings.Join(keys, " "); got != want {
			t.Errorf("left are %s, want %s", got, want)
		}
	}
	step("b a c z")
	now = now.Add(time.Minute - time.Millisecond)
	step("b a c z z")
	now = now.Add(time.Millisecond)
	step("b c z z")
}

func TestTheDirtiestLogIsCompactedFirst(t *testing.T) {
	dir := t.TempDir()
	var logs []*memoryLog
	for i := range 4 {
		l := newMemoryLog(dir, fmt.Sprint("t", i), compactConfig())
		l.write(t, protocol.BatchOptions{}, "a=1", "b=1")
		l.roll()
		logs = append(logs, l)
	}
	logs[3].config = DefaultConfig() // not compacted
	logs[0].roll()
	c := newTestCleaner(t, CleanerOptions{Dirs: []string{dir}}, logs...)
	for _, l := range logs {
		if err := c.setCheckpoint(dir, l.partition, 2); err != nil {
			t.Fatal(err)
		}
	}
	dirty := func(l *memoryLog, batches int) {
		for range batches {
			l.write(t, protocol.BatchOptions{}, "a=1", "b=1")
		}
		l.roll()
	}
	dirty(logs[0], 1)  // half, not more than half
	dirty(logs[1], 2)  // two thirds
	dirty(logs[2], 5)  // five sixths
	dirty(logs[3], 50) // does not count
	for _, want := range []*memoryLog{logs[2], logs[1]} {
		if !cleanOnce(t, c) {
			t.Fatal("nothing was compacted")
		}
		if got, _ := c.Checkpoint(dir, want.partition); got != want.logEnd {
			t.Errorf("checkpoint of %s is %d, want %d", want.partition, got, want.logEnd)
		}
	}
	if cleanOnce(t, c) {
		t.Error("a log that is not dirty enough was compacted")
	}
	if logs[0].deleted != 3 || logs[3].deleted != 0 {
		t.Errorf("retention ran %d and %d times", logs[0].deleted, logs[3].deleted)
	}
	// The checkpoints are on the disk.
	again := newTestCleaner(t, CleanerOptions{Dirs: []string{dir}}, logs...)
	if cleanOnce(t, again) {
		t.Error("a new cleaner does not know the checkpoints")
	}
}

func TestWhatMayBeCompacted(t *testing.T) {
	config := compactConfig()
	l := newMemoryLog("d", "t", config)
	for range 4 { // segments at 0, 2, 4, 6, timestamps 1000 + offset of the batch
		l.write(t, protocol.BatchOptions{}, "a=1", "b=1")
		l.roll()
	}
	l.write(t, protocol.BatchOptions{}, "a=1")
	for _, tt := range []struct {
		name           string
		change         func(c *Config, l *memoryLog)
		checkpoint     int64
		nowMs          int64
		first, to      int64
		invalid, isDue bool
	}{
		{"all but the active segment", nil, -1, 5000, 0, 8, false, true},
		{"from the checkpoint", nil, 4, 5000, 4, 8, false, false},
		{"from the log start", func(c *Config, l *memoryLog) { l.logStart = 2 }, -1, 5000, 2, 8, false, true},
		{"checkpoint below the log start", func(c *Config, l *memoryLog) { l.logStart = 6 }, 4, 5000, 6, 8, true, false},
		{"checkpoint above the log end", nil, 10, 5000, 0, 8, true, true},
		{"up to the last stable offset", func(c *Config, l *memoryLog) { l.lastStable = 5 }, -1, 5000, 0, 4, false, true},
		{"up to young records", func(c *Config, l *memoryLog) { c.MinCompactLag = 3 * time.Second }, -1, 4003, 0, 4, false, true},
		{"nothing", func(c *Config, l *memoryLog) { l.lastStable = 1 }, -1, 5000, 0, 0, false, false},
		{"not dirty but overdue", func(c *Config, l *memoryLog) { c.MinDirtyRatio, c.MaxCompactLag = 0.9, time.Second }, 6, 2007, 6, 8, false, true},
		{"not yet overdue", func(c *Config, l *memoryLog) { c.MinDirtyRatio, c.MaxCompactLag = 0.9, time.Second }, 6, 2006, 6, 8, false, false},
	} {
		c, log := *config, *l
		log.config = &c
		if tt.change != nil {
			tt.change(&c, &log)
		}
		got, err := assess(&log, tt.checkpoint, tt.checkpoint >= 0, tt.nowMs)
		if err != nil {
			t.Fatal(err)
		}
		if got.firstDirtyOffset != tt.first || got.firstUncleanableOffset != tt.to || got.checkpointInvalid != tt.invalid || got.isDue() != tt.isDue {
			t.Errorf("%s: %+v due %v", tt.name, got, got.isDue())
		}
	}
}

func TestACorruptLogIsLeftAloneAndTheOthersAreCompacted(t *testing.T) {
	dir := t.TempDir()
	good, bad := newMemoryLog(dir, "good", compactConfig()), newMemoryLog(dir, "bad", compactConfig())
	for _, l := range []*memoryLog{bad, good} {
		l.write(t, protocol.BatchOptions{}, "a=1", "a=2")
		l.roll()
	}
	before := slices.Clone(bad.segments[0].batches)
	before[70] ^= 1
	bad.segments[0].batches = before
	c := newTestCleaner(t, CleanerOptions{Dirs: []string{dir}}, bad, good)
	failures := 0
	for range 4 {
		if _, err := c.CleanOnce(context.Background()); err != nil {
			failures++
		}
	}
	if failures != 1 || c.Status().UncleanableCount != 1 {
		t.Errorf("%d failures, %+v", failures, c.Status())
	}
	if string(bad.segments[0].batches) != string(before) {
		t.Error("the corrupt segment was changed")
	}
	if n := len(good.records(t)); n != 1 {
		t.Errorf("%d records in the good log", n)
	}
	// Once deleted and made anew it gets another chance.
	if err := c.RemoveCheckpoint(dir, bad.partition); err != nil {
		t.Fatal(err)
	}
	bad.segments[0].batches[70] ^= 1
	if !cleanOnce(t, c) || len(bad.records(t)) != 1 {
		t.Error("not compacted after RemoveCheckpoint")
	}
}

func TestPauseStopsAPassAndKeepsTheCheckpoint(t *testing.T) {
	dir := t.TempDir()
	l := newMemoryLog(dir, "t", compactConfig())
	for i := range 50 {
		l.write(t, protocol.BatchOptions{}, fmt.Sprintf("a=%d", i))
		l.roll()
	}
	c := newTestCleaner(t, CleanerOptions{Dirs: []string{dir}}, l)
	reads, paused := 0, make(chan struct{})
	l.onRead = func() {
		if reads++; reads == 20 {
			go func() { c.Pause(l.partition); close(paused) }()
			for !pauseAsked(c, l.partition) {
				time.Sleep(time.Millisecond)
			}
		}
	}
	cleanOnce(t, c)
	<-paused
	if reads > 21 {
		t.Errorf("read %d times after Pause", reads-20)
	}
	if at, ok := c.Checkpoint(dir, l.partition); ok {
		t.Errorf("checkpoint at %d", at)
	}
	if cleanOnce(t, c) {
		t.Error("compacted while paused")
	}
	c.Resume(l.partition)
	if !cleanOnce(t, c) {
		t.Error("not compacted after Resume")
	}
	if at, _ := c.Checkpoint(dir, l.partition); at != 50 {
		t.Errorf("checkpoint at %d", at)
	}
}

func pauseAsked(c *Cleaner, tp protocol.TopicPartition) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.partitions[tp].stop
}

func TestCheckpointsFollowTheLog(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	c := newTestCleaner(t, CleanerOptions{Dirs: dirs})
	tp := protocol.TopicPartition{Topic: "t", Partition: 3}
	check := func(dir string, want int64, wantThere bool) {
		t.Helper()
		got, there := c.Checkpoint(dir, tp)
		b, _ := os.ReadFile(filepath.Join(dir, CleanerOffsetCheckpointName))
		if got != want || there != wantThere || strings.Contains(string(b), fmt.Sprintf("t 3 %d", want)) != wantThere {
			t.Errorf("checkpoint %d, %v, in the file %q; want %d, %v", got, there, b, want, wantThere)
		}
	}
	run := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	run(c.TruncateCheckpoint(dirs[0], tp, 5))
	check(dirs[0], 0, false)
	run(c.setCheckpoint(dirs[0], tp, 50))
	run(c.TruncateCheckpoint(dirs[0], tp, 60))
	check(dirs[0], 50, true)
	run(c.TruncateCheckpoint(dirs[0], tp, 40))
	check(dirs[0], 40, true)
	run(c.MoveCheckpoint(tp, dirs[0], dirs[1]))
	check(dirs[0], 0, false)
	check(dirs[1], 40, true)
	run(c.RemoveCheckpoint(dirs[1], tp))
	check(dirs[1], 0, false)
	c.DropDir(dirs[1])
	run(c.setCheckpoint(dirs[1], tp, 1))
	check(dirs[1], 0, false)
}

func TestAnUnreadableCheckpointStartsOver(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, CleanerOffsetCheckpointName), []byte("what"), 0o644); err != nil {
		t.Fatal(err)
	}
	l := newMemoryLog(dir, "t", compactConfig())
	l.write(t, protocol.BatchOptions{}, "a=1", "a=2")
	l.roll()
	if c := newTestCleaner(t, CleanerOptions{Dirs: []string{dir}}, l); !cleanOnce(t, c) {
		t.Error("nothing was compacted")
	}
}

// A directory goes offline for its disk, not for one file in it.
func TestAFailingDiskIsReported(t *testing.T) {
	for _, tt := range []struct {
		err              syscall.Errno
		dirFails, leftBe bool
	}{
		{syscall.EIO, true, false},
		{syscall.ENOENT, false, true},
		{syscall.EACCES, false, true},
		{syscall.EMFILE, false, false}, // there may be descriptors again the next time
	} {
		dir := t.TempDir()
		l := newMemoryLog(dir, "t", compactConfig())
		l.write(t, protocol.BatchOptions{}, "a=1", "a=2")
		l.roll()
		l.replaceError = &fs.PathError{Op: "rename", Path: "x", Err: tt.err}
		var failed []string
		c := newTestCleaner(t, CleanerOptions{Dirs: []string{dir}, OnDirFailure: func(dir string, err error) { failed = append(failed, dir) }}, l)
		if _, err := c.CleanOnce(context.Background()); err == nil || slices.Equal(failed, []string{dir}) != tt.dirFails || c.hasUncleanable() != tt.leftBe {
			t.Errorf("error %v, failed %v, left be: %v", err, failed, c.hasUncleanable())
		}
		if _, there := c.Checkpoint(dir, l.partition); there {
			t.Error("the checkpoint moved")
		}
	}
}

func TestRunCompactsAtTheRateAllowedAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l := newMemoryLog(dir, "t", compactConfig())
		for range 10 {
			l.write(t, protocol.BatchOptions{}, "a="+strings.Repeat("x", 1000))
			l.roll()
		}
		size := totalSize(l.CleanableSegments())
		c := newTestCleaner(t, CleanerOptions{Dirs: []string{dir}, MaxBytesPerSecond: 1000, Threads: 2}, l)
		start := time.Now()
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { c.Run(ctx) })
		for {
			time.Sleep(time.Second)
			if _, there := c.Checkpoint(dir, l.partition); there {
				break
			}
		}
		// Everything is read twice, and one record written.
		seconds := float64(2*size+1100) / 1000
		if took := time.Since(start).Seconds(); took < seconds-2 || took > seconds+2 {
			t.Errorf("took %v s, want about %v", took, seconds)
		}
		cancel()
		wg.Wait()
	})
}

// Settings that are altered while the cleaner runs count at once: neither its rest nor a
// compaction that the old rate holds up is waited for.
func TestAlteredSettingsCountAtOnce(t *testing.T) {
	for name, held := range map[string]CleanerOptions{
		"backoff": {Backoff: 1000 * time.Hour},
		"rate":    {MaxBytesPerSecond: 0.001},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				l := newMemoryLog(dir, "t", compactConfig())
				write := func() {
					for range 10 {
						l.write(t, protocol.BatchOptions{}, "a="+strings.Repeat("x", 1000))
						l.roll()
					}
				}
				if name == "rate" {
					write()
				}
				held.Dirs = []string{dir}
				c := newTestCleaner(t, held, l)
				ctx, cancel := context.WithCancel(context.Background())
				var wg sync.WaitGroup
				wg.Go(func() { c.Run(ctx) })
				synctest.Wait()
				if name == "backoff" {
					write()
				}
				time.Sleep(time.Hour)
				if _, there := c.Checkpoint(dir, l.partition); there {
					t.Fatal("compacted before anything was altered")
				}
				if err := c.Configure(CleanerOptions{Threads: 4, DedupeBufferSize: 1}); err == nil {
					t.Error("a dedupe buffer of a byte was taken")
				}
				if err := c.Configure(CleanerOptions{Threads: 2, Backoff: time.Second}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if _, there := c.Checkpoint(dir, l.partition); !there {
					t.Error("not compacted with the new settings")
				}
				cancel()
				wg.Wait()
			})
		})
	}
}

func TestSegmentsAreGroupedUpToTheirFullSize(t *testing.T) {
	config := compactConfig()
	config.SegmentSize = 100
	l := &memoryLog{config: config}
	for i, size := range []int{60, 40, 1, 100, 0, 0, 30, 80} {
		l.segments = append(l.segments, &memorySegment{log: l, base: int64(10 * i), batches: make([]byte, size)})
	}
	p := &cleanerPass{config: config, firstUncleanableOffset: 80}
	group := func() (sizes []int) {
		for _, g := range p.groupSegments(l.CleanableSegments()) {
			sizes = append(sizes, len(g))
		}
		return sizes
	}
	if got := group(); !slices.Equal(got, []int{2, 1, 3, 1, 1}) {
		t.Errorf("groups of %v", got)
	}
	// Offsets of one segment span less than 2^31, but empty segments do not count.
	config.SegmentSize = 1000
	l.segments = l.segments[:3]
	l.segments[2].base = 1 << 31
	p.firstUncleanableOffset = 1<<31 + 1
	if got := group(); !slices.Equal(got, []int{2, 1}) {
		t.Errorf("groups of %v", got)
	}
	l.segments[2].batches = nil
	if got := group(); !slices.Equal(got, []int{3}) {
		t.Errorf("groups of %v", got)
	}
}

func FuzzCleaner(f *testing.F) {
	b, err := protocol.AppendBatch(nil, protocol.BatchOptions{}, protocol.Record{Key: []byte("a"), Value: []byte("1")}, protocol.Record{Key: []byte("a")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(b, markerBatch(2, 5, 0, 0, false, 1)...), uint16(200))
	f.Fuzz(func(t *testing.T, batches []byte, buffer uint16) {
		defer fuzzcost.Bound(t, len(batches), 4096)()
		// Checksums made right, so that more than their check is tried.
		for rest := batches; len(rest) >= protocol.BatchOverhead; {
			_, magic, size, err := protocol.PeekBatch(rest)
			if err != nil || size > len(rest) {
				break
			}
			if magic == 2 && size >= protocol.BatchOverhead {
				resetChecksum(rest[:size])
			}
			rest = rest[size:]
		}
		l := &memoryLog{config: compactConfig(), logEnd: 1 << 40, lastStable: 1 << 40}
		l.segments = []*memorySegment{{log: l, batches: batches}, {log: l, base: 1 << 20}}
		p := &cleanerPass{
			log: l, config: l.config, firstUncleanableOffset: 1 << 20, nowMs: 1 << 41, buffer: make([]byte, 17+int(buffer)),
			throttle: func(int) error { return nil }, stopped: func() error { return nil }, offsets: newOffsetMap(1<<16, 0.9, [16]byte{}),
		}
		p.clean()
	})
}

// BenchmarkCompaction compacts 16 MiB of batches of 100 records, half of them superseded.
func BenchmarkCompaction(b *testing.B) {
	for _, codec := range []protocol.Codec{protocol.CodecNone, protocol.CodecLZ4} {
		b.Run(fmt.Sprintf("codec=%d", codec), func(b *testing.B) {
			l := newMemoryLog(b.TempDir(), "t", compactConfig())
			random := rand.New(rand.NewPCG(1, 1))
			records := make([]string, 100)
			for len(l.segments[0].batches) < 16<<20 && l.logEnd < 200_000 {
				for i := range records {
					records[i] = fmt.Sprintf("key-%d=%0100d", random.IntN(60_000), random.Uint64())
				}
				l.write(b, protocol.BatchOptions{Codec: codec}, records...)
			}
			l.roll()
			segments, size := l.segments, l.segments[0].Size()
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				l.segments = segments
				p := &cleanerPass{
					log: l, config: l.config, firstUncleanableOffset: l.logEnd, nowMs: 1 << 41, buffer: make([]byte, 256<<10),
					throttle: func(int) error { return nil }, stopped: func() error { return nil }, offsets: newOffsetMap(128<<20, 0.9, [16]byte{}),
				}
				if _, err := p.clean(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
