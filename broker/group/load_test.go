package group

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
)

// Writes that come at the same time share a batch: an offset and its tombstone may too.
func TestLoadOfAnOffsetAndItsTombstoneInOneBatch(t *testing.T) {
	value := offsetAndMetadata{offset: 7, leaderEpoch: -1, commitTimestampMs: 1, expireTimestampMs: -1}
	key := appendOffsetKey(nil, keyOffsetCommit, "g", partitionKey{topic: "orders", partition: 0})
	written := protocol.Record{Key: key, Value: appendOffsetValue(nil, &value)}
	deleted := protocol.Record{Key: key}
	for _, c := range []struct {
		name    string
		records []protocol.Record
		exists  bool
	}{
		{"deleted", []protocol.Record{written, deleted}, false},
		{"written again", []protocol.Record{written, deleted, written}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			batch, err := protocol.AppendBatch(nil, protocol.BatchOptions{}, c.records...)
			if err != nil {
				t.Fatal(err)
			}
			cfg := Config{}.withDefaults()
			l := loader{core: newCore(&cfg, protocol.NewUUID, new(Stats))}
			if err := l.load(batch); err != nil || l.skipped > 0 {
				t.Fatal(err, l.failure)
			}
			o, exists := l.core.groups["g"].offsets[partitionKey{topic: "orders", partition: 0}]
			if exists != c.exists || exists && o.offset != 7 {
				t.Errorf("%+v, exists: %v", o, exists)
			}
		})
	}
}

// Groups that have grown too large begin a rebalance as they are loaded. Who reads the
// counters meanwhile must not meet the loader.
func TestStatsWhileLoading(t *testing.T) {
	const groups = 200
	storage := newMemoryStorage(1)
	for i := range groups {
		rec := groupRecord{generation: 1, protocolType: "consumer", protocol: "range", hasProtocol: true}
		for m := range 2 {
			rec.members = append(rec.members, memberRecord{memberID: fmt.Sprint("m", m), sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000})
		}
		batch, err := protocol.AppendBatch(nil, protocol.BatchOptions{},
			protocol.Record{Key: appendGroupKey(nil, fmt.Sprint("g", i)), Value: appendGroupValue(nil, &rec)})
		if err != nil {
			t.Fatal(err)
		}
		storage.appendLocked(0, batch)
	}
	c := New(Options{Storage: storage, Config: Config{MaxSize: 1}})
	defer c.Close()
	c.BecomeLeader(0, 0)
	for c.Stats().PartitionsLoading > 0 {
		runtime.Gosched()
	}
	if s := c.Stats(); s.RebalancesBegun != groups || s.GroupsPreparing != groups {
		t.Errorf("%+v", s)
	}
}
