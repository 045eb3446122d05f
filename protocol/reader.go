package protocol

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrTruncated says that a length, a count or a plain value points past the bytes that
// are there.
var ErrTruncated = errors.New("bytes end before the value does")

// ErrMalformed says that the bytes are there but cannot be what the schema wants: a null
// where null is not allowed, a variable-length integer that is too long, a negative
// length.
var ErrMalformed = errors.New("bytes are not a value of the wanted type")

// Reader takes Kafka's primitive types off the front of a byte slice. It never reads past
// the end and allocates nothing; what it returns are views into the slice.
//
// The first failure sticks: from then on every method returns zero values, and Err says
// what went wrong. A caller may therefore read a whole struct and look at Err once, but
// must look at it inside every loop whose count came from the bytes.
type Reader struct {
	b   []byte
	pos int
	at  int // where it failed
	err error
}

// NewReader returns a Reader over b.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Err returns the first failure, or nil.
func (r *Reader) Err() error { return r.err }

// Pos returns the place of the next unread byte, the end after a failure.
func (r *Reader) Pos() int { return r.pos }

// Remaining returns the number of unread bytes; none after a failure.
func (r *Reader) Remaining() int { return len(r.b) - r.pos }

func (r *Reader) fail(err error) {
	if r.err == nil {
		r.err, r.at = err, r.pos
	}
	r.pos = len(r.b)
}

// take returns the next n bytes, or nil and fails.
func (r *Reader) take(n int) []byte {
	if n < 0 || n > len(r.b)-r.pos {
		r.fail(ErrTruncated)
		return nil
	}
	b := r.b[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b
}

// Bool reads one byte; everything but 0 is true.
func (r *Reader) Bool() bool { return r.Int8() != 0 }

// Int8 reads one byte.
func (r *Reader) Int8() int8 {
	if r.pos >= len(r.b) {
		r.fail(ErrTruncated)
		return 0
	}
	v := int8(r.b[r.pos])
	r.pos++
	return v
}

// Int16 reads two bytes.
func (r *Reader) Int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

// Int32 reads four bytes.
func (r *Reader) Int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// Int64 reads eight bytes.
func (r *Reader) Int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// UUID reads sixteen bytes.
func (r *Reader) UUID() (u UUID) {
	copy(u[:], r.take(16))
	return u
}

// Uvarint reads an unsigned variable-length integer of at most 32 bits.
func (r *Reader) Uvarint() uint32 {
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 { // nearly all lengths and tags
		v := r.b[r.pos]
		r.pos++
		return uint32(v)
	}
	var v uint32
	for i := range 5 {
		if r.pos >= len(r.b) {
			r.fail(ErrTruncated)
			return 0
		}
		b := r.b[r.pos]
		r.pos++
		if i == 4 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v
		}
	}
	r.fail(ErrMalformed)
	return 0
}

// compactLength reads a length that is stored plus one; -1 stands for null.
func (r *Reader) compactLength() int {
	v := r.Uvarint()
	if r.err != nil || v > math.MaxInt32 {
		r.fail(ErrMalformed)
		return -1
	}
	return int(v) - 1
}

// String reads a string that must not be null, in the compact form if flexible is set.
func (r *Reader) String(flexible bool) []byte {
	b, null := r.nullableString(flexible)
	if null {
		r.fail(ErrMalformed)
	}
	return b
}

// NullableString reads a string; null is nil, the empty string is empty but not nil.
func (r *Reader) NullableString(flexible bool) []byte {
	b, _ := r.nullableString(flexible)
	return b
}

func (r *Reader) nullableString(flexible bool) (b []byte, null bool) {
	var n int
	if flexible {
		if n = r.compactLength(); n > math.MaxInt16 {
			r.fail(ErrMalformed)
			return nil, false
		}
	} else {
		n = int(r.Int16())
	}
	if r.err != nil || n < 0 {
		return nil, true
	}
	return r.take(n), false
}

// Bytes reads bytes that must not be null, in the compact form if flexible is set.
func (r *Reader) Bytes(flexible bool) []byte {
	b, null := r.nullableBytes(flexible)
	if null {
		r.fail(ErrMalformed)
	}
	return b
}

// NullableBytes reads bytes or a record set; null is nil, nothing is empty but not nil.
func (r *Reader) NullableBytes(flexible bool) []byte {
	b, _ := r.nullableBytes(flexible)
	return b
}

func (r *Reader) nullableBytes(flexible bool) (b []byte, null bool) {
	var n int
	if flexible {
		n = r.compactLength()
	} else {
		n = int(r.Int32())
	}
	if r.err != nil || n < 0 {
		return nil, true
	}
	return r.take(n), false
}

// ArrayLength reads the element count of an array that must not be null and whose
// elements take at least elementMinBytes each; a count that the bytes cannot hold fails.
func (r *Reader) ArrayLength(flexible bool, elementMinBytes int) int {
	n := r.NullableArrayLength(flexible, elementMinBytes)
	if n < 0 {
		r.fail(ErrMalformed)
		return 0
	}
	return n
}

// NullableArrayLength is ArrayLength for an array that may be null, for which it returns -1.
func (r *Reader) NullableArrayLength(flexible bool, elementMinBytes int) int {
	var n int
	if flexible {
		n = r.compactLength()
	} else {
		n = int(r.Int32())
	}
	switch {
	case r.err != nil:
		return 0
	case n < 0:
		return -1
	case n > r.Remaining()/max(elementMinBytes, 1):
		r.fail(ErrTruncated)
		return 0
	}
	return n
}

// TagCount reads the number of tagged fields. A tagged field takes at least two bytes;
// a larger count fails here and not in somebody's loop.
func (r *Reader) TagCount() int {
	n := int(r.Uvarint())
	if n > r.Remaining()/2 {
		r.fail(ErrTruncated)
		return 0
	}
	return n
}

// Tag reads one tagged field: its number and a Reader over its bytes.
func (r *Reader) Tag() (tag uint32, value Reader) {
	tag = r.Uvarint()
	size := r.Uvarint()
	if size > math.MaxInt32 {
		r.fail(ErrMalformed)
		return tag, Reader{err: r.err}
	}
	value.b = r.take(int(size))
	value.err = r.err
	return tag, value
}

// SkipTags reads and forgets a struct's tagged fields.
func (r *Reader) SkipTags() {
	for n := r.TagCount(); n > 0 && r.err == nil; n-- {
		r.Tag()
	}
}

// closeTag takes over the failure of a tagged field's Reader. Bytes it left unread are a
// failure too: its size and its content disagree.
func (r *Reader) closeTag(value *Reader) {
	if value.err != nil {
		r.fail(value.err)
	} else if value.Remaining() > 0 {
		r.fail(ErrMalformed)
	}
}
