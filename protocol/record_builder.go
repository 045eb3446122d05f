package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/barnabas-broker/barnabas/protocol/compress"
)

// Producer is what an idempotent producer stamps on a batch.
type Producer struct {
	ID           int64
	Epoch        int16
	BaseSequence int32 // -1 in control batches
}

// BatchOptions are the header fields of a batch to build.
type BatchOptions struct {
	BaseOffset      int64
	LeaderEpoch     int32
	Codec           Codec
	Level           int           // the codec's level in Kafka's numbers; 0 is its default
	TimestampType   TimestampType // LogAppendTime puts LogAppendTimeMs into the header
	LogAppendTimeMs int64
	Producer        *Producer // nil for none
	Transactional   bool
	Control         bool
	DeleteHorizonMs int64 // when compaction may drop the tombstones; 0 for none
}

// Errors of building batches: the caller, or the client whose records it rewrites, asked
// for what the format cannot hold.
var (
	ErrBuildOffset    = errors.New("offset is not above the one before, or too far above the base offset")
	ErrBuildTimestamp = errors.New("timestamp is negative")
)

// BatchBuilder writes one magic 2 batch at a time. The zero value is ready for Reset; it
// keeps its scratch memory from batch to batch. One goroutine at a time may use it.
type BatchBuilder struct {
	opts  BatchOptions
	dst   []byte // ends with the batch: a hole for its header, then records if not compressed
	start int    // where in dst the batch starts

	scratch       []byte // records to be compressed
	count         int32
	lastOffset    int64 // of the batch; below the base offset if it is empty
	baseTimestamp int64
	maxTimestamp  int64
}

// Reset starts a batch that Finish will append to dst.
func (w *BatchBuilder) Reset(dst []byte, opts BatchOptions) {
	w.opts = opts
	w.start = len(dst)
	w.dst = append(dst, make([]byte, BatchOverhead)...)
	w.scratch = w.scratch[:0]
	w.count = 0
	w.lastOffset = opts.BaseOffset - 1
	w.baseTimestamp = -1
	w.maxTimestamp = -1
}

// Append adds a record at the next offset.
func (w *BatchBuilder) Append(timestamp int64, key, value []byte, headers ...Header) error {
	return w.AppendAt(w.lastOffset+1, timestamp, key, value, headers)
}

// AppendAt adds a record at an offset of the caller's, greater than the one before.
func (w *BatchBuilder) AppendAt(offset, timestamp int64, key, value []byte, headers []Header) error {
	return w.append(offset, timestamp, key, value, headers, nil)
}

// AppendWalked adds a record that a walk gave, with its headers, at an offset greater than
// the one before.
func (w *BatchBuilder) AppendWalked(offset int64, r *Record) error {
	return w.append(offset, r.Timestamp, r.Key, r.Value, nil, r.rawHeaders)
}

// append adds a record with headers, or with rawHeaders as a walk found them.
func (w *BatchBuilder) append(offset, timestamp int64, key, value []byte, headers []Header, rawHeaders []byte) error {
	delta := offset - w.opts.BaseOffset
	if offset <= w.lastOffset || delta < 0 || delta > math.MaxInt32 || w.count == math.MaxInt32 {
		return fmt.Errorf("%w: %d after %d, base offset %d", ErrBuildOffset, offset, w.lastOffset, w.opts.BaseOffset)
	}
	if timestamp < -1 {
		return fmt.Errorf("%w: %d", ErrBuildTimestamp, timestamp)
	}
	if w.count == 0 {
		w.baseTimestamp = timestamp
		if w.opts.DeleteHorizonMs > 0 {
			w.baseTimestamp = w.opts.DeleteHorizonMs
		}
	}
	if w.opts.Codec == CodecNone {
		w.dst = appendRecord(w.dst, int32(delta), timestamp-w.baseTimestamp, key, value, headers, rawHeaders)
	} else {
		w.scratch = appendRecord(w.scratch, int32(delta), timestamp-w.baseTimestamp, key, value, headers, rawHeaders)
	}
	w.count++
	w.lastOffset = offset
	w.maxTimestamp = max(w.maxTimestamp, timestamp)
	return nil
}

// appendRecord appends a record in the form that parseRecord draws, with rawHeaders if
// there are any.
func appendRecord(b []byte, offsetDelta int32, timestampDelta int64, key, value []byte, headers []Header, rawHeaders []byte) []byte {
	size := 1 + varlongSize(timestampDelta) + varintSize(offsetDelta) + varbytesSize(key) + varbytesSize(value)
	if rawHeaders != nil {
		size += len(rawHeaders)
	} else {
		size += varintSize(int32(len(headers)))
		for i := range headers {
			size += varintSize(int32(len(headers[i].Key))) + len(headers[i].Key) + varbytesSize(headers[i].Value)
		}
	}
	b = slices.Grow(b, maxVarintBytes+size)
	b = appendVarint(b, int32(size))
	b = append(b, 0)
	b = appendVarlong(b, timestampDelta)
	b = appendVarint(b, offsetDelta)
	b = appendVarbytes(b, key)
	b = appendVarbytes(b, value)
	if rawHeaders != nil {
		return append(b, rawHeaders...)
	}
	b = appendVarint(b, int32(len(headers)))
	for i := range headers {
		b = appendVarint(b, int32(len(headers[i].Key))) // never null
		b = append(b, headers[i].Key...)
		b = appendVarbytes(b, headers[i].Value)
	}
	return b
}

