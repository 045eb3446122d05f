package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/barnabas-broker/barnabas/protocol/compress"
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
	Headers    []Header // for AppendBatch and from ReadRecords; a walk leaves them to AppendHeaders
	Sequence   int32    // -1 without a producer id
	Magic      int8     // of the record, which inside a hostile wrapper may not be the wrapper's
	Attributes int8     // no bit of it means anything in magic 2
	SizeBytes  int32    // as it stands in the batch, decompressed, with its own length field

	// rawHeaders is the count and headers as they stand in the batch, checked; nil for
	// none. A header may take two bytes there and takes 48 as a Header, so a small
	// compressed batch would become gigabytes if every walk made them.
	rawHeaders []byte
}

// AppendHeaders appends the headers of a Record that a walk gave to dst. They point where
// its other slices do.
func (r *Record) AppendHeaders(dst []Header) []Header {
	if r.rawHeaders == nil {
		return dst
	}
	count, n := varint(r.rawHeaders)
	b := r.rawHeaders[n:]
	for range count {
		var header Header
		header.Key, b, _ = varbytes(b)
		header.Value, b, _ = varbytes(b)
		dst = append(dst, header)
	}
	return dst
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
// see, and a window onto decompressed bytes. The zero value is ready; one
// goroutine at a time may use it. Reuse it, and walking allocates nothing.
type RecordsBuffer struct {
	// MaxDecompressedBytes bounds the decompressed size of one batch; 0 means
	// DefaultMaxDecompressedBytes.
	MaxDecompressedBytes int

	record Record
	window []byte
	spare  [1]byte
	reader recordReader
}

// maxKeptWindow is what a RecordsBuffer keeps at most when it goes back to the pool.
const maxKeptWindow = 1 << 20

var recordsBuffers = sync.Pool{New: func() any { return new(RecordsBuffer) }}

// trim lets go of unusually large memory.
func (buf *RecordsBuffer) trim() {
	if cap(buf.window) > maxKeptWindow {
		buf.window = nil
	}
}

// WalkRecords calls fn for each record of the batch at the start of b, whose header is h,
// decompressing if need be; h may come from ParseRecordBatch or, for any magic, from
// ParseBatch. fn gets the same Record each time, and an error of fn's ends the walk and
// is returned as it is. buf may be nil, and must not be in use by an outer walk.
//
// Every length is checked before it is believed. A compressed magic 2 batch is never in
// memory as a whole, only its largest record; a compressed legacy set is, up to the
// bound. CRCs are not looked at.
func WalkRecords(b []byte, h *RecordBatch, buf *RecordsBuffer, fn func(*Record) error) error {
	if buf == nil {
		buf = recordsBuffers.Get().(*RecordsBuffer)
		defer func() {
			buf.trim()
			recordsBuffers.Put(buf)
		}()
	}
	if err := buf.begin(b, h, false); err != nil {
		return err
	}
	defer buf.end()
	for {
		more, err := buf.next()
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
		if err := fn(&buf.record); err != nil {
			return err
		}
	}
}

// ReadRecords returns copies of all records of the batch at the start of b, of any
// magic. It is for tests and tools; paths that matter walk.
func ReadRecords(b []byte) ([]Record, error) {
	h, err := ParseBatch(b)
	if err != nil {
		return nil, err
	}
	var records []Record
	err = WalkRecords(b, &h, nil, func(r *Record) error {
		one := *r
		one.Key, one.Value, one.rawHeaders = bytes.Clone(r.Key), bytes.Clone(r.Value), nil
		one.Headers = r.AppendHeaders(nil)
		for i := range one.Headers {
			header := &one.Headers[i]
			header.Key, header.Value = bytes.Clone(header.Key), bytes.Clone(header.Value)
		}
		records = append(records, one)
		return nil
	})
	return records, err
}

// recordReader is where a walk through one batch stands. It is part of RecordsBuffer, so
// that a walk allocates nothing.
type recordReader struct {
	header RecordBatch
	left   int32            // records to come
	rest   []byte           // bytes not yet parsed: of the batch, or of the window
	source *compress.Reader // what refills the window; nil if rest is all there is
	skim   bool             // keys, values and headers are stepped over, not kept
	legacy legacyReader     // for magic 0 and 1
}

// begin starts a walk. With skim, records come without value and headers, and with a Key
// that only tells null from not null; no record then takes more memory than the window.
func (buf *RecordsBuffer) begin(b []byte, h *RecordBatch, skim bool) error {
	r := &buf.reader
	*r = recordReader{header: *h, skim: skim}
	if h.Size() > len(b) || h.Size() < 0 {
		return ErrBatchTruncated
	}
	if h.Magic < 2 {
		return buf.beginLegacy(b[:h.Size()])
	}
	if h.Magic > 2 {
		return fmt.Errorf("%w: %d", ErrBatchMagic, h.Magic)
	}
	if h.Size() < BatchOverhead {
		return ErrBatchLength
	}
	if h.RecordCount < 0 {
		return fmt.Errorf("%w: batch has a record count of %d", ErrRecord, h.RecordCount)
	}
	r.left = h.RecordCount
	r.rest = b[BatchOverhead:h.Size()]
	if r.left == 0 || h.Codec() == CodecNone {
		return nil
	}
	source, err := compress.NewReader(int8(h.Codec()), r.rest, buf.maxDecompressed())
	if err != nil {
		return decompressError(err)
	}
	r.source = source
	r.rest = nil
	if buf.window == nil {
		buf.window = make([]byte, 64<<10)
	}
	return nil
}

func (buf *RecordsBuffer) maxDecompressed() int {
	if buf.MaxDecompressedBytes > 0 {
		return buf.MaxDecompressedBytes
	}
	return DefaultMaxDecompressedBytes
}

// end gives back what begin took.
func (buf *RecordsBuffer) end() {
	if buf.reader.source != nil {
		buf.reader.source.Close()
	}
	buf.reader = recordReader{}
	buf.record = Record{}
}

// next parses the next record into buf.record, or returns false after the last one. At
// the last one it makes sure that nothing follows.
func (buf *RecordsBuffer) next() (bool, error) {
	r := &buf.reader
	if r.header.Magic < 2 {
		return buf.nextLegacy()
	}
	if r.left == 0 {
		return false, nil
	}
	if r.source == nil {
		n, err := buf.parseRecord(r.rest)
		if err != nil {
			return false, err
		}
		r.rest = r.rest[n:]
	} else if err := buf.nextCompressed(); err != nil {
		return false, err
	}
	r.left--
	if r.left == 0 {
		return true, buf.checkNothingLeft()
	}
	return true, nil
}

func (buf *RecordsBuffer) checkNothingLeft() error {
	r := &buf.reader
	if r.source != nil && len(r.rest) == 0 {
		// The record just parsed may lie in the window: this byte goes elsewhere.
		for {
			n, err := r.source.Read(buf.spare[:])
			if n > 0 {
				break
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return decompressError(err)
			}
		}
	} else if len(r.rest) == 0 {
		return nil
	}
	return fmt.Errorf("%w: bytes after the last of %d records", ErrRecord, r.header.RecordCount)
}

var (
	errRecordSize    = fmt.Errorf("%w: impossible size", ErrRecord)
	errRecordShort   = fmt.Errorf("%w: cut short", ErrRecord)
	errRecordLong    = fmt.Errorf("%w: size and content differ", ErrRecord)
	errRecordHeaders = fmt.Errorf("%w: impossible headers", ErrRecord)
)

// parseRecord parses the record at the start of b into buf.record and returns its size.
//
//	length          varint, of everything after itself
//	attributes      1
//	timestamp delta varlong
//	offset delta    varint
//	key length      varint, -1 is null; key
//	value length    varint, -1 is null; value
//	header count    varint; per header key length, key, value length (-1 is null), value
//
// Every record of every produced batch passes here. The compiler does not inline uvarint,
// so its frequent case, a single byte, is written out.
func (buf *RecordsBuffer) parseRecord(b []byte) (int, error) {
	size, n := uint32(0), 1
	if len(b) > 0 && b[0] < 0x80 {
		size = uint32(b[0])
	} else {
		size, n = longUvarint(b)
	}
	if n == 0 || size&1 != 0 || size < 2 {
		return 0, errRecordSize
	}
	body := int(size >> 1)
	if body > len(b)-n {
		return 0, errRecordShort
	}
	whole := n + body
	b = b[n:whole]

	rec := &buf.record
	rec.Attributes = int8(b[0])
	b = b[1:]
	var timestampDelta uint64
	n = 1
	if len(b) > 0 && b[0] < 0x80 {
		timestampDelta = uint64(b[0])
	} else {
		timestampDelta, n = longUvarlong(b)
	}
	if n == 0 {
		return 0, errRecordShort
	}
	b = b[n:]
	var offsetDelta uint32
	n = 1
	if len(b) > 0 && b[0] < 0x80 {
		offsetDelta = uint32(b[0])
	} else {
		offsetDelta, n = longUvarint(b)
	}
	if n == 0 {
		return 0, errRecordShort
	}
	b = b[n:]
	buf.place(zigzag64(timestampDelta), zigzag(offsetDelta), whole)

	// varbytes, twice, by hand.
	var keySize uint32
	n = 1
	if len(b) > 0 && b[0] < 0x80 {
		keySize = uint32(b[0])
	} else {
		keySize, n = longUvarint(b)
	}
	if n == 0 {
		return 0, errRecordShort
	}
	b = b[n:]
	if keySize&1 != 0 {
		rec.Key = nil
	} else {
		if int(keySize>>1) > len(b) {
			return 0, errRecordShort
		}
		rec.Key = b[: keySize>>1 : keySize>>1]
		b = b[keySize>>1:]
	}
	var valueSize uint32
	n = 1
	if len(b) > 0 && b[0] < 0x80 {
		valueSize = uint32(b[0])
	} else {
		valueSize, n = longUvarint(b)
	}
	if n == 0 {
		return 0, errRecordShort
	}
	b = b[n:]
	if valueSize&1 != 0 {
		rec.Value = nil
	} else {
		if int(valueSize>>1) > len(b) {
			return 0, errRecordShort
		}
		rec.Value = b[: valueSize>>1 : valueSize>>1]
		b = b[valueSize>>1:]
	}

	if rec.rawHeaders != nil {
		rec.rawHeaders = nil
	}
	if len(b) == 1 && b[0] == 0 {
		return whole, nil
	}
	rest, err := checkHeaders(b)
	if err != nil {
		return 0, err
	}
	if len(rest) != 0 {
		return 0, errRecordLong
	}
	rec.rawHeaders = b
	return whole, nil
}

// place fills in what follows from the deltas of a record.
func (buf *RecordsBuffer) place(timestampDelta int64, offsetDelta int32, size int) {
	h, rec := &buf.reader.header, &buf.record
	rec.Magic = 2
	rec.SizeBytes = int32(size)
	rec.Offset = h.BaseOffset + int64(offsetDelta)
	if h.Attributes&attrTimestampType != 0 {
		rec.Timestamp = h.MaxTimestamp
	} else {
		rec.Timestamp = h.BaseTimestamp + timestampDelta
	}
	rec.Sequence = -1
	if h.BaseSequence >= 0 {
		rec.Sequence = IncrementSequence(h.BaseSequence, offsetDelta)
	}
}

// checkHeaders steps over the headers at the start of b.
func checkHeaders(b []byte) ([]byte, error) {
	count, n := varint(b)
	if n <= 0 {
		return nil, errRecordShort
	}
	b = b[n:]
	// A header takes two bytes at least.
	if count < 0 || int(count) > len(b)/2 {
		return nil, errRecordHeaders
	}
	for range count {
		var key []byte
		var ok bool
		if key, b, ok = varbytes(b); !ok || key == nil {
			return nil, errRecordHeaders
		}
		if _, b, ok = varbytes(b); !ok {
			return nil, errRecordHeaders
		}
	}
	return b, nil
}
