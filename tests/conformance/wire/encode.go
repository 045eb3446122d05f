package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/barnabas-broker/barnabas/protocol/schema"
)

// AppendRequest writes a request's body. A field that the tree does not have is written as
// zero, empty or not at all if it is tagged; one that the version does not have is left out.
// Null is written where the tree has it, allowed or not.
func AppendRequest(dst []byte, api *schema.API, version int16, s *Struct) []byte {
	e := encoder{b: dst, version: version, flexible: version >= api.Request.Flexible}
	e.fields(api.Request.Fields, s)
	return e.b
}

// Lengths writes a request's body as AppendRequest does, and returns where in it the
// lengths of its strings, bytes and arrays stand, those in tagged fields aside.
func Lengths(api *schema.API, version int16, s *Struct) (body []byte, places []int) {
	e := encoder{version: version, flexible: version >= api.Request.Flexible, places: []int{}}
	e.fields(api.Request.Fields, s)
	return e.b, e.places
}

// AppendResponse writes a response's body.
func AppendResponse(dst []byte, api *schema.API, version int16, s *Struct) []byte {
	e := encoder{b: dst, version: version, flexible: version >= api.Response.Flexible}
	e.fields(api.Response.Fields, s)
	return e.b
}

// UnknownTag is the name of a field that is written as a tagged field that no version
// knows.
const UnknownTag = "tag900"

type encoder struct {
	b        []byte
	version  int16
	flexible bool
	places   []int // of lengths; not kept if nil
}

// length writes a length; -1 is null.
func (e *encoder) length(n int, wide bool) {
	if e.places != nil {
		e.places = append(e.places, len(e.b))
	}
	switch {
	case e.flexible:
		e.b = binary.AppendUvarint(e.b, uint64(n+1))
	case wide:
		e.b = binary.BigEndian.AppendUint32(e.b, uint32(n))
	default:
		e.b = binary.BigEndian.AppendUint16(e.b, uint16(n))
	}
}

func (e *encoder) fields(fields []schema.Field, s *Struct) {
	var tagged []*schema.Field
	for i := range fields {
		f := &fields[i]
		switch {
		case !f.Versions.Contain(e.version):
		case f.Tagged.Contain(e.version):
			if s != nil && s.Has(f.Name) {
				tagged = append(tagged, f)
			}
		case s != nil && s.Has(f.Name):
			e.field(f, s.Get(f.Name))
		default:
			e.field(f, Zero(f))
		}
	}
	if !e.flexible {
		return
	}
	unknown, _ := s.Get(UnknownTag).(Bytes)
	count := len(tagged)
	if unknown != nil {
		count++
	}
	e.b = binary.AppendUvarint(e.b, uint64(count))
	defer func() {
		if unknown != nil {
			e.b = binary.AppendUvarint(e.b, 900)
			e.b = binary.AppendUvarint(e.b, uint64(len(unknown)))
			e.b = append(e.b, unknown...)
		}
	}()
	for tag := 0; len(tagged) > 0 && tag < 256; tag++ {
		for _, f := range tagged {
			if int(f.Tag) != tag {
				continue
			}
			inner := encoder{version: e.version, flexible: true}
			inner.field(f, s.Get(f.Name))
			e.b = binary.AppendUvarint(e.b, uint64(tag))
			e.b = binary.AppendUvarint(e.b, uint64(len(inner.b)))
			e.b = append(e.b, inner.b...)
		}
	}
}

// Zero is the value of a field that is not given.
func Zero(f *schema.Field) any {
	if f.Array {
		return List{}
	}
	switch f.Kind {
	case schema.Bool:
		return false
	case schema.Float64:
		return float64(0)
	case schema.UUID:
		return UUID{}
	case schema.String:
		return ""
	case schema.Bytes:
		return Bytes{}
	case schema.Records:
		return Records{}
	case schema.Struct:
		return &Struct{}
	}
	return int64(0)
}

func (e *encoder) field(f *schema.Field, v any) {
	if f.Array {
		list, ok := v.(List)
		if v == nil {
			e.length(-1, true)
			return
		}
		if !ok {
			panic(fmt.Sprintf("%s is a list, not %T", f.Name, v))
		}
		e.length(len(list), true)
		for i := range list {
			e.value(f, list[i])
		}
		return
	}
	if f.Kind == schema.Struct && f.Nullable.Contain(e.version) {
		if v == nil {
			e.b = append(e.b, 0xff)
			return
		}
		e.b = append(e.b, 1)
	}
	e.value(f, v)
}

func (e *encoder) value(f *schema.Field, v any) {
	if v == nil {
		e.length(-1, f.Kind != schema.String)
		return
	}
	switch v := v.(type) {
	case bool:
		var b byte
		if v {
			b = 1
		}
		e.b = append(e.b, b)
	case int64:
		switch f.Kind {
		case schema.Bool, schema.Int8:
			e.b = append(e.b, byte(v))
		case schema.Int16, schema.Uint16:
			e.b = binary.BigEndian.AppendUint16(e.b, uint16(v))
		case schema.Int32, schema.Uint32:
			e.b = binary.BigEndian.AppendUint32(e.b, uint32(v))
		case schema.Int64:
			e.b = binary.BigEndian.AppendUint64(e.b, uint64(v))
		default:
			panic(fmt.Sprintf("%s is not a number", f.Name))
		}
	case float64:
		e.b = binary.BigEndian.AppendUint64(e.b, math.Float64bits(v))
	case UUID:
		e.b = append(e.b, v[:]...)
	case string:
		e.length(len(v), false)
		e.b = append(e.b, v...)
	case Bytes:
		e.length(len(v), true)
		e.b = append(e.b, v...)
	case Records:
		e.length(len(v), true)
		e.b = append(e.b, v...)
	case *Struct:
		e.fields(f.Fields, v)
	default:
		panic(fmt.Sprintf("%s cannot be %T", f.Name, v))
	}
}
