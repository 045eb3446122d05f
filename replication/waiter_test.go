package replication

import (
	"sync"
	"sync/atomic"
	"testing"
)

// A partition may grow while the waiter is still being registered with the others.
func TestWaiterThatIsWokenWhileItRegisters(t *testing.T) {
	partitions := make([]*Partition, 64)
	for i := range partitions {
		partitions[i] = new(Partition)
	}
	var over atomic.Bool
	var growing sync.WaitGroup
	growing.Go(func() {
		for !over.Load() {
			partitions[0].waiters.grown(1)
		}
	})
	woken, registered := atomic.Int64{}, int64(0)
	for range 5000 {
		registered++
		if w := Wait(partitions, 1, func() { woken.Add(1) }); w.Cancel() {
			registered--
		}
	}
	over.Store(true)
	growing.Wait()
	if woken.Load() != registered {
		t.Errorf("%d waiters were woken, and %d not cancelled", woken.Load(), registered)
	}
	for i, p := range partitions {
		if p.waiters.first != nil || p.waiters.count.Load() != 0 {
			t.Errorf("partition %d: %d waiters are left behind", i, p.waiters.count.Load())
		}
	}
}

// What is there when a waiter has been registered, and what comes then, count together.
func TestWaiterOfWhatWasThereAndWhatComes(t *testing.T) {
	p := new(Partition)
	woken := 0
	w := Wait([]*Partition{p}, 100, func() { woken++ })
	p.waiters.grown(30)
	w.Came(60)
	if woken != 0 {
		t.Fatal("woken by 90 of 100 bytes")
	}
	p.waiters.grown(10)
	w.Came(10)
	if woken != 1 || p.waiters.count.Load() != 0 {
		t.Errorf("woken %d times, %d places", woken, p.waiters.count.Load())
	}
}
