package log

import (
	"errors"
	"io"
	"os"

	"github.com/barnabas-broker/barnabas/protocol"
)

// OffsetForTimestamp finds the first record whose timestamp is at or after timestamp and
// whose offset is below the limit that upTo names, or, for the special timestamps, what
// they mean. If there is none, Offset is -1.
func (l *Log) OffsetForTimestamp(timestamp int64, upTo UpTo) (TimestampOffset, error) {
	none := TimestampOffset{Timestamp: -1, Offset: -1, LeaderEpoch: -1}
	if err := l.Err(); err != nil {
		return none, err
	}
	limit := l.logEndOffset.Load()
	switch upTo {
	case UpToHighWatermark:
		limit = min(limit, l.highWatermark.Load())
	case UpToLastStable:
		limit = min(limit, l.LastStableOffset())
	}
	var found TimestampOffset
	var err error
	switch timestamp {
	case TimestampLatest:
		return TimestampOffset{Timestamp: -1, Offset: limit, LeaderEpoch: l.LatestEpoch()}, nil
	case TimestampEarliest, TimestampEarliestLocal:
		start := l.logStartOffset.Load()
		return TimestampOffset{Timestamp: -1, Offset: start, LeaderEpoch: l.EpochForOffset(start)}, nil
	case TimestampLatestTiered, TimestampEarliestPendingUpload:
		return none, nil
	case TimestampMax:
		found, err = l.retrying(l.recordWithMaxTimestamp)
	default:
		found, err = l.retrying(func(segments segmentList) (TimestampOffset, error) { return l.recordFrom(segments, timestamp) })
	}
	if err != nil {
		return none, l.fail("search by timestamp", err)
	}
	if found.Offset >= limit {
		return none, nil
	}
	return found, nil
}

// retrying calls search again if what it read was deleted or cut off meanwhile.
func (l *Log) retrying(search func(segmentList) (TimestampOffset, error)) (TimestampOffset, error) {
	for {
		seen := l.seen()
		found, err := search(*seen.segments)
		if err == nil || !l.changedSince(seen, err) {
			return found, err
		}
	}
}

var noTimestampOffset = TimestampOffset{Timestamp: -1, Offset: -1, LeaderEpoch: -1}

// recordWithMaxTimestamp finds the first record with the largest timestamp of all.
func (l *Log) recordWithMaxTimestamp(segments segmentList) (TimestampOffset, error) {
	var in *segment
	largest := int64(noTimestamp)
	for _, s := range segments {
		if s.size.Load() == 0 {
			continue
		}
		t, err := l.maxTimestampOf(s)
		if err != nil {
			return noTimestampOffset, err
		}
		if t > largest {
			in, largest = s, t
		}
	}
	if in == nil {
		return noTimestampOffset, nil
	}
	return l.searchSegment(in, largest, 0)
}

// recordFrom finds the first record whose timestamp is not below timestamp.
func (l *Log) recordFrom(segments segmentList, timestamp int64) (TimestampOffset, error) {
	start := l.logStartOffset.Load()
	for i, s := range segments {
		if s.size.Load() == 0 || i+1 < len(segments) && segments[i+1].baseOffset <= start {
			continue
		}
		t, err := l.maxTimestampOf(s)
		if err != nil {
			return noTimestampOffset, err
		}
		if t < timestamp {
			continue
		}
		if found, err := l.searchSegment(s, timestamp, start); found.Offset >= 0 || err != nil {
			return found, err
		}
	}
	return noTimestampOffset, nil
}

// maxTimestampOf is the largest timestamp in the segment, or noTimestamp.
func (l *Log) maxTimestampOf(s *segment) (int64, error) {
	if t := s.maxTimestamp.Load(); t != timestampUnknown {
		return t, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.maxTimestampOfLocked(s)
}

func (l *Log) maxTimestampOfLocked(s *segment) (int64, error) {
	if t := s.maxTimestamp.Load(); t != timestampUnknown || s.size.Load() == 0 {
		return t, nil
	}
	e, count, err := lastIndexEntry(l.fs(), s.path(l.Dir(), timeIndexSuffix), timeEntrySize)
	if err != nil {
		return 0, err
	}
	if count == 0 {
		e.key = noTimestamp
	}
	s.maxTimestampOffset = s.baseOffset + int64(e.value)
	s.maxTimestamp.Store(e.key)
	return e.key, nil
}

// largestTimestampLocked is what retention goes by: the segment's largest timestamp, or,
// if its records have none, when its file was last written.
func (l *Log) largestTimestampLocked(s *segment) (int64, error) {
	t, err := l.maxTimestampOfLocked(s)
	if err != nil || t >= 0 {
		return t, err
	}
	return l.lastModified(s)
}

func (l *Log) lastModified(s *segment) (int64, error) {
	info, err := l.fs().Stat(s.path(l.Dir(), logSuffix))
	if errors.Is(err, os.ErrNotExist) && s.size.Load() == 0 {
		return s.created, nil
	}
	if err != nil {
		if isNotExist(err) && s.gone.Load() {
			err = errSegmentGone
		}
		return 0, err
	}
	return info.ModTime().UnixMilli(), nil
}

// searchSegment finds the first record of the segment that is not below from and whose
// timestamp is not below timestamp.
func (l *Log) searchSegment(s *segment, timestamp, from int64) (TimestampOffset, error) {
	o, err := l.acquire(s, false)
	if err != nil {
		return noTimestampOffset, err
	}
	defer o.file.release()
	t, slot, err := o.lookupTime(timestamp)
	if err != nil {
		return noTimestampOffset, err
	}
	// Where a timestamp was noted, all batches before had older ones.
	offset := max(from, s.baseOffset)
	if slot >= 0 {
		offset = max(offset, s.baseOffset+int64(t.value))
	}
	scan := l.manager.scanner()
	defer l.manager.scanners.Put(scan)
	if err := o.walkFrom(scan, offset, s.size.Load()); err != nil {
		return noTimestampOffset, err
	}
	for {
		ok, err := scan.scan()
		if !ok || err != nil {
			return noTimestampOffset, err
		}
		h := scan.header
		if h.maxTime < timestamp || h.lastOffset < from {
			continue
		}
		if found, err := l.searchBatch(o, h, timestamp, from); found.Offset >= 0 || err != nil {
			return found, err
		}
	}
}

var errFound = errors.New("found")

// searchBatch is searchSegment within one batch.
func (l *Log) searchBatch(o *openSegment, h batchHeader, timestamp, from int64) (TimestampOffset, error) {
	b := make([]byte, h.size)
	if _, err := o.file.f.ReadAt(b, h.pos); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return noTimestampOffset, err
	}
	batch, err := protocol.ParseBatch(b)
	found := noTimestampOffset
	if err == nil {
		err = protocol.WalkRecords(b, &batch, nil, func(r *protocol.Record) error {
			if r.Timestamp < timestamp || r.Offset < from {
				return nil
			}
			found = TimestampOffset{Timestamp: r.Timestamp, Offset: r.Offset, LeaderEpoch: h.epoch}
			return errFound
		})
	}
	if err != nil && err != errFound {
		return noTimestampOffset, &CorruptBatchError{Path: o.path, Pos: h.pos, Err: err}
	}
	return found, nil
}
