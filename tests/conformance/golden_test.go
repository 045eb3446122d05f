package main

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// What once differed from Apache, made as small as it gets, is answered as Apache answered
// it, or in a way that explained.go has a reason for.
func TestAnswersOfGoldenScriptsAreApaches(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "golden", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden scripts: %v", err)
	}
	options := []string{"num.partitions=3", "auto.create.topics.enable=true", "offsets.topic.num.partitions=5", "node.id=1"}
	for key, value := range settings() {
		options = append(options, key+"="+value)
	}
	broker := brokertest.Start(t, options...)
	target, err := newTarget(peers.Barnabas, broker.Address())
	if err == nil {
		err = target.warmUp()
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			g, err := readGolden(path)
			if err != nil {
				t.Fatal(err)
			}
			name := sprintf("generated: %s v%d", lookup(g.key).Name, g.version)
			one := playing{&script{name: name, key: g.key, run: func(t *T) {
				t.prepare(g.key)
				t.exchanges(g.list)
			}}, g.version}
			events, err := play(target, one, "cgolden0", i)
			if err != nil {
				t.Fatal(err)
			}
			g.events[peers.Barnabas] = events[:len(g.list)]
			for _, d := range judge([]peers.Kind{peers.Apache39, peers.Apache43}, name, g.events).unexplained {
				t.Errorf("%s\n%s", g.title, d)
			}
		})
	}
}

// Whatever the broker says it serves is generated, but for what it says only when it is
// configured for it.
func TestEveryAPIServedIsGenerated(t *testing.T) {
	target, err := newTarget(peers.Barnabas, brokertest.Start(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	for key := range target.ranges {
		if !slices.Contains(generatedKeys, key) {
			t.Errorf("%s is not generated", lookup(key).Name)
		}
	}
}
