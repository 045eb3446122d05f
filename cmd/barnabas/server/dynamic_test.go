package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// readAtUse are the keys that the broker reads from its configuration whenever it needs
// them, so that there is nothing to be handed over.
var readAtUse = []string{
	"barnabas.answer.max.stall.ms", "barnabas.max.unauthenticated.bytes", "barnabas.max.unauthenticated.connections",
	"barnabas.max.unauthenticated.connections.per.ip", "barnabas.request.min.bytes.per.second",
	"log.message.downconversion.enable", "min.insync.replicas", "replica.alter.log.dirs.io.max.bytes.per.second",
	// The connection limits take them over with every alteration; broker tests that.
	"max.connection.creation.rate", "max.connections", "max.connections.per.ip", "max.connections.per.ip.overrides",
}

// Every key that may be altered for all brokers, and that the table says is honoured, is in
// force in the room that it belongs to once it has been altered, and no longer when it is
// deleted.
func TestAlteredKeysTakeEffect(t *testing.T) {
	c, err := config.Load(config.Options{Overrides: []string{"listeners=PLAINTEXT://127.0.0.1:0", "log.dirs=" + t.TempDir(), "barnabas.admin.listener="}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	s, err := Open(ctx, Options{Config: c, PanicsEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(ctx)
	if out, err := s.store.CreateTopics(ctx, metadata.CreateTopics{Topics: []metadata.NewTopic{{Name: "t", Partitions: 1, ReplicationFactor: 1}}}); err != nil || out[0].Err != nil {
		t.Fatal(err, out)
	}
	inForce := func() string {
		o := s.logs.Cleaner().Options()
		return fmt.Sprintf("%+v %d %d %d %g %v %d", *s.logs.Get(protocol.TopicPartition{Topic: "t"}).Config(),
			o.Threads, o.DedupeBufferSize, o.IOBufferSize, o.MaxBytesPerSecond, o.Backoff, s.producerState.ExpirationMs.Load())
	}
	read := func() string {
		c := s.broker.Config()
		return fmt.Sprintf("%+v %+v %d %t", c.Broker().Network, c.Broker().Replication, c.TopicMinInsyncReplicas(nil), c.TopicDownConversion(nil))
	}
	values := map[string]string{
		"compression.gzip.level": "5", "compression.lz4.level": "5", "compression.type": "zstd", "log.cleanup.policy": "compact", "log.message.timestamp.type": "LogAppendTime",
		"log.retention.bytes": "1000000", "log.retention.ms": "1000000", "log.flush.interval.ms": "1000", "log.roll.ms": "1000000", "log.roll.jitter.ms": "1000",
		"max.connections.per.ip.overrides": "127.0.0.1:5",
	}
	walked := 0
	for _, k := range config.Keys(config.ScopeBroker) {
		if k.Dynamic != config.ClusterWide || k.Tier != config.TierHonoured {
			continue
		}
		walked++
		look := inForce
		for _, name := range readAtUse {
			if name == k.Name {
				look = read
			}
		}
		value := values[k.Name]
		if value == "" {
			value = another(k)
		}
		codec, isLevel := strings.CutPrefix(strings.TrimSuffix(k.Name, ".level"), "compression.")
		if isLevel && codec != "type" {
			alter(t, s, "compression.type", &codec) // levels count for their codec alone
		}
		before := look()
		alter(t, s, k.Name, &value)
		if look() == before {
			t.Errorf("%s=%s is accepted and changes nothing", k.Name, value)
		}
		alter(t, s, k.Name, nil)
		if after := look(); after != before {
			t.Errorf("%s is deleted and what was in force is not again:\n%s\n%s", k.Name, before, after)
		}
		if isLevel && codec != "type" {
			alter(t, s, "compression.type", nil)
		}
	}
	if walked < 40 {
		t.Errorf("%d keys were walked", walked)
	}
}

// another returns a valid value that is not the default.
func another(k config.Key) string {
	if n, err := strconv.ParseFloat(k.Default, 64); err == nil {
		if n > 1000 {
			return strconv.FormatInt(int64(min(n, 1<<40)/2), 10)
		}
		if strings.Contains(k.Default, ".") {
			return strconv.FormatFloat(n/2, 'g', -1, 64)
		}
		return strconv.FormatInt(int64(n)*2+min(1, int64(1/(n+1))), 10)
	}
	if on, err := strconv.ParseBool(k.Default); err == nil {
		return strconv.FormatBool(!on)
	}
	return ""
}

func alter(t *testing.T, s *Server, name string, value *string) {
	t.Helper()
	entry := metadata.ConfigChange{Name: name, Value: value}
	if value == nil {
		entry.Op = metadata.ConfigDelete
	}
	out, err := s.store.IncrementalAlterConfigs(context.Background(), metadata.IncrementalAlterConfigs{Alterations: []metadata.ConfigAlteration{
		{Resource: metadata.ConfigResource{Type: metadata.BrokerResource}, Changes: []metadata.ConfigChange{entry}}}})
	if err != nil || out[0].Err != nil {
		t.Fatal(name, err, out)
	}
}
