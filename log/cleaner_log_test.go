package log

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// memoryLog is a log of segments in memory, for tests of compaction.
type memoryLog struct {
	partition    protocol.TopicPartition
	dir          string
	config       *Config
	logStart     int64
	logEnd       int64
	lastStable   int64
	segments     []*memorySegment
	lastRecords  map[int64]LastRecord
	deleted      int
	replaceError error
	onRead       func()

	// Apache's cleaner asks for the aborted transactions from an offset on and gets those
	// that ended in the same segment before it too. A producer that aborted, and then
	// committed records above the checkpoint, has these taken for aborted while the offset
	// map is built: older records of their keys stay. We do not do so, but for comparing.
	staleAborted bool
}

type memorySegment struct {
	log      *memoryLog
	base     int64
	batches  []byte
	aborted  []AbortedTxn
	modified time.Time
	sealed   bool
	gone     bool
}

func (l *memoryLog) Partition() protocol.TopicPartition           { return l.partition }
func (l *memoryLog) DataDir() string                              { return l.dir }
func (l *memoryLog) Config() *Config                              { return l.config }
func (l *memoryLog) LogStartOffset() int64                        { return l.logStart }
func (l *memoryLog) LogEndOffset() int64                          { return l.logEnd }
func (l *memoryLog) LastStableOffset() int64                      { return l.lastStable }
func (l *memoryLog) LastRecordsOfProducers() map[int64]LastRecord { return l.lastRecords }
func (l *memoryLog) DeleteOldSegments() (int, error)              { l.deleted++; return 0, nil }

func (l *memoryLog) CleanableSegments() []CleanableSegment {
	segments := make([]CleanableSegment, len(l.segments))
	for i, s := range l.segments {
		segments[i] = s
	}
	return segments
}

func (l *memoryLog) AbortedTxnsIn(from, to int64) ([]AbortedTxn, error) {
	var txns []AbortedTxn
	for i, s := range l.segments {
		if i+1 < len(l.segments) && l.segments[i+1].base <= from {
			continue
		}
		for _, t := range s.aborted {
			if (t.LastOffset >= from || l.staleAborted) && t.FirstOffset < to {
				txns = append(txns, t)
			}
			if t.LastStableOffset >= to {
				return txns, nil
			}
		}
	}
	return txns, nil
}

func (l *memoryLog) NewCleanedSegment(baseOffset int64) (CleanedSegment, error) {
	return &memorySegment{log: l, base: baseOffset}, nil
}

func (l *memoryLog) ReplaceSegments(cleaned CleanedSegment, old []CleanableSegment) error {
	if l.replaceError != nil {
		return l.replaceError
	}
	c := cleaned.(*memorySegment)
	if !c.sealed {
		return fmt.Errorf("segment %d was not sealed", c.base)
	}
	for _, o := range old {
		i := slices.Index(l.segments, o.(*memorySegment))
		if i < 0 {
			return fmt.Errorf("segment %d is gone", o.BaseOffset())
		}
		l.segments = slices.Delete(l.segments, i, i+1)
	}
	l.segments = append(l.segments, c)
	slices.SortFunc(l.segments, func(a, b *memorySegment) int { return cmp.Compare(a.base, b.base) })
	return nil
}

func (s *memorySegment) BaseOffset() int64       { return s.base }
func (s *memorySegment) Size() int64             { return int64(len(s.batches)) }
func (s *memorySegment) OffsetIndexSize() int64  { return 0 }
func (s *memorySegment) TimeIndexSize() int64    { return 0 }
func (s *memorySegment) LastModified() time.Time { return s.modified }

func (s *memorySegment) LargestTimestamp() (int64, error) {
	largest := int64(-1)
	err := s.each(func(h *protocol.RecordBatch, _ []byte) error { largest = max(largest, h.MaxTimestamp); return nil })
	return largest, err
}

func (s *memorySegment) FirstBatchTimestamp() (int64, error) {
	if len(s.batches) == 0 {
		return -1, nil
	}
	h, err := protocol.ParseBatch(s.batches)
	return h.MaxTimestamp, err
}

func (s *memorySegment) NextOffset() (int64, error) {
	next := s.base
	err := s.each(func(h *protocol.RecordBatch, _ []byte) error { next = h.NextOffset(); return nil })
	return next, err
}

func (s *memorySegment) PositionBefore(offset int64) (int64, error) {
	position := int64(0)
	err := s.each(func(h *protocol.RecordBatch, batch []byte) error {
		if h.LastOffset() < offset {
			position += int64(len(batch))
		}
		return nil
	})
	return position, err
}

func (s *memorySegment) ReadAt(p []byte, pos int64) (int, error) {
	if s.log.onRead != nil {
		s.log.onRead()
	}
	if pos > int64(len(s.batches)) {
		return 0, io.EOF
	}
	n := copy(p, s.batches[pos:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s *memorySegment) AppendAbortedTxn(t AbortedTxn) error {
	s.aborted = append(s.aborted, t)
	return nil
}

func (s *memorySegment) Append(lastOffset, maxTimestamp, offsetOfMaxTimestamp int64, batches []byte) error {
	next := int64(-1)
	done, _, err := eachBatch(batches, func(h *protocol.RecordBatch, _ []byte) error { next = h.NextOffset(); return nil })
	if err != nil || done < len(batches) || next-1 != lastOffset {
		return fmt.Errorf("batches end at %d, not %d: %v", next-1, lastOffset, err)
	}
	s.batches = append(s.batches, batches...)
	return nil
}

func (s *memorySegment) Seal(modified time.Time) error {
	s.modified, s.sealed = modified, true
	return nil
}

func (s *memorySegment) Discard() error { s.gone = true; return nil }

func (s *memorySegment) each(fn func(h *protocol.RecordBatch, batch []byte) error) error {
	done, need, err := eachBatch(s.batches, fn)
	if err == nil && (done < len(s.batches) || need > 0) {
		err = fmt.Errorf("batch cut short at %d", done)
	}
	return err
}

// dump is all records of the segments, one a line, with what surrounds them.
func dumpSegments(segments []*memorySegment) (string, error) {
	var out bytes.Buffer
	for _, s := range segments {
		fmt.Fprintf(&out, "segment %d\n", s.base)
		err := s.each(func(h *protocol.RecordBatch, batch []byte) error {
			if err := protocol.CheckCRC(batch); err != nil {
				return err
			}
			shown := *h
			shown.CRC, shown.Length = 0, 0
			fmt.Fprintf(&out, " batch %+v\n", shown)
			if h.Magic >= 2 && h.RecordCount == 0 {
				return nil
			}
			return protocol.WalkRecords(batch, h, nil, func(r *protocol.Record) error {
				fmt.Fprintf(&out, "  %d ts %d key %q value %q null %v headers %q\n", r.Offset, r.Timestamp, r.Key, r.Value, r.Value == nil, r.AppendHeaders(nil))
				return nil
			})
		})
		if err != nil {
			return out.String(), fmt.Errorf("segment %d: %w", s.base, err)
		}
		for _, t := range s.aborted {
			fmt.Fprintf(&out, " aborted %+v\n", t)
		}
	}
	return out.String(), nil
}

// resetChecksum makes a changed batch right again.
func resetChecksum(batch []byte) {
	binary.BigEndian.PutUint32(batch[17:], protocol.BatchCRC(batch))
}
