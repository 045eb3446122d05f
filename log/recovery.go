package log

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/barnabas-broker/barnabas/protocol"
)

// segmentRecovery checks the batches of a segment that a crash may have damaged, cuts
// off what is no whole and sound batch, and completes the indexes.
type segmentRecovery struct {
	log     *Log
	segment *segment
	dir     string

	// What lies below either of these was complete when it was noted; its checksums are
	// not computed again.
	trustedOffset int64 // the recovery point
	trustedPos    int64 // place in the file

	// The base offset of the next segment, or the largest there is. What lies in this one
	// from there on had been cut off before the next one was begun.
	limit      int64
	overlapped bool // there was such

	buf []byte // a whole batch
}

// run returns the offset after the last sound batch and how many bytes were cut off.
func (r *segmentRecovery) run(epochs *LeaderEpochCache) (nextOffset, cut int64, err error) {
	l, s := r.log, r.segment
	o, err := l.acquire(s, true)
	if err != nil {
		return 0, 0, err
	}
	defer o.file.release()
	x, err := r.soundIndexes()
	if err != nil {
		return 0, 0, err
	}
	from := int64(0)
	if e, ok := x.offsets.last(); ok {
		from = int64(e.value)
	}
	size := s.size.Load()
	end, nextOffset, err := r.scan(o, x, epochs, from, size)
	if err != nil && from > 0 && errors.Is(err, errUnsoundIndex) {
		// The index pointed at no batch. Without it, everything is found by walking.
		if err = errors.Join(x.offsets.truncate(0), x.times.truncate(0)); err == nil {
			r.forgetTimestamps(x)
			end, nextOffset, err = r.scan(o, x, epochs, 0, size)
		}
	}
	if err != nil {
		return 0, 0, err
	}
	if end < size {
		// It must not come back: nobody will sync this segment again if the next batch
		// begins another.
		if err := cmp.Or(o.file.f.Truncate(end), o.file.f.Sync()); err != nil {
			return 0, 0, err
		}
		s.size.Store(end)
	}
	if end == 0 {
		s.firstTimestamp = timestampUnknown
	}
	// As when a segment is closed: its largest timestamp has an entry.
	if err := x.noteTime(s); err != nil {
		return 0, 0, err
	}
	o.indexes.Store(x)
	if err := o.writeIndexes(); err != nil {
		return 0, 0, err
	}
	o.indexes.Store(nil)
	return nextOffset, size - end, nil
}

// soundIndexes reads the index files as far as they can be right and lie in what need
// not be checked again, and drops the rest.
func (r *segmentRecovery) soundIndexes() (*activeIndexes, error) {
	fsys, s := r.log.fs(), r.segment
	trusted := func(e indexEntry) bool {
		return e.value > 0 && (int64(e.value) < r.trustedPos || s.baseOffset+e.key < r.trustedOffset) && int64(e.value) < s.size.Load()
	}
	offsets, err := validIndexPrefix(fsys, s.path(r.dir, indexSuffix), offsetEntrySize, trusted)
	if err != nil {
		return nil, err
	}
	var last int64 = -1
	if n := len(offsets); n > 0 {
		last = offsets[n-1].key
	}
	times, err := validIndexPrefix(fsys, s.path(r.dir, timeIndexSuffix), timeEntrySize, func(e indexEntry) bool { return int64(e.value) <= last })
	if err != nil {
		return nil, err
	}
	x := &activeIndexes{}
	if x.offsets, err = rewriteIndex(fsys, s.path(r.dir, indexSuffix), offsetEntrySize, len(offsets)); err != nil {
		return nil, err
	}
	if x.times, err = rewriteIndex(fsys, s.path(r.dir, timeIndexSuffix), timeEntrySize, len(times)); err != nil {
		return nil, err
	}
	x.offsets.before = x.times
	r.forgetTimestamps(x)
	if e, ok := x.times.last(); ok {
		x.lastTime = e
		s.maxTimestamp.Store(e.key)
		s.maxTimestampOffset = s.baseOffset + int64(e.value)
	}
	return x, nil
}

// forgetTimestamps makes the scan that follows find the largest timestamp.
func (r *segmentRecovery) forgetTimestamps(x *activeIndexes) {
	x.lastTime = indexEntry{key: noTimestamp}
	r.segment.maxTimestamp.Store(noTimestamp)
	r.segment.maxTimestampOffset = r.segment.baseOffset
}

