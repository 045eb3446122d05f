package log

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

func TestRolledSegmentsAreFlushedWhileThereAreAlwaysWaiters(t *testing.T) {
	m, err := OpenManager(context.Background(), ManagerOptions{Dirs: []string{"/d"}, FS: newFaultyFS(), ProgressInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer kill(m)
	rolled, err := m.Create(protocol.TopicPartition{Topic: "rolled"}, protocol.UUID{2}, configWith(func(c *Config) { c.SegmentSize = 500 }), "")
	if err != nil {
		t.Fatal(err)
	}
	waited := testLog(t, m, nil)
	const rounds = 1000
	round, over := 0, make(chan bool)
	var next func(error)
	next = func(err error) {
		if round++; err != nil || rolled.RecoveryPoint() > 0 || round == rounds {
			over <- rolled.RecoveryPoint() > 0
			return
		}
		if round == 1 {
			mustAppend(t, rolled, testBatch(t, 1, 300, 1))
			mustAppend(t, rolled, testBatch(t, 1, 300, 1))
		}
		waited.WaitDurable(mustAppend(t, waited, testBatch(t, 1, 10, 1)).LastOffset+1, next)
	}
	waited.WaitDurable(mustAppend(t, waited, testBatch(t, 1, 10, 1)).LastOffset+1, next)
	if !<-over {
		t.Errorf("a segment that was rolled was not flushed in %d rounds", rounds)
	}
}

// The disk will never have what has been cut off, whatever comes in its place.
func TestWhoWaitsForWhatIsCutOffIsToldSo(t *testing.T) {
	for _, tt := range []struct {
		name string
		cut  func(*Log) error
		kept int
	}{
		{"in part", func(l *Log) error { _, err := l.TruncateTo(2); return err }, 2},
		{"wholly", func(l *Log) error { return l.TruncateFullyAndStartAt(10) }, 0},
	} {
		dir := t.TempDir()
		held := heldFS{dir: dir, held: make(chan struct{}, 10), letGo: make(chan struct{})}
		m := testManager(t, dir, func(o *ManagerOptions) { o.FS, o.NoBackground = held, false })
		l := testLog(t, m, nil)
		waits := func(offset int64) chan error {
			answer := make(chan error, 1)
			l.WaitDurable(offset, func(err error) { answer <- err })
			return answer
		}
		var answers []chan error
		for range 3 {
			answers = append(answers, waits(mustAppend(t, l, testBatch(t, 1, 100, 1)).LastOffset+1))
		}
		<-held.held // all are under way
		if err := tt.cut(l); err != nil {
			t.Fatal(tt.name, err)
		}
		answers = append(answers, waits(12))
		mustAppend(t, l, testBatch(t, 1, 100, 1))
		close(held.letGo)
		for i, answer := range answers {
			if err := <-answer; errors.Is(err, protocol.ErrNotLeaderOrFollower) != (i >= tt.kept) {
				t.Errorf("%s: waiter %d got %v", tt.name, i, err)
			}
		}
	}
}
