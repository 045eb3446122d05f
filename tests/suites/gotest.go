package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// testProgram runs the program of a Go test to its end and returns what it printed of its
// tests. Tests that began and did not end have failed.
func (j *job) testProgram(log string, patience time.Duration, env []string, args ...string) ([]result, error) {
	out, err := os.Create(filepath.Join(j.dir, log))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	args = append([]string{"-test.v", "-test.timeout", patience.String()}, args...)
	cmd := exec.Command(j.program.path, args...)
	cmd.Dir = j.program.dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	return parseGoTest(out.Name())
}

var (
	testBegins = regexp.MustCompile(`^=== RUN +(\S+)$`)
	testGoesOn = regexp.MustCompile(`^=== (?:RUN|CONT|NAME) +(\S+)$`)
	testSays   = regexp.MustCompile(`^    \w+_test\.go:\d+: (.+)$`) // not panic.go: what a test says as it cleans up
	testEnds   = regexp.MustCompile(`--- (PASS|FAIL|SKIP): (\S+) \(([0-9.]+s)\)`)
)

// parseGoTest reads what a Go test prints with -test.v.
func parseGoTest(path string) ([]result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var order []string
	ended := map[string]result{}
	said := map[string]string{} // the last line of each test
	current := ""
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := testGoesOn.FindStringSubmatch(line); m != nil {
			current = m[1]
		} else if m := testSays.FindStringSubmatch(line); m != nil {
			said[current] = m[1]
		}
		if m := testBegins.FindStringSubmatch(line); m != nil {
			order = append(order, m[1])
			continue
		}
		m := testEnds.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		r := result{name: m[2], status: map[string]status{"PASS": passed, "FAIL": failed, "SKIP": skipped}[m[1]]}
		r.duration, _ = time.ParseDuration(m[3])
		if r.status == skipped {
			r.reason = said[r.name]
		}
		ended[r.name] = r
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	var results []result
	for _, name := range order {
		if strings.Contains(name, "/") {
			continue
		}
		r, ok := ended[name]
		if !ok {
			r = result{name: name, status: failed, reason: "began and did not end"}
		}
		if r.status == failed {
			r.failures = innermostFailures(name, order, ended)
		}
		results = append(results, r)
	}
	return results, nil
}

// innermostFailures are the sub-tests of a test that failed, without those that failed
// only in their own sub-tests.
func innermostFailures(test string, order []string, ended map[string]result) []string {
	var names []string
	for _, name := range order {
		if !strings.HasPrefix(name, test+"/") || ended[name].status == passed || ended[name].status == skipped {
			continue
		}
		names = slices.DeleteFunc(names, func(outer string) bool { return strings.HasPrefix(name, outer+"/") })
		names = append(names, name)
	}
	return names
}

// testNames are the tests that a program of a Go test has, those that are wanted and not
// to be skipped.
func (j *job) testNames() ([]string, error) {
	cmd := exec.Command(j.program.path, "-test.list", "^(Test|Fuzz)")
	cmd.Dir = j.program.dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the tests of %s: %w", j.program.path, err)
	}
	names := strings.Fields(string(out))
	return slices.DeleteFunc(names, func(name string) bool {
		return j.skip[name] || !j.wanted.MatchString(name)
	}), nil
}

// exactly is a regular expression that matches these names only.
func exactly(names []string) string { return "^(" + strings.Join(names, "|") + ")$" }
