package javaregexp

import (
	"errors"
	"fmt"
	"strings"
)

// Replacement is Java's replacement string, taken apart: $1 and ${name} are groups, a
// backslash makes the next character an ordinary one.
type Replacement struct{ parts []replacementPart }

type replacementPart struct {
	literal string
	group   int // -1: literal
}

// Replacement reads a replacement for matches of r. What Java finds wrong when it first
// replaces something is an error here.
func (r *Regexp) Replacement(text string) (Replacement, error) {
	var out Replacement
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			out.parts = append(out.parts, replacementPart{literal.String(), -1})
			literal.Reset()
		}
	}
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\\' && i+1 == len(text):
			return Replacement{}, fmt.Errorf("replacement %q: nothing behind the last \\", text)
		case c == '\\':
			literal.WriteByte(text[i+1])
			i += 2
		case c == '$':
			group, size, err := r.reference(text[i+1:])
			if err != nil {
				return Replacement{}, fmt.Errorf("replacement %q: %w", text, err)
			}
			flush()
			out.parts = append(out.parts, replacementPart{group: group})
			i += 1 + size
		default:
			literal.WriteByte(c)
			i++
		}
	}
	flush()
	return out, nil
}

// reference reads what stands behind a $: a name in braces, or as many digits as still
// make a group that there is.
func (r *Regexp) reference(text string) (group, size int, err error) {
	switch {
	case text == "":
		return 0, 0, errors.New("nothing behind the last $")
	case text[0] == '{':
		name, _, ok := strings.Cut(text[1:], "}")
		if group = r.find.SubexpIndex(name); !ok || group < 0 {
			return 0, 0, fmt.Errorf("there is no group ${%s}", name)
		}
		return group, len(name) + 2, nil
	case text[0] < '0' || text[0] > '9':
		return 0, 0, errors.New("neither digit nor { behind $")
	}
	group, size = int(text[0]-'0'), 1
	if group > r.Groups() {
		return 0, 0, fmt.Errorf("there is no group %d", group)
	}
	for ; size < len(text) && text[size] >= '0' && text[size] <= '9'; size++ {
		next := group*10 + int(text[size]-'0')
		if next > r.Groups() {
			break
		}
		group = next
	}
	return group, size, nil
}

// expand writes the replacement of one match.
func (with Replacement) expand(b *strings.Builder, s string, at []int) {
	for _, p := range with.parts {
		if p.group < 0 {
			b.WriteString(p.literal)
		} else if from, to := at[2*p.group], at[2*p.group+1]; from >= 0 {
			b.WriteString(s[from:to])
		}
	}
}
