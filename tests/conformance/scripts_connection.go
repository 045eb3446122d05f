package main

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rawFrame is a request written by hand: size, key, version, correlation id, then the rest of
// the header and the body as they are.
func rawFrame(key, version int16, correlationID int32, rest []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(rest)))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, uint32(correlationID))
	return append(b, rest...)
}

// sendRaw sends such a frame; its answer is read like any other.
func (c *Conn) sendRaw(key, version int16, correlationID int32, rest []byte, label string) *Pending {
	api := lookup(key)
	c.raw.write(rawFrame(key, version, correlationID, rest))
	return &Pending{c: c, api: api, version: version, id: correlationID, label: sprintf("%s: %s v%d, %s", c.name, api.Name, version, label)}
}

// fate takes down what becomes of a connection: it is closed, says nothing, or answers.
func (c *Conn) fate(d time.Duration) { c.silent(d) }

// stateWithin takes down only whether an answer came.
func (p *Pending) stateWithin(d time.Duration) {
	_, state := p.receive(d)
	p.record(nil, state)
}

// body is the body of a request in a version.
func body(version int16, req kmsg.Request) []byte {
	req.SetVersion(version)
	return req.AppendTo(nil)
}

var connectionScripts = []script{
	{"connection: first bytes of HTTP", -1, 0, 0, func(t *T) {
		for i, s := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /x HTTP/1.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n"} {
			c := t.on(sprintf("c%d", i))
			c.raw.write([]byte(s))
			c.fate(2 * time.Second)
		}
	}},
	{"connection: first bytes of TLS", -1, 0, 0, func(t *T) {
		hello := append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, make([]byte, 500)...)
		t.on("a").raw.write(hello)
		t.on("a").fate(2 * time.Second)
		t.on("b").raw.write([]byte{0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10}) // SSL 2
		t.on("b").fate(2 * time.Second)
	}},
	{"connection: first bytes of other protocols", -1, 0, 0, func(t *T) {
		for i, b := range [][]byte{
			[]byte("SSH-2.0-OpenSSH_9.0\r\n"), []byte("*1\r\n$4\r\nPING\r\n"), []byte("AMQP\x00\x00\x09\x01"), []byte("EHLO a\r\n"),
			{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f},                         // PostgreSQL asks for TLS
			append([]byte{0, 0, 0, 45, 0, 0, 0, 0}, make([]byte, 41)...), // ZooKeeper's first frame
			{0x10, 0x10, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 4, 'a', 'b', 'c', 'd'},
			[]byte("ruok"), []byte("\r\n\r\n\r\n"),
		} {
			c := t.on(sprintf("c%d", i))
			c.raw.write(b)
			c.fate(1500 * time.Millisecond)
		}
	}},
	{"connection: client ids", 3, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		c := t.on("a")
		for _, id := range []string{"", " ", "a b", "ä", "\xff\xfe", "x\x00y", strings.Repeat("x", 300), strings.Repeat("y", 32767)} {
			c.clientID = id
			c.do(metadataOf(topic))
		}
		c.clientID = "conformance"
	}},
	{"connection: null client ids", 3, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		rest := []byte{0xff, 0xff}
		if lookup(3).RequestHeaderVersion(t.version) >= 2 {
			rest = append(rest, 0)
		}
		rest = append(rest, body(t.version, metadataOf(topic))...)
		t.on("a").sendRaw(3, t.version, 5, rest, "client id null").answer()
		t.on("a").open()
	}},
	{"connection: headers of another version", 3, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		rest := []byte{0, 1, 'x'}
		if lookup(3).RequestHeaderVersion(t.version) < 2 {
			rest = append(rest, 0) // tags where there are none
		}
		rest = append(rest, body(t.version, metadataOf(topic))...)
		t.on("a").sendRaw(3, t.version, 5, rest, "header of the other kind").stateWithin(2 * time.Second)
	}},
	{"connection: tags in headers and bodies", 3, 9, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		b := body(t.version, metadataOf(topic))
		for i, tags := range [][]byte{{1, 7, 2, 9, 9}, {2, 7, 0, 9, 1, 1}, {1, 0, 0}, {1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0},
			{2, 9, 0, 7, 0}, {2, 7, 0, 7, 0}, {1, 7, 200}, {0xff, 0xff, 0xff, 0xff, 0x0f}} {
			c := t.on(sprintf("h%d", i))
			c.sendRaw(3, t.version, 5, append(append([]byte{0, 1, 'x'}, tags...), b...), sprintf("header tags %x", tags)).answerWithin(2 * time.Second)
			c = t.on(sprintf("b%d", i))
			c.sendRaw(3, t.version, 6, append(append([]byte{0, 1, 'x', 0}, b[:len(b)-1]...), tags...), sprintf("body tags %x", tags)).answerWithin(2 * time.Second)
		}
	}},
	{"connection: a frame byte by byte", -1, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		c := t.on("a")
		for _, b := range rawFrame(3, 4, 9, append([]byte{0, 1, 'x'}, body(4, metadataOf(topic))...)) {
			c.raw.write([]byte{b})
			time.Sleep(time.Millisecond)
		}
		p := &Pending{c: c, api: lookup(3), version: 4, id: 9, label: "a: Metadata v4 byte by byte"}
		p.answer()
	}},
	{"connection: correlation ids", -1, 0, 0, func(t *T) {
		t.offsetsTopic()
		for _, id := range []int32{0, -1, -1 << 31, 1<<31 - 1, 7, 7} {
			t.on("a").sendRaw(10, 0, id, append([]byte{0, 1, 'x'}, 0, 1, 'g'), sprintf("correlation id %d", id)).answer()
		}
	}},
	{"connection: many requests at once", -1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.fill(topic, 0, records("a"))
		c := t.on("a")
		var all []*Pending
		for i := range 40 {
			switch i % 4 {
			case 0:
				all = append(all, c.send(metadataOf(topic)))
			case 1:
				all = append(all, c.send(produce(topic, 0, records("b"))))
			case 2:
				all = append(all, c.send(listOffsets(topic, 0, -1)))
			case 3:
				all = append(all, c.send(fetch(topic, id, 0, 1000)))
			}
		}
		for _, p := range all {
			p.answer()
		}
	}},
	{"connection: acks 0 among others", 0, 3, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		c := t.on("a")
		send := func(acks int16) *Pending {
			req := produceAcks(acks, topic, 0, records("x"))
			req.Topics[0].TopicID = id
			return c.send(req)
		}
		p1 := send(-1)
		send(0)
		send(0)
		p2 := send(1)
		p3 := c.send(at(7, listOffsets(topic, 0, -1)))
		p1.answer()
		p2.answer()
		p3.answer()
	}},
	{"connection: no version that anybody has", -1, 0, 0, func(t *T) {
		for key := range int16(93) {
			if lookup(key) == nil || key == 18 {
				continue
			}
			for _, version := range []int16{98, -3} {
				c := t.on(sprintf("k%d-%d", key, version))
				c.raw.write(rawFrame(key, version, 1, []byte{0, 1, 'x', 0, 0, 0, 0, 0, 0, 0, 0, 0}))
				c.fate(2 * time.Second)
				c.raw.close()
			}
		}
	}},
	{"connection: nothing behind the header", -1, 0, 0, func(t *T) {
		for _, key := range []int16{0, 1, 2, 8, 9, 10, 11, 12, 13, 14, 15, 16, 19, 20, 21, 22, 23, 29, 30, 31, 32, 33, 34, 35, 37, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 55, 57, 60, 61, 64, 75} {
			version := auxiliary[key]
			rest := []byte{0, 1, 'x'}
			if lookup(key).RequestHeaderVersion(version) >= 2 {
				rest = append(rest, 0)
			}
			c := t.on(sprintf("k%d", key))
			c.raw.write(rawFrame(key, version, 1, rest))
			c.fate(2 * time.Second)
			c.raw.close()
		}
	}},
	{"apiversions: another body than the version's", 18, 0, 0, func(t *T) {
		software := body(4, func() kmsg.Request {
			req := kmsg.NewPtrApiVersionsRequest()
			req.ClientSoftwareName, req.ClientSoftwareVersion = "a", "1"
			return req
		}())
		for i, rest := range [][]byte{{0, 1, 'x'}, {0xff, 0xff}, {0, 1, 'x', 0}, append([]byte{0, 1, 'x', 0}, software...), append([]byte{0xff, 0xff, 0}, software...),
			append([]byte{0, 1, 'x', 0}, append(software, 1, 2, 3)...), {0, 1, 'x', 0, 0, 0, 0}, {0, 1, 'x', 0, 1, 1, 0}} {
			c := t.on(sprintf("c%d", i))
			c.raw.write(rawFrame(18, t.version, 1, rest))
			c.fate(2 * time.Second)
		}
	}},
	{"apiversions: fallback, then a version that is served", -1, 0, 0, func(t *T) {
		for v := int16(5); v < 12; v++ {
			c := t.on(sprintf("c%d", v))
			for _, rest := range [][]byte{{0, 1, 'x'}, {0xff, 0xff, 0, 1, 1, 0}, nil, {0, 200}} {
				p := c.sendRaw(18, v, 3, rest, sprintf("%x", rest))
				p.version = 0
				p.answerWithin(2 * time.Second)
				if c.closed {
					break
				}
			}
			if !c.closed {
				c.open()
			}
		}
	}},
	{"connection: bytes behind the end of any body", -1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		t.offsetsTopic()
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorKey, find.CoordinatorKeys = "g", []string{"g"}
		for i, req := range []kmsg.Request{produce(topic, 0, records("a")), fetch(topic, id, 0, 0), listOffsets(topic, 0, -1), find, heartbeat("g", "m", 1),
			describeGroups(t.name("none")), createTopic(t.name("u"), 1, 1), deleteTopic(t.name("none")), deleteRecords(topic, 0, 0), describeConfigs(2, topic, "retention.ms"),
			createPartitions(topic, 1), kmsg.NewPtrDescribeClusterRequest(), kmsg.NewPtrListGroupsRequest()} {
			version := auxiliary[req.Key()]
			p := t.on(sprintf("c%d", i)).sendBody(req.Key(), version, append(body(version, req), 0xde, 0xad))
			tree, state := p.receive(patience)
			if req.Key() == 16 {
				tree = nil // everybody's groups
			}
			p.record(tree, state)
		}
	}},
}
