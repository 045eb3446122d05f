// Command torture damages data directories and looks at what becomes of them. It fills a
// broker with everything that leaves traces on disk (every codec, messages of magic 0 and
// 1, idempotent and transactional producers, compaction, deleted records, committed
// offsets, topics about to be deleted, several segments per partition, two data
// directories), stops it by a clean stop and by kill -9, and then, for each case, damages
// one file of a copy, starts the broker on it, and asserts:
//
//   - The broker does not panic. It starts, or exits with 1 and a line that names the
//     file; only meta.properties, the metadata store and directories that are there twice
//     may keep it from starting.
//   - Every other partition serves exactly its records, groups have their offsets.
//   - The damaged partition serves what lies before the damage, and nothing that was
//     never written to it; or it is offline with a line in the log that names it.
//   - A record appended now gets the next offset, and after another clean stop and start
//     everything is as it was.
//
// It prints a table of kinds of files and damages and how the cases ended, and the cases
// that failed, which -case repeats alone.
//
//	go run ./tests/torture                1,000 cases
//	go run ./tests/torture -n 150         fewer
//	go run ./tests/torture -case 17 -keep one, and its directory
//	go run ./tests/torture -apache 60     compared with what Apache Kafka 3.9.2 makes of them
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

func main() {
	count := flag.Int("n", 1000, "number of cases")
	seed := flag.Int64("seed", 1, "of all that is random")
	only := flag.Int("case", -1, "run this case alone")
	file := flag.String("file", "", "only damage this kind of file")
	keep := flag.Bool("keep", false, "keep all directories")
	apache := flag.Int("apache", 0, "instead, compare so many cases with Apache Kafka")
	scenes := flag.String("scenes", "", "use the scenes in this directory, which is made if missing")
	flag.Parse()
	r := &runner{seed: *seed, keep: *keep}
	if err := r.run(*count, *only, *apache, *file, *scenes); err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(2)
	}
	if r.failed > 0 {
		os.Exit(1)
	}
}

// runner runs the cases and counts how they end.
type runner struct {
	seed   int64
	keep   bool
	cache  *peers.Cache
	dir    string
	scenes []*scene
	pairs  []pair

	mu     sync.Mutex
	table  table
	failed int
}

func (r *runner) run(count, only, apache int, file, scenes string) (err error) {
	if r.cache, err = peers.OpenCache(os.Stderr); err != nil {
		return err
	}
	program, err := r.cache.Barnabas()
	if err != nil {
		return err
	}
	os.Setenv("BARNABAS_PROGRAM", program) // built once
	if r.dir, err = os.MkdirTemp(scratch(), "barnabas-torture-"); err != nil {
		return err
	}
	began := time.Now()
	if apache > 0 {
		err = r.compareWithApache(apache)
		fmt.Printf("%d cases in %.0f s\n", r.table.total(), time.Since(began).Seconds())
		if r.keep || err != nil {
			fmt.Println("directory", r.dir)
			return err
		}
		return os.RemoveAll(r.dir)
	}
	if scenes == "" {
		scenes = filepath.Join(r.dir, "scenes")
	}
	if r.scenes, err = prepare(r.cache, scenes, r.seed); err != nil {
		return fmt.Errorf("prepare in %s: %w", scenes, err)
	}
	r.pairs = pairs(r.seed, file)
	fmt.Printf("seed %d; prepared %d scenes of %d partitions, %d records in %.0f s\n", r.seed, len(r.scenes),
		len(r.scenes[0].truth), r.scenes[0].recordCount(), time.Since(began).Seconds())
	began = time.Now()
	r.table = table{}
	r.runCases(count, only)
	r.table.print(os.Stdout)
	fmt.Printf("%d cases in %.0f s: %d passed, %d failed\n", r.table.total(), time.Since(began).Seconds(), r.table.total()-r.failed, r.failed)
	if r.keep || r.failed > 0 {
		fmt.Println("directory", r.dir)
		return nil
	}
	return os.RemoveAll(r.dir)
}

func (r *runner) runCases(count, only int) {
	if only >= 0 {
		r.runCase(only)
		return
	}
	next := make(chan int)
	var wg sync.WaitGroup
	for range 3 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				r.runCase(i)
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	wg.Wait()
}

// scratch is where cases are played: in memory, if the system has a place for that.
func scratch() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}
