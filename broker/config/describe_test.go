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
	data, err := os.ReadFile("testdata/" + file)
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
			if k := LookupBroker(e.Name); k != nil && (k.Release == ReleaseOwned || k.Release == Release4) {
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
	compareGolden(t, "apache-3.9.2/broker-static.txt", c.DescribeBroker(nil), "log.dir")
	c, notes := c.WithDynamic(goldenPerBroker, goldenClusterDefault)
	if len(notes) > 0 {
		t.Fatal(notes)
	}
	compareGolden(t, "apache-3.9.2/broker-dynamic.txt", c.DescribeBroker(nil), "log.dir")
	compareGolden(t, "apache-3.9.2/broker-default.txt", c.DescribeBrokerDefault(nil))
	if got := c.DescribeBroker([]string{"log.retention.ms", "nope"}); len(got) != 1 || got[0].Name != "log.retention.ms" {
		t.Errorf("asked for one key: %v", got)
	}
}

func TestDescribeTopicIsApaches(t *testing.T) {
	c := goldenConfig(t)
	compareGolden(t, "apache-3.9.2/topic-plain.txt", c.DescribeTopic(nil, nil))
	compareGolden(t, "apache-3.9.2/topic-own.txt", c.DescribeTopic(goldenTopicOwn, nil))
	c, _ = c.WithDynamic(goldenPerBroker, goldenClusterDefault)
	compareGolden(t, "apache-3.9.2/topic-plain-dynamic.txt", c.DescribeTopic(map[string]string{"retention.ms": " 77 "}, nil))
}

func TestDescribeGroupIsApaches(t *testing.T) {
	c := mustLoad(t, "")
	own := map[string]string{"consumer.session.timeout.ms": "50000", "share.auto.offset.reset": "by_duration:PT1H"}
	// The one default that 4.x raised comes from the broker key.
	compareGolden(t, "apache-4.3.1/group.txt", c.DescribeGroup(own, nil), "share.partition.max.record.locks")
}

func TestDescribeClientMetricsShowsWhatIsStored(t *testing.T) {
	got := DescribeClientMetrics(map[string]string{"match": "client_id=.*", "interval.ms": "1000"}, []string{"match"})
	if len(got) != 1 || got[0].line() != "match\tclient_id=.*\tsource=7\tsensitive=false\treadonly=false\ttype=0\t[]" {
		t.Errorf("%v", got)
	}
}
