package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// JAASEntry is one login module with its options.
type JAASEntry struct {
	Module  string
	Flag    string // required, requisite, sufficient or optional, in lower case
	Options []JAASOption
}

// JAASOption is one option of a login module. Values may be secrets.
type JAASOption struct{ Name, Value string }

// Option returns the value of an option; the last of several counts.
func (e JAASEntry) Option(name string) (value string, ok bool) {
	for i := len(e.Options) - 1; i >= 0; i-- {
		if e.Options[i].Name == name {
			return e.Options[i].Value, true
		}
	}
	return "", false
}

// disallowedModule is never accepted: it fetches what the configuration names by JNDI.
const disallowedModule = "com.sun.security.auth.module.JndiLoginModule"

// ParseJAASConfig reads the value of sasl.jaas.config: exactly one login module,
//
//	<module> <flag> (<option>=<value>)* ;
//
// No error shows any part of an option's value.
func ParseJAASConfig(value string) (JAASEntry, error) {
	p := jaasParser{lex: jaasLexer{text: value}}
	p.next()
	e, err := p.entry()
	if err == nil && p.token.kind != jaasEOF {
		err = p.fail("only one login module is allowed, and nothing behind its ;")
	}
	if err == nil {
		err = p.lex.err
	}
	if err != nil {
		return JAASEntry{}, err
	}
	return e, nil
}

// JAASFile is a JAAS file: the entries of each section, none of them empty.
type JAASFile map[string][]JAASEntry

// ParseJAASFile reads a JAAS file:
//
//	<section> { <entry>* };
//
// ${name} in quoted values is replaced by property(name), ${/} by a slash; property may be
// nil. A section without an entry counts as absent.
func ParseJAASFile(data []byte, property func(name string) (string, bool)) (JAASFile, error) {
	p := jaasParser{lex: jaasLexer{text: string(data), file: true}, property: property}
	if p.property == nil {
		p.property = func(string) (string, bool) { return "", false }
	}
	file := make(JAASFile)
	seen := make(map[string]bool)
	for p.next(); p.token.kind != jaasEOF; {
		name := p.token.text
		if p.token.kind != jaasWord && p.token.kind != jaasQuoted {
			return nil, p.fail("expected the name of a section")
		}
		if seen[name] {
			return nil, p.fail("section " + name + " is there twice")
		}
		seen[name] = true
		if p.next(); !p.is('{') {
			return nil, p.fail("expected { behind section " + name)
		}
		p.next()
		for !p.is('}') {
			e, err := p.entry()
			if err != nil {
				return nil, err
			}
			file[name] = append(file[name], e)
		}
		if p.next(); !p.is(';') {
			return nil, p.fail("expected ; behind } of section " + name)
		}
		p.next()
	}
	if p.lex.err != nil {
		return nil, p.lex.err
	}
	return file, nil
}

// jaasParser reads entries of either form.
type jaasParser struct {
	lex      jaasLexer
	token    jaasToken
	property func(string) (string, bool) // nil in sasl.jaas.config
}

func (p *jaasParser) next() { p.token = p.lex.next() }

func (p *jaasParser) is(c byte) bool { return p.token.kind == jaasPunctuation && p.token.text[0] == c }

func (p *jaasParser) fail(what string) error {
	if p.lex.err != nil {
		return p.lex.err
	}
	return fmt.Errorf("JAAS line %d: %s", p.token.line, what)
}

func (p *jaasParser) entry() (JAASEntry, error) {
	if p.token.kind != jaasWord && p.token.kind != jaasQuoted {
		return JAASEntry{}, p.fail("expected the class of a login module")
	}
	e := JAASEntry{Module: p.token.text}
	if e.Module == disallowedModule {
		return JAASEntry{}, p.fail(disallowedModule + " is not allowed")
	}
	p.next()
	e.Flag = strings.ToLower(p.token.text)
	switch {
	case p.token.kind != jaasWord && p.token.kind != jaasQuoted:
		return JAASEntry{}, p.fail("expected a control flag behind the login module")
	case e.Flag != "required" && e.Flag != "requisite" && e.Flag != "sufficient" && e.Flag != "optional":
		return JAASEntry{}, p.fail("expected required, requisite, sufficient or optional behind " + e.Module)
	}
	p.next()
	for !p.is(';') {
		o, err := p.option()
		if err != nil {
			return JAASEntry{}, err
		}
		e.Options = append(e.Options, o)
	}
	p.next()
	return e, nil
}

