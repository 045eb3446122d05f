package main

import (
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// explain says why what ours makes of a damage is right though Apache makes something else
// of it, or "".
func explain(d *damage, tp protocol.TopicPartition, verdict string, apache, ours *served) string {
	if verdict == "less" && strings.HasSuffix(d.file, ".log") && ours.stopsAtDamage(d.from[tp], apache) {
		return stops
	}
	return ""
}

const stops = "nobody looks at old segments at a start. Where the damage begins ours answers CORRUPT_MESSAGE, or with the batch whose checksum does not " +
	"match, and readers come no further by themselves. Apache goes on with what it finds behind, and leaves out what is lost without a word"

// stopsAtDamage says whether the partition is served, as Apache serves it, up to a problem
// that lies in the damage.
func (p *served) stopsAtDamage(from int64, apache *served) bool {
	if len(p.problems) == 0 || p.problems[0].offset < from || p.start != apache.start || p.end != apache.end {
		return false
	}
	for offset, text := range apache.records {
		if offset < p.problems[0].offset && p.records[offset] != text {
			return false
		}
	}
	return true
}
