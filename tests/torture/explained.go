package main

import (
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// explain says why what ours makes of a damage is right though Apache makes something else
// of it, or "".
func explain(d *damage, s *scene, tp protocol.TopicPartition, verdict string, apache, ours *served) string {
	if verdict == "less" && strings.HasSuffix(d.file, ".log") && ours.stopsAtDamage(d.from[tp], apache) {
		return stops
	}
	if verdict == "more" && s.clean && (d.file == ".index" || d.file == "active .log") && apache.end < ours.end && ours.isTrue(s.truth[tp]) {
		return endByIndex
	}
	return ""
}

const stops = "nobody looks at old segments at a start. Where the damage begins ours answers CORRUPT_MESSAGE, or with the batch whose checksum does not " +
	"match, and readers come no further by themselves. Apache goes on with what it finds behind, and leaves out what is lost without a word"

const endByIndex = "after a clean stop Apache looks for the end of the log behind the last entry of the active segment's offset index. Where the entry is " +
	"wrong, or the file ends before it, it takes the first offset of the segment for the end, and writes over what is there. Ours finds the end in the file"

// isTrue says whether all that is served is what was written.
func (p *served) isTrue(t *truth) bool {
	for offset, text := range p.records {
		if t.records[offset] != text {
			return false
		}
	}
	return len(p.problems) == 0
}

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
