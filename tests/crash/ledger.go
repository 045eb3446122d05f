package main

import (
	"fmt"
	"sync"
)

// place is where a record lies.
type place struct {
	topic     string
	partition int32
	offset    int64
}

// id is what a record says about itself.
type id struct {
	producer  string
	partition int32
	seq       int64 // of the producer's records for that partition
}

func (i id) String() string { return fmt.Sprintf("%s %d %d", i.producer, i.partition, i.seq) }

func parseID(value []byte) (id, error) {
	var i id
	_, err := fmt.Sscanf(string(value), "%s %d %d", &i.producer, &i.partition, &i.seq)
	if err != nil {
		return i, fmt.Errorf("a record that nobody sent: %.40q: %w", value, err)
	}
	return i, nil
}

// ledger knows what was acknowledged and what was seen.
type ledger struct {
	mu       sync.Mutex
	acked    map[place]id
	sent     map[id]bool // handed to a producer, acknowledged or not
	acks     map[string]int64
	seen     map[place]id // read after some restart
	failures []error      // of producers, for good
}

func newLedger() *ledger {
	return &ledger{acked: map[place]id{}, sent: map[id]bool{}, acks: map[string]int64{}, seen: map[place]id{}}
}

func (l *ledger) noteSent(i id) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[i] = true
}

func (l *ledger) noteAck(p place, i id) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if other, ok := l.acked[p]; ok {
		l.failures = append(l.failures, fmt.Errorf("%v was acknowledged for both %v and %v", p, other, i))
	}
	l.acked[p] = i
	l.acks[i.producer]++
}

func (l *ledger) noteFailure(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, err)
}

// acksOf returns how many records of each producer were acknowledged.
func (l *ledger) acksOf(producer string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks[producer]
}

func (l *ledger) ackedCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

func (l *ledger) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) > 0 {
		return l.failures[0]
	}
	return nil
}

// snapshotAcked copies what was acknowledged until now.
func (l *ledger) snapshotAcked() map[place]id {
	l.mu.Lock()
	defer l.mu.Unlock()
	acked := make(map[place]id, len(l.acked))
	for p, i := range l.acked {
		acked[p] = i
	}
	return acked
}

// check holds records read against what was acknowledged, sent and seen before. Acked is
// what had been acknowledged before the reading began, within the offsets that were read.
func (l *ledger) check(read map[place]id, acked map[place]id, covered func(place) bool) error {
	for p, want := range acked {
		if !covered(p) {
			continue
		}
		if got, ok := read[p]; !ok {
			return fmt.Errorf("acknowledged record lost: %v at %v", want, p)
		} else if got != want {
			return fmt.Errorf("acknowledged record replaced at %v: %v, was acknowledged for %v", p, got, want)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, want := range l.seen {
		if !covered(p) {
			continue
		}
		if got, ok := read[p]; !ok || got != want {
			return fmt.Errorf("record seen before has changed at %v: %v, now %v (there: %v)", p, want, got, ok)
		}
	}
	for p, i := range read {
		if !l.sent[i] {
			return fmt.Errorf("record that nobody sent at %v: %v", p, i)
		}
		l.seen[p] = i
	}
	return nil
}

// checkOrder holds the records of one partition, in their order, against the rules of the
// producers. Strict are those that are idempotent.
func checkOrder(partition int32, records []id, strict func(producer string) bool) error {
	next := map[string]int64{}
	for n, i := range records {
		if i.partition != partition {
			return fmt.Errorf("record %v in partition %d", i, partition)
		}
		want := next[i.producer]
		switch {
		case i.seq == want:
			next[i.producer]++
		case strict(i.producer):
			return fmt.Errorf("partition %d, record %d: %v where %d was due: %s", partition, n, i, want,
				map[bool]string{true: "a duplicate", false: "a gap"}[i.seq < want])
		case i.seq > want:
			return fmt.Errorf("partition %d, record %d: %v where %d was due: out of order", partition, n, i, want)
		}
	}
	return nil
}
