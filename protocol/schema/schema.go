package schema

// Kind is the type of a field, or of the elements of an array field.
type Kind uint8

// The kinds of Kafka's message definitions.
const (
	Bool Kind = iota
	Int8
	Int16
	Uint16
	Int32
	Uint32
	Int64
	Float64
	UUID
	String
	Bytes
	Records // bytes that hold record batches
	Struct  // of the field's Fields
)

// fixedSizes are the wire sizes of the kinds that have one size only, 0 for the others.
var fixedSizes = [...]uint8{
	Bool: 1, Int8: 1, Int16: 2, Uint16: 2, Int32: 4, Uint32: 4, Int64: 8, Float64: 8, UUID: 16, Struct: 0,
}

// Versions is a range of versions: First up to, but not including, End. The zero value
// holds none.
type Versions struct{ First, End int8 }

// Contain says whether version is in the range.
func (v Versions) Contain(version int16) bool {
	return version >= int16(v.First) && version < int16(v.End)
}

// Field is one field of a message or struct. In a version that neither Versions holds it
// is not on the wire; in one that Tagged holds it is in the tag section, if it is there.
type Field struct {
	Name     string // as Apache spells it
	Kind     Kind
	Array    bool     // an array of Kind
	Versions Versions // where it exists
	Nullable Versions // where null is allowed
	Tagged   Versions // where it is a tagged field
	Tag      uint8    // its number there
	GoSize   uint16   // bytes of one element in kmsg's Go form, at most; arrays and nullable structs only
	Fields   []Field  // of a struct, in wire order
}

// Message is a request or a response.
type Message struct {
	Name     string
	Flexible int16 // first flexible version, Never if there is none
	GoSize   uint16
	Fields   []Field
}

// Never is the first flexible version of a message that has none.
const Never = 1<<15 - 1

// API is one API key. Min to Max are the versions that Apache 3.9 or 4.3 serve without
// being told to enable unstable ones; there is none (Max < Min) for no key in the table.
type API struct {
	Key      int16
	Name     string // as Apache's ApiKeys shows it, e.g. "ListOffsets"
	Min, Max int16
	Request  Message
	Response Message
}

// Lookup returns the API of a key, or nil.
func Lookup(key int16) *API {
	if key < 0 || int(key) >= len(apis) {
		return nil
	}
	return &apis[key]
}

// All returns every API in the order of its key.
func All() []API { return apis[:] }

// IsFlexible says whether a version has compact lengths and tag sections. Versions above
// Max count as flexible if Max is.
func (a *API) IsFlexible(version int16) bool { return version >= a.Request.Flexible }

// RequestHeaderVersion returns 0, 1 or 2.
func (a *API) RequestHeaderVersion(version int16) int16 {
	switch {
	case a.IsFlexible(version):
		return 2
	case a.Key == 7 && version == 0: // ControlledShutdown, the one header without client id
		return 0
	}
	return 1
}

// ResponseHeaderVersion returns 0 or 1.
func (a *API) ResponseHeaderVersion(version int16) int16 {
	if a.Key != 18 && version >= a.Response.Flexible { // ApiVersions, read before versions are known
		return 1
	}
	return 0
}
