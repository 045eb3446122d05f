// The gen program writes tables_gen.go of protocol/schema and api_keys_gen.go of protocol
// from the message definitions in two kafka-clients jars, the last release that has all old
// versions and the newest one:
//
//	go run ./protocol/schema/gen -dir protocol kafka-clients-3.9.2.jar kafka-clients-4.3.1.jar
//
// Only facts go into the tables: names, types, version ranges, tags. Where the two jars
// describe one version differently it prints the difference and takes the newer.
package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/format"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "protocol", "directory of the protocol package")
	flag.Parse()
	if flag.NArg() != 2 {
		log.Fatal("usage: gen [-dir protocol] <older kafka-clients jar> <newer kafka-clients jar>")
	}
	if err := run(*dir, flag.Arg(0), flag.Arg(1)); err != nil {
		log.Fatal(err)
	}
}

func run(dir, olderJar, newerJar string) error {
	older, err := readJar(olderJar)
	if err != nil {
		return err
	}
	newer, err := readJar(newerJar)
	if err != nil {
		return err
	}
	var apis []api
	for key := range int16(lastKey + 1) {
		a, err := mergeAPI(key, older, newer)
		if err != nil {
			return err
		}
		apis = append(apis, a)
	}
	if err := writeGo(filepath.Join(dir, "schema", "tables_gen.go"), tables(apis)); err != nil {
		return err
	}
	return writeGo(filepath.Join(dir, "api_keys_gen.go"), keys(apis))
}

// lastKey is the last API key of the newer jar; the table is indexed by key.
const lastKey = 92

// definition is a message definition file. Comments apart it is JSON.
type definition struct {
	APIKey                *int16 `json:"apiKey"`
	Type, Name            string
	ValidVersions         string
	FlexibleVersions      string
	LatestVersionUnstable bool
	Fields                []jsonField
	CommonStructs         []jsonField
}

type jsonField struct {
	Name, Type       string
	Versions         string
	NullableVersions string
	TaggedVersions   string
	Tag              json.Number // a number, in places in quotes
	Fields           []jsonField
}

type jar struct{ request, response map[int16]definition }

func readJar(name string) (jar, error) {
	j := jar{map[int16]definition{}, map[int16]definition{}}
	z, err := zip.OpenReader(name)
	if err != nil {
		return j, err
	}
	defer z.Close()
	for _, f := range z.File {
		if !strings.HasPrefix(f.Name, "common/message/") || !strings.HasSuffix(f.Name, ".json") {
			continue
		}
		rc, err := f.Open()
		if err != nil {
			return j, err
		}
		text, err := io.ReadAll(rc)
		rc.Close()
		if err != nil {
			return j, err
		}
		var d definition
		if err := json.Unmarshal(stripComments(text), &d); err != nil {
			return j, fmt.Errorf("%s in %s: %w", f.Name, name, err)
		}
		if d.APIKey == nil {
			continue
		}
		switch d.Type {
		case "request":
			j.request[*d.APIKey] = d
		case "response":
			j.response[*d.APIKey] = d
		}
	}
	return j, nil
}

// stripComments removes what follows // outside of strings, up to the end of the line, and
// /* */ comments.
func stripComments(text []byte) []byte {
	var out []byte
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case inString && c == '\\':
			out = append(out, c)
			i++
			c = text[i]
		case c == '"':
			inString = !inString
		case !inString && bytes.HasPrefix(text[i:], []byte("//")):
			for i < len(text) && text[i] != '\n' {
				i++
			}
			c = '\n'
		case !inString && bytes.HasPrefix(text[i:], []byte("/*")):
			end := bytes.Index(text[i:], []byte("*/"))
			i += end + 1
			c = ' '
		}
		out = append(out, c)
	}
	return out
}

// open stands for "and all later versions" as the end of a range.
const open = 127

type versions struct{ first, end int }

func (v versions) contain(n int) bool { return n >= v.first && n < v.end }
func (v versions) empty() bool        { return v.end <= v.first }

func (v versions) union(w versions) versions {
	switch {
	case v.empty():
		return w
	case w.empty():
		return v
	}
	return versions{min(v.first, w.first), max(v.end, w.end)}
}

