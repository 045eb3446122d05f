package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// differ compares what the two left.
type differ struct {
	apache, ours *left
	counts       map[string]*counts
	used         map[string]int // how often each explanation was needed
	shown        int
}

type counts struct{ same, explained, different int }

func (d *differ) note(kind, name, difference string) {
	if d.counts == nil {
		d.counts, d.used = map[string]*counts{}, map[string]int{}
	}
	c := d.counts[kind]
	if c == nil {
		c = &counts{}
		d.counts[kind] = c
	}
	if difference == "" {
		c.same++
		return
	}
	if why := explain(kind, name, difference); why != "" {
		c.explained++
		d.used[why]++
		return
	}
	c.different++
	if d.shown++; d.shown <= 60 {
		fmt.Printf("DIFFERENT %s: %s: %.600s\n", kind, name, difference)
	}
}

// files compares the directories as the clean stop left them.
func (d *differ) files() {
	apache, ours := readTree(d.apache.dir), readTree(d.ours.dir)
	for _, name := range slices.Sorted(maps.Keys(union(apache, ours))) {
		a, o := apache[name], ours[name]
		kind := filepath.Ext(name)
		if base := filepath.Base(name); kind == "" || base == "partition.metadata" {
			kind = base
		}
		switch {
		case a == nil:
			d.note(kind, name, "Apache has no such file")
		case o == nil:
			d.note(kind, name, fmt.Sprintf("we have no such file; Apache's has %d bytes", len(*a)))
		default:
			d.note(kind, name, compareFile(kind, *a, *o))
		}
	}
}

func union(a, b map[string]*[]byte) map[string]*[]byte {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// readTree reads the files of partitions and checkpoints.
func readTree(dir string) map[string]*[]byte {
	files := map[string]*[]byte{}
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		name, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(name, "__cluster_metadata"):
			return fs.SkipDir // each broker's own
		case e.IsDir():
			return nil
		case !strings.Contains(name, "/") && (!strings.HasSuffix(name, "-checkpoint") || strings.HasPrefix(name, ".")):
			return nil // identity, locks, and what is the broker's own
		}
		b, err := os.ReadFile(path)
		if err == nil {
			files[name] = &b
		}
		return err
	})
	return files
}

func compareFile(kind string, apache, ours []byte) string {
	switch {
	case strings.HasSuffix(kind, "-checkpoint") && kind != "leader-epoch-checkpoint":
		apache, ours = sortLines(apache), sortLines(ours)
	case kind == "partition.metadata":
		apache, ours = withoutID(apache), withoutID(ours)
	}
	if bytes.Equal(apache, ours) {
		return ""
	}
	at := 0
	for at < min(len(apache), len(ours)) && apache[at] == ours[at] {
		at++
	}
	show := func(b []byte) string { return fmt.Sprintf("%q", b[max(0, min(at-8, len(b))):min(at+60, len(b))]) }
	return fmt.Sprintf("%d bytes, Apache's has %d; from byte %d on %s, Apache %s", len(ours), len(apache), at, show(ours), show(apache))
}

// sortLines orders the entries of a checkpoint, which Apache writes in no order, and leaves
// out Apache's own metadata partition.
func sortLines(b []byte) []byte {
	var lines []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); strings.Contains(line, " ") && !strings.HasPrefix(line, "__cluster_metadata") {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, "\n"))
}

func withoutID(b []byte) []byte {
	before, after, _ := bytes.Cut(b, []byte("topic_id: "))
	return fmt.Appendf(nil, "%stopic_id: (%d)", before, len(after))
}

// records compares what compaction and retention left.
func (d *differ) records() {
	for _, topic := range slices.Sorted(maps.Keys(d.apache.records)) {
		a, o := d.apache.records[topic], d.ours.records[topic]
		d.note("log start and end", topic, differs(fmt.Sprint(a.start, a.end), fmt.Sprint(o.start, o.end)))
		d.note("segments", topic, differs(fmt.Sprint(a.segments), fmt.Sprint(o.segments)))
		difference := ""
		for i := range max(len(a.records), len(o.records)) {
			var x, y string
			if i < len(a.records) {
				x = a.records[i]
			}
			if i < len(o.records) {
				y = o.records[i]
			}
			if difference = differs(x, y); difference != "" {
				difference = fmt.Sprintf("record %d of %d, Apache %d: %s", i, len(o.records), len(a.records), difference)
				break
			}
		}
		d.note("records", topic, difference)
	}
}

// cleaned tells what the cleaner and retention had to do, so that nobody takes two brokers
// that did nothing for two that agree.
func (d *differ) cleaned(s *script) {
	sent := map[string]int{}
	for _, step := range s.steps {
		h, err := protocol.ParseBatch(step.records)
		if err == nil && h.Magic == 2 {
			sent[step.topic] += int(h.RecordCount)
		}
	}
	fmt.Printf("\n| topic | records sent | left by Apache | left by us |\n|---|---|---|---|\n")
	for _, topic := range slices.Sorted(maps.Keys(sent)) {
		if a, o := len(d.apache.records[topic].records), len(d.ours.records[topic].records); a != sent[topic] || o != sent[topic] {
			fmt.Printf("| %s | %d | %d | %d |\n", topic, sent[topic], a, o)
		}
	}
}

func differs(apache, ours string) string {
	if apache == ours {
		return ""
	}
	return fmt.Sprintf("%s; Apache %s", ours, apache)
}
