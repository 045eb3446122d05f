// Command kafkadisk proves that our data directories are Apache Kafka's and Apache's are
// ours. It fills a broker with all that leaves traces on disk (every codec, idempotent
// producers, compaction, tombstones, deleted records, committed offsets, topic configs,
// kill -9 under load), stops it, and then
//
//	dump     reads every file with Apache 3.9's DumpLogSegments, and its checks
//	out      opens our directory in Apache 3.9.2 and compares
//	in       opens an Apache 3.9.2 KRaft directory in Barnabas and compares
//	restart  opens our directory in Barnabas again and compares
//
// What is compared: topics, their ids and configs, every record with its offset, key,
// value, headers and timestamp, the log start offsets, the producers' states, and the
// committed offsets of groups.
//
//	go run ./tests/kafkadisk                all of it
//	go run ./tests/kafkadisk -only dump,out
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

const patience = 3 * time.Minute

func main() {
	only := flag.String("only", "restart,dump,out,in", "what to do, parted by commas")
	keep := flag.Bool("keep", false, "keep the directories also when all is well")
	seed := flag.Int64("seed", 1, "of the moments of the kills")
	flag.Parse()
	dir, err := os.MkdirTemp("", "barnabas-kafkadisk-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := &runner{cache: cache, dir: dir, seed: *seed}
	ctx := context.Background()
	wanted := strings.Split(*only, ",")
	r.ours(ctx, wanted)
	if slices.Contains(wanted, "in") {
		r.step("in", func() error { return r.intoBarnabas(ctx) })
	}
	fmt.Printf("%d passed, %d failed\n", r.passed, r.failed)
	if r.failed > 0 {
		fmt.Println("directory", dir)
		os.Exit(1)
	}
	if !*keep {
		os.RemoveAll(dir)
	}
}

// runner goes through the steps and counts how they end.
type runner struct {
	cache          *peers.Cache
	dir            string
	seed           int64
	passed, failed int
}

func (r *runner) step(name string, f func() error) bool {
	start := time.Now()
	err := f()
	if err != nil {
		r.failed++
		fmt.Printf("FAIL %-8s %v\n", name, err)
		return false
	}
	r.passed++
	fmt.Printf("ok   %-8s %.1f s\n", name, time.Since(start).Seconds())
	return true
}

// ours fills a Barnabas broker once, and opens copies of its directory.
func (r *runner) ours(ctx context.Context, wanted []string) {
	if !slices.Contains(wanted, "dump") && !slices.Contains(wanted, "out") && !slices.Contains(wanted, "restart") {
		return
	}
	var before *state
	from := filepath.Join(r.dir, "ours")
	if !r.step("fill", func() (err error) {
		before, err = r.fill(ctx, peers.Barnabas, from)
		return err
	}) {
		return
	}
	if slices.Contains(wanted, "dump") {
		r.step("dump", func() error { return r.dump(filepath.Join(from, "data"), before) })
	}
	if slices.Contains(wanted, "restart") {
		r.step("restart", func() error { return r.reopen(ctx, peers.Barnabas, from, filepath.Join(r.dir, "again"), before) })
	}
	if slices.Contains(wanted, "out") {
		r.step("out", func() error { return r.intoApache(ctx, from, before) })
	}
}

// fill starts a broker, loads it, stops it cleanly, and returns what it held.
func (r *runner) fill(ctx context.Context, kind peers.Kind, dir string) (*state, error) {
	b, err := r.cache.StartBroker(kind, peers.BrokerOptions{Dir: dir, Config: brokerConfig})
	if err != nil {
		return nil, err
	}
	defer func() { b.Close() }()
	if err := load(ctx, b, r.seed); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	r.step("compact", func() error { return compact(ctx, b.Addr) })
	s, err := capture(ctx, b.Addr)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, err)
	}
	return s, b.Stop(patience)
}

// reopen copies the data of a stopped broker, starts one on it, and compares.
func (r *runner) reopen(ctx context.Context, kind peers.Kind, from, to string, before *state) error {
	if err := copyData(from, to); err != nil {
		return err
	}
	b, err := r.cache.StartBroker(kind, peers.BrokerOptions{Dir: to, Config: stillConfig()})
	if err != nil {
		return err
	}
	defer b.Close()
	after, err := capture(ctx, b.Addr)
	if err != nil {
		return fmt.Errorf("read %s: %w", kind, err)
	}
	return before.compare(after)
}

func (r *runner) intoBarnabas(ctx context.Context) error {
	from := filepath.Join(r.dir, "apache")
	before, err := r.fill(ctx, peers.Apache39, from)
	if err != nil {
		return fmt.Errorf("fill Apache: %w", err)
	}
	return r.reopen(ctx, peers.Barnabas, from, filepath.Join(r.dir, "into-barnabas"), before)
}

func copyData(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	return os.CopyFS(filepath.Join(to, "data"), os.DirFS(filepath.Join(from, "data")))
}
