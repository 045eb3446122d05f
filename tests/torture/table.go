package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// table counts how cases ended, by kind of file and of damage.
type table map[pair]map[string]int

func (t table) add(p pair, outcome string) {
	if t[p] == nil {
		t[p] = map[string]int{}
	}
	t[p][outcome]++
}

func (t table) total() (n int) {
	for _, outcomes := range t {
		for _, count := range outcomes {
			n += count
		}
	}
	return n
}

func (t table) print(w io.Writer) {
	columns := []string{outIdentical, outTailCut, outUnreadable, outHole, outAside, outOffline, outRefused, outChanged, outFailed}
	sums := map[string]int{}
	fmt.Fprintf(w, "\n| file | damage | cases | %s |\n|---|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)+1))
	for _, p := range slices.SortedFunc(maps.Keys(t), func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.damage, b.damage))
	}) {
		row, cells := 0, ""
		for _, c := range columns {
			n := t[p][c]
			row += n
			sums[c] += n
			cells += " " + blankZero(n) + " |"
		}
		fmt.Fprintf(w, "| %s | %s | %d |%s\n", p.file, p.damage, row, cells)
	}
	fmt.Fprintf(w, "| all | | %d |", t.total())
	for _, c := range columns {
		fmt.Fprintf(w, " %d |", sums[c])
	}
	fmt.Fprint(w, "\n\n")
}

func blankZero(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
