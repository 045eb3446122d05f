package javaregexp

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// ToLower is Java's String.toLowerCase(Locale.ENGLISH). Go's takes İ, a letter of its own,
// for I with a dot that does not matter: ADMİN would come to be admin.
func ToLower(s string) string {
	if !strings.ContainsAny(s, "İΣ") {
		return strings.ToLower(s)
	}
	var b strings.Builder
	for i, c := range s {
		switch {
		case c == 'İ':
			b.WriteString("i̇")
		case c == 'Σ' && isLast(s[:i], s[i+len("Σ"):]):
			b.WriteRune('ς')
		default:
			b.WriteRune(unicode.ToLower(c))
		}
	}
	return b.String()
}

// isLast says whether what stands between before and after is the last letter of a word.
func isLast(before, after string) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	next, _ := utf8.DecodeRuneInString(after)
	return unicode.IsLetter(last) && !unicode.IsLetter(next)
}

var longUpper = strings.NewReplacer("ß", "SS", "ŉ", "ʼN", "ﬀ", "FF", "ﬁ", "FI", "ﬂ", "FL", "ﬃ", "FFI", "ﬄ", "FFL", "ﬅ", "ST", "ﬆ", "ST")

// ToUpper is Java's String.toUpperCase(Locale.ENGLISH), of letters that are in names: Go's
// leaves those alone that become more than one.
func ToUpper(s string) string { return strings.ToUpper(longUpper.Replace(s)) }
