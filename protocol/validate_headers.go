package protocol

import (
	"encoding/binary"
	"io"
)

// ShapeError refuses records by the rules that the version of a Produce request has for
// them, before the partition is looked at: the answer then knows no log start offset.
type ShapeError struct{ Err *Error }

func (e *ShapeError) Error() string { return e.Err.Error() }

// Unwrap returns the partition's error.
func (e *ShapeError) Unwrap() error { return e.Err }

func shapeError(code ErrorCode, format string, args ...any) error {
	return &ShapeError{Errorf(code, format, args...)}
}

// CheckProduceShape says what the version of a Produce request has against the records of a
// partition by their form alone; a [*ShapeError].
func CheckProduceShape(records []byte, version int16) error {
	if version < 3 {
		return nil
	}
	var h RecordBatch
	return checkRequest(records, version, &h)
}

// CheckFirstBatch says whether the records of a Produce request begin with a batch or
// message, as far as its size and magic tell, or with too little to say; a [*ShapeError].
func CheckFirstBatch(records []byte) error {
	if len(records) < BatchMagicPos+1 {
		return nil
	}
	if size := int32(binary.BigEndian.Uint32(records[8:])); size < 14 {
		return shapeError(ErrCorruptMessage, "Record size %d is less than the minimum record overhead (14)", size)
	}
	if magic := int8(records[BatchMagicPos]); magic < 0 || magic > 2 {
		return shapeError(ErrCorruptMessage, "Invalid magic found in record: %d", magic)
	}
	return nil
}

// checkRequest holds a Produce request of v3 or later to its one batch, whose header it
// stores in h.
func checkRequest(records []byte, version int16, h *RecordBatch) error {
	var rest []byte
	var err error
	*h, rest, err = nextBatch(records)
	if err == io.EOF {
		return shapeError(ErrInvalidRecord,
			"Produce requests with version %d must have at least one record batch per partition", version)
	}
	if err != nil {
		return &ShapeError{Errorf(ErrCorruptMessage, "%v", err)}
	}
	if h.Magic != 2 {
		return shapeError(ErrInvalidRecord,
			"Produce requests with version %d are only allowed to contain record batches with magic version 2", version)
	}
	if version < 7 && h.Codec() > CodecZstd {
		return shapeError(ErrUnknownServerError, "Unknown compression type id: %d", h.Codec())
	}
	if version < 7 && h.Codec() == CodecZstd {
		return shapeError(ErrUnsupportedCompressionType,
			"Produce requests with version %d are not allowed to use ZStandard compression", version)
	}
	if _, _, err = nextBatch(rest); err == nil {
		return shapeError(ErrInvalidRecord,
			"Produce requests with version %d are only allowed to contain exactly one record batch per partition", version)
	}
	if err != io.EOF {
		return &ShapeError{Errorf(ErrCorruptMessage, "%v", err)}
	}
	return nil
}

// batchSet is what the headers of all batches in a partition's produce data say.
type batchSet struct {
	first RecordBatch
	count int
	size  int   // of the whole batches, without a partial one at the end
	codec Codec // of the last batch that is compressed
}

// checkBatches checks each batch by itself: what Apache does before it takes the lock.
func checkBatches(records []byte, s *ValidateSettings, set *batchSet) error {
	for {
		h, _, err := nextBatch(records[set.size:])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return batchError(err)
		}
		first := set.first
		set.first = h
		err = set.check(records[set.size:], s)
		if set.count > 1 {
			set.first = first
		}
		if err != nil {
			return err
		}
	}
}

// check checks the batch at the start of b, whose header is in first, and adds it to the set.
func (set *batchSet) check(b []byte, s *ValidateSettings) error {
	h := &set.first
	if h.Magic >= 2 && s.Origin == OriginClient && h.BaseOffset != 0 {
		return Errorf(ErrInvalidRecord,
			"The baseOffset of the record batch in the append to %v should be 0, but it is %d", s.Partition, h.BaseOffset)
	}
	if err := checkSize(h.Size(), s); err != nil {
		return err
	}
	if err := CheckCRC(b[:h.Size()]); err != nil {
		return Errorf(ErrCorruptMessage, "Record is corrupt in topic partition %v: %v", s.Partition, err)
	}
	if h.Codec() > CodecZstd {
		return Errorf(ErrUnknownServerError, "Unknown compression type id: %d", h.Codec())
	}
	if h.Codec() != CodecNone {
		set.codec = h.Codec()
	}
	set.count++
	set.size += h.Size()
	return nil
}

func checkSize(size int, s *ValidateSettings) error {
	if s.MaxMessageBytes > 0 && size > int(s.MaxMessageBytes) {
		return Errorf(ErrMessageTooLarge,
			"The record batch size in the append to %v is %d bytes which exceeds the maximum configured value of %d.",
			s.Partition, size, s.MaxMessageBytes)
	}
	return nil
}

// checkHeader holds the header of a client's magic 2 batch to what only brokers may
// deviate from.
func checkHeader(h *RecordBatch, s *ValidateSettings) error {
	if s.Origin != OriginClient {
		return nil
	}
	fromOffsets := h.LastOffset() - h.BaseOffset + 1
	switch {
	case fromOffsets <= 0:
		return Errorf(ErrInvalidRecord, "Batch has an invalid offset range: [%d, %d] in topic partition %v",
			h.BaseOffset, h.LastOffset(), s.Partition)
	case h.RecordCount <= 0:
		return Errorf(ErrInvalidRecord, "Invalid reported count for record batch: %d in topic partition %v",
			h.RecordCount, s.Partition)
	case fromOffsets != int64(h.RecordCount):
		return Errorf(ErrInvalidRecord,
			"Inconsistent batch offset range [%d, %d] and count of records %d in topic partition %v",
			h.BaseOffset, h.LastOffset(), h.RecordCount, s.Partition)
	case h.IsControl():
		return Errorf(ErrInvalidRecord, "Clients are not allowed to write control records in topic partition %v", s.Partition)
	case h.HasProducerID() && h.BaseSequence < 0:
		return Errorf(ErrInvalidRecord, "Invalid sequence number %d in record batch with producerId %d in topic partition %v",
			h.BaseSequence, h.ProducerID, s.Partition)
	}
	return nil
}
