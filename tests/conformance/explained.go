package main

import (
	"regexp"
	"strings"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

// explanation is a difference that is meant.
type explanation struct {
	script string     // regular expression of script names, "" for all
	path   string     // regular expression of paths
	peer   peers.Kind // "" for all
	theirs string     // regular expression of what they answer, "" for all
	ours   string
	why    string
}

func explain(d difference) string {
	if (strings.HasSuffix(d.Path, "ErrorMessage")) && strings.HasPrefix(d.Theirs, `"`) && strings.HasPrefix(d.Ours, `"`) &&
		d.Theirs != `""` && d.Ours != `""` {
		return "the words of an error message are our own"
	}
	for _, e := range explanations {
		if (e.peer == "" || e.peer == d.Peer) && matches(e.script+"( v[0-9]+)?", d.Script) && matches(e.path, d.Path) &&
			matches(e.theirs, d.Theirs) && matches(e.ours, d.Ours) {
			return e.why
		}
	}
	return ""
}

func matches(pattern, s string) bool {
	return pattern == "" || regexp.MustCompile("^(?:"+pattern+")$").MatchString(s)
}

var explanations = []explanation{
	{script: "produce: null records", theirs: "silent",
		why: "Apache never answers null records: its handler dies; we answer INVALID_RECORD"},
	{script: "produce: the same partition twice", path: `Responses.*`,
		why: "a partition named twice: Apache keeps the last of its batches, drops the others and says nothing; we append and answer each"},
	{script: "produce: the same topic twice", path: `Responses.*`,
		why: "we answer in the order and grouping of the request; Apache's answer comes out of a hash map"},
	{script: "fetch: the same partition twice", path: `Responses.*`,
		why: "a partition named twice without a session: Apache keeps the last, we answer each"},
	{script: "fetch: sizes", path: `Responses\[0\].Partitions\[0\].Records\[0\]`, theirs: "not there",
		why: "Fetch v0-v2 with a limit below the first batch: Apache answers nothing, at which old clients hang; we send it cut, or whole"},
	{script: "deleterecords: what cannot be", path: `Topics\[0\].Partitions\[1\]`, theirs: "not there",
		why: "a partition named twice: Apache keeps the last, we answer each"},
	{script: "fetch: .*", path: `.*Records\[[0-9]+\]`, theirs: `\{cutAfterBytes.*`, ours: "not there",
		why: "Apache cuts the last batch of an answer at the limit; we end it with a whole batch"},
	{script: "metadata: creates topics", path: `Topics\[0\].*`,
		why: "Metadata that creates a topic: we name its leader at once, Apache answers UNKNOWN_TOPIC_OR_PARTITION first"},
	{script: "describetopicpartitions: pages", theirs: `.*ErrorCode: -1.*`,
		why: "DescribeTopicPartitions with the topic name \"\" and no cursor: Apache dies of a null pointer"},
	{path: `Results\[0\].Configs\[[0-9]+\]`, theirs: "not there", ours: `\{Name: "barnabas\..*`, why: "configuration keys that only we have"},
	{script: "produce: several topics.*", path: `Responses order`,
		why: "we answer in the order and grouping of the request; Apache's answer comes out of a hash map"},
}
