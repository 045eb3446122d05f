package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

// update writes docs/cli.md: go test ./cmd/barnabas/cli -run Document -update
var update = flag.Bool("update", false, "write docs/cli.md")

const document = "../../../docs/cli.md"

func TestDocumentListsEveryCommand(t *testing.T) {
	have, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	prose, _, ok := bytes.Cut(have, []byte(referenceMark))
	if !ok {
		t.Fatalf("docs/cli.md has lost the line %q", referenceMark)
	}
	want := append(append(bytes.Clone(prose), referenceMark...), reference()...)
	if *update {
		if err := os.WriteFile(document, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(have, want) {
		t.Error("docs/cli.md is stale: go test ./cmd/barnabas/cli -run Document -update")
	}
}

const referenceMark = "<!-- From here on written by go test ./cmd/barnabas/cli -run Document -update. Do not edit. -->\n"

// reference is the help of every command.
func reference() []byte {
	var b bytes.Buffer
	b.WriteString("\n## Reference\n\nEvery command has these flags:\n\n```\n")
	flagLines(&b, (&command{}).allFlags().flags)
	b.WriteString("```\n")
	var walk func(c *command, path string)
	walk = func(c *command, path string) {
		for _, sub := range c.sub {
			walk(sub, path+" "+sub.name)
		}
		if len(c.sub) > 0 {
			return
		}
		summary := strings.ToUpper(c.summary[:1]) + c.summary[1:]
		fmt.Fprintf(&b, "\n### %s\n\n%s.\n", path, summary)
		if c.detail != "" {
			fmt.Fprintf(&b, "\n```\n%s\n```\n", strings.TrimSpace(c.detail))
		}
		fmt.Fprintf(&b, "\n```\n%s\n", strings.TrimSpace(path+" "+c.args))
		var own []flagDef
		for _, f := range c.allFlags().flags {
			if !f.global {
				own = append(own, f)
			}
		}
		flagLines(&b, own)
		b.WriteString("```\n")
	}
	walk(root(), "barnabas")
	return b.Bytes()
}

func flagLines(b *bytes.Buffer, flags []flagDef) {
	width := 0
	for i := range flags {
		width = max(width, len(flags[i].spelled()))
	}
	for i := range flags {
		fmt.Fprintf(b, "  %-*s  %s\n", width, flags[i].spelled(), flags[i].usage)
	}
}
