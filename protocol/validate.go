package protocol

import (
	"fmt"
	"io"
)

// Origin says where records to append come from, which decides what they may be.
type Origin int8

// The origins.
const (
	OriginClient      Origin = iota // a Produce request: nothing is trusted
	OriginCoordinator               // our own group and transaction coordinators: may write control batches
	OriginReplica                   // a leader's log, by fetching: offsets are taken as they are
)

// ValidateSettings are the rules that produced records must keep, from the request, the
// topic and the moment.
type ValidateSettings struct {
	Partition            TopicPartition // for messages only
	RequestVersion       int16          // of Produce; below 3 any magic is welcome
	Origin               Origin
	TargetCodec          Codec // CodecProducer keeps what came
	CodecLevel           int   // 0 is the codec's default
	TimestampType        TimestampType
	TimestampBeforeMaxMs int64 // message.timestamp.before.max.ms; math.MaxInt64 for no limit
	TimestampAfterMaxMs  int64 // message.timestamp.after.max.ms
	MaxMessageBytes      int32 // max.message.bytes; 0 is no limit
	CompactedTopic       bool  // every record needs a key
	NowMs                int64
	FirstOffset          int64
	LeaderEpoch          int32
}

// CodecProducer as a target codec keeps the codec that the producer chose.
const CodecProducer Codec = -1

// ValidateResult is what was found, and the bytes to append.
type ValidateResult struct {
	// Batches is the input, patched in place and cut after its last whole batch, or
	// rewritten bytes that the Validator owns until its next call. It is one magic 2
	// batch but for OriginReplica; empty if the input held no whole batch, which Produce
	// below version 3 may.
	Batches   []byte
	Rewritten bool
	Header    RecordBatch // of the batch in Batches (the last one, for OriginReplica)

	RecordCount                 int64
	FirstOffset                 int64 // -1 if there are no records
	LastOffset                  int64
	MaxTimestamp                int64 // -1 if no record has one
	ShallowOffsetOfMaxTimestamp int64 // last offset of the batch with MaxTimestamp; -1 without one
	LogAppendTimeMs             int64 // -1 unless the topic's timestamp type is LogAppendTime
}

// Assign gives the validated batch another first offset and leader epoch. Both lie
// outside the CRC, so a log may validate before it takes its lock and assign under it.
// Not for OriginReplica.
func (r *ValidateResult) Assign(firstOffset int64, leaderEpoch int32) {
	if len(r.Batches) == 0 {
		return
	}
	SetBatchOffset(r.Batches, firstOffset, leaderEpoch)
	r.Header.BaseOffset = firstOffset
	r.Header.LeaderEpoch = leaderEpoch
	r.FirstOffset = firstOffset
	r.LastOffset = r.Header.LastOffset()
	if r.MaxTimestamp >= 0 {
		r.ShallowOffsetOfMaxTimestamp = r.LastOffset
	}
}

// Validator checks records before they are appended, as Apache's LogValidator and what
// runs before it do, and in their order:
//
//  1. of the request: a batch is there, of magic 2, not zstd below v7, and the only one
//     (Produce v3 and later);
//  2. of every batch: base offset 0, size, CRC, codec;
//  3. of the only batch: offset range and record count, no control batch, a sequence;
//  4. of every record: it parses, has a key on a compacted topic, and a timestamp in
//     the topic's window.
//
// Two things are stricter than Apache: what a batch may decompress to is bounded, and an
// uncompressed batch whose offset deltas are not 0, 1, 2, … is rewritten as a compressed
// one would be, where Apache stores it.
//
// A Validator keeps scratch memory: one goroutine at a time, many calls. Of a compressed
// batch that needs no rewriting only a window is ever in memory; other batches are, with
// their decompressed records, up to the bound.
type Validator struct {
	// MaxDecompressedBytes bounds what the records of a batch may decompress to; 0 means
	// DefaultMaxDecompressedBytes.
	MaxDecompressedBytes int
	// SkipRecords leaves the records of magic 2 batches that need no rewriting unread:
	// the header and the CRC are believed. What a consumer will make of the records is
	// then the producer's affair. Compacted topics are always read.
	SkipRecords bool

	buf      RecordsBuffer
	builder  BatchBuilder
	producer Producer // that the builder is told of
	out      []byte   // memory of rewritten batches

	// About the call under way.
	maxTimestamp int64
	count        int64 // of records, good ones
	sequential   bool  // offsets count up from the base offset
	errs         *recordErrors
}

