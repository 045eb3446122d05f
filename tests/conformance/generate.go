package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
)

// generated is what requests are made of without anybody's hand: for each API and version
// bodies built from the schema, with values that are valid, at a boundary, null, empty,
// unknown or one beyond. The same seed makes the same bytes for every broker, apart from
// topic ids.
type generated struct {
	seed  uint64
	count int // of exchanges for each API and version
}

// generatedKeys are the APIs that may be asked anything without leaving something behind
// that other scripts see. The group APIs that wait for others are left to scripts.
var generatedKeys = []int16{0, 1, 2, 3, 8, 9, 10, 12, 13, 14, 15, 19, 20, 21, 22, 23, 32, 37, 42, 43, 45, 46, 47, 60, 61, 75}

// batchSize is how many exchanges share topics and a group.
const batchSize = 50

func (g generated) scripts() []script {
	var all []script
	for _, key := range generatedKeys {
		api := schema.Lookup(key)
		for n := range (g.count + batchSize - 1) / batchSize {
			count := min(batchSize, g.count-n*batchSize)
			all = append(all, script{name: sprintf("generated: %s, batch %d of seed %d", api.Name, n, g.seed), key: key,
				run: func(t *T) { g.run(t, api, uint64(n), count) }})
		}
	}
	return all
}

func (g generated) run(t *T, api *schema.API, batch uint64, count int) {
	m := &maker{t: t, api: api, version: t.version, rand: rand.New(rand.NewPCG(g.seed, uint64(api.Key)<<40|uint64(t.version)<<32|batch))}
	m.topics = []string{t.name("a"), t.name("b")}
	for i, name := range m.topics {
		_, id := t.topic([]string{"a", "b"}[i], int32(2-i))
		m.ids = append(m.ids, id)
		t.fill(name, 0, records("one", "two"), records("three"))
	}
	t.offsetsTopic()
	for range count {
		tree := m.fields(api.Request.Fields, "")
		a := t.on("a").sendTree(api.Key, t.version, tree).answer()
		if a.State == "closed" {
			delete(t.conns, "a")
		}
		if a.State == "silent" {
			return
		}
	}
}

// maker makes the values of one batch.
type maker struct {
	t       *T
	api     *schema.API
	version int16
	rand    *rand.Rand
	topics  []string
	ids     [][16]byte
	used    map[string]bool // topics and partitions of this request
	topic   string
}

func pick[V any](m *maker, values ...V) V { return values[m.rand.IntN(len(values))] }

func (m *maker) fields(fields []schema.Field, in string) *wire.Struct {
	if in == "" {
		m.used = map[string]bool{}
	}
	s := &wire.Struct{}
	for i := range fields {
		f := &fields[i]
		if !f.Versions.Contain(m.version) {
			continue
		}
		if f.Tagged.Contain(m.version) && m.rand.IntN(8) > 0 || skippedFields[f.Name] {
			continue
		}
		s.Fields = append(s.Fields, wire.Field{Name: f.Name, Value: m.field(f, in)})
	}
	return s
}

// skippedFields keep their zero value: what they would ask for changes more than a script's
// own topics, or differs by nature.
var skippedFields = map[string]bool{"ClusterId": true, "ReplicaState": true, "ReplicaDirectoryId": true, "HighWatermark": true}

func (m *maker) field(f *schema.Field, in string) any {
	if f.Array {
		if f.Nullable.Contain(m.version) && m.rand.IntN(10) == 0 && !m.nullMeansAll(f) {
			return nil
		}
		list := wire.List{}
		n := pick(m, 0, 1, 1, 1, 2, 3)
		if n == 0 && m.api.Key == 3 && m.version == 0 || n == 0 && f.Name == "Topics" && m.api.Key == 75 {
			n = 1
		}
		for range n {
			if v, ok := m.element(f); ok {
				list = append(list, v)
			}
		}
		return list
	}
	if f.Kind == schema.Struct {
		if f.Nullable.Contain(m.version) && m.rand.IntN(2) == 0 {
			return nil
		}
		return m.fields(f.Fields, f.Name)
	}
	return m.value(f, in)
}

// nullMeansAll says whether null asks for everything the broker has.
func (m *maker) nullMeansAll(f *schema.Field) bool {
	return slices.Contains([]string{"Topics", "TopicPartitions"}, f.Name) && m.api.Key != 9
}

// element makes one element, not twice the same topic or partition: what brokers make of
// those is told by scripts.
func (m *maker) element(f *schema.Field) (any, bool) {
	if f.Kind != schema.Struct {
		v := m.value(f, "")
		key := m.topic + "/" + f.Name + wire.Text(v)
		if m.used[key] {
			return nil, false
		}
		m.used[key] = true
		return v, true
	}
	outer := m.topic
	defer func() { m.topic = outer }()
	for i := range f.Fields {
		id := &f.Fields[i]
		if id.Versions.Contain(m.version) && !id.Array && (id.Kind == schema.String || id.Kind == schema.UUID || strings.HasSuffix(id.Name, "Index") || id.Name == "Partition") {
			s := m.fields(f.Fields, f.Name)
			key := outer + "/" + f.Name + wire.Text(s.Get(id.Name))
			if u, ok := s.Get(id.Name).(wire.UUID); ok {
				key = outer + "/" + f.Name + sprintf("%d", slices.Index(m.ids, [16]byte(u)))
			}
			if m.used[key] {
				return nil, false
			}
			m.used[key] = true
			return s, true
		}
	}
	return m.fields(f.Fields, f.Name), true
}

