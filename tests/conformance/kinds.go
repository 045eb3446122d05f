package main

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
)

// kind is one way to make a request.
type kind struct {
	name  string
	share int // of a hundred
	// change makes something of a tree; it says whether it could. nil leaves it as it is.
	change func(m *maker, tree *wire.Struct) bool
	// bytes makes something of the body that was made of the tree.
	bytes func(m *maker, x *exchange) bool
	valid bool // start with a tree of good values
}

// kinds are all ways to make a request.
var kinds = []kind{
	{name: "values", share: 43},
	{name: "valid", share: 6, valid: true},
	{name: "duplicate", share: 9, change: (*maker).duplicate},
	{name: "null", share: 7, change: (*maker).null},
	{name: "empty", share: 5, change: (*maker).empty},
	{name: "boundary", share: 7, change: (*maker).boundary},
	{name: "oversize", share: 4, change: (*maker).oversize},
	{name: "strange name", share: 5, change: (*maker).strangeName},
	{name: "enum", share: 4, change: (*maker).enum},
	{name: "unknown tag", share: 2, change: (*maker).unknownTag},
	{name: "truncated", share: 3, bytes: (*maker).truncated},
	{name: "trailing bytes", share: 2, bytes: (*maker).trailing},
	{name: "impossible length", share: 2, bytes: (*maker).impossibleLength},
	{name: "header", share: 1, bytes: (*maker).strangeHeader},
}

// exchange makes one request.
func (m *maker) exchange() exchange {
	n := m.rand.IntN(100)
	k := &kinds[0]
	for i := range kinds {
		if n -= kinds[i].share; n < 0 {
			k = &kinds[i]
			break
		}
	}
	m.valid = k.valid
	tree := m.message()
	m.valid = false
	x := exchange{kind: k.name, key: m.api.Key, version: m.version, tree: tree}
	if k.change != nil && !k.change(m, tree) {
		x.kind = "values"
	}
	if m.api.Key == 0 && namesPartitionTwice(tree) {
		// Apache appends one of the two and says nothing of the other: a script shows it.
		m.used, tree = nil, m.message()
		x.kind, x.tree = "values", tree
	}
	for m.api.Key == 33 && m.namesTwice(m.api.Request.Fields, tree) {
		m.used, tree = nil, m.message() // Apache never answers, and its controller waits
		x.kind, x.tree = "values", tree
	}
	if m.namesTwice(m.api.Request.Fields, tree) {
		x.kind += " twice"
	}
	x.encode()
	if k.bytes != nil {
		if k.bytes(m, &x) {
			x.tree, x.shown = nil, x.tree
		} else {
			x.kind = "values"
		}
	}
	return x
}

// namesTwice says whether a list of the request names something a second time.
func (m *maker) namesTwice(fields []schema.Field, s *wire.Struct) bool {
	for i := range fields {
		f := &fields[i]
		if sub, ok := s.Get(f.Name).(*wire.Struct); ok && sub != nil && m.namesTwice(f.Fields, sub) {
			return true
		}
		list, _ := s.Get(f.Name).(wire.List)
		seen := map[string]bool{}
		for _, v := range list {
			name := wire.Text(v)
			if sub, ok := v.(*wire.Struct); ok {
				if m.namesTwice(f.Fields, sub) {
					return true
				}
				id := m.identifier(f)
				if id == nil {
					continue
				}
				name = wire.Text(sub.Get(id.Name)) + wire.Text(sub.Get("ResourceType"))
			}
			if seen[name] {
				return true
			}
			seen[name] = true
		}
	}
	return false
}

func namesPartitionTwice(tree *wire.Struct) bool {
	seen := map[string]bool{}
	topics, _ := tree.Get("TopicData").(wire.List)
	for _, t := range topics {
		topic := t.(*wire.Struct)
		partitions, _ := topic.Get("PartitionData").(wire.List)
		for _, p := range partitions {
			key := wire.Text(topic.Get("Name")) + wire.Text(topic.Get("TopicId")) + wire.Text(p.(*wire.Struct).Get("Index"))
			if seen[key] {
				return true
			}
			seen[key] = true
		}
	}
	return false
}

func (x *exchange) encode() {
	x.body = wire.AppendRequest(nil, schema.Lookup(x.key), x.version, x.tree)
}

// spot is a field of a tree.
type spot struct {
	field *schema.Field
	in    *wire.Struct
	name  string // of the struct that it is in
}

