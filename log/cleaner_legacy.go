package log

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/compress"
)

// legacyWriter writes message sets of magic 0 and 1, for compaction keeps a batch in the
// format it has.
type legacyWriter struct {
	set []byte
}

// writeLegacy appends the chosen records of a legacy message that wraps a compressed set,
// as such a message again.
func (f *batchFilter) writeLegacy(dst []byte, h *protocol.RecordBatch, batch []byte) ([]byte, error) {
	f.legacy.set = f.legacy.set[:0]
	first, last, maxTimestamp := int64(-1), int64(-1), int64(-1)
	attributes := byte(0)
	if h.TimestampType() == protocol.LogAppendTime {
		attributes = attributeLogAppendTime
	}
	if h.Codec() == protocol.CodecNone {
		return dst, fmt.Errorf("batch at offset %d: magic %d within magic %d", h.BaseOffset, h.Magic, h.Magic)
	}
	err := f.eachKept(h, batch, func(r *protocol.Record) error {
		if first < 0 {
			first = r.Offset
		}
		last, maxTimestamp = r.Offset, max(maxTimestamp, r.Timestamp)
		offset := r.Offset
		if h.Magic == 1 {
			offset -= first // inner offsets count from 0; the wrapper has the last one's own
		}
		f.legacy.set = appendLegacyMessage(f.legacy.set, h.Magic, offset, attributes, r.Timestamp, r.Key, r.Value)
		return nil
	})
	if err != nil {
		return dst, err
	}
	codec := int8(h.Codec())
	if h.Magic == 0 && h.Codec() == protocol.CodecLZ4 {
		codec = compress.LZ4Legacy
	}
	packed, err := compress.AppendCompress(nil, codec, 0, f.legacy.set)
	if err != nil {
		return dst, err
	}
	if attributes != 0 {
		maxTimestamp = h.MaxTimestamp
	}
	return appendLegacyMessage(dst, h.Magic, last, attributes|byte(h.Codec()), maxTimestamp, nil, packed), nil
}

// appendLegacyMessage appends one message: offset 8, size 4, CRC-32 4, magic 1,
// attributes 1, timestamp 8 in magic 1, key and value with their lengths of 4.
func appendLegacyMessage(dst []byte, magic int8, offset int64, attributes byte, timestamp int64, key, value []byte) []byte {
	be := binary.BigEndian
	start := len(dst)
	dst = be.AppendUint64(dst, uint64(offset))
	dst = be.AppendUint64(dst, 0) // size and checksum, below
	dst = append(dst, byte(magic), attributes)
	if magic > 0 {
		dst = be.AppendUint64(dst, uint64(timestamp))
	}
	dst = appendSized(dst, key)
	dst = appendSized(dst, value)
	be.PutUint32(dst[start+8:], uint32(len(dst)-start-12))
	be.PutUint32(dst[start+12:], crc32.ChecksumIEEE(dst[start+16:]))
	return dst
}

// appendSized appends a length and the bytes; nil is -1 and nothing.
func appendSized(dst, b []byte) []byte {
	if b == nil {
		return binary.BigEndian.AppendUint32(dst, 1<<32-1)
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}
