package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

var sprintf = fmt.Sprintf

// options of the command line.
type options struct {
	peers   []peers.Kind
	running map[peers.Kind]string // address of brokers that run already
	filter  *regexp.Regexp
	workers int
	verbose bool
	docs    string
	secured bool
	short   bool
	shrink  int
	each    bool
	slowest int
	golden  string
	generated
}

func main() {
	opts := options{running: map[peers.Kind]string{}}
	kinds := flag.String("peers", "apache-3.9.2,apache-4.3.1", "brokers to compare with")
	filter := flag.String("run", "", "regular expression of the scripts to run")
	flag.IntVar(&opts.workers, "workers", 6, "scripts that run at the same time")
	flag.Uint64Var(&opts.seed, "seed", 1, "seed of the generated requests")
	flag.IntVar(&opts.count, "generate", 0, "generated exchanges for each API and version")
	flag.StringVar(&opts.docs, "docs", "", "file to write the results to, as docs/conformance.md")
	flag.BoolVar(&opts.secured, "secured", false, "play the scripts about principals and ACLs, against brokers with an authorizer")
	flag.BoolVar(&opts.short, "short", false, "play the scripts made by hand in the oldest and the newest version of their API only")
	flag.IntVar(&opts.shrink, "shrink", 10, "differences of generated requests to make small, each of its sort once")
	flag.StringVar(&opts.golden, "golden", filepath.Join("tests", "conformance", "testdata", "golden"), "directory for what is made small")
	flag.BoolVar(&opts.each, "each", false, "print every difference, not one of each sort")
	flag.IntVar(&opts.slowest, "slowest", 0, "print how long so many of the slowest scripts took")
	flag.BoolVar(&opts.verbose, "v", false, "print the transcripts")
	flag.Func("running", "kind=host:port of a broker that runs already, with the same settings; may be given several times", func(s string) error {
		kind, addr, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("no = in %q", s)
		}
		opts.running[peers.Kind(kind)] = addr
		return nil
	})
	flag.Parse()
	for _, k := range strings.Split(*kinds, ",") {
		opts.peers = append(opts.peers, peers.Kind(k))
	}
	var err error
	if opts.filter, err = regexp.Compile(*filter); err == nil {
		err = run(opts)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// settings are the keys of server.properties that all brokers of a run have beyond those of
// tests/peers.
func settings() map[string]string {
	return map[string]string{
		// Records of the scripts are from 2023.
		"log.retention.ms":                          "-1",
		"group.min.session.timeout.ms":              "1000",
		"max.incremental.fetch.session.cache.slots": "20000",
		// A machine that is busy with other things is not a broker that died: Apache's
		// controller would fence it, and its groups and leaders would move.
		"broker.session.timeout.ms": "600000",
	}
}

func (o *options) settings() map[string]string {
	if o.secured {
		return securedSettings()
	}
	return settings()
}

func run(opts options) error {
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		return err
	}
	byHand := scripts
	if opts.secured {
		byHand = securedScripts()
	}
	targets, stop, err := startAll(cache, opts)
	defer stop()
	if err != nil {
		return err
	}
	playings := allPlayings(byHand, opts.filter)
	if opts.short {
		playings = oldestAndNewest(playings, targets[0])
	}
	if !opts.secured {
		playings = append(playings, allPlayings(opts.generated.scripts(), opts.filter)...)
	}
	fmt.Printf("seed %d, %d scripts in all versions\n", opts.seed, len(playings))
	seen := map[peers.Kind]*transcripts{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, target := range targets {
		wg.Go(func() {
			start := time.Now()
			got := playAll(opts, target, playings)
			mu.Lock()
			defer mu.Unlock()
			got.whole = time.Since(start)
			seen[target.kind] = got
			fmt.Printf("%s: %d scripts, %d exchanges, %d of them generated, %v\n", target.kind, len(got.events), got.exchanges(), got.generated(), time.Since(start).Round(time.Millisecond))
			got.printSlowest(opts.slowest)
		})
	}
	wg.Wait()
	shrink := &shrinker{kinds: opts.peers, targets: targets, label: opts.label(), number: len(playings), dir: opts.golden, sent: opts.generated.sent}
	return report(opts, playings, seen, shrink)
}

// label begins all names of a run. The same seed makes the same names: the order in which
// Apache shows what it keeps in hash maps depends on them. Brokers that ran before have
// names of earlier runs already.
func (o *options) label() string {
	n := o.seed
	if len(o.running) > 0 {
		n = uint64(time.Now().UnixMilli())
	}
	const digits = 36 * 36 * 36 * 36 * 36 * 36
	return "c" + strconv.FormatUint(n%digits+digits, 36) // 8 characters, as standInPrefix has
}

// startAll starts the brokers of a run, side by side.
func startAll(cache *peers.Cache, opts options) (targets []*target, stop func(), err error) {
	kinds := append(slices.Clone(opts.peers), peers.Barnabas)
	targets = make([]*target, len(kinds))
	stops, errs := make([]func(), len(kinds)), make([]error, len(kinds))
	var wg sync.WaitGroup
	for i, kind := range kinds {
		wg.Go(func() { targets[i], stops[i], errs[i] = start(cache, opts, kind) })
	}
	wg.Wait()
	stop = func() {
		for _, s := range stops {
			if s != nil {
				s()
			}
		}
	}
	return targets, stop, errors.Join(errs...)
}

func start(cache *peers.Cache, opts options, kind peers.Kind) (*target, func(), error) {
	if addr, saslAddr, _ := strings.Cut(opts.running[kind], ","); addr != "" {
		t, err := newTarget(kind, addr)
		if err == nil {
			t.saslAddr = saslAddr
		}
		return t, nil, err
	}
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return nil, nil, err
	}
	jvm := []string{"-Xms256m", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"} // a run is too short for the second compiler
	options, saslAddr := peers.BrokerOptions{Dir: filepath.Join(dir, "broker"), Config: opts.settings(), JVM: jvm}, ""
	if opts.secured {
		ports, err := peers.FreePorts(1)
		if err != nil {
			return nil, nil, err
		}
		options.SASLPort = ports[0]
		saslAddr = fmt.Sprintf("127.0.0.1:%d", ports[0])
	}
	b, err := cache.StartBroker(kind, options)
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, fmt.Errorf("%s: %w", kind, err)
	}
	stop := func() {
		b.Close()
		os.RemoveAll(dir)
	}
	t, err := newTarget(kind, b.Addr)
	if err == nil {
		t.saslAddr = saslAddr
		if !opts.secured {
			err = t.warmUp()
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", kind, err)
	}
	return t, stop, err
}

// transcripts is what all scripts saw of one broker.
type transcripts struct {
	target *target
	events map[string][]event // by playing
	errs   map[string]error
	took   map[string]time.Duration
	whole  time.Duration
}

// printSlowest prints how long the slowest scripts took.
func (t *transcripts) printSlowest(n int) {
	names := slices.SortedFunc(maps.Keys(t.took), func(a, b string) int { return cmp.Compare(t.took[b], t.took[a]) })
	for _, name := range names[:min(n, len(names))] {
		fmt.Printf("%s: %8v %s\n", t.target.kind, t.took[name].Round(time.Millisecond), name)
	}
}

func (t *transcripts) exchanges() (n int) {
	for _, events := range t.events {
		n += len(events)
	}
	return n
}

// generated is how many of them were of generated requests.
func (t *transcripts) generated() (n int) {
	for name, events := range t.events {
		if strings.HasPrefix(name, "generated: ") {
			n += len(events)
		}
	}
	return n
}

func playAll(opts options, target *target, playings []playing) *transcripts {
	label := opts.label()
	got := &transcripts{target: target, events: map[string][]event{}, errs: map[string]error{}, took: map[string]time.Duration{}}
	var mu sync.Mutex
	one := func(i int) {
		start := time.Now()
		events, err := play(target, playings[i], label, i)
		mu.Lock()
		defer mu.Unlock()
		got.took[playings[i].name()] = time.Since(start)
		got.events[playings[i].name()] = events
		if err != nil {
			got.errs[playings[i].name()] = err
		}
	}
	next := make(chan int, len(playings))
	for i, p := range playings {
		switch {
		case p.script.key >= 0 && !target.serves(p.script.key, p.version):
		case strings.HasPrefix(p.script.name, "alone: "):
			one(i) // it changes what other scripts may see, and changes it back
		default:
			next <- i
		}
	}
	close(next)
	var wg sync.WaitGroup
	for range opts.workers {
		wg.Go(func() {
			for i := range next {
				one(i)
			}
		})
	}
	wg.Wait()
	return got
}

// allPlayings are the scripts in all their versions.
func allPlayings(scripts []script, filter *regexp.Regexp) []playing {
	var all []playing
	for i := range scripts {
		s := &scripts[i]
		if s.key < 0 {
			if p := (playing{s, 0}); filter.MatchString(p.name()) {
				all = append(all, p)
			}
			continue
		}
		api := schema.Lookup(s.key)
		last := api.Max
		if s.max > 0 {
			last = min(last, s.max)
		}
		for v := max(api.Min, s.min); v <= last; v++ {
			if p := (playing{s, v}); filter.MatchString(p.name()) {
				all = append(all, p)
			}
		}
	}
	return all
}

// oldestAndNewest leaves of each script the first and the last version that a broker
// serves.
func oldestAndNewest(all []playing, target *target) (some []playing) {
	all = slices.DeleteFunc(all, func(p playing) bool { return p.script.key >= 0 && !target.serves(p.script.key, p.version) })
	for i, p := range all {
		first := i == 0 || all[i-1].script != p.script
		last := i == len(all)-1 || all[i+1].script != p.script
		if first || last {
			some = append(some, p)
		}
	}
	return some
}
