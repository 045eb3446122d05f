package main

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
)

// exchange is one generated request. It is the same bytes for every broker, but for names
// that begin with the prefix of the script and for ids that the broker made: the request
// holds stand-ins of the same length, which are replaced when it is sent.
type exchange struct {
	kind    string // what is special about it
	key     int16
	version int16
	tree    *wire.Struct // what body was made of, nil if there is no such tree
	shown   *wire.Struct // what it was before its bytes were changed, nil if they were not
	body    []byte       // with stand-ins
	header  headerKind
}

// headerKind is what is special about the header of a request.
type headerKind int8

const (
	plainHeader headerKind = iota
	nullClientID
	unknownHeaderTag
)

// standInPrefix stands for the prefix of a script's names.
const standInPrefix = "c0000000-0000-"

// standInID stands for the id of a topic of the preparations.
func standInID(n byte) (id [16]byte) {
	copy(id[:], "topic stand-in  ")
	id[15] = n
	return id
}

// standInMember stands for the id of a member of the preparations.
func standInMember(n byte) string {
	return []string{"conformance", "static"}[n] + "-00000000-0000-4000-8000-00000000000" + string('0'+n)
}

func (x *exchange) String() string {
	tree := x.tree
	if tree == nil {
		tree = x.shown
	}
	if tree == nil {
		return sprintf("%s, %x", x.kind, x.body)
	}
	text := x.kind + ", " + strings.ReplaceAll(wire.Text(tree), standInPrefix, "~-")
	if x.tree == nil && len(x.body) <= 1000 {
		text += sprintf(" as %x", x.body)
	}
	return text
}

// frame is the exchange as it is sent: stand-ins replaced, behind its header.
func (x *exchange) frame(correlationID int32, real *strings.Replacer) []byte {
	api := schema.Lookup(x.key)
	body := []byte(real.Replace(string(x.body)))
	if x.header == plainHeader {
		return encodeFrame(api, x.version, correlationID, "conformance", body)
	}
	b := []byte{0, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(api.Key))
	b = binary.BigEndian.AppendUint16(b, uint16(x.version))
	b = binary.BigEndian.AppendUint32(b, uint32(correlationID))
	if x.header == nullClientID {
		b = append(b, 0xff, 0xff)
	} else {
		b = append(b, 0, 1, 'c')
	}
	if api.RequestHeaderVersion(x.version) >= 2 {
		if x.header == unknownHeaderTag {
			b = append(b, 1, 100, 3, 'a', 'b', 'c')
		} else {
			b = append(b, 0)
		}
	}
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// pipelined is how many generated requests are sent before their answers are read.
const pipelined = 10

// exchanges sends requests one behind the other and takes down the answers. After one
// that closes its connection, or is not answered, the next go over a new connection.
func (t *T) exchanges(list []exchange) {
	real := t.standIns()
	for len(list) > 0 {
		n := min(len(list), pipelined)
		c := t.on("a")
		var all bytes.Buffer
		waiting := make([]*Pending, n)
		for i := range n {
			x := &list[i]
			t.lastID++
			api := schema.Lookup(x.key)
			waiting[i] = &Pending{c: c, api: api, version: x.version, id: t.lastID, label: sprintf("%s: %s v%d", c.name, api.Name, x.version), asked: x.String()}
			all.Write(x.frame(t.lastID, real))
		}
		c.raw.write(all.Bytes())
		done := 0
		for _, p := range waiting {
			a := p.answer()
			done++
			if a.State == "closed" || a.State == "silent" {
				c.raw.close()
				delete(t.conns, "a")
				break
			}
		}
		list = list[done:]
	}
	if t.conns["a"] != nil {
		t.on("a").open()
	}
}
