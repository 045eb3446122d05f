package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// readList reads a list of tests that cannot pass: lines of a test's name and, after
// blanks, the reason. A sub-test is named as Go does, Test/sub; only that part of its
// test is excused then. Lines that begin with # are comments.
func readList(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list := map[string]string{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, _ := strings.Cut(line, " ")
		if reason = strings.TrimSpace(reason); reason == "" {
			return nil, fmt.Errorf("%s:%d: %s has no reason", path, n, name)
		}
		list[name] = reason
	}
	return list, lines.Err()
}
