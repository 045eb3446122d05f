package broker

import (
	"time"

	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/replication"
)

// look reads every partition and answers, or waits, if there is too little and time left.
func (f *fetch) look() {
	looked := false
	defer func() {
		if !looked {
			f.dropRegions() // a panic, see conn.contain
		}
	}()
	enough := f.lookLocked()
	looked = true
	if enough {
		f.answer() // nobody else looks any more
	}
}

// lookAgain is look from a goroutine of its own.
func (f *fetch) lookAgain() {
	defer f.conn.contain(f.r)
	f.look()
}

// lookLocked takes the lock itself. It says whether the answer is to be sent.
func (f *fetch) lookLocked() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.ended {
		if enough := f.read(); enough || f.late {
			f.ended = true
			return true
		}
		f.dropRegions()
		if f.park() {
			break
		}
		// By their positions there are bytes enough, though a read gives fewer: it ends
		// with a whole batch, or with its segment. More time would not change that.
		f.late = true
	}
	return false
}

// park registers for what is to come. It reports false if enough came meanwhile.
func (f *fetch) park() bool {
	if f.waiter != nil {
		f.b.timers.stop(&f.expired)
	}
	partitions := make([]*replication.Partition, 0, len(f.partitions))
	for i := range f.partitions {
		p := &f.partitions[i]
		if hosted := f.b.replicas.Get(p.name, p.key.partition); hosted != nil {
			partitions = append(partitions, hosted)
		}
	}
	f.waiter = replication.Wait(partitions, f.minBytes, func() { go f.lookAgain() })
	available := f.available()
	if available >= f.minBytes {
		return !f.waiter.Cancel() // cancelled: look again at once; else the waker does
	}
	f.waiter.Came(available)
	waiter := f.waiter
	f.startTimer(waiter)
	if !f.r.conn.setOnClose(f.r, func() { f.expire(waiter) }) {
		go f.expire(waiter)
	}
	return true
}

// largeWait is for how long a fetch that takes much memory may wait without a look at
// whether others need that.
const largeWait = 200 * time.Millisecond

// startTimer starts what ends the waiting. It is called with mu held.
func (f *fetch) startTimer(waiter *replication.Waiter) {
	at := f.deadline
	if f.large {
		if next := time.Now().Add(largeWait); next.Before(at) {
			at = next
		}
	}
	f.b.timers.start(&f.expired, at, func() { f.timeOut(waiter) })
}

// timeOut ends the waiting, or lets a large fetch go on for a while.
func (f *fetch) timeOut(waiter *replication.Waiter) {
	if f.large && time.Now().Before(f.deadline) && f.b.admitted.roomToWait() {
		f.goOn(waiter)
		return
	}
	f.expire(waiter)
}

func (f *fetch) goOn(waiter *replication.Waiter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended && f.waiter == waiter {
		f.startTimer(waiter)
	}
}

// available is about how many bytes the partitions could give now.
func (f *fetch) available() int64 {
	var sum int64
	for i := range f.partitions {
		p := &f.partitions[i]
		hosted := f.b.replicas.Get(p.name, p.key.partition)
		if hosted == nil {
			continue
		}
		if l, err := hosted.Log(); err == nil {
			size := l.BytesFrom(p.fetchOffset, f.upTo)
			if size == log.EnoughBytes {
				return size
			}
			sum += min(size, int64(p.partitionMaxBytes))
		}
	}
	return sum
}

// expire has the request answered with what there is.
func (f *fetch) expire(waiter *replication.Waiter) {
	f.mu.Lock()
	f.late = true
	f.mu.Unlock()
	waiter.Fire()
}
