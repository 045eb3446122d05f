package group

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/barnabas-broker/barnabas/protocol"
)

// shardStatus is whether a shard can answer.
type shardStatus int8

const (
	shardLoading shardStatus = iota
	shardActive
	shardGone // resigned
)

// shard is one partition of __consumer_offsets that this broker leads: the core with its
// groups, behind a lock, and the queue of what it wants written. Writes are answered for
// in the order they were queued. At most one append is under way; what is queued
// meanwhile goes into the next batch together, so that commits that come at the same time
// share an append, and one that comes alone waits for nothing.
type shard struct {
	coordinator *Coordinator
	partition   int32
	cancelLoad  context.CancelFunc

	mu          sync.Mutex // never held over an Append, a callback or a timer's fire
	status      shardStatus
	leaderEpoch int32
	core        *core
	queue       []*write
	inFlight    []*write
	appending   bool
	deferred    []any // events that came while loading and are not to be lost
	stats       Stats

	builder protocol.BatchBuilder // with batch: the appending goroutine's
	batch   []byte
}

// statusCode is what requests are told while the shard is not active.
func (s shardStatus) code() protocol.ErrorCode {
	switch s {
	case shardActive:
		return protocol.None
	case shardLoading:
		return protocol.ErrCoordinatorLoadInProgress
	}
	return protocol.ErrNotCoordinator
}

// do feeds an event to the core, if there is one to feed.
func (s *shard) do(event any) protocol.ErrorCode {
	now := s.coordinator.timers.instant()
	s.mu.Lock()
	if s.status != shardActive {
		code := s.status.code()
		s.mu.Unlock()
		return code
	}
	acts := s.core.step(now, event)
	s.queue = append(s.queue, acts.writes...)
	s.mu.Unlock()
	s.act(acts)
	return protocol.None
}

