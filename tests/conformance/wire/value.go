package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// Struct is a message, or a part of one.
type Struct struct{ Fields []Field }

// Field is a field of a Struct.
type Field struct {
	Name  string
	Value any
}

// The values that Go has no type of its own for.
type (
	// UUID is a Kafka id.
	UUID [16]byte
	// Bytes is a field of bytes.
	Bytes []byte
	// Records is a field that holds record batches.
	Records []byte
	// List is an array.
	List []any
	// Raw is a value that stands for itself in the text of a tree, without quotes: what
	// normalising leaves in the place of an id.
	Raw string
)

// Get returns the value of a field, nil if there is none.
func (s *Struct) Get(name string) any {
	if s != nil {
		for i := range s.Fields {
			if s.Fields[i].Name == name {
				return s.Fields[i].Value
			}
		}
	}
	return nil
}

// Has says whether a field is there, be it null.
func (s *Struct) Has(name string) bool {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return true
		}
	}
	return false
}

// Set gives a field a value, adding it at the end if it is not there.
func (s *Struct) Set(name string, value any) *Struct {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			s.Fields[i].Value = value
			return s
		}
	}
	s.Fields = append(s.Fields, Field{name, value})
	return s
}

// At follows a path such as Topics[0].Partitions[1].ErrorCode; nil where it leads nowhere.
func At(v any, path string) any {
	for path != "" {
		if path[0] == '[' {
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return nil
			}
			i, err := strconv.Atoi(path[1:end])
			list, _ := v.(List)
			if err != nil || i < 0 || i >= len(list) {
				return nil
			}
			v, path = list[i], strings.TrimPrefix(path[end+1:], ".")
			continue
		}
		name := path
		if i := strings.IndexAny(path, ".["); i >= 0 {
			name = path[:i]
		}
		path = strings.TrimPrefix(path[len(name):], ".")
		s, _ := v.(*Struct)
		if s == nil {
			return nil
		}
		v = s.Get(name)
	}
	return v
}

// Clone copies a tree.
func Clone(v any) any {
	switch v := v.(type) {
	case *Struct:
		if v == nil {
			return nil
		}
		c := &Struct{Fields: make([]Field, len(v.Fields))}
		for i, f := range v.Fields {
			c.Fields[i] = Field{f.Name, Clone(f.Value)}
		}
		return c
	case List:
		c := make(List, len(v))
		for i := range v {
			c[i] = Clone(v[i])
		}
		return c
	}
	return v
}

// Text writes a tree on one line.
func Text(v any) string {
	var b strings.Builder
	write(&b, v)
	return b.String()
}

func write(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case *Struct:
		b.WriteByte('{')
		for i, f := range v.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(f.Name)
			b.WriteString(": ")
			write(b, f.Value)
		}
		b.WriteByte('}')
	case List:
		b.WriteByte('[')
		for i := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			write(b, v[i])
		}
		b.WriteByte(']')
	case string:
		b.WriteString(strconv.Quote(v))
	case Bytes:
		b.WriteString(strconv.Quote(string(v)))
	case Records:
		b.WriteString(strconv.Quote(string(v)))
	case UUID:
		fmt.Fprintf(b, "%x", v[:])
	default:
		fmt.Fprint(b, v)
	}
}

// Leaves calls fn for every value of a tree that has none below it, with its path.
func Leaves(v any, fn func(path string, v any)) { leaves("", v, fn) }

func leaves(path string, v any, fn func(string, any)) {
	switch v := v.(type) {
	case *Struct:
		if len(v.Fields) == 0 {
			fn(path, Raw("{}"))
		}
		for _, f := range v.Fields {
			leaves(strings.TrimPrefix(path+"."+f.Name, "."), f.Value, fn)
		}
	case List:
		if len(v) == 0 {
			fn(path, Raw("[]"))
		}
		for i := range v {
			leaves(fmt.Sprintf("%s[%d]", path, i), v[i], fn)
		}
	default:
		fn(path, v)
	}
}

// Parse reads what Text wrote. Values come back as Raw, strings as string.
func Parse(text string) (any, error) {
	p := parser{s: text}
	v, err := p.value()
	if err == nil && p.pos != len(p.s) {
		err = fmt.Errorf("text goes on at %d", p.pos)
	}
	return v, err
}

type parser struct {
	s   string
	pos int
}

func (p *parser) skip(s string) bool {
	if strings.HasPrefix(p.s[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *parser) value() (any, error) {
	switch {
	case p.skip("{"):
		s := &Struct{}
		for !p.skip("}") {
			end := strings.Index(p.s[p.pos:], ": ")
			if end < 0 {
				return nil, fmt.Errorf("no field name at %d", p.pos)
			}
			name := p.s[p.pos : p.pos+end]
			p.pos += end + 2
			v, err := p.value()
			if err != nil {
				return nil, err
			}
			s.Fields = append(s.Fields, Field{name, v})
			p.skip(", ")
		}
		return s, nil
	case p.skip("["):
		list := List{}
		for !p.skip("]") {
			v, err := p.value()
			if err != nil {
				return nil, err
			}
			list = append(list, v)
			p.skip(", ")
		}
		return list, nil
	case strings.HasPrefix(p.s[p.pos:], `"`):
		q, err := strconv.QuotedPrefix(p.s[p.pos:])
		if err != nil {
			return nil, err
		}
		p.pos += len(q)
		return strconv.Unquote(q)
	}
	start := p.pos
	for p.pos < len(p.s) && !strings.ContainsRune(",]}", rune(p.s[p.pos])) {
		p.pos++
	}
	if p.pos == start {
		return nil, fmt.Errorf("no value at %d", p.pos)
	}
	return Raw(p.s[start:p.pos]), nil
}
