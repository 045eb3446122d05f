package replication

import (
	"sync"
	"sync/atomic"
)

// Waiter waits until partitions have grown by some bytes together. It costs a struct and
// one registration per partition: no goroutine, no timer.
type Waiter struct {
	missing atomic.Int64 // bytes that have still to come
	fired   atomic.Bool
	wake    func()
	places  []place
}

// place is a waiter's registration with one partition, in a ring through the partition's
// list. The links are guarded by the partition's waiters.mu.
type place struct {
	waiter     *Waiter
	partition  *Partition
	next, prev *place
}

// Wait registers a waiter with partitions, each of which is told of what it gets from now
// on. wake is called at most once, with no lock held, when missing bytes have come, when
// a partition's leadership changes, or by Fire; it must not block. After Wait the caller
// looks how much of what it waits for is there already, and calls Came, or Cancel if it is
// enough.
func Wait(partitions []*Partition, missing int64, wake func()) *Waiter {
	w := &Waiter{wake: wake, places: make([]place, len(partitions))}
	w.missing.Store(max(missing, 1))
	for i, p := range partitions {
		w.places[i] = place{waiter: w, partition: p}
	}
	for i, p := range partitions { // from the first on it may be woken
		p.waiters.add(&w.places[i])
	}
	if w.fired.Load() {
		w.leave() // places that were taken after it was woken
	}
	return w
}

// Came says that size bytes are there. What comes while they are counted may count twice,
// and wake the waiter early, which is better than late.
func (w *Waiter) Came(size int64) {
	if w.missing.Add(-size) <= 0 {
		w.Fire()
	}
}

// Fire wakes the waiter unless it has been woken or cancelled.
func (w *Waiter) Fire() {
	if w.Cancel() {
		w.wake()
	}
}

// Cancel takes the waiter out. It reports false when the waiter has been woken or
// cancelled before.
func (w *Waiter) Cancel() bool {
	if !w.fired.CompareAndSwap(false, true) {
		return false
	}
	w.leave()
	return true
}

func (w *Waiter) leave() {
	for i := range w.places {
		w.places[i].partition.waiters.remove(&w.places[i])
	}
}

// waiterList is the waiters of one partition.
type waiterList struct {
	count atomic.Int32 // read without mu: most appends find nobody waiting
	mu    sync.Mutex
	first *place
}

func (l *waiterList) add(p *place) {
	l.mu.Lock()
	p.next = l.first
	if l.first != nil {
		l.first.prev = p
	}
	l.first = p
	l.count.Add(1)
	l.mu.Unlock()
}

func (l *waiterList) remove(p *place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.prev == nil && l.first != p {
		return // removed before
	}
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		l.first = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	}
	p.next, p.prev = nil, nil
	l.count.Add(-1)
}

// grown tells the waiters that size more bytes can be read, and wakes those that have
// enough. A size of -1 wakes all.
func (l *waiterList) grown(size int64) {
	if l.count.Load() == 0 {
		return
	}
	var ready []*Waiter
	l.mu.Lock()
	for p := l.first; p != nil; p = p.next {
		if size < 0 || p.waiter.missing.Add(-size) <= 0 {
			ready = append(ready, p.waiter)
		}
	}
	l.mu.Unlock()
	for _, w := range ready {
		w.Fire()
	}
}
