package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// script is a sequence of requests, on one connection or several, that is played against
// each broker. It runs once for each version of the API that it is about.
type script struct {
	name     string
	key      int16 // of the API whose versions it runs through; -1 for none
	min, max int16 // of them; max 0 means all
	run      func(t *T)
}

// event is one thing that a script saw.
type event struct {
	Label  string // connection, API and version asked
	Asked  string // what was asked, of generated requests
	Key    int16
	Answer any // a tree, or Raw: closed, silent
}

// playing is a script of one version.
type playing struct {
	script  *script
	version int16
}

func (p playing) name() string {
	if p.script.key < 0 {
		return p.script.name
	}
	return fmt.Sprintf("%s v%d", p.script.name, p.version)
}

// T is what a script has while it runs against one broker.
type T struct {
	target  *target
	version int16  // of the API that the script is about
	prefix  string // of all names that the script uses
	key     int16
	conns   map[string]*Conn
	events  []event
	ids     *symbols
	quietly int
	settled int
	lastID  int32
	real    []string // pairs of a stand-in of generated requests and what it stands for
}

// skipped ends a script early: what it needs could not be had.
type skipped struct{ reason string }

// play runs a script against a broker and returns what it saw.
func play(target *target, p playing, run string, number int) (events []event, err error) {
	t := &T{target: target, version: p.version, key: p.script.key, conns: map[string]*Conn{},
		prefix: fmt.Sprintf("%s-%04d-", run, number), ids: newSymbols(fmt.Sprintf("%s-%04d", run, number))}
	defer func() {
		for _, c := range t.conns {
			c.raw.close()
		}
		events = t.events
		if r := recover(); r != nil {
			s, ok := r.(skipped)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%s", s.reason)
		}
	}()
	p.script.run(t)
	return t.events, nil
}

func (t *T) fail(format string, args ...any) { panic(skipped{fmt.Sprintf(format, args...)}) }

// name makes a name that no other script uses.
func (t *T) name(s string) string { return t.prefix + s }

// Conn is a connection of a script.
type Conn struct {
	t        *T
	name     string
	raw      *rawConn
	clientID string
	closed   bool
}

// on returns the connection of that name, made if there is none.
func (t *T) on(name string) *Conn {
	c := t.conns[name]
	if c == nil {
		raw, err := dial(t.target.addr)
		if err != nil {
			t.fail("connect: %v", err)
		}
		c = &Conn{t: t, name: name, raw: raw, clientID: "conformance"}
		t.conns[name] = c
	}
	return c
}

// do sends a request on the first connection and waits for its answer.
func (t *T) do(req kmsg.Request) *Answer { return t.on("a").do(req) }

// quiet runs fn without taking down what it sees: preparations.
func (t *T) quiet(fn func()) {
	t.quietly++
	defer func() { t.quietly-- }()
	fn()
}

// note takes something down that is not an answer.
func (t *T) note(label string, v any) {
	if t.quietly == 0 {
		t.events = append(t.events, event{Label: label, Key: -1, Answer: v})
	}
}

// auxiliary are the versions of requests that a script is not about: the newest that 3.9,
// 4.3 and we serve.
var auxiliary = map[int16]int16{0: 9, 1: 12, 2: 7, 3: 12, 8: 8, 9: 8, 10: 3, 11: 7, 12: 4, 13: 4, 14: 5, 15: 5, 16: 4, 18: 3, 19: 7, 20: 6,
	21: 2, 22: 4, 23: 4, 32: 4, 33: 2, 34: 2, 35: 4, 37: 3, 42: 2, 43: 2, 44: 1, 45: 0, 46: 0, 47: 0, 48: 1, 49: 1, 50: 0, 51: 0, 55: 2, 57: 1, 64: 0, 60: 1, 61: 0,
	71: 0, 72: 0, 74: 0, 75: 0, 29: 3, 30: 3, 31: 3, 17: 1, 36: 2}

// at gives a request a version of its own.
func at(version int16, req kmsg.Request) kmsg.Request {
	req.SetVersion(version)
	return versioned{req}
}

// versioned marks a request whose version is meant.
type versioned struct{ kmsg.Request }

// Pending is a request that was sent and whose answer has not been looked at.
type Pending struct {
	c       *Conn
	api     *schema.API
	version int16
	id      int32
	label   string
	asked   string
}

// Answer is what came back.
type Answer struct {
	Tree  *wire.Struct // before normalising; nil if there was none
	State string       // answered, silent, closed
}

// send sends a request without waiting.
func (c *Conn) send(req kmsg.Request) *Pending {
	key := req.Key()
	if v, ok := req.(versioned); ok {
		req = v.Request
	} else {
		version := auxiliary[key]
		if key == c.t.key {
			version = c.t.version
		}
		req.SetVersion(version)
	}
	return c.sendBody(key, req.GetVersion(), req.AppendTo(nil))
}

