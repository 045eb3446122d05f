package log

import (
	"os"
	"testing"
)

// The offset index gets an entry every few batches, the time index only when there is a
// larger timestamp: the one's entries fill their room in memory and are written before the
// other's. A start after a kill must not take the time index for complete then.
func TestTheLargestTimestampOutlivesAKillThatTheTimeIndexDoesNot(t *testing.T) {
	for _, c := range []struct {
		name      string
		timestamp func(i int64) int64
		asked     int64
		want      int64
	}{
		{"first", func(i int64) int64 { return 5000 - i }, 5000, 0},
		{"middle", func(i int64) int64 {
			if i == 200 {
				return 9000
			}
			return 1000 + i
		}, 8000, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			m := testManager(t, dir, nil)
			l := testLog(t, m, configWith(func(c *Config) { c.IndexInterval = 0 }))
			for i := range int64(400) {
				mustAppend(t, l, testBatch(t, 1, 10, c.timestamp(i)))
			}
			l.RaiseHighWatermark(400)
			check := func(when string) {
				t.Helper()
				found, err := l.OffsetForTimestamp(c.asked, UpToHighWatermark)
				if err != nil || found.Offset != c.want {
					t.Errorf("%s: offset %d for timestamp %d instead of %d, %v", when, found.Offset, c.asked, c.want, err)
				}
				newest, err := l.OffsetForTimestamp(TimestampMax, UpToHighWatermark)
				if err != nil || newest.Offset != c.want {
					t.Errorf("%s: offset %d has the largest timestamp instead of %d, %v", when, newest.Offset, c.want, err)
				}
			}
			check("before")
			m.RunProgress()
			kill(m)
			m = testManager(t, dir, nil)
			l = m.Get(testPartition)
			l.RaiseHighWatermark(400)
			check("after the kill")
		})
	}
}

func TestATimeIndexIsBuiltAnewWithAnUnsoundOffsetIndex(t *testing.T) {
	dir := t.TempDir()
	m := testManager(t, dir, nil)
	l := testLog(t, m, configWith(func(c *Config) { c.IndexInterval = 0 }))
	for i := range int64(50) {
		mustAppend(t, l, testBatch(t, 1, 10, 5000-i))
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	m.RunCheckpoint()
	m.RunProgress()
	path := l.segments.Load().active().path(l.Dir(), indexSuffix)
	kill(m)
	b, err := os.ReadFile(path)
	if err != nil || len(b) < offsetEntrySize {
		t.Fatalf("%d bytes of index, %v", len(b), err)
	}
	b[len(b)-1]++ // no batch begins there
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	for start := range 2 {
		m = testManager(t, dir, nil)
		l = m.Get(testPartition)
		l.RaiseHighWatermark(50)
		found, err := l.OffsetForTimestamp(5000, UpToHighWatermark)
		if err != nil || found.Offset != 0 {
			t.Errorf("start %d: offset %d for the largest timestamp, %v", start, found.Offset, err)
		}
		if e, count, err := lastIndexEntry(OS{}, l.segments.Load().active().path(l.Dir(), timeIndexSuffix), timeEntrySize); err != nil || count != 1 || e.key != 5000 {
			t.Errorf("start %d: %d entries in the time index, the last %v, %v", start, count, e, err)
		}
		m.RunProgress()
		kill(m)
	}
}
