package quota

import "math"

// sample is what one stretch of time used.
type sample struct {
	value   float64
	startMs int64
	lastMs  int64 // of the last event
}

// window is a rate over the latest samples, Kafka's Rate over a SampledStat. A sample
// begins when something is recorded, so that one after a pause may be longer than sizeMs.
type window struct {
	count   int   // quota.window.num
	sizeMs  int64 // quota.window.size.seconds
	samples []sample
	current int
}

func newWindow(count int, sizeMs int64) window {
	return window{count: max(count, 1), sizeMs: max(sizeMs, 1)}
}

// record adds v, which may be negative to take back what was recorded.
func (w *window) record(nowMs int64, v float64) {
	if len(w.samples) == 0 {
		// One more than are counted: the oldest may overlap the window's beginning.
		w.samples = append(make([]sample, 0, w.count+1), sample{startMs: nowMs, lastMs: nowMs})
	}
	s := &w.samples[w.current]
	if nowMs-s.startMs >= w.sizeMs {
		w.current = (w.current + 1) % (w.count + 1)
		if w.current >= len(w.samples) {
			w.samples = append(w.samples, sample{})
		}
		s = &w.samples[w.current]
		*s = sample{startMs: nowMs}
	}
	s.value += v
	s.lastMs = nowMs
}

// rate is what was used per second, and over how many milliseconds that was measured: at
// least count-1 whole samples, so that a burst after a pause does not count as a rate.
func (w *window) rate(nowMs int64) (perSecond float64, overMs int64) {
	total, oldest := 0.0, nowMs
	for i := range w.samples {
		s := &w.samples[i]
		if nowMs-s.lastMs >= int64(w.count)*w.sizeMs {
			*s = sample{startMs: nowMs, lastMs: nowMs}
		}
		total += s.value
		oldest = min(oldest, s.startMs)
	}
	overMs = nowMs - oldest
	if full := overMs / w.sizeMs; full < int64(w.count-1) {
		overMs += (int64(w.count-1) - full) * w.sizeMs
	}
	overMs = max(overMs, 1)
	return total / (float64(overMs) / 1000), overMs
}

// throttle is how long to be silent for the rate to come down to the bound.
func (w *window) throttle(nowMs int64, bound float64) int64 {
	rate, over := w.rate(nowMs)
	if rate <= bound || bound <= 0 {
		return 0
	}
	return clampMs((rate - bound) / bound * float64(over))
}

// bucket is a token bucket, Kafka's measure of controller mutations: what was saved up in
// the length of the window may be used at once, and debt is let happen.
type bucket struct {
	tokens float64
	lastMs int64
	filled bool // it has begun: at first it is full
}

func (b *bucket) refill(nowMs int64, rate, burst float64) {
	if !b.filled {
		b.filled, b.tokens, b.lastMs = true, burst, nowMs
	}
	b.tokens = min(burst, b.tokens+rate*float64(nowMs-b.lastMs)/1000)
	b.lastMs = nowMs
}

// throttle is how long until the debt is paid.
func (b *bucket) throttle(rate float64) int64 {
	if b.tokens >= 0 || rate <= 0 {
		return 0
	}
	return clampMs(-b.tokens / rate * 1000)
}

// clampMs rounds to milliseconds that fit into a throttle_time_ms.
func clampMs(ms float64) int64 {
	return int64(math.Round(min(ms, math.MaxInt32)))
}
