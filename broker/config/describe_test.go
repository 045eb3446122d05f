package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Apache's dynamic values in the golden files of testdata/apache-3.9.2.
var (
	goldenClusterDefault = map[string]string{"log.retention.ms": "1000000", "message.max.bytes": "2000000",
		"num.io.threads": "6", "leader.replication.throttled.rate": "500", "some.plugin.key": "v", "log.roll.ms": "90000000"}
	goldenPerBroker = map[string]string{"log.retention.ms": "2000000", "leader.replication.throttled.rate": "1000",
		"other.key": "w", "listener.name.plaintext.max.connections": "50", "log.cleaner.backoff.ms": "1",
		"listener.name.plaintext.ssl.keystore.location": "/y", "sasl.enabled.mechanisms": "FOO",
		"log.cleaner.min.compaction.lag.ms": "5", "log.cleaner.max.compaction.lag.ms": "4"}
	goldenTopicOwn = map[string]string{"retention.ms": "5000", "cleanup.policy": "compact,delete", "message.timestamp.type": "LogAppendTime"}
)

func goldenConfig(t *testing.T) *Config {
	t.Helper()
	c, err := Load(Options{File: "testdata/apache-3.9.2/server.properties"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// line writes an entry as the golden files have it.
func (e Entry) line() string {
	show := func(s *string) string {
		if s == nil {
			return "<null>"
		}
		return *s
	}
	var synonyms []string
	for _, s := range e.Synonyms {
		synonyms = append(synonyms, fmt.Sprintf("%s=%s@%d", s.Name, show(s.Value), s.Source))
	}
	return fmt.Sprintf("%s\t%s\tsource=%d\tsensitive=%v\treadonly=%v\ttype=%d\t[%s]", e.Name, show(e.Value), e.Source,
		e.Sensitive, e.ReadOnly, e.Type, strings.Join(synonyms, "; "))
}

// compareGolden holds entries against what Apache 3.9.2 answered. Keys that only we or 4.x
// have may be there in addition.
func compareGolden(t *testing.T, file string, entries []Entry, ownDefault ...string) {
	t.Helper()
	data, err := os.ReadFile("testdata/apache-3.9.2/" + file)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]string)
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		line, _, _ = strings.Cut(line, "\tdoc=")
		name, _, _ := strings.Cut(line, "\t")
		want[name] = line
	}
	for _, e := range entries {
		w, ok := want[e.Name]
		delete(want, e.Name)
		if !ok {
			if k := LookupBroker(e.Name); strings.HasPrefix(e.Name, "barnabas.") || (k != nil && k.Release == Release4) {
				continue
			}
			t.Errorf("%s: not in Apache's answer", e.Name)
			continue
		}
		if !contains(ownDefault, e.Name) && e.line() != w {
			t.Errorf("%s:\n got %s\nwant %s", file, e.line(), w)
		}
	}
	for _, w := range want {
		t.Errorf("%s: missing %s", file, w)
	}
}

func TestDescribeBrokerIsApaches(t *testing.T) {
	c := goldenConfig(t)
	compareGolden(t, "broker-static.txt", c.DescribeBroker(nil), "log.dir")
	c, notes := c.WithDynamic(goldenPerBroker, goldenClusterDefault)
	if len(notes) > 0 {
		t.Fatal(notes)
	}
	compareGolden(t, "broker-dynamic.txt", c.DescribeBroker(nil), "log.dir")
	compareGolden(t, "broker-default.txt", c.DescribeBrokerDefault(nil))
	if got := c.DescribeBroker([]string{"log.retention.ms", "nope"}); len(got) != 1 || got[0].Name != "log.retention.ms" {
		t.Errorf("asked for one key: %v", got)
	}
}

func TestDescribeTopicIsApaches(t *testing.T) {
	c := goldenConfig(t)
	compareGolden(t, "topic-plain.txt", c.DescribeTopic(nil, nil))
	compareGolden(t, "topic-own.txt", c.DescribeTopic(goldenTopicOwn, nil))
	c, _ = c.WithDynamic(goldenPerBroker, goldenClusterDefault)
	compareGolden(t, "topic-plain-dynamic.txt", c.DescribeTopic(map[string]string{"retention.ms": " 77 "}, nil))
}
