package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestStockSamplesOfAllKafkasLoad(t *testing.T) {
	files, err := filepath.Glob("testdata/samples/*.properties")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		version := strings.TrimSuffix(filepath.Base(file), ".properties")
		t.Run(version, func(t *testing.T) {
			c, err := Load(Options{File: file})
			var zk *ZooKeeperError
			switch {
			case strings.HasSuffix(version, "-broker"), strings.HasSuffix(version, "-controller"):
				var ps Problems
				if !errors.As(err, &ps) || !strings.Contains(err.Error(), "process.roles=broker,controller") {
					t.Fatalf("a node that needs others is not refused: %v", err)
				}
				return
			case errors.As(err, &zk):
				c, err = Load(Options{File: file, Overrides: []string{"zookeeper.connect="}})
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range c.Notes() {
				if n.Kind == NoteUnknownKey {
					t.Errorf("unknown key: %v", n)
				}
			}
			b := c.Broker()
			if l := b.Listeners.InterBroker(); l == nil || l.Port != 9092 {
				t.Errorf("listeners %+v", b.Listeners)
			}
			if !strings.HasPrefix(b.LogDirs[0], "/tmp/") || b.NodeID < 0 {
				t.Errorf("log dirs %v, id %d", b.LogDirs, b.NodeID)
			}
		})
	}
}

func TestKeysRemovedInKafka3StillSayWhereToListen(t *testing.T) {
	c := mustLoad(t, "port=9999\nhost.name=10.0.0.5\nadvertised.host.name=kafka.example\nadvertised.port=19999\n")
	l := c.Broker().Listeners[0]
	if l.Host != "10.0.0.5" || l.Port != 9999 || l.AdvertisedHost != "kafka.example" || l.AdvertisedPort != 19999 {
		t.Errorf("%+v", l)
	}
	if len(c.Notes()) != 4 || c.Notes()[0].Kind != NoteRemoved || !c.Notes()[0].Warn() {
		t.Errorf("notes %v", c.Notes())
	}
	c = mustLoad(t, "listeners=PLAINTEXT://:1\nport=9999\n")
	if l := c.Broker().Listeners[0]; l.Port != 1 {
		t.Errorf("%+v", l)
	}
}

func TestReplicationFactorsOfInternalTopicsAreClamped(t *testing.T) {
	c := mustLoad(t, "offsets.topic.replication.factor=3\n")
	offsets, txn, minISR, notes := c.ClampReplicationFactors(1)
	if offsets != 1 || txn != 1 || minISR != 1 || len(notes) != 3 || notes[0].Line != 1 || !notes[0].Warn() {
		t.Errorf("%d %d %d %v", offsets, txn, minISR, notes)
	}
	if offsets, txn, minISR, notes = c.ClampReplicationFactors(5); offsets != 3 || txn != 3 || minISR != 2 || len(notes) != 0 {
		t.Errorf("%d %d %d %v", offsets, txn, minISR, notes)
	}
}
