package auth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretsShowNothing(t *testing.T) {
	s := NewSecret("hunter2")
	type inside struct {
		Exported   Secret
		unexported Secret
		pointer    *Secret
		list       []Secret
		byName     map[string]Secret
	}
	in := inside{s, s, &s, []Secret{s}, map[string]Secret{"a": s}}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%08b", "%t", "%c", "%U", "%e"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", &s)
		fmt.Fprintf(&out, verb+"\n", in)
		fmt.Fprintf(&out, verb+"\n", &in)
		fmt.Fprintf(&out, verb+"\n", []any{s, in})
	}
	fmt.Fprintln(&out, s, in)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("a", "secret", s, "in", in)
	slog.New(slog.NewTextHandler(&log, nil)).Info("a", "secret", s, "in", in)
	j, err := json.Marshal(map[string]any{"a": s, "b": in, "c": map[Secret]int{s: 1}})
	if err != nil {
		t.Fatal(err)
	}
	all := out.String() + log.String() + string(j)
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2")} {
		if strings.Contains(all, leak) {
			t.Fatalf("%s is in\n%s", leak, all)
		}
	}
	if s.String() != "[redacted]" || s.GoString() != "[redacted]" || s.Reveal() != "hunter2" {
		t.Fatal(s.String())
	}
}

func TestSecretsCompare(t *testing.T) {
	if !NewSecret("a").Equal(NewSecret("a")) || NewSecret("a").Equal(NewSecret("b")) || NewSecret("a").Equal(NewSecret("ab")) ||
		!NewSecret("").Equal(Secret{}) || !NewSecret("").IsEmpty() {
		t.Fatal("secrets do not compare")
	}
}
