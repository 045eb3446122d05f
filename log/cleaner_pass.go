package log

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/barnabas-broker/barnabas/protocol"
)

// CleanStats counts what one compaction of a log did.
type CleanStats struct {
	MapBytesRead   int64 // while building the offset map
	MapRecordsRead int64
	BytesRead      int64 // while rewriting
	BytesWritten   int64
	RecordsRead    int64
	RecordsKept    int64
	InvalidRecords int64 // without a key; they are dropped
	Keys           int   // in the offset map
	MapFull        bool  // the dirty part did not fit the map; the next pass goes on
}

// cleanerPass is one compaction of one log. Its memory, the map above all, is made for
// the pass and let go with it.
type cleanerPass struct {
	log                    CleanableLog
	config                 *Config
	firstDirtyOffset       int64
	firstUncleanableOffset int64 // the base offset of a segment
	nowMs                  int64
	offsets                *offsetMap
	buffer                 []byte // for reading
	output                 []byte
	throttle               func(bytes int) error
	stopped                func() error
	stats                  CleanStats
}

// clean compacts the log and returns the first offset that stays dirty.
func (p *cleanerPass) clean() (nextDirtyOffset int64, err error) {
	if err := p.buildOffsetMap(); err != nil {
		return 0, fmt.Errorf("build offset map: %w", err)
	}
	p.stats.Keys = p.offsets.keyCount
	endOffset := p.offsets.latestOffset + 1

	segments := p.log.CleanableSegments()
	// Tombstones of magic 0 and 1 have no delete horizon. They go delete.retention.ms
	// after the last clean segment was written.
	legacyHorizonMs := int64(0)
	if clean := segmentsIn(segments, 0, p.firstDirtyOffset); len(clean) > 0 {
		legacyHorizonMs = clean[len(clean)-1].LastModified().UnixMilli() - p.config.DeleteRetention.Milliseconds()
	}
	txns := newCleanedTransactions()
	for _, group := range p.groupSegments(segmentsIn(segments, 0, endOffset)) {
		if err := p.cleanGroup(group, txns, legacyHorizonMs); err != nil {
			return 0, fmt.Errorf("rewrite segments from %d: %w", group[0].BaseOffset(), err)
		}
	}
	return endOffset, nil
}

// segmentsIn returns the segments that may hold offsets from from up to, not including,
// to.
func segmentsIn(segments []CleanableSegment, from, to int64) []CleanableSegment {
	if from >= to {
		return nil
	}
	first := 0
	for i, s := range segments {
		if s.BaseOffset() <= from {
			first = i
		}
	}
	end := first
	for end < len(segments) && segments[end].BaseOffset() < to {
		end++
	}
	return segments[first:end]
}

func (p *cleanerPass) buildOffsetMap() error {
	dirty := segmentsIn(p.log.CleanableSegments(), p.firstDirtyOffset, p.firstUncleanableOffset)
	aborted, err := p.log.AbortedTxnsIn(p.firstDirtyOffset, p.firstUncleanableOffset)
	if err != nil {
		return err
	}
	txns := newCleanedTransactions()
	txns.add(aborted)
	for i, segment := range dirty {
		next := p.firstUncleanableOffset
		if i+1 < len(dirty) {
			next = dirty[i+1].BaseOffset()
		}
		full, err := p.mapSegment(segment, txns)
		if err != nil {
			return fmt.Errorf("segment %d: %w", segment.BaseOffset(), err)
		}
		if full {
			p.stats.MapFull = true
			return nil
		}
		p.offsets.noteLatest(next - 1) // there may be no records up to there
	}
	return nil
}

var errMapFull = errors.New("offset map is full")

