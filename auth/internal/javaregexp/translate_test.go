package javaregexp

import (
	"strings"
	"testing"
)

// Where RE2 by itself would say otherwise than Java 17, whose answers these are, the text or
// the pattern is refused, or the pattern is read as Java does.
func TestNoMatchIsOtherThanJavas(t *testing.T) {
	const refused = "refused"
	for _, tt := range []struct {
		pattern, text string
		matches       bool // in Java
		want          string
	}{
		{".", "\r", false, refused},
		{".", "\n", false, refused},
		{".", "\u0085", false, refused},
		{".", "\u2028", false, refused},
		{".", "\u2029", false, refused},
		{"(?s).", "\n", true, refused},
		{"a$\\n?", "a\n", true, refused},
		{"(?m)^a\\r^b", "a\rb", true, refused},
		{"\\s", "\v", true, refused},
		{"\\S", "\v", false, refused},
		{"[^\\s]", "\v", false, refused},
		{"(?i)k", "\u212a", false, refused},
		{"(?i)[^k]", "\u212a", true, refused},
		{"(?i)[a-z]", "\u212a", false, refused},
		{"a|(?-s:(?i:s))", "\u017f", false, refused},
		{"(?i)k", "K", true, ""},
		{"k", "\u212a", false, ""},
		{"\u212a", "\u212a", true, ""},
		{"(?i)ä", "Ä", false, ""},
		{"(?i)ä", "ä", true, ""},
		{"(?i)[^k]", "ä", true, ""},
		{"(?i)xä+y", "Xääy", true, ""},
		{"ä{2}", "ää", true, ""},
		{"[ä-ö]", "ö", true, ""},
		{"(?i)[ä]", "Ä", false, refused},
		{"(?i)\\Qä\\E", "Ä", false, refused},
		{"(?i)\\Qa.b\\E", "A.B", true, ""},
		{"(?i)\\x{e4}", "Ä", false, refused},
		{"(?i)\\p{Lu}", "a", true, refused},
		{"\\101", "A", false, refused},
		{"(a)\\101", "aa01", true, refused},
		{"\\p{L}", "ä", true, ""},
		{"\\w", "ä", false, ""},
		{"(?i)cn=[^,]*,ou=.*", "CN=Kafka,OU=Dev", true, ""},
	} {
		got := refused
		r, err := Compile(tt.pattern)
		if err == nil && r.Check(tt.text) == nil {
			if got = ""; r.MatchesAll(tt.text) != tt.matches {
				t.Errorf("%s matches %q: %v, not so in Java", tt.pattern, tt.text, !tt.matches)
			}
		}
		if got != tt.want {
			t.Errorf("%s and %q: %q, %v", tt.pattern, tt.text, got, err)
		}
	}
}

func FuzzTranslate(f *testing.F) {
	for _, s := range []string{"(?i)ä", `\Qä`, `[ä\]]`, `(?i-s:x)\x{e4}`, `\`, "(?", "[", `\1`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, _, refused := translate(text)
		if refused == "" && strings.ReplaceAll(strings.ReplaceAll(out, "(?-i:", ""), ")", "") !=
			strings.ReplaceAll(strings.ReplaceAll(text, "(?-i:", ""), ")", "") {
			t.Fatalf("%q became %q", text, out)
		}
	})
}
