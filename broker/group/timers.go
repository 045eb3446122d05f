package group

import (
	"container/heap"
	"sync"
	"time"
)

// timers is the one clockwork of a coordinator: a heap of wakes, and one timer that is
// set to the first of them. There is no goroutine of its own, and no timer per group or
// member. A wake that has become needless is not removed; it comes and is ignored.
type timers struct {
	now   func() time.Time
	after func(time.Duration, func()) Timer
	fire  func(shardWake) // called without mu held

	start time.Time

	mu     sync.Mutex
	heap   wakeHeap
	timer  Timer
	setTo  int64 // deadline the timer is set to, 0 if it is not running
	firing bool  // a run is under way and will set the timer when it ends
	closed bool
}

// shardWake is a wake of a group in a shard; without a shard, the periodic expiry of
// offsets.
type shardWake struct {
	atMs    int64
	shard   *shard
	groupID string
	load    bool // retry the load of the shard
}

type wakeHeap []shardWake

func (h wakeHeap) Len() int           { return len(h) }
func (h wakeHeap) Less(i, j int) bool { return h[i].atMs < h[j].atMs }
func (h wakeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *wakeHeap) Push(x any)        { *h = append(*h, x.(shardWake)) }
func (h *wakeHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = shardWake{}
	*h = old[:len(old)-1]
	return last
}

func (t *timers) instant() instant {
	now := t.now()
	return instant{monotonicMs: now.Sub(t.start).Milliseconds() + 1, wallMs: now.UnixMilli()}
}

// add sets a wake.
func (t *timers) add(w shardWake) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	heap.Push(&t.heap, w)
	t.setLocked()
}

// setLocked sets the timer to the first wake, if it is not set to that or earlier.
func (t *timers) setLocked() {
	if len(t.heap) == 0 || t.firing || t.closed {
		return
	}
	first := t.heap[0].atMs
	if t.setTo != 0 && t.setTo <= first {
		return
	}
	t.setTo = first
	d := max(time.Duration(first-t.instant().monotonicMs), 0) * time.Millisecond
	if t.timer == nil {
		t.timer = t.after(d, t.run)
	} else {
		t.timer.Reset(d)
	}
}

// run fires all wakes whose time has come.
func (t *timers) run() {
	t.mu.Lock()
	if t.firing || t.closed {
		t.mu.Unlock()
		return
	}
	t.firing, t.setTo = true, 0
	for !t.closed && len(t.heap) > 0 && t.heap[0].atMs <= t.instant().monotonicMs {
		w := heap.Pop(&t.heap).(shardWake)
		t.mu.Unlock()
		t.fire(w)
		t.mu.Lock()
	}
	t.firing = false
	t.setLocked()
	t.mu.Unlock()
}

func (t *timers) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.heap = nil
	if t.timer != nil {
		t.timer.Stop()
	}
}
