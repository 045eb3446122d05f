package log

import (
	"sync"
)

// segmentCache bounds how many segments are open at a time, over all logs of a manager.
// When one too many is opened, the first one that nobody has used since the cache last
// looked is closed (the clock algorithm). A segment in use by an appender at that
// moment is passed over, so the bound may be exceeded by as many as there are of those.
type segmentCache struct {
	max int

	mu   sync.Mutex
	open []*openSegment // in no order
	at   map[*openSegment]int
	hand int
}

func newSegmentCache(max int) *segmentCache {
	return &segmentCache{max: max, at: make(map[*openSegment]int)}
}

// add counts a segment just opened. It may close another one, and so is called without
// openMu of any log held; the caller may hold its own log's mu.
func (c *segmentCache) add(o *openSegment) {
	c.mu.Lock()
	c.at[o] = len(c.open)
	c.open = append(c.open, o)
	c.mu.Unlock()
	for tries := 0; tries < 2*c.max; {
		victim, n := c.victim(o)
		if victim == nil {
			return
		}
		if victim.log.evict(victim) {
			return
		}
		tries += n
	}
}

// remove stops counting a segment. It may not be known any more.
func (c *segmentCache) remove(o *openSegment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.at[o]
	if !ok {
		return
	}
	last := len(c.open) - 1
	c.open[i] = c.open[last]
	c.at[c.open[i]] = i
	c.open[last] = nil
	c.open = c.open[:last]
	delete(c.at, o)
}

// victim chooses what to close, if there is too much open: nil if not. n is how many
// were looked at.
func (c *segmentCache) victim(but *openSegment) (o *openSegment, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.open) <= c.max {
		return nil, 0
	}
	for n = 1; n <= 2*len(c.open); n++ {
		c.hand++
		if c.hand >= len(c.open) {
			c.hand = 0
		}
		if o := c.open[c.hand]; o != but && !o.used.Swap(false) {
			return o, n
		}
	}
	return nil, n
}

// idle returns the open segments that have not been used since the last call, or since
// the clock hand passed.
func (c *segmentCache) idle() []*openSegment {
	c.mu.Lock()
	defer c.mu.Unlock()
	var idle []*openSegment
	for _, o := range c.open {
		if !o.used.Swap(false) {
			idle = append(idle, o)
		}
	}
	return idle
}

// evict closes a segment that the cache wants closed, unless the log is busy. It is
// called by whoever opened another segment, perhaps with that one's log locked, so it
// waits for no lock.
func (l *Log) evict(o *openSegment) bool {
	if !l.mu.TryLock() {
		return false
	}
	defer l.mu.Unlock()
	if o.segment.open.Load() != o {
		l.manager.cache.remove(o)
		return false
	}
	if err := l.closeSegmentLocked(o.segment); err != nil {
		l.fail("close a segment", err)
	}
	return true
}
