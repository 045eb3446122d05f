package log

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
)

var crashSeed = flag.Uint64("crash.seed", 0, "run only this history of the crash tests")

// TestNoPowerCutLosesWhatWasSynced appends, syncs, truncates and rolls, loses power at a
// random operation on the disk, starts again, and so on with what is left. A failure
// prints its seed.
func TestNoPowerCutLosesWhatWasSynced(t *testing.T) {
	seeds := 100
	if testing.Short() {
		seeds = 20
	}
	for i := range seeds {
		seed := rand.Uint64()
		if *crashSeed != 0 {
			if seed = *crashSeed; i > 0 {
				break
			}
		}
		h := crashHistory{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 0)), fs: newFaultyFS(), powerCut: true}
		h.run()
		h = crashHistory{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 1)), fs: newFaultyFS()}
		h.run()
		if t.Failed() {
			return
		}
	}
}

// crashHistory is a log that dies again and again, and what must be in it.
type crashHistory struct {
	t        *testing.T
	seed     uint64
	r        *rand.Rand
	fs       *faultyFS
	powerCut bool // or the process is killed, and the file system keeps everything
	boot     int

	m       *Manager
	l       *Log
	batches map[int64][]byte // by base offset, as they should be
	end     int64            // of what should be there
	durable int64            // what is below must be there
}

func (h *crashHistory) fail(format string, args ...any) {
	h.t.Helper()
	h.t.Fatalf("-crash.seed=%d powerCut=%v boot=%d: %s", h.seed, h.powerCut, h.boot, fmt.Sprintf(format, args...))
}

func (h *crashHistory) run() {
	h.batches = make(map[int64][]byte)
	cfg := configWith(func(c *Config) {
		c.SegmentSize = 1500 + int64(h.r.IntN(4000))
		c.IndexInterval = int64(h.r.IntN(500))
		c.FileDeleteDelay = 0
	})
	for h.boot = range 6 {
		boot := "same"
		if h.powerCut {
			boot = fmt.Sprint(h.boot)
		}
		m, err := OpenManager(context.Background(), ManagerOptions{
			Dirs: []string{"/data"}, FS: h.fs, NoBackground: true, BootID: boot, Config: cfg, MaxOpenSegments: 2, RecoveryThreads: 1,
		})
		if err != nil {
			h.fail("start: %v", err)
		}
		h.m = m
		if h.l, err = m.Create(testPartition, protocol.UUID{1}, nil, ""); err != nil {
			h.fail("create: %v", err)
		}
		h.check()
		h.fs.mu.Lock()
		h.fs.dieAt = h.fs.changes + 1 + h.r.IntN(150)
		h.fs.mu.Unlock()
		for !h.dead() {
			h.step()
		}
		kill(m)
		if h.powerCut {
			h.fs = h.fs.cutPower(h.r)
		} else {
			h.fs.mu.Lock()
			h.fs.dead, h.fs.dieAt, h.fs.locked = false, 0, map[string]bool{}
			h.fs.mu.Unlock()
		}
	}
}

func (h *crashHistory) dead() bool {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return h.fs.dead
}

// check holds the log to what should be in it, after a start.
func (h *crashHistory) check() {
	l := h.l
	if h.powerCut && l.LogEndOffset() < h.durable || !h.powerCut && l.LogEndOffset() < h.end {
		h.fail("log ends at %d; %d was synced, %d appended", l.LogEndOffset(), h.durable, h.end)
	}
	found := make(map[int64][]byte)
	for next := l.LogStartOffset(); next < l.LogEndOffset(); {
		data, err := l.Read(next, 1+h.r.IntN(3000), UpToLogEnd, true)
		if err != nil {
			h.fail("read at %d: %v", next, err)
		}
		b, err := data.Region.AppendTo(nil)
		data.Region.Release()
		if err == nil && len(b) == 0 && h.powerCut && next >= h.durable {
			// A truncation was undone, and neither what came back nor what was written since is
			// sound: the log ends at the base of an empty segment.
			break
		}
		if err != nil || len(b) == 0 {
			h.fail("read at %d: %d bytes, %v", next, len(b), err)
		}
		for len(b) > 0 {
			r, err := protocol.ParseRecordBatch(b)
			if err != nil {
				h.fail("at %d: %d of %d bytes left, region %d+%d, %v", next, len(b), data.Region.Size(), data.Region.Pos(), data.Region.Size(), err)
			}
			got := b[:r.Size()]
			if err := protocol.CheckBatchCRC(got); err != nil {
				h.fail("batch at %d: %v", r.BaseOffset, err)
			}
			// A truncation that was not synced may have been undone by the power cut.
			if want := h.batches[r.BaseOffset]; !bytes.Equal(got, want) && (!h.powerCut || r.BaseOffset < h.durable) {
				h.fail("batch at %d is not the one that was appended: %.100x, want %.100x", r.BaseOffset, got, want)
			}
			found[r.BaseOffset] = bytes.Clone(got)
			b = b[r.Size():]
		}
		next = data.NextOffset
	}
	if l.LatestEpoch() < 0 && l.LogEndOffset() > l.LogStartOffset() {
		h.fail("the leader epoch was lost")
	}
	h.end, h.batches = l.LogEndOffset(), found
	h.durable = min(h.durable, h.end)
}

