// Command robustness lets many clients behave badly at once, against a broker process of
// its own, and shows what that costs: memory, descriptors, and how long others wait.
//
//	go run ./tests/robustness
//	go run ./tests/robustness -short                  a tenth of the clients
//	go run ./tests/robustness -run 'nothing read'     only scenarios whose name matches
//	go run ./tests/robustness -broker apache-3.9.2
//
// It fails if the broker ends, if a bystander's request fails, if a group keeps members who have vanished, or, for Barnabas, if memory
// passes memoryLimit or descriptors or goroutines are left once the clients are gone. The other figures are for people to read.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/tests/bench/procfs"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

func main() {
	kind := flag.String("broker", "barnabas", "barnabas, apache-3.9.2 or apache-4.3.1")
	connections := flag.Int("connections", 10_000, "how many idle connections; each costs this process a descriptor too")
	short := flag.Bool("short", false, "a tenth of the clients")
	match := flag.String("run", "", "only scenarios whose name matches this regular expression")
	flag.Parse()
	wanted, err := regexp.Compile(*match)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	tenth := 1
	if *short {
		tenth = 10
	}
	dir, err := os.MkdirTemp("", "barnabas-robustness-")
	if err == nil {
		err = run(peers.Kind(*kind), dir, *connections, tenth, wanted)
	}
	if err != nil {
		fmt.Printf("FAIL: %v\ndirectory %s\n", err, dir)
		os.Exit(1)
	}
	os.RemoveAll(dir)
}

// scenario opens connections that behave badly, and returns them.
type scenario struct {
	name   string
	count  int
	begin  func(c *client) error // on a fresh connection
	groups int                   // how many groups the clients are in, which groupOf names
}

// memoryLimit is what the broker's anonymous memory may come to, whatever its clients do, in bytes: queued requests and answers are
// bounded, and ten thousand connections are small.
const memoryLimit = 512 << 20

// few files and goroutines are no leak of connections: groups and logs open some for good, and our own look at the metrics is one.
const few = 10

// scenarios has tenth times fewer clients in each.
func scenarios(connections, tenth int) []scenario {
	list := append(connectionScenarios(connections), rebalances(400)...)
	for i := range list {
		list[i].count /= tenth
		list[i].groups /= tenth
	}
	return list
}

func connectionScenarios(connections int) []scenario {
	return []scenario{
		{name: "idle", count: connections, begin: func(*client) error { return nil }},
		{name: "idle after one request", count: connections, begin: func(c *client) error {
			_, err := c.call(apiVersions())
			return err
		}},
		{name: "half of a frame's size", count: 2000, begin: func(c *client) error { return c.write([]byte{0, 0}) }},
		{name: "1 KiB of a frame said to be 100 MiB", count: 2000, begin: func(c *client) error {
			return c.write(append(binary.BigEndian.AppendUint32(nil, 100<<20), make([]byte, 1024)...))
		}},
		{name: "1,000 requests, nothing read", count: 2000, begin: func(c *client) error {
			var all []byte
			for range 1000 {
				all = c.AppendFrame(all, apiVersions())
			}
			return c.writeSome(all)
		}},
		{name: "1,000 fetches of 1 MiB, nothing read", count: 2000, begin: func(c *client) error {
			var all []byte
			for range 1000 {
				all = c.AppendFrame(all, fetch(topic, 0, 1<<20, 0))
			}
			return c.writeSome(all)
		}},
		{name: "fetches that wait 10 minutes", count: 2000, begin: func(c *client) error {
			return c.Send(fetch(topic, 1<<40, 1<<20, 600_000))
		}},
		{name: "1 MiB fetched, a byte read now and then", count: 200, begin: func(c *client) error {
			go c.trickle()
			return c.Send(fetch(topic, 0, 1<<20, 0))
		}},
	}
}