// Validate checks records, and returns the bytes to append with offsets from
// s.FirstOffset: the input itself, patched, if nothing more than its header must change.
// Errors carry the code a Produce response gives: *Error, *InvalidRecordsError or *ShapeError.
func (v *Validator) Validate(records []byte, s ValidateSettings) (ValidateResult, error) {
	if s.Origin == OriginReplica {
		return v.validateReplicated(records)
	}
	var set batchSet
	var err error
	if s.Origin == OriginClient && s.RequestVersion >= 3 {
		if err := checkRequest(records, s.RequestVersion, &set.first); err != nil {
			return ValidateResult{}, err
		}
		err = set.check(records, &s)
	} else {
		err = checkBatches(records, &s, &set)
	}
	if err != nil {
		return ValidateResult{}, err
	}
	if set.count == 0 {
		return ValidateResult{FirstOffset: -1, LastOffset: -1, MaxTimestamp: -1,
			ShallowOffsetOfMaxTimestamp: -1, LogAppendTimeMs: -1}, nil
	}
	if set.count > 1 && (set.first.Magic >= 2 || set.codec != CodecNone) {
		return ValidateResult{}, Errorf(ErrInvalidRecord, "Compressed outer record has more than one batch")
	}

	v.buf.MaxDecompressedBytes = v.MaxDecompressedBytes
	v.maxTimestamp, v.count, v.sequential, v.errs = -1, 0, true, nil
	defer v.finish()
	if s.TargetCodec == CodecProducer {
		s.TargetCodec = set.codec
	}
	if set.first.Magic < 2 {
		return v.convert(records[:set.size], &set, &s)
	}
	if err := checkHeader(&set.first, &s); err != nil {
		return ValidateResult{}, err
	}
	inPlace := set.codec == s.TargetCodec || set.codec == CodecNone && set.first.IsControl()
	if !inPlace {
		return v.rewrite(records[:set.size], &set, &s)
	}
	if v.SkipRecords && !s.CompactedTopic {
		if err := v.trustHeader(&set.first, &s); err != nil {
			return ValidateResult{}, err
		}
	} else {
		if err := v.walk(records, &set.first, &s, false); err != nil {
			return ValidateResult{}, err
		}
		if !v.sequential && !set.first.IsControl() {
			v.maxTimestamp, v.count = -1, 0
			return v.rewrite(records[:set.size], &set, &s)
		}
	}
	return v.patch(records[:set.size], &set.first, &s), nil
}

// finish lets go of unusually large memory.
func (v *Validator) finish() {
	v.buf.trim()
	v.errs = nil
	v.builder.dst = nil // of a batch that failed
	if cap(v.builder.scratch) > maxKeptWindow {
		v.builder.scratch = nil
	}
}

// trustHeader does for SkipRecords what walk does for every record, as far as the header
// can tell.
func (v *Validator) trustHeader(h *RecordBatch, s *ValidateSettings) error {
	v.count = int64(h.RecordCount)
	v.maxTimestamp = max(h.MaxTimestamp, -1)
	if code, message := checkTimestamp(h, h.MaxTimestamp, h.LastOffset(), s); code != None {
		return Errorf(code, "%s", message)
	}
	return nil
}

