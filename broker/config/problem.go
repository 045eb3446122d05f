package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Problem is one reason not to start.
type Problem struct {
	Setting        // what was written; Name is empty if the problem has no key
	Reason  string // what is wrong with it
	Allowed string // what would be right, if that can be said shortly
	secret  bool
}

// Error names place, key, value, reason and what is allowed. A secret's value is left out.
func (p *Problem) Error() string {
	var b strings.Builder
	if at := p.place(); at != "" {
		b.WriteString(at + ": ")
	}
	if p.Name != "" {
		value := p.Value
		if p.secret {
			value = Redacted
		}
		b.WriteString(p.Name + "=" + value + ": ")
	}
	b.WriteString(p.Reason)
	if p.Allowed != "" {
		b.WriteString(" (allowed: " + p.Allowed + ")")
	}
	return b.String()
}

func (s Setting) place() string {
	if s.Line > 0 {
		return s.File + ":" + strconv.Itoa(s.Line)
	}
	return s.File
}

// Redacted stands where a secret would.
const Redacted = "[hidden]"

// Problems is everything that Load found wrong, in file order.
type Problems []*Problem

// Error has one line per problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.Is and errors.As each problem.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// ZooKeeperError says that the configuration wants its metadata kept in ZooKeeper.
type ZooKeeperError struct{ Setting }

func (e *ZooKeeperError) Error() string {
	return fmt.Sprintf("%s: zookeeper.connect=%s: keeping metadata in ZooKeeper is not there yet. "+
		"To run on the embedded store instead, with nothing else installed, start with: --override zookeeper.connect=",
		e.place(), e.Value)
}

// NoteKind says what a Note is about.
type NoteKind int8

// The kinds of notes.
const (
	NoteUnknownKey NoteKind = iota // misspelt, or some plug-in's
	NoteNotYet                     // accepted, takes effect in a later release
	NoteNoEffect                   // accepted, has no counterpart here
	NoteRemoved                    // Kafka itself dropped the key
	NoteDuplicate                  // an earlier line was overwritten
	NoteClamped                    // a value was lowered to what is possible
	NoteIgnored                    // a dynamic value was stored but is not usable
	NoteOther
)

// Note is something in the configuration that the operator should know of, and that does
// not stop the start. The caller logs it.
type Note struct {
	Kind NoteKind
	Setting
	Message string // whole sentence without place, key and value
	Nearest string // of NoteUnknownKey: the known key most like it, or ""
}

// Warn says whether the note deserves more than an informational line.
func (n Note) Warn() bool { return n.Kind != NoteNoEffect && n.Kind != NoteNotYet }

// String is the note as one line.
func (n Note) String() string {
	s := n.Message
	if n.Name != "" {
		s = n.Name + ": " + s
	}
	if at := n.place(); at != "" {
		s = at + ": " + s
	}
	return s
}

// Collapse joins the notes that say only "not yet effective" into one, and those that say
// only "no effect here" into another, so that a stock file does not fill the log.
func Collapse(notes []Note) []Note {
	var out []Note
	for _, kind := range []NoteKind{NoteNotYet, NoteNoEffect} {
		var names []string
		message := ""
		for _, n := range notes {
			if n.Kind == kind {
				names, message = append(names, n.Name), n.Message
			}
		}
		if len(names) > 0 {
			out = append(out, Note{Kind: kind, Message: "accepted, but " + message + ": " + strings.Join(names, ", ")})
		}
	}
	for _, n := range notes {
		if n.Warn() {
			out = append(out, n)
		}
	}
	return out
}