// doLoaded is do for what has happened, request or not: while loading it is kept.
func (s *shard) doLoaded(event any) {
	s.mu.Lock()
	if s.status == shardLoading {
		s.deferred = append(s.deferred, event)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.do(event)
}

// read runs f under the lock, with the core.
func (s *shard) read(f func(c *core)) protocol.ErrorCode {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status == shardActive {
		f(s.core)
	}
	return s.status.code()
}

// load reads the partition and makes the shard active. It runs in a loader's goroutine.
func (s *shard) load() {
	c := s.coordinator
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	s.mu.Lock()
	if s.status != shardLoading {
		s.mu.Unlock()
		return
	}
	s.cancelLoad = cancel
	s.mu.Unlock()

	begun := c.timers.instant()
	var scratch Stats
	l := loader{core: newCore(&c.cfg, c.memberID, &scratch)}
	l.core.now, l.core.deleted = begun, &c.deleted
	err := c.storage.Load(ctx, s.partition, l.load)
	now := c.timers.instant()
	if err != nil {
		s.loadFailed(err)
		return
	}
	var finished Stats // not the shard's: those are read under the lock
	l.core.stats = &finished
	acts := l.finish(now)

	s.mu.Lock()
	if s.status != shardLoading {
		s.mu.Unlock()
		return
	}
	s.stats.add(&finished)
	l.core.stats = &s.stats
	s.status, s.core, s.cancelLoad = shardActive, l.core, nil
	s.queue = append(s.queue, acts.writes...)
	s.stats.Loads++
	s.stats.LoadMs += now.monotonicMs - begun.monotonicMs
	s.stats.RecordsSkipped += l.skipped
	// Before anything else: what is committed from now on comes after it.
	for _, e := range s.deferred {
		more := s.core.step(now, e)
		s.queue = append(s.queue, more.writes...)
		acts.wakes = append(acts.wakes, more.wakes...)
		acts.replies = append(acts.replies, more.replies...)
	}
	s.deferred = nil
	epoch := s.leaderEpoch
	groups := len(s.core.groups)
	s.mu.Unlock()

	if l.skipped > 0 {
		c.logger.Warn("skipped unreadable records of a group partition", "topic", OffsetsTopic, "partition", s.partition,
			"count", l.skipped, "err", l.failure)
	}
	c.logger.Info("loaded group partition", "topic", OffsetsTopic, "partition", s.partition, "leaderEpoch", epoch,
		"records", l.records, "groups", groups, "otherRecords", l.foreign)
	s.act(acts)
}

// loadFailed leaves the shard loading and has it tried again, unless it is not wanted any
// more.
func (s *shard) loadFailed(err error) {
	c := s.coordinator
	s.mu.Lock()
	gone := s.status == shardGone
	s.cancelLoad = nil
	s.stats.LoadsFailed++
	s.mu.Unlock()
	if gone || c.ctx.Err() != nil {
		return
	}
	c.logger.Error("cannot load group partition", "topic", OffsetsTopic, "partition", s.partition, "err", err)
	c.timers.add(shardWake{atMs: c.timers.instant().monotonicMs + loadRetry.Milliseconds(), shard: s, load: true})
}

// act does what a step wants done, its writes having been queued.
func (s *shard) act(acts actions) {
	for _, w := range acts.wakes {
		s.coordinator.timers.add(shardWake{atMs: w.atMs, shard: s, groupID: w.groupID})
	}
	for _, f := range acts.replies {
		f()
	}
	s.appendQueued()
}

// appendQueued appends until the queue is empty or an append is under way.
func (s *shard) appendQueued() {
	for {
		w, ok := s.nextAppend()
		if !ok {
			return
		}
		// Append may call back before it returns. Then the loop goes on here, so that a
		// long queue does not become a deep stack.
		const (
			running int32 = iota
			returned
			called
		)
		var progress atomic.Int32
		s.coordinator.storage.Append(w, func(err error) {
			s.appended(codeOf(err))
			if !progress.CompareAndSwap(running, called) {
				s.appendQueued()
			}
		})
		if progress.CompareAndSwap(running, returned) {
			return
		}
	}
}

// nextAppend takes writes from the queue that fit into one batch, and builds it.
func (s *shard) nextAppend() (Write, bool) {
	for {
		s.mu.Lock()
		if s.appending || len(s.queue) == 0 || s.status != shardActive {
			s.mu.Unlock()
			return Write{}, false
		}
		s.appending = true // so that nobody else takes from the queue
		s.mu.Unlock()
		maxBytes := s.coordinator.storage.MaxBatchBytes(s.partition)
		s.mu.Lock()
		if s.status != shardActive { // resigned meanwhile, and the writes answered then
			s.appending = false
			s.mu.Unlock()
			return Write{}, false
		}
		n := s.takeCount(maxBytes)
		s.inFlight = append(s.inFlight[:0], s.queue[:n]...)
		rest := copy(s.queue, s.queue[n:])
		clear(s.queue[rest:])
		s.queue = s.queue[:rest]
		for _, w := range s.inFlight {
			w.submitted = true
		}
		s.stats.Appends++
		epoch := s.leaderEpoch
		taken := s.inFlight
		s.mu.Unlock()

		w, err := s.buildBatch(taken, epoch)
		if err == nil {
			return w, true
		}
		s.coordinator.logger.Error("cannot build a batch", "partition", s.partition, "err", err)
		s.appended(protocol.ErrUnknownServerError)
	}
}

// takeCount is how many writes from the front of the queue make the next batch: as many
// as stay below the largest batch the partition takes, but one at least, and transactional
// ones alone, since a batch has one producer.
func (s *shard) takeCount(maxBytes int) int {
	n, size := 0, protocol.BatchOverhead
	for _, w := range s.queue {
		size += w.sizeBytes
		if n > 0 && (w.transactional || size > maxBytes) {
			break
		}
		n++
		if w.transactional {
			break
		}
	}
	return n
}

func (s *shard) buildBatch(writes []*write, epoch int32) (Write, error) {
	cfg := &s.coordinator.cfg
	out := Write{Partition: s.partition, LeaderEpoch: epoch, Timeout: cfg.OffsetsCommitTimeout}
	opts := protocol.BatchOptions{LeaderEpoch: epoch, Codec: cfg.OffsetsTopicCodec}
	if w := writes[0]; w.transactional {
		out.TransactionalID = w.transactionalID
		opts.Transactional = true
		opts.Producer = &protocol.Producer{ID: w.producerID, Epoch: w.producerEpoch, BaseSequence: 0}
	}
	if cap(s.batch) > 1<<20 {
		s.batch = nil // one giant is not kept
	}
	s.builder.Reset(s.batch[:0], opts)
	for _, w := range writes {
		for _, r := range w.records {
			if err := s.builder.Append(w.timestampMs, r.key, r.value); err != nil {
				return out, err
			}
		}
	}
	batch, err := s.builder.Finish()
	if err != nil {
		return out, err
	}
	s.batch = batch
	out.Batch = batch
	return out, nil
}

// appended brings the outcome of the append under way to the core.
func (s *shard) appended(code protocol.ErrorCode) {
	now := s.coordinator.timers.instant()
	var all actions
	s.mu.Lock()
	if s.status != shardActive { // resigned meanwhile, and the writes answered then
		s.appending = false
		s.mu.Unlock()
		return
	}
	if code != protocol.None {
		s.stats.AppendsFailed++
	}
	for _, w := range s.inFlight {
		s.stats.AppendedRecords += int64(len(w.records))
		acts := s.core.step(now, writtenEvent{write: w, code: code})
		s.queue = append(s.queue, acts.writes...)
		all.wakes = append(all.wakes, acts.wakes...)
		all.replies = append(all.replies, acts.replies...)
	}
	clear(s.inFlight)
	s.inFlight = s.inFlight[:0]
	s.appending = false
	s.mu.Unlock()
	for _, w := range all.wakes {
		s.coordinator.timers.add(shardWake{atMs: w.atMs, shard: s, groupID: w.groupID})
	}
	for _, f := range all.replies {
		f()
	}
}

// resign ends the shard: all that wait are told that somebody else coordinates now.
func (s *shard) resign() {
	now := s.coordinator.timers.instant()
	var replies []func()
	s.mu.Lock()
	if s.status == shardGone {
		s.mu.Unlock()
		return
	}
	if s.cancelLoad != nil {
		s.cancelLoad()
	}
	if s.status == shardActive {
		for _, list := range [][]*write{s.inFlight, s.queue} {
			for _, w := range list {
				acts := s.core.step(now, writtenEvent{write: w, code: protocol.ErrNotLeaderOrFollower})
				replies = append(replies, acts.replies...)
			}
		}
		replies = append(replies, s.core.step(now, unloadEvent{}).replies...)
	}
	s.status = shardGone
	s.core, s.queue, s.inFlight, s.deferred = nil, nil, nil, nil
	s.mu.Unlock()
	for _, f := range replies {
		f()
	}
}

// codeOf finds the error code in what Append brings.
func codeOf(err error) protocol.ErrorCode {
	if err == nil {
		return protocol.None
	}
	var code protocol.ErrorCode
	if errors.As(err, &code) && code != protocol.None {
		return code
	}
	return protocol.ErrUnknownServerError
}