// rewriteIndex cuts an index file after its first count entries and opens it.
func rewriteIndex(fsys FS, path string, entrySize, count int) (*sparseIndex, error) {
	x := newSparseIndex(fsys, path, entrySize)
	f, err := fsys.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(int64(count) * int64(entrySize)); err != nil {
		return nil, err
	}
	return x, x.reload(f, count)
}

// errUnsoundIndex says that an index entry points to where no batch begins.
var errUnsoundIndex = errors.New("index entry points to no batch")

// scan walks from the batch at from to the end of what is sound.
func (r *segmentRecovery) scan(o *openSegment, x *activeIndexes, epochs *LeaderEpochCache, from, size int64) (end, nextOffset int64, err error) {
	l, s := r.log, r.segment
	scan := l.manager.longScanners.Get().(*batchScanner)
	defer l.manager.longScanners.Put(scan)
	interval := l.config.Load().IndexInterval
	scan.reset(o.file.f, o.path, from, size)
	lastIndexed, lastOffset := from, s.baseOffset-1
	end, nextOffset = from, s.baseOffset
	for {
		ok, err := scan.scan()
		if err == nil && !ok {
			return end, nextOffset, nil
		}
		h := scan.header
		if err == nil {
			err = r.check(o, scan, lastOffset)
		}
		var corrupt *CorruptBatchError
		if errors.As(err, &corrupt) {
			if end == from && from > 0 {
				return 0, 0, fmt.Errorf("%w: %w", errUnsoundIndex, err)
			}
			l.manager.opts.Logger.Warn("Found invalid messages in log segment, cutting them off",
				"partition", l.partition, "file", o.path, "pos", end, "size", size, "err", corrupt.Err)
			return end, nextOffset, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if h.maxTime > s.maxTimestamp.Load() {
			s.maxTimestamp.Store(h.maxTime)
			s.maxTimestampOffset = h.lastOffset
		}
		if h.pos-lastIndexed > interval {
			if err := x.offsets.append(indexEntry{h.lastOffset - s.baseOffset, uint32(h.pos)}); err != nil {
				return 0, 0, err
			}
			if err := x.noteTime(s); err != nil {
				return 0, 0, err
			}
			lastIndexed = h.pos
		}
		if h.epoch > epochs.LatestEpoch() {
			if _, err := epochs.Assign(h.epoch, h.baseOffset); err != nil {
				return 0, 0, err
			}
		}
		lastOffset, end, nextOffset = h.lastOffset, h.end(), h.lastOffset+1
	}
}

// check says whether a batch is sound.
func (r *segmentRecovery) check(o *openSegment, scan *batchScanner, lastOffset int64) error {
	h := &scan.header
	unsound := func(err error) error { return &CorruptBatchError{Path: o.path, Pos: h.pos, Err: err} }
	switch {
	case h.lastOffset <= lastOffset || h.baseOffset < r.segment.baseOffset && h.magic >= 2:
		return unsound(fmt.Errorf("%w: offset %d after %d", protocol.ErrBatchLength, h.lastOffset, lastOffset))
	case !r.segment.fits(h.lastOffset):
		return unsound(fmt.Errorf("%w: offset %d in a segment that begins at %d", protocol.ErrBatchLength, h.lastOffset, r.segment.baseOffset))
	case h.lastOffset >= r.limit:
		r.overlapped = true
		return unsound(fmt.Errorf("%w: offset %d, but the next segment begins at %d", protocol.ErrBatchLength, h.lastOffset, r.limit))
	case h.end() <= r.trustedPos || h.lastOffset < r.trustedOffset:
		return nil
	}
	scan.whole = true // and so it is with all that follow
	b, err := scan.bytes(&r.buf)
	if err != nil {
		return err
	}
	if err := protocol.CheckCRC(b); err != nil {
		return unsound(err)
	}
	return nil
}

// epochsInBatches finds the leader epochs of a log whose file of them is damaged: every
// batch tells its own.
func (l *Log) epochsInBatches(segments segmentList) (*LeaderEpochCache, error) {
	epochs := &LeaderEpochCache{flushed: new([]EpochEntry)} // what the file holds is to be written over
	for _, s := range segments {
		var corrupt *CorruptBatchError
		if err := l.epochsInSegment(s, epochs); errors.As(err, &corrupt) {
			l.manager.opts.Logger.Warn("Found a corrupt segment, leader epochs that begin behind are not known", "partition", l.partition, "baseOffset", s.baseOffset, "err", err)
		} else if err != nil {
			return nil, err
		}
	}
	return epochs, nil
}

func (l *Log) epochsInSegment(s *segment, epochs *LeaderEpochCache) error {
	size := s.size.Load()
	if size == 0 {
		return nil
	}
	o, err := l.acquire(s, false)
	if err != nil {
		return err
	}
	defer o.file.release()
	scan := l.manager.longScanners.Get().(*batchScanner)
	defer l.manager.longScanners.Put(scan)
	scan.reset(o.file.f, o.path, 0, size)
	for {
		ok, err := scan.scan()
		if err != nil || !ok {
			return err
		}
		if h := &scan.header; h.epoch > epochs.LatestEpoch() {
			if _, err := epochs.Assign(h.epoch, h.baseOffset); err != nil {
				return err
			}
		}
	}
}

// endOfSegment finds the offset after the last batch of a segment that was closed
// cleanly, from its index. A [CorruptBatchError] says that it cannot be right.
func (l *Log) endOfSegment(s *segment) (int64, error) {
	size := s.size.Load()
	if size == 0 {
		return s.baseOffset, nil
	}
	o, err := l.acquire(s, false)
	if err != nil {
		return 0, err
	}
	defer o.file.release()
	e, _, err := o.lookupPosition(size - 1)
	if err != nil {
		return 0, err
	}
	scan := l.manager.scanner()
	defer l.manager.scanners.Put(scan)
	scan.reset(o.file.f, o.path, int64(e.value), size)
	next := s.baseOffset
	for {
		ok, err := scan.scan()
		if err != nil {
			return 0, err
		}
		if !ok {
			return next, nil
		}
		next = scan.header.lastOffset + 1
	}
}

// replayProducers lets the batches from one offset up to another take effect on the
// producers' state, as when they were appended. Aborted transactions that are missing
// from the transaction indexes are added.
func (l *Log) replayProducers(p *ProducerStateManager, segments segmentList, from, end int64) error {
	if from >= end {
		return nil
	}
	for i := max(0, segments.floor(from)); i < len(segments) && segments[i].baseOffset < end; i++ {
		if err := l.replaySegment(p, segments[i], from, end); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) replaySegment(p *ProducerStateManager, s *segment, from, end int64) error {
	if s.size.Load() == 0 {
		return nil
	}
	o, err := l.acquire(s, false)
	if err != nil {
		return err
	}
	defer o.file.release()
	scan := l.manager.longScanners.Get().(*batchScanner)
	defer l.manager.longScanners.Put(scan)
	if err := o.walkFrom(scan, max(from, s.baseOffset), s.size.Load()); err != nil {
		return err
	}
	index := &missingTxnAppender{to: txnAppender{l, s}}
	var control []byte
	for {
		ok, err := scan.scan()
		if err != nil || !ok || scan.header.baseOffset >= end {
			return err
		}
		if scan.header.magic < 2 || !scan.batch.HasProducerID() || scan.header.lastOffset < from {
			continue
		}
		var b []byte
		if scan.batch.IsControl() {
			if b, err = controlBatch(o, scan, &control); err != nil {
				return err
			}
		}
		if _, _, err := p.Prepare(OriginReplication, &scan.batch, b); err != nil {
			return &CorruptBatchError{Path: o.path, Pos: scan.header.pos, Err: err}
		}
		if err := p.Commit(scan.header.lastOffset+1, index); err != nil {
			return err
		}
	}
}

// controlBatch returns the marker that the scan has come to.
func controlBatch(o *openSegment, scan *batchScanner, buf *[]byte) ([]byte, error) {
	const largest = 1 << 20 // a marker takes 78 bytes
	if scan.header.size > largest {
		return nil, &CorruptBatchError{Path: o.path, Pos: scan.header.pos, Err: protocol.ErrBatchLength}
	}
	return scan.bytes(buf)
}

// missingTxnAppender adds only what a transaction index does not have yet.
type missingTxnAppender struct {
	to    txnAppender
	known bool
	last  int64
}

// AppendAbortedTxn implements [AbortedTxnAppender].
func (a *missingTxnAppender) AppendAbortedTxn(t AbortedTxn) error {
	if !a.known {
		a.known, a.last = true, -1
		if x := a.to.segment.txnIndex.Load(); x != nil {
			all, err := x.All()
			if err != nil {
				return err
			}
			if n := len(all); n > 0 {
				a.last = all[n-1].LastOffset
			}
		}
	}
	if t.LastOffset <= a.last {
		return nil
	}
	a.last = t.LastOffset
	return a.to.AppendAbortedTxn(t)
}
