package javaregexp

import (
	"strings"
	"unicode/utf8"
)

// notFolded is why a pattern is refused that would need Java's (?i) for more than letters.
const notFolded = `(?i), which in Java is for ASCII, is not supported beside \x, \p and letters beyond ASCII in [ ] or \Q \E`

// translate returns the pattern for RE2, and whether (?i) is in it; or else what it holds
// that RE2 accepts and reads otherwise.
func translate(pattern string) (out string, folds bool, refused string) {
	var b strings.Builder
	inClass, foldsOtherwise := false, false
	for i, size := 0, 0; i < len(pattern); i += size {
		rest := pattern[i:]
		size = 1
		switch {
		case strings.HasPrefix(rest, `\Q`):
			if size = strings.Index(rest, `\E`) + len(`\E`); size < len(`\Q`) {
				size = len(rest)
			}
			foldsOtherwise = foldsOtherwise || !isASCII(rest[:size])
		case rest[0] == '\\' && len(rest) > 1:
			_, next := utf8.DecodeRuneInString(rest[1:])
			size = 1 + next
			switch c := rest[1]; {
			case c == 'v':
				return "", false, `\v means vertical white space in Java and one character here; write [\n\x0B\f\r]`
			case c >= '0' && c <= '9':
				return "", false, `numbers behind \ are not supported; write \xhh`
			case c == 'x' || c == 'p' || c == 'P' || c >= utf8.RuneSelf:
				foldsOtherwise = true
			}
		case inClass && strings.HasPrefix(rest, "&&"):
			return "", false, "the intersection && of character classes is not supported"
		case inClass && rest[0] == '[':
			return "", false, "a character class within another is not supported"
		case inClass:
			inClass = rest[0] != ']'
			foldsOtherwise = foldsOtherwise || rest[0] >= utf8.RuneSelf
		case rest[0] == '[':
			inClass = true
			if strings.HasPrefix(rest, "[^]") || strings.HasPrefix(rest, "[]") {
				return "", false, "a character class that begins with ] is not supported; write \\]"
			}
		case strings.HasPrefix(rest, "(?"):
			flags := rest[2 : 2+flagsLength(rest[2:])]
			if strings.Contains(flags, "U") {
				return "", false, "the flag U is not supported"
			}
			folds = folds || strings.Contains(flags, "i")
		case rest[0] >= utf8.RuneSelf:
			_, size = utf8.DecodeRuneInString(rest)
			b.WriteString("(?-i:" + rest[:size] + ")")
			continue
		}
		b.WriteString(rest[:size])
	}
	if folds && foldsOtherwise {
		return "", false, notFolded
	}
	return b.String(), folds, ""
}

// flagsLength is the length of what stands between (? and the : or ) behind flags.
func flagsLength(s string) int {
	return len(s) - len(strings.TrimLeft(s, "-abcdefghijklmnopqrstuvwxyzU"))
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c >= utf8.RuneSelf }) < 0
}
