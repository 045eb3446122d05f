package log

import (
	"errors"
	"math"
	"os"
)

// Read returns the whole batches from the one that holds offset on, up to about maxBytes
// and to the limit that upTo names. With minOneBatch the first batch is returned even
// if it exceeds maxBytes; without it, a piece of it is, as old consumers expect. Aborted
// transactions are looked up for UpToLastStable only.
//
// From the limit on, up to the log end offset, the region is empty. Beyond, or before
// the log start offset, the error is an [OffsetOutOfRangeError].
func (l *Log) Read(offset int64, maxBytes int, upTo UpTo, minOneBatch bool) (FetchData, error) {
	for {
		seen := l.seen()
		data, err := l.read(offset, maxBytes, upTo, minOneBatch)
		if err == nil {
			return data, nil
		}
		if l.changedSince(seen, err) {
			continue
		}
		return data, l.fail("read", err)
	}
}

// readerView is what a reader without a lock went by.
type readerView struct {
	segments    *segmentList
	truncations uint32
}

func (l *Log) seen() readerView { return readerView{l.segments.Load(), l.truncations.Load()} }

// changedSince says whether err may come from segments deleted before their file was
// opened, or batches cut off while they were read, so that a reader should look again.
func (l *Log) changedSince(v readerView, err error) bool {
	var outOfRange *OffsetOutOfRangeError
	if errors.As(err, &outOfRange) {
		return false
	}
	if errors.Is(err, errSegmentGone) {
		// Whoever said so holds mu until its successor is there to be read.
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.Err() == nil
	}
	return l.seen() != v && l.Err() == nil
}

func (l *Log) read(offset int64, maxBytes int, upTo UpTo, minOneBatch bool) (FetchData, error) {
	segments, end, activeSize := l.end()
	data := FetchData{
		FirstOffset: offset, NextOffset: offset,
		LogStartOffset: l.logStartOffset.Load(), HighWatermark: l.highWatermark.Load(), LastStableOffset: l.LastStableOffset(),
	}
	if err := l.Err(); err != nil {
		return data, err
	}
	i := segments.floor(offset)
	if offset < data.LogStartOffset || offset > end || i < 0 {
		return data, &OffsetOutOfRangeError{Partition: l.partition, Asked: offset, LogStart: data.LogStartOffset, End: end}
	}
	limit := end
	switch upTo {
	case UpToHighWatermark:
		limit = min(data.HighWatermark, end)
	case UpToLastStable:
		limit = min(data.LastStableOffset, end)
	}
	if offset >= limit || maxBytes <= 0 && !minOneBatch {
		return data, nil
	}
	limitSegment := len(segments) - 1
	if limit < end {
		limitSegment = segments.floor(limit)
	}
	for ; i <= limitSegment; i++ {
		r := segmentRead{
			log: l, segment: segments[i], offset: offset, maxBytes: int64(max(maxBytes, 0)), minOneBatch: minOneBatch,
			end: segments[i].size.Load(), nextOffset: limit,
		}
		switch {
		case i < len(segments)-1 && i < limitSegment:
			r.nextOffset = segments[i+1].baseOffset
		case i == len(segments)-1:
			r.end = activeSize
		}
		if i == limitSegment && limit < end {
			r.limit, r.limited, r.limitSlot = limit, true, int(upTo)&1
		}
		if r.end == 0 {
			continue
		}
		found, err := r.run()
		if err != nil {
			return data, err
		}
		if found {
			data.Region, data.NextOffset, data.FirstBatchTooBig = r.region, r.nextOffset, r.firstTooBig
			break
		}
	}
	if upTo == UpToLastStable && data.Region.Size() > 0 {
		aborted, err := l.abortedBetween(segments, i, offset, data.NextOffset)
		if err != nil {
			data.Region.Release()
			return data, err
		}
		data.AbortedTransactions = aborted
	}
	return data, nil
}

// segmentRead finds the region of one segment that answers a read.
type segmentRead struct {
	log         *Log
	segment     *segment
	offset      int64
	maxBytes    int64
	minOneBatch bool
	end         int64 // size of the segment
	limited     bool  // the read ends at limit, inside this segment or at its end
	limit       int64
	limitSlot   int

	region      Region
	nextOffset  int64 // in: the offset after the segment, or after its part that may be read
	firstTooBig bool
}

// run says whether the segment holds something to read.
func (r *segmentRead) run() (found bool, err error) {
	l := r.log
	o, err := l.acquire(r.segment, false)
	if err != nil {
		return false, err
	}
	defer func() {
		if r.region.file == nil {
			o.file.release()
		}
	}()
	scan := l.manager.scanner()
	defer l.manager.scanners.Put(scan)
	if r.limited {
		if r.end, err = limitPosition(o, scan, r.limit, r.end, r.limitSlot); err != nil {
			return false, err
		}
	}
	if err := o.walkFrom(scan, r.offset, r.end); err != nil {
		return false, err
	}
	if found, err := scan.find(r.offset); !found || err != nil {
		return false, err
	}
	first := scan.header
	size := r.end - first.pos
	if size > r.maxBytes {
		if size, err = r.cut(o, scan, first); err != nil {
			return false, err
		}
	}
	r.region = Region{file: o.file, pos: first.pos, size: size}
	return true, nil
}

