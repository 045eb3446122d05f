package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Why Check refuses a body. A FieldError wraps them.
var (
	ErrVersion    = errors.New("version is not served")
	ErrTruncated  = errors.New("body ends before the value does")
	ErrCount      = errors.New("count exceeds what the body can hold")
	ErrNull       = errors.New("null is not allowed")
	ErrVarint     = errors.New("variable-length integer is too long")
	ErrLength     = errors.New("length is impossible")
	ErrTag        = errors.New("tagged field is not of the size it declares")
	ErrTagVersion = errors.New("tagged field is newer than the version")
	ErrMemory     = errors.New("decoded request exceeds the memory limit")
)

// FieldError says which field of which message Check stumbled over.
type FieldError struct {
	Message string // "FetchRequest"
	Version int16
	Field   string // as Apache spells it; "" if it is about no field in particular
	Pos     int    // place in the body
	Err     error
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%s v%d, byte %d: %v", e.Message, e.Version, e.Pos, e.Err)
	}
	return fmt.Sprintf("%s v%d, field %s, byte %d: %v", e.Message, e.Version, e.Field, e.Pos, e.Err)
}

// Unwrap returns the reason.
func (e *FieldError) Unwrap() error { return e.Err }

// Limits of Check. The zero value has none beyond the body's own size.
type Limits struct {
	MemoryBytes int // refuse with ErrMemory what would decode into more
}

// Estimate is what decoding a body will cost.
type Estimate struct {
	MemoryBytes   int // at most allocated by kmsg's ReadFrom, the body itself not counted
	Elements      int // of all arrays together
	TrailingBytes int // left over behind the last field; Apache ignores them, and so does kmsg
}

// Check walks the body of a request, which begins behind its header, and says whether it
// can be decoded, and at what price. It allocates nothing unless it refuses, and takes
// time linear in the body's size whatever the counts in it claim.
//
// It is as strict as Apache's decoders: every count and length must fit into the bytes
// that are left, null must be allowed where it stands, a tagged field must not be newer
// than the version, while unknown tags are skipped. It is stricter in what no client
// sends: a known tagged field must fill exactly the size it declares, which Apache does
// not look at; a length or tag count of 2^31 and more is refused where Apache takes it for
// negative, and a variable-length integer of more than 32 bits where Apache drops the
// rest; a nullable struct is marked with -1 or something not negative. Like Apache it
// takes tags in any order and more than once, and only counts bytes behind the last field.
func Check(key, version int16, body []byte, limits Limits) (Estimate, error) {
	api := Lookup(key)
	if api == nil || version < api.Min || version > api.Max {
		return Estimate{}, versionError(key, version)
	}
	w := newWalker(&api.Request, version, body, limits)
	return w.message(&api.Request)
}

// CheckResponse walks the body of a response, as another broker sent it, by the same
// rules, and returns the number of bytes left over behind the last field.
func CheckResponse(key, version int16, body []byte) (trailingBytes int, err error) {
	api := Lookup(key)
	if api == nil || version < api.Min || version > api.Max {
		return 0, versionError(key, version)
	}
	w := newWalker(&api.Response, version, body, Limits{})
	e, err := w.message(&api.Response)
	return e.TrailingBytes, err
}

func versionError(key, version int16) error {
	name := fmt.Sprintf("key %d", key)
	if api := Lookup(key); api != nil {
		name = api.Request.Name
	}
	return &FieldError{Message: name, Version: version, Err: ErrVersion}
}

// walker goes through a body. Once err is set nothing moves any more.
type walker struct {
	body     []byte
	pos      int
	version  int16
	flexible bool

	memory, memoryMax int
	elements          int

	err   error
	field string
}

func newWalker(m *Message, version int16, body []byte, limits Limits) walker {
	w := walker{body: body, version: version, flexible: version >= m.Flexible, memoryMax: limits.MemoryBytes}
	if w.memoryMax <= 0 {
		w.memoryMax = math.MaxInt
	}
	return w
}

func (w *walker) message(m *Message) (Estimate, error) {
	if !w.allocate(int(m.GoSize)) || !w.fields(m.Fields) {
		return Estimate{}, &FieldError{Message: m.Name, Version: w.version, Field: w.field, Pos: w.pos, Err: w.err}
	}
	return Estimate{MemoryBytes: w.memory, Elements: w.elements, TrailingBytes: w.remaining()}, nil
}

// Costs of kmsg's unknown tags: a map in each struct that has any, and its slots. The
// slots count twice over, as the map grows by doubling.
const (
	tagMapBytes  = 400
	tagSlotBytes = 200
)

func (w *walker) remaining() int { return len(w.body) - w.pos }

func (w *walker) fail(f *Field, err error) bool {
	if w.err == nil {
		w.err = err
		if f != nil {
			w.field = f.Name
		}
	}
	return false
}

// allocate accounts for one allocation of n bytes, with what the size classes of Go's
// allocator add to it.
func (w *walker) allocate(n int) bool {
	if n == 0 {
		return true
	}
	w.memory += n + min(n/4, 8<<10) + 16
	if w.memory > w.memoryMax {
		return w.fail(nil, ErrMemory)
	}
	return true
}

// skip passes n bytes.
func (w *walker) skip(f *Field, n int) bool {
	if n > w.remaining() {
		return w.fail(f, ErrTruncated)
	}
	w.pos += n
	return true
}

