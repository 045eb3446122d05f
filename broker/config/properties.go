package config

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Property is one entry of a properties file.
type Property struct {
	Name, Value string
	Line        int // 1-based line on which the entry begins
}

// ParseProperties reads the syntax of java.util.Properties from ISO-8859-1 bytes, the way
// Kafka reads server.properties. Entries come in file order with duplicates kept: the last
// one counts. The only possible mistake is a malformed \u escape.
func ParseProperties(data []byte) ([]Property, error) {
	return parseProperties(data, func(b []byte) ([]uint16, int) { return []uint16{uint16(b[0])}, 1 })
}

// parsePropertiesUTF8 is ParseProperties for files that Kafka reads as UTF-8: those of the
// file config provider.
func parsePropertiesUTF8(data []byte) ([]Property, error) {
	return parseProperties(data, func(b []byte) ([]uint16, int) {
		r, n := utf8.DecodeRune(b)
		return utf16.AppendRune(nil, r), n
	})
}

func parseProperties(data []byte, decode func([]byte) ([]uint16, int)) ([]Property, error) {
	var props []Property
	lines := lineReader{data: data, line: 1}
	for {
		text, at, ok := lines.next()
		if !ok {
			return props, nil
		}
		p, err := parseEntry(text, decode)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", at, err)
		}
		p.Line = at
		props = append(props, p)
	}
}

// lineReader joins natural lines to logical ones and skips blanks and comments.
type lineReader struct {
	data []byte
	pos  int
	line int // of pos
}

// next returns the next logical line without its leading blanks, escapes untouched, and the
// number of its first natural line.
func (r *lineReader) next() (text []byte, at int, ok bool) {
	for r.pos < len(r.data) {
		at = r.line
		first, continued := r.natural()
		if len(first) == 0 && !continued {
			continue
		}
		if len(first) > 0 && (first[0] == '#' || first[0] == '!') {
			continue // a comment never continues
		}
		text = append([]byte(nil), first...)
		for continued && r.pos < len(r.data) {
			var more []byte
			more, continued = r.natural()
			if len(more) > 0 && (more[0] == '#' || more[0] == '!') && len(text) == 0 {
				// Nothing came before: Java takes this for a comment after all.
				more, continued = nil, false
			}
			text = append(text, more...)
		}
		if len(text) == 0 && !continued {
			continue
		}
		return text, at, true // a lone backslash at the very end is an empty entry
	}
	return nil, 0, false
}

// natural returns one line up to its end, leading blanks dropped, and whether a backslash
// (dropped) ends it.
func (r *lineReader) natural() (line []byte, continued bool) {
	start := r.pos
	for r.pos < len(r.data) && r.data[r.pos] != '\n' && r.data[r.pos] != '\r' {
		r.pos++
	}
	line = r.data[start:r.pos]
	if r.pos < len(r.data) {
		if r.data[r.pos] == '\r' && r.pos+1 < len(r.data) && r.data[r.pos+1] == '\n' {
			r.pos++
		}
		r.pos++
		r.line++
	}
	for len(line) > 0 && isBlank(line[0]) {
		line = line[1:]
	}
	slashes := 0
	for slashes < len(line) && line[len(line)-1-slashes] == '\\' {
		slashes++
	}
	if slashes%2 == 1 {
		return line[:len(line)-1], true
	}
	return line, false
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\f' }

func parseEntry(text []byte, decode func([]byte) ([]uint16, int)) (Property, error) {
	end := 0
	for end < len(text) && text[end] != '=' && text[end] != ':' && !isBlank(text[end]) {
		if text[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(text))
	value := end
	for value < len(text) && isBlank(text[value]) {
		value++
	}
	if value < len(text) && (text[value] == '=' || text[value] == ':') {
		value++
		for value < len(text) && isBlank(text[value]) {
			value++
		}
	}
	name, err := unescape(text[:end], decode)
	if err != nil {
		return Property{}, err
	}
	v, err := unescape(text[value:], decode)
	return Property{Name: name, Value: v}, err
}

func unescape(text []byte, decode func([]byte) ([]uint16, int)) (string, error) {
	units := make([]uint16, 0, len(text))
	for i := 0; i < len(text); {
		if text[i] != '\\' || i+1 == len(text) {
			u, n := decode(text[i:])
			units = append(units, u...)
			i += n
			continue
		}
		i++
		switch text[i] {
		case 't':
			units = append(units, '\t')
		case 'n':
			units = append(units, '\n')
		case 'r':
			units = append(units, '\r')
		case 'f':
			units = append(units, '\f')
		case 'u':
			u, ok := hex4(text[i+1:])
			if !ok {
				return "", fmt.Errorf(`malformed \uxxxx escape in %q`, text)
			}
			units = append(units, u)
			i += 4
		default:
			u, n := decode(text[i:])
			units = append(units, u...)
			i += n
			continue
		}
		i++
	}
	return string(utf16.Decode(units)), nil
}

func hex4(b []byte) (uint16, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var u uint16
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			u = u<<4 | uint16(c-'0')
		case c >= 'a' && c <= 'f':
			u = u<<4 | uint16(c-'a'+10)
		case c >= 'A' && c <= 'F':
			u = u<<4 | uint16(c-'A'+10)
		default:
			return 0, false
		}
	}
	return u, true
}

// AppendProperty writes one entry so that ParseProperties reads the same back.
func AppendProperty(dst []byte, name, value string) []byte {
	dst = appendEscaped(dst, name, true)
	dst = append(dst, '=')
	dst = appendEscaped(dst, value, false)
	return append(dst, '\n')
}

func appendEscaped(dst []byte, s string, key bool) []byte {
	for i, u := range utf16.Encode([]rune(s)) {
		switch c := rune(u); {
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\f':
			dst = append(dst, `\f`...)
		case c == ' ' && (key || i == 0), c == '\\', key && strings.ContainsRune("=:#!", c):
			dst = append(dst, '\\', byte(c))
		case !key && i == 0 && strings.ContainsRune("=:", c):
			dst = append(dst, '\\', byte(c))
		case c < 0x20 || c > 0x7e:
			dst = fmt.Appendf(dst, `\u%04X`, c)
		default:
			dst = append(dst, byte(c))
		}
	}
	return dst
}

// trim drops outer white space as java.lang.String.trim does: everything up to U+0020.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
}
