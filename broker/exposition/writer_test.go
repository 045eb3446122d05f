package exposition

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSamplesAreInPrometheusTextFormat(t *testing.T) {
	var w Writer
	w.Gauge("a", "help with \\ and\nnewline")
	w.Int(-3)
	w.Float(math.Inf(-1), "label", "quote \" backslash \\ newline \n bad \xff")
	w.Bool(true, "a", "1", "b", "2")
	w.Histogram("h", "x")
	w.Buckets([]float64{0.5, 1}, []int64{1, 0, 2}, 4.25, "api", "Fetch")
	w.Summary("s", "y")
	w.Total(2, 1.5)
	want := `# HELP a help with \\ and\nnewline
# TYPE a gauge
a -3
a{label="quote \" backslash \\ newline \n bad ` + "\uFFFD" + `"} -Inf
a{a="1",b="2"} 1
# HELP h x
# TYPE h histogram
h_bucket{api="Fetch",le="0.5"} 1
h_bucket{api="Fetch",le="1"} 1
h_bucket{api="Fetch",le="+Inf"} 3
h_sum{api="Fetch"} 4.25
h_count{api="Fetch"} 3
# HELP s y
# TYPE s summary
s_sum 1.5
s_count 2
`
	if got := string(w.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRuntimeMetricsAllHaveValues(t *testing.T) {
	var w Writer
	w.Runtime(time.Now())
	line := regexp.MustCompile(`^[a-z_]+(\{[a-z]+="[^"]*"\})? [0-9.e+]+$`)
	for _, l := range strings.Split(strings.TrimSpace(string(w.Bytes())), "\n") {
		if !strings.HasPrefix(l, "#") && !line.MatchString(l) {
			t.Errorf("%q is not a sample", l)
		}
	}
	for _, name := range []string{"go_goroutines ", "process_resident_memory_bytes ", "process_cpu_seconds_total "} {
		if !strings.Contains(string(w.Bytes()), "\n"+name) {
			t.Errorf("%s is missing", name)
		}
	}
}
