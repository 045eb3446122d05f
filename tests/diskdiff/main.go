// Command diskdiff sends the same requests, byte for byte, to Apache Kafka 3.9.2 and to
// Barnabas, and compares what they leave on disk: segments, indexes, producer snapshots,
// leader epochs and checkpoints after a clean stop, byte for byte; then, started again with
// a cleaner and retention, every record that compaction and retention leave, and where the
// segments begin. A difference is a failure unless explained.go explains it.
//
//	go run ./tests/diskdiff
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

const patience = time.Minute

func main() {
	keep := flag.Bool("keep", false, "keep the directories also when all is well")
	flag.Parse()
	failed, err := run(*keep)
	if err != nil {
		fmt.Fprintln(os.Stderr, "diskdiff:", err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// left is what a broker leaves.
type left struct {
	dir     string // the data directory after the first clean stop
	records map[string]*partitionLeft
}

func run(keep bool) (failed int, err error) {
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "barnabas-diskdiff-")
	if err != nil {
		return 0, err
	}
	script := newScript(time.Now().UnixMilli())
	var sides [2]*left
	for i, kind := range []peers.Kind{peers.Apache39, peers.Barnabas} {
		began := time.Now()
		if sides[i], err = fill(cache, kind, filepath.Join(dir, string(kind)), script); err != nil {
			return 0, fmt.Errorf("%s: %w; see %s", kind, err, dir)
		}
		fmt.Printf("%-14s %d requests, %d topics, %.0f s\n", kind, script.count, len(script.topics), time.Since(began).Seconds())
	}
	d := &differ{apache: sides[0], ours: sides[1]}
	d.files()
	d.records()
	d.cleaned(script)
	fmt.Printf("\n| compared | same | explained | different |\n|---|---|---|---|\n")
	for _, kind := range slices.Sorted(maps.Keys(d.counts)) {
		c := d.counts[kind]
		fmt.Printf("| %s | %d | %d | %d |\n", kind, c.same, c.explained, c.different)
		failed += c.different
	}
	for _, e := range slices.Sorted(maps.Keys(d.used)) {
		fmt.Printf("explained, %d times: %s\n", d.used[e], e)
	}
	fmt.Printf("%d differences\n", failed)
	if failed > 0 || keep {
		fmt.Println("directory", dir)
		return failed, nil
	}
	return failed, os.RemoveAll(dir)
}

// fill runs the script on one broker, twice: with everything at rest, and with a cleaner.
func fill(cache *peers.Cache, kind peers.Kind, dir string, script *script) (*left, error) {
	still := map[string]string{
		"log.cleaner.enable": "false", "log.retention.check.interval.ms": "3600000", "log.retention.hours": "-1",
		"log.segment.delete.delay.ms": "100", "auto.create.topics.enable": "false", "offsets.topic.num.partitions": "1",
		"log.index.interval.bytes": "1024", "barnabas.admin.listener": "", "log.roll.jitter.ms": "0",
	}
	b, err := cache.StartBroker(kind, peers.BrokerOptions{Dir: dir, Config: still})
	if err != nil {
		return nil, err
	}
	defer func() { b.Close() }()
	if err := script.send(b.Addr); err != nil {
		return nil, err
	}
	if err := b.Stop(patience); err != nil {
		return nil, err
	}
	l := &left{dir: filepath.Join(dir, "after-stop")}
	if err := os.CopyFS(l.dir, os.DirFS(b.DataDir)); err != nil {
		return nil, err
	}
	busy := maps.Clone(still)
	maps.Copy(busy, map[string]string{"log.cleaner.enable": "true", "log.cleaner.backoff.ms": "200",
		"log.cleaner.min.cleanable.ratio": "0.01", "log.retention.check.interval.ms": "500", "log.initial.task.delay.ms": "500"})
	if b, err = cache.StartBroker(kind, peers.BrokerOptions{Dir: dir, Config: busy}); err != nil {
		return nil, err
	}
	l.records, err = script.settle(b.Addr, b.DataDir)
	return l, err
}
