package kerberos

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

func TestParseName(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Name
		ok   bool
	}{
		{"alice@R", Name{"alice", "", "R"}, true},
		{"kafka/h.example@R", Name{"kafka", "h.example", "R"}, true},
		{"alice", Name{}, false},
		{"a/b/c@R", Name{}, false},
		{"a@b@R", Name{}, false},
		{"/b@R", Name{}, false},
		{"a/@R", Name{}, false},
		{"a@", Name{}, false},
		{"a\n@R", Name{}, false},
		{`a\/b@R`, Name{}, false},
	} {
		got, err := ParseName(tt.text)
		if (err == nil) != tt.ok || got != tt.want {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
	}
}

// ruleCases are rules (parted by a blank line's |) with names and what they become; "!" is a
// refusal.
var ruleCases = []struct{ rules, name, want string }{
	{"DEFAULT", "alice@R", "alice"},
	{"DEFAULT", "alice/host@R", "alice"},
	{"DEFAULT", "alice@OTHER", "!"},
	{"RULE:[1:$1]", "alice@OTHER", "alice"},
	{"RULE:[1:$1]", "alice/h@R", "!"},
	{"RULE:[2:$1]|DEFAULT", "alice/h@OTHER", "alice"},
	{"RULE:[1:$1@$0](.*@OTHER)s/@.*//|DEFAULT", "alice@OTHER", "alice"},
	{"RULE:[1:$1@$0](.*@OTHER)s/@.*//|DEFAULT", "alice@R", "alice"},
	{"RULE:[1:$1@$0](.*@OTHER)|DEFAULT", "alice@OTHER", "!"},
	{"RULE:[2:$1;$2](^.*;admin$)s/;admin$//|DEFAULT", "bob/admin@OTHER", "bob"},
	{"RULE:[1:$1]/L", "AlIcE@R", "alice"},
	{"RULE:[1:$1]/U", "AlIcE@R", "ALICE"},
	{"RULE:[1:$1]s/a/b//L", "AaAa@R", "abaa"},
	{"RULE:[1:$1]s/a/b/g/U", "aXaX@R", "BXBX"},
	{"RULE:[1:$1]s/a/b/g", "aaa@R", "bbb"},
	{"RULE:[1:$1]s/a/b/", "aaa@R", "baa"},
	{"RULE:[1:$1]s/x*/-/g", "axb@R", "-a--b-"},
	{"RULE:[1:$1]s/(a)(b)/$2$1/", "ab@R", "ba"},
	{"RULE:[1:u$1x]", "alice@R", "ualicex"},
	{"RULE:[2:$2$1]", "a/b@R", "ba"},
	{"RULE:[1:$0.$1]", "a@R", "R.a"},
}

func TestRules(t *testing.T) {
	for _, tt := range ruleCases {
		rules, err := ParseRules("R", strings.Split(tt.rules, "|"))
		if err != nil {
			t.Errorf("%s: %v", tt.rules, err)
			continue
		}
		name, err := ParseName(tt.name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := rules.User(name)
		if err != nil {
			got = "!"
		}
		if got != tt.want {
			t.Errorf("%s: %s became %s, not %s (%v)", tt.rules, tt.name, got, tt.want, err)
		}
	}
}

// Names that Java's patterns and ours read differently are nobody's.
func TestOddNamesAreRefused(t *testing.T) {
	for _, tt := range []struct {
		rule string
		ok   bool
	}{
		{"RULE:[1:$1](admin.*)s/.*/admin/", false},
		{"RULE:[1:$1]s/admin./admin/", false},
		{"RULE:[1:$1]", true},
	} {
		rules, err := ParseRules("R", []string{tt.rule, "DEFAULT"})
		if err != nil {
			t.Fatal(err)
		}
		if user, err := rules.User(Name{"admin\u0085", "", "R"}); (err == nil) != tt.ok {
			t.Errorf("%s makes %q, %v", tt.rule, user, err)
		}
	}
}

// With BARNABAS_KAFKA_LIBS, the folder of Apache Kafka's jars, Kafka's own namer gets the
// same cases.
func TestRulesAreKafkas(t *testing.T) {
	libs := kafkaLibs(t)
	args := []string{"-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", libs + "/*", "testdata/Namer.java"}
	for _, tt := range ruleCases {
		args = append(args, tt.rules, tt.name)
	}
	out, err := exec.Command("java", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	for i, tt := range ruleCases {
		if lines[i] != tt.want {
			t.Errorf("%s: Kafka makes %s of %s, not %s", tt.rules, lines[i], tt.name, tt.want)
		}
	}
}

func TestBadRulesAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "default", "RULE:", "RULE:[:$1]", "RULE:[1:$1", "RULE:[1:$2]", "RULE:[1:$]", "RULE:[1:$1]s/a/b",
		"RULE:[1:$1](a(b)c)", "RULE:[1:$1]s/(/x/", "RULE:[1:$1]s/a/$1/", "RULE:[1:$1]s/a/b/x", "RULE:[1:$1](a++)",
		"RULE:[1:$1](?=a)", "RULE:[99999999999999999999:$1]", "DEFAULTx", "RULE:[1:$1]s/(a)\\1/b/",
	} {
		if _, err := ParseRules("R", []string{text}); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzRules(f *testing.F) {
	for _, tt := range ruleCases {
		f.Add(tt.rules, tt.name)
	}
	f.Fuzz(func(t *testing.T, texts, text string) {
		defer fuzzcost.Bound(t, len(texts)+len(text), 64)()
		rules, err := ParseRules("R", strings.Split(texts, "|"))
		if err != nil {
			return
		}
		name, err := ParseName(text)
		if err != nil {
			return
		}
		if user, err := rules.User(name); err == nil && (user == "" || strings.ContainsAny(user, "/@")) {
			t.Fatalf("%q became %q", text, user)
		}
	})
}
