package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/barnabas-broker/barnabas/protocol/schema"
)

// DecodeRequest reads a request's body.
func DecodeRequest(api *schema.API, version int16, body []byte) (*Struct, error) {
	return decode(&api.Request, version, body)
}

// DecodeResponse reads a response's body, behind its header. Bytes behind its last field
// are an error.
func DecodeResponse(api *schema.API, version int16, body []byte) (*Struct, error) {
	return decode(&api.Response, version, body)
}

func decode(m *schema.Message, version int16, body []byte) (s *Struct, err error) {
	d := decoder{b: body, version: version, flexible: version >= m.Flexible}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(decodeError)
			if !ok {
				panic(r)
			}
			s, err = nil, fmt.Errorf("%s v%d, byte %d of %d: %w", m.Name, version, d.pos, len(body), e.error)
		}
	}()
	s = d.fields(m.Fields)
	if d.pos != len(body) {
		return nil, fmt.Errorf("%s v%d: %d bytes behind the last field", m.Name, version, len(body)-d.pos)
	}
	return s, nil
}

type decodeError struct{ error }

type decoder struct {
	b        []byte
	pos      int
	version  int16
	flexible bool
}

func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b)-d.pos {
		panic(decodeError{errors.New("body ends early")})
	}
	d.pos += n
	return d.b[d.pos-n : d.pos]
}

func (d *decoder) uvarint() int {
	v, n := binary.Uvarint(d.b[d.pos:])
	if n <= 0 || v > math.MaxUint32 {
		panic(decodeError{errors.New("bad varint")})
	}
	d.pos += n
	return int(v)
}

// length reads a length; -1 is null.
func (d *decoder) length(wide bool) int {
	switch {
	case d.flexible:
		return d.uvarint() - 1
	case wide:
		return int(int32(binary.BigEndian.Uint32(d.take(4))))
	default:
		return int(int16(binary.BigEndian.Uint16(d.take(2))))
	}
}

func (d *decoder) fields(fields []schema.Field) *Struct {
	s := &Struct{}
	for i := range fields {
		f := &fields[i]
		if !f.Versions.Contain(d.version) || f.Tagged.Contain(d.version) {
			continue
		}
		s.Fields = append(s.Fields, Field{f.Name, d.field(f)})
	}
	if d.flexible {
		d.tags(s, fields)
	}
	return s
}

func (d *decoder) tags(s *Struct, fields []schema.Field) {
	last := -1
	for range d.uvarint() {
		tag, size := d.uvarint(), d.uvarint()
		if tag <= last {
			panic(decodeError{fmt.Errorf("tag %d behind tag %d", tag, last)})
		}
		last = tag
		end := d.pos + size
		name, value := fmt.Sprintf("tag%d", tag), any(nil)
		for i := range fields {
			if f := &fields[i]; f.Tagged.Contain(d.version) && int(f.Tag) == tag {
				name, value = f.Name, d.field(f)
				break
			}
		}
		if value == nil && end > d.pos {
			value = Bytes(d.take(end - d.pos))
		}
		if d.pos != end {
			panic(decodeError{fmt.Errorf("tag %d has %d bytes and fills %d", tag, size, d.pos-end+size)})
		}
		s.Fields = append(s.Fields, Field{name, value})
	}
}

func (d *decoder) field(f *schema.Field) any {
	nullable := f.Nullable.Contain(d.version)
	if !f.Array {
		if f.Kind == schema.Struct && nullable {
			if int8(d.take(1)[0]) < 0 {
				return nil
			}
		}
		return d.value(f, nullable)
	}
	n := d.length(true)
	if n < 0 {
		if !nullable {
			panic(decodeError{fmt.Errorf("%s is null", f.Name)})
		}
		return nil
	}
	if n > len(d.b)-d.pos {
		panic(decodeError{fmt.Errorf("%s has %d elements", f.Name, n)})
	}
	list := List{}
	for range n {
		list = append(list, d.value(f, false))
	}
	return list
}

func (d *decoder) value(f *schema.Field, nullable bool) any {
	switch f.Kind {
	case schema.Bool:
		b := d.take(1)[0]
		if b > 1 {
			return int64(b)
		}
		return b == 1
	case schema.Int8:
		return int64(int8(d.take(1)[0]))
	case schema.Int16:
		return int64(int16(binary.BigEndian.Uint16(d.take(2))))
	case schema.Uint16:
		return int64(binary.BigEndian.Uint16(d.take(2)))
	case schema.Int32:
		return int64(int32(binary.BigEndian.Uint32(d.take(4))))
	case schema.Uint32:
		return int64(binary.BigEndian.Uint32(d.take(4)))
	case schema.Int64:
		return int64(binary.BigEndian.Uint64(d.take(8)))
	case schema.Float64:
		return math.Float64frombits(binary.BigEndian.Uint64(d.take(8)))
	case schema.UUID:
		return UUID(d.take(16))
	case schema.Struct:
		return d.fields(f.Fields)
	}
	n := d.length(f.Kind != schema.String)
	if n < 0 {
		if !nullable {
			panic(decodeError{fmt.Errorf("%s is null", f.Name)})
		}
		return nil
	}
	b := d.take(n)
	switch f.Kind {
	case schema.String:
		return string(b)
	case schema.Records:
		return Records(b)
	}
	return Bytes(b)
}
