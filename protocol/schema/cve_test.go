package schema

import (
	"runtime"
	"strings"
	"testing"
)

// Readers that were generated allocated the elements that a count promised. Here a body is
// walked before anything is allocated for it, and what its decoding will cost is known.
func TestCVE_2026_111108_CountsAllocateNothing(t *testing.T) {
	count := func(t *testing.T, name string, key, version int16, body string, limit int) {
		t.Helper()
		b := unhex(t, body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Check(key, version, b, Limits{MemoryBytes: limit})
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s was taken", name)
		}
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 64<<10 {
			t.Errorf("%s: cost %d bytes", name, cost)
		}
	}
	count(t, "Metadata of 2^31-1 topics", 3, 1, "7fffffff 000161", 1<<20)
	count(t, "Metadata of 2^32-2 compact topics", 3, 9, "ffffffff0f 02 61 00", 1<<20)
	count(t, "OffsetFetch of 2^31-1 partitions", 9, 1, "000167 00000001 000174 7fffffff 00000000", 1<<20)
	count(t, "CreateTopics with 2^31-1 assignments", 19, 2, "00000001 000174 ffffffff ffff 7fffffff 00000000", 1<<20)
	// Counts that fit, of elements that take a byte or two on the wire and a struct each here.
	count(t, "Metadata of a million empty names", 3, 1, "000f4240 "+strings.Repeat("0000", 1_000_000), 8<<20)
	// Nested arrays share one budget.
	nested := "000003e8 " + strings.Repeat("0000 000003e8 "+strings.Repeat("00000000", 1000), 1000)
	count(t, "1000 topics of 1000 partitions", 9, 1, "000167 "+nested, 4<<20)
}

// Tagged fields that nobody knows were kept, each as an object.
func TestCVE_2026_111115_TagsAllocateNothing(t *testing.T) {
	tags := func(n int) string {
		return "01 01 " + uvarint(n) + strings.Repeat("05 00", n)
	}
	for name, body := range map[string]string{
		"2^32-1 tags":            "01 01 ffffffff0f 00 00",
		"more than bytes":        "01 01 7f 00 00",
		"a tag of 2^32-1 bytes":  "01 01 01 05 ffffffff0f 00",
		"a tag number too large": "01 01 01 ffffffffff7f 00",
	} {
		if _, err := Check(18, 3, unhex(t, body), Limits{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	body := unhex(t, tags(100_000)) // skipped, as Apache does, and kept nowhere
	if n := testing.AllocsPerRun(5, func() { Check(18, 3, body, Limits{}) }); n > 0 {
		t.Errorf("%v allocations for 100,000 tags", n)
	}
	e, err := Check(18, 3, body, Limits{})
	if err == nil && e.MemoryBytes > 16<<20 {
		t.Logf("100,000 unknown tags would take %d bytes", e.MemoryBytes)
	}
}

func uvarint(n int) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for {
		b := byte(n & 0x7f)
		if n >>= 7; n > 0 {
			b |= 0x80
		}
		out.WriteByte(digits[b>>4])
		out.WriteByte(digits[b&15])
		if n == 0 {
			return out.String() + " "
		}
	}
}
