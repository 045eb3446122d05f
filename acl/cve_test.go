package acl

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/barnabas-broker/barnabas/auth"
)

// While Apache moved from ZooKeeper to KRaft, taking one ACL of a resource away could take
// the others with it. Here any order of additions and removals leaves what a set would
// hold, and decides as that set does.
func TestCVE_2024_27309_ARemovedACLTakesNoOtherAway(t *testing.T) {
	r := rand.New(rand.NewPCG(2024, 27309))
	random := func() Binding {
		name := []string{"a", "ab", "abc", "*", "b"}[r.IntN(5)]
		return Binding{TopicResource, name, []PatternType{Literal, Prefixed}[r.IntN(2)], fmt.Sprintf("User:%d", r.IntN(3)), []string{"*", "10.0.0.7"}[r.IntN(2)],
			[]Operation{Read, Write, Describe, All}[r.IntN(4)], []Permission{Allow, Deny}[r.IntN(2)]}
	}
	for range 50 {
		live, model := NewSnapshot(slices.Values([]Binding(nil))), map[Binding]bool{}
		for range 60 {
			var add, remove []Binding
			for range r.IntN(4) {
				b := random()
				add, model[b] = append(add, b), true
			}
			if known := slices.Collect(maps.Keys(model)); len(known) > 0 && r.IntN(2) == 0 {
				b := known[r.IntN(len(known))]
				if !slices.Contains(add, b) {
					remove = append(remove, b)
					delete(model, b)
				}
			}
			live = live.Apply(add, remove)
		}
		whole := NewSnapshot(maps.Keys(model))
		byChanges, atOnce := NewStandardAuthorizer(Options{}), NewStandardAuthorizer(Options{})
		byChanges.Swap(live)
		atOnce.Swap(whole)
		for user := range 3 {
			for _, name := range []string{"a", "ab", "abc", "abcd", "b", "c"} {
				for _, op := range []Operation{Read, Write, Describe, Delete} {
					who, host := auth.User(fmt.Sprint(user)), netip.MustParseAddr([]string{"10.0.0.7", "10.0.0.8"}[r.IntN(2)])
					got, want := byChanges.Authorize(who, host, op, Topic(name)), atOnce.Authorize(who, host, op, Topic(name))
					if got.Allowed != want.Allowed {
						t.Fatalf("%v %v %s from %v: %v after the changes, %v from %d ACLs at once", who, op, name, host, got, want, len(model))
					}
				}
			}
		}
	}
}

// Loggers interpreted the text that they were given, or let it forge lines. The authorizer's
// line, and the command that would allow what was refused, carry names that anybody may
// choose: each is one line of printable characters, and to a shell each name is one word
// that means itself.
func TestCVE_2021_44228_CVE_2021_45046_CVE_2026_84439_CVE_2026_84501_NamesForgeNoLineAndNoCommand(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Log("no bash: the commands are not run")
	}
	for _, name := range []string{
		"${jndi:ldap://127.0.0.1/a}", "$(touch x)", "`touch x`", "a; touch x", "a & touch x", "a | touch x", "a'; touch x; '", `a"; touch x; "`, "--force", "-x", "a b", "*", "~", "#", "!x", `\`, `\'`, "%s%n",
		"x\nPrincipal = User:admin is Allowed operation = ALTER", "x\r\nforged", "x\rforged", "'\n'; touch x\n", "\x1b[2J\x1b]0;t\x07", "\u009b31m", "\u0085", "\u2028", "\u2029", "\u202e", "\x7f\b\v\f", "\xff\xc0",
	} {
		a := NewStandardAuthorizer(Options{})
		host := netip.MustParseAddr("10.0.0.1")
		for _, acls := range [][]Binding{nil, {{TopicResource, name, Literal, "User:" + name, "*", Read, Deny}}} {
			a.Swap(a.Snapshot().Apply(acls, nil))
			q := Action{Principal: auth.Principal{Type: "User", Name: name}, Host: host, Operation: Read, Resource: Topic(name), API: "Fetch", RefCount: 1}
			d := a.Authorize(q.Principal, q.Host, q.Operation, q.Resource)
			grant := q.GrantCommand(d)
			for what, text := range map[string]string{"line": string(q.AppendLog(nil, d)), "command": grant,
				"explanation": strings.ReplaceAll(a.Explain(q).String(), "\n", "")} {
				if i := strings.IndexFunc(text, func(c rune) bool { return !strconv.IsPrint(c) }); i >= 0 || !utf8.ValidString(text) {
					t.Errorf("the %s of %q: %q", what, name, text)
				}
			}
			if lines := strings.Count(a.Explain(q).String(), "\n"); lines > 3 {
				t.Errorf("the explanation of %q has %d lines", name, lines)
			}
			if shell == "" {
				continue
			}
			cmd := exec.Command(shell, "-c", `barnabas() { printf '%s\0' "$@"; }; `+grant)
			cmd.Dir = t.TempDir()
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("%s: %v", grant, err)
			}
			words := strings.Split(string(out), "\x00")
			if !slices.Contains(words, name) || !slices.Contains(words, "User:"+name) {
				t.Errorf("%q is read as %q", grant, words)
			}
			if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
				t.Errorf("%q did something: %v, %v", grant, left, err)
			}
		}
	}
}
