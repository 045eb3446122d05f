package log

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// A producer whose answers were lost with the broker sends its last batches again, up to
// five of them. A snapshot holds only the last one.
func TestRetriesAreKnownAfterAStart(t *testing.T) {
	for name, snapshot := range map[string]func(*Log){
		"snapshots": func(l *Log) { l.takeSnapshot() },
		"none":      func(*Log) {},
		"rolls": func(l *Log) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if _, err := l.rollLocked(l.Config(), l.LogEndOffset(), 0); err != nil {
				t.Error(err)
			}
		},
		"a clean stop": func(*Log) {},
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
				if name == "a clean stop" {
					mustClose(t, m)
				} else {
					m.RunProgress()
					kill(m)
				}
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

// However a log was stopped, and wherever its segments end, it knows of its producers what it
// knew before.
func TestProducersAreTheSameAfterAStart(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	known := func(l *Log) string {
		l.mu.Lock()
		defer l.mu.Unlock()
		p, err := l.producersLocked()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, id := range slices.Sorted(maps.Keys(p.table.producers)) {
			state := p.table.producers[id]
			fmt.Fprint(&b, id, " epoch ", state.epoch, ":")
			for i := range int(state.batchCount) {
				fmt.Fprint(&b, " ", state.batch(i))
			}
			fmt.Fprintln(&b)
		}
		return b.String()
	}
	for range 20 {
		dir := t.TempDir()
		cfg := configWith(func(c *Config) { c.SegmentSize, c.IndexInterval = 500+r.Int64N(3000), r.Int64N(500) })
		open := func() (*Manager, *Log) {
			m := testManager(t, dir, func(o *ManagerOptions) { o.Config = cfg })
			return m, testLog(t, m, nil)
		}
		m, l := open()
		sequences, epochs := map[int64]int32{}, map[int64]int16{}
		for range 4 {
			for range r.IntN(60) + 1 {
				id := r.Int64N(6)
				count := r.IntN(3) + 1
				if r.IntN(30) == 0 {
					epochs[id]++
					sequences[id] = 0
				}
				b, err := protocol.AppendBatch(nil, protocol.BatchOptions{
					LeaderEpoch: -1, Producer: &protocol.Producer{ID: id, Epoch: epochs[id], BaseSequence: sequences[id]},
				}, slices.Repeat([]protocol.Record{{Timestamp: time.Now().UnixMilli(), Value: make([]byte, r.IntN(100))}}, count)...)
				if err != nil {
					t.Fatal(err)
				}
				mustAppend(t, l, b)
				sequences[id] += int32(count)
				if r.IntN(30) == 0 {
					l.takeSnapshot()
				}
			}
			want := known(l)
			if r.IntN(2) == 0 {
				mustClose(t, m)
			} else {
				m.RunProgress()
				kill(m)
			}
			m, l = open()
			if got := known(l); got != want {
				t.Errorf("producers\n%s\nafter the start, and before\n%s", got, want)
			}
		}
	}
}