func (m *maker) value(f *schema.Field, in string) any {
	if f.Nullable.Contain(m.version) && f.Kind != schema.Records && m.rand.IntN(8) == 0 {
		return nil
	}
	switch f.Kind {
	case schema.Bool:
		if f.Name == "AllowAutoTopicCreation" {
			return false
		}
		return m.rand.IntN(2) == 0
	case schema.UUID:
		return wire.UUID(pick(m, m.ids[0], m.ids[1], [16]byte{}, [16]byte{1, 2, 3}))
	case schema.Bytes:
		return pick(m, wire.Bytes{}, wire.Bytes("bytes"), wire.Bytes{0, 1})
	case schema.Records:
		return wire.Records(pick(m, recordsFor(m.version, "a"), recordsFor(m.version, "a", "b"), records("x"), messages(0, "y"), messages(1, "z"), []byte{}, []byte{1, 2}))
	case schema.String:
		return m.str(f, in)
	case schema.Float64:
		return pick(m, 0, 1, -1, 0.5)
	}
	return m.number(f)
}

func (m *maker) str(f *schema.Field, in string) any {
	switch {
	case f.Name == "TransactionalId":
		return nil
	case m.api.Key == 3 && f.Name == "Name" && m.version < 4:
		return pick(m, m.topics[0], m.topics[1], "..", "a b") // before v4 every request creates what is missing
	case strings.Contains(f.Name, "Group") && f.Name != "GroupInstanceId", f.Name == "Key", f.Name == "CoordinatorKeys":
		return pick(m, m.t.name("g"), m.t.name("none"), "")
	case f.Name == "MemberId":
		return pick(m, "", "member")
	case strings.Contains(in, "Config"):
		return pick(m, "retention.ms", "cleanup.policy", "no.such.key", "", "5", "delete", "x")
	case strings.Contains(f.Name, "Topic") || f.Name == "Name" || f.Name == "ResourceName":
		if m.api.Key == 19 {
			return pick(m, m.t.name(sprintf("n%d", m.rand.IntN(40))), m.topics[0], "", "..", "a b")
		}
		if m.api.Key == 20 {
			return pick(m, m.t.name("none"), "..", "a b")
		}
		return pick(m, m.topics[0], m.topics[1], m.topics[0], m.t.name("none"), "..", "a b")
	}
	return pick(m, "", "x", "consumer", "range")
}

func (m *maker) number(f *schema.Field) any {
	switch f.Name {
	case "PartitionIndex", "Partition", "Index", "Partitions", "PartitionIndexes", "PartitionId":
		return pick[int64](m, 0, 0, 1, 2, -1, math.MaxInt32)
	case "TimeoutMs", "timeoutMs":
		return int64(10000)
	case "ReplicaId":
		return int64(-1)
	case "KeyType":
		return pick[int64](m, 0, 0, 2, 3, -1) // 1 is of transactions
	case "MaxWaitMs":
		return pick[int64](m, 0, 10, -1)
	case "MinBytes":
		return pick[int64](m, 0, 1)
	case "MaxBytes", "PartitionMaxBytes":
		return int64(1 << 20)
	case "Acks":
		return pick[int64](m, 1, -1, 1, -1, 2)
	case "FetchOffset", "Offset", "CommittedOffset":
		return pick[int64](m, 0, 1, 2, 3, 4, -1, math.MaxInt64)
	case "Timestamp":
		return pick[int64](m, -1, -2, -3, -4, -5, -6, -7, 0, someTime, someTime+1, math.MaxInt64)
	case "SessionId", "SessionEpoch":
		return pick[int64](m, 0, 0, -1, 1)
	case "ReplicaNodes", "BrokerIds", "Replicas":
		return pick[int64](m, 1, 1, 1, 2, -1)
	case "NumPartitions", "Count":
		return pick[int64](m, -1, 1, 2, 3, 0, -2)
	case "ReplicationFactor":
		return pick[int64](m, -1, 1, 1, 2, 0, -2)
	case "ResourceType":
		return pick[int64](m, 2, 2, 2, 0, 3, 99)
	case "ResponsePartitionLimit":
		return pick[int64](m, 0, 1, 2, 100, -1)
	case "RetentionTimeMs":
		return int64(-1)
	}
	least, most := int64(math.MinInt32), int64(math.MaxInt32)
	switch f.Kind {
	case schema.Int8:
		least, most = math.MinInt8, math.MaxInt8
	case schema.Int16:
		least, most = math.MinInt16, math.MaxInt16
	case schema.Int64:
		least, most = math.MinInt64, math.MaxInt64
	}
	return pick(m, 0, 1, -1, 2, 3, least, most)
}