func (v versions) intersect(w versions) versions {
	u := versions{max(v.first, w.first), min(v.end, w.end)}
	if u.empty() {
		return versions{}
	}
	return u
}

func parseVersions(s string) versions {
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			log.Fatalf("bad versions: %v", err)
		}
		return n
	}
	if s == "" || s == "none" {
		return versions{}
	}
	if first, ok := strings.CutSuffix(s, "+"); ok {
		return versions{number(first), open}
	}
	if first, last, ok := strings.Cut(s, "-"); ok {
		return versions{number(first), number(last) + 1}
	}
	return versions{number(s), number(s) + 1}
}

type field struct {
	name                       string
	kind                       string // as schema's constants
	array                      bool
	versions, nullable, tagged versions
	tag                        int
	fields                     []field
}

type message struct {
	name     string
	flexible versions
	fields   []field
}

type api struct {
	key               int16
	name              string
	served            versions
	request, response message
}

var kinds = map[string]string{
	"bool": "Bool", "int8": "Int8", "int16": "Int16", "uint16": "Uint16", "int32": "Int32", "uint32": "Uint32",
	"int64": "Int64", "float64": "Float64", "uuid": "UUID", "string": "String", "bytes": "Bytes", "records": "Records",
}

func (d definition) message() message {
	common := map[string][]jsonField{}
	for _, s := range d.CommonStructs {
		common[s.Name] = s.Fields
	}
	var convert func([]jsonField) []field
	convert = func(in []jsonField) (out []field) {
		for _, j := range in {
			f := field{
				name: j.Name, versions: parseVersions(j.Versions),
				nullable: parseVersions(j.NullableVersions), tagged: parseVersions(j.TaggedVersions),
			}
			if j.Tag != "" {
				tag, err := j.Tag.Int64()
				if err != nil {
					log.Fatalf("%s: %s: %v", d.Name, j.Name, err)
				}
				f.tag = int(tag)
			}
			typ := j.Type
			typ, f.array = strings.CutPrefix(typ, "[]")
			if f.kind = kinds[typ]; f.kind == "" {
				f.kind = "Struct"
				inner := j.Fields
				if inner == nil {
					inner = common[typ]
				}
				if inner == nil {
					log.Fatalf("%s: struct %s is not defined", d.Name, typ)
				}
				f.fields = convert(inner)
			}
			f.nullable = f.nullable.intersect(f.versions)
			f.tagged = f.tagged.intersect(f.versions)
			out = append(out, f)
		}
		return out
	}
	return message{d.Name, parseVersions(d.FlexibleVersions), convert(d.Fields)}
}

func (d definition) served() versions {
	v := parseVersions(d.ValidVersions)
	if d.LatestVersionUnstable {
		v.end--
	}
	return v
}

func mergeAPI(key int16, older, newer jar) (api, error) {
	oldRequest, inOld := older.request[key]
	newRequest, inNew := newer.request[key]
	switch {
	case !inOld && !inNew:
		return api{}, fmt.Errorf("no message has key %d", key)
	case !inNew:
		newRequest = definition{ValidVersions: "none"}
	case !inOld:
		oldRequest = definition{ValidVersions: "none"}
	}
	a := api{key: key, served: oldRequest.served().union(newRequest.served())}
	a.name = strings.TrimSuffix(newRequest.Name, "Request")
	if a.name == "" {
		a.name = strings.TrimSuffix(oldRequest.Name, "Request")
	}
	a.request = mergeMessage(a.name, a.served, oldRequest, newRequest)
	oldResponse, newResponse := older.response[key], newer.response[key]
	if oldResponse.Name == "" {
		oldResponse.ValidVersions = "none"
	}
	if newResponse.Name == "" {
		newResponse.ValidVersions = "none"
	}
	a.response = mergeMessage(a.name, a.served, oldResponse, newResponse)
	return a, nil
}

