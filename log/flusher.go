package log

import (
	"context"
	"sync"
)

// flusher makes logs of one data directory durable in the background: whole segments
// that were rolled, and batches whose acknowledgement waits for it. One goroutine
// gathers; the syncs of a round go to the disk side by side, for the file system commits
// them together.
type flusher struct {
	dir *dataDir

	mu     sync.Mutex
	flush  map[*Log]int64 // up to which offset
	syncs  []*Log         // with waiters
	wake   chan struct{}
	closed bool
}

// The number of syncs under way at a time, per directory.
const flusherParallel = 16

func newFlusher(d *dataDir) *flusher {
	return &flusher{dir: d, flush: make(map[*Log]int64), wake: make(chan struct{}, 1)}
}

// flushTo asks for a flush of a log up to an offset.
func (f *flusher) flushTo(l *Log, offset int64) {
	f.mu.Lock()
	f.flush[l] = max(f.flush[l], offset)
	f.mu.Unlock()
	f.signal()
}

// sync asks for a sync of the log's batches on behalf of those who wait for it.
func (f *flusher) sync(l *Log) {
	f.mu.Lock()
	closed := f.closed
	if !closed {
		f.syncs = append(f.syncs, l)
	}
	f.mu.Unlock()
	if closed {
		f.finish(l, ErrClosed)
		return
	}
	if f.dir.manager.opts.NoBackground {
		f.step()
		return
	}
	f.signal()
}

func (f *flusher) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run works until ctx is done. What is asked for by then is still done.
func (f *flusher) run(ctx context.Context) {
	for {
		select {
		case <-f.wake:
			f.step()
		case <-ctx.Done():
			f.mu.Lock()
			f.closed = true
			f.mu.Unlock()
			f.step()
			return
		}
	}
}

// step does what has been asked for. Waiters come first: rolled segments can wait. But one
// of those is flushed after each round, for there may always be waiters.
func (f *flusher) step() {
	for {
		f.mu.Lock()
		syncs := f.syncs
		f.syncs = nil
		var l *Log
		var offset int64
		for l, offset = range f.flush {
			delete(f.flush, l)
			break
		}
		f.mu.Unlock()
		if len(syncs) == 0 && l == nil {
			return
		}
		f.syncAll(syncs)
		if l != nil {
			if err := l.flushTo(offset); err != nil {
				l.fail("flush", err)
			}
		}
	}
}

func (f *flusher) syncAll(logs []*Log) {
	if len(logs) == 1 {
		f.finish(logs[0], logs[0].syncBatches())
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, flusherParallel)
	for _, l := range logs {
		slots <- struct{}{}
		wg.Go(func() {
			f.finish(l, l.syncBatches())
			<-slots
		})
	}
	wg.Wait()
}

// finish calls those whose batches are durable now.
func (f *flusher) finish(l *Log, err error) {
	if err != nil {
		err = l.fail("sync", err)
	}
	waiters, again := l.takeDurableWaiters(err != nil)
	for _, w := range waiters {
		w.done(err)
	}
	if again {
		f.sync(l)
	}
}
