// Command interop runs real Kafka clients against a broker and compares every record that
// they wrote and read. It prints one table and exits with 1 if anything failed.
//
//	go run ./tests/interop                          all peers against Barnabas
//	go run ./tests/interop -short                   the sample that CI runs
//	go run ./tests/interop -peers kcat,java-3       some peers, by the beginning of their names
//	go run ./tests/interop -broker apache-3.9.2     the same against Apache Kafka
//	go run ./tests/interop -target 127.0.0.1:9092   against a broker that runs already
//
// Clients and Apache's broker are installed into BARNABAS_CACHE (see tests/peers).
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

func main() {
	os.Exit(run())
}

func run() int {
	var (
		kind   = flag.String("broker", "barnabas", "the broker to start: barnabas, apache-3.9.2, apache-4.3.1, apache-3.9.2-zk")
		target = flag.String("target", "", "address of a running broker to test instead; -broker says what it is")
		names  = flag.String("peers", "", "peers to run, by the beginning of their names, parted by commas; all by default. Besides the clients: 2015, tools-3.9.2, tools-4.3.1")
		short  = flag.Bool("short", false, "only the peers of the CI sample")
		count  = flag.Int("records", 120, "records per peer and codec")
		keep   = flag.Bool("keep", false, "keep the broker's directory and the logs of passing runs")
		out    = flag.String("json", "", "also write the results to this file")
		list   = flag.Bool("list", false, "list the peers and end")
	)
	flag.Parse()
	if *list {
		for _, p := range peers.All() {
			fmt.Println(p.Name, strings.Join(p.Codecs, " "))
		}
		fmt.Println(strings.Join(extras, "\n"))
		return 0
	}
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "no arguments besides flags; see -help")
		return 2
	}
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	dir, err := os.MkdirTemp("", "barnabas-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	s := &suite{cache: cache, dir: dir, kind: peers.Kind(*kind), addr: *target, recordCount: *count,
		wanted: wanted(*names), short: *short, expected: map[string][]peers.Record{}}
	if *target == "" {
		b, err := cache.StartBroker(s.kind, peers.BrokerOptions{Dir: filepath.Join(dir, "broker")})
		if err != nil {
			fmt.Fprintln(os.Stderr, "start the broker:", err)
			return 2
		}
		defer b.Close()
		s.broker, s.addr = b, b.Addr
	}
	fmt.Fprintf(os.Stderr, "%s on %s, logs in %s\n", s.kind, s.addr, dir)
	if err := s.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	s.print(os.Stdout)
	if *out != "" {
		data, err := json.MarshalIndent(s.results, "", "  ")
		if err == nil {
			err = os.WriteFile(*out, append(data, '\n'), 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	failed := s.count("FAIL")
	fmt.Printf("%d passed, %d failed, %d skipped\n", s.count("ok"), failed, s.count("-")+s.count("apache"))
	if failed > 0 || s.count("ok") == 0 {
		return 1
	}
	if !*keep {
		os.RemoveAll(dir)
	}
	return 0
}

// extras are the peers that are not behind the line protocol.
var extras = []string{"2015", "tools-3.9.2", "tools-4.3.1"}

func wanted(names string) func(name string) bool {
	if names == "" {
		return func(string) bool { return true }
	}
	prefixes := strings.Split(names, ",")
	return func(name string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
}