// sendBody sends the body of a request of any version, right or wrong.
func (c *Conn) sendBody(key, version int16, body []byte) *Pending {
	api := schema.Lookup(key)
	c.t.lastID++
	p := &Pending{c: c, api: api, version: version, id: c.t.lastID,
		label: fmt.Sprintf("%s: %s v%d", c.name, api.Name, version)}
	c.raw.write(encodeFrame(api, version, p.id, c.clientID, body))
	return p
}

// do sends a request and waits for its answer.
func (c *Conn) do(req kmsg.Request) *Answer { return c.send(req).answer() }

// patience is how long an answer may take before it counts as none.
const patience = 10 * time.Second

func (p *Pending) answer() *Answer { return p.answerWithin(patience) }

// answerWithin waits for the answer and takes it down.
func (p *Pending) answerWithin(patience time.Duration) *Answer {
	tree, state := p.receive(patience)
	p.record(tree, state)
	return &Answer{Tree: tree, State: state}
}

func (p *Pending) record(tree *wire.Struct, state string) {
	t := p.c.t
	if t.quietly > 0 {
		if tree != nil {
			t.ids.learn(tree)
		}
		return
	}
	e := event{Label: p.label, Asked: p.asked, Key: p.api.Key, Answer: wire.Raw(state)}
	if tree != nil {
		e.Answer = t.ids.normalise(p.api.Key, tree)
	}
	t.events = append(t.events, e)
}

func (p *Pending) receive(patience time.Duration) (*wire.Struct, string) {
	c := p.c
	frame, err := c.raw.read(patience)
	// A machine that is busy with other things is not a broker that says nothing.
	for i := 0; err == errSilent && patience >= time.Second && i < 15 && c.t.target.isSlow(); i++ {
		frame, err = c.raw.read(patience)
	}
	switch {
	case err == errSilent:
		return nil, "silent"
	case err != nil:
		c.closed = true
		return nil, "closed"
	case len(frame) < 4:
		return nil, fmt.Sprintf("frame of %d bytes", len(frame))
	}
	id := int32(uint32(frame[0])<<24 | uint32(frame[1])<<16 | uint32(frame[2])<<8 | uint32(frame[3]))
	if id != p.id {
		return nil, fmt.Sprintf("correlation id off by %d", id-p.id)
	}
	body := frame[4:]
	if p.api.ResponseHeaderVersion(p.version) == 1 {
		if len(body) == 0 || body[0] != 0 {
			return nil, fmt.Sprintf("header tags %x", body)
		}
		body = body[1:]
	}
	tree, err := wire.DecodeResponse(p.api, p.version, body)
	if err != nil && p.api.Key == 18 {
		tree, err = wire.DecodeResponse(p.api, 0, body)
	}
	if err != nil {
		return nil, fmt.Sprintf("unreadable: %v: %x", err, body)
	}
	return tree, "answered"
}

// silent takes down whether the connection says nothing for a while, as it should while a
// request waits.
func (c *Conn) silent(d time.Duration) {
	frame, err := c.raw.read(d)
	switch {
	case err == errSilent:
		c.t.note(c.name+": waits", wire.Raw("silent"))
	case err != nil:
		c.t.note(c.name+": waits", wire.Raw("closed"))
	default:
		_ = frame
		c.t.note(c.name+": waits", wire.Raw("an answer came"))
	}
}

// open takes down whether the connection still serves.
func (c *Conn) open() {
	p := c.sendBody(18, 0, nil)
	p.label = c.name + ": still open"
	_, state := p.receive(patience)
	p.record(nil, state)
}

// int returns a number of the answer, -9999 if it is not there.
func (a *Answer) int(path string) int64 {
	n, ok := wire.At(asAny(a.Tree), path).(int64)
	if !ok {
		return -9999
	}
	return n
}

func (a *Answer) str(path string) string {
	s, _ := wire.At(asAny(a.Tree), path).(string)
	return s
}

func (a *Answer) uuid(path string) [16]byte {
	u, _ := wire.At(asAny(a.Tree), path).(wire.UUID)
	return u
}

func asAny(s *wire.Struct) any {
	if s == nil {
		return nil
	}
	return s
}

// onlyOurs leaves in a list of the answer only what has the script's names. Answers about
// everything that a broker has would depend on the scripts before.
func (t *T) onlyOurs(req kmsg.Request, list, name string) *Answer {
	p := t.on("a").send(req)
	tree, state := p.receive(patience)
	if all, ok := wire.At(asAny(tree), list).(wire.List); ok {
		ours := wire.List{}
		for _, x := range all {
			if s, ok := wire.At(x, name).(string); ok && strings.HasPrefix(s, t.prefix) {
				ours = append(ours, x)
			}
		}
		tree.Set(list, ours)
	}
	p.record(tree, state)
	return &Answer{tree, state}
}
