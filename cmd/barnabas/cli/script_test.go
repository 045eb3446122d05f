package cli_test

import (
	"os"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/cli"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"barnabas": func() {
			os.Exit(cli.Run(os.Args[1:], cli.Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}))
		},
	})
}

// TestScripts runs each script of testdata against a broker of its own, whose address is
// in BARNABAS_BOOTSTRAP and $BROKER.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			b := brokertest.Start(env.T().(testing.TB), "num.partitions=1")
			env.Setenv("BARNABAS_BOOTSTRAP", b.Address())
			env.Setenv("BROKER", b.Address())
			// The race detector has every program it is in sleep for a second at its end.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// exits runs a command and checks its exit code: exits 3 barnabas consume ...
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: exits code command...")
				}
				err := ts.Exec(args[1], args[2:]...)
				code := "0"
				if err != nil {
					code = strings.TrimPrefix(err.Error(), "exit status ")
				}
				if code != args[0] {
					ts.Fatalf("%s exited with %s, not %s", args[1], code, args[0])
				}
			},
		},
	})
}
