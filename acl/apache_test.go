package acl

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var (
	apacheLibs = flag.String("acl.apache", "", "directory of Apache Kafka's jars: ask its StandardAuthorizer new questions")
	update     = flag.Bool("acl.update", false, "with -acl.apache: write its answers to testdata")
)

const goldenFile = "testdata/standard-authorizer-3.9.2.txt"

// script is ACLs and questions for testdata/apache/Authorize.java.
func script(r *rand.Rand, rounds, acls, questions int) []string {
	w := world{r}
	op := func() string { return strconv.Itoa(2 + r.IntN(13)) } // 15 is unknown to 3.9
	asked := func() string { return strconv.Itoa(3 + r.IntN(12)) }
	kind := func() string { return strconv.Itoa(2 + r.IntN(3)) }
	who := func() string {
		return pick(w, "User:alice", "User:bob", "User:root", "User:aa", "Role:alice", "User:*")
	}
	host := func() string { return pick(w, "10.0.0.1", "10.0.0.9", "0:0:0:0:0:0:0:1") }
	var lines []string
	for range rounds {
		lines = append(lines, "reset\tUser:root; Role:x\t"+strconv.FormatBool(r.IntN(2) == 0))
		seen := map[string]bool{} // Apache's index refuses an ACL that it has
		for range 1 + r.IntN(acls) {
			line := strings.Join([]string{"acl", kind(), w.name(), pick(w, "3", "4"), w.principal(), w.host(), op(), pick(w, "3", "3", "3", "2")}, "\t")
			if !seen[line] {
				seen[line] = true
				lines = append(lines, line)
			}
		}
		for range questions {
			// A resource whose name begins with * is not asked for: Apache's class forgets the
			// ACLs on the wildcard there, denials too. Ours and the ZooKeeper one do not.
			name := w.name()
			for strings.HasPrefix(name, "*") && name != "*" {
				name = w.name()
			}
			lines = append(lines, strings.Join([]string{"ask", who(), host(), asked(), kind(), name}, "\t"))
		}
		for range 1 + questions/5 {
			lines = append(lines, strings.Join([]string{"any", who(), host(), asked(), kind()}, "\t"))
		}
	}
	return lines
}

// answers runs a script here, and says for every answer which line asked.
func answers(t *testing.T, lines []string) (letters []byte, at []int) {
	t.Helper()
	var a *StandardAuthorizer
	have := map[Binding]bool{}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i, line := range lines {
		f := strings.Split(line, "\t")
		var d Decision
		switch f[0] {
		case "reset":
			users, err := ParseSuperUsers(f[1])
			if err != nil {
				t.Fatal(err)
			}
			a = NewStandardAuthorizer(Options{SuperUsers: users, AllowEveryoneIfNoACLFound: f[2] == "true"})
			clear(have)
			continue
		case "acl":
			have[Binding{ResourceType(number(f[1])), f[2], PatternType(number(f[3])), f[4], f[5], Operation(number(f[6])), Permission(number(f[7]))}] = true
			a.Swap(NewSnapshot(maps.Keys(have)))
			continue
		case "ask":
			who, _ := parsePrincipal(f[1])
			d = a.Authorize(who, javaAddr(f[2]), Operation(number(f[3])), Resource{ResourceType(number(f[4])), f[5]})
		case "any":
			who, _ := parsePrincipal(f[1])
			d = a.AuthorizeAny(who, javaAddr(f[2]), Operation(number(f[3])), ResourceType(number(f[4])))
		}
		letter := byte('D')
		if d.Allowed {
			letter = 'A'
		}
		letters, at = append(letters, letter), append(at, i)
	}
	return letters, at
}

func javaAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

func compare(t *testing.T, lines []string, want []byte) {
	t.Helper()
	got, at := answers(t, lines)
	if len(got) != len(want) {
		t.Fatalf("%d answers, Apache gave %d", len(got), len(want))
	}
	wrong := 0
	for i := range got {
		if got[i] != want[i] {
			if wrong++; wrong > 5 {
				continue
			}
			begin := at[i]
			for !strings.HasPrefix(lines[begin], "reset") {
				begin--
			}
			var acls []string
			for _, line := range lines[begin:at[i]] {
				if !strings.HasPrefix(line, "ask") && !strings.HasPrefix(line, "any") {
					acls = append(acls, line)
				}
			}
			t.Errorf("%s: %c, Apache says %c, with\n%s", lines[at[i]], got[i], want[i], strings.Join(acls, "\n"))
		}
	}
	t.Logf("%d of %d answers are Apache's", len(got)-wrong, len(got))
}

// What Apache 3.9.2's own class answered, kept in testdata.
func TestDecisionsAreThoseThatApacheGave(t *testing.T) {
	text, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	compare(t, lines[:len(lines)-1], []byte(strings.TrimPrefix(lines[len(lines)-1], "answers\t")))
}

// Asks Apache's class anew, where its jars are at hand.
func TestDecisionsAreThoseOfApachesClass(t *testing.T) {
	if *apacheLibs == "" {
		t.Skip("needs -acl.apache and a JDK")
	}
	r := newRand(t)
	rounds := 1500
	if *update {
		rounds = 40
	}
	lines := script(r, rounds, 30, 40)
	dir := t.TempDir()
	libs := filepath.Join(*apacheLibs, "*")
	if out, err := exec.Command("javac", "-cp", libs, "-d", dir, "testdata/apache/Authorize.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	java := exec.Command("java", "-cp", dir+string(filepath.ListSeparator)+libs, "Authorize")
	java.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	java.Stderr = new(bytes.Buffer)
	out, err := java.Output()
	if err != nil {
		t.Fatalf("java: %v\n%s", err, java.Stderr)
	}
	want := bytes.TrimSpace(out)
	if *update {
		text := strings.Join(lines, "\n") + fmt.Sprintf("\nanswers\t%s\n", want)
		if err := os.WriteFile(goldenFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, lines, want)
}
