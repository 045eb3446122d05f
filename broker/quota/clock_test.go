package quota

import (
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/barnabas-broker/barnabas/metadata"
)

// setBack is t as it would be had the wall clock been set back an hour: only the package
// time can make such a one.
func setBack(t time.Time) time.Time {
	moved := t
	*(*uint64)(unsafe.Pointer(&moved)) -= 3600 << 30 // its seconds, where there is a monotonic time too
	return moved
}

func TestAClockThatIsSetBackSilencesNobody(t *testing.T) {
	if now := time.Now(); now.Unix()-setBack(now).Unix() != 3600 || setBack(now).Sub(now) != 0 {
		t.Skip("times have another form in this version of Go")
	}
	for kind, key := range map[Kind]string{Produce: "producer_byte_rate", ControllerMutation: "controller_mutation_rate"} {
		begin := time.Now()
		waits := func(clock func(i int, now time.Time) time.Time) (waits []time.Duration) {
			m := NewManager(Options{})
			m.began = begin
			m.SetLimits(limitsOf(key, map[metadata.QuotaEntity]float64{entity("u", "-"): 100}))
			for i := range 40 {
				now := begin.Add(time.Duration(i) * 500 * time.Millisecond)
				waits = append(waits, m.Record(kind, "u", "c", 100, clock(i, now)))
			}
			return waits
		}
		straight := waits(func(_ int, now time.Time) time.Time { return now })
		back := waits(func(i int, now time.Time) time.Time {
			if i >= 20 {
				return setBack(now)
			}
			return now
		})
		if !slices.Equal(straight, back) {
			t.Errorf("%v: waits %v, and %v with a clock that is set back", kind, straight, back)
		}
	}
}
