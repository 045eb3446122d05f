package log

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
)

// renameFS calls a function before each rename.
type renameFS struct {
	OS
	before func(from, to string)
}

func (f *renameFS) Rename(from, to string) error {
	if f.before != nil {
		f.before(from, to)
	}
	return f.OS.Rename(from, to)
}

// TestACompactedSegmentForgetsTheIndexOfItsPredecessor reads the new segment before its
// index has taken the old one's name.
func TestACompactedSegmentForgetsTheIndexOfItsPredecessor(t *testing.T) {
	fsys := &renameFS{}
	m := testManager(t, t.TempDir(), func(o *ManagerOptions) { o.FS, o.Cleaner = fsys, &CleanerOptions{} })
	l := testLog(t, m, configWith(func(c *Config) {
		c.SegmentSize, c.IndexInterval, c.Compact, c.Delete, c.MinDirtyRatio = 20000, 0, true, false, 0
	}))
	for i := range 200 { // every other record is replaced later, so positions change
		key := []byte("again")
		if i%2 == 0 {
			key = fmt.Append(nil, "once", i)
		}
		b, err := protocol.AppendBatch(nil, protocol.BatchOptions{LeaderEpoch: -1}, protocol.Record{Timestamp: 1000, Key: key, Value: make([]byte, 300+i)})
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, b)
	}
	fsys.before = func(from, to string) {
		if strings.HasSuffix(to, indexSuffix+deletedSuffix) && filepath.Base(from) == segmentName(0, indexSuffix) {
			data, err := l.Read(1, 1, UpToLogEnd, true)
			if err != nil {
				t.Error(err)
			}
			data.Region.Release()
		}
	}
	if cleaned, err := m.cleaner.CleanOnce(t.Context()); !cleaned || err != nil {
		t.Fatalf("compacted: %v, %v", cleaned, err)
	}
	s := (*l.segments.Load())[0]
	if end, err := l.endOfSegment(s); err != nil || end > (*l.segments.Load())[1].baseOffset {
		t.Errorf("the first segment ends at %d, %v", end, err)
	}
}