func (p *jaasParser) option() (JAASOption, error) {
	if p.token.kind != jaasWord && p.token.kind != jaasQuoted {
		return JAASOption{}, p.fail("expected the name of an option, or ; at the end of the entry")
	}
	o := JAASOption{Name: p.token.text}
	if p.next(); !p.is('=') {
		return JAASOption{}, p.fail("expected = behind option " + o.Name)
	}
	p.next()
	if p.token.kind != jaasWord && p.token.kind != jaasQuoted {
		return JAASOption{}, p.fail("value of option " + o.Name + " is not a word: put it in double quotes")
	}
	o.Value = p.token.text
	if p.property != nil {
		v, err := p.expand(o.Value)
		if err != nil {
			return JAASOption{}, p.fail("option " + o.Name + ": " + err.Error())
		}
		o.Value = v
	}
	p.next()
	return o, nil
}

// expand replaces ${name}. What a property holds is not looked at again.
func (p *jaasParser) expand(value string) (string, error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(value, "${")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			b.WriteString("${" + rest)
			return b.String(), nil
		}
		v, known := p.property(name)
		if name == "/" {
			v, known = "/", true
		}
		if !known {
			return "", errors.New("unable to expand ${" + name + "}")
		}
		b.WriteString(v)
		value = after
	}
}

type jaasKind int8

const (
	jaasEOF jaasKind = iota
	jaasWord
	jaasQuoted
	jaasPunctuation
	jaasNumber // Java's tokenizer reads these as numbers, which no place allows
)

type jaasToken struct {
	kind jaasKind
	text string
	line int
}

// jaasLexer splits text as Java's StreamTokenizer does, with both parsers' settings.
type jaasLexer struct {
	text string
	pos  int
	line int // lines read so far
	file bool
	err  error
}

func (l *jaasLexer) next() jaasToken {
	l.skipBlanks()
	t := jaasToken{line: l.line + 1}
	if l.err != nil || l.pos >= len(l.text) {
		return t
	}
	c := l.text[l.pos]
	switch {
	case c == '"' || (c == '\'' && !l.file):
		t.kind, t.text = jaasQuoted, l.quoted(c)
		if l.err != nil {
			return jaasToken{line: t.line}
		}
	case c >= '0' && c <= '9', c == '.', c == '-':
		t.kind, t.text = jaasNumber, l.word()
	case l.wordRune() > 0:
		t.kind, t.text = jaasWord, l.word()
	default:
		t.kind, t.text = jaasPunctuation, string(c)
		l.pos++
	}
	return t
}

// wordRune returns the length of the character at pos if it may stand in a bare word, else
// 0. StreamTokenizer takes all characters from U+00A0 on for letters.
func (l *jaasLexer) wordRune() int {
	if l.pos >= len(l.text) {
		return 0
	}
	switch c := l.text[l.pos]; {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return 1
	case c == '_', c == '$', c == '.', c == '-', c == '*' && l.file:
		return 1
	case c < utf8.RuneSelf:
		return 0
	}
	r, n := utf8.DecodeRuneInString(l.text[l.pos:])
	if r < 0xa0 {
		return 0
	}
	return n
}

func (l *jaasLexer) word() string {
	start := l.pos
	for n := l.wordRune(); n > 0; n = l.wordRune() {
		l.pos += n
	}
	return l.text[start:l.pos]
}

func (l *jaasLexer) skipBlanks() {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case rest[0] == '\n':
			l.line++
			l.pos++
		case rest[0] <= ' ':
			l.pos++
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				l.pos = len(l.text)
				return
			}
			l.line += strings.Count(rest[:end+4], "\n")
			l.pos += end + 4
		case rest[0] == '/':
			// Also a single slash begins a comment to the end of the line.
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			l.pos += end
		default:
			return
		}
	}
}

// quoted reads a quoted string with Java's escapes; it may not span lines.
func (l *jaasLexer) quoted(quote byte) string {
	var b strings.Builder
	for l.pos++; l.pos < len(l.text); l.pos++ {
		switch c := l.text[l.pos]; {
		case c == quote:
			l.pos++
			return b.String()
		case c == '\n' || c == '\r':
			l.err = fmt.Errorf("JAAS line %d: a quoted string ends with its line", l.line+1)
			return ""
		case c == '\\' && l.pos+1 < len(l.text):
			l.pos++
			l.escape(&b)
		default:
			b.WriteByte(c)
		}
	}
	l.err = fmt.Errorf("JAAS line %d: a quoted string is not closed", l.line+1)
	return ""
}

// escape reads what stands behind a backslash and leaves pos on its last byte.
func (l *jaasLexer) escape(b *strings.Builder) {
	c := l.text[l.pos]
	if c >= '0' && c <= '7' {
		most := 2 // \377 is the largest
		if c <= '3' {
			most = 3
		}
		n := rune(0)
		end := l.pos
		for end < len(l.text) && end < l.pos+most && l.text[end] >= '0' && l.text[end] <= '7' {
			n = n*8 + rune(l.text[end]-'0')
			end++
		}
		b.WriteRune(n)
		l.pos = end - 1
		return
	}
	plain := map[byte]byte{'a': 7, 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': 11}
	if p, ok := plain[c]; ok {
		b.WriteByte(p)
		return
	}
	b.WriteByte(c)
}
