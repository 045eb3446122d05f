package log

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// groupBatch makes one request's records: good ones, or such as Append refuses, repeats or
// rewrites.
func groupBatch(t *testing.T, r *rand.Rand, sequences map[int64]int32, nowMs int64) []byte {
	t.Helper()
	opts := protocol.BatchOptions{}
	count := 1 + r.IntN(3)
	if r.IntN(2) == 0 {
		id := int64(r.IntN(3))
		sequence := sequences[id]
		switch r.IntN(8) {
		case 0: // a gap
			sequence += 7
		case 1: // again, the last one or an older one
			sequence = max(0, sequence-int32(1+r.IntN(3)))
		default:
			sequences[id] += int32(count)
		}
		opts.Producer = &protocol.Producer{ID: id, BaseSequence: sequence}
	}
	if r.IntN(10) == 0 {
		opts.Codec = protocol.CodecLZ4
	}
	records := make([]protocol.Record, count)
	for i := range records {
		records[i] = protocol.Record{Value: make([]byte, r.IntN(300)), Timestamp: nowMs - int64(r.IntN(10_000))}
	}
	b, err := protocol.AppendBatch(nil, opts, records...)
	if err != nil {
		t.Fatal(err)
	}
	switch r.IntN(20) {
	case 0:
		b[len(b)-1] ^= 1 // the checksum is wrong
	case 1:
		b = b[:len(b)-1]
	}
	return b
}

func TestAGroupIsAppendedAsItsPartsAre(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"small segments": func(c *Config) { c.SegmentSize = 4 << 10 },
		"short segments": func(c *Config) { c.SegmentAge = 5 * time.Second },
		"small indexes":  func(c *Config) { c.MaxIndexSize, c.IndexInterval = 100, 0 },
		"often indexed":  func(c *Config) { c.IndexInterval = 500 },
		"rewritten":      func(c *Config) { c.ProducerCodec, c.Compression = false, protocol.CodecGzip },
		"durable":        func(c *Config) { c.DurableAcks, c.SegmentSize = true, 16<<10 },
		"flushed":        func(c *Config) { c.FlushMessages = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 1))
			clock := newTestClock()
			var dirs [2]string
			var logs [2]*Log
			for i := range logs {
				dirs[i] = t.TempDir()
				m := testManager(t, dirs[i], func(o *ManagerOptions) { o.Now = clock.Now })
				logs[i] = testLog(t, m, configWith(change))
			}
			sequences := map[int64]int32{}
			for range 200 {
				clock.advance(time.Duration(r.IntN(1000)) * time.Millisecond)
				group := make([]GroupAppend, 1+r.IntN(12))
				for i := range group {
					group[i].Options = AppendOptions{RequestVersion: 9, LeaderEpoch: 3}
					group[i].Records = groupBatch(t, r, sequences, clock.now.UnixMilli())
				}
				var infos []AppendInfo
				var errs []error
				for i := range group {
					info, err := logs[0].Append(append([]byte(nil), group[i].Records...), group[i].Options)
					infos, errs = append(infos, info), append(errs, err)
				}
				logs[1].AppendGroup(group)
				for i := range group {
					if !reflect.DeepEqual(group[i].Info, infos[i]) || fmt.Sprint(group[i].Err) != fmt.Sprint(errs[i]) {
						t.Fatalf("append %d of %d:\n%+v, %v; by itself\n%+v, %v", i, len(group), group[i].Info, group[i].Err, infos[i], errs[i])
					}
				}
				if a, b := logs[0].LogEndOffset(), logs[1].LogEndOffset(); a != b {
					t.Fatalf("log end offsets %d and %d", a, b)
				}
			}
			for i := range logs {
				logs[i].mu.Lock()
				if err := logs[i].closeSegmentLocked(logs[i].segments.Load().active()); err != nil {
					t.Fatal(err)
				}
				logs[i].mu.Unlock()
			}
			sameFiles(t, logs[0].Dir(), logs[1].Dir())
		})
	}
}

// sameFiles wants the same files with the same content in two log directories.
func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	var names [2][]string
	for i, dir := range []string{a, b} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names[i] = append(names[i], e.Name())
		}
	}
	if !reflect.DeepEqual(names[0], names[1]) {
		t.Fatalf("files\n%v and\n%v", names[0], names[1])
	}
	for _, name := range names[0] {
		if name == PartitionMetadataName {
			continue
		}
		x, _ := os.ReadFile(filepath.Join(a, name))
		y, _ := os.ReadFile(filepath.Join(b, name))
		if string(x) != string(y) {
			t.Errorf("%s differs: %d and %d bytes", name, len(x), len(y))
		}
	}
}

// If a group cannot be written nothing of it is acknowledged that was not written.
func TestAGroupThatCannotBeWrittenIsRefused(t *testing.T) {
	fsys := newFaultyFS()
	m := testManager(t, "/data", func(o *ManagerOptions) { o.FS = fsys })
	l := testLog(t, m, configWith(func(c *Config) { c.SegmentSize = 1 << 10 }))
	mustAppend(t, l, testBatch(t, 1, 100, 1000))
	end := l.LogEndOffset()
	group := make([]GroupAppend, 5)
	for i := range group {
		group[i] = GroupAppend{Records: testBatch(t, 1, 100, 1000), Options: AppendOptions{RequestVersion: 9}}
	}
	fsys.mu.Lock()
	fsys.failAt, fsys.failIn = fsys.changes+1, "/data"
	fsys.mu.Unlock()
	l.AppendGroup(group)
	for i := range group {
		var storage *StorageError
		if !errors.As(group[i].Err, &storage) {
			t.Errorf("append %d: %v", i, group[i].Err)
		}
	}
	if got := l.LogEndOffset(); got != end {
		t.Errorf("the log ends at %d, it ended at %d", got, end)
	}
}

// Until the log is out of service the producers' state would take what was not written for
// what is there, and a retry on another connection for a duplicate.
func TestALogIsOutOfServiceBeforeAnybodyAsksAfterAFailedWrite(t *testing.T) {
	fsys := newFaultyFS()
	var l *Log
	failures := 0
	m := testManager(t, "/data", func(o *ManagerOptions) {
		o.FS = fsys
		o.OnDirFailure = func(string, error) {
			failures++
			if l.mu.TryLock() {
				l.mu.Unlock()
				t.Error("others may ask before the directory has failed")
			}
		}
	})
	l = testLog(t, m, nil)
	mustAppend(t, l, testBatch(t, 1, 100, 1))
	b, err := protocol.AppendBatch(nil, protocol.BatchOptions{Producer: &protocol.Producer{ID: 1}}, protocol.Record{Value: []byte("v")})
	if err != nil {
		t.Fatal(err)
	}
	fsys.failAt, fsys.failIn = fsys.changes+1, "/data"
	group := []GroupAppend{{Records: b, Options: AppendOptions{RequestVersion: 9}}}
	l.AppendGroup(group)
	if !errors.Is(group[0].Err, protocol.ErrKafkaStorageError) || failures != 1 {
		t.Errorf("%v, after %d failures", group[0].Err, failures)
	}
}