// Count is the number of records so far.
func (w *BatchBuilder) Count() int { return int(w.count) }

// Size is what the batch would measure if finished now and not compressed.
func (w *BatchBuilder) Size() int { return len(w.dst) - w.start + len(w.scratch) }

// SetLastOffset makes the batch end at offset though its last record is an earlier one,
// as compaction needs.
func (w *BatchBuilder) SetLastOffset(offset int64) { w.lastOffset = max(w.lastOffset, offset) }

// Finish compresses, writes the header, and returns dst with the batch appended. Without
// records it returns dst as it was; AppendEmptyBatch writes empty batches.
func (w *BatchBuilder) Finish() ([]byte, error) {
	dst := w.dst
	w.dst = nil
	if w.count == 0 {
		return dst[:w.start], nil
	}
	if w.opts.Codec != CodecNone {
		var err error
		dst, err = compress.AppendCompress(dst, int8(w.opts.Codec), w.opts.Level, w.scratch)
		if err != nil {
			return dst[:w.start], err
		}
	}
	if len(dst)-w.start > math.MaxInt32 {
		return dst[:w.start], ErrBatchLength
	}
	if w.lastOffset-w.opts.BaseOffset > math.MaxInt32 {
		return dst[:w.start], ErrBuildOffset
	}
	h := w.header(len(dst) - w.start)
	h.putHeader(dst[w.start:])
	return dst, nil
}

func (w *BatchBuilder) header(size int) RecordBatch {
	h := RecordBatch{
		BaseOffset:      w.opts.BaseOffset,
		Length:          int32(size - BatchLogOverhead),
		LeaderEpoch:     w.opts.LeaderEpoch,
		Magic:           2,
		Attributes:      int16(w.opts.Codec),
		LastOffsetDelta: int32(w.lastOffset - w.opts.BaseOffset),
		BaseTimestamp:   w.baseTimestamp,
		MaxTimestamp:    w.maxTimestamp,
		ProducerID:      -1,
		ProducerEpoch:   -1,
		BaseSequence:    -1,
		RecordCount:     w.count,
	}
	if w.opts.TimestampType == LogAppendTime {
		h.Attributes |= attrTimestampType
		h.MaxTimestamp = w.opts.LogAppendTimeMs
	}
	if w.opts.Transactional {
		h.Attributes |= attrTransactional
	}
	if w.opts.Control {
		h.Attributes |= attrControl
	}
	if w.opts.DeleteHorizonMs > 0 {
		h.Attributes |= attrDeleteHorizon
	}
	if p := w.opts.Producer; p != nil {
		h.ProducerID, h.ProducerEpoch, h.BaseSequence = p.ID, p.Epoch, p.BaseSequence
	}
	return h
}

// putHeader writes h over the start of the whole batch b and sets the CRC of both.
func (h *RecordBatch) putHeader(b []byte) {
	h.AppendHeader(b[:0])
	h.CRC = BatchCRC(b)
	binary.BigEndian.PutUint32(b[batchCRCPos:], h.CRC)
}

// AppendBatch appends one batch with the given records, their offsets counted from
// opts.BaseOffset, to dst. Of the records only Timestamp, Key, Value and Headers count.
func AppendBatch(dst []byte, opts BatchOptions, records ...Record) ([]byte, error) {
	var w BatchBuilder
	w.Reset(dst, opts)
	for i := range records {
		r := &records[i]
		if err := w.Append(r.Timestamp, r.Key, r.Value, r.Headers...); err != nil {
			return dst, err
		}
	}
	return w.Finish()
}

// AppendEmptyBatch appends a batch without records that keeps the offsets, producer,
// epoch and max timestamp of h. Compaction leaves such a one where a producer's last
// batch stood, so that its sequence is not forgotten.
func AppendEmptyBatch(dst []byte, h *RecordBatch) []byte {
	empty := *h
	empty.Length = BatchOverhead - BatchLogOverhead
	empty.Magic = 2
	empty.Attributes &= attrTimestampType | attrTransactional | attrControl
	empty.BaseTimestamp = -1
	empty.RecordCount = 0
	start := len(dst)
	dst = append(dst, make([]byte, BatchOverhead)...)
	empty.putHeader(dst[start:])
	return dst
}
