package kraftimport

import (
	"encoding/binary"
	"math"

	"github.com/barnabas-broker/barnabas/protocol"
)

// decoder takes the fields of Kafka's flexible encoding from the front of src. After the first
// that does not fit it has failed, and yields zeroes.
type decoder struct {
	src    []byte
	failed bool
}

func (d *decoder) fail() {
	d.failed = true
	d.src = nil
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.src)
	if n <= 0 || v > math.MaxUint32 {
		d.fail()
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *decoder) take(n int) []byte {
	if n > len(d.src) {
		d.fail()
		return nil
	}
	b := d.src[:n]
	d.src = d.src[n:]
	return b
}

func (d *decoder) int8() int8 {
	if b := d.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (d *decoder) bool() bool { return d.int8() != 0 }

func (d *decoder) int16() int16 {
	if b := d.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (d *decoder) int32() int32 {
	if b := d.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (d *decoder) int64() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (d *decoder) float64() float64 { return math.Float64frombits(uint64(d.int64())) }

func (d *decoder) uuid() (id protocol.UUID) {
	if b := d.take(len(id)); b != nil {
		copy(id[:], b)
	}
	return id
}

// count returns the length of an array whose elements take at least size bytes, -1 for null.
func (d *decoder) count(size int) int {
	n := int(d.uvarint()) - 1
	if n > 0 && n > len(d.src)/size {
		d.fail()
		return 0
	}
	return n
}

// bytes returns a byte field, nil if it is null.
func (d *decoder) bytes() []byte {
	n := d.count(1)
	if n < 0 {
		return nil
	}
	return append([]byte{}, d.take(n)...)
}

// nullableString returns nil for null.
func (d *decoder) nullableString() *string {
	n := d.count(1)
	if n < 0 || d.failed {
		return nil
	}
	s := string(d.take(n))
	return &s
}

// string refuses null.
func (d *decoder) string() string {
	s := d.nullableString()
	if s == nil {
		d.fail()
		return ""
	}
	return *s
}

// ids returns a list of brokers, nil if it is null.
func (d *decoder) ids() []int32 {
	n := d.count(4)
	if n < 0 || d.failed {
		return nil
	}
	out := make([]int32, n)
	for i := range out {
		out[i] = d.int32()
	}
	return out
}

func (d *decoder) uuids() []protocol.UUID {
	n := d.count(len(protocol.UUID{}))
	if n < 0 || d.failed {
		return nil
	}
	out := make([]protocol.UUID, n)
	for i := range out {
		out[i] = d.uuid()
	}
	return out
}

// tags calls fn with each tagged field; what fn leaves of it is passed over. fn may be nil.
func (d *decoder) tags(fn func(tag uint64, in *decoder)) {
	for n := d.uvarint(); n > 0 && !d.failed; n-- {
		tag, size := d.uvarint(), d.uvarint()
		field := decoder{src: d.take(int(size))}
		if d.failed {
			return
		}
		if fn != nil {
			fn(tag, &field)
			d.failed = d.failed || field.failed
		}
	}
}
