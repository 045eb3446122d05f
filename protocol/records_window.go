package protocol

import (
	"errors"
	"fmt"
	"io"

	"github.com/barnabas-broker/barnabas/protocol/compress"
)

// nextCompressed parses the next record out of the window, refilled and grown as needed.
func (buf *RecordsBuffer) nextCompressed() error {
	if err := buf.want(maxVarintBytes); err != nil {
		return err
	}
	size, n := varint(buf.reader.rest)
	if n <= 0 || size < 0 {
		return errRecordSize
	}
	whole := n + int(size)
	if buf.reader.skim && whole > len(buf.window) {
		return buf.skimLarge(n, int(size))
	}
	if err := buf.want(whole); err != nil {
		return err
	}
	n, err := buf.parseRecord(buf.reader.rest)
	if err != nil {
		return err
	}
	buf.reader.rest = buf.reader.rest[n:]
	return nil
}

// want makes at least n bytes parseable if the batch has that many. The window grows
// with the bytes that come, not with what a length claims.
func (buf *RecordsBuffer) want(n int) error {
	r := &buf.reader
	if len(r.rest) >= n || r.source == nil {
		return nil
	}
	have := copy(buf.window, r.rest)
	for have < n {
		if have == len(buf.window) {
			larger := make([]byte, 2*len(buf.window))
			copy(larger, buf.window)
			buf.window = larger
		}
		got, err := r.source.Read(buf.window[have:])
		have += got
		if err == io.EOF {
			break
		}
		if err != nil {
			r.rest = buf.window[:have]
			return decompressError(err)
		}
	}
	r.rest = buf.window[:have]
	return nil
}

func decompressError(err error) error {
	if errors.Is(err, compress.ErrTooLarge) {
		return ErrDecompressedSize
	}
	return fmt.Errorf("%w: %w", ErrDecompress, err)
}

// skimLarge steps over a record that is larger than the window, whose length field takes
// n bytes and says size. It keeps what place keeps, and whether there is a key.
func (buf *RecordsBuffer) skimLarge(n, size int) error {
	rec := &buf.record
	buf.reader.rest = buf.reader.rest[n:]
	left := size
	field := func() (int32, error) {
		if err := buf.want(maxVarintBytes); err != nil {
			return 0, err
		}
		v, n := varint(buf.reader.rest)
		if n <= 0 || n > left {
			return 0, errRecordShort
		}
		buf.reader.rest = buf.reader.rest[n:]
		left -= n
		return v, nil
	}
	skip := func(n int32) error {
		if n <= 0 {
			return nil
		}
		if int(n) > left {
			return errRecordShort
		}
		left -= int(n)
		return buf.skip(int(n))
	}

	if err := buf.want(1 + maxVarlongBytes); err != nil {
		return err
	}
	if len(buf.reader.rest) < 2 {
		return errRecordShort
	}
	rec.Attributes = int8(buf.reader.rest[0])
	timestampDelta, n := uvarlong(buf.reader.rest[1:])
	if n == 0 {
		return errRecordShort
	}
	buf.reader.rest = buf.reader.rest[1+n:]
	left -= 1 + n
	offsetDelta, err := field()
	if err != nil {
		return err
	}
	buf.place(zigzag64(timestampDelta), offsetDelta, size)
	rec.Key, rec.Value, rec.rawHeaders = nil, nil, nil
	for i := range 2 {
		length, err := field()
		if err != nil {
			return err
		}
		if i == 0 && length >= 0 {
			rec.Key = notNull
		}
		if err := skip(length); err != nil {
			return err
		}
	}
	headers, err := field()
	if err != nil {
		return err
	}
	if headers < 0 || int(headers) > left/2 {
		return errRecordHeaders
	}
	for range headers {
		for i := range 2 {
			length, err := field()
			if err != nil {
				return err
			}
			if i == 0 && length < 0 {
				return errRecordHeaders
			}
			if err := skip(length); err != nil {
				return err
			}
		}
	}
	if left != 0 {
		return errRecordLong
	}
	return nil
}

// notNull stands for a key or value that was stepped over.
var notNull = []byte{}

// skip steps over n decompressed bytes.
func (buf *RecordsBuffer) skip(n int) error {
	for n > 0 {
		if err := buf.want(1); err != nil {
			return err
		}
		step := min(n, len(buf.reader.rest))
		if step == 0 {
			return errRecordShort
		}
		buf.reader.rest = buf.reader.rest[step:]
		n -= step
	}
	return nil
}