func run(kind peers.Kind, dir string, connections, tenth int, wanted *regexp.Regexp) error {
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		return err
	}
	options := peers.BrokerOptions{Dir: filepath.Join(dir, "broker")}
	var goroutines goroutineCount
	if !kind.IsApache() {
		ports, err := peers.FreePorts(1)
		if err != nil {
			return err
		}
		goroutines.url = fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[0])
		options.Config = map[string]string{"barnabas.admin.listener": fmt.Sprintf("127.0.0.1:%d", ports[0])}
	}
	broker, err := cache.StartBroker(kind, options)
	if err != nil {
		return err
	}
	defer broker.Close()
	if err := findCoordinator(broker.Addr); err != nil {
		return err
	}
	by, err := newBystander(broker.Addr)
	if err != nil {
		return err
	}
	defer by.stop()
	time.Sleep(2 * time.Second)
	alone := by.take()
	fmt.Printf("%s; a bystander alone: p50 %v, p99 %v, of %d produce requests\n\n", kind, alone.quantile(0.5), alone.quantile(0.99), len(alone))
	fmt.Printf("%-40s %6s %10s %10s %10s %9s %7s %7s %7s %7s %9s %9s\n", "clients", "count", "before MB", "during MB", "after MB", "KiB each", "files", "after", "gorout.", "after", "p50", "p99")
	passed := 0
	for _, s := range scenarios(connections, tenth) {
		if !wanted.MatchString(s.name) {
			continue
		}
		if err := one(broker, by, s, goroutines); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		passed++
	}
	fmt.Printf("%d passed, 0 failed\n", passed)
	return nil
}

// one runs a scenario and prints its line.
func one(broker *peers.Broker, by *bystander, s scenario, goroutines goroutineCount) error {
	strict := !broker.Kind.IsApache()
	before, err := procfs.Read(broker.Pid)
	if err != nil {
		return err
	}
	goroutinesBefore, err := goroutines.read()
	if err != nil {
		return err
	}
	by.take()
	clients := make([]*client, 0, s.count)
	defer func() {
		for _, c := range clients {
			c.Close()
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
	goroutinesDuring, err := goroutines.read()
	if err != nil {
		return err
	}
	seen := by.take()
	for _, c := range clients {
		c.Close()
	}
	if s.groups > 0 {
		if err := groupsAreEmpty(broker.Addr, s.name, s.groups); err != nil {
			return err
		}
	}
	var after procfs.Sample
	goroutinesAfter := 0
	// Until their descriptors and goroutines are gone. The reset of a client that could not send all it wanted to lies beyond the
	// broker's window; the kernel asks back for so many of them in a second, and learns of the others when it sends again.
	for range 1800 {
		if after, err = procfs.Read(broker.Pid); err != nil {
			return err
		}
		if goroutinesAfter, err = goroutines.read(); err != nil {
			return err
		}
		if after.OpenFiles <= before.OpenFiles+few && goroutinesAfter <= goroutinesBefore+few {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	fmt.Printf("%-40s %6d %10.1f %10.1f %10.1f %9.1f %7d %7d %7d %7d %9v %9v\n", s.name, s.count, mb(before.RSSAnon), mb(during.RSSAnon), mb(after.RSSAnon),
		float64(during.RSSAnon-before.RSSAnon)/1024/float64(s.count), during.OpenFiles, after.OpenFiles, goroutinesDuring, goroutinesAfter,
		seen.quantile(0.5), seen.quantile(0.99))
	if err := by.failure(); err != nil {
		return fmt.Errorf("the bystander: %w", err)
	}
	if left := after.OpenFiles - before.OpenFiles; strict && left > few {
		return fmt.Errorf("%d descriptors are left", left)
	}
	if left := goroutinesAfter - goroutinesBefore; strict && left > few {
		return fmt.Errorf("%d goroutines are left", left)
	}
	if strict && during.RSSAnon > memoryLimit {
		return fmt.Errorf("%.0f MB of memory, more than %.0f", mb(during.RSSAnon), mb(memoryLimit))
	}
	return nil
}

// goroutineCount reads the broker's count of goroutines from its metrics; without a URL it is 0.
type goroutineCount struct{ url string }

func (g goroutineCount) read() (int, error) {
	if g.url == "" {
		return 0, nil
	}
	resp, err := http.Get(g.url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			return strconv.Atoi(value)
		}
	}
	return 0, errors.New("the metrics have no go_goroutines")
}

func mb(n int64) float64 { return float64(n) / (1 << 20) }
