package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const goTest = `=== RUN   TestGood
--- PASS: TestGood (0.01s)
=== RUN   TestBad
=== RUN   TestBad/one
=== RUN   TestBad/one/inner
=== RUN   TestBad/two
--- FAIL: TestBad (1.50s)
    --- FAIL: TestBad/one (0.00s)
        --- FAIL: TestBad/one/inner (0.00s)
    --- PASS: TestBad/two (0.00s)
=== RUN   TestNotHere
=== RUN   TestOther
    other_test.go:7: something else
=== CONT  TestNotHere
    here_test.go:12: no such broker
    panic.go:694: deleting topic
--- SKIP: TestNotHere (0.00s)
=== NAME  TestOther
--- PASS: TestOther (0.01s)
=== RUN   TestHangs
panic: test timed out after 2m0s
`

func TestAGoTestThatDidNotEndHasFailed(t *testing.T) {
	results, err := parseGoTest(write(t, goTest))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]status{}
	for _, r := range results {
		got[r.name] = r.status
		if r.status == skipped && r.reason != "no such broker" {
			t.Errorf("the reason of %s is %q", r.name, r.reason)
		}
	}
	want := map[string]status{"TestGood": passed, "TestOther": passed, "TestBad": failed, "TestNotHere": skipped, "TestHangs": failed}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
	for name, s := range want {
		if got[name] != s {
			t.Errorf("%s: %s, want %s", name, got[name], s)
		}
	}
	if got := results[1].failures; !slices.Equal(got, []string{"TestBad/one/inner"}) {
		t.Errorf("failures %v", got)
	}
}

func TestAListedSubTestExcusesItselfOnly(t *testing.T) {
	for _, tt := range []struct {
		list []string
		want status
	}{
		{nil, failed},
		{[]string{"TestBad/one/inner"}, listed},
		{[]string{"TestBad/two"}, failed},
		{[]string{"TestBad"}, listed},
	} {
		results, err := parseGoTest(write(t, goTest))
		if err != nil {
			t.Fatal(err)
		}
		o := &outcome{results: results, list: map[string]string{}}
		for _, name := range tt.list {
			o.list[name] = "a reason"
		}
		o.complete(nil, regexp.MustCompile(""))
		for _, r := range o.results {
			if r.name == "TestBad" && r.status != tt.want {
				t.Errorf("list %v: %s, want %s", tt.list, r.status, tt.want)
			}
		}
	}
}

func TestTheSummaryOfLibrdkafkasRunnerIsRead(t *testing.T) {
	states, err := parseTestRunner(write(t, "TEST 20261123 (bare, scenario default) SUMMARY\n"+
		"|\x1b[32m 0001_multiobj                            |     PASSED |   2.402s \x1b[0m|\n"+
		"|\x1b[31m 0011_produce_batch                       |     FAILED |  30.001s \x1b[0m|\x1b[31m it failed\x1b[0m\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r := states["0001_multiobj"]; r.status != passed || r.duration.Milliseconds() != 2402 {
		t.Errorf("%+v", r)
	}
	if r := states["0011_produce_batch"]; r.status != failed || r.reason != "it failed" {
		t.Errorf("%+v", r)
	}
	states, err = parseTestRunner(write(t, "\x1b[31m### Test \"0061_consumer_lag (do_test:192: with transactions)\" failed at testcpp.h:77:() at Monday: ###\n"+
		"init_transactions() failed\n### Test \"<MAIN>\" failed at test.c:1950:test_wait_exit() at Monday: ###\nno matter\n"))
	if r := states["0061_consumer_lag"]; err != nil || r.status != failed || r.reason != "init_transactions() failed" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestATestThatWasSkippedIsReadWithItsReason(t *testing.T) {
	states, err := parseTestRunner(write(t, "|\x1b[36m 0113_cooperative_rebalance               |    SKIPPED |   0.000s \x1b[0m|\x1b[36m not now\x1b[0m\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r := states["0113_cooperative_rebalance"]; r.status != skipped || r.reason != "not now" {
		t.Errorf("%+v", r)
	}
}

func TestEveryListIsWellFormed(t *testing.T) {
	for _, s := range allSuites() {
		if _, err := readList(s.name + ".txt"); err != nil {
			t.Error(err)
		}
	}
}

func TestTestsOfLibrdkafkaThatNeedNoBrokerAreLeftOut(t *testing.T) {
	names, err := librdkafkaTests(write(t, `
    _TEST(0001_multiobj, 0),
    _TEST(0004_conf, TEST_F_LOCAL),
    _TEST(0028_long_topicnames,
          TEST_F_KNOWN_ISSUE,
          TEST_BRKVER(0, 9, 0, 0)),
    _TEST(0055_producer_latency, TEST_F_KNOWN_ISSUE_WIN32),
    _TEST(0171_share_consumer_consume, 0, TEST_BRKVER(4, 2, 0, 0)),
    _TEST(8000_idle, TEST_F_MANUAL),
`))
	if want := []string{"0001_multiobj", "0055_producer_latency"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%v, %v; want %v", names, err, want)
	}
}
