package config

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestDocsAreMadeFromTheTable(t *testing.T) {
	have, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, Markdown()) {
		t.Error("docs/config.md is stale: go run ./broker/config/gendoc")
	}
}

func TestDocsHaveEveryKeyThatIsNotInternal(t *testing.T) {
	doc := string(Markdown())
	for scope := ScopeBroker; scope <= ScopeClientMetrics; scope++ {
		for _, k := range Keys(scope) {
			if !k.Internal && !strings.Contains(doc, "| `"+k.Name+"` |") {
				t.Errorf("%s (section %q) is missing", k.Name, k.Section)
			}
		}
	}
}
