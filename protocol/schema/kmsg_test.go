package schema_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// versioned is what kmsg's requests and responses have in common.
type versioned interface {
	SetVersion(int16)
	AppendTo([]byte) []byte
	ReadFrom([]byte) error
}

// fill gives every field a random value: small numbers, big numbers, empty, null and
// short strings and arrays, and here and there an unknown tag.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
		for range max(0, r.IntN(8)-6) {
			tags.Set(100+r.Uint32N(1000), make([]byte, r.IntN(5)))
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> r.IntN(64))
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(r.Uint64() >> r.IntN(64))
	case reflect.Float64:
		v.SetFloat(r.NormFloat64())
	case reflect.String:
		v.SetString(strings.Repeat("x", r.IntN(8)))
	case reflect.Array:
		zero := r.IntN(2) == 0
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(r.Uint32N(256)))
		}
		if zero {
			v.SetZero()
		}
	case reflect.Slice:
		n := r.IntN(4) - 1
		if v.Type().Elem().Kind() == reflect.Uint8 {
			n = max(n, 0) // kmsg writes nil as null where Apache's ShareFetch v1 has no null
		}
		if n < 0 {
			v.SetZero()
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(r, v.Index(i), depth+1)
		}
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.SetZero()
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if depth > 0 || v.Type().Field(i).Name != "Version" {
				fill(r, v.Field(i), depth+1)
			}
		}
	}
}

// randomMessage encodes m with random fields. kmsg writes tagged fields without regard to
// the version, which neither Apache nor we accept: such messages are not returned.
func randomMessage(r *rand.Rand, m versioned, version int16) []byte {
	for try := 0; ; try++ {
		if try == 100 {
			m = fresh(m, version)
			reflect.ValueOf(m).MethodByName("Default").Call(nil)
		} else {
			fill(r, reflect.ValueOf(m).Elem(), 0)
		}
		m.SetVersion(version)
		body := m.AppendTo(nil)
		var err error
		if req, ok := m.(kmsg.Request); ok {
			_, err = schema.Check(req.Key(), version, body, schema.Limits{})
		} else {
			_, err = schema.CheckResponse(m.(kmsg.Response).Key(), version, body)
		}
		if !errors.Is(err, schema.ErrTagVersion) {
			return body
		}
	}
}

// fresh is an empty message of the type of m.
func fresh(m versioned, version int16) versioned {
	n := reflect.New(reflect.TypeOf(m).Elem()).Interface().(versioned)
	n.SetVersion(version)
	return n
}

// allocated measures f, more than once if it needs more than enough bytes: the runtime
// and its tests allocate behind our back.
func allocated(enough int, setup, f func()) (bytes int) {
	for range 5 {
		setup()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if bytes = int(after.TotalAlloc - before.TotalAlloc); bytes <= enough {
			break
		}
	}
	return bytes
}

// each calls fn for every API and version of the table.
func each(t *testing.T, fn func(t *testing.T, api *schema.API, version int16)) {
	for i := range schema.All() {
		api := &schema.All()[i]
		t.Run(api.Name, func(t *testing.T) {
			for version := api.Min; version <= api.Max; version++ {
				fn(t, api, version)
			}
		})
	}
}

func TestKmsgKnowsEveryVersion(t *testing.T) {
	for _, api := range schema.All() {
		req := kmsg.RequestForKey(api.Key)
		if req == nil || req.MaxVersion() < api.Max {
			t.Errorf("%s: kmsg has no v%d", api.Name, api.Max)
			continue
		}
		for v := api.Min; v <= api.Max; v++ {
			req.SetVersion(v)
			resp := req.ResponseKind()
			resp.SetVersion(v)
			if req.IsFlexible() != api.IsFlexible(v) || resp.IsFlexible() != (v >= api.Response.Flexible) {
				t.Errorf("%s v%d: kmsg flexible %v and %v, ours differs", api.Name, v, req.IsFlexible(), resp.IsFlexible())
			}
		}
	}
}

func TestCheckAcceptsWhatKmsgEncodes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	each(t, func(t *testing.T, api *schema.API, version int16) {
		for range 30 {
			req := kmsg.RequestForKey(api.Key)
			body := randomMessage(r, req, version)
			e, err := schema.Check(api.Key, version, body, schema.Limits{})
			if err != nil || e.TrailingBytes != 0 {
				t.Fatalf("v%d: %+v, %v\n%x\n%+v", version, e, err, body, req)
			}
			resp := req.ResponseKind()
			body = randomMessage(r, resp, version)
			if trailing, err := schema.CheckResponse(api.Key, version, body); err != nil || trailing != 0 {
				t.Fatalf("response v%d: %d trailing, %v\n%x\n%+v", version, trailing, err, body, resp)
			}
		}
	})
}

