// Command security runs real Kafka clients through every way of proving who they are, on
// plaintext and TLS, against one broker with ACLs, and shows what must not get in.
//
//	go run ./tests/security                          everything below up to -parts, against Barnabas
//	go run ./tests/security -parts wire,tools        some of it
//	go run ./tests/security -short                   the sample that CI runs
//	go run ./tests/security -rows PLAIN -clients kcat,java-3
//	go run ./tests/security -broker apache-3.9.2     the same against Apache Kafka, to prove the suite
//	go run ./tests/security -rotate                  certificates, passwords and ACLs changed under load
//	go run ./tests/security -cost                    what ten thousand ACLs and TLS cost, TLS beside Apache Kafka
//
// In every cell of the table a client produces, consumes in a group and gets back what it
// wrote; is refused another principal's topic and group; and does not get in with what is
// wrong in its row. A second table holds what is refused on the wire, with Kafka's own
// code and words. A third is one line a row: what a principal may not do with what is not
// its own. The KDC is MIT's, the OpenID Connect issuer is our own over HTTPS, and the keys
// come from openssl and keytool.
//
// Besides clients and wire, the parts are: configs, the configurations that barnabas cert
// writes, each used by the client it is for; tools, our commands and Apache's of two versions
// with every mechanism; tests, those of go test that need Apache's jars or broker, kcat or
// MIT's KDC, with none of them skipped.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

func main() {
	os.Exit(run())
}

func run() int {
	var (
		kind     = flag.String("broker", "barnabas", "the broker to start: barnabas, apache-3.9.2, apache-4.3.1")
		clients  = flag.String("clients", "", "clients to run, by the beginning of their names, parted by commas; all by default")
		only     = flag.String("rows", "", "rows to run, by the beginning of their names, parted by semicolons; all by default")
		short    = flag.Bool("short", false, "only the sample that CI runs")
		keep     = flag.Bool("keep", false, "keep the directory with the logs")
		parts    = flag.String("parts", "", "which of clients, wire, configs, tools, tests; clients and wire with -short, -rows, -clients or Apache's broker, else all")
		rotateIt = flag.Bool("rotate", false, "instead: change certificates, passwords and ACLs under load")
		costs    = flag.Bool("cost", false, "instead: what ACLs and TLS cost the broker's processor")
		apache   = flag.Bool("apache", true, "with -cost: TLS on Apache Kafka 3.9.2 too")
		rounds   = flag.Int("rounds", 5, "with -cost: rounds of each load; with -rotate: how often ACLs change each way")
		measure  = flag.Duration("measure", 4*time.Second, "with -cost: how long a load is")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "no arguments besides flags; see -help")
		return 2
	}
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	dir, err := os.MkdirTemp("", "barnabas-security-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if *costs {
		c := &cost{cache: cache, dir: dir, rounds: *rounds, measure: *measure}
		if err := c.run(context.Background(), *apache); err != nil {
			fmt.Fprintln(os.Stderr, err, "\nlogs in", dir)
			return 1
		}
		os.RemoveAll(dir)
		return 0
	}
	table, principals := rows()
	w, err := openWorld(cache, dir, peers.Kind(*kind), principals)
	if err != nil {
		fmt.Fprintln(os.Stderr, err, "\nlogs in", dir)
		return 2
	}
	defer w.close()
	fmt.Fprintf(os.Stderr, "%s, logs in %s\n", *kind, dir)
	if *rotateIt {
		if err := rotate(w, principals, *rounds, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err, "\nlogs in", dir)
			return 1
		}
		os.RemoveAll(dir)
		return 0
	}
	m := &matrix{world: w, short: *short, wantRow: prefixed(*only, ";"), wantClient: prefixed(*clients, ",")}
	if *parts == "" {
		*parts = "clients,wire"
		if !*short && *only == "" && *clients == "" && !w.kind.IsApache() {
			*parts += ",configs,tools,tests"
		}
	}
	for _, part := range strings.Split(*parts, ",") {
		start := time.Now()
		switch part {
		case "clients":
			m.clients(table)
		case "wire":
			m.refusals(table, refusalCases(principals))
		case "configs":
			m.configs()
		case "tools":
			m.tools()
		case "tests":
			m.tests()
		default:
			fmt.Fprintln(os.Stderr, "there is no part", part)
			return 2
		}
		fmt.Fprintf(os.Stderr, "%s: %.0f s\n", part, time.Since(start).Seconds())
	}
	m.print(os.Stdout)
	if m.failed > 0 || m.passed == 0 {
		fmt.Printf("logs in %s\n", dir)
		return 1
	}
	if !*keep {
		os.RemoveAll(dir)
	}
	return 0
}

// prefixed says whether a name begins with one of the list; an empty list is all names.
func prefixed(list, separator string) func(name string) bool {
	prefixes := strings.Split(list, separator)
	return func(name string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
}
