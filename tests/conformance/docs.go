package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// writeDocs writes what was run and what differs, and why.
func writeDocs(opts options, playings []playing, seen map[peers.Kind]*transcripts, explained map[string]int, unexplained int, calm []string) error {
	var b strings.Builder
	b.WriteString("# Conformance\n\n<!-- Written by go run ./tests/conformance -docs. Do not edit. -->\n\n")
	b.WriteString("Every answer of Barnabas beside the answers of Apache Kafka to the same bytes. `make conformance` repeats it.\n\n")
	byHand := map[string]bool{}
	for _, p := range playings {
		if !strings.HasPrefix(p.script.name, "generated: ") {
			byHand[p.script.name] = true
		}
	}
	fmt.Fprintf(&b, "%d scripts by hand, each in all versions of the API that it is about, and generated requests (seed %d).\n\n", len(byHand), opts.seed)
	b.WriteString("| broker | scripts and versions played | exchanges | of them generated | time |\n|---|---|---|---|---|\n")
	for _, kind := range slices.Sorted(maps.Keys(seen)) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %v |\n", kind, len(seen[kind].events), seen[kind].exchanges(), seen[kind].generated(), seen[kind].whole.Round(time.Second))
	}
	fmt.Fprintf(&b, "\nDifferences without an explanation: %d.\n", unexplained)
	if len(calm) > 0 {
		b.WriteString("\nScripts that differed and, played twice more while nothing else ran, did not: ")
		b.WriteString(strings.Join(calm, "; ") + ".\n")
	}
	b.WriteString("\n## What was asked\n\n")
	b.WriteString("Exchanges by API and version, those of Barnabas; in brackets the versions that no Apache of this run serves. ‘Others’ are\n" +
		"versions beyond what the broker serves, keys that no API has, and APIs between brokers.\n\n")
	counts := map[int16]map[string]int{}
	others, ways := 0, map[string]int{}
	for name, events := range seen[peers.Barnabas].events {
		for _, e := range events {
			if way, _, ok := strings.Cut(e.Asked, ", "); ok && strings.HasPrefix(name, "generated: ") {
				ways[way]++
			}
			if strings.HasPrefix(name, "generated: keys") {
				others++
				continue
			}
			i := strings.LastIndex(e.Label, " v")
			if e.Key < 0 || i < 0 {
				continue
			}
			if counts[e.Key] == nil {
				counts[e.Key] = map[string]int{}
			}
			counts[e.Key][e.Label[i+2:]]++
		}
	}
	b.WriteString("| key | API | version: exchanges |\n|---|---|---|\n")
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "| %d | %s |", key, schema.Lookup(key).Name)
		for v := range int16(30) {
			n := counts[key][fmt.Sprint(v)]
			if n == 0 {
				continue
			}
			served := false
			for _, kind := range opts.peers {
				served = served || seen[kind].target.serves(key, v)
			}
			format := " %d: %d"
			if !served {
				format = " (%d: %d)"
			}
			fmt.Fprintf(&b, format, v, n)
		}
		b.WriteString(" |\n")
	}
	fmt.Fprintf(&b, "| | others | %d |\n", others)
	b.WriteString("\nThe generated ones by what is special about them (‘twice’: something is named a second time):\n\n| requests | what |\n|---|---|\n")
	for _, way := range slices.Sorted(maps.Keys(ways)) {
		fmt.Fprintf(&b, "| %d | %s |\n", ways[way], way)
	}
	appendAPIVersions(&b, opts, seen)
	b.WriteString("\n## What differs, and why\n\nTimes counts single fields.\n\n| times | difference |\n|---|---|\n")
	whys := slices.SortedFunc(maps.Keys(explained), func(a, b string) int { return cmp.Compare(a, b) })
	for _, why := range whys {
		fmt.Fprintf(&b, "| %d | %s |\n", explained[why], strings.ReplaceAll(why, "|", "\\|"))
	}
	b.WriteString(`
## What is made equal before comparing

Ids that a broker makes (topics, members, producers, fetch sessions, the cluster), times within an hour of now, hosts, ports,
data directories and disk sizes. Ids keep their identity: the same id must come back in the same places. Lists that Apache
takes out of hash maps, or shuffles, are sorted: topics and partitions of Metadata, members of groups, offsets of a group,
configuration keys, the answers of Produce, DeleteRecords and OffsetCommit, results of DeleteTopics, DeleteGroups and AlterReplicaLogDirs, quotas.
`)
	return os.WriteFile(opts.docs, []byte(b.String()), 0o644)
}
