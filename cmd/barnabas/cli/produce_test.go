package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/cli"
)

func TestProduceValueOfSeveralLines(t *testing.T) {
	b := brokertest.Start(t, "num.partitions=1")
	run := func(args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		args = append(args, "-b", b.Address())
		if code := cli.Run(args, cli.Streams{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }}); code != 0 {
			t.Fatalf("%q: exit code %d, %s", args, code, stderr.String())
		}
		return stdout.String()
	}
	if got := run("produce", "letters", "two\nlines", ""); got != "wrote 2 records to letters\n" {
		t.Error(got)
	}
	if got := run("consume", "letters", "--from-beginning", "--exit", "--format", `%o <%v>\n`); got != "0 <two\nlines>\n1 <>\n" {
		t.Error(got)
	}
}