// spots are the fields of a tree for which ok holds.
func (m *maker) spots(tree *wire.Struct, ok func(f *schema.Field) bool) (all []spot) {
	var walk func(fields []schema.Field, s *wire.Struct, in string)
	walk = func(fields []schema.Field, s *wire.Struct, in string) {
		for i := range fields {
			f := &fields[i]
			if s == nil || !s.Has(f.Name) {
				continue
			}
			if ok(f) {
				all = append(all, spot{f, s, in})
			}
			switch v := s.Get(f.Name).(type) {
			case *wire.Struct:
				walk(f.Fields, v, f.Name)
			case wire.List:
				for _, x := range v {
					if sub, is := x.(*wire.Struct); is {
						walk(f.Fields, sub, f.Name)
					}
				}
			}
		}
	}
	walk(m.api.Request.Fields, tree, "")
	return all
}

// spot picks one of the fields for which ok holds.
func (m *maker) spot(tree *wire.Struct, ok func(f *schema.Field) bool) (spot, bool) {
	all := m.spots(tree, ok)
	if len(all) == 0 {
		return spot{}, false
	}
	return pick(m, all...), true
}

// duplicate puts an element into a list a second time, the same or a little different.
func (m *maker) duplicate(tree *wire.Struct) bool {
	switch m.api.Key {
	case 33:
		return false // never answered by Apache, and blocks its controller
	case 0, 11:
		return false // Apache drops what was named first, or never answers; scripts show it
	}
	all := slices.DeleteFunc(m.spots(tree, func(f *schema.Field) bool { return f.Array }), func(s spot) bool {
		list, _ := s.in.Get(s.field.Name).(wire.List)
		return len(list) == 0
	})
	if len(all) == 0 {
		return false
	}
	s := pick(m, all...)
	list := s.in.Get(s.field.Name).(wire.List)
	again := wire.Clone(pick(m, list...))
	if sub, ok := again.(*wire.Struct); ok && m.rand.IntN(2) == 0 {
		// Another value of what is no name.
		for i := range s.field.Fields {
			f := &s.field.Fields[i]
			if i > 0 && sub.Has(f.Name) && !f.Array && f.Kind != schema.Struct {
				sub.Set(f.Name, m.value(f, s.field.Name))
			}
		}
		m.harmless(sub, s.field.Name)
	}
	at := m.rand.IntN(len(list) + 1)
	s.in.Set(s.field.Name, slices.Insert(slices.Clone(list), at, again))
	return true
}

// null puts null where it is allowed, or is not.
func (m *maker) null(tree *wire.Struct) bool {
	s, ok := m.spot(tree, func(f *schema.Field) bool {
		return (f.Array || f.Kind == schema.String || f.Kind == schema.Bytes || f.Kind == schema.Records) && !(f.Nullable.Contain(m.version) && m.nullMeansAll(f)) && f.Name != "TransactionalId"
	})
	if !ok {
		return false
	}
	if m.api.Key == 0 && s.field.Kind == schema.Records && !m.rare() {
		return false
	}
	s.in.Set(s.field.Name, nil)
	m.harmless(s.in, s.name)
	return true
}

// empty empties a list or a text.
func (m *maker) empty(tree *wire.Struct) bool {
	s, ok := m.spot(tree, func(f *schema.Field) bool {
		return (f.Array || f.Kind == schema.String || f.Kind == schema.Bytes || f.Kind == schema.Records) && !m.emptyMeansAll(f) && f.Name != "TransactionalId" && !(m.api.Key == 11 && f.Name == "Metadata")
	})
	if !ok {
		return false
	}
	s.in.Set(s.field.Name, wire.Zero(s.field))
	m.harmless(s.in, s.name)
	return true
}

// tame are numbers that may not be any: waits, roles, and partition counts.
var tame = map[string]bool{"MaxWaitMs": true, "MinBytes": true, "ReplicaId": true, "NumPartitions": true, "Count": true, "KeyType": true, "Acks": true,
	"TimeoutMs": true, "timeoutMs": true, "ResourceType": true, "SessionTimeoutMs": true, "RebalanceTimeoutMs": true}

// boundary gives a number the least or greatest value that its type has, or one beside 0.
func (m *maker) boundary(tree *wire.Struct) bool {
	s, ok := m.spot(tree, func(f *schema.Field) bool {
		return !f.Array && f.Kind < schema.String && f.Kind != schema.Bool && f.Kind != schema.Float64 && f.Kind != schema.UUID && !tame[f.Name] && !skippedFields[f.Name]
	})
	if !ok {
		return false
	}
	least, most := limits(s.field)
	s.in.Set(s.field.Name, pick(m, least, most, -1, 0, 1, least+1, most-1))
	m.harmless(s.in, s.name)
	return true
}

