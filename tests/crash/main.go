// Command crash kills a broker with SIGKILL at random moments under load, again and again,
// and holds what is left against what was acknowledged.
//
//	go run ./tests/crash                    50 kills
//	go run ./tests/crash -n 5               a sample
//	go run ./tests/crash -seed 7            the same moments and the same garbage again
//	go run ./tests/crash -broker apache-3.9.2
//
// What must hold after every restart, and of the whole log at the end:
//
//   - each acknowledged record lies at the offset it was acknowledged with, for acks=1 and
//     acks=all: the operating system lives on, so what was written stays written;
//   - each record that a consumer has seen is still there, at its offset;
//   - an idempotent producer's records are there once each, in the order they were sent,
//     without a gap, over all restarts; so are those of producers that began after one,
//     whose ids must be new;
//   - another producer's records may be there twice, since it sends again, but the first of
//     each are in order;
//   - a committed group offset does not go back.
//
// In a third of the kills, the tails of some segments get garbage appended, as a write cut
// short would leave it.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

func main() {
	var (
		kills   = flag.Int("n", 50, "how often to kill the broker")
		seed    = flag.Int64("seed", time.Now().UnixNano()%1_000_000, "of the random moments")
		kind    = flag.String("broker", "barnabas", "barnabas, apache-3.9.2 or apache-4.3.1")
		keep    = flag.Bool("keep", false, "keep the broker's directory also when all is well")
		longest = flag.Duration("longest", 1500*time.Millisecond, "the longest time of load before a kill")
	)
	flag.Parse()
	dir, err := os.MkdirTemp("", "barnabas-crash-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Printf("%s, %d kills, seed %d, directory %s\n", *kind, *kills, *seed, dir)
	h := &harness{kind: peers.Kind(*kind), dir: dir, random: rand.New(rand.NewSource(*seed)), longest: *longest}
	err = h.run(context.Background(), *kills)
	h.close()
	if err != nil {
		fmt.Printf("FAIL: %v\nseed %d, directory %s\n0 passed, 1 failed\n", err, *seed, dir)
		os.Exit(1)
	}
	slices.Sort(h.backAfter)
	fmt.Printf("%d kills: %d records acknowledged, %d read; first acknowledgement after a restart: median %v, longest %v\n1 passed, 0 failed\n",
		*kills, h.ledger.ackedCount(), h.readCount, h.backAfter[len(h.backAfter)/2].Round(time.Millisecond),
		h.backAfter[len(h.backAfter)-1].Round(time.Millisecond))
	if !*keep {
		os.RemoveAll(dir)
	}
}

// brokerConfig makes segments small, so that kills meet rolls, snapshots and retention's
// surroundings too.
func brokerConfig() map[string]string {
	return map[string]string{
		"num.partitions":                          "2",
		"log.segment.bytes":                       "1048576",
		"log.index.interval.bytes":                "4096",
		"log.flush.offset.checkpoint.interval.ms": "500",
	}
}

// tearTails appends garbage to the newest segment of some partitions, between a kill and
// the start after it.
func tearTails(dataDir string, random *rand.Rand) (count int, err error) {
	logs, err := filepath.Glob(filepath.Join(dataDir, "crash-*", "*.log"))
	if err != nil {
		return 0, err
	}
	newest := map[string]string{}
	for _, path := range logs { // sorted, so the last of each folder is the newest
		newest[filepath.Dir(path)] = path
	}
	var folders []string
	for folder := range newest {
		folders = append(folders, folder)
	}
	slices.Sort(folders)
	for _, folder := range folders {
		if random.Intn(2) == 0 {
			continue
		}
		if err := tear(newest[folder], random); err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}

func tear(path string, random *rand.Rand) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, 2)
	if err != nil {
		return err
	}
	garbage := make([]byte, 1+random.Intn(2000))
	random.Read(garbage)
	if random.Intn(2) == 0 && size > 0 {
		// The beginning of a batch that looks right: a copy of the first one's.
		garbage = garbage[:min(len(garbage), 61+random.Intn(100))]
		f.ReadAt(garbage, 0)
	}
	_, err = f.WriteAt(garbage, size)
	return err
}
