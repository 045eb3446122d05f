package log

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
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
	start = time.Now()
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	os.Remove(dir + "/" + manifestName)
	start = time.Now()
	m = testManager(t, dir, nil)
	say("clean start without manifest", start)
}
