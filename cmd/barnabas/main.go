// Command barnabas is a Kafka-wire-compatible broker and the tool to administer it.
//
//	barnabas                                    start with defaults
//	barnabas start [server.properties] [--override key=value]...
//	barnabas doctor [server.properties] [--override key=value]...
//	barnabas version
//	barnabas topic|group|config|produce|consume|cluster|acl|user|token|cert ...
package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/barnabas-broker/barnabas/cmd/barnabas/cli"
)

// version is set by the linker; a build without it says what the module knows.
var version string

func main() {
	args := os.Args[1:]
	if tool := cli.ToolName(os.Args[0]); tool != "" {
		args = append([]string{tool}, args...) // called as kafka-topics.sh and the like
	}
	os.Exit(run(args, os.Stdout, os.Stderr))
}

// run is main without the process: arguments in, exit code out.
func run(args []string, stdout, stderr io.Writer) int {
	command := "start"
	if len(args) > 0 && (!strings.HasPrefix(args[0], "-") || args[0] == "-h" || args[0] == "--help" || args[0] == "--version") {
		command, args = args[0], args[1:]
	}
	switch command {
	case "start":
		return start(args, stdout, stderr)
	case "doctor":
		return examine(args, stdout, stderr)
	case "version", "--version":
		fmt.Fprintln(stdout, "barnabas", versionString())
		return 0
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage, cli.Usage())
		return 0
	default:
		if cli.Has(command) {
			return cli.Run(append([]string{command}, args...), cli.Streams{Stdin: os.Stdin, Stdout: stdout, Stderr: stderr, Getenv: os.Getenv})
		}
		fmt.Fprintf(stderr, "barnabas: unknown command %q\n\n%s%s", command, usage, cli.Usage())
		return 2
	}
}

const usage = `Usage:
  barnabas                     start a broker with defaults: data in a default directory, port 9092
  barnabas start [server.properties] [--override key=value]...
  barnabas doctor [server.properties] [--override key=value]... [--offline] [-o json]
                               say what would go wrong if a broker started so, and what its clients need
  barnabas version
`

func versionString() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
