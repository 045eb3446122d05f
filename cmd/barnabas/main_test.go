package main

import (
	"bytes"
	"testing"
)

func TestEveryCommandHelps(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}, {"start", "-h"}, {"start", "--help"}, {"doctor", "--help"}} {
		var stdout, stderr bytes.Buffer
		if code := run(args, &stdout, &stderr); code != 0 || stderr.Len() > 0 || !bytes.HasPrefix(stdout.Bytes(), []byte(usage)) {
			t.Errorf("%q: exit code %d, %s%s", args, code, stdout.String(), stderr.String())
		}
	}
}
