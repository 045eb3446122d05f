package javaregexp

import (
	"fmt"
	"regexp"
	"strings"
)

// Regexp is a pattern of java.util.regex that RE2 understands likewise.
type Regexp struct {
	pattern string
	find    *regexp.Regexp
	full    *regexp.Regexp // the same between \A and \z
}

// Compile reads a pattern. The error quotes it.
func Compile(pattern string) (*Regexp, error) {
	if what := onlyJava(pattern); what != "" {
		return nil, fmt.Errorf("regular expression %q: %s", pattern, what)
	}
	find, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	full, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	return &Regexp{pattern, find, full}, nil
}

// onlyJava finds constructs that RE2 accepts but reads otherwise.
func onlyJava(pattern string) string {
	inClass := false
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		switch {
		case strings.HasPrefix(rest, `\Q`):
			end := strings.Index(rest, `\E`)
			if end < 0 {
				return ""
			}
			i += end + 1
		case rest[0] == '\\':
			if len(rest) > 1 && rest[1] == 'v' {
				return `\v means vertical white space in Java and one character here; write [\n\x0B\f\r]`
			}
			i++
		case inClass && strings.HasPrefix(rest, "&&"):
			return "the intersection && of character classes is not supported"
		case inClass && rest[0] == '[':
			return "a character class within another is not supported"
		case inClass:
			inClass = rest[0] != ']'
		case rest[0] == '[':
			inClass = true
			if strings.HasPrefix(rest, "[^]") || strings.HasPrefix(rest, "[]") {
				return "a character class that begins with ] is not supported; write \\]"
			}
		case strings.HasPrefix(rest, "(?"):
			for _, c := range rest[2:] {
				if c == 'U' {
					return "the flag U is not supported"
				}
				if c != '-' && (c < 'a' || c > 'z') {
					break
				}
			}
		}
	}
	return ""
}

// String returns the pattern.
func (r *Regexp) String() string { return r.pattern }

// Groups returns the number of capturing groups.
func (r *Regexp) Groups() int { return r.find.NumSubexp() }

// MatchesAll says whether the pattern matches the whole of s: Matcher.matches.
func (r *Regexp) MatchesAll(s string) bool { return r.full.MatchString(s) }

// ReplaceAll replaces every match in s: Matcher.replaceAll. Java, other than Go, also
// replaces the empty match right behind a match: .* matches "a" twice.
func (r *Regexp) ReplaceAll(s string, with Replacement) string {
	var b strings.Builder
	done := 0
	emit := func(at []int) {
		b.WriteString(s[done:at[0]])
		with.expand(&b, s, at)
		done = at[1]
	}
	matches := r.find.FindAllStringSubmatchIndex(s, -1)
	for i, at := range matches {
		emit(at)
		if at[0] < at[1] && (i+1 == len(matches) || matches[i+1][0] > at[1]) && r.emptyAt(s, at[1]) {
			emit(r.emptyMatch(at[1]))
		}
	}
	b.WriteString(s[done:])
	return b.String()
}

// emptyAt says whether the match that begins at pos is an empty one.
func (r *Regexp) emptyAt(s string, pos int) bool {
	// The part before pos is spelled out, so that anchors and word boundaries in the pattern
	// see where they are.
	at, err := regexp.Compile(`\A` + regexp.QuoteMeta(s[:pos]) + `(?:` + r.pattern + `)`)
	if err != nil {
		return false
	}
	found := at.FindStringIndex(s)
	return found != nil && found[1] == pos
}

// emptyMatch is the index of an empty match at pos: its groups are empty or not there,
// which expands alike.
func (r *Regexp) emptyMatch(pos int) []int {
	at := make([]int, 2*(1+r.Groups()))
	for i := range at {
		at[i] = pos
	}
	return at
}

// ReplaceFirst replaces the first match in s: Matcher.replaceFirst.
func (r *Regexp) ReplaceFirst(s string, with Replacement) string {
	at := r.find.FindStringSubmatchIndex(s)
	if at == nil {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:at[0]])
	with.expand(&b, s, at)
	b.WriteString(s[at[1]:])
	return b.String()
}
