package javaregexp

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Regexp is a pattern of java.util.regex that RE2 understands likewise.
type Regexp struct {
	pattern string // as RE2 is to read it
	text    string // as it was written
	folds   bool   // somewhere in it letters of either case are alike
	find    *regexp.Regexp
	full    *regexp.Regexp // the same between \A and \z
}

// Compile reads a pattern. The error quotes it.
func Compile(text string) (*Regexp, error) {
	pattern, folds, what := translate(text)
	if what != "" {
		return nil, fmt.Errorf("regular expression %q: %s", text, what)
	}
	find, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", text, err)
	}
	full, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", text, err)
	}
	return &Regexp{pattern, text, folds, find, full}, nil
}

// Check refuses the few texts of which Java and RE2 may say different things: those with a
// character at which Java ends a line, where RE2's dot and $ go on, or which only Java takes
// for white space; and, where case does not matter, those with one of the two letters beyond
// ASCII that RE2 takes for a k or an s. A principal's name has none of them unless somebody
// tries something.
func (r *Regexp) Check(s string) error {
	odd := "\n\v\r\u0085\u2028\u2029"
	if r.folds {
		odd += "\u017f\u212a"
	}
	if i := strings.IndexAny(s, odd); i >= 0 {
		c, _ := utf8.DecodeRuneInString(s[i:])
		return fmt.Errorf("%.200q has the character %U, which no pattern is applied to", s, c)
	}
	return nil
}

// String returns the pattern as it was written.
func (r *Regexp) String() string { return r.text }

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
