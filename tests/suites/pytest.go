package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// asOfKafka39 are tests of kafka-python that expect something else of 3.9 than of 4.x, where ours is as 3.9: to a broker of 4.x
// advertised.listeners are read-only.
var asOfKafka39 = []string{"test_admin_integration::test_describe_configs_broker_resource_returns_configs"}

// runKafkaPython runs kafka-python's tests that speak to a broker, in one process, and those of asOfKafka39 in another.
func runKafkaPython(j *job) ([]result, error) {
	// The newest that the client takes the broker for, by the versions of its APIs.
	version := "4.3"
	if j.kind.Version() != "" {
		version, _, _ = strings.Cut(j.kind.Version()[2:], ".")
		version = j.kind.Version()[:2] + version
	}
	args := []string{"test/integration"}
	for name := range j.skip {
		args = append(args, "--deselect", pytestName(name))
	}
	if j.kind.IsApache() {
		return j.pytest("pytest", version, args...)
	}
	var older []string
	for _, name := range asOfKafka39 {
		args = append(args, "--deselect", pytestName(name))
		older = append(older, pytestName(name))
	}
	results, err := j.pytest("pytest", version, args...)
	if err != nil {
		return nil, err
	}
	more, err := j.pytest("pytest-3.9", "3.9", older...)
	return append(results, more...), err
}

// pytestName is the test "file::test" as pytest takes it.
func pytestName(name string) string {
	file, test, _ := strings.Cut(name, "::")
	return "test/integration/" + file + ".py::" + test
}

// pytest runs pytest; name is that of its log and report, version that of the broker.
func (j *job) pytest(name, version string, args ...string) ([]result, error) {
	log, err := os.Create(filepath.Join(j.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	report := filepath.Join(j.dir, name+".xml")
	args = append([]string{"-m", "pytest", "-p", "no:cacheprovider", "-q", "--log-level=INFO", "--junitxml=" + report}, args...)
	cmd := exec.Command("python3", args...)
	cmd.Dir = j.program.dir
	cmd.Env = append(os.Environ(), "PYTHONPATH="+j.program.path, "PYTHONDONTWRITEBYTECODE=1",
		"KAFKA_URI=kafka://"+j.addr, "KAFKA_VERSION="+version,
		"KAFKA_ROOT="+j.dir) // a folder that has to exist; it holds Apache's scripts for other tests
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	results, err := parseJUnit(report)
	if err != nil {
		return nil, fmt.Errorf("%w; see %s", err, log.Name())
	}
	kept := results[:0]
	for _, r := range results {
		if j.wanted.MatchString(r.name) {
			kept = append(kept, r)
		}
	}
	return kept, nil
}

// parseJUnit reads a report of pytest.
func parseJUnit(path string) ([]result, error) {
	type note struct {
		Message string `xml:"message,attr"`
	}
	var report struct {
		Cases []struct {
			Class   string  `xml:"classname,attr"`
			Name    string  `xml:"name,attr"`
			Time    float64 `xml:"time,attr"`
			Failure *note   `xml:"failure"`
			Error   *note   `xml:"error"`
			Skipped *note   `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := xml.Unmarshal(data, &report); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var results []result
	seen := map[string]int{}
	for _, c := range report.Cases {
		where := strings.ReplaceAll(strings.TrimPrefix(c.Class, "test.integration."), ".", "::")
		r := result{name: where + "::" + c.Name, status: passed, duration: time.Duration(c.Time * float64(time.Second))}
		switch {
		case c.Failure != nil:
			r.status, r.reason = failed, firstLine(c.Failure.Message)
		case c.Error != nil:
			r.status, r.reason = failed, firstLine(c.Error.Message)
		case c.Skipped != nil:
			r.status, r.reason = skipped, firstLine(c.Skipped.Message)
		}
		// A test whose cleaning up fails comes a second time.
		if i, ok := seen[r.name]; ok {
			if r.status == failed {
				results[i] = r
			}
			continue
		}
		seen[r.name] = len(results)
		results = append(results, r)
	}
	return results, nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