// mergeMessage makes one tree of two definitions of a message. The newer one speaks for
// its versions, the older one for those below. Then it compares, for each version, what
// the merged tree puts on the wire with what the definition does.
func mergeMessage(name string, served versions, older, newer definition) message {
	oldValid, newValid := parseVersions(older.ValidVersions), parseVersions(newer.ValidVersions)
	oldValid, newValid = oldValid.intersect(served), newValid.intersect(served)
	switch {
	case newValid.empty():
		return older.message()
	case oldValid.empty():
		return newer.message()
	}
	o, n := older.message(), newer.message()
	m := message{n.name, n.flexible.union(o.flexible), mergeFields(o.fields, n.fields, versions{0, newValid.first})}
	for v := served.first; v < served.end; v++ {
		inOld, inNew := oldValid.contain(v), newValid.contain(v)
		oldWire, newWire, wire := o.wire(v), n.wire(v), m.wire(v)
		if inOld && inNew && oldWire != newWire {
			log.Printf("%s v%d differs:\n  older %s\n  newer %s", n.name, v, oldWire, newWire)
		}
		want := newWire
		if !inNew {
			want = oldWire
		}
		if wire != want {
			log.Fatalf("%s v%d merged wrongly:\n  want %s\n  have %s", n.name, v, want, wire)
		}
	}
	return m
}

func mergeFields(older, newer []field, dropped versions) []field {
	var out []field
	same := func(a, b field) bool { return a.name == b.name && a.kind == b.kind && a.array == b.array }
	in := func(f field, list []field) bool {
		return slices.ContainsFunc(list, func(g field) bool { return same(f, g) })
	}
	for len(older) > 0 || len(newer) > 0 {
		switch {
		case len(older) > 0 && len(newer) > 0 && same(older[0], newer[0]):
			o, f := older[0], newer[0]
			f.versions = f.versions.union(o.versions.intersect(dropped))
			f.nullable = f.nullable.union(o.nullable.intersect(dropped))
			f.tagged = f.tagged.union(o.tagged.intersect(dropped))
			f.fields = mergeFields(o.fields, f.fields, dropped)
			out = append(out, f)
			older, newer = older[1:], newer[1:]
		case len(older) > 0 && !in(older[0], newer):
			o := older[0]
			o.versions = o.versions.intersect(dropped)
			o.nullable = o.nullable.intersect(dropped)
			o.tagged = o.tagged.intersect(dropped)
			if !o.versions.empty() {
				out = append(out, o)
			}
			older = older[1:]
		case len(newer) > 0:
			out = append(out, newer[0])
			newer = newer[1:]
		default:
			log.Fatalf("field %s stands in another order", older[0].name)
		}
	}
	return out
}

// wire describes what a version puts on the wire; two messages with the same description
// are read by the same decoder. Names are left out, Apache renames.
func (m message) wire(v int) string {
	var s strings.Builder
	if m.flexible.contain(v) {
		s.WriteString("flexible ")
	}
	wireFields(&s, m.fields, v)
	return s.String()
}

func wireFields(s *strings.Builder, fields []field, v int) {
	s.WriteByte('{')
	var tagged []field
	for _, f := range fields {
		if f.tagged.contain(v) {
			tagged = append(tagged, f)
		} else if f.versions.contain(v) {
			f.wire(s, v)
		}
	}
	slices.SortFunc(tagged, func(a, b field) int { return a.tag - b.tag })
	for _, f := range tagged {
		fmt.Fprintf(s, "tag%d:", f.tag)
		f.wire(s, v)
	}
	s.WriteByte('}')
}

func (f field) wire(s *strings.Builder, v int) {
	if f.array {
		s.WriteString("[]")
	}
	s.WriteString(f.kind)
	if f.nullable.contain(v) {
		s.WriteByte('?')
	}
	if f.kind == "Struct" {
		wireFields(s, f.fields, v)
	}
	s.WriteByte(' ')
}

// kmsgSizes are the structs of kmsg that have more fields than our definitions: those
// into which it puts several of Apache's structs, and those of which it knows newer
// versions. A test of package schema finds them.
var kmsgSizes = map[string]int{
	"ApiVersionsRequest":                     64,
	"StopReplicaRequest.UngroupedPartitions": 80,
	"StopReplicaRequest.Topics":              80,
	"StopReplicaRequest.TopicStates":         80,
	"TxnOffsetCommitRequest.Topics":          64,
}

// goSize is the most that kmsg's Go form of a field takes inside its struct. kmsg turns a
// nullable string into a pointer, which is smaller.
func (f field) goSize() int {
	if f.array {
		return 24
	}
	return f.elementSize()
}

