package broker

import (
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
	f.waiter = replication.Wait(partitions, f.minBytes-f.available(), func() { go f.lookAgain() })
	if f.available() >= f.minBytes {
		return !f.waiter.Cancel() // cancelled: look again at once; else the waker does
	}
	waiter := f.waiter
	f.b.timers.start(&f.expired, f.deadline, func() { f.expire(waiter) })
	if !f.r.conn.setOnClose(f.r, func() { f.expire(waiter) }) {
		go f.expire(waiter)
	}
	return true
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
