package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

type memory struct {
	lines [][]byte
	err   error
}

func (m *memory) Write(line []byte) error {
	if m.err == nil {
		m.lines = append(m.lines, bytes.Clone(line))
	}
	return m.err
}

func (m *memory) Close() error { return nil }

func TestRefusalsThatRepeatAreCounted(t *testing.T) {
	now := time.Unix(1000, 0)
	m := &memory{}
	l := New(Options{Sinks: []Sink{m}, Now: func() time.Time { return now }})
	refusal := Event{Kind: Authorization, Outcome: Denied, Principal: "User:alice", API: "Fetch", Operation: "Read", Resource: "Topic:LITERAL:t"}
	for range 100 {
		if err := l.Record(refusal); err != nil {
			t.Fatal(err)
		}
	}
	other := refusal
	other.Resource = "Topic:LITERAL:u"
	l.Record(other)
	now = now.Add(10 * time.Second)
	l.Record(refusal)
	if len(m.lines) != 3 {
		t.Fatalf("%d lines, want 3: %s", len(m.lines), m.lines)
	}
	var last Event
	if err := json.Unmarshal(m.lines[2], &last); err != nil || last.Repeated != 99 {
		t.Errorf("%v, %+v: want 99 repeated", err, last)
	}
	// Changes are all written.
	for range 2 {
		l.Record(Event{Kind: Administration, Outcome: Succeeded, API: "CreateAcls"})
	}
	if len(m.lines) != 5 {
		t.Errorf("%d lines, want 5", len(m.lines))
	}
}

// Whoever tries many users from one address is on record with them, as far as that does not
// fill the disk.
func TestUsersThatWereTriedAreOnRecord(t *testing.T) {
	now := time.Unix(1000, 0)
	m := &memory{}
	l := New(Options{Sinks: []Sink{m}, Now: func() time.Time { return now }})
	try := func(peer string, users, times int) {
		for n := range users * times {
			l.Record(Event{Kind: Authentication, Outcome: Failed, Mechanism: "PLAIN", Peer: peer, Reason: fmt.Sprintf("user \"u%d\" and password do not fit", n%users)})
		}
	}
	try("10.0.0.1", 5, 100)
	if len(m.lines) != 5 || !bytes.Contains(m.lines[4], []byte(`u4`)) {
		t.Fatalf("%d lines, want 5: %s", len(m.lines), m.lines)
	}
	try("10.0.0.2", 1000, 2)
	if len(m.lines) != 5+mostVariants {
		t.Fatalf("%d lines, want %d", len(m.lines), 5+mostVariants)
	}
	now = now.Add(10 * time.Second)
	try("10.0.0.1", 6, 1)
	var e Event
	if err := json.Unmarshal(m.lines[5+mostVariants], &e); err != nil || e.Repeated != 495 || len(m.lines) != 5+mostVariants+6 {
		t.Errorf("%v, %+v, %d lines: want 495 repeated", err, e, len(m.lines))
	}
	// All addresses together have a bound too.
	now, m.lines = now.Add(time.Minute), nil
	for n := range 2000 {
		try(fmt.Sprint("host ", n), 10, 1)
	}
	if want := 2000 + 4096; len(m.lines) != want {
		t.Errorf("%d lines, want %d", len(m.lines), want)
	}
}

func TestManyDifferentRefusalsAreBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	r := Repeats{Every: 10 * time.Second, Most: 10}
	written := 0
	for i := range 10_000 {
		if _, ok := r.Say(strings.Repeat("x", i%1000+1), now.Add(time.Duration(i)*time.Microsecond)); ok {
			written++
		}
	}
	if written != 11 || len(r.seen) != 11 {
		t.Errorf("%d written, %d remembered; want 11", written, len(r.seen))
	}
}

func TestALineCannotBeForged(t *testing.T) {
	m := &memory{}
	l := New(Options{Sinks: []Sink{m}})
	l.Record(Event{Kind: Authentication, Outcome: Failed, Principal: "User:a\n{\"kind\":\"x\"}\u2028\x00"})
	if bytes.ContainsAny(m.lines[0], "\n\x00") || bytes.Contains(m.lines[0], []byte("\u2028")) {
		t.Errorf("%q", m.lines[0])
	}
}

func TestAnEventOfManyChangesIsSeveralLines(t *testing.T) {
	m := &memory{}
	l := New(Options{Sinks: []Sink{m}})
	said := Event{Kind: Administration, Outcome: Succeeded, API: "CreateAcls", Principal: "User:alice"}
	for i := range 3000 {
		said.Changes = append(said.Changes, Change{Resource: fmt.Sprintf("%d%s", i, strings.Repeat("x", 300))})
	}
	if err := l.Record(said); err != nil {
		t.Fatal(err)
	}
	var changes []Change
	for _, line := range m.lines {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil || len(line) > lineMaxBytes || e.Principal != said.Principal || e.API != said.API || e.Time.IsZero() {
			t.Errorf("%v, a line of %d bytes: %.200s", err, len(line), line)
		}
		changes = append(changes, e.Changes...)
	}
	if !slices.Equal(changes, said.Changes) {
		t.Errorf("%d changes on record, want %d", len(changes), len(said.Changes))
	}
	// What cannot be parted is one line.
	m.lines = nil
	if err := l.Record(Event{Changes: []Change{{Resource: strings.Repeat("x", lineMaxBytes)}}}); err != nil || len(m.lines) != 1 {
		t.Errorf("%v, %d lines", err, len(m.lines))
	}
}

func TestAFailureIsTheCallersOnlyWhereTheLogFailsClosed(t *testing.T) {
	full := errors.New("disk full")
	for _, closed := range []bool{false, true} {
		l := New(Options{Sinks: []Sink{&memory{err: full}}, FailClosed: closed})
		if err := l.Record(Event{Kind: Administration}); errors.Is(err, full) != closed {
			t.Errorf("fail closed %v: %v", closed, err)
		}
		if _, lost := l.Counts(); lost != 1 {
			t.Errorf("%d lost, want 1", lost)
		}
	}
	var off *Log
	if off.Enabled() || off.FailClosed() || New(Options{FailClosed: true}).FailClosed() {
		t.Error("a log without sinks is enabled")
	}
}

// A line of which a full disk took a part spoils no other: what is written behind it, and
// said to be recorded, can be read.
func TestALineBehindATornOneIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte("one\n{torn by a cra"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Write([]byte("two")); err != nil {
		t.Fatal(err)
	}
	// The limit on the size of a file is the nearest thing to a full disk.
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	small := unix.Rlimit{Cur: uint64(info.Size()) + 4, Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &small); err != nil {
		t.Skip(err)
	}
	err = f.Write([]byte("{torn by a full disk"))
	if e := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); e != nil {
		t.Fatal(e)
	}
	if err == nil {
		t.Fatal("a torn line was written well")
	}
	if err := f.Write([]byte("three")); err != nil {
		t.Fatal(err)
	}
	have, _ := os.ReadFile(path)
	if want := "one\n{torn by a cra\ntwo\n{tor\nthree\n"; string(have) != want {
		t.Errorf("%q, want %q", have, want)
	}
}

func TestTheFileIsBegunAgainWhenItIsMovedAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, line := range []string{"one", "two", "three"} {
		if i == 2 {
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			f.checked = time.Time{}
		}
		if err := f.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	old, _ := os.ReadFile(path + ".1")
	have, _ := os.ReadFile(path)
	if string(old) != "one\ntwo\n" || string(have) != "three\n" {
		t.Errorf("%q and %q", old, have)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}
