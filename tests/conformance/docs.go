package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// writeDocs writes what was run and what differs, and why.
func writeDocs(opts options, playings []playing, seen map[peers.Kind]*transcripts, explained map[string]int) error {
	var b strings.Builder
	b.WriteString("# Conformance\n\n<!-- Written by go run ./tests/conformance -docs. Do not edit. -->\n\n")
	b.WriteString("Every answer of Barnabas beside the answers of Apache Kafka to the same bytes. `make conformance` repeats it.\n\n")
	for _, kind := range slices.Sorted(maps.Keys(seen)) {
		fmt.Fprintf(&b, "- %s: %d scripts played, %d exchanges\n", kind, len(seen[kind].events), seen[kind].exchanges())
	}
	fmt.Fprintf(&b, "\nSeed of the generated requests: %d.\n\n## What was asked\n\n", opts.seed)
	b.WriteString("Exchanges by API and version, those of Barnabas; in brackets the versions that no Apache of this run serves.\n\n")
	counts := map[int16]map[string]int{}
	for _, events := range seen[peers.Barnabas].events {
		for _, e := range events {
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
