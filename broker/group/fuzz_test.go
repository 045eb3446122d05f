package group

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// addCaptured seeds a fuzz test with the keys and values of the captures.
func addCaptured(f *testing.F, add func(r *protocol.Record)) {
	for _, file := range []string{"testdata/apache-3.9.2.log", "testdata/apache-4.3.1.log", "testdata/ours.log"} {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for len(b) > 0 {
			_, _, size, err := protocol.PeekBatch(b)
			if err != nil {
				f.Fatal(err)
			}
			records, err := protocol.ReadRecords(b[:size])
			if err != nil {
				f.Fatal(err)
			}
			for i := range records {
				add(&records[i])
			}
			b = b[size:]
		}
	}
}

// FuzzLoad loads any key and value: it may refuse, but neither panic nor break the group.
func FuzzLoad(f *testing.F) {
	addCaptured(f, func(r *protocol.Record) { f.Add(r.Key, r.Value) })
	f.Fuzz(func(t *testing.T, key, value []byte) {
		defer fuzzcost.Bound(t, len(key)+len(value), 64)()
		cfg := Config{}.withDefaults()
		l := loader{core: newCore(&cfg, protocol.NewUUID, new(Stats))}
		l.core.now = instant{monotonicMs: 1, wallMs: 1}
		if err := l.record(key, value, -1); err != nil {
			return
		}
		_ = l.record(key, value, 7)
		l.finish(l.core.now)
		s := simulation{t: t, core: l.core, cfg: cfg}
		for _, g := range l.core.groups {
			s.wakes = []wake{{groupID: g.id, atMs: g.armedMs}}
			s.checkGroup(g)
		}
		l.core.step(instant{monotonicMs: 1 << 40, wallMs: 1 << 40}, expireEvent{})
	})
}

// FuzzGroupValue writes what it has read and reads it again.
func FuzzGroupValue(f *testing.F) {
	addCaptured(f, func(r *protocol.Record) { f.Add(r.Value) })
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		g, err := parseGroupValue(b)
		if err != nil {
			return
		}
		again, err := parseGroupValue(appendGroupValue(nil, &g))
		if err != nil || !reflect.DeepEqual(g, again) {
			t.Fatalf("%+v came back as %+v, %v", g, again, err)
		}
	})
}

// FuzzOffsetValue writes what it has read and reads it again.
func FuzzOffsetValue(f *testing.F) {
	addCaptured(f, func(r *protocol.Record) { f.Add(r.Value) })
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		o, err := parseOffsetValue(b)
		if err != nil {
			return
		}
		if o.expireTimestampMs >= 0 {
			o.leaderEpoch = -1 // the version with an expiry has no epoch
		} else {
			o.expireTimestampMs = -1
		}
		again, err := parseOffsetValue(appendOffsetValue(nil, &o))
		if err != nil || o != again {
			t.Fatalf("%+v came back as %+v, %v", o, again, err)
		}
	})
}

// FuzzSubscription reads any metadata that a client may send.
func FuzzSubscription(f *testing.F) {
	f.Add(subscription("orders", "payments"))
	f.Add([]byte{0, 1, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		topics, err := appendSubscribedTopics(nil, b)
		if err == nil && len(topics)*2 > len(b) {
			t.Fatalf("%d topics from %d bytes", len(topics), len(b))
		}
	})
}

// The captures hold what our own records must look like, byte for byte.
func TestRecordsAreWrittenAsApacheWritesThem(t *testing.T) {
	b, err := os.ReadFile("testdata/apache-3.9.2.log")
	if err != nil {
		t.Fatal(err)
	}
	groups, offsets := 0, 0
	for len(b) > 0 {
		_, _, size, err := protocol.PeekBatch(b)
		if err != nil {
			t.Fatal(err)
		}
		h, err := protocol.ParseRecordBatch(b)
		if err != nil {
			t.Fatal(err)
		}
		records, err := protocol.ReadRecords(b[:size])
		if err != nil {
			t.Fatal(err)
		}
		b = b[size:]
		for _, r := range records {
			if h.IsControl() {
				continue
			}
			k, err := parseKey(r.Key)
			if err != nil {
				t.Fatal(err)
			}
			if k.version == keyGroupMetadata {
				if got := appendGroupKey(nil, string(k.group)); !bytes.Equal(got, r.Key) {
					t.Errorf("key %x, Apache's %x", got, r.Key)
				}
				if r.Value == nil {
					continue
				}
				g, err := parseGroupValue(r.Value)
				if err != nil {
					t.Fatal(err)
				}
				if got := appendGroupValue(nil, &g); !bytes.Equal(got, r.Value) {
					t.Errorf("value %x, Apache's %x", got, r.Value)
				}
				groups++
				continue
			}
			got := appendOffsetKey(nil, k.version, string(k.group), partitionKey{topic: string(k.topic), partition: k.partition})
			if !bytes.Equal(got, r.Key) {
				t.Errorf("key %x, Apache's %x", got, r.Key)
			}
			if r.Value == nil {
				continue
			}
			o, err := parseOffsetValue(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			if got := appendOffsetValue(nil, &o); !bytes.Equal(got, r.Value) {
				t.Errorf("value %x, Apache's %x", got, r.Value)
			}
			offsets++
		}
	}
	if groups == 0 || offsets == 0 {
		t.Errorf("%d groups, %d offsets", groups, offsets)
	}
}
