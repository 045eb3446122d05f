package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// program2015 runs the program of 2015 twice: on a topic that does not exist, and again
// where its group stood.
func (s *suite) program2015() {
	if s.kind.IsApache() {
		// No Apache of today survives the program's first run on a new topic.
		if _, err := s.newTopic("my-topic"); err != nil {
			s.check("2015", "create", func() error { return err })
			return
		}
	}
	const rounds = 10
	if s.check("2015", "first run", func() error { return s.run2015(rounds) }) {
		s.check("2015", "second run", func() error { return s.run2015(rounds) })
	}
}

func (s *suite) run2015(rounds int) error {
	dir, err := s.cache.KafkaPythonOld()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	addr := strings.Replace(s.addr, "127.0.0.1:", "localhost:", 1)
	cmd := exec.CommandContext(ctx, "python3", filepath.Join(s.cache.Root, "tests/interop/adapters/python/program2015.py"),
		addr, fmt.Sprint(rounds))
	cmd.Env = append(os.Environ(), "PYTHONPATH="+dir, "PYTHONDONTWRITEBYTECODE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, lastLine(stderr.Bytes()))
	}
	for _, value := range []string{`value=b'test'`, `value=b'\xc2Hola, mundo!'`} {
		if got := strings.Count(stdout.String(), value); got != rounds {
			return fmt.Errorf("it printed %d messages with %s, not %d; its errors: %s", got, value, rounds, lastLine(stderr.Bytes()))
		}
	}
	return nil
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
