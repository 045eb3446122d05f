package protocol

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/barnabas-broker/barnabas/protocol/compress"
)

// Sizes and places in a legacy message, magic 0 and 1. All integers are big-endian.
//
//	 0 offset     8  of the message; of the last inner one if it wraps a set
//	 8 size       4  of everything after itself
//	12 CRC-32     4  IEEE, over everything from 16 on
//	16 magic      1  0 or 1
//	17 attributes 1  codec 0-2; magic 1: timestamp type 3
//	18 timestamp  8  magic 1 only
//	18/26 key     4 of length (-1 is null), then the key
//	   value      4 of length (-1 is null), then the value
//
// A compressed set is one message whose value is the compressed bytes of inner messages.
// Their offsets are absolute in magic 0; in magic 1 they count from 0, and the last one's
// absolute offset is the wrapper's.
const (
	messageCRCPos     = 12
	messageAttrPos    = 17
	messageTimePos    = 18
	messageKeyPosV0   = 18
	messageKeyPosV1   = 26
	messageOverheadV0 = messageKeyPosV0 + 8
	messageOverheadV1 = messageKeyPosV1 + 8
)

func messageOverhead(magic int8) int {
	if magic == 0 {
		return messageOverheadV0
	}
	return messageOverheadV1
}

// ParseBatch reads the header of the batch or legacy message at the start of b, of any
// magic. A legacy message (magic 0 and 1) has no header of its own kind; it comes as one
// without producer and epoch, with both offsets the message's own. That is the offset of
// the last record if the message wraps a compressed set, where the first one is not
// known without decompressing; RecordCount is then -1.
func ParseBatch(b []byte) (RecordBatch, error) {
	offset, magic, size, err := PeekBatch(b)
	if err != nil {
		return RecordBatch{}, err
	}
	if magic == 2 {
		return ParseRecordBatch(b)
	}
	if magic < 0 || magic > 2 {
		return RecordBatch{}, fmt.Errorf("%w: %d", ErrBatchMagic, magic)
	}
	if size < messageOverhead(magic) {
		return RecordBatch{}, fmt.Errorf("%w: %d", ErrBatchLength, size-BatchLogOverhead)
	}
	if len(b) < messageOverheadV0 || magic == 1 && len(b) < messageKeyPosV1 {
		return RecordBatch{}, ErrBatchTruncated
	}
	h := RecordBatch{
		BaseOffset:    offset,
		Length:        int32(size - BatchLogOverhead),
		LeaderEpoch:   -1,
		Magic:         magic,
		CRC:           binary.BigEndian.Uint32(b[messageCRCPos:]),
		Attributes:    int16(b[messageAttrPos] & attrCodecMask),
		BaseTimestamp: -1,
		MaxTimestamp:  -1,
		ProducerID:    -1,
		ProducerEpoch: -1,
		BaseSequence:  -1,
		RecordCount:   1,
	}
	if magic == 1 {
		h.Attributes |= int16(b[messageAttrPos] & attrTimestampType)
		h.BaseTimestamp = int64(binary.BigEndian.Uint64(b[messageTimePos:]))
		h.MaxTimestamp = h.BaseTimestamp
	}
	if h.Codec() != CodecNone {
		h.RecordCount = -1
	}
	return h, nil
}

// CheckCRC verifies the checksum of the whole batch or legacy message in b, of any magic.
func CheckCRC(b []byte) error {
	if len(b) < messageOverheadV0 {
		return ErrBatchTruncated
	}
	if b[BatchMagicPos] >= 2 {
		return CheckBatchCRC(b)
	}
	stored := binary.BigEndian.Uint32(b[messageCRCPos:])
	if computed := crc32.ChecksumIEEE(b[BatchMagicPos:]); stored != computed {
		return fmt.Errorf("%w: stored %#08x, computed %#08x", ErrBatchCRC, stored, computed)
	}
	return nil
}

// message is one legacy message, parsed.
type message struct {
	offset     int64
	timestamp  int64
	key, value []byte
	size       int // with offset and size fields
	magic      int8
	attributes int8
}

func (m *message) codec() Codec { return Codec(m.attributes & attrCodecMask) }

// compressCodec is the number compress has for the message's codec: magic 0 has an lz4 of
// its own.
func compressCodec(magic int8, codec Codec) int8 {
	if magic == 0 && codec == CodecLZ4 {
		return compress.LZ4Legacy
	}
	return int8(codec)
}

