package log

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// TestScale prints what many partitions cost. It is run by hand: BARNABAS_SCALE=10000.
func TestScale(t *testing.T) {
	count, _ := strconv.Atoi(os.Getenv("BARNABAS_SCALE"))
	if count == 0 {
		t.Skip("BARNABAS_SCALE is not set")
	}
	dir := t.TempDir()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	say := func(what string, start time.Time) {
		t.Logf("%-28s %v", what, time.Since(start).Round(time.Millisecond))
	}
	m := testManager(t, dir, nil)
	before := heap()
	start := time.Now()
	cfg := DefaultConfig()
	for i := range count {
		l, err := m.Create(protocol.TopicPartition{Topic: "many", Partition: int32(i)}, protocol.UUID{1}, cfg, "")
		if err != nil {
			t.Fatal(err)
		}
		l.AssignEpoch(0, 0)
	}
	say("create", start)
	t.Logf("heap per log: %d", (heap()-before)/uint64(count))
	stop := func(what string) {
		start := time.Now()
		if err := m.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		say("stop "+what, start)
		m = nil
		before = heap()
		start = time.Now()
		m = testManager(t, dir, nil)
		say(fmt.Sprintf("clean start %s (%d)", what, m.Count()), start)
		t.Logf("heap per log: %d", (heap()-before)/uint64(count))
	}
	stop("empty")
	start = time.Now()
	for l := range m.Logs() {
		mustAppend(t, l, testBatch(t, 1, 100, 1))
	}
	say("append one to each", start)
	t.Logf("heap per log: %d", (heap()-before)/uint64(count))
	m.RunProgress()
	kill(m)
	m = nil
	before = heap()
	start = time.Now()
	m = testManager(t, dir, nil)
	say(fmt.Sprintf("start after kill (%d)", m.Count()), start)
	t.Logf("heap per log: %d", (heap()-before)/uint64(count))
	stop("recovered")
	os.Remove(dir + "/" + manifestName)
	stop("used")
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	os.Remove(dir + "/" + manifestName)
	start = time.Now()
	m = testManager(t, dir, nil)
	say("clean start without manifest", start)
}

// TestRecoveryScale prints how long a start takes after a kill with much on the disk. It
// is run by hand: BARNABAS_RECOVERY_MB=10000.
func TestRecoveryScale(t *testing.T) {
	size, _ := strconv.ParseInt(os.Getenv("BARNABAS_RECOVERY_MB"), 10, 64)
	if size == 0 {
		t.Skip("BARNABAS_RECOVERY_MB is not set")
	}
	dir := t.TempDir()
	for _, records := range []int{150, 10} {
		m := testManager(t, dir, nil)
		var logs []*Log
		for i := range 50 {
			l, err := m.Create(protocol.TopicPartition{Topic: fmt.Sprintf("t%d", records), Partition: int32(i)}, protocol.UUID{1}, nil, "")
			if err != nil {
				t.Fatal(err)
			}
			logs = append(logs, l)
		}
		producer := protocol.Producer{ID: 7}
		var values []protocol.Record
		for range records {
			values = append(values, protocol.Record{Value: make([]byte, 100), Timestamp: time.Now().UnixMilli()})
		}
		var written, noted int64
		for sequence := int32(0); written < size<<19; sequence += int32(records) {
			producer.BaseSequence = sequence
			b, err := protocol.AppendBatch(nil, protocol.BatchOptions{LeaderEpoch: -1, Producer: &producer}, values...)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range logs {
				protocol.SetBatchOffset(b, 0, -1)
				mustAppend(t, l, b)
				written += int64(len(b))
			}
			if written-noted > 256<<20 {
				m.RunProgress()
				noted = written
			}
		}
		kill(m)
		start, cpu := time.Now(), cpuTime()
		m = testManager(t, dir, nil)
		t.Logf("%d MB more, of %d records a batch, %d MB since the last note: start after kill %v, cpu %v", written>>20, records, (written-noted)>>20,
			time.Since(start).Round(time.Millisecond), cpuTime()-cpu)
		kill(m)
		start, cpu = time.Now(), cpuTime()
		m = testManager(t, dir, func(o *ManagerOptions) { o.BootID = "another" })
		t.Logf("the same if power was cut: %v, cpu %v", time.Since(start).Round(time.Millisecond), cpuTime()-cpu)
		kill(m)
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Round(time.Millisecond)
}
