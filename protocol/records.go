package protocol

import (
	"errors"
	"fmt"
)

// Header is one key and value that a producer attached to a record. The key is UTF-8 and
// never null; a nil value is a null one.
type Header struct {
	Key   []byte
	Value []byte
}

// Record is one record of a batch, parsed. Its slices point into the batch, or into a
// RecordsBuffer if the batch was compressed, and are good only until the callback that
// was given the Record returns.
type Record struct {
	Offset     int64
	Timestamp  int64 // the batch's max timestamp if its type is LogAppendTime; -1 for magic 0
	Key        []byte
	Value      []byte   // nil is null, a tombstone
	Headers    []Header // magic 2 only
	Sequence   int32    // -1 without a producer id
	Magic      int8     // of the record, which inside a hostile wrapper may not be the wrapper's
	Attributes int8     // always 0 in magic 2
	SizeBytes  int32    // as it stands in the batch, decompressed, with its own length field
}

// DefaultMaxDecompressedBytes is how many bytes the records of one batch may have when
// decompressed, unless a caller says otherwise: what socket.request.max.bytes lets
// through uncompressed. Kafka has no such bound and decompresses bombs to their end.
const DefaultMaxDecompressedBytes = 100 << 20

// Errors of walking records. All of them mean INVALID_RECORD to a producer, but for
// ErrDecompress, which is UNKNOWN_SERVER_ERROR there as Apache has it, and
// ErrDecompressedSize, which is MESSAGE_TOO_LARGE.
var (
	ErrRecord           = errors.New("record is malformed")
	ErrDecompress       = errors.New("records cannot be decompressed")
	ErrDecompressedSize = errors.New("records are larger than allowed when decompressed")
)

// RecordsBuffer is the memory that walking records needs: the one Record that callbacks
// see, its headers, and a window onto decompressed bytes. The zero value is ready; one
// goroutine at a time may use it. Reuse it, and walking allocates nothing.
type RecordsBuffer struct {
	// MaxDecompressedBytes bounds the decompressed size of one batch; 0 means
	// DefaultMaxDecompressedBytes.
	MaxDecompressedBytes int

	record  Record
	headers []Header
	window  []byte
}

// WalkRecords calls fn for each record of the batch at the start of b, whose header is h,
// decompressing if need be; h may come from ParseRecordBatch or, for any magic, from
// ParseBatch. fn gets the same Record each time, and an error of fn's ends the walk and
// is returned as it is. buf may be nil.
//
// Every length is checked before it is believed. A compressed batch is never in memory
// as a whole, only its largest record. The CRC is not looked at.
func WalkRecords(b []byte, h *RecordBatch, buf *RecordsBuffer, fn func(*Record) error) error {
	panic("not written yet")
}

// ReadRecords returns copies of all records of the batch at the start of b, of any
// magic. It is for tests and tools; paths that matter walk.
func ReadRecords(b []byte) ([]Record, error) {
	panic("not written yet")
}

var _ = fmt.Errorf
