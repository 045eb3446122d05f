// Package fuzzcost holds fuzz targets to a bound on what one input may cost.
//
// Fuzzing finds panics by itself. What it does not see is an input of seven bytes that costs gigabytes of memory or a minute of
// processor time, which for bytes from a socket is as bad. A target defers [Bound] around its work.
package fuzzcost

import (
	"runtime/metrics"
	"syscall"
	"testing"
	"time"
)

// Every input may allocate this much, and take this much processor time, whatever its length: room for pools that fill, the
// collector and the test framework itself, far below what an attack is after.
const (
	FixedBytes   = 8 << 20
	FixedCPUTime = 5 * time.Second
)

// Bound begins to count the heap bytes and the processor time of the whole process, and returns what ends it: the test fails if
// more than FixedBytes and perByte bytes for each of the size bytes of input were allocated, or more than FixedCPUTime of processor
// time was used. Processor time does not pass while others have the machine, so a loaded machine fails nothing.
//
//	defer fuzzcost.Bound(t, len(data), 64)()
func Bound(t testing.TB, size, perByte int) func() {
	allocated, used := heapAllocated(), cpuTime()
	return func() {
		t.Helper()
		if got, limit := heapAllocated()-allocated, uint64(FixedBytes+size*perByte); got > limit {
			t.Errorf("%d bytes of input allocated %d bytes, more than %d", size, got, limit)
		}
		if got := cpuTime() - used; got > FixedCPUTime {
			t.Errorf("%d bytes of input took %v of processor time", size, got)
		}
	}
}

func heapAllocated() uint64 {
	sample := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample[:])
	return sample[0].Value.Uint64()
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
