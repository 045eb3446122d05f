// Command flood has thousands of strangers bother the TLS and SASL listeners of a broker
// while others, who have logged in, produce, and shows what is left of their throughput.
//
//	go run ./tests/flood
//	go run ./tests/flood -broker apache-3.9.2
//
// The strangers are a process of their own, from addresses of their own. They share the
// machine with the broker, as a real attacker does not: so they run only when nobody else
// wants a processor, and open only so many connections a second. How many they did open,
// and what they cost, is in the table.
//
// It fails, for Barnabas, if the clients keep less than -keep of their throughput, one of
// their requests fails, the broker's memory grows past -memory, or descriptors are left
// once the strangers are gone.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/auth/tlsconf"
	"github.com/barnabas-broker/barnabas/tests/bench/procfs"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// options are what the command line says.
type options struct {
	broker      string
	connections int
	rate        int
	clients     int
	measure     time.Duration
	rounds      int
	only        string
	keep        float64
	memoryMB    float64
}

func main() {
	var o options
	flag.StringVar(&o.broker, "broker", "barnabas", "barnabas, apache-3.9.2 or apache-4.3.1")
	flag.IntVar(&o.connections, "connections", 5000, "how many strangers there are at a time")
	flag.IntVar(&o.rate, "rate", 500, "how many connections they open a second; those that the broker has closed they open again")
	flag.IntVar(&o.clients, "clients", 8, "how many clients have logged in, half of them over TLS")
	flag.DurationVar(&o.measure, "measure", 5*time.Second, "how long each figure is measured")
	flag.IntVar(&o.rounds, "rounds", 3, "how often; the round in which the clients kept the middle part of their throughput is shown")
	flag.StringVar(&o.only, "only", "", "one of: garbage, slow bytes, huge lengths, all of it")
	flag.Float64Var(&o.keep, "keep", 0.8, "the part of their throughput that clients must keep")
	flag.Float64Var(&o.memoryMB, "memory", 128, "how many MB the broker may grow by")
	attack := flag.String("attack", "", "be the strangers: what they do, and the addresses of the listeners without and with TLS")
	flag.Parse()
	if *attack != "" {
		if err := beStrangers(strings.Split(*attack, ","), o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "barnabas-flood-")
	if err == nil {
		err = run(o, dir)
	}
	if err != nil {
		fmt.Printf("FAIL: %v\ndirectory %s\n", err, dir)
		os.Exit(1)
	}
	os.RemoveAll(dir)
}

const jaas = `org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="secret" user_alice="secret";`

// target is a broker with a listener of each kind.
type target struct {
	*peers.Broker
	plaintext, encrypted string
	ca                   []byte
}

func start(o options, dir string) (*target, error) {
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		return nil, err
	}
	ports, err := peers.FreePorts(3)
	if err != nil {
		return nil, err
	}
	ca, err := tlsconf.NewDevCA("flood", nil)
	if err != nil {
		return nil, err
	}
	pair, err := ca.Issue(tlsconf.DevCertificate{CommonName: "broker", Hosts: []string{"127.0.0.1"}, Server: true})
	if err != nil {
		return nil, err
	}
	t := &target{plaintext: fmt.Sprintf("127.0.0.1:%d", ports[0]), encrypted: fmt.Sprintf("127.0.0.1:%d", ports[1]), ca: ca.Certificate()}
	for name, data := range map[string][]byte{"key.pem": pair.Joined(), "ca.pem": t.ca} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, err
		}
	}
	listeners := "SASL_PLAINTEXT://" + t.plaintext + ",SASL_SSL://" + t.encrypted
	config := map[string]string{
		"advertised.listeners": listeners, "listeners": listeners,
		"security.inter.broker.protocol": "SASL_PLAINTEXT", "sasl.mechanism.inter.broker.protocol": "PLAIN", "sasl.enabled.mechanisms": "PLAIN",
		"listener.name.sasl_plaintext.plain.sasl.jaas.config": jaas, "listener.name.sasl_ssl.plain.sasl.jaas.config": jaas,
		"ssl.keystore.type": "PEM", "ssl.keystore.location": filepath.Join(dir, "key.pem"),
		"ssl.truststore.type": "PEM", "ssl.truststore.location": filepath.Join(dir, "ca.pem"),
		// What they produce goes again at once. Otherwise the page cache grows all along, and
		// how long a page takes depends on where the machine has it from.
		"log.segment.bytes": "16777216", "log.retention.bytes": "33554432", "log.retention.check.interval.ms": "1000", "log.segment.delete.delay.ms": "1000",
	}
	kind := peers.Kind(o.broker)
	if kind.IsApache() {
		config["listeners"] += fmt.Sprintf(",CONTROLLER://127.0.0.1:%d", ports[2])
		config["controller.quorum.voters"] = fmt.Sprintf("1@127.0.0.1:%d", ports[2])
		config["listener.security.protocol.map"] = "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT"
	}
	t.Broker, err = cache.StartBroker(kind, peers.BrokerOptions{Dir: filepath.Join(dir, "broker"), Port: ports[0], Config: config})
	return t, err
}

