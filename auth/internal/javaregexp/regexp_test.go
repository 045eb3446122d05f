package javaregexp

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// cases are pattern, replacement, text; what becomes of the text is Java's to say.
var cases = []struct{ pattern, replacement, text, all, first string }{
	{".*", "x", "abc", "xx", "x"},
	{".*", "x", "", "x", "x"},
	{"a*", "-", "baac", "-b--c-", "-baac"},
	{"a*?", "-", "aa", "-a-a-", "-aa"},
	{"b*", "-", "abc", "-a--c-", "-abc"},
	{"(a)|b", "[$1]", "ab", "[a][]", "[a]b"},
	{"x*", "-", "über", "-ü-b-e-r-", "-über"},
	{"^a*", "-", "aab", "-b", "-b"},
	{"a*$", "-", "baa", "b--", "b-"},
	{"\\b", "|", "a b", "|a| |b|", "|a b"},
	{"a|", "-", "ab", "--b-", "-b"},
	{"|a", "-", "ab", "-a-b-", "-ab"},
	{"(a*)(b*)", "<$2$1>", "aabb", "<bbaa><>", "<bbaa>"},
	{"(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)", "$11$10$1$12", "abcdefghijk", "kjaa2", "kjaa2"},
	{"(?<n>.)", "${n}${n}", "ab", "aabb", "aab"},
	{"a", "\\$\\\\", "a", "$\\", "$\\"},
	{"\\Qa.b\\E", "x", "a.b", "x", "x"},
	{"[a-c]+", "", "xabcx", "xx", "xx"},
	{"$", "!", "a", "a!", "a!"},
	{"^", "!", "a", "!a", "!a"},
}

func TestReplacement(t *testing.T) {
	for _, tt := range cases {
		r, err := Compile(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		with, err := r.Replacement(tt.replacement)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		if got := r.ReplaceAll(tt.text, with); got != tt.all {
			t.Errorf("all %s in %q: %q, want %q", tt.pattern, tt.text, got, tt.all)
		}
		if got := r.ReplaceFirst(tt.text, with); got != tt.first {
			t.Errorf("first %s in %q: %q, want %q", tt.pattern, tt.text, got, tt.first)
		}
	}
}

func TestReplacementIsJavas(t *testing.T) {
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("java is not installed")
	}
	args := []string{"-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8", "testdata/Replace.java"}
	for _, tt := range cases {
		args = append(args, tt.pattern, tt.replacement, tt.text)
	}
	cmd := exec.Command("java", args...)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	for i, tt := range cases {
		if lines[2*i] != tt.all || lines[2*i+1] != tt.first {
			t.Errorf("%s in %q: Java says %q and %q, not %q and %q", tt.pattern, tt.text, lines[2*i], lines[2*i+1], tt.all, tt.first)
		}
	}
}

func TestWhatRE2ReadsOtherwiseIsRefused(t *testing.T) {
	for _, pattern := range []string{
		"(?=a)", "(?!a)", "(?<=a)", "(?<!a)", `(a)\1`, "a++", "a*+", "a?+", "(?>a)", "[a-z&&[^b]]", "[a[b]]", `\v`, "(?U)a*", "(?iU)a",
		"(?x)a", `\Z`, `\h`, `\R`, `\X`, `\G`, "[]a]", "[^]a]", "(", "*",
	} {
		if _, err := Compile(pattern); err == nil || !strings.Contains(err.Error(), "regular expression") {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	for _, pattern := range []string{`\[a&&b`, "[a&b]", `[\[]`, "(?i)a", "(?<name>a)U", `\Q[&&[\E`, "a{2,3}?", `\p{L}`} {
		if _, err := Compile(pattern); err != nil {
			t.Error(err)
		}
	}
}

func TestBadReplacementsAreRefused(t *testing.T) {
	r, err := Compile("(a)(?<n>b)")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"$3", "$", "$x", "${x}", "${n", `\`, "${}", "a$3b"} {
		if _, err := r.Replacement(text); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

func FuzzReplace(f *testing.F) {
	for _, tt := range cases {
		f.Add(tt.pattern, tt.replacement, tt.text)
	}
	f.Fuzz(func(t *testing.T, pattern, replacement, text string) {
		defer fuzzcost.Bound(t, len(pattern)+len(replacement)+len(text), 64)()
		if len(pattern) > 200 || len(text) > 200 {
			return
		}
		r, err := Compile(pattern)
		if err != nil {
			return
		}
		with, err := r.Replacement(replacement)
		if err != nil {
			return
		}
		r.ReplaceAll(text, with)
		r.ReplaceFirst(text, with)
		same, _ := r.Replacement("$0")
		if got := r.ReplaceAll(text, same); got != text {
			t.Fatalf("matches of %q in %q put back make %q", pattern, text, got)
		}
	})
}