// walk checks every record of the batch at the start of b, and with build adds it to the
// batch that is being built.
func (v *Validator) walk(b []byte, h *RecordBatch, s *ValidateSettings, build bool) error {
	if err := v.buf.begin(b, h, !build); err != nil {
		return recordsError(err, s)
	}
	defer v.buf.end()
	v.buf.reader.legacy.checkCRC = true
	r := &v.buf.record
	for index := int32(0); ; index++ {
		more, err := v.buf.next()
		if err != nil {
			return recordsError(err, s)
		}
		if !more {
			break
		}
		if r.Magic != h.Magic {
			v.refuse(index, ErrInvalidRecord, fmt.Sprintf("Record's magic %d does not match outer magic %d in topic partition %v",
				r.Magic, h.Magic, s.Partition))
			continue
		}
		if s.CompactedTopic && r.Key == nil {
			v.refuse(index, ErrInvalidRecord,
				"Compacted topic cannot accept message without key in topic partition "+s.Partition.String())
			continue
		}
		if code, message := checkTimestamp(h, r.Timestamp, r.Offset, s); code != None {
			v.refuse(index, code, message)
			continue
		}
		if v.errs != nil {
			continue
		}
		if h.Magic >= 2 && r.Offset != h.BaseOffset+int64(index) {
			v.sequential = false
		}
		if h.Magic > 0 {
			v.maxTimestamp = max(v.maxTimestamp, r.Timestamp)
		}
		v.count++
		if build {
			if err := v.builder.AppendWalked(v.builder.lastOffset+1, r); err != nil {
				return recordsError(err, s)
			}
		}
	}
	return v.errs.err()
}

// checkTimestamp holds one record's timestamp to the topic's rules. On a topic that takes
// the producer's time, a batch that claims LogAppendTime has its max timestamp looked at
// like any other; the claim is erased later.
func checkTimestamp(h *RecordBatch, timestamp, offset int64, s *ValidateSettings) (ErrorCode, string) {
	if s.TimestampType == CreateTime && timestamp != -1 {
		// As in Apache, the difference may wrap for absurd timestamps.
		if diff := s.NowMs - timestamp; diff > s.TimestampBeforeMaxMs || -diff > s.TimestampAfterMaxMs {
			return ErrInvalidTimestamp, fmt.Sprintf(
				"Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]",
				timestamp, offset, s.NowMs-s.TimestampBeforeMaxMs, s.NowMs+s.TimestampAfterMaxMs)
		}
	} else if h.Magic > 0 && h.TimestampType() == LogAppendTime {
		return ErrInvalidTimestamp, fmt.Sprintf("Invalid timestamp type in message with offset %d. "+
			"Producer should not set timestamp type to LogAppendTime.", offset)
	}
	return None, ""
}

// patch assigns offset, epoch and timestamp in the batch b itself.
func (v *Validator) patch(b []byte, h *RecordBatch, s *ValidateSettings) ValidateResult {
	maxTimestamp := v.maxTimestamp
	if s.TimestampType == LogAppendTime {
		maxTimestamp = s.NowMs
	}
	if h.TimestampType() != s.TimestampType || h.MaxTimestamp != maxTimestamp {
		SetBatchTimestamp(b, s.TimestampType, maxTimestamp)
		*h, _ = ParseRecordBatch(b) // it parsed before
	}
	return v.result(b, h, s, false)
}

// result is what was found of the finished batch b, whose records have been counted.
func (v *Validator) result(b []byte, h *RecordBatch, s *ValidateSettings, rewritten bool) ValidateResult {
	r := ValidateResult{Batches: b, Rewritten: rewritten, RecordCount: v.count, MaxTimestamp: v.maxTimestamp,
		ShallowOffsetOfMaxTimestamp: -1, LogAppendTimeMs: -1}
	if s.TimestampType == LogAppendTime {
		r.LogAppendTimeMs = s.NowMs
		r.MaxTimestamp = s.NowMs
	}
	r.Header = *h
	r.Assign(s.FirstOffset, s.LeaderEpoch)
	return r
}