func (f field) elementSize() int {
	switch f.kind {
	case "Bool", "Int8":
		return 1
	case "Int16", "Uint16":
		return 2
	case "Int32", "Uint32":
		return 4
	case "Int64", "Float64":
		return 8
	case "UUID", "String":
		return 16
	case "Bytes", "Records":
		return 24
	}
	return structSize(f.fields)
}

func structSize(fields []field) int {
	size := 0
	for _, f := range fields {
		n := f.goSize()
		align := min(n, 8)
		if f.kind == "UUID" && !f.array {
			align = 1
		}
		size = (size+align-1)/align*align + n
	}
	return (size+7)/8*8 + 8 // the unknown tags
}

func tables(apis []api) string {
	var s strings.Builder
	s.WriteString("// Code generated by schema/gen from Apache Kafka's message definitions; DO NOT EDIT.\n\npackage schema\n\n")
	s.WriteString("// apis is indexed by key.\nvar apis = [...]API{\n")
	for _, a := range apis {
		fmt.Fprintf(&s, "{Key: %d, Name: %q, Min: %d, Max: %d,\n", a.key, a.name, a.served.first, a.served.end-1)
		s.WriteString("Request: ")
		writeMessage(&s, a.request)
		s.WriteString("Response: ")
		writeMessage(&s, a.response)
		s.WriteString("},\n")
	}
	s.WriteString("}\n")
	return s.String()
}

func writeMessage(s *strings.Builder, m message) {
	flexible := "Never"
	if !m.flexible.empty() {
		flexible = strconv.Itoa(m.flexible.first)
	}
	goSize := max(structSize(m.fields)+8, kmsgSizes[m.name]) // 8 for the version
	fmt.Fprintf(s, "Message{Name: %q, Flexible: %s, GoSize: %d, ", m.name, flexible, goSize)
	writeFields(s, m.name, m.fields)
	s.WriteString("},\n")
}

func writeFields(s *strings.Builder, path string, fields []field) {
	s.WriteString("Fields: []Field{\n")
	for _, f := range fields {
		fmt.Fprintf(s, "{Name: %q, Kind: %s", f.name, f.kind)
		if f.array {
			s.WriteString(", Array: true")
		}
		fmt.Fprintf(s, ", Versions: Versions{%d, %d}", f.versions.first, f.versions.end)
		if !f.nullable.empty() {
			fmt.Fprintf(s, ", Nullable: Versions{%d, %d}", f.nullable.first, f.nullable.end)
		}
		if !f.tagged.empty() {
			fmt.Fprintf(s, ", Tagged: Versions{%d, %d}, Tag: %d", f.tagged.first, f.tagged.end, f.tag)
		}
		if f.array || f.kind == "Struct" {
			fmt.Fprintf(s, ", GoSize: %d", max(f.elementSize(), kmsgSizes[path+"."+f.name]))
		}
		if f.kind == "Struct" {
			s.WriteString(", ")
			writeFields(s, path+"."+f.name, f.fields)
		}
		s.WriteString("},\n")
	}
	s.WriteString("}")
}

func keys(apis []api) string {
	var s strings.Builder
	s.WriteString("// Code generated by schema/gen from Apache Kafka's message definitions; DO NOT EDIT.\n\npackage protocol\n\n")
	s.WriteString("// Kafka's API keys.\nconst (\n")
	for _, a := range apis {
		fmt.Fprintf(&s, "Key%s int16 = %d\n", initialisms(a.name), a.key)
	}
	s.WriteString(")\n")
	return s.String()
}

// initialisms spells a name as Go does.
func initialisms(name string) string {
	for _, p := range [][2]string{{"Sasl", "SASL"}, {"Acls", "ACLs"}, {"Isr", "ISR"}, {"Scram", "SCRAM"}, {"Ids", "IDs"}, {"ProducerId", "ProducerID"}, {"ApiVersions", "APIVersions"}} {
		name = strings.ReplaceAll(name, p[0], p[1])
	}
	return name
}

func writeGo(name, text string) error {
	formatted, err := format.Source([]byte(text))
	if err != nil {
		return err
	}
	return os.WriteFile(name, formatted, 0o644)
}
