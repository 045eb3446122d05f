// Command suites runs the test suites of other Kafka clients, as their authors wrote
// them, against a broker. It prints one table, the reason of every test that did not
// pass, and exits with 1 if a test failed that is not on the list of its suite.
//
//	go run ./tests/suites                         all suites against Barnabas
//	go run ./tests/suites -suites kgo,kafka-go    some of them
//	go run ./tests/suites -suites kgo -short      the sample of CI
//	go run ./tests/suites -run TestConn           only tests whose name matches
//	go run ./tests/suites -listed                 the listed tests too
//	go run ./tests/suites -broker apache-3.9.2    against Apache Kafka, to prove the suites
//
// The lists beside this file, <suite>.txt, name the tests that cannot pass yet, each with
// the reason. Such a test is not run, unless -listed says so; then a listed test that
// passes is pointed out, so that its line can go. What failed of librdkafka's tests, some
// of which measure time, runs a second time alone; the table says so.
//
// kafka-go's insists on port 9092. So with it everything runs in a network of its own,
// where all ports are free: a network namespace of the kernel, in a user namespace if we
// are not root. The suites come from package registries into BARNABAS_CACHE (see tests/peers).
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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
		names  = flag.String("suites", "", "suites to run, parted by commas; all by default: kgo, kafka-go, kafka-python, librdkafka")
		match  = flag.String("run", "", "only tests whose name matches this regular expression")
		listed = flag.Bool("listed", false, "also run the tests that are listed as not able to pass")
		short  = flag.Bool("short", false, "fewer records where a suite lets one choose")
		keep   = flag.Bool("keep", false, "keep the directory with all logs also if nothing failed")
	)
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "no arguments besides flags; see -help")
		return 2
	}
	wanted, err := regexp.Compile(*match)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	var selected []*suite
	for _, s := range allSuites() {
		if *names == "" || slices.Contains(strings.Split(*names, ","), s.name) {
			selected = append(selected, s)
		}
	}
	if len(selected) == 0 {
		fmt.Fprintf(os.Stderr, "no suite among %q\n", *names)
		return 2
	}
	if insideNetwork() {
		err = bringUpLoopback()
	} else {
		// Here the registries can be reached, inside they cannot.
		err = install(cache, peers.Kind(*kind), selected)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if !insideNetwork() && slices.ContainsFunc(selected, func(s *suite) bool { return s.port != 0 }) {
		return runInsideNetwork()
	}
	dir, err := os.MkdirTemp("", "barnabas-suites-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	r := &runner{cache: cache, kind: peers.Kind(*kind), dir: dir, wanted: wanted, withListed: *listed, short: *short}
	fmt.Fprintf(os.Stderr, "%s, logs in %s\n", r.kind, dir)
	var outcomes []*outcome
	for _, s := range selected {
		o, err := r.run(s)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", s.name, err)
			return 2
		}
		outcomes = append(outcomes, o)
	}
	if ok := printOutcomes(os.Stdout, outcomes); !ok {
		fmt.Println("logs in", dir)
		return 1
	}
	if !*keep {
		os.RemoveAll(dir)
	}
	return 0
}

// install fetches and builds all that the suites need.
func install(cache *peers.Cache, kind peers.Kind, suites []*suite) error {
	var err error
	if kind.IsApache() {
		_, err = cache.Jars(kind.Version())
	} else {
		_, err = cache.Barnabas()
	}
	if err != nil {
		return err
	}
	for _, s := range suites {
		if _, err := s.install(cache); err != nil {
			return err
		}
	}
	return nil
}

// runner runs suites one after the other, each against a broker of its own.
type runner struct {
	cache      *peers.Cache
	kind       peers.Kind
	dir        string
	wanted     *regexp.Regexp
	withListed bool
	short      bool
}

// job is one run of one suite.
type job struct {
	*runner
	suite    *suite
	dir      string // for logs
	brokers  []*peers.Broker
	addr     string // of the first broker
	saslPort int    // of the first broker, if the suite wants one
	program  program
	skip     map[string]bool // tests not to run
}

func (r *runner) run(s *suite) (*outcome, error) {
	list := map[string]string{} // against Apache Kafka nothing is excused
	var err error
	if !r.kind.IsApache() {
		if list, err = readList(filepath.Join(r.cache.Root, "tests/suites", s.name+".txt")); err != nil {
			return nil, err
		}
	}
	p, err := s.install(r.cache)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(r.dir, s.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	j := &job{runner: r, suite: s, dir: dir, program: p, skip: map[string]bool{}}
	lanes := max(1, s.lanes)
	if r.kind.IsApache() {
		lanes = 1 // three of them are much for a small machine
	}
	for lane := range lanes {
		options := peers.BrokerOptions{Dir: filepath.Join(dir, fmt.Sprint("broker-", lane+1)), Port: s.port, SASLPort: s.saslPort, Config: s.config}
		if !r.kind.IsApache() {
			options.Unset = s.unset
		}
		b, err := r.cache.StartBroker(r.kind, options)
		if err != nil {
			return nil, err
		}
		defer b.Close()
		j.brokers = append(j.brokers, b)
	}
	j.addr, j.saslPort = j.brokers[0].Addr, j.brokers[0].Options.SASLPort
	o := &outcome{suite: s, list: list}
	if !r.withListed {
		for name := range list {
			if !strings.Contains(name, "/") {
				j.skip[name] = true
			}
		}
	}
	o.results, err = s.run(j)
	if err != nil {
		return nil, err
	}
	o.complete(j.skip, r.wanted)
	for _, b := range j.brokers {
		select {
		case <-b.Done():
			return nil, fmt.Errorf("the broker ended while the suite ran; see %s", b.LogPath)
		default:
		}
	}
	return o, nil
}