// rewrite validates a magic 2 batch and builds a new one of its records, in the target
// codec and with offsets in a row.
func (v *Validator) rewrite(b []byte, set *batchSet, s *ValidateSettings) (ValidateResult, error) {
	h := &set.first
	opts := v.options(s)
	opts.Transactional = h.IsTransactional()
	opts.Control = h.IsControl()
	if h.HasProducerID() {
		v.producer = Producer{ID: h.ProducerID, Epoch: h.ProducerEpoch, BaseSequence: h.BaseSequence}
		opts.Producer = &v.producer
	}
	v.builder.Reset(v.out[:0], opts)
	if err := v.walk(b, h, s, true); err != nil {
		return ValidateResult{}, err
	}
	if h.HasProducerID() && h.ProducerEpoch < 0 {
		return ValidateResult{}, Errorf(ErrUnknownServerError, "Invalid negative producer epoch")
	}
	return v.rebuilt(s)
}

// convert validates a message set of magic 0 or 1 and builds one batch of all its
// records.
func (v *Validator) convert(set []byte, head *batchSet, s *ValidateSettings) (ValidateResult, error) {
	v.builder.Reset(v.out[:0], v.options(s))
	for len(set) > 0 {
		h, rest, err := nextBatch(set)
		if err != nil {
			return ValidateResult{}, batchError(err)
		}
		if h.Magic != head.first.Magic {
			return ValidateResult{}, Errorf(ErrInvalidRecord,
				"Batch magic %d is not the same as the first batch's magic byte %d in topic partition %v",
				h.Magic, head.first.Magic, s.Partition)
		}
		if err := v.walk(set, &h, s, true); err != nil {
			return ValidateResult{}, err
		}
		set = rest
	}
	return v.rebuilt(s)
}

func (v *Validator) options(s *ValidateSettings) BatchOptions {
	return BatchOptions{
		BaseOffset:      s.FirstOffset,
		LeaderEpoch:     s.LeaderEpoch,
		Codec:           s.TargetCodec,
		Level:           s.CodecLevel,
		TimestampType:   s.TimestampType,
		LogAppendTimeMs: s.NowMs,
	}
}

func (v *Validator) rebuilt(s *ValidateSettings) (ValidateResult, error) {
	b, err := v.builder.Finish()
	v.out = b[:0]
	if cap(b) > maxKeptWindow {
		v.out = nil // b lives on in the result
	}
	if err != nil {
		return ValidateResult{}, recordsError(err, s)
	}
	if err := checkSize(len(b), s); err != nil {
		return ValidateResult{}, err
	}
	h, err := ParseRecordBatch(b)
	return v.result(b, &h, s, true), err
}

// validateReplicated checks batches that a leader has already numbered: sizes, CRCs and
// offsets that go up. They may be of any magic, and any number.
func (v *Validator) validateReplicated(records []byte) (ValidateResult, error) {
	r := ValidateResult{FirstOffset: -1, LastOffset: -1, MaxTimestamp: -1,
		ShallowOffsetOfMaxTimestamp: -1, LogAppendTimeMs: -1}
	size := 0
	for {
		batch := records[size:]
		h, _, err := nextBatch(batch)
		if err == io.EOF {
			break
		}
		if err != nil {
			return ValidateResult{}, batchError(err)
		}
		if err := CheckCRC(batch[:h.Size()]); err != nil {
			return ValidateResult{}, Errorf(ErrCorruptMessage, "%v", err)
		}
		if size > 0 && h.LastOffset() <= r.LastOffset || h.LastOffset() < h.BaseOffset {
			return ValidateResult{}, Errorf(ErrUnknownServerError, "out of order offsets: %d after %d", h.LastOffset(), r.LastOffset)
		}
		if size == 0 {
			r.FirstOffset = h.BaseOffset
		}
		r.LastOffset = h.LastOffset()
		if h.MaxTimestamp > r.MaxTimestamp {
			r.MaxTimestamp, r.ShallowOffsetOfMaxTimestamp = h.MaxTimestamp, h.LastOffset()
		}
		if h.RecordCount > 0 {
			r.RecordCount += int64(h.RecordCount)
		}
		r.Header = h
		size += h.Size()
	}
	r.Batches = records[:size]
	return r, nil
}