// parseMessage parses the message at the start of b. The error is io.EOF if b does not
// hold it whole, which is how message sets may end.
func parseMessage(b []byte) (message, error) {
	var m message
	if len(b) < BatchLogOverhead {
		return m, io.EOF
	}
	size := int32(binary.BigEndian.Uint32(b[batchLengthPos:]))
	if size < messageOverheadV0-BatchLogOverhead {
		return m, fmt.Errorf("%w: %d", ErrBatchLength, size)
	}
	if int(size) > len(b)-BatchLogOverhead {
		return m, io.EOF
	}
	m.offset = int64(binary.BigEndian.Uint64(b))
	m.size = BatchLogOverhead + int(size)
	m.magic = int8(b[BatchMagicPos])
	m.attributes = int8(b[messageAttrPos])
	m.timestamp = -1
	b = b[:m.size]
	pos := messageKeyPosV0
	if m.magic != 0 {
		// An inner message of an unknown magic is refused by whoever asks for it.
		if len(b) < messageOverheadV1 {
			return m, fmt.Errorf("%w: %d", ErrBatchLength, size)
		}
		m.timestamp = int64(binary.BigEndian.Uint64(b[messageTimePos:]))
		pos = messageKeyPosV1
	}
	var ok bool
	rest := b[pos:]
	if m.key, rest, ok = sizedBytes(rest); !ok {
		return m, errRecordShort
	}
	if m.value, _, ok = sizedBytes(rest); !ok {
		return m, errRecordShort
	}
	return m, nil
}

// sizedBytes reads bytes with a 4-byte length before them; a negative one is null.
func sizedBytes(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	length := int32(binary.BigEndian.Uint32(b))
	b = b[4:]
	if length < 0 {
		return nil, b, true
	}
	if int(length) > len(b) {
		return nil, nil, false
	}
	return b[:length:length], b[length:], true
}

// legacyReader is where a walk through a legacy message stands.
type legacyReader struct {
	inner      bool  // the records are the messages of a decompressed set
	checkCRC   bool  // of inner messages
	baseOffset int64 // added to inner offsets
}

// beginLegacy starts a walk through one message, which may wrap a set. The set is
// decompressed as a whole, because only its last message tells the offset of the first.
func (buf *RecordsBuffer) beginLegacy(b []byte) error {
	r := &buf.reader
	wrapper, err := parseMessage(b)
	if err == io.EOF {
		return ErrBatchTruncated
	}
	if err != nil {
		return err
	}
	r.rest = b
	if wrapper.codec() == CodecNone {
		return nil
	}
	if wrapper.codec() >= CodecZstd {
		return fmt.Errorf("%w: codec %d in magic %d", ErrRecord, wrapper.codec(), wrapper.magic)
	}
	if wrapper.value == nil {
		return fmt.Errorf("%w: compressed set is null", ErrRecord)
	}
	set, err := compress.AppendDecompress(buf.window[:0], compressCodec(wrapper.magic, wrapper.codec()),
		wrapper.value, buf.maxDecompressed())
	buf.window = set[:cap(set)]
	if err != nil {
		return decompressError(err)
	}
	r.rest = set
	r.legacy.inner = true
	last := int64(-1)
	for rest := set; ; {
		m, err := parseMessage(rest)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		last = m.offset
		rest = rest[m.size:]
		r.left++
	}
	if r.left == 0 {
		return fmt.Errorf("%w: compressed set is empty", ErrRecord)
	}
	if wrapper.magic == 1 && wrapper.offset != 0 {
		if wrapper.offset < last {
			return fmt.Errorf("%w: wrapper offset %d is below the last inner one, %d", ErrRecord, wrapper.offset, last)
		}
		r.legacy.baseOffset = wrapper.offset - last
	}
	return nil
}

func (buf *RecordsBuffer) nextLegacy() (bool, error) {
	r, rec := &buf.reader, &buf.record
	if len(r.rest) == 0 {
		return false, nil
	}
	m, err := parseMessage(r.rest)
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if r.legacy.inner {
		if m.codec() != CodecNone {
			return false, fmt.Errorf("%w: compressed message within a compressed one", ErrRecord)
		}
		if r.legacy.checkCRC {
			if err := CheckCRC(r.rest[:m.size]); err != nil {
				return false, err
			}
		}
		m.offset += r.legacy.baseOffset
	}
	if m.magic > 0 && r.header.Attributes&attrTimestampType != 0 {
		m.timestamp = r.header.MaxTimestamp
	}
	r.rest = r.rest[m.size:]
	*rec = Record{
		Offset:     m.offset,
		Timestamp:  m.timestamp,
		Key:        m.key,
		Value:      m.value,
		Sequence:   -1,
		Magic:      m.magic,
		Attributes: m.attributes,
		SizeBytes:  int32(m.size),
	}
	return true, nil
}
