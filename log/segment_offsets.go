package log

import (
	"errors"
	"io/fs"

	"github.com/barnabas-broker/barnabas/protocol"
)

// SegmentOffsetsBefore answers ListOffsets v0: the base offsets of the segments whose files
// were not written after timestamp, newest first, at most maxCount, after the end of the
// log if that is not later either. The special timestamps count as the end of all time and
// as its beginning. For what may be read only up to a limit, the limit stands in for all
// offsets above it.
func (l *Log) SegmentOffsetsBefore(timestamp int64, maxCount int, upTo UpTo) ([]int64, error) {
	if maxCount < 0 {
		return nil, protocol.Errorf(protocol.ErrUnknownServerError, "%d offsets cannot be answered", maxCount)
	}
	segments, end, activeSize := l.end()
	start := l.logStartOffset.Load()
	type place struct{ offset, time int64 }
	places := make([]place, 0, len(segments)+1)
	for _, s := range segments {
		modified := l.manager.nowMs()
		switch info, err := l.fs().Stat(s.path(l.Dir(), ".log")); {
		case err == nil:
			modified = info.ModTime().UnixMilli()
		case !errors.Is(err, fs.ErrNotExist): // a segment that was just deleted is as good as new
			return nil, l.fail("read the time of", err)
		}
		places = append(places, place{max(s.baseOffset, start), modified})
	}
	if activeSize > 0 {
		places = append(places, place{end, l.manager.nowMs()})
	}
	last := len(places) - 1
	switch timestamp {
	case TimestampLatest:
	case TimestampEarliest:
		last = 0
	default:
		for last >= 0 && places[last].time > timestamp {
			last--
		}
	}
	limit := end
	switch upTo {
	case UpToHighWatermark:
		limit = l.highWatermark.Load()
	case UpToLastStable:
		limit = l.LastStableOffset()
	}
	offsets := []int64{}
	capped := false
	for ; last >= 0 && maxCount > 0; last, maxCount = last-1, maxCount-1 {
		offset := places[last].offset
		if offset > limit {
			if capped {
				continue
			}
			offset, capped = limit, true
		}
		offsets = append(offsets, offset)
	}
	return offsets, nil
}
