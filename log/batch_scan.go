package log

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/barnabas-broker/barnabas/protocol"
)

// batchHeader is what finding one's way through a segment needs of a batch or legacy
// message.
type batchHeader struct {
	pos        int64
	size       int64
	baseOffset int64 // the message's own (last inner) offset for magic 0 and 1
	lastOffset int64
	maxTime    int64 // -1 for magic 0
	epoch      int32 // -1 for magic 0 and 1
	magic      int8
}

func (h *batchHeader) end() int64 { return h.pos + h.size }

// The bytes that parseBatchHeader wants to see of a batch, as far as it reaches.
const (
	headerPeekSize     = protocol.BatchOverhead
	legacyTimestampPos = 18
	scanWindow         = 4096
	longScanWindow     = 256 << 10
)

// CorruptBatchError says that bytes in a segment are no batch. It unwraps to
// CORRUPT_MESSAGE.
type CorruptBatchError struct {
	Path string
	Pos  int64
	Err  error
}

func (e *CorruptBatchError) Error() string {
	return fmt.Sprintf("corrupt batch in %s at position %d: %v", e.Path, e.Pos, e.Err)
}

// Unwrap returns CORRUPT_MESSAGE and the cause.
func (e *CorruptBatchError) Unwrap() []error { return []error{protocol.ErrCorruptMessage, e.Err} }

// parseBatchHeader reads the header at the start of b, which lies at pos in its file.
// b holds headerPeekSize bytes unless the file ends before.
func parseBatchHeader(b []byte, pos int64) (batchHeader, error) {
	h, _, err := parseFullHeader(b, pos)
	return h, err
}

// parseFullHeader is parseBatchHeader; it also returns all of a magic 2 header.
func parseFullHeader(b []byte, pos int64) (h batchHeader, full protocol.RecordBatch, err error) {
	base, magic, size, err := protocol.PeekBatch(b)
	if err != nil {
		return h, full, err
	}
	h = batchHeader{pos: pos, size: int64(size), baseOffset: base, lastOffset: base, maxTime: -1, epoch: -1, magic: magic}
	switch magic {
	case 0:
	case 1:
		if len(b) < legacyTimestampPos+8 {
			return h, full, protocol.ErrBatchTruncated
		}
		h.maxTime = int64(binary.BigEndian.Uint64(b[legacyTimestampPos:]))
	case 2:
		if full, err = protocol.ParseRecordBatch(b); err != nil {
			return h, full, err
		}
		h.lastOffset, h.maxTime, h.epoch = full.LastOffset(), full.MaxTimestamp, full.LeaderEpoch
	default:
		return h, full, fmt.Errorf("%w: %d", protocol.ErrBatchMagic, magic)
	}
	if base < 0 || h.lastOffset < base {
		return h, full, fmt.Errorf("%w: offsets %d to %d", protocol.ErrBatchLength, base, h.lastOffset)
	}
	return h, full, nil
}

// batchScanner walks the headers of a segment's file. It reads a window at a time and
// skips what it need not see. Its window is reused: keep scanners in a pool.
type batchScanner struct {
	file   File
	path   string
	end    int64 // of the batches in the file
	start  int64 // where the walk began
	next   int64 // where the next batch begins
	window []byte
	at     int64 // place of the window in the file
	filled int
	whole  bool // whole batches will be looked at, not only their headers
	header batchHeader
	batch  protocol.RecordBatch // the whole header, if header.magic is 2
}

// reset starts a walk at pos, which is where a batch begins, up to end.
func (s *batchScanner) reset(file File, path string, pos, end int64) {
	s.file, s.path, s.start, s.next, s.end = file, path, pos, pos, end
	s.at, s.filled, s.header, s.whole = 0, 0, batchHeader{}, false
}

// newBatchScanner returns a scanner for short walks, or, with a larger window, long ones.
func newBatchScanner(window int) *batchScanner { return &batchScanner{window: make([]byte, window)} }

// bytes returns the batch that scan has moved to: from the window, or, if it is not whole
// in there, read into buf, which grows as needed.
func (s *batchScanner) bytes(buf *[]byte) ([]byte, error) {
	h := &s.header
	if h.pos >= s.at && h.end() <= s.at+int64(s.filled) {
		return s.window[h.pos-s.at:][:h.size], nil
	}
	if int64(cap(*buf)) < h.size {
		*buf = make([]byte, max(h.size, 64<<10))
	}
	b := (*buf)[:h.size]
	if n, err := s.file.ReadAt(b, h.pos); int64(n) < h.size {
		if err == nil || err == io.EOF {
			err = fmt.Errorf("%s ends at %d: %w", s.path, h.pos+int64(n), errShortRegion)
		}
		return nil, err
	}
	return b, nil
}

// scan moves to the next batch and says whether there is one.
func (s *batchScanner) scan() (bool, error) {
	if s.next >= s.end {
		return false, nil
	}
	b, err := s.peek(s.next)
	if err != nil {
		return false, err
	}
	h, full, err := parseFullHeader(b, s.next)
	if err == nil && h.end() > s.end {
		err = protocol.ErrBatchTruncated
	}
	if err != nil {
		return false, &CorruptBatchError{Path: s.path, Pos: s.next, Err: err}
	}
	s.header, s.batch, s.next = h, full, h.end()
	return true, nil
}

// peek returns the bytes at pos: a header's worth unless the file ends before.
func (s *batchScanner) peek(pos int64) ([]byte, error) {
	want := min(headerPeekSize, s.end-pos)
	if pos < s.at || pos+want > s.at+int64(s.filled) {
		size := min(int64(len(s.window)), s.end-pos)
		if s.header.size > scanWindow && !s.whole {
			size = want // among big batches there is no use for the bytes behind the header
		}
		n, err := s.file.ReadAt(s.window[:size], pos)
		if int64(n) < want {
			if err == nil || err == io.EOF {
				err = fmt.Errorf("%s ends at %d: %w", s.path, pos+int64(n), errShortRegion)
			}
			return nil, err
		}
		s.at, s.filled = pos, n
	}
	from := pos - s.at
	return s.window[from:min(int64(s.filled), from+headerPeekSize)], nil
}

// find walks to the first batch whose last offset is not below offset.
func (s *batchScanner) find(offset int64) (bool, error) {
	for {
		ok, err := s.scan()
		if !ok || err != nil {
			return false, err
		}
		if s.header.lastOffset >= offset {
			return true, nil
		}
	}
}

// findEnd walks on to where a region must end that may not reach beyond limit: before
// the first batch that does. nextOffset is that batch's base offset; ok is false if the
// walk came to the end before.
func (s *batchScanner) findEnd(limit int64) (pos, nextOffset int64, ok bool, err error) {
	for {
		more, err := s.scan()
		if err != nil {
			return 0, 0, false, err
		}
		if !more {
			return s.end, 0, false, nil
		}
		if s.header.end() > limit {
			return s.header.pos, s.header.baseOffset, true, nil
		}
	}
}
