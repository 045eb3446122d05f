package config

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// loadText loads a properties text as server.properties.
func loadText(t *testing.T, text string, overrides ...string) (*Config, error) {
	t.Helper()
	return Load(Options{
		File: "server.properties", Overrides: overrides, DefaultDataDir: "/data",
		ReadFile: func(name string) ([]byte, error) {
			if name == "server.properties" {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		},
	})
}

func mustLoad(t *testing.T, text string, overrides ...string) *Config {
	t.Helper()
	c, err := loadText(t, text, overrides...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNoFileAtAllIsAWorkingSingleNode(t *testing.T) {
	c, err := Load(Options{Environ: []string{"HOME=/home/x"}, Geteuid: func() int { return 1000 }})
	if err != nil {
		t.Fatal(err)
	}
	b := c.Broker()
	if len(b.Listeners) != 1 || b.Listeners[0].Name != "PLAINTEXT" || b.Listeners[0].Port != 9092 || b.Listeners[0].Host != "" {
		t.Errorf("listeners %+v", b.Listeners)
	}
	if !b.Listeners[0].Advertised || !b.Listeners[0].InterBroker {
		t.Errorf("listener %+v is not advertised and inter-broker", b.Listeners[0])
	}
	if got := b.LogDirs; len(got) != 1 || got[0] != "/home/x/.local/share/barnabas" {
		t.Errorf("log dirs %v", got)
	}
	if b.Group.InitialRebalanceDelay != 3*time.Second || b.Topics.NumPartitions != 1 || b.NodeID != -1 {
		t.Errorf("broker %+v", b)
	}
	if len(c.Notes()) != 0 {
		t.Errorf("notes %v", c.Notes())
	}
	topic := c.Topic(nil)
	if topic.SegmentSize != 1<<30 || topic.RetentionAge != 168*time.Hour || !topic.ProducerCodec || !topic.Delete {
		t.Errorf("topic %+v", topic)
	}
}

func TestMisspeltKeyIsReportedWithLineAndNearestKey(t *testing.T) {
	c := mustLoad(t, "node.id=1\n\nlog.retention.huors=5\n")
	notes := c.Notes()
	if len(notes) != 1 || notes[0].Kind != NoteUnknownKey || notes[0].Line != 3 || notes[0].Nearest != "log.retention.hours" {
		t.Fatalf("notes %v", notes)
	}
}

func TestBadValuesAreAllNamedWithPlaceReasonAndAllowedValues(t *testing.T) {
	_, err := loadText(t, "num.io.threads=0\nlog.segment.bytes=1g\nssl.key.password=geheim\n", "compression.type=rar")
	var ps Problems
	if !errors.As(err, &ps) || len(ps) != 3 {
		t.Fatalf("%v", err)
	}
	for i, want := range []string{
		"server.properties:1: num.io.threads=0: Value must be at least 1 (allowed: [1,...])",
		"server.properties:2: log.segment.bytes=1g: Not a number of type INT (allowed: [14,...])",
		"command line: compression.type=rar: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer (allowed: [uncompressed, zstd, lz4, snappy, gzip, producer])",
	} {
		if ps[i].Error() != want {
			t.Errorf("%d: %s", i, ps[i])
		}
	}
}

func TestZooKeeperIsATypedErrorThatNamesTheWayOut(t *testing.T) {
	_, err := loadText(t, "broker.id=0\nzookeeper.connect=localhost:2181\n")
	var zk *ZooKeeperError
	if !errors.As(err, &zk) || zk.Line != 2 || !strings.Contains(err.Error(), "--override zookeeper.connect=") {
		t.Fatalf("%v", err)
	}
	c := mustLoad(t, "broker.id=3\nzookeeper.connect=localhost:2181\n", "zookeeper.connect=")
	if c.Broker().NodeID != 3 {
		t.Errorf("node id %d", c.Broker().NodeID)
	}
}
