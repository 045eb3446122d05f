package log

import (
	"context"
	"sync"
	"time"
)

// cleanerThrottle holds the compaction of all logs together to a number of bytes a
// second, read and written.
type cleanerThrottle struct {
	mu        sync.Mutex
	perSecond float64   // 0 is unlimited
	free      time.Time // when the bytes so far will have been paid for
}

func (t *cleanerThrottle) set(perSecond float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.perSecond, t.free = perSecond, time.Time{} // what is owed was owed at the old rate
}

// wait pays for bytes: it returns when they are within the rate, or ctx is done. A second
// without use is not saved up.
func (t *cleanerThrottle) wait(ctx context.Context, bytes int) error {
	delay := t.take(time.Now(), bytes)
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return errCleaningAborted
	case <-timer.C:
		return nil
	}
}

func (t *cleanerThrottle) take(now time.Time, bytes int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.perSecond <= 0 {
		return 0
	}
	if t.free.Before(now) {
		t.free = now
	}
	t.free = t.free.Add(time.Duration(float64(bytes) / t.perSecond * float64(time.Second)))
	return t.free.Sub(now)
}