func run(o options, dir string) error {
	t, err := start(o, dir)
	if err != nil {
		return err
	}
	defer t.Close()
	load, err := newLoad(t, o.clients)
	if err != nil {
		return err
	}
	defer load.stop()
	time.Sleep(3 * time.Second) // to warm up
	fmt.Printf("%s; %d clients that have logged in, half of them over TLS, each produce one record of 1 KiB after the other.\n", o.broker, o.clients)
	fmt.Printf("%d strangers from ten addresses, half of them at the TLS listener, open at most %d connections a second, when nobody else wants a processor.\n\n", o.connections, o.rate)
	line := "%-14s %8s %8s %8s %6s %8s %8s %9s %9s %8s %8s %9s %8s %8s %8s\n"
	fmt.Printf(line, "strangers", "req/s", "req/s", "req/s", "kept", "µs/req", "µs/req", "p99", "p99", "RSS MB", "RSS MB", "strangers", "opened", "broker", "their")
	fmt.Printf(line, "", "before", "during", "after", "", "before", "during", "before", "during", "before", "highest", "held open", "a second", "CPU", "CPU")
	failed := ""
	for _, what := range []string{"garbage", "slow bytes", "huge lengths", "all of it"} {
		if o.only != "" && o.only != what {
			continue
		}
		var rounds []round
		for range o.rounds {
			r, err := one(o, t, load, what)
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			rounds = append(rounds, r)
			if bad := r.bad(o); bad != "" {
				failed += what + ": " + bad + "; "
			}
		}
		slices.SortFunc(rounds, func(x, y round) int { return cmp.Compare(x.kept(), y.kept()) })
		r := &rounds[len(rounds)/2]
		fmt.Printf(line, what, whole(r.alone.perSecond()), whole(r.during.perSecond()), whole(r.after.perSecond()), whole(100*r.kept())+"%",
			tenth(r.costAlone), tenth(r.cost), r.alone.quantile(0.99).String(), r.during.quantile(0.99).String(), tenth(r.memory), tenth(r.highest), strconv.Itoa(r.held), whole(r.opened),
			fmt.Sprintf("%.2f", r.cpu), fmt.Sprintf("%.2f", r.theirs))
		if r.kept() < o.keep {
			failed += fmt.Sprintf("%s: the clients kept %.0f%% of their throughput; ", what, 100*r.kept())
		}
	}
	fmt.Printf("\ntargets: kept at least %.0f%%; RSS during at most %.0f MB above before; no request of a client fails; no descriptor is left\n", 100*o.keep, o.memoryMB)
	if failed != "" && !t.Kind.IsApache() {
		return fmt.Errorf("%s", failed)
	}
	return nil
}

// round is one measurement.
type round struct {
	alone, during, after seen
	costAlone, cost      float64 // of the broker's processor time, in µs for one request
	memory, highest      float64 // MB
	held                 int     // strangers that the broker had open at a time
	left                 int     // descriptors, once they were gone
	cpu, theirs          float64 // processors
	opened               float64 // connections a second
}

func (r *round) kept() float64 {
	return r.during.perSecond() / ((r.alone.perSecond() + r.after.perSecond()) / 2)
}

// bad is what may not be so in any round.
func (r *round) bad(o options) string {
	switch {
	case r.highest-r.memory > o.memoryMB:
		return fmt.Sprintf("the broker grew by %.0f MB", r.highest-r.memory)
	case r.left > 50:
		return fmt.Sprintf("%d descriptors are left", r.left)
	}
	return ""
}

// one measures before, during and after.
func one(o options, t *target, load *load, what string) (r round, err error) {
	sample := func(pid int) (s procfs.Sample) {
		if err == nil {
			s, err = procfs.Read(pid)
		}
		return s
	}
	cpu := func(from, to procfs.Sample) float64 { return float64(to.CPU-from.CPU) / float64(to.At.Sub(from.At)) }
	load.take()
	idle := sample(t.Pid)
	time.Sleep(o.measure)
	r.alone = load.take()
	before := sample(t.Pid)
	r.costAlone = cpu(idle, before) * 1e6 / r.alone.perSecond()
	strangers, failed := startStrangers(what, t, o)
	if failed != nil {
		return r, failed
	}
	defer strangers.stop()
	// Until they have all been there once, and are at what they do.
	time.Sleep(time.Duration(o.connections)*time.Second/time.Duration(o.rate) + time.Second)
	load.take()
	from, theirs := sample(t.Pid), sample(strangers.pid())
	highest, opened := from.RSSAnon, strangers.opened.Load()
	for began := time.Now(); time.Since(began) < o.measure; time.Sleep(200 * time.Millisecond) {
		s := sample(t.Pid)
		highest, r.held = max(highest, s.RSSAnon), max(r.held, s.OpenFiles-before.OpenFiles)
	}
	r.during = load.take()
	r.opened = float64(strangers.opened.Load()-opened) / r.during.over.Seconds()
	to := sample(t.Pid)
	r.cpu, r.theirs = cpu(from, to), cpu(theirs, sample(strangers.pid()))
	r.cost = r.cpu * 1e6 / r.during.perSecond()
	r.memory, r.highest = mb(before.RSSAnon), mb(highest)
	strangers.stop()
	time.Sleep(time.Second)
	load.take()
	time.Sleep(o.measure)
	r.after = load.take()
	for range 200 {
		if r.left = sample(t.Pid).OpenFiles - before.OpenFiles; r.left <= 10 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if failed := load.failure(); failed != nil && err == nil {
		err = fmt.Errorf("a client that has logged in: %w", failed)
	}
	return r, err
}

func mb(n int64) float64 { return float64(n) / (1 << 20) }

func whole(f float64) string { return fmt.Sprintf("%.0f", f) }

func tenth(f float64) string { return fmt.Sprintf("%.1f", f) }
