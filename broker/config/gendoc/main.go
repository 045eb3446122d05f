// Gendoc writes docs/config.md from the table of configuration keys. Run it in the
// repository's root: go run ./broker/config/gendoc
package main

import (
	"fmt"
	"os"

	"github.com/barnabas-broker/barnabas/broker/config"
)

func main() {
	if err := os.WriteFile("docs/config.md", config.Markdown(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
}
