package replay

import (
	"fmt"
	"math/bits"
	"time"
)

// Histogram counts durations in buckets no wider than a sixteenth of their value. The
// zero value is empty. Not for concurrent use.
type Histogram struct {
	counts [64 * subBuckets]int64
	total  int64
	max    time.Duration
}

const subBuckets = 16

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
	h.max = max(h.max, d)
}

// Merge adds all that another histogram has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// Count is how many durations were added.
func (h *Histogram) Count() int64 { return h.total }

// Max is the longest duration added.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns a duration that at least the fraction q of all do not exceed.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := int64(q * float64(h.total))
	for i, n := range h.counts {
		if rank -= n; rank < 0 {
			return min(upperEnd(i), h.max)
		}
	}
	return h.max
}

// String gives the usual quantiles.
func (h *Histogram) String() string {
	return fmt.Sprintf("p50 %v p99 %v p99.9 %v max %v", h.Quantile(.5), h.Quantile(.99), h.Quantile(.999), h.max)
}

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - 5 // leaves 16..31
	return (shift+1)*subBuckets + int(v>>shift) - subBuckets
}

// upperEnd is the longest duration that falls into a bucket.
func upperEnd(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket)
	}
	shift := bucket/subBuckets - 1
	return time.Duration(uint64(bucket%subBuckets+subBuckets+1)<<shift - 1)
}
