// Command robustness lets many clients behave badly at once, against a broker process of
// its own, and shows what that costs: memory, descriptors, and how long others wait.
//
//	go run ./tests/robustness
//	go run ./tests/robustness -broker apache-3.9.2
//
// It fails if the broker ends, if a bystander's request fails, or, for Barnabas, if
// descriptors are left once the clients are gone. The figures are for people to read.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/barnabas-broker/barnabas/tests/bench/procfs"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

func main() {
	kind := flag.String("broker", "barnabas", "barnabas, apache-3.9.2 or apache-4.3.1")
	connections := flag.Int("connections", 9000, "how many idle connections; each costs this process a descriptor too")
	flag.Parse()
	dir, err := os.MkdirTemp("", "barnabas-robustness-")
	if err == nil {
		err = run(peers.Kind(*kind), dir, *connections)
	}
	if err != nil {
		fmt.Printf("FAIL: %v\ndirectory %s\n", err, dir)
		os.Exit(1)
	}
	os.RemoveAll(dir)
}

// scenario opens connections that behave badly, and returns them.
type scenario struct {
	name  string
	count int
	begin func(c *client) error // on a fresh connection
}

func scenarios(connections int) []scenario {
	return []scenario{
		{"idle", connections, func(*client) error { return nil }},
		{"idle after one request", connections, func(c *client) error {
			_, err := c.call(apiVersions())
			return err
		}},
		{"half of a frame's size", 2000, func(c *client) error { return c.write([]byte{0, 0}) }},
		{"1 KiB of a frame said to be 100 MiB", 2000, func(c *client) error {
			return c.write(append(binary.BigEndian.AppendUint32(nil, 100<<20), make([]byte, 1024)...))
		}},
		{"1,000 requests, nothing read", 200, func(c *client) error {
			var all []byte
			for range 1000 {
				all = c.appendFrame(all, apiVersions())
			}
			return c.writeSome(all)
		}},
		{"1,000 fetches of 1 MiB, nothing read", 200, func(c *client) error {
			var all []byte
			for range 1000 {
				all = c.appendFrame(all, fetch(topic, 0, 1<<20, 0))
			}
			return c.writeSome(all)
		}},
		{"fetches that wait 10 minutes", 2000, func(c *client) error {
			return c.write(c.appendFrame(nil, fetch(topic, 1<<40, 1<<20, 600_000)))
		}},
		{"joins that nobody waits for", 200, func(c *client) error {
			return c.write(c.appendFrame(nil, join(fmt.Sprint("group-", c.id%50))))
		}},
	}
}

func run(kind peers.Kind, dir string, connections int) error {
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		return err
	}
	broker, err := cache.StartBroker(kind, peers.BrokerOptions{Dir: filepath.Join(dir, "broker")})
	if err != nil {
		return err
	}
	defer broker.Close()
	by, err := newBystander(broker.Addr)
	if err != nil {
		return err
	}
	defer by.stop()
	time.Sleep(2 * time.Second)
	alone := by.take()
	fmt.Printf("%s; a bystander alone: p50 %v, p99 %v, of %d produce requests\n\n", kind, alone.quantile(0.5), alone.quantile(0.99), len(alone))
	fmt.Printf("%-40s %6s %10s %10s %10s %9s %7s %7s %9s %9s\n", "clients", "count", "before MB", "during MB", "after MB", "KiB each", "files", "after", "p50", "p99")
	for _, s := range scenarios(connections) {
		if err := one(broker, by, s, !kind.IsApache()); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// one runs a scenario and prints its line.
func one(broker *peers.Broker, by *bystander, s scenario, strict bool) error {
	before, err := procfs.Read(broker.Pid)
	if err != nil {
		return err
	}
	by.take()
	clients := make([]*client, 0, s.count)
	defer func() {
		for _, c := range clients {
			c.conn.Close()
		}
	}()
	for i := range s.count {
		c, err := dial(broker.Addr, i)
		if err != nil {
			return err
		}
		clients = append(clients, c)
		if err := s.begin(c); err != nil {
			return err
		}
	}
	time.Sleep(2 * time.Second)
	during, err := procfs.Read(broker.Pid)
	if err != nil {
		return err
	}
	seen := by.take()
	for _, c := range clients {
		c.conn.Close()
	}
	var after procfs.Sample
	for range 100 { // until their descriptors are gone
		if after, err = procfs.Read(broker.Pid); err != nil {
			return err
		}
		if after.OpenFiles <= before.OpenFiles {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	fmt.Printf("%-40s %6d %10.1f %10.1f %10.1f %9.1f %7d %7d %9v %9v\n", s.name, s.count, mb(before.RSSAnon), mb(during.RSSAnon), mb(after.RSSAnon),
		float64(during.RSSAnon-before.RSSAnon)/1024/float64(s.count), during.OpenFiles, after.OpenFiles,
		seen.quantile(0.5), seen.quantile(0.99))
	if err := by.failure(); err != nil {
		return fmt.Errorf("the bystander: %w", err)
	}
	// Files that groups and logs opened for good are no leak of connections.
	if left := after.OpenFiles - before.OpenFiles; strict && left > 200 {
		return fmt.Errorf("%d descriptors are left", left)
	}
	return nil
}

func mb(n int64) float64 { return float64(n) / (1 << 20) }
