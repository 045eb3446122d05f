package log

import (
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// A producer whose answers were lost with the broker sends its last batches again, up to
// five of them. A snapshot holds only the last one.
func TestRetriesAreKnownAfterAKillThatFollowsASnapshot(t *testing.T) {
	for name, snapshot := range map[string]func(*Log){
		"snapshots": func(l *Log) { l.takeSnapshot() },
		"none":      func(*Log) {},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			m := testManager(t, dir, nil)
			l := testLog(t, m, nil)
			sequence := int32(0)
			batch := func(sequence int32) []byte {
				b, err := protocol.AppendBatch(nil, protocol.BatchOptions{
					LeaderEpoch: -1, Producer: &protocol.Producer{ID: 7, BaseSequence: sequence},
				}, protocol.Record{Timestamp: time.Now().UnixMilli(), Value: []byte("x")})
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			for start := range 3 {
				for range 2 {
					for range 5 {
						if info := mustAppend(t, l, batch(sequence)); info.Duplicate || info.FirstOffset != int64(sequence) {
							t.Fatalf("start %d: sequence %d got offset %d", start, sequence, info.FirstOffset)
						}
						sequence++
					}
					snapshot(l)
				}
				m.RunProgress()
				kill(m)
				m = testManager(t, dir, nil)
				l = m.Get(testPartition)
				for s := sequence - 5; s < sequence; s++ {
					info, err := l.Append(batch(s), AppendOptions{RequestVersion: 9})
					if err != nil || !info.Duplicate || info.FirstOffset != int64(s) {
						t.Errorf("start %d: sequence %d again: offset %d, duplicate %v, %v", start, s, info.FirstOffset, info.Duplicate, err)
					}
				}
			}
		})
	}
}