func (w *walker) uvarint(f *Field) (uint32, bool) {
	if w.pos < len(w.body) && w.body[w.pos] < 0x80 {
		w.pos++
		return uint32(w.body[w.pos-1]), true
	}
	var v uint32
	for i := range 5 {
		if w.pos >= len(w.body) {
			return 0, w.fail(f, ErrTruncated)
		}
		b := w.body[w.pos]
		w.pos++
		if i == 4 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v, true
		}
	}
	return 0, w.fail(f, ErrVarint)
}

// length reads a string, bytes or array length; -1 is null. wide is false for strings,
// whose plain form has two bytes.
func (w *walker) length(f *Field, wide bool) (int, bool) {
	switch {
	case w.flexible:
		v, ok := w.uvarint(f)
		if v > math.MaxInt32 {
			return 0, w.fail(f, ErrLength)
		}
		return int(v) - 1, ok
	case wide:
		if w.remaining() < 4 {
			return 0, w.fail(f, ErrTruncated)
		}
		w.pos += 4
		return max(int(int32(binary.BigEndian.Uint32(w.body[w.pos-4:]))), -1), true
	}
	if w.remaining() < 2 {
		return 0, w.fail(f, ErrTruncated)
	}
	w.pos += 2
	return max(int(int16(binary.BigEndian.Uint16(w.body[w.pos-2:]))), -1), true
}

// fields walks the fields of one struct and its tag section.
func (w *walker) fields(fields []Field) bool {
	for i := range fields {
		f := &fields[i]
		if !f.Versions.Contain(w.version) || f.Tagged.Contain(w.version) {
			continue
		}
		if !w.value(f) {
			return false
		}
	}
	return !w.flexible || w.tags(fields)
}

func (w *walker) tags(fields []Field) bool {
	count, ok := w.uvarint(nil)
	if !ok {
		return false
	}
	if int64(count) > int64(w.remaining()/2) { // a number and a size each
		return w.fail(nil, ErrCount)
	}
	unknown := 0
	for range count {
		number, ok := w.uvarint(nil)
		if !ok {
			return false
		}
		size, ok := w.uvarint(nil)
		if !ok {
			return false
		}
		if size > math.MaxInt32 || int(size) > w.remaining() {
			return w.fail(nil, ErrTag)
		}
		f := taggedField(fields, number)
		if f == nil {
			unknown++
			w.pos += int(size)
			continue
		}
		if !f.Tagged.Contain(w.version) {
			return w.fail(f, ErrTagVersion)
		}
		// The field must end where its size says. Cut the body there for a moment, so
		// that no count inside can reach beyond.
		whole, end := w.body, w.pos+int(size)
		w.body = whole[:end]
		if !w.value(f) {
			return false
		}
		w.body = whole
		if w.pos != end {
			return w.fail(f, ErrTag)
		}
	}
	if unknown > 0 {
		w.memory += tagSlotBytes * unknown
		return w.allocate(tagMapBytes)
	}
	return true
}

// taggedField finds the field that has the tag in some version. No tag is given twice; a
// test holds the table to it.
func taggedField(fields []Field, number uint32) *Field {
	for i := range fields {
		if f := &fields[i]; uint32(f.Tag) == number && f.Tagged.End > 0 {
			return f
		}
	}
	return nil
}

// value walks a field's value: a plain one, a struct, or an array of either.
func (w *walker) value(f *Field) bool {
	if f.Array {
		return w.array(f)
	}
	if f.Kind == Struct && f.Nullable.Contain(w.version) {
		if w.remaining() < 1 {
			return w.fail(f, ErrTruncated)
		}
		present := int8(w.body[w.pos])
		w.pos++
		switch {
		case present == -1:
			return true
		case present < -1:
			return w.fail(f, ErrLength)
		}
		if !w.allocate(int(f.GoSize)) {
			return false
		}
	}
	return w.element(f)
}

func (w *walker) array(f *Field) bool {
	count, ok := w.length(f, true)
	if !ok {
		return false
	}
	if count < 0 {
		if !f.Nullable.Contain(w.version) {
			return w.fail(f, ErrNull)
		}
		return true
	}
	if count > w.remaining() { // every element takes at least one byte; a test holds the table to it
		return w.fail(f, ErrCount)
	}
	w.elements += count
	if !w.allocate(count * int(f.GoSize)) {
		return false
	}
	if size := int(fixedSizes[f.Kind]); size > 0 {
		if count > w.remaining()/size {
			return w.fail(f, ErrCount)
		}
		w.pos += count * size
		return true
	}
	for range count {
		if !w.element(f) {
			return false
		}
	}
	return true
}

// element walks a plain value or a struct. The elements of an array are never null.
func (w *walker) element(f *Field) bool {
	switch f.Kind {
	case Struct:
		return w.fields(f.Fields)
	case String:
		n, ok := w.length(f, false)
		switch {
		case !ok:
			return false
		case n > math.MaxInt16:
			return w.fail(f, ErrLength)
		case n >= 0:
			return w.skip(f, n) && w.allocate(n) && (f.Nullable.End == 0 || w.allocate(16))
		}
	case Bytes, Records:
		n, ok := w.length(f, true)
		switch {
		case !ok:
			return false
		case n >= 0:
			return w.skip(f, n) // kmsg keeps a view
		}
	default:
		return w.skip(f, int(fixedSizes[f.Kind]))
	}
	if f.Array || !f.Nullable.Contain(w.version) {
		return w.fail(f, ErrNull)
	}
	return true
}
