package exposition

import (
	"math"
	"strconv"
	"strings"
)

// ContentType is what an answer is served as.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Writer collects samples. The zero value is empty and ready.
type Writer struct {
	b    []byte
	name string // of the family that samples belong to
}

// Bytes returns what was written.
func (w *Writer) Bytes() []byte { return w.b }

// Gauge begins a family of values that go up and down.
func (w *Writer) Gauge(name, help string) { w.family(name, "gauge", help) }

// Counter begins a family of values that only grow. Its name ends in _total.
func (w *Writer) Counter(name, help string) { w.family(name, "counter", help) }

// Histogram begins a family for [Writer.Buckets].
func (w *Writer) Histogram(name, help string) { w.family(name, "histogram", help) }

// Summary begins a family for [Writer.Total].
func (w *Writer) Summary(name, help string) { w.family(name, "summary", help) }

func (w *Writer) family(name, kind, help string) {
	w.name = name
	w.b = append(w.b, "# HELP "...)
	w.b = append(w.b, name...)
	w.b = append(w.b, ' ')
	w.b = appendEscaped(w.b, help, false)
	w.b = append(w.b, "\n# TYPE "...)
	w.b = append(w.b, name...)
	w.b = append(w.b, ' ')
	w.b = append(w.b, kind...)
	w.b = append(w.b, '\n')
}

// Int writes a sample; labels are names and values by turns.
func (w *Writer) Int(value int64, labels ...string) {
	w.sample("", labels, "")
	w.b = strconv.AppendInt(w.b, value, 10)
	w.b = append(w.b, '\n')
}

// Float writes a sample; labels are names and values by turns.
func (w *Writer) Float(value float64, labels ...string) {
	w.sample("", labels, "")
	w.b = appendFloat(w.b, value)
	w.b = append(w.b, '\n')
}

// Bool writes 1 or 0.
func (w *Writer) Bool(value bool, labels ...string) {
	n := int64(0)
	if value {
		n = 1
	}
	w.Int(n, labels...)
}

// Buckets writes one histogram: counts holds one more than bounds, for what is above the
// last bound; sum is the sum of all that was observed.
func (w *Writer) Buckets(bounds []float64, counts []int64, sum float64, labels ...string) {
	total := int64(0)
	for i, n := range counts {
		total += n
		bound := math.Inf(1)
		if i < len(bounds) {
			bound = bounds[i]
		}
		w.sample("_bucket", labels, string(appendFloat(nil, bound)))
		w.b = strconv.AppendInt(w.b, total, 10)
		w.b = append(w.b, '\n')
	}
	w.Total(total, sum, labels...)
}

// Total writes one summary without quantiles: how much was observed, and the sum of it.
func (w *Writer) Total(count int64, sum float64, labels ...string) {
	w.sample("_sum", labels, "")
	w.b = appendFloat(w.b, sum)
	w.b = append(w.b, '\n')
	w.sample("_count", labels, "")
	w.b = strconv.AppendInt(w.b, count, 10)
	w.b = append(w.b, '\n')
}

// sample writes a sample's name and labels, and the blank before its value.
func (w *Writer) sample(suffix string, labels []string, bound string) {
	w.b = append(w.b, w.name...)
	w.b = append(w.b, suffix...)
	separator := byte('{')
	label := func(name, value string) {
		w.b = append(w.b, separator)
		w.b = append(w.b, name...)
		w.b = append(w.b, `="`...)
		w.b = appendEscaped(w.b, value, true)
		w.b = append(w.b, '"')
		separator = ','
	}
	for i := 0; i+1 < len(labels); i += 2 {
		label(labels[i], labels[i+1])
	}
	if bound != "" {
		label("le", bound)
	}
	if separator == ',' {
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, ' ')
}

func appendFloat(b []byte, value float64) []byte {
	switch {
	case math.IsInf(value, 1):
		return append(b, "+Inf"...)
	case math.IsInf(value, -1):
		return append(b, "-Inf"...)
	case math.IsNaN(value):
		return append(b, "NaN"...)
	}
	return strconv.AppendFloat(b, value, 'g', -1, 64)
}

// appendEscaped writes a help text or a label's value; values come from clients and may
// hold anything.
func appendEscaped(b []byte, s string, quotes bool) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b = append(b, `\\`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '"' && quotes:
			b = append(b, `\"`...)
		default:
			b = append(b, c)
		}
	}
	return b
}
