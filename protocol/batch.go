package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Codec is the compression of a record batch or message set, as its attributes carry it.
type Codec int8

// The codecs of Kafka's record formats.
const (
	CodecNone   Codec = 0
	CodecGzip   Codec = 1
	CodecSnappy Codec = 2
	CodecLZ4    Codec = 3
	CodecZstd   Codec = 4
)

// TimestampType says who set the timestamps of a batch.
type TimestampType int8

// The timestamp types. Magic 0 has none.
const (
	CreateTime    TimestampType = 0
	LogAppendTime TimestampType = 1
)

// Sizes and places in a magic 2 record batch. All integers are big-endian.
//
//	 0 base offset            8    outside the CRC, set by the broker
//	 8 batch length           4    of everything after itself
//	12 partition leader epoch 4    outside the CRC, set by the broker
//	16 magic                  1    2
//	17 CRC-32C                4    over everything from 21 on
//	21 attributes             2    codec 0-2, timestamp type 3, transactional 4, control 5, delete horizon 6
//	23 last offset delta      4
//	27 base timestamp         8    the delete horizon if attribute bit 6 is set
//	35 max timestamp          8
//	43 producer id            8
//	51 producer epoch         2
//	53 base sequence          4
//	57 record count           4
//	61 records
const (
	BatchOverhead     = 61 // header bytes of a magic 2 batch
	BatchLogOverhead  = 12 // base offset and batch length, common to all magics
	BatchMagicPos     = 16 // place of the magic byte, common to all magics
	batchLengthPos    = 8
	batchEpochPos     = 12
	batchCRCPos       = 17
	batchAttrPos      = 21
	batchLastDeltaPos = 23
	batchBaseTimePos  = 27
	batchMaxTimePos   = 35
	batchPIDPos       = 43
	batchPEpochPos    = 51
	batchSeqPos       = 53
	batchCountPos     = 57
)

