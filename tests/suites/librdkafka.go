package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

// toolVersion is the Apache Kafka whose command line tools some tests of librdkafka call.
const toolVersion = "3.9.2"

// brokerVersion is what the tests of a number take the broker for. Of two of them a part
// applies below 4.0 only.
func brokerVersion(number string) string {
	if number == "0052" || number == "0092" {
		return "3.9.2"
	}
	return "4.3.1"
}

// scripts of Apache Kafka that tests of librdkafka call, and the programs behind them.
var scripts = map[string]string{
	"kafka-topics.sh":  "org.apache.kafka.tools.TopicCommand",
	"kafka-acls.sh":    "kafka.admin.AclCommand",
	"kafka-configs.sh": "kafka.admin.ConfigCommand",
}

// runLibrdkafka runs librdkafka's test-runner once for each number of a test, without
// those that need no broker and those of share groups.
func runLibrdkafka(j *job) ([]result, error) {
	tests, err := librdkafkaTests(filepath.Join(j.program.dir, "test.c"))
	if err != nil {
		return nil, err
	}
	kafkaPath := filepath.Join(j.dir, "kafka")
	if err := writeScripts(j.cache, filepath.Join(kafkaPath, "bin")); err != nil {
		return nil, err
	}
	byNumber := map[string][]string{}
	for _, name := range tests {
		if !j.skip[name] && j.wanted.MatchString(name) {
			byNumber[name[:4]] = append(byNumber[name[:4]], name)
		}
	}
	numbers := make(chan string)
	go func() {
		for _, number := range slices.Sorted(maps.Keys(byNumber)) {
			numbers <- number
		}
		close(numbers)
	}()
	// Most tests wait most of the time.
	var (
		lanes   sync.WaitGroup
		mu      sync.Mutex
		results []result
		failure error
	)
	for lane, b := range j.brokers {
		lanes.Go(func() {
			for number := range numbers {
				states, err := j.testRunner(lane, b.Addr, kafkaPath, number)
				mu.Lock()
				failure = cmp.Or(failure, err)
				for _, name := range byNumber[number] {
					r, ok := states[name]
					if !ok {
						r = result{status: failed, reason: "the runner ended without a word on it"}
					}
					r.name = name
					results = append(results, r)
				}
				mu.Unlock()
			}
		})
	}
	lanes.Wait()
	if failure != nil {
		return nil, failure
	}
	return results, j.runAgain(results, kafkaPath)
}

// runAgain runs what failed once more, alone: some tests measure time, and know nothing of
// what else the machine does.
func (j *job) runAgain(results []result, kafkaPath string) error {
	for i := range results {
		r := &results[i]
		if r.status != failed {
			continue
		}
		number := r.name[:4]
		log := filepath.Join(j.dir, number+".log")
		if err := os.Rename(log, filepath.Join(j.dir, number+"-first.log")); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		states, err := j.testRunner(0, j.addr, kafkaPath, number)
		if err != nil {
			return err
		}
		if again, ok := states[r.name]; ok && again.status == passed {
			r.status, r.duration, r.reason = passed, again.duration, "the second time, alone; the first time: "+r.reason
		}
	}
	return nil
}

// testRunner runs the tests of one number.
func (j *job) testRunner(lane int, addr, kafkaPath, number string) (map[string]result, error) {
	conf := filepath.Join(j.dir, fmt.Sprintf("test-%d.conf", lane+1))
	if err := os.WriteFile(conf, []byte("metadata.broker.list="+addr+"\ntest.timeout.multiplier=2\n"), 0o644); err != nil {
		return nil, err
	}
	src := filepath.Dir(j.program.dir)
	env := append(os.Environ(), "RDKAFKA_TEST_CONF="+conf, "BROKERS="+addr, "TESTS="+number, "TEST_KAFKA_VERSION="+brokerVersion(number),
		"KAFKA_PATH="+kafkaPath, "LD_LIBRARY_PATH="+filepath.Join(src, "src")+":"+filepath.Join(src, "src-cpp"))
	log := filepath.Join(j.dir, number+".log")
	if err := runTestRunner(j.program.dir, log, env); err != nil {
		return nil, err
	}
	return parseTestRunner(log)
}

// testRunnerPatience is how long the tests of one number may take.
const testRunnerPatience = 15 * time.Minute

func runTestRunner(dir, logPath string, env []string) error {
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("./test-runner", "-L", "-p1")
	cmd.Dir, cmd.Env = dir, env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	overdue := time.AfterFunc(testRunnerPatience, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer overdue.Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

var (
	librdkafkaTest = regexp.MustCompile(`_TEST\((\d{4}_\w+),([^)]*)`)
	leftOut        = regexp.MustCompile(`\bTEST_F_(LOCAL|MANUAL|KNOWN_ISSUE)\b`)
	summaryLine    = regexp.MustCompile(`^\|(?:\x1b\[[0-9;]*m)? (\w+) +\| +(\w+) \| +([0-9.]+)s (?:\x1b\[[0-9;]*m)?\|(.*)$`)
	failureLine    = regexp.MustCompile(`^(?:\x1b\[[0-9;]*m)*### Test "(\w+).*" failed at`)
	escape         = regexp.MustCompile(`\x1b\[[0-9;]*m`)
)

// librdkafkaTests reads the names of the tests from the table in test.c: those that need a
// broker, nobody at the keyboard and no patience with a known bug of librdkafka, but not
// those of share groups.
func librdkafkaTests(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range librdkafkaTest.FindAllStringSubmatch(string(data), -1) {
		if name, flags := m[1], m[2]; !leftOut.MatchString(flags) && !strings.Contains(name, "_share_") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: no tests in it", path)
	}
	return names, nil
}

// parseTestRunner reads the summary at the end of a run, and what failed before it: a
// runner that cannot clean up after a failure ends without a summary.
func parseTestRunner(path string) (map[string]result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	states := map[string]result{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	failing := ""
	for lines.Scan() {
		if failing != "" {
			states[failing] = result{status: failed, reason: strings.TrimSpace(escape.ReplaceAllString(lines.Text(), ""))}
			failing = ""
		}
		if m := failureLine.FindStringSubmatch(lines.Text()); m != nil {
			if _, ok := states[m[1]]; !ok {
				failing = m[1]
			}
			continue
		}
		m := summaryLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		r := result{status: failed, reason: strings.TrimSpace(escape.ReplaceAllString(m[4], ""))}
		switch m[2] {
		case "PASSED":
			r.status, r.reason = passed, ""
		case "SKIPPED":
			r.status = skipped
			if r.reason == "" {
				r.reason = "of another scenario: a broker that creates no topics on demand"
			}
		}
		r.duration, _ = time.ParseDuration(m[3] + "s")
		states[m[1]] = r
	}
	return states, lines.Err()
}

// writeScripts makes the scripts of Apache's distribution, which its jars lack.
func writeScripts(cache *peers.Cache, dir string) error {
	libs, err := cache.Jars(toolVersion)
	if err != nil {
		return err
	}
	classPath, err := cache.ToolClassPath(libs)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, class := range scripts {
		text := fmt.Sprintf("#!/bin/sh\nexec java %s -cp '%s' %s \"$@\"\n", strings.Join(peers.ToolJVM, " "), classPath, class)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	return nil
}
