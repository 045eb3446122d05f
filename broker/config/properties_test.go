package config

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// TestPropertiesAreReadAsJavaReadsThem replays what java.util.Properties of Java 17 made of
// the same bytes: chosen cases first, then random ones from the bytes that matter.
func TestPropertiesAreReadAsJavaReadsThem(t *testing.T) {
	data, err := os.ReadFile("testdata/java-17/properties.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		f := strings.Split(line, "\t")
		in := latin1(javaUnescaped(t, f[0]))
		props, err := ParseProperties(in)
		if len(f) == 2 && f[1] == "ERR" {
			if err == nil {
				t.Errorf("%q: accepted as %v", in, props)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		want := make(map[string]string)
		for i := 1; i+1 < len(f); i += 2 {
			want[javaUnescaped(t, f[i])] = javaUnescaped(t, f[i+1])
		}
		if got := asMap(props); !maps.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func asMap(props []Property) map[string]string {
	m := make(map[string]string)
	for _, p := range props {
		m[p.Name] = p.Value
	}
	return m
}

func latin1(s string) []byte {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}

func TestPropertyLinesAreCounted(t *testing.T) {
	props, err := ParseProperties([]byte("# one\n\na=b\\\n  c\r\nd=e\n"))
	if err != nil || len(props) != 2 || props[0].Line != 3 || props[1].Line != 5 {
		t.Errorf("%+v, %v", props, err)
	}
	if _, err = ParseProperties([]byte("a=b\n\nc=\\u12\n")); err == nil || !strings.HasPrefix(err.Error(), "line 3:") {
		t.Errorf("%v", err)
	}
}

func FuzzParseProperties(f *testing.F) {
	f.Add([]byte("a=b\\\n c\n# d\ne\\u0041:f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		defer fuzzcost.Bound(t, len(data), 64)()
		_, _ = parsePropertiesUTF8(data)
		props, err := ParseProperties(data)
		if err != nil {
			return
		}
		var out []byte
		for _, p := range props {
			out = AppendProperty(out, p.Name, p.Value)
		}
		again, err := ParseProperties(out)
		if err != nil || len(again) != len(props) {
			t.Fatalf("%+v came back as %+v: %v", props, again, err)
		}
		for i := range props {
			if props[i].Name != again[i].Name || props[i].Value != again[i].Value {
				t.Fatalf("%+v came back as %+v", props[i], again[i])
			}
		}
	})
}
