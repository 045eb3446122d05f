package exposition

import (
	"bytes"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Runtime writes what the Go runtime and the kernel say of the process. It stops nothing:
// the figures come from counters that the runtime keeps anyway.
func (w *Writer) Runtime(started time.Time) {
	samples := []metrics.Sample{
		{Name: "/sched/goroutines:goroutines"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/gc/heap/goal:bytes"},
		{Name: "/gc/heap/objects:objects"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
	}
	metrics.Read(samples)
	value := func(i int) float64 {
		switch v := samples[i].Value; v.Kind() {
		case metrics.KindUint64:
			return float64(v.Uint64())
		case metrics.KindFloat64:
			return v.Float64()
		}
		return 0
	}
	w.Gauge("go_info", "The Go release that the program was built with.")
	w.Int(1, "version", runtime.Version())
	w.Gauge("go_goroutines", "Goroutines there are.")
	w.Float(value(0))
	w.Gauge("go_memstats_heap_alloc_bytes", "Memory of live objects and of dead ones not yet swept.")
	w.Float(value(1))
	w.Gauge("go_memstats_sys_bytes", "Memory mapped by the Go runtime.")
	w.Float(value(2))
	w.Gauge("go_gc_heap_goal_bytes", "Size of the heap at which the current garbage collection is to end.")
	w.Float(value(3))
	w.Gauge("go_memstats_heap_objects", "Objects on the heap.")
	w.Float(value(4))
	w.Counter("go_memstats_alloc_bytes_total", "Memory ever allocated on the heap.")
	w.Float(value(5))
	w.Counter("go_gc_cycles_total", "Garbage collections completed.")
	w.Float(value(6))
	w.Counter("go_gc_cpu_seconds_total", "CPU time spent on garbage collection, estimated by the runtime.")
	w.Float(value(7))
	w.Gauge("go_threads_max", "GOMAXPROCS: threads that may run Go code at a time.")
	w.Int(int64(runtime.GOMAXPROCS(0)))

	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) == nil {
		w.Counter("process_cpu_seconds_total", "CPU time of the process, user and system.")
		w.Float(seconds(usage.Utime) + seconds(usage.Stime))
	}
	if resident, ok := residentMemory(); ok {
		w.Gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.")
		w.Int(resident)
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
		w.Gauge("process_open_fds", "File descriptors open.")
		w.Int(int64(len(fds)))
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		w.Gauge("process_max_fds", "File descriptors that the process may open.")
		w.Float(float64(limit.Cur))
	}
	w.Gauge("process_start_time_seconds", "When the process started, in seconds since 1970.")
	w.Float(float64(started.UnixMilli()) / 1000)
}

func seconds(t unix.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }

// residentMemory reads the second field of /proc/self/statm, in pages.
func residentMemory() (int64, bool) {
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(content)
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}