func (p *cleanerPass) mapSegment(segment CleanableSegment, txns *cleanedTransactions) (full bool, err error) {
	position, err := segment.PositionBefore(p.firstDirtyOffset)
	if err != nil {
		return false, err
	}
	var records protocol.RecordsBuffer
	err = p.readBatches(segment, position, &p.stats.MapBytesRead, func(h *protocol.RecordBatch, batch []byte) error {
		aborted, err := txns.onBatch(h, batch)
		if err != nil {
			return err
		}
		if !h.IsControl() && !aborted && (h.Magic < 2 || h.RecordCount > 0 && h.LastOffset() >= p.firstDirtyOffset) {
			err := protocol.WalkRecords(batch, h, &records, func(r *protocol.Record) error {
				p.stats.MapRecordsRead++
				if r.Key != nil && r.Offset >= p.firstDirtyOffset && !p.offsets.put(r.Key, r.Offset) {
					return errMapFull
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if h.LastOffset() >= p.firstDirtyOffset {
			p.offsets.noteLatest(h.LastOffset())
		}
		return nil
	}, nil)
	if errors.Is(err, errMapFull) {
		return true, nil
	}
	return false, err
}

// readBatches calls fn for each batch of the segment from position on, and after each
// buffer of them flush, unless that is nil. The buffer grows for a larger batch, and
// shrinks again at the end.
func (p *cleanerPass) readBatches(segment CleanableSegment, position int64, bytesRead *int64,
	fn func(h *protocol.RecordBatch, batch []byte) error, flush func() error) error {
	size, usual := segment.Size(), p.buffer
	defer func() { p.buffer = usual }()
	for position < size {
		if err := p.stopped(); err != nil {
			return err
		}
		b := p.buffer[:min(int64(len(p.buffer)), size-position)]
		if n, err := segment.ReadAt(b, position); n < len(b) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read at position %d: %w", position, err)
		}
		if err := p.throttle(len(b)); err != nil {
			return err
		}
		done, need, err := eachBatch(b, fn)
		if err == nil && done == 0 {
			// Not one whole batch. There are as many bytes as it claims, so they may be read.
			if int64(need) > size-position {
				err = protocol.ErrBatchTruncated
			} else {
				p.buffer = make([]byte, need)
			}
		}
		if err != nil {
			return fmt.Errorf("position %d: %w", position+int64(done), err)
		}
		position += int64(done)
		*bytesRead += int64(done)
		if flush != nil {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachBatch calls fn for each whole batch in b. It returns the bytes they take and, if b
// ends within a batch, the size of that one.
func eachBatch(b []byte, fn func(h *protocol.RecordBatch, batch []byte) error) (done, need int, err error) {
	var h protocol.RecordBatch // one for all, as fn makes it escape
	for done < len(b) {
		_, _, size, err := protocol.PeekBatch(b[done:])
		if errors.Is(err, protocol.ErrBatchTruncated) {
			return done, protocol.BatchOverhead, nil
		}
		if err != nil {
			return done, 0, err
		}
		if size > len(b)-done {
			return done, size, nil
		}
		batch := b[done : done+size]
		if h, err = protocol.ParseBatch(batch); err == nil {
			err = fn(&h, batch)
		}
		if err != nil {
			return done, 0, err
		}
		done += size
	}
	return done, 0, nil
}

// groupSegments puts neighbours together that fit one segment, lest segments get smaller
// and smaller.
func (p *cleanerPass) groupSegments(segments []CleanableSegment) [][]CleanableSegment {
	var groups [][]CleanableSegment
	for start := 0; start < len(segments); {
		first := segments[start]
		size, index, timeIndex := first.Size(), first.OffsetIndexSize(), first.TimeIndexSize()
		end := start + 1
		for ; end < len(segments); end++ {
			s := segments[end]
			size, index, timeIndex = size+s.Size(), index+s.OffsetIndexSize(), timeIndex+s.TimeIndexSize()
			if size > p.config.SegmentSize || index > p.config.MaxIndexSize || timeIndex > p.config.MaxIndexSize {
				break
			}
			// Offsets within a segment are 32 bits wide.
			last := p.firstUncleanableOffset - 1
			if end+1 < len(segments) {
				last = segments[end+1].BaseOffset() - 1
			}
			if s.Size() > 0 && last-first.BaseOffset() > math.MaxInt32 {
				break
			}
		}
		groups = append(groups, segments[start:end:end])
		start = end
	}
	return groups
}

// cleanGroup rewrites segments into one and puts that in their place.
func (p *cleanerPass) cleanGroup(group []CleanableSegment, txns *cleanedTransactions, legacyHorizonMs int64) (err error) {
	cleaned, err := p.log.NewCleanedSegment(group[0].BaseOffset())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, cleaned.Discard())
		}
	}()
	txns.index = cleaned
	filter := &batchFilter{
		offsets:           p.offsets,
		txns:              txns,
		lastRecords:       p.log.LastRecordsOfProducers(),
		nowMs:             p.nowMs,
		deleteRetentionMs: p.config.DeleteRetention.Milliseconds(),
		upperBound:        p.firstUncleanableOffset,
		stats:             &p.stats,
	}
	for i, segment := range group {
		// All aborted transactions of the segment, cleaned before or not: the transaction
		// index of the new segment is made from them.
		var next int64
		if i+1 < len(group) {
			next = group[i+1].BaseOffset()
		} else if next, err = segment.NextOffset(); err != nil {
			return err
		}
		aborted, err := p.log.AbortedTxnsIn(segment.BaseOffset(), next)
		if err != nil {
			return err
		}
		txns.add(aborted)
		filter.keepLegacyDeletes = segment.LastModified().UnixMilli() > legacyHorizonMs
		if err := p.cleanSegment(segment, cleaned, filter); err != nil {
			return fmt.Errorf("segment %d: %w", segment.BaseOffset(), err)
		}
	}
	if err := cleaned.Seal(group[len(group)-1].LastModified()); err != nil {
		return err
	}
	return p.log.ReplaceSegments(cleaned, group)
}

// cleanedPieceSize is how much is appended at once, and with that the distance between
// index entries of a cleaned segment. Apache's is its whole buffer of 256 KiB; a reader
// then has to step over as much to find an offset.
const cleanedPieceSize = 16 << 10

func (p *cleanerPass) cleanSegment(segment CleanableSegment, cleaned CleanedSegment, filter *batchFilter) error {
	p.output = p.output[:0]
	lastOffset, maxTimestamp, offsetOfMax := int64(-1), int64(-1), int64(-1)
	flush := func() error {
		if len(p.output) == 0 {
			return nil
		}
		if err := cleaned.Append(lastOffset, maxTimestamp, offsetOfMax, p.output); err != nil {
			return err
		}
		written := len(p.output)
		p.stats.BytesWritten += int64(written)
		p.output, maxTimestamp, offsetOfMax = p.output[:0], -1, -1
		return p.throttle(written)
	}
	return p.readBatches(segment, 0, &p.stats.BytesRead, func(h *protocol.RecordBatch, batch []byte) error {
		output, kept, ok, err := filter.filter(p.output, h, batch)
		if err != nil || !ok {
			return err
		}
		p.output, lastOffset = output, kept.lastOffset
		if kept.maxTimestamp > maxTimestamp {
			maxTimestamp, offsetOfMax = kept.maxTimestamp, kept.lastOffset
		}
		if len(p.output) >= cleanedPieceSize {
			return flush()
		}
		return nil
	}, flush)
}
