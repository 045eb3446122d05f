// Command bench measures Barnabas and Apache Kafka beside each other in one run and prints
// one table of their figures and ratios.
//
//	go run ./tests/bench                        Apache 3.9.2, Barnabas, and the floor
//	go run ./tests/bench -brokers barnabas      Barnabas alone
//	go run ./tests/bench -rounds 3 -fill 10     three rounds each, 10 GB for the kill -9 restart
//	go run ./tests/bench -only idle,produce-16k some scenarios
//
// The machine's own noise is large: only figures of one run can be compared. With more
// rounds the order of the brokers is turned around in every second one, and the table gives
// the median and the range. What takes minutes and scatters little (many partitions, and
// kill -9) is measured in the first round alone. Nothing here passes or fails.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var (
		brokers    = flag.String("brokers", "apache-3.9.2,barnabas,floor", "what to measure, parted by commas: barnabas, apache-3.9.2, apache-4.3.1, floor, floor-warm")
		rounds     = flag.Int("rounds", 1, "how often to go through all brokers")
		warm       = flag.Duration("warm", 25*time.Second, "load before the first measurement of Apache's brokers, whose compiler needs it; the others get a fifth")
		measure    = flag.Duration("measure", 5*time.Second, "how long each load is measured")
		partitions = flag.Int("partitions", 10_000, "partitions of the scenario with many")
		apacheMany = flag.Int("apache-partitions", 0, "the same for Apache's brokers, if it is less: they refuse 10,000 in one request")
		fill       = flag.Float64("fill", 1, "GB on disk when the broker is killed")
		only       = flag.String("only", "", "scenarios to run, parted by commas; all by default")
		dir        = flag.String("dir", "", "where the brokers keep their data; a new folder in the system's place for temporary files by default")
		out        = flag.String("json", "", "also write all figures to this file")
		list       = flag.Bool("list", false, "list the scenarios and end")
	)
	flag.Parse()
	if *list {
		for _, s := range scenarios {
			fmt.Printf("%-16s %s\n", s.name, s.about)
		}
		return nil
	}
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		return err
	}
	if *dir == "" {
		if *dir, err = os.MkdirTemp("", "barnabas-bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(*dir)
	}
	var wanted []string
	if *only != "" {
		wanted = strings.Split(*only, ",")
	}
	var t table
	for round := range *rounds {
		order := strings.Split(*brokers, ",")
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, name := range order {
			b := &bench{cache: cache, kind: peers.Kind(name), dir: filepath.Join(*dir, fmt.Sprintf("%s-%d", name, round)),
				warm: *warm, measure: *measure, partitions: *partitions, fillBytes: int64(*fill * 1e9), table: &t}
			if !b.kind.IsApache() {
				b.warm /= 5
			} else if *apacheMany > 0 {
				b.partitions = min(b.partitions, *apacheMany)
			}
			fmt.Fprintf(os.Stderr, "round %d: %s\n", round+1, name)
			b.prepare()
			for _, s := range scenarios {
				if wanted != nil && !slices.Contains(wanted, s.name) || b.isFloor() && !s.floor || s.once && round > 0 {
					continue
				}
				start := time.Now()
				if err := s.run(context.Background(), b); err != nil {
					t.fail(string(b.kind), s.name, err)
				}
				fmt.Fprintf(os.Stderr, "  %-16s %5.1f s\n", s.name, time.Since(start).Seconds())
			}
			b.close()
		}
	}
	t.print(os.Stdout)
	if *out == "" {
		return nil
	}
	data, err := json.MarshalIndent(t.figures, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*out, append(data, '\n'), 0o644)
}
