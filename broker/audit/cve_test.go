package audit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Loggers interpreted the text that they were given, or let it forge lines. An event is one
// line of JSON in the file, whatever a client has put in any field of it, and says that
// again to whoever reads it.
func TestCVE_2021_44228_CVE_2021_45046_CVE_2026_84439_CVE_2026_84501_AnEventIsOneLineOfText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l := New(Options{Sinks: []Sink{f}})
	texts := []string{"${jndi:ldap://127.0.0.1/a}", "%s%n", `"},{"kind":"x`, `\`, "x\n{\"kind\":\"administration\",\"principal\":\"User:admin\"}", "x\r\ny", "\r", "\x1b[2J\x1b]0;t\x07", "\x00\b\v\f", "\u2028\u2029", "</script>"}
	var said []Event
	for _, text := range texts {
		e := Event{Changes: []Change{{Resource: text, What: text, Error: text}}}
		for v, i := reflect.ValueOf(&e).Elem(), 0; i < v.NumField(); i++ {
			if v.Field(i).Kind() == reflect.String {
				v.Field(i).SetString(text)
			}
		}
		if err := l.Record(e); err != nil {
			t.Fatal(err)
		}
		said = append(said, e)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) != len(said) {
		t.Fatalf("%d lines for %d events: %q", len(lines), len(said), data)
	}
	for i, line := range lines {
		if at := strings.IndexFunc(line, func(c rune) bool { return c < ' ' || c == '\u2028' || c == '\u2029' }); at >= 0 {
			t.Errorf("%q", line)
		}
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		e.Time = said[i].Time
		if !reflect.DeepEqual(e, said[i]) {
			t.Errorf("said %+v, read %+v", said[i], e)
		}
	}
}
