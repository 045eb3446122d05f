package replay

import (
	"testing"
	"time"
)

func TestBucketsHoldWhatFallsIntoThem(t *testing.T) {
	last := -1
	for v := time.Duration(0); v < 1<<40; v += 1 + v/37 {
		b := bucketOf(v)
		if b < last {
			t.Fatalf("%d ns fell into bucket %d after %d", v, b, last)
		}
		last = b
		if end := upperEnd(b); end < v || end > v+v/16+1 {
			t.Fatalf("%d ns fell into a bucket that ends at %d", v, end)
		}
	}
}

func TestQuantilesOfAThousand(t *testing.T) {
	var h Histogram
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	for _, tt := range []struct {
		q    float64
		want time.Duration
	}{{.5, 500 * time.Millisecond}, {.99, 990 * time.Millisecond}, {1, time.Second}} {
		if got := h.Quantile(tt.q); got < tt.want || got > tt.want+tt.want/16 {
			t.Errorf("quantile %v is %v, want about %v", tt.q, got, tt.want)
		}
	}
}