// mutate damages a body in one of the ways that hurt decoders.
func mutate(r *rand.Rand, body []byte) []byte {
	body = append([]byte(nil), body...)
	if len(body) == 0 {
		return []byte{byte(r.Uint32())}
	}
	at := r.IntN(len(body))
	switch r.IntN(7) {
	case 0:
		return body[:at]
	case 1:
		body[at] = byte(r.Uint32())
	case 2:
		body[at] ^= 1 << r.IntN(8)
	case 3: // a large count
		return append(append(body[:at:at], 0xff, 0xff, 0xff, 0xff, 0x0f), body[at:]...)
	case 4:
		if at+4 <= len(body) {
			binary.BigEndian.PutUint32(body[at:], uint32(r.IntN(2*len(body))))
		}
	case 5: // a plausible count, and zeros to satisfy it
		body[at] = byte(r.IntN(128))
		body = append(body, make([]byte, r.IntN(300))...)
	case 6:
		return append(body[:at:at], body[min(len(body), at+1+r.IntN(8)):]...)
	}
	return body
}

// checkThenDecode holds kmsg's decoder to what Check promised of a body.
func checkThenDecode(t *testing.T, api *schema.API, version int16, body []byte) (accepted bool) {
	t.Helper()
	e, err := schema.Check(api.Key, version, body, schema.Limits{})
	if err != nil {
		var field *schema.FieldError
		if !errors.As(err, &field) || field.Pos > len(body) {
			t.Fatalf("%s v%d: strange error %v", api.Name, version, err)
		}
		return false
	}
	var decodeErr error
	var req versioned
	n := allocated(e.MemoryBytes*allocationFactor,
		func() { req = fresh(kmsg.RequestForKey(api.Key), version) },
		func() { decodeErr = req.ReadFrom(body) })
	if decodeErr != nil {
		t.Fatalf("%s v%d: Check accepts, kmsg says %v\n%.200x", api.Name, version, decodeErr, body)
	}
	if n > e.MemoryBytes*allocationFactor {
		t.Fatalf("%s v%d: %d bytes allocated, %d estimated\n%.200x", api.Name, version, n, e.MemoryBytes, body)
	}
	return true
}

func TestKmsgDecodesWithinTheEstimate(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	accepted := 0
	each(t, func(t *testing.T, api *schema.API, version int16) {
		for range 20 {
			body := randomMessage(r, kmsg.RequestForKey(api.Key), version)
			if !checkThenDecode(t, api, version, body) {
				t.Fatalf("v%d: a good body is refused: %x", version, body)
			}
			for range 10 {
				body = mutate(r, body)
				if checkThenDecode(t, api, version, body) {
					accepted++
				}
			}
		}
	})
	t.Logf("%d damaged bodies were accepted", accepted)
}

// A body of 2^n equal bytes is the cheapest way to have many small elements.
func TestDenseBodiesStayWithinTheEstimate(t *testing.T) {
	each(t, func(t *testing.T, api *schema.API, version int16) {
		for _, b := range []byte{0, 1, 2} {
			for _, head := range []int{0, 1, 2, 4, 8, 12, 16, 20} {
				for _, count := range []string{"\x80\x20", "\x00\x00\x04\x00", "\x00\x00\x01\x00", "\x7f"} {
					body := make([]byte, 8192)
					for i := range body {
						body[i] = b
					}
					copy(body[head:], count)
					checkThenDecode(t, api, version, body)
				}
			}
		}
	})
}

// The element sizes in the table are computed, not measured: hold them to kmsg's types.
func TestGoSizesCoverKmsgTypes(t *testing.T) {
	var compare func(t *testing.T, path string, fields []schema.Field, typ reflect.Type)
	compare = func(t *testing.T, path string, fields []schema.Field, typ reflect.Type) {
		// Structs go by their names, or by their order where kmsg has another name.
		var elements []reflect.StructField
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Type.Kind() == reflect.Slice || f.Type.Kind() == reflect.Pointer {
				f.Type = f.Type.Elem()
			}
			if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[kmsg.Tags]() {
				elements = append(elements, f)
			}
		}
		for _, f := range fields {
			if f.Kind != schema.Struct {
				continue
			}
			if len(elements) == 0 {
				t.Errorf("%s.%s has no counterpart in %v", path, f.Name, typ)
				return
			}
			at := slices.IndexFunc(elements, func(e reflect.StructField) bool { return strings.EqualFold(e.Name, f.Name) })
			e := elements[max(at, 0)].Type
			if len(elements) > 1 { // the last may serve several of ours
				elements = slices.Delete(elements, max(at, 0), max(at, 0)+1)
			}
			if int(e.Size()) > int(f.GoSize) {
				t.Errorf("%s.%s: %d bytes in the table, %v has %d", path, f.Name, f.GoSize, e, e.Size())
			}
			compare(t, path+"."+f.Name, f.Fields, e)
		}
	}
	for _, api := range schema.All() {
		typ := reflect.TypeOf(kmsg.RequestForKey(api.Key)).Elem()
		if int(typ.Size()) > int(api.Request.GoSize) {
			t.Errorf("%s: %d bytes in the table, kmsg's has %d", api.Name, api.Request.GoSize, typ.Size())
		}
		compare(t, api.Name, api.Request.Fields, typ)
	}
}
