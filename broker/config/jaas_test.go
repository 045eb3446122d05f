package config

import (
	"bytes"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// show writes entries as testdata/java-17/jaas.txt has them.
func showJAAS(entries []JAASEntry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, " [%s LoginModuleControlFlag: %s ", e.Module, e.Flag)
		last := make(map[string]string)
		for _, o := range e.Options {
			last[o.Name] = o.Value
		}
		var names []string
		for n := range last {
			names = append(names, n)
		}
		sort.Strings(names)
		for _, n := range names {
			b.WriteString(javaEscaped(n) + "=" + javaEscaped(last[n]) + ";")
		}
		b.WriteString("]")
	}
	return b.String()
}

func javaEscaped(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		if u < 32 || u > 126 || u == '\\' {
			fmt.Fprintf(&b, `\u%04x`, u)
		} else {
			b.WriteByte(byte(u))
		}
	}
	return b.String()
}

func javaUnescaped(t *testing.T, s string) string {
	t.Helper()
	var units []uint16
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			u, err := strconv.ParseUint(s[i+2:i+6], 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			units = append(units, uint16(u))
			i += 5
			continue
		}
		units = append(units, uint16(s[i]))
	}
	return string(utf16.Decode(units))
}

// TestJAASIsReadAsJavaReadsIt replays what Java 17's file parser and Kafka 3.9.2's parser
// of sasl.jaas.config made of the same text.
func TestJAASIsReadAsJavaReadsIt(t *testing.T) {
	data, err := os.ReadFile("testdata/java-17/jaas.txt")
	if err != nil {
		t.Fatal(err)
	}
	text, files, _ := strings.Cut(string(data), "--- files\n")
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		in, want, _ := strings.Cut(line, "\t")
		in = javaUnescaped(t, in)
		e, err := ParseJAASConfig(in)
		got := "ERR"
		if err == nil {
			got = "OK" + showJAAS([]JAASEntry{e})
		}
		if strings.Count(want, " [") > 1 {
			want = "ERR" // Kafka refuses a second module later on
		}
		if got != want {
			t.Errorf("%q:\n got %s %v\nwant %s", in, got, err, want)
		}
	}
	property := func(name string) (string, bool) { return "v l", name == "my.prop" }
	for _, line := range strings.Split(strings.TrimRight(files, "\n"), "\n") {
		in, want, _ := strings.Cut(line, "\t")
		section, text, sectioned := strings.Cut(in, "@")
		if !sectioned {
			text = in
		}
		file, err := ParseJAASFile([]byte(javaUnescaped(t, text)), property)
		got := "PARSED"
		switch {
		case err != nil:
			got = "ERR "
		case sectioned:
			got = "OK" + showJAAS(file[section])
		}
		if got != want {
			t.Errorf("%q:\n got %s %v\nwant %s", in, got, err, want)
		}
	}
}

func TestJAASErrorsShowNoSecret(t *testing.T) {
	for _, in := range []string{`a.B required password="geheim`, `a.B required password="geheim" x`, `a.B required password=-geheim;`,
		"a.B required password=\"geheim\n\";", `a.B required user_x="geheim", y=z;`} {
		_, err := ParseJAASConfig(in)
		if err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestJAASOfPrefersTheListenersOwnKey(t *testing.T) {
	c := mustLoad(t, "listener.name.plaintext.plain.sasl.jaas.config=a.Own required user_x=\"y\";\n")
	file := JAASFile{"KafkaServer": {{Module: "a.Server"}}, "other.KafkaServer": {{Module: "a.Other"}}}
	for _, tt := range []struct{ listener, mechanism, want string }{
		{"PLAINTEXT", "PLAIN", "a.Own"},
		{"PLAINTEXT", "SCRAM-SHA-256", "a.Server"},
		{"OTHER", "PLAIN", "a.Other"},
	} {
		entries, err := c.JAASOf(tt.listener, tt.mechanism, file)
		if err != nil || entries[0].Module != tt.want {
			t.Errorf("%+v: %v, %v", tt, entries, err)
		}
	}
	if _, err := c.JAASOf("X", "PLAIN", nil); err == nil {
		t.Error("no entry, and no error")
	}
}

func FuzzParseJAAS(f *testing.F) {
	f.Add([]byte(`org.Plain required a="b\101" 'c'=d; // x`))
	f.Add([]byte("KafkaServer { org.Plain required a=\"${/}\"; };"))
	f.Fuzz(func(t *testing.T, data []byte) {
		defer fuzzcost.Bound(t, len(data), 64)()
		if e, err := ParseJAASConfig(string(data)); err == nil {
			if e.Module == "" && !bytes.Contains(data, []byte(`""`)) && !bytes.Contains(data, []byte("''")) {
				t.Fatalf("entry without a module from %q", data)
			}
		}
		file, err := ParseJAASFile(data, nil)
		if err != nil {
			return
		}
		for name, entries := range file {
			if len(entries) == 0 {
				t.Fatalf("section %q is empty", name)
			}
		}
	})
}
