// Command start runs one broker of the tests by hand until it is interrupted:
//
//	go run ./tests/peers/start -broker apache-3.9.2 -port 9092 -dir /tmp/apache
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

func main() {
	kind := flag.String("broker", "barnabas", "barnabas, apache-3.9.2, apache-4.3.1 or apache-3.9.2-zk")
	port := flag.Int("port", 0, "port to listen on; a free one by default")
	dir := flag.String("dir", "", "directory for data and log; a new temporary one by default")
	config := map[string]string{}
	flag.Func("override", "key=value of the configuration; may be given several times", func(s string) error {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("no = in %q", s)
		}
		config[key] = value
		return nil
	})
	flag.Parse()
	if err := run(peers.Kind(*kind), *port, *dir, config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(kind peers.Kind, port int, dir string, config map[string]string) error {
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		return err
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "barnabas-peer-"); err != nil {
			return err
		}
	}
	b, err := cache.StartBroker(kind, peers.BrokerOptions{Dir: dir, Port: port, Config: config})
	if err != nil {
		return err
	}
	fmt.Printf("%s on %s, pid %d, log %s\n", kind, b.Addr, b.Pid, b.LogPath)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	select {
	case <-signals:
	case <-b.Done():
	}
	return b.Close()
}
