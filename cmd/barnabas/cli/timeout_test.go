package cli_test

import (
	"bytes"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/cmd/barnabas/cli"
)

// A broker that takes connections and says nothing is given up after --timeout, by every
// command, and not after the library's own ten seconds.
func TestBrokerThatSaysNothing(t *testing.T) {
	for _, command := range []string{"topic list", "group list", "produce t v", "consume t"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			var late atomic.Bool
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					time.AfterFunc(8*time.Second, func() { late.Store(true); c.Close() })
				}
			}()
			var stdout, stderr bytes.Buffer
			args := append(strings.Fields(command), "-b", l.Addr().String(), "--timeout", "200ms")
			code := cli.Run(args, cli.Streams{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }})
			if code != 1 || late.Load() || !strings.Contains(stderr.String(), "no answer from "+l.Addr().String()+" within 200ms") {
				t.Errorf("exit code %d, %s%s", code, stdout.String(), stderr.String())
			}
		})
	}
}
