package protocol

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

// BatchBuilder writes one magic 2 batch at a time. The zero value is ready for Reset; it
// keeps its scratch memory from batch to batch. One goroutine at a time may use it.
type BatchBuilder struct {
	dst     []byte
	start   int
	opts    BatchOptions
	records []byte
}

// Reset starts a batch that Finish will append to dst.
func (w *BatchBuilder) Reset(dst []byte, opts BatchOptions) { panic("not written yet") }

// Append adds a record at the next offset.
func (w *BatchBuilder) Append(timestamp int64, key, value []byte, headers ...Header) error {
	panic("not written yet")
}

// AppendAt adds a record at an offset of the caller's, greater than the one before.
func (w *BatchBuilder) AppendAt(offset, timestamp int64, key, value []byte, headers []Header) error {
	panic("not written yet")
}

// Count is the number of records so far.
func (w *BatchBuilder) Count() int { panic("not written yet") }

// Size is what the batch would measure if finished now and not compressed.
func (w *BatchBuilder) Size() int { panic("not written yet") }

// SetLastOffset makes the batch end at offset though its last record is an earlier one,
// as compaction needs.
func (w *BatchBuilder) SetLastOffset(offset int64) { panic("not written yet") }

// Finish compresses, writes the header, and returns dst with the batch appended. A batch
// without records comes out as a header alone, which only compaction may write.
func (w *BatchBuilder) Finish() ([]byte, error) { panic("not written yet") }

// AppendBatch appends one batch with the given records, their offsets counted from
// opts.BaseOffset, to dst. Of the records only Timestamp, Key, Value and Headers count.
func AppendBatch(dst []byte, opts BatchOptions, records ...Record) ([]byte, error) {
	panic("not written yet")
}
