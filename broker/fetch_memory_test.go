package broker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
)

func TestFetchSessionsHoldABoundedPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFetchSessions(1000, 0)
		alice := auth.User("alice")
		partitions := func(count, name int) (p []fetchPartition) {
			long := strings.Repeat("n", name)
			for i := range count {
				p = append(p, fetchPartition{name: long, key: fetchKey{name: long, partition: int32(i)}})
			}
			return p
		}
		if s.create(partitions(1+minSessionMemory/30_000, 30_000), alice, false, false) != nil {
			t.Fatal("a session of names that are too long")
		}
		first := s.create(partitions(1, 100), alice, false, false)
		half := s.create(partitions(minSessionMemory/60_000, 30_000), alice, false, false)
		if first == nil || half == nil {
			t.Fatal("no session where there is room")
		}
		if s.create(partitions(minSessionMemory/60_000, 30_000), alice, false, false) != nil {
			t.Fatal("a session for which there is no room")
		}
		// One that grows beyond what there is ends.
		for _, p := range partitions(minSessionMemory/60_000, 29_000) {
			first.put(p)
		}
		if !s.resized(first) {
			t.Fatal("the first session has gone")
		}
		for _, p := range partitions(minSessionMemory/60_000, 28_000) {
			first.put(p)
		}
		if s.resized(first) {
			t.Fatal("the first session has become too large")
		}
		if got, _ := s.get(first.id, alice); got != nil {
			t.Fatal("it is still there")
		}
		if sessions, n, _ := s.count(); sessions != 1 || n != minSessionMemory/60_000 {
			t.Errorf("%d sessions, %d partitions", sessions, n)
		}
		// One that is not used any more makes room.
		if s.create(partitions(minSessionMemory/40_000, 30_000), alice, false, false) != nil {
			t.Fatal("another in use had to go")
		}
		time.Sleep(sessionEvictionAge)
		if s.create(partitions(minSessionMemory/40_000, 30_000), alice, false, false) == nil {
			t.Fatal("none had to go")
		}
		if got, _ := s.get(half.id, alice); got != nil {
			t.Error("it is still there")
		}
	})
}
