package log

import (
	"testing"
	"time"
)

// TestReadersWaitForTheSegmentThatReplacesAGoneOne stops compaction between telling
// readers that a segment is gone and publishing the one in its place.
func TestReadersWaitForTheSegmentThatReplacesAGoneOne(t *testing.T) {
	for name, read := range map[string]func(*Log) error{
		"read": func(l *Log) error {
			data, err := l.Read(0, 1000, UpToLogEnd, true)
			data.Region.Release()
			return err
		},
		"search": func(l *Log) error {
			_, err := l.OffsetForTimestamp(1, UpToLogEnd)
			return err
		},
		"flush": func(l *Log) error { return l.Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			m := testManager(t, t.TempDir(), nil)
			l := testLog(t, m, configWith(func(c *Config) { c.SegmentSize = 300 }))
			for range 6 {
				mustAppend(t, l, testBatch(t, 1, 100, 1000))
			}
			l.mu.Lock()
			segments := *l.segments.Load()
			if len(segments) < 2 {
				t.Fatal("one segment only")
			}
			old := segments[0]
			if err := l.closeSegmentLocked(old); err != nil {
				t.Fatal(err)
			}
			l.setGone(old)
			done := make(chan error, 1)
			go func() { done <- read(l) }()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("while the segment is being replaced: %v", err)
				}
				done <- err
			case <-time.After(20 * time.Millisecond):
			}
			replacement := newSegment(old.baseOffset, 0)
			replacement.size.Store(old.size.Load())
			l.setSegmentsLocked(append(segmentList{replacement}, segments[1:]...))
			l.mu.Unlock()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := l.Err(); err != nil {
				t.Errorf("the log is offline: %v", err)
			}
		})
	}
}

// staleLog is a log of which the cleaner has just taken the list of segments when they are
// replaced or deleted.
type staleLog struct {
	*Log
	stale []CleanableSegment
}

func (l *staleLog) CleanableSegments() []CleanableSegment {
	if stale := l.stale; stale != nil {
		return stale
	}
	return l.Log.CleanableSegments()
}

func (l *staleLog) LogStartOffset() int64 {
	if stale := l.stale; stale != nil {
		return stale[0].BaseOffset()
	}
	return l.Log.LogStartOffset()
}

func TestALogWhoseSegmentsWentMeanwhileIsStillCompactedLater(t *testing.T) {
	m := testManager(t, t.TempDir(), nil)
	cfg := configWith(func(c *Config) {
		c.SegmentSize, c.Compact, c.Delete = 300, true, false
		c.MinDirtyRatio, c.MinCompactLag, c.MaxCompactLag = 0, time.Second, time.Hour
	})
	l := &staleLog{Log: testLog(t, m, cfg)}
	for range 8 {
		mustAppend(t, l.Log, testBatch(t, 1, 100, 1000))
	}
	c, err := NewCleaner(CleanerOptions{Dirs: []string{l.DataDir()}, Logs: func(yield func(CleanableLog) bool) { yield(l) }})
	if err != nil {
		t.Fatal(err)
	}
	l.stale = l.CleanableSegments()
	if _, err := l.DeleteRecordsTo(4); err != nil {
		t.Fatal(err)
	}
	if n, err := l.DeleteOldSegments(); n == 0 || err != nil {
		t.Fatalf("%d segments deleted, %v", n, err)
	}
	c.CleanOnce(t.Context())
	l.stale = nil
	if cleaned, err := c.CleanOnce(t.Context()); !cleaned || err != nil || c.Status().UncleanableCount != 0 {
		t.Errorf("compacted: %v, %v; %d logs taken for uncleanable", cleaned, err, c.Status().UncleanableCount)
	}
}
