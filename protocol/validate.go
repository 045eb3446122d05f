package protocol

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
	TimestampBeforeMaxMs int64 // message.timestamp.before.max.ms
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
func (r *ValidateResult) Assign(firstOffset int64, leaderEpoch int32) { panic("not written yet") }

// Validator checks records before they are appended, as Apache's LogValidator does and
// in its order. It keeps scratch memory: one goroutine at a time, many calls.
type Validator struct {
	// MaxDecompressedBytes bounds what the records of a batch may decompress to; 0 means
	// DefaultMaxDecompressedBytes.
	MaxDecompressedBytes int
	// SkipRecords leaves the records of magic 2 batches that need no rewriting unread:
	// the header and the CRC are believed. What a consumer will make of the records is
	// then the producer's affair. Compacted topics are always read.
	SkipRecords bool

	buf RecordsBuffer
}

// RecordError says what is wrong with one record of a refused batch.
type RecordError struct {
	BatchIndex int32 // place of the record in the batch
	Message    string
}

// InvalidRecordsError refuses a batch for some of its records. Unwrap yields the *Error
// for the partition, so errors.As finds that and the code; Produce v8 and later send the
// records too.
type InvalidRecordsError struct {
	Err     *Error
	Records []RecordError
}

func (e *InvalidRecordsError) Error() string { return e.Err.Error() }

// Unwrap returns the partition's error.
func (e *InvalidRecordsError) Unwrap() error { return e.Err }

// Validate checks records, and returns the bytes to append with offsets from
// s.FirstOffset: the input itself, patched, if nothing more than its header must change.
// Errors carry the code a Produce response gives: *Error or *InvalidRecordsError.
func (v *Validator) Validate(records []byte, s ValidateSettings) (ValidateResult, error) {
	panic("not written yet")
}
