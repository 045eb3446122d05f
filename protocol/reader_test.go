package protocol_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
)

func TestReaderReadsWhatIsAppended(t *testing.T) {
	for _, v := range []uint32{0, 1, 127, 128, 16383, 16384, 1<<21 - 1, 1 << 21, 1<<28 - 1, 1 << 28, math.MaxUint32} {
		b := protocol.AppendUvarint(nil, v)
		r := protocol.NewReader(b)
		if got := r.Uvarint(); got != v || r.Err() != nil || r.Remaining() != 0 || len(b) != protocol.UvarintSize(v) {
			t.Errorf("%d: %x is read as %d, %v, size %d", v, b, got, r.Err(), protocol.UvarintSize(v))
		}
	}
	for _, flexible := range []bool{false, true} {
		var b []byte
		b = protocol.AppendString(b, flexible, "abc")
		b = protocol.AppendNullString(b, flexible)
		b = protocol.AppendString(b, flexible, "")
		b = protocol.AppendBytes(b, flexible, nil)
		b = protocol.AppendBytes(b, flexible, []byte{})
		b = protocol.AppendBytes(b, flexible, []byte("xyz"))
		b = protocol.AppendArrayLength(b, flexible, -1)
		b = protocol.AppendArrayLength(b, flexible, 2)
		b = append(b, 1, 2)
		r := protocol.NewReader(b)
		if s := r.String(flexible); string(s) != "abc" {
			t.Errorf("string %q", s)
		}
		if s := r.NullableString(flexible); s != nil {
			t.Errorf("null string %q", s)
		}
		if s := r.NullableString(flexible); s == nil || len(s) > 0 {
			t.Errorf("empty string %v", s)
		}
		if s := r.NullableBytes(flexible); s != nil {
			t.Errorf("null bytes %q", s)
		}
		if s := r.NullableBytes(flexible); s == nil || len(s) > 0 {
			t.Errorf("empty bytes %v", s)
		}
		if s := r.Bytes(flexible); string(s) != "xyz" {
			t.Errorf("bytes %q", s)
		}
		if n := r.NullableArrayLength(flexible, 1); n != -1 {
			t.Errorf("null array of %d", n)
		}
		if n := r.ArrayLength(flexible, 1); n != 2 || r.Int16() != 0x0102 || r.Err() != nil || r.Remaining() != 0 {
			t.Errorf("array of %d, %v", n, r.Err())
		}
	}
}

func TestReaderFailsOnceAndForAll(t *testing.T) {
	r := protocol.NewReader([]byte{0, 5, 'a', 1, 2, 3})
	if s := r.String(false); s != nil || !errors.Is(r.Err(), protocol.ErrTruncated) {
		t.Fatalf("%q, %v", s, r.Err())
	}
	if r.Int8() != 0 || r.Int16() != 0 || r.Int32() != 0 || r.Int64() != 0 || r.Bool() || r.UUID() != (protocol.UUID{}) ||
		r.Uvarint() != 0 || r.ArrayLength(true, 1) != 0 || r.TagCount() != 0 || r.Remaining() != 0 {
		t.Fatal("something is read after the failure")
	}
	if !errors.Is(r.Err(), protocol.ErrTruncated) {
		t.Fatalf("the first failure is gone: %v", r.Err())
	}
}

// The views that a Reader hands out must not let an append run over what follows.
func TestReaderViewsAreCapped(t *testing.T) {
	b := []byte{0, 1, 'a', 'b'}
	r := protocol.NewReader(b)
	_ = append(r.String(false), 'X')
	if !bytes.Equal(b, []byte{0, 1, 'a', 'b'}) {
		t.Fatalf("bytes became %q", b)
	}
}
