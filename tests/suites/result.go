package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// status is how one test ended.
type status string

const (
	passed  status = "pass"
	failed  status = "FAIL"
	skipped status = "skip" // by the suite itself
	listed  status = "listed"
)

// result is one test of a suite.
type result struct {
	name     string
	status   status
	duration time.Duration
	reason   string
	failures []string // of a test with sub-tests: the innermost that failed
}

// outcome is one run of a suite.
type outcome struct {
	suite   *suite
	list    map[string]string // tests that cannot pass: the reason of each
	results []result
}

// complete gives tests their place on the list: those that were not run for it, and those
// that failed in nothing but what is listed.
func (o *outcome) complete(notRun map[string]bool, wanted *regexp.Regexp) {
	for i := range o.results {
		r := &o.results[i]
		if r.status != failed {
			continue
		}
		var reasons []string
		for _, name := range append([]string{r.name}, r.failures...) {
			if reason, ok := o.list[name]; ok && !slices.Contains(reasons, name+": "+reason) {
				reasons = append(reasons, name+": "+reason)
			}
		}
		unlisted := slices.DeleteFunc(slices.Clone(r.failures), func(name string) bool { _, ok := o.list[name]; return ok })
		_, whole := o.list[r.name]
		if whole || len(unlisted) == 0 && len(r.failures) > 0 {
			r.status, r.reason = listed, strings.Join(reasons, "; ")
		} else if len(r.failures) > 0 {
			r.reason = "failed: " + strings.Join(unlisted, ", ")
		}
	}
	for name := range notRun {
		seen := slices.ContainsFunc(o.results, func(r result) bool { return r.name == name })
		if !seen && wanted.MatchString(name) {
			o.results = append(o.results, result{name: name, status: listed, reason: o.list[name]})
		}
	}
	slices.SortFunc(o.results, func(a, b result) int { return strings.Compare(a.name, b.name) })
}

func (o *outcome) count(s status) int {
	n := 0
	for _, r := range o.results {
		if r.status == s {
			n++
		}
	}
	return n
}

// printOutcomes prints the table and the tests that did not pass, or not at once. It says whether every
// test passed, was skipped by its suite, or is listed, and any ran.
func printOutcomes(w io.Writer, outcomes []*outcome) bool {
	ok := true
	for _, o := range outcomes {
		fmt.Fprintf(w, "%s %s: what did not pass, or not at once\n", o.suite.name, o.suite.version)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, r := range o.results {
			if r.status != passed || r.reason != "" {
				fmt.Fprintf(t, "  %s\t%s\t%s\n", r.status, r.name, r.reason)
			} else if _, onList := o.list[r.name]; onList {
				fmt.Fprintf(t, "  passes\t%s\tbut is listed; its line can go\n", r.name)
			}
		}
		t.Flush()
		fmt.Fprintln(w)
		ok = ok && o.count(failed) == 0 && o.count(passed) > 0
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "suite\ttests\tpass\tfail\tskip\tlisted\tApache 3.9.2\tApache 4.3.1 (pass/fail/skip)\n")
	allPassed, allFailed := 0, 0
	for _, o := range outcomes {
		allPassed, allFailed = allPassed+o.count(passed), allFailed+o.count(failed)
		fmt.Fprintf(t, "%s %s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", o.suite.name, o.suite.version, len(o.results),
			o.count(passed), o.count(failed), o.count(skipped), o.count(listed), o.suite.apache39, o.suite.apache43)
	}
	t.Flush()
	fmt.Fprintf(w, "%d passed, %d failed\n", allPassed, allFailed)
	return ok
}
