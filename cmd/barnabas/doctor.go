package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/barnabas-broker/barnabas/cmd/barnabas/doctor"
)

// examine says what would go wrong if a broker were started with these arguments, which
// are those of start, with --offline and -o json. It exits with 0 if nothing keeps the
// broker from serving, with 1 if something does, with 2 if the command line makes no sense.
func examine(args []string, stdout, stderr io.Writer) int {
	var rest []string
	asJSON, offline := false, false
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; arg {
		case "--offline":
			offline = true
		case "-o", "--output", "-o=json", "--output=json", "-ojson":
			if arg == "-o" || arg == "--output" {
				if i++; i == len(args) || args[i] != "json" && args[i] != "table" {
					fmt.Fprintln(stderr, "barnabas doctor: -o is table or json")
					return 2
				}
				asJSON = args[i] == "json"
				continue
			}
			asJSON = true
		case "-h", "--help":
			fmt.Fprint(stdout, usage)
			return 0
		default:
			rest = append(rest, arg)
		}
	}
	options, err := parseStart(rest)
	if err != nil {
		fmt.Fprintf(stderr, "barnabas doctor: %v\n\n%s", err, usage)
		return 2
	}
	options.Environ = os.Environ()
	options.SecureListeners = true
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report := doctor.Examine(ctx, doctor.Options{Load: options, Offline: offline})
	if asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		_, err = report.WriteTo(stdout)
	}
	if err != nil || report.Count(doctor.Problem) > 0 {
		return 1
	}
	return 0
}
