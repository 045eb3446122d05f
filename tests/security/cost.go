package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-broker/barnabas/tests/bench/procfs"
	"github.com/barnabas-broker/barnabas/tests/bench/replay"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// cost measures what security costs a broker's processor: ten thousand ACLs under
// one-record produces, beside a broker without an authorizer; and TLS by the byte, beside
// Apache Kafka. All brokers of a comparison run at once and are loaded in turn, so that the
// machine's moods meet all of them; the medians of the rounds are printed.
type cost struct {
	cache   *peers.Cache
	dir     string
	rounds  int
	measure time.Duration
	keys    *keys
	tls     *tls.Config
}

// costBroker is one broker under measurement.
type costBroker struct {
	*peers.Broker
	tlsAddr string
	figures map[string][]float64
}

func (c *cost) start(kind peers.Kind, name string, config map[string]string) (*costBroker, error) {
	ports, err := peers.FreePorts(3)
	if err != nil {
		return nil, err
	}
	all := map[string]string{"num.partitions": "1", "log.segment.delete.delay.ms": "1000",
		"listeners":                      fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,SSL://127.0.0.1:%d", ports[0], ports[1]),
		"advertised.listeners":           fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,SSL://127.0.0.1:%d", ports[0], ports[1]),
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT",
		"ssl.keystore.type":              "PKCS12", "ssl.keystore.location": c.keys.path("broker.p12"), "ssl.keystore.password": storePassword, "ssl.key.password": storePassword,
		"ssl.truststore.type": "PKCS12", "ssl.truststore.location": c.keys.path("trust.p12"), "ssl.truststore.password": storePassword}
	if kind.IsApache() {
		all["listeners"] += fmt.Sprintf(",CONTROLLER://127.0.0.1:%d", ports[2])
		all["controller.quorum.voters"] = fmt.Sprintf("1@127.0.0.1:%d", ports[2])
	} else {
		all["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,SSL:SSL"
	}
	for k, v := range config {
		all[k] = v
	}
	b, err := c.cache.StartBroker(kind, peers.BrokerOptions{Dir: filepath.Join(c.dir, name), Port: ports[0], Config: all})
	if err != nil {
		return nil, err
	}
	return &costBroker{Broker: b, tlsAddr: fmt.Sprintf("127.0.0.1:%d", ports[1]), figures: map[string][]float64{}}, nil
}

// topic makes a topic on a broker.
func (b *costBroker) topic(name string, partitions int) error {
	conn, err := replay.Dial(b.Addr, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	return errors.Join(conn.CreateTopic(name, int32(partitions), nil, patience), conn.WaitLed(name, partitions, patience))
}

// deleteTopic deletes a topic and waits until its files are gone too, after log.segment.delete.delay.ms.
func (b *costBroker) deleteTopic(name string) error {
	conn, err := replay.Dial(b.Addr, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.DeleteTopic(name, patience); err != nil {
		return err
	}
	for range 100 {
		if left, _ := filepath.Glob(filepath.Join(b.DataDir, name+"*")); len(left) == 0 {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil // it only takes room
}

// used is the processor time of a broker while something runs.
func (b *costBroker) used(load func() (replay.Stats, error)) (replay.Stats, time.Duration, time.Duration, error) {
	before, err := procfs.Read(b.Pid)
	if err != nil {
		return replay.Stats{}, 0, 0, err
	}
	stats, err := load()
	if err != nil {
		return stats, 0, 0, err
	}
	after, err := procfs.Read(b.Pid)
	return stats, after.CPU - before.CPU, after.User - before.User, err
}

func (c *cost) run(ctx context.Context, apache bool) error {
	var err error
	if c.keys, err = newKeys(filepath.Join(c.dir, "keys")); err != nil {
		return err
	}
	if err := errors.Join(c.cache.KeyTools(), c.keys.materials([]string{"client"})); err != nil {
		return err
	}
	// The same suite for all: AES-128-GCM, as TLS 1.3 has it.
	c.tls = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13} // what is verified costs the client, and nothing here
	if err := c.acls(ctx); err != nil {
		return fmt.Errorf("ACLs: %w", err)
	}
	if err := c.encryption(ctx, apache); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	return nil
}

// aclTarget is by how much ten thousand ACLs may make a one-record produce dearer.
const aclTarget = 0.02

// aclLoads are one-record produces in two ways: one request at a time, and pipelined, where
// all else of a request costs least.
var aclLoads = []struct {
	name                  string
	connections, inFlight int
}{
	{"16 connections, one request at a time", 16, 1},
	{"16 connections, five requests at a time", 16, 5},
}

// acls tells what ten thousand ACLs add to a one-record produce, in two ways, since what is
// judged is smaller than what two equal processes differ by.
//
// What the ACLs add is measured by a benchmark of the broker in one process, to some
// nanoseconds (BenchmarkProduceWithACLs), and what a whole request costs of a whole broker
// and its kernel by real brokers without ACLs under load. The one divided by the other is
// judged.
//
// Real brokers with ACLs and without are compared besides. There are several trios of them,
// one with ACLs and two without; each trio is loaded in turns that are short and many; a
// turn's figure is its ratio to the first broker without; and the two without beside each
// other show what is mere chance. This is judged where it is certain.
func (c *cost) acls(ctx context.Context) error {
	const trios = 3
	added, err := c.addedByACLs(ctx)
	if err != nil {
		return err
	}
	ratios := map[string][]float64{}
	plain := map[string][]float64{}
	for trio := range trios {
		if err := c.aclTrio(ctx, trio, ratios, plain); err != nil {
			return err
		}
	}
	fmt.Printf("10,000 ACLs and one-record produces: processor time of the broker for one request. Medians, and what they lie between with 95 %% certainty.\n")
	fmt.Printf("%-42s %10s %26s %24s | %26s %26s\n", "", "a request", "10,000 ACLs", "which is", "broker with ACLs beside", "and a second one without")
	fmt.Printf("%-42s %10s %26s %24s | %26s %26s\n", "", "without", "add, in one process", "", "one without", "beside the first")
	failed := false
	for _, l := range aclLoads {
		whole := median(plain[l.name]) * 1000
		ns := added[l.inFlight]
		show := func(kind string) string {
			all := ratios[l.name+kind]
			low, high := bounds(all)
			return fmt.Sprintf("%+.1f %% (%+.1f to %+.1f)", 100*(median(all)-1), 100*(low-1), 100*(high-1))
		}
		fmt.Printf("%-42s %7.2f µs %26s %24s | %26s %26s\n", l.name, whole/1000, fmt.Sprintf("%.0f ns (%.0f to %.0f)", ns[0], ns[1], ns[2]),
			fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*ns[0]/whole, 100*ns[1]/whole, 100*ns[2]/whole), show("with"), show("again"))
		low, _ := bounds(ratios[l.name+"with"])
		_, chance := bounds(ratios[l.name+"again"])
		if ns[0]/whole > aclTarget || low-1 > aclTarget && low > chance {
			failed = true
		}
	}
	fmt.Printf("target: at most %.0f %% (%d rounds with each of %d trios of brokers)\n\n", 100*aclTarget, c.rounds*2, trios)
	if failed {
		return fmt.Errorf("10,000 ACLs cost more than %.0f %%", 100*aclTarget)
	}
	return nil
}

// addedByACLs runs the broker's own benchmark and returns, by requests at a time, the median
// of what ACLs add in nanoseconds, and its bounds.
func (c *cost) addedByACLs(ctx context.Context) (map[int][3]float64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "./broker", "-run", "^$", "-bench", "ProduceWithACLs", "-benchtime", fmt.Sprintf("%dx", 100*c.rounds))
	cmd.Dir = c.cache.Root
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go test -bench ProduceWithACLs: %w\n%s", err, out)
	}
	added := map[int][3]float64{}
	for line := range strings.Lines(string(out)) {
		_, rest, ok := strings.Cut(line, "/pipeline=")
		if !ok {
			continue
		}
		pipeline, err := strconv.Atoi(rest[:1])
		if err != nil {
			return nil, err
		}
		var ns [3]float64
		words := strings.Fields(line)
		for i, unit := range words {
			if at := slices.Index([]string{"ns-more", "ns-more-at-least", "ns-more-at-most"}, unit); at >= 0 {
				if ns[at], err = strconv.ParseFloat(words[i-1], 64); err != nil {
					return nil, err
				}
			}
		}
		added[pipeline] = ns
	}
	for _, l := range aclLoads {
		if added[l.inFlight][2] == 0 {
			return nil, fmt.Errorf("the benchmark says nothing of %d requests at a time:\n%s", l.inFlight, out)
		}
	}
	return added, nil
}

// aclTrio measures one trio of brokers.
func (c *cost) aclTrio(ctx context.Context, trio int, ratios, plain map[string][]float64) error {
	names := []string{"without", "with", "again"}
	var brokers []*costBroker
	for _, name := range names {
		var config map[string]string
		if name == "with" {
			config = map[string]string{"super.users": "User:admin",
				"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found": "true"}
		}
		b, err := c.start(peers.Barnabas, fmt.Sprintf("%s-%d", name, trio), config)
		if err != nil {
			return err
		}
		defer b.Close()
		if err := b.topic("load", 4); err != nil {
			return err
		}
		if name == "with" {
			if err := manyACLs(ctx, b.Addr, 10_000); err != nil {
				return err
			}
		}
		brokers = append(brokers, b)
	}
	turn := c.measure / 4
	for round := range 2*c.rounds + 1 { // the first warms up
		for _, l := range aclLoads {
			var total [3]float64
			for i := range brokers {
				at := (i + round) % 3
				if round/3%2 == 1 { // and the other way round
					at = (2 - i + round) % 3
				}
				stats, cpu, _, err := brokers[at].used(func() (replay.Stats, error) {
					return replay.Produce(ctx, replay.Load{Addr: brokers[at].Addr, Topic: "load", Partitions: 4, Connections: l.connections, InFlight: l.inFlight,
						Records: 1, RecordSize: 100, Acks: 1, Duration: turn})
				})
				if err != nil {
					return err
				}
				total[at] = cpu.Seconds() / float64(stats.Requests)
			}
			if round == 0 {
				continue
			}
			plain[l.name] = append(plain[l.name], total[0]*1e6)
			ratios[l.name+"with"] = append(ratios[l.name+"with"], total[1]/total[0])
			ratios[l.name+"again"] = append(ratios[l.name+"again"], total[2]/total[0])
		}
	}
	return nil
}

// bounds are those of the median with 95 % certainty: the two values that are as far from the
// middle as the heads of so many tosses of a coin are.
func bounds(all []float64) (low, high float64) {
	s := slices.Sorted(slices.Values(all))
	if len(s) == 0 {
		return 0, 0
	}
	off := int(math.Ceil(0.98 * math.Sqrt(float64(len(s)))))
	return s[max(len(s)/2-off, 0)], s[min((len(s)-1)/2+off, len(s)-1)]
}

// manyACLs adds ACLs of other topics, and one that lets ANONYMOUS write to the load's.
func manyACLs(ctx context.Context, addr string, count int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	create := func(b *kadm.ACLBuilder) error {
		results, err := adm.CreateACLs(ctx, b)
		for _, r := range results {
			err = errors.Join(err, r.Err)
		}
		return err
	}
	// The load's own first: once there are others, who has none is refused.
	if err := create(kadm.NewACLs().Allow("User:ANONYMOUS").AllowHosts("*").Topics("load").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpAll)); err != nil {
		return err
	}
	if err := create(kadm.NewACLs().Allow("User:ANONYMOUS").AllowHosts("*").Clusters().Operations(kadm.OpAll)); err != nil {
		return err
	}
	for i := 0; i < count; i += 500 {
		var topics, prefixes []string
		for j := range 250 {
			topics = append(topics, fmt.Sprintf("company.team-%03d.orders-%05d", (i+j)%200, i+j))
			prefixes = append(prefixes, fmt.Sprintf("company.team-%03d.stream-%05d", (i+j)%200, i+j))
		}
		who := fmt.Sprintf("User:service-%04d", i/500)
		for pattern, names := range map[kadm.ACLPattern][]string{kadm.ACLPatternLiteral: topics, kadm.ACLPatternPrefixed: prefixes} {
			if err := create(kadm.NewACLs().Allow(who).AllowHosts("*").Topics(names...).ResourcePatternType(pattern).Operations(kadm.OpWrite)); err != nil {
				return err
			}
		}
	}
	all, err := adm.DescribeACLs(ctx, kadm.NewACLs().AnyResource().Allow().AllowHosts().Deny().DenyHosts().Operations(kadm.OpAny).ResourcePatternType(kadm.ACLPatternAny))
	if err != nil {
		return err
	}
	got := 0
	for _, r := range all {
		got += len(r.Described)
	}
	if got < count {
		return fmt.Errorf("%d ACLs are there, not %d", got, count)
	}
	fmt.Fprintf(os.Stderr, "%d ACLs\n", got)
	return nil
}

