package broker

import (
	"container/heap"
	"sync"
	"time"
)

// timers is the deadlines of all waiting requests: one heap, one goroutine, and no timer
// of the runtime but the one for the earliest. While nothing waits it sleeps.
type timers struct {
	mu   sync.Mutex
	heap timerHeap
	kick chan struct{} // the earliest deadline came nearer
}

// timer is one deadline. Its owner embeds it; it is in the heap at most once.
type timer struct {
	at    time.Time
	fire  func() // runs in a goroutine of its own
	index int    // in the heap, plus one; 0 when not in it
}

func newTimers() *timers { return &timers{kick: make(chan struct{}, 1)} }

// start arms t.
func (ts *timers) start(t *timer, at time.Time, fire func()) {
	ts.mu.Lock()
	t.at, t.fire = at, fire
	heap.Push(&ts.heap, t)
	first := ts.heap[0] == t
	ts.mu.Unlock()
	if first {
		select {
		case ts.kick <- struct{}{}:
		default:
		}
	}
}

// stop disarms t if it is armed.
func (ts *timers) stop(t *timer) {
	ts.mu.Lock()
	if t.index > 0 {
		heap.Remove(&ts.heap, t.index-1)
	}
	ts.mu.Unlock()
}

// run fires what is due until done is closed.
func (ts *timers) run(done <-chan struct{}) {
	wait := time.NewTimer(time.Hour)
	defer wait.Stop()
	for {
		select {
		case <-done:
			return
		case <-ts.kick:
		case <-wait.C:
		}
		next := time.Hour
		var due []func()
		ts.mu.Lock()
		now := time.Now()
		for len(ts.heap) > 0 {
			if left := ts.heap[0].at.Sub(now); left > 0 {
				next = left
				break
			}
			due = append(due, heap.Pop(&ts.heap).(*timer).fire)
		}
		ts.mu.Unlock()
		if len(due) > 0 {
			go func() {
				for _, fire := range due {
					fire()
				}
			}()
		}
		wait.Reset(next)
	}
}

type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	*h = append(*h, t)
	t.index = len(*h)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = 0
	return t
}