// Attribute bits of a magic 2 batch.
const (
	attrCodecMask     = 0x07
	attrTimestampType = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Errors of record batch parsing. All of them mean CORRUPT_MESSAGE to a producer.
var (
	ErrBatchTruncated = errors.New("record batch is cut short")
	ErrBatchLength    = errors.New("record batch length is impossible")
	ErrBatchMagic     = errors.New("record batch magic is unknown")
	ErrBatchCRC       = errors.New("record batch checksum does not match")
)

// RecordBatch is the header of a magic 2 record batch, parsed, over the bytes it came
// from. The records themselves stay bytes.
type RecordBatch struct {
	BaseOffset      int64
	Length          int32 // of everything after the length field
	LeaderEpoch     int32
	Magic           int8
	CRC             uint32
	Attributes      int16
	LastOffsetDelta int32
	BaseTimestamp   int64
	MaxTimestamp    int64
	ProducerID      int64
	ProducerEpoch   int16
	BaseSequence    int32
	RecordCount     int32
}

// Size is the whole batch in bytes, with its base offset and length fields.
func (b *RecordBatch) Size() int { return BatchLogOverhead + int(b.Length) }

// LastOffset is the offset of the last record the batch was written with.
func (b *RecordBatch) LastOffset() int64 { return b.BaseOffset + int64(b.LastOffsetDelta) }

// NextOffset is one past LastOffset.
func (b *RecordBatch) NextOffset() int64 { return b.LastOffset() + 1 }

// Codec is the compression of the records.
func (b *RecordBatch) Codec() Codec { return Codec(b.Attributes & attrCodecMask) }

// TimestampType says who set the timestamps.
func (b *RecordBatch) TimestampType() TimestampType {
	return TimestampType(b.Attributes & attrTimestampType >> 3)
}

// IsTransactional says whether the batch belongs to a transaction.
func (b *RecordBatch) IsTransactional() bool { return b.Attributes&attrTransactional != 0 }

// IsControl says whether the batch holds a commit or abort marker instead of records.
func (b *RecordBatch) IsControl() bool { return b.Attributes&attrControl != 0 }

// DeleteHorizon returns the time after which compaction may drop the tombstones of the
// batch, if one has been set (KIP-534); it is then kept in the base timestamp field.
func (b *RecordBatch) DeleteHorizon() (ms int64, ok bool) {
	return b.BaseTimestamp, b.Attributes&attrDeleteHorizon != 0
}

// HasProducerID says whether the batch came from an idempotent producer.
func (b *RecordBatch) HasProducerID() bool { return b.ProducerID >= 0 }

// LastSequence is the sequence of the last record, wrapping as Kafka's does, or -1.
func (b *RecordBatch) LastSequence() int32 {
	if b.BaseSequence < 0 {
		return -1
	}
	return IncrementSequence(b.BaseSequence, b.LastOffsetDelta)
}

// IncrementSequence adds to a sequence number; after 2147483647 comes 0.
func IncrementSequence(sequence, by int32) int32 {
	if sequence > 1<<31-1-by {
		return by - (1<<31 - 1 - sequence) - 1
	}
	return sequence + by
}

// MayBeTransactional looks at the attributes alone of what may be a magic 2 batch: false
// means that b is no transactional batch.
func MayBeTransactional(b []byte) bool {
	return len(b) >= BatchOverhead && b[BatchMagicPos] == 2 && b[batchAttrPos+1]&attrTransactional != 0
}

// HasUnknownCodec says whether b begins with a batch of magic 2 whose codec is none of
// Kafka's. It looks at two bytes.
func HasUnknownCodec(b []byte) bool {
	return len(b) >= BatchOverhead && b[BatchMagicPos] == 2 && Codec(b[batchAttrPos+1]&attrCodecMask) > CodecZstd
}

// PeekBatch reads the base offset, magic and whole size of the batch or legacy message
// at the start of b, of any magic; 17 bytes suffice. The size may exceed len(b).
func PeekBatch(b []byte) (baseOffset int64, magic int8, size int, err error) {
	if len(b) < BatchMagicPos+1 {
		return 0, 0, 0, ErrBatchTruncated
	}
	baseOffset = int64(binary.BigEndian.Uint64(b))
	length := int32(binary.BigEndian.Uint32(b[batchLengthPos:]))
	magic = int8(b[BatchMagicPos])
	least := int32(14) // a magic 0 message without key and value
	if magic >= 2 {
		least = BatchOverhead - BatchLogOverhead
	}
	if length < least {
		return 0, 0, 0, fmt.Errorf("%w: %d", ErrBatchLength, length)
	}
	return baseOffset, magic, BatchLogOverhead + int(length), nil
}

// ParseRecordBatch reads the header at the start of b, whose magic must be 2. It does
// not look at the records and does not check the CRC; the batch may be longer than b.
func ParseRecordBatch(b []byte) (RecordBatch, error) {
	var h RecordBatch
	if len(b) < BatchOverhead {
		return h, ErrBatchTruncated
	}
	if b[BatchMagicPos] != 2 {
		return h, fmt.Errorf("%w: %d", ErrBatchMagic, int8(b[BatchMagicPos]))
	}
	be := binary.BigEndian
	h = RecordBatch{
		BaseOffset:      int64(be.Uint64(b)),
		Length:          int32(be.Uint32(b[batchLengthPos:])),
		LeaderEpoch:     int32(be.Uint32(b[batchEpochPos:])),
		Magic:           2,
		CRC:             be.Uint32(b[batchCRCPos:]),
		Attributes:      int16(be.Uint16(b[batchAttrPos:])),
		LastOffsetDelta: int32(be.Uint32(b[batchLastDeltaPos:])),
		BaseTimestamp:   int64(be.Uint64(b[batchBaseTimePos:])),
		MaxTimestamp:    int64(be.Uint64(b[batchMaxTimePos:])),
		ProducerID:      int64(be.Uint64(b[batchPIDPos:])),
		ProducerEpoch:   int16(be.Uint16(b[batchPEpochPos:])),
		BaseSequence:    int32(be.Uint32(b[batchSeqPos:])),
		RecordCount:     int32(be.Uint32(b[batchCountPos:])),
	}
	if h.Length < BatchOverhead-BatchLogOverhead {
		return h, fmt.Errorf("%w: %d", ErrBatchLength, h.Length)
	}
	return h, nil
}

// AppendHeader appends the 61 header bytes of b to dst, its fields as they are.
func (b *RecordBatch) AppendHeader(dst []byte) []byte {
	be := binary.BigEndian
	dst = be.AppendUint64(dst, uint64(b.BaseOffset))
	dst = be.AppendUint32(dst, uint32(b.Length))
	dst = be.AppendUint32(dst, uint32(b.LeaderEpoch))
	dst = append(dst, byte(b.Magic))
	dst = be.AppendUint32(dst, b.CRC)
	dst = be.AppendUint16(dst, uint16(b.Attributes))
	dst = be.AppendUint32(dst, uint32(b.LastOffsetDelta))
	dst = be.AppendUint64(dst, uint64(b.BaseTimestamp))
	dst = be.AppendUint64(dst, uint64(b.MaxTimestamp))
	dst = be.AppendUint64(dst, uint64(b.ProducerID))
	dst = be.AppendUint16(dst, uint16(b.ProducerEpoch))
	dst = be.AppendUint32(dst, uint32(b.BaseSequence))
	return be.AppendUint32(dst, uint32(b.RecordCount))
}

// BatchCRC computes the CRC-32C of the whole magic 2 batch in b.
func BatchCRC(b []byte) uint32 { return crc32.Checksum(b[batchAttrPos:], castagnoli) }

// CheckBatchCRC verifies the stored CRC of the whole magic 2 batch in b.
func CheckBatchCRC(b []byte) error {
	if len(b) < BatchOverhead {
		return ErrBatchTruncated
	}
	if stored, computed := binary.BigEndian.Uint32(b[batchCRCPos:]), BatchCRC(b); stored != computed {
		return fmt.Errorf("%w: stored %#08x, computed %#08x", ErrBatchCRC, stored, computed)
	}
	return nil
}

// SetBatchOffset patches base offset and leader epoch of the magic 2 batch in b. Both
// lie outside the CRC.
func SetBatchOffset(b []byte, baseOffset int64, leaderEpoch int32) {
	binary.BigEndian.PutUint64(b, uint64(baseOffset))
	binary.BigEndian.PutUint32(b[batchEpochPos:], uint32(leaderEpoch))
}

// SetBatchTimestamp patches timestamp type and max timestamp of the magic 2 batch in b
// and recomputes its CRC, which covers them.
func SetBatchTimestamp(b []byte, typ TimestampType, maxTimestamp int64) {
	attr := binary.BigEndian.Uint16(b[batchAttrPos:])
	attr &^= attrTimestampType
	if typ == LogAppendTime {
		attr |= attrTimestampType
	}
	binary.BigEndian.PutUint16(b[batchAttrPos:], attr)
	binary.BigEndian.PutUint64(b[batchMaxTimePos:], uint64(maxTimestamp))
	binary.BigEndian.PutUint32(b[batchCRCPos:], BatchCRC(b))
}