// oversize makes a text or a list much longer.
func (m *maker) oversize(tree *wire.Struct) bool {
	if m.rand.IntN(2) == 0 {
		if s, ok := m.spot(tree, func(f *schema.Field) bool { return !f.Array && f.Kind == schema.String && f.Name != "TransactionalId" }); ok {
			n := pick(m, 249, 250, 4096, 4097, 32767)
			if m.api.Key == 3 && m.version < 4 {
				n = 250 // a longer name is not created
			}
			s.in.Set(s.field.Name, strings.Repeat("o", n))
			m.harmless(s.in, s.name)
			return true
		}
	}
	s, ok := m.spot(tree, func(f *schema.Field) bool {
		return f.Array && f.Kind == schema.Int32 && f.Name != "BrokerIds" && f.Name != "Replicas"
	})
	if !ok {
		return false
	}
	list := wire.List{}
	for i := range 200 {
		list = append(list, int64(i))
	}
	s.in.Set(s.field.Name, list)
	return true
}

// strangeName gives a topic or a group a name that it may not have.
func (m *maker) strangeName(tree *wire.Struct) bool {
	s, ok := m.spot(tree, func(f *schema.Field) bool {
		return !f.Array && f.Kind == schema.String && (strings.Contains(f.Name, "Topic") || strings.Contains(f.Name, "Name") || strings.Contains(f.Name, "Group") || f.Name == "Principal")
	})
	if !ok {
		return false
	}
	names := strangeNames
	switch m.api.Key {
	case 3:
		if m.version < 4 {
			names = []string{"", "..", "a b", "ä"}
		}
	case 20, 21, 33, 37, 44, 45:
		names = []string{"", ".", "..", "a b", "a/b", "ä", "a\x00b", strings.Repeat("n", 249), strings.Repeat("n", 250)}
	case 48, 49:
		names = []string{"", "a b", "ä", "a\x00b"}
	}
	s.in.Set(s.field.Name, pick(m, names...))
	m.harmless(s.in, s.name)
	return true
}

// enum goes through the values of a field that has few.
func (m *maker) enum(tree *wire.Struct) bool {
	s, ok := m.spot(tree, func(f *schema.Field) bool { return !f.Array && enums[place{m.api.Key, f.Name}] != nil })
	if !ok {
		return false
	}
	list := enums[place{m.api.Key, s.field.Name}]
	s.in.Set(s.field.Name, list[m.serial%len(list)])
	m.harmless(s.in, s.name)
	return true
}

// unknownTag adds a tagged field that nobody knows.
func (m *maker) unknownTag(tree *wire.Struct) bool {
	if m.version < m.api.Request.Flexible {
		return false
	}
	in := tree
	if all := m.spots(tree, func(*schema.Field) bool { return true }); len(all) > 0 && m.rand.IntN(2) == 0 {
		in = pick(m, all...).in
	}
	in.Set(wire.UnknownTag, wire.Bytes("unknown"))
	return true
}

func (m *maker) truncated(x *exchange) bool {
	if len(x.body) == 0 {
		return false
	}
	x.body = x.body[:m.rand.IntN(len(x.body))]
	return true
}

func (m *maker) trailing(x *exchange) bool {
	x.body = append(x.body, make([]byte, pick(m, 1, 4, 100))...)
	return true
}

// impossibleLength overwrites a length.
func (m *maker) impossibleLength(x *exchange) bool {
	body, places := wire.Lengths(m.api, m.version, x.tree)
	if len(places) == 0 {
		return false
	}
	at := pick(m, places...)
	switch {
	case m.version >= m.api.Request.Flexible:
		long := binary.AppendUvarint(nil, uint64(pick(m, 100000, math.MaxInt32, math.MaxInt32-1)))
		body = slices.Replace(body, at, at+1, long...)
	case at+4 <= len(body) && m.rand.IntN(2) == 0:
		binary.BigEndian.PutUint32(body[at:], uint32(pick(m, 0x7fffffff, 0xfffffffe, 100000)))
	default:
		binary.BigEndian.PutUint16(body[at:], uint16(pick(m, 0x7fff, 0xfffe, 0x8000)))
	}
	x.body = body
	return true
}

// strangeHeader leaves out the client id, or adds a tagged field that nobody knows.
func (m *maker) strangeHeader(x *exchange) bool {
	x.header = nullClientID
	if m.version >= m.api.Request.Flexible && m.rand.IntN(2) == 0 {
		x.header = unknownHeaderTag
	}
	return true
}
