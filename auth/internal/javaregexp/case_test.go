package javaregexp

import "testing"

// The results are Java 17's.
func TestCasesAreJavas(t *testing.T) {
	for s, want := range map[string][2]string{
		"ADM\u0130N":                    {"admi\u0307n", "ADM\u0130N"},
		"\u212a":                        {"k", "\u212a"},
		"\u03a3\u03a3":                  {"\u03c3\u03c2", "\u03a3\u03a3"},
		"\u00df":                        {"\u00df", "SS"},
		"\ufb01":                        {"\ufb01", "FI"},
		"\u017f":                        {"\u017f", "S"},
		"\u0131":                        {"\u0131", "I"},
		"CN=Alice B. 7,OU=\u00c4\u00f6": {"cn=alice b. 7,ou=\u00e4\u00f6", "CN=ALICE B. 7,OU=\u00c4\u00d6"},
	} {
		if lower, upper := ToLower(s), ToUpper(s); lower != want[0] || upper != want[1] {
			t.Errorf("%q: %q and %q, want %q", s, lower, upper, want)
		}
	}
}
