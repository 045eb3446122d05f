package log

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// TestReadersNeverSeeHalfOfAnything lets readers go about a log that is appended to,
// rolled, flushed, cut at both ends, compacted away and closed in the cache all the time.
func TestReadersNeverSeeHalfOfAnything(t *testing.T) {
	seconds, _ := strconv.Atoi(os.Getenv("BARNABAS_STRESS"))
	duration := time.Duration(seconds) * time.Second
	if seconds == 0 {
		duration = 300 * time.Millisecond
	}
	m := testManager(t, t.TempDir(), func(o *ManagerOptions) { o.MaxOpenSegments = 3 })
	l := testLog(t, m, configWith(func(c *Config) {
		c.SegmentSize, c.IndexInterval, c.FileDeleteDelay, c.RetentionSize = 20_000, 300, 0, 100_000
	}))
	mustAppend(t, l, testBatch(t, 1, 100, 1))
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	var wg sync.WaitGroup
	loop := func(do func(r *rand.Rand)) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(rand.Uint64(), 1))
			for ctx.Err() == nil {
				do(r)
			}
		})
	}
	loop(func(r *rand.Rand) {
		mustAppend(t, l, testBatch(t, 1+r.IntN(3), 50+r.IntN(2000), time.Now().UnixMilli()))
	})
	loop(func(r *rand.Rand) { mustAppend(t, l, testBatch(t, 1, 100, time.Now().UnixMilli())) })
	loop(func(r *rand.Rand) {
		time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
		var err error
		switch r.IntN(8) {
		case 0:
			_, err = l.DeleteOldSegments()
			m.RunDeletions()
		case 1:
			_, err = l.TruncateTo(max(l.LogStartOffset(), l.LogEndOffset()-int64(r.IntN(20))))
		case 2:
			err = l.Flush()
		case 3:
			_, err = l.DeleteRecordsTo(max(0, l.HighWatermark()-int64(r.IntN(100))))
			if errors.Is(err, protocol.ErrOffsetOutOfRange) {
				err = nil // truncated meanwhile
			}
		case 4:
			m.RunIdleClose()
		case 5:
			m.RunProgress()
			m.RunCheckpoint()
		case 6:
			l.WaitDurable(l.LogEndOffset(), func(error) {})
		case 7:
			err = replaceSomeSegment(l, r)
		}
		if err != nil {
			t.Error(err)
			cancel()
		}
	})
	for range 3 {
		loop(func(r *rand.Rand) {
			start := l.LogStartOffset()
			offset := start + r.Int64N(max(1, l.LogEndOffset()-start))
			checkRead(t, l, offset, 1+r.IntN(30_000), UpTo(r.IntN(3)), r.IntN(2) == 0)
			if _, err := l.OffsetForTimestamp(time.Now().UnixMilli()-r.Int64N(100), UpToLogEnd); err != nil {
				t.Error(err)
			}
			l.BytesFrom(offset, UpToHighWatermark)
		})
	}
	wg.Wait()
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
}

// checkRead reads once and checks that what came is whole batches in order.
func checkRead(t *testing.T, l *Log, offset int64, maxBytes int, upTo UpTo, minOne bool) {
	truncations := l.truncations.Load()
	data, err := l.Read(offset, maxBytes, upTo, minOne)
	if err != nil {
		if !errors.Is(err, protocol.ErrOffsetOutOfRange) {
			t.Errorf("read at %d: %v", offset, err)
		}
		return
	}
	defer data.Region.Release()
	b, err := data.Region.AppendTo(nil)
	if l.truncations.Load() != truncations {
		return // the region may have been cut off or written over
	}
	if err != nil {
		t.Errorf("read at %d: %v", offset, err)
		return
	}
	if data.FirstBatchTooBig {
		return
	}
	next := offset
	for len(b) > 0 {
		h, err := protocol.ParseRecordBatch(b)
		if err != nil || len(b) < h.Size() || protocol.CheckBatchCRC(b[:h.Size()]) != nil {
			t.Errorf("read at %d: no whole batch at %d: %v", offset, next, err)
			return
		}
		if h.LastOffset() < next {
			t.Errorf("read at %d: batch from %d to %d", offset, h.BaseOffset, h.LastOffset())
		}
		next = h.NextOffset()
		b = b[h.Size():]
	}
	if data.Region.Size() > 0 && data.NextOffset < next {
		t.Errorf("read at %d: next offset %d, but records up to %d", offset, data.NextOffset, next)
	}
}

// replaceSomeSegment does what compaction does, and keeps every batch.
func replaceSomeSegment(l *Log, r *rand.Rand) error {
	segments := l.CleanableSegments()
	if len(segments) < 2 {
		return nil
	}
	old := segments[r.IntN(len(segments)-1)]
	c, err := l.NewCleanedSegment(old.BaseOffset())
	if err != nil {
		return err
	}
	defer c.Discard()
	b := make([]byte, old.Size())
	if _, err = old.ReadAt(b, 0); err == nil {
		for len(b) > 0 && err == nil {
			var h protocol.RecordBatch
			if h, err = protocol.ParseRecordBatch(b); err == nil {
				err = c.Append(h.LastOffset(), h.MaxTimestamp, h.LastOffset(), b[:h.Size()])
				b = b[h.Size():]
			}
		}
	}
	if err == nil {
		err = c.Seal(time.Now())
	}
	if err == nil {
		err = l.ReplaceSegments(c, []CleanableSegment{old})
	}
	if errors.Is(err, errSegmentGone) || isNotExist(err) {
		return nil
	}
	return err
}
