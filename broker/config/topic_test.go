package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
)

func TestDefaultTopicSettingsAreTheLogsDefaults(t *testing.T) {
	if got, want := mustLoad(t, "").Topic(nil), log.DefaultConfig(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTopicSettingsComeFromTopicThenDynamicThenStatic(t *testing.T) {
	c := mustLoad(t, "log.retention.hours=2\nlog.retention.minutes=30\nlog.flush.scheduler.interval.ms=7\nlog.roll.hours=3\n"+
		"compression.type=gzip\ncompression.gzip.level=5\nlog.message.timestamp.difference.max.ms=9\nlog.cleanup.policy=compact\nbarnabas.durable.acks=true\n")
	got := c.Topic(nil)
	if got.RetentionAge != 30*time.Minute || got.FlushInterval != 7*time.Millisecond || got.SegmentAge != 3*time.Hour {
		t.Errorf("durations %+v", got)
	}
	if got.Compression != protocol.CodecGzip || got.CompressionLevel != 5 || got.ProducerCodec {
		t.Errorf("compression %+v", got)
	}
	if got.TimestampBeforeMax != 9*time.Millisecond || got.TimestampAfterMax != 9*time.Millisecond || got.Delete || !got.Compact || !got.DurableAcks {
		t.Errorf("%+v", got)
	}
	c, _ = c.WithDynamic(map[string]string{"log.retention.ms": "20"}, map[string]string{"log.retention.ms": "10", "message.max.bytes": "5"})
	if got = c.Topic(nil); got.RetentionAge != 20*time.Millisecond || got.MaxMessageSize != 5 {
		t.Errorf("dynamic %+v", got)
	}
	got = c.Topic(map[string]string{"retention.ms": "-1", "segment.bytes": "nonsense", "cleanup.policy": "compact,delete", "min.insync.replicas": "2"})
	if got.RetentionAge != -1 || got.SegmentSize != 1<<30 || !got.Delete || !got.Compact {
		t.Errorf("own %+v", got)
	}
	if n := c.TopicMinInsyncReplicas(map[string]string{"min.insync.replicas": "2"}); n != 2 {
		t.Errorf("min isr %d", n)
	}
}

func TestForeverFitsADuration(t *testing.T) {
	got := mustLoad(t, "log.retention.hours=2147483647\n").Topic(map[string]string{"segment.ms": "9223372036854775807"})
	if got.RetentionAge != log.Forever || got.SegmentAge != log.Forever {
		t.Errorf("%v %v", got.RetentionAge, got.SegmentAge)
	}
}

func TestDynamicValuesThatCannotBeUsedAreLeftOutAndTold(t *testing.T) {
	c := mustLoad(t, "num.io.threads=4\n")
	next, notes := c.WithDynamic(
		map[string]string{"num.io.threads": "x", "log.dirs": "/x", "log.retention.ms": " 5 ", "plugin.key": "v"},
		map[string]string{"listeners": "PLAINTEXT://:1", "max.connections": "9"})
	if len(notes) != 3 {
		t.Errorf("notes %v", notes)
	}
	b := next.Broker()
	if b.Network.IOThreads != 4 || b.Network.MaxConnections != 9 || b.Listeners[0].Port != 9092 {
		t.Errorf("%+v", b.Network)
	}
	if c.Broker().Network.MaxConnections != 1<<31-1 {
		t.Error("the former configuration changed")
	}
	if back, _ := next.WithDynamic(nil, nil); back.Broker().Network.MaxConnections != 1<<31-1 {
		t.Error("a dynamic value outlives its deletion")
	}
}

// Listeners are opened at the start, from the file. What was stored under an earlier file
// does not count, is not described, can be deleted, and is in no other key's way.
func TestStoredListenersOfAnEarlierFile(t *testing.T) {
	stored := map[string]string{"listeners": "PLAINTEXT://:1", "log.retention.ms": "5"}
	was, notes := mustLoad(t, "listeners=PLAINTEXT://:1\n").WithDynamic(stored, nil)
	if len(notes) != 0 || was.ValidateBroker(stored, true) != nil {
		t.Errorf("what is open already is refused: %v %v", notes, was.ValidateBroker(stored, true))
	}
	c, notes := mustLoad(t, "listeners=PLAINTEXT://:2\n").WithDynamic(stored, nil)
	if v, _ := c.Value("listeners"); v != "PLAINTEXT://:2" || c.Broker().Listeners[0].Port != 2 || len(notes) != 1 {
		t.Errorf("listeners %s, %d, notes %v", v, c.Broker().Listeners[0].Port, notes)
	}
	for listeners, accepted := range map[string]bool{"": true, "PLAINTEXT://:1": true, "PLAINTEXT://:2": true, "PLAINTEXT://:3": false} {
		values := map[string]string{"log.retention.ms": "6"}
		if listeners != "" {
			values["listeners"] = listeners
		}
		if err := c.ValidateBroker(values, true); (err == nil) != accepted {
			t.Errorf("listeners=%s: %v", listeners, err)
		}
	}
	if again, _ := c.WithDynamic(nil, nil); again.unopened != nil {
		t.Error("a deleted value is remembered")
	}
}

func TestPrintHidesSecrets(t *testing.T) {
	c := mustLoad(t, "ssl.key.password=geheim\nmy.client.secret=geheim\nssl.keystore.pasword=geheim\nlistener.name.a.plain.sasl.jaas.config=geheim\nnode.id=5\n")
	all := strings.Join(c.Print(true), "\n")
	if strings.Contains(all, "geheim") || !strings.Contains(all, "ssl.key.password = "+Redacted) {
		t.Error(all)
	}
	if !strings.Contains(all, "num.io.threads = 8") || !strings.Contains(all, "broker.rack = null") {
		t.Error("defaults are missing")
	}
	if few := c.Print(false); len(few) != 6 {
		t.Errorf("%v", few)
	}
}

func TestNotesOfOneKindAreOneLine(t *testing.T) {
	c := mustLoad(t, "zookeeper.session.timeout.ms=1\nnum.io.threads=9\nlog.preallocate=true\nnope=1\n")
	if notes := Collapse(c.Notes()); len(notes) != 3 {
		t.Errorf("%v", notes)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load(Options{File: "testdata/samples/4.x.properties"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTopic(b *testing.B) {
	c, err := Load(Options{})
	if err != nil {
		b.Fatal(err)
	}
	own := map[string]string{"retention.ms": "5"}
	b.ReportAllocs()
	for b.Loop() {
		c.Topic(own)
	}
}
