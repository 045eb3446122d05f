package protocol

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"sync"

	"github.com/barnabas-broker/barnabas/protocol/compress"
)

// ConversionInfo tells of a conversion, for metrics.
type ConversionInfo struct {
	RecordCount int
}

// ConvertToMagic2 returns one magic 2 batch with the records of a message set of any
// magic, their offsets counted from opts.BaseOffset. A partial message at the end of the
// set is left out, as sets may end in one. It does not check CRCs but those of inner
// messages; Validator does, and converts on its way.
func ConvertToMagic2(set []byte, opts BatchOptions) ([]byte, ConversionInfo, error) {
	var w BatchBuilder
	buf := recordsBuffers.Get().(*RecordsBuffer)
	defer func() {
		buf.trim()
		recordsBuffers.Put(buf)
	}()
	w.Reset(nil, opts)
	for {
		h, rest, err := nextBatch(set)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, ConversionInfo{}, err
		}
		err = WalkRecords(set, &h, buf, func(r *Record) error {
			return w.AppendWalked(w.lastOffset+1, r)
		})
		if err != nil {
			return nil, ConversionInfo{}, err
		}
		set = rest
	}
	batch, err := w.Finish()
	return batch, ConversionInfo{RecordCount: w.Count()}, err
}

// nextBatch parses the header of the batch or message at the start of b and returns what
// follows it. The error is io.EOF if b does not hold a whole one. It looks at magic and
// sizes in the order Apache does: too little to tell is the end, not an error.
func nextBatch(b []byte) (h RecordBatch, rest []byte, err error) {
	if len(b) < BatchLogOverhead {
		return h, nil, io.EOF
	}
	size := int32(binary.BigEndian.Uint32(b[batchLengthPos:]))
	if size < messageOverheadV0-BatchLogOverhead {
		return h, nil, ErrBatchLength
	}
	if len(b) <= BatchMagicPos {
		return h, nil, io.EOF
	}
	if b[BatchMagicPos] > 2 {
		return h, nil, ErrBatchMagic
	}
	if int(size) > len(b)-BatchLogOverhead {
		return h, nil, io.EOF
	}
	end := BatchLogOverhead + int(size)
	if b[BatchMagicPos] == 2 && end >= BatchOverhead {
		h, err = ParseRecordBatch(b[:end])
	} else {
		h, err = ParseBatch(b[:end])
	}
	if err != nil {
		return h, nil, err
	}
	return h, b[end:], nil
}

// DownConvert appends to dst what batches holds, in magic toMagic (0 or 1), for a
// fetcher too old for magic 2 (Fetch v0 to v3). Batches of that magic or an older one go
// as they are; a partial batch at the end does not go at all. Control batches and
// headers are dropped, the codec is kept, and records below fromOffset are left out of
// batches that are not compressed.
//
// A zstd batch is UNSUPPORTED_COMPRESSION_TYPE, for older magics have no number for it,
// unless something could be converted before it; then that is returned, and the next
// fetch meets the error.
func DownConvert(dst []byte, batches []byte, toMagic int8, fromOffset int64) ([]byte, error) {
	c := downConverters.Get().(*downConverter)
	defer func() {
		c.buf.trim()
		if cap(c.set) > maxKeptWindow {
			c.set = nil
		}
		downConverters.Put(c)
	}()
	start := len(dst)
	for {
		h, rest, err := nextBatch(batches)
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst[:start], err
		}
		if h.Magic <= toMagic {
			dst = append(dst, batches[:h.Size()]...)
		} else if !h.IsControl() {
			dst, err = c.convert(dst, batches, &h, toMagic, fromOffset)
			if errors.Is(err, ErrUnsupportedCompressionType) && len(dst) > start {
				return dst, nil
			}
			if err != nil {
				return dst[:start], err
			}
		}
		batches = rest
	}
}

var downConverters = sync.Pool{New: func() any { return new(downConverter) }}

// downConverter is the memory that down-conversion needs.
type downConverter struct {
	buf RecordsBuffer
	set []byte // inner messages to compress
}

// convert appends the records of one batch as legacy messages.
func (c *downConverter) convert(dst, b []byte, h *RecordBatch, toMagic int8, fromOffset int64) ([]byte, error) {
	codec := h.Codec()
	if codec == CodecZstd {
		return dst, Errorf(ErrUnsupportedCompressionType, "zstd batches cannot be down-converted to magic %d", toMagic)
	}
	attributes := byte(0)
	if toMagic == 1 && h.TimestampType() == LogAppendTime {
		attributes = attrTimestampType
	}
	if err := c.buf.begin(b, h, false); err != nil {
		return dst, err
	}
	defer c.buf.end()

	set := c.set[:0]
	count := 0
	baseOffset, lastOffset, maxTimestamp := int64(0), int64(0), int64(-1)
	for {
		more, err := c.buf.next()
		if err != nil {
			return dst, err
		}
		if !more {
			break
		}
		r := &c.buf.record
		if codec == CodecNone {
			if r.Offset >= fromOffset {
				dst = appendMessage(dst, toMagic, attributes, r.Offset, r.Timestamp, r.Key, r.Value)
			}
			continue
		}
		if count == 0 {
			baseOffset = r.Offset
		}
		count++
		lastOffset = r.Offset
		maxTimestamp = max(maxTimestamp, r.Timestamp)
		inner := r.Offset
		if toMagic == 1 {
			inner -= baseOffset
		}
		set = appendMessage(set, toMagic, attributes, inner, r.Timestamp, r.Key, r.Value)
	}
	if codec == CodecNone {
		return dst, nil
	}
	c.set = set
	if count == 0 {
		return dst, nil
	}
	// The wrapper: as if its value were empty, then the value behind it, then its sizes.
	start := len(dst)
	dst = appendMessage(dst, toMagic, attributes|byte(codec), lastOffset, maxTimestamp, nil, []byte{})
	value := len(dst)
	dst, err := compress.AppendCompress(dst, compressCodec(toMagic, codec), compress.DefaultLevel, set)
	if err != nil {
		return dst[:start], err
	}
	binary.BigEndian.PutUint32(dst[value-4:], uint32(len(dst)-value))
	finishMessage(dst[start:])
	return dst, nil
}

// appendMessage appends one legacy message.
func appendMessage(b []byte, magic int8, attributes byte, offset, timestamp int64, key, value []byte) []byte {
	start := len(b)
	be := binary.BigEndian
	b = be.AppendUint64(b, uint64(offset))
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // size and CRC, by finishMessage
	b = append(b, byte(magic), attributes)
	if magic == 1 {
		b = be.AppendUint64(b, uint64(timestamp))
	}
	b = appendSizedBytes(b, key)
	b = appendSizedBytes(b, value)
	finishMessage(b[start:])
	return b
}

// finishMessage sets size and CRC of the message that b is.
func finishMessage(b []byte) {
	binary.BigEndian.PutUint32(b[batchLengthPos:], uint32(len(b)-BatchLogOverhead))
	binary.BigEndian.PutUint32(b[messageCRCPos:], crc32.ChecksumIEEE(b[BatchMagicPos:]))
}

func appendSizedBytes(b, v []byte) []byte {
	if v == nil {
		return binary.BigEndian.AppendUint32(b, ^uint32(0))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

// AppendMessage appends one legacy message of magic 0 or 1 to b, as an old client would
// write it: for tests and tools.
func AppendMessage(b []byte, magic int8, offset, timestamp int64, key, value []byte) []byte {
	return appendMessage(b, magic, 0, offset, timestamp, key, value)
}