// encryption compares TLS with plaintext by the byte, beside Apache Kafka.
func (c *cost) encryption(ctx context.Context, apache bool) error {
	kinds := []peers.Kind{peers.Barnabas}
	if apache {
		kinds = append(kinds, peers.Apache39)
	}
	var brokers []*costBroker
	for _, kind := range kinds {
		b, err := c.start(kind, string(kind), nil)
		if err != nil {
			return err
		}
		defer b.Close()
		brokers = append(brokers, b)
	}
	const records, size = 256, 1024 // a quarter of a megabyte
	warm := c.measure
	if apache {
		warm = max(warm, 15*time.Second) // its compiler
	}
	for round := range c.rounds + 1 {
		for i := range brokers {
			b := brokers[(i+round)%len(brokers)]
			duration := c.measure
			if round == 0 {
				duration = warm
			}
			for _, way := range []string{"plaintext", "TLS"} {
				addr, config := b.Addr, (*tls.Config)(nil)
				if way == "TLS" {
					addr, config = b.tlsAddr, c.tls
				}
				// A topic of its own, or the machine's memory fills with pages, and making room is
				// put down to whoever writes.
				topic := fmt.Sprintf("load-%s-%d", way, round)
				if err := b.topic(topic, 4); err != nil {
					return err
				}
				stats, cpu, user, err := b.used(func() (replay.Stats, error) {
					return replay.Produce(ctx, replay.Load{Addr: addr, TLS: config, Topic: topic, Partitions: 4, Connections: 4, InFlight: 2, Records: records, RecordSize: size, Acks: 1,
						Duration: duration, MaxBytes: 1 << 30})
				})
				if err != nil {
					return fmt.Errorf("produce over %s: %w", way, err)
				}
				b.perByte(round, "produce over "+way, stats, cpu, user)
				stats, cpu, user, err = b.used(func() (replay.Stats, error) {
					return replay.Fetch(ctx, replay.FetchLoad{Addr: addr, TLS: config, Topic: topic, Partitions: 4, Connections: 4, MaxBytes: 1 << 20,
						Step: records * 3, End: records * 12, Duration: duration})
				})
				if err != nil {
					return fmt.Errorf("fetch over %s: %w", way, err)
				}
				b.perByte(round, "fetch over "+way, stats, cpu, user)
				if err := b.deleteTopic(topic); err != nil {
					return err
				}
			}
		}
	}
	fmt.Printf("Broker processor time in seconds a gigabyte (medians of %d rounds, least to most; of that, user time)\n%-24s", c.rounds, "")
	for _, b := range brokers {
		fmt.Printf(" %34s", b.Kind)
	}
	if apache {
		fmt.Printf(" %10s", "of Apache's")
	}
	fmt.Println()
	for _, what := range []string{"produce over plaintext", "produce over TLS", "fetch over plaintext", "fetch over TLS"} {
		fmt.Printf("%-24s", what)
		for _, b := range brokers {
			fmt.Printf(" %34s", fmt.Sprintf("%.2f (%s; %.2f)", median(b.figures[what]), spread(b.figures[what]), median(b.figures[what+", user"])))
		}
		if apache {
			fmt.Printf(" %9.0f %%", 100*median(brokers[0].figures[what])/median(brokers[1].figures[what]))
		}
		fmt.Println()
	}
	return nil
}

func (b *costBroker) perByte(round int, what string, stats replay.Stats, cpu, user time.Duration) {
	if round > 0 {
		gb := float64(stats.Bytes) / 1e9
		b.figures[what] = append(b.figures[what], cpu.Seconds()/gb)
		b.figures[what+", user"] = append(b.figures[what+", user"], user.Seconds()/gb)
	}
}

func median(all []float64) float64 {
	s := slices.Sorted(slices.Values(all))
	if len(s) == 0 {
		return 0
	}
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}

func spread(all []float64) string {
	return fmt.Sprintf("%.2f to %.2f", slices.Min(all), slices.Max(all))
}
