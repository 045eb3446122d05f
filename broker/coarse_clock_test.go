package broker

import (
	"testing"
	"time"
	"unsafe"
)

// A wall clock that is set back or forth by an hour makes nobody idle, slow or stalled.
func TestTheCoarseClockIsNotTheWallClock(t *testing.T) {
	for _, seconds := range []int64{3600, -3600} {
		b := &Broker{started: time.Now()}
		before := b.started
		// What the wall clock said at the start, beside what it says now: only the package
		// time can make such a time.
		*(*uint64)(unsafe.Pointer(&b.started)) += uint64(seconds << 30)
		if b.started.Unix()-before.Unix() != seconds || b.started.Sub(before) != 0 {
			t.Skip("times have another form in this version of Go")
		}
		b.tick()
		if now := b.coarseNow.Load(); now < 1 || now > 1000 {
			t.Errorf("after a change by %d seconds it is %d", seconds, now)
		}
	}
}
