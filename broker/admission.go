package broker

import (
	"sync"
	"sync/atomic"
)

// admission bounds the memory that decoded requests of all connections hold together:
// queued.max.request.bytes where it is set, else a limit of ours. A connection whose
// next request does not fit waits, and reads no further, until others have been answered.
// One request always fits when nothing else is admitted.
type admission struct {
	limit int64
	held  atomic.Int64

	waiting atomic.Int32
	mu      sync.Mutex
	room    sync.Cond
	closed  bool
}

func newAdmission(limit int64) *admission {
	a := &admission{limit: limit}
	a.room.L = &a.mu
	return a
}

// acquire waits until size fits.
func (a *admission) acquire(size int64) {
	if a.tryAcquire(size) {
		return
	}
	a.mu.Lock()
	a.waiting.Add(1)
	for !a.closed && !a.tryAcquire(size) {
		a.room.Wait()
	}
	a.waiting.Add(-1)
	a.mu.Unlock()
}

func (a *admission) tryAcquire(size int64) bool {
	for {
		held := a.held.Load()
		if held > 0 && held+size > a.limit {
			return false
		}
		if a.held.CompareAndSwap(held, held+size) {
			return true
		}
	}
}

// roomToWait says whether a request may keep what it was admitted with for longer than it
// takes to serve it: nobody waits for memory, and at least half of it is free. So those
// that do keep it never hold more than half.
func (a *admission) roomToWait() bool {
	return a.waiting.Load() == 0 && a.held.Load() <= a.limit/2
}

// release gives back what acquire took.
func (a *admission) release(size int64) {
	if size == 0 {
		return
	}
	a.held.Add(-size)
	if a.waiting.Load() > 0 {
		a.mu.Lock()
		a.room.Broadcast()
		a.mu.Unlock()
	}
}

// close lets everybody through.
func (a *admission) close() {
	a.mu.Lock()
	a.closed = true
	a.room.Broadcast()
	a.mu.Unlock()
}
