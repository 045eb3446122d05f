package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

// acls compares one-record produces with ten thousand ACLs, and without an authorizer.
func (c *cost) acls(ctx context.Context) error {
	without, err := c.start(peers.Barnabas, "without", nil)
	if err != nil {
		return err
	}
	defer without.Close()
	with, err := c.start(peers.Barnabas, "with", map[string]string{"super.users": "User:admin",
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found": "true"})
	if err != nil {
		return err
	}
	defer with.Close()
	brokers := []*costBroker{without, with}
	for _, b := range brokers {
		if err := b.topic("load", 4); err != nil {
			return err
		}
	}
	if err := manyACLs(ctx, with.Addr, 10_000); err != nil {
		return err
	}
	const name = "one-record produce, 16 connections × 5: cpu µs/request"
	for round := range c.rounds + 1 { // the first warms up
		for i := range brokers {
			b := brokers[(i+round)%2]
			stats, cpu, _, err := b.used(func() (replay.Stats, error) {
				return replay.Produce(ctx, replay.Load{Addr: b.Addr, Topic: "load", Partitions: 4, Connections: 16, InFlight: 5, Records: 1, RecordSize: 100, Acks: 1, Duration: c.measure})
			})
			if err != nil {
				return err
			}
			if round > 0 {
				b.figures[name] = append(b.figures[name], cpu.Seconds()*1e6/float64(stats.Requests))
			}
		}
	}
	a, b := median(without.figures[name]), median(with.figures[name])
	fmt.Printf("%s: %.3f without an authorizer, %.3f with 10,000 ACLs: %+.1f %% (medians of %d rounds; %s and %s)\n", name, a, b, 100*(b/a-1), c.rounds,
		spread(without.figures[name]), spread(with.figures[name]))
	return nil
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
		if err := b.topic("load", 4); err != nil {
			return err
		}
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
				stats, cpu, user, err := b.used(func() (replay.Stats, error) {
					return replay.Produce(ctx, replay.Load{Addr: addr, TLS: config, Topic: "load", Partitions: 4, Connections: 4, InFlight: 2, Records: records, RecordSize: size, Acks: 1,
						Duration: duration, MaxBytes: 1 << 30})
				})
				if err != nil {
					return fmt.Errorf("produce over %s: %w", way, err)
				}
				b.perByte(round, "produce over "+way, stats, cpu, user)
				stats, cpu, user, err = b.used(func() (replay.Stats, error) {
					return replay.Fetch(ctx, replay.FetchLoad{Addr: addr, TLS: config, Topic: "load", Partitions: 4, Connections: 4, MaxBytes: 1 << 20,
						Step: records * 3, End: records * 12, Duration: duration})
				})
				if err != nil {
					return fmt.Errorf("fetch over %s: %w", way, err)
				}
				b.perByte(round, "fetch over "+way, stats, cpu, user)
			}
		}
	}
	for _, what := range []string{"produce over plaintext", "produce over TLS", "fetch over plaintext", "fetch over TLS"} {
		for _, b := range brokers {
			fmt.Printf("%-24s %-14s %.2f cpu-s/GB (%s), user time %.2f\n", what, b.Kind, median(b.figures[what]), spread(b.figures[what]), median(b.figures[what+", user"]))
		}
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