// cut finds how much of the segment from the batch first on is whole batches within
// maxBytes.
func (r *segmentRead) cut(o *openSegment, scan *batchScanner, first batchHeader) (int64, error) {
	if first.size > r.maxBytes {
		r.nextOffset = first.lastOffset + 1
		if r.minOneBatch {
			return first.size, nil
		}
		r.firstTooBig = true
		r.nextOffset = r.offset
		return r.maxBytes, nil
	}
	// Jump near the cut by the index, unless the walk is short anyway.
	limit := first.pos + r.maxBytes
	if limit-first.end() > scanWindow {
		e, _, err := o.lookupPosition(limit)
		if err != nil {
			return 0, err
		}
		if int64(e.value) > first.end() {
			scan.reset(o.file.f, o.path, int64(e.value), r.end)
			scan.header.size = first.size // batches near each other are alike in size
		}
	}
	pos, nextOffset, ok, err := scan.findEnd(limit)
	if err != nil && scan.start > first.pos {
		// The index may be wrong.
		scan.reset(o.file.f, o.path, first.pos, r.end)
		pos, nextOffset, ok, err = scan.findEnd(limit)
	}
	if err != nil {
		return 0, err
	}
	if ok {
		r.nextOffset = nextOffset
	}
	return pos - first.pos, nil
}

// limitPosition is where the batches below the offset limit end in a segment. What was
// found last is remembered in a slot, unless that is negative: many reads ask the same.
func limitPosition(o *openSegment, scan *batchScanner, limit, end int64, slot int) (int64, error) {
	if slot >= 0 {
		if pos, ok := o.limits[slot].load(limit); ok && pos <= end {
			return pos, nil
		}
	}
	if err := o.walkFrom(scan, limit, end); err != nil {
		return 0, err
	}
	found, err := scan.find(limit)
	if err != nil {
		return 0, err
	}
	pos := end
	if found {
		pos = scan.header.pos
	}
	if slot >= 0 {
		o.limits[slot].store(limit, pos)
	}
	return pos, nil
}

// abortedBetween collects the aborted transactions that overlap the offsets from first up
// to, not including, end; place is where the segment of first is in segments.
func (l *Log) abortedBetween(segments segmentList, place int, first, end int64) ([]AbortedTransaction, error) {
	txns, err := collectAborted(segments[place:], first, end)
	if err != nil || len(txns) == 0 {
		return nil, err
	}
	aborted := make([]AbortedTransaction, len(txns))
	for i, t := range txns {
		aborted[i] = AbortedTransaction{ProducerID: t.ProducerID, FirstOffset: t.FirstOffset}
	}
	return aborted, nil
}

func collectAborted(segments segmentList, first, end int64) ([]AbortedTxn, error) {
	var txns []AbortedTxn
	for _, s := range segments {
		x := s.txnIndex.Load()
		if x == nil {
			continue
		}
		var done bool
		var err error
		txns, done, err = x.CollectAbortedTxns(txns, first, end)
		if s.gone.Load() {
			return nil, errSegmentGone // its index may lack what compaction removed
		}
		if err != nil || done {
			return txns, err
		}
	}
	return txns, nil
}

// BytesFrom is how many bytes a read from offset up to the limit could find in all. It is
// what decides whether a waiting fetch may be answered, and costs nothing while offset is
// at the limit. It is [EnoughBytes] if the first records lie in a segment before that of
// the limit: a read ends where its segment ends, so waiting would not make it more. It is
// that too if the bytes cannot be told, because a read would fail.
func (l *Log) BytesFrom(offset int64, upTo UpTo) int64 {
	for {
		seen := l.seen()
		n, err := l.bytesFrom(offset, upTo)
		if err == nil {
			return n
		}
		if !l.changedSince(seen, err) {
			return EnoughBytes
		}
	}
}

// EnoughBytes is what [Log.BytesFrom] says where nothing is to be waited for.
const EnoughBytes = math.MaxInt64

func (l *Log) bytesFrom(offset int64, upTo UpTo) (int64, error) {
	segments, end, activeSize := l.end()
	limit := end
	switch upTo {
	case UpToHighWatermark:
		limit = min(l.highWatermark.Load(), end)
	case UpToLastStable:
		limit = min(l.LastStableOffset(), end)
	}
	if offset >= limit {
		return 0, nil
	}
	offset = max(offset, l.logStartOffset.Load())
	first, last := segments.floor(offset), segments.floor(limit)
	if first < 0 {
		return 0, os.ErrNotExist // the log has just been truncated
	}
	var n int64
	for i := first; i <= last; i++ {
		s := segments[i]
		size := s.size.Load()
		if i == len(segments)-1 {
			size = activeSize
		}
		if i == last && limit < end {
			pos, err := l.positionOf(s, limit, size, int(upTo)&1)
			if err != nil {
				return 0, err
			}
			size = pos
		}
		if i == first && offset > s.baseOffset {
			pos, err := l.positionOf(s, offset, size, -1)
			if err != nil {
				return 0, err
			}
			size -= min(pos, size)
		}
		if i < last && size > 0 {
			return EnoughBytes, nil
		}
		n += size
	}
	return n, nil
}

// positionOf is where the batch that holds offset begins in a segment of a size, or the
// size.
func (l *Log) positionOf(s *segment, offset, size int64, slot int) (int64, error) {
	if size == 0 || offset <= s.baseOffset {
		return 0, nil
	}
	o, err := l.acquire(s, false)
	if err != nil {
		return 0, err
	}
	defer o.file.release()
	scan := l.manager.scanner()
	defer l.manager.scanners.Put(scan)
	return limitPosition(o, scan, offset, size, slot)
}