func (h *crashHistory) step() {
	l := h.l
	if *crashSeed != 0 {
		defer func() {
			h.t.Logf("%d/%d: start %d end %d (%d) durable %d (%d) recovery %d, %d segments", h.boot, h.fs.changes,
				l.LogStartOffset(), l.LogEndOffset(), h.end, l.DurableOffset(), h.durable, l.RecoveryPoint(), l.SegmentCount())
		}()
	}
	var err error
	switch h.r.IntN(20) {
	case 0:
		if err = l.Flush(); err == nil {
			h.durable = h.end // what a truncation into a batch left above is no record
		}
	case 1:
		end := h.end
		done := make(chan error, 1)
		l.WaitDurable(end, func(err error) { done <- err })
		if err = <-done; err == nil {
			h.durable = max(h.durable, end)
		}
	case 2:
		h.m.RunProgress()
	case 3:
		h.m.RunCheckpoint()
		h.m.RunWatermarkCheckpoint()
		h.m.RunStartCheckpoint()
	case 4:
		if h.r.IntN(3) == 0 {
			to := max(l.LogStartOffset(), l.LogEndOffset()-int64(h.r.IntN(8)))
			h.durable = min(h.durable, to)
			h.end = min(h.end, to)
			var cut bool
			if cut, err = l.TruncateTo(to); cut || err != nil {
				h.dropFrom(to, err == nil)
			}
		}
	case 5:
		h.m.RunIdleClose()
	case 6:
		h.m.RunRolledFlush()
	default:
		batch := testBatch(h.t, 1+h.r.IntN(3), h.r.IntN(400), int64(h.r.IntN(1000)))
		var info AppendInfo
		if h.r.IntN(3) == 0 {
			producer := protocol.Producer{ID: int64(h.r.IntN(3)), BaseSequence: 0, Epoch: int16(l.LogEndOffset())}
			if batch, err = protocol.AppendBatch(nil, protocol.BatchOptions{LeaderEpoch: -1, Producer: &producer}, protocol.Record{Value: []byte("x")}); err != nil {
				h.fail("%v", err)
			}
		}
		base := l.LogEndOffset()
		info, err = l.Append(batch, AppendOptions{RequestVersion: 9, LeaderEpoch: int32(h.boot)})
		// It may have been written whole and still have failed after that.
		h.batches[base] = bytes.Clone(batch)
		if err == nil {
			h.end = info.LastOffset + 1
		}
	}
	if err != nil && !h.dead() {
		h.fail("%v", err)
	}
}

// dropFrom notes that a truncation to offset removed batches or, if it failed in the
// middle, may have removed them.
func (h *crashHistory) dropFrom(offset int64, done bool) {
	end := int64(0)
	for _, b := range h.batches {
		r, err := protocol.ParseRecordBatch(b)
		if err != nil {
			h.fail("%v", err)
		}
		if r.LastOffset() < offset {
			end = max(end, r.NextOffset())
		}
	}
	h.end, h.durable = min(h.end, end), min(h.durable, end)
	for base := range h.batches {
		if done && base >= end {
			delete(h.batches, base)
		}
	}
}

func TestAnIOErrorTakesItsDirectoryOffline(t *testing.T) {
	fsys := newFaultyFS()
	var failed []string
	m, err := OpenManager(context.Background(), ManagerOptions{
		Dirs: []string{"/good", "/bad"}, FS: fsys, NoBackground: true,
		OnDirFailure: func(dir string, err error) { failed = append(failed, dir) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer kill(m)
	good, err := m.Create(protocol.TopicPartition{Topic: "a"}, protocol.UUID{1}, nil, "/good")
	if err != nil {
		t.Fatal(err)
	}
	bad, err := m.Create(protocol.TopicPartition{Topic: "b"}, protocol.UUID{2}, nil, "/bad")
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, good, testBatch(t, 1, 10, 1))
	mustAppend(t, bad, testBatch(t, 1, 10, 1))
	fsys.mu.Lock()
	fsys.failAt, fsys.failIn = fsys.changes, "/bad"
	fsys.mu.Unlock()
	_, err = bad.Append(testBatch(t, 1, 10, 1), AppendOptions{RequestVersion: 9})
	var storage *StorageError
	if !errors.As(err, &storage) || storage.Dir != "/bad" || !errors.Is(err, protocol.ErrKafkaStorageError) {
		t.Fatalf("append to a failing disk: %v", err)
	}
	if _, err := bad.Read(0, 100, UpToLogEnd, true); !errors.Is(err, protocol.ErrKafkaStorageError) {
		t.Errorf("read from an offline directory: %v", err)
	}
	if bad.LogEndOffset() != 1 {
		t.Errorf("the failed append moved the log end to %d", bad.LogEndOffset())
	}
	if len(failed) != 1 || failed[0] != "/bad" {
		t.Errorf("told of failures: %v", failed)
	}
	for _, d := range m.Dirs() {
		if (d.Err != nil) != (d.Path == "/bad") {
			t.Errorf("directory %s: %v", d.Path, d.Err)
		}
	}
	mustAppend(t, good, testBatch(t, 1, 10, 1))
	if l, err := m.Create(protocol.TopicPartition{Topic: "c"}, protocol.UUID{3}, nil, ""); err != nil || l.DataDir() != "/good" {
		t.Errorf("create after a failure: %v", err)
	}
	m.RunCheckpoint()
	if err := m.Close(context.Background()); err != nil {
		t.Errorf("close with an offline directory: %v", err)
	}
	fsys.failAt = 0
	m, err = OpenManager(context.Background(), ManagerOptions{Dirs: []string{"/good", "/bad"}, FS: fsys, NoBackground: true})
	if err != nil {
		t.Fatal(err)
	}
	defer kill(m)
	wantRange(t, readAll(t, m.Get(protocol.TopicPartition{Topic: "a"}), 1000), 0, 2)
	wantRange(t, readAll(t, m.Get(protocol.TopicPartition{Topic: "b"}), 1000), 0, 1)
}
