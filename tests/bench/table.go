package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// figure is all that was measured of one thing on one broker.
type figure struct {
	Broker string    `json:"broker"`
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"`          // one per round
	Error  string    `json:"error,omitempty"` // instead of values
}

// table collects figures in the order they come in.
type table struct {
	figures []*figure
}

func (t *table) add(broker, name, unit string, value float64) {
	fmt.Fprintf(os.Stderr, "    %s: %s %s\n", name, number(value), unit)
	for _, f := range t.figures {
		if f.Broker == broker && f.Name == name && f.Error == "" {
			f.Values = append(f.Values, value)
			return
		}
	}
	t.figures = append(t.figures, &figure{Broker: broker, Name: name, Unit: unit, Values: []float64{value}})
}

func (t *table) fail(broker, name string, err error) {
	fmt.Fprintf(os.Stderr, "    %s: %v\n", name, err)
	t.figures = append(t.figures, &figure{Broker: broker, Name: name, Error: err.Error()})
}

// print writes one line per figure: each broker's median, with the range when there are
// several rounds, and how many times Barnabas's figure the others' are.
func (t *table) print(w io.Writer) {
	var brokers, names []string
	for _, f := range t.figures {
		if !slices.Contains(brokers, f.Broker) {
			brokers = append(brokers, f.Broker)
		}
		if f.Error == "" && !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	fmt.Fprintf(w, "\n%-44s %-12s", "figure", "unit")
	for _, b := range brokers {
		fmt.Fprintf(w, " %26s", b)
	}
	for _, b := range brokers {
		if b != "barnabas" && slices.Contains(brokers, "barnabas") {
			fmt.Fprintf(w, " %22s", "barnabas/"+b)
		}
	}
	fmt.Fprintln(w)
	for _, name := range names {
		unit := ""
		cells := map[string]*figure{}
		for _, f := range t.figures {
			if f.Name == name && f.Error == "" {
				cells[f.Broker], unit = f, f.Unit
			}
		}
		fmt.Fprintf(w, "%-44s %-12s", name, unit)
		for _, b := range brokers {
			fmt.Fprintf(w, " %26s", cells[b].cell())
		}
		for _, b := range brokers {
			if b == "barnabas" || !slices.Contains(brokers, "barnabas") {
				continue
			}
			ratio := "-"
			if ours, theirs := cells["barnabas"], cells[b]; ours != nil && theirs != nil && theirs.median() != 0 {
				ratio = number(ours.median() / theirs.median())
			}
			fmt.Fprintf(w, " %22s", ratio)
		}
		fmt.Fprintln(w)
	}
	for _, f := range t.figures {
		if f.Error != "" {
			fmt.Fprintf(w, "%s %s: %s\n", f.Broker, f.Name, f.Error)
		}
	}
	fmt.Fprint(w, "\n", note)
}

// note says what the figures are of.
const note = `Figures are medians over the rounds, with the range behind. cpu is the broker's user and system time together.
All brokers and the floor write segments of 256 MiB to the same disk and keep 512 MiB of a partition, looked after every second.
floor: a toy that reads the frame, checks the CRC, patches the offset, appends to a file that grows, rolls and is removed as the
brokers' are, and answers; one kind of request, no indexes, no metadata, no metrics. floor-warm overwrites one file per partition
instead, whose pages are in memory already, which no log can. On a virtual machine a page that is new to it costs far more than
what is done with it.
many partitions: created by one request. Apache's controller refuses one for 10,000 (POLICY_VIOLATION: it makes more than 10,000
metadata records at once), so its brokers may have been asked for fewer; the first line says for how many.
`

func (f *figure) cell() string {
	if f == nil || len(f.Values) == 0 {
		return "-"
	}
	if len(f.Values) == 1 {
		return number(f.Values[0])
	}
	return fmt.Sprintf("%s (%s–%s)", number(f.median()), number(slices.Min(f.Values)), number(slices.Max(f.Values)))
}

func (f *figure) median() float64 {
	v := slices.Sorted(slices.Values(f.Values))
	if len(v)%2 == 1 {
		return v[len(v)/2]
	}
	return (v[len(v)/2-1] + v[len(v)/2]) / 2
}

// number gives three digits that count.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	case math.Abs(v) >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
