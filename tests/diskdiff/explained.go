package main

import "strings"

// explain says why a difference is right, or "".
func explain(kind, name, difference string) string {
	for _, e := range explained {
		if e.kind == kind && strings.Contains(name, e.name) && strings.Contains(difference, e.difference) {
			return e.why
		}
	}
	return ""
}

const (
	recompressed = "old compressed messages are turned into a batch and compressed again, by another implementation of the codec: " +
		"the sizes differ, and with them where index entries fall. The records do not"
	commitTimes    = "an offset commit has the time of its arrival. Apache also writes base sequence 0 where no producer is, we -1; nobody reads it"
	compactedFirst = "what comes first, compaction or retention, is a matter of time. A segment that compaction has emptied is as old as its file, and stays"
)

var explained = []struct{ kind, name, difference, why string }{
	{".log", "magic0-gzip", "", recompressed}, {".log", "magic1-gzip", "", recompressed},
	{".log", "magic0-lz4", "", recompressed}, {".log", "magic1-lz4", "", recompressed},
	{".index", "magic0-gzip", "", recompressed}, {".index", "magic1-gzip", "", recompressed},
	{".index", "magic0-lz4", "", recompressed}, {".index", "magic1-lz4", "", recompressed},
	{".timeindex", "magic1-gzip", "", recompressed}, {".timeindex", "magic1-lz4", "", recompressed},
	{"log start and end", "compact-delete", "0 960; Apache 408 960", compactedFirst}, {"log start and end", "compact-delete", "408 960; Apache 0 960", compactedFirst},
	{".log", "__consumer_offsets-0", "", commitTimes}, {".timeindex", "__consumer_offsets-0", "", commitTimes},
}
