package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maker makes the requests of one batch.
type maker struct {
	api     *schema.API
	version int16
	rand    *rand.Rand
	serial  int // of the exchange, among those of its API and version
	topics  []string
	ids     [][16]byte
	valid   bool            // take the first value of each field, which is a good one
	used    map[string]bool // topics and partitions of this request
	topic   string
}

// pick takes one of the values, the first where the request is to be valid.
func pick[V any](m *maker, values ...V) V {
	if m.valid {
		return values[0]
	}
	return values[m.rand.IntN(len(values))]
}

func (m *maker) name(s string) string { return standInPrefix + s }

// message makes the tree of a request.
func (m *maker) message() *wire.Struct {
	m.used, m.topic = map[string]bool{}, ""
	return m.fields(m.api.Request.Fields, "")
}

func (m *maker) fields(fields []schema.Field, in string) *wire.Struct {
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
	m.harmless(s, in)
	return s
}

// skippedFields keep their zero value: what they would ask for changes more than a script's
// own topics, or differs by nature.
var skippedFields = map[string]bool{"ClusterId": true, "ReplicaState": true, "ReplicaDirectoryId": true, "HighWatermark": true}

// harmless takes out of a request what would disturb other scripts, or kill Apache.
func (m *maker) harmless(s *wire.Struct, in string) {
	switch m.api.Key {
	case 8, 11:
		// A group that all scripts see is not made.
		if group, ok := s.Get("GroupId").(string); ok && in == "" && !strings.HasPrefix(group, standInPrefix) {
			if generation, ok := s.Get("GenerationIdOrMemberEpoch").(int64); group != "" || m.api.Key == 8 && (!ok || generation < 0) {
				s.Set("GroupId", m.name(group))
			}
		}
	case 19:
		// Neither is such a topic.
		if name, ok := s.Get("Name").(string); ok && in == "Topics" && !strings.HasPrefix(name, standInPrefix) {
			switch {
			case name == "__transaction_state":
				s.Set("Name", "__consumer_offsets") // it is there already
			case len(name) > 4 && len(name) <= 249 && name[0] != '_':
				s.Set("Name", m.name(name)[:len(name)])
			}
		}
	case 32:
		if in == "Resources" {
			typ, _ := s.Get("ResourceType").(int64)
			switch {
			case typ == 4 && s.Get("ResourceName") != "2":
				// All keys of a broker have values of their own.
				s.Set("ConfigurationKeys", wire.List{"num.partitions", "no.such.key"})
			case typ == 8:
				s.Set("ResourceName", "2") // loggers have names of their own
			}
		}
	case 33, 44:
		switch in {
		case "Resources":
			if typ, _ := s.Get("ResourceType").(int64); typ != 2 && typ != 4 && typ != 8 {
				// Types that there are not are one type to Apache, and at a resource that is
				// named twice it never answers.
				s.Set("ResourceName", m.name(sprintf("type%d", typ)))
			}
			if typ, _ := s.Get("ResourceType").(int64); typ == 4 || typ == 8 {
				s.Set("ResourceName", "2")
			}
		case "Configs":
			// Of operations that there are not, and of null for some others, the active
			// controller of Apache dies, and all wait until there is one again. AlterConfigs
			// with null it never answers, and keeps others waiting for half a minute.
			if op, ok := s.Get("ConfigOperation").(int64); ok {
				s.Set("ConfigOperation", op&3)
			}
			if s.Get("Value") == nil && (m.api.Key == 33 || s.Get("ConfigOperation") == int64(2) || s.Get("ConfigOperation") == int64(3)) {
				s.Set("Value", "")
			}
		}
	case 49:
		if in == "Entity" && s.Get("EntityName") == nil {
			s.Set("EntityName", m.name("user")) // a default would throttle everybody
		}
		m.makeOwn(s, "EntityName")
	case 51:
		m.makeOwn(s, "Name")
	case 57:
		if in == "" {
			s.Set("ValidateOnly", true)
		}
	case 64:
		if s.Get("BrokerId") == int64(1) {
			s.Set("BrokerId", int64(2)) // it is the broker that is asked
		}
	}
}

// makeOwn gives a name that would be the same in all scripts the script's prefix, but for
// addresses, which cannot have it.
func (m *maker) makeOwn(s *wire.Struct, field string) {
	name, ok := s.Get(field).(string)
	if !ok || name == "" || strings.HasPrefix(name, standInPrefix) || strings.HasPrefix(name, "127.") {
		return
	}
	s.Set(field, m.name(name)[:max(len(name), min(len(standInPrefix)+len(name), 100))])
}

func (m *maker) field(f *schema.Field, in string) any {
	if f.Array {
		if f.Nullable.Contain(m.version) && !m.valid && m.rand.IntN(10) == 0 && !m.nullMeansAll(f) {
			return nil
		}
		list := wire.List{}
		n := pick(m, 1, 0, 1, 1, 2, 3)
		if n == 0 && (m.emptyMeansAll(f)) {
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
		if f.Nullable.Contain(m.version) && (m.valid || m.rand.IntN(2) == 0) {
			return nil
		}
		return m.fields(f.Fields, f.Name)
	}
	return m.value(f, in)
}

// nullMeansAll says whether null asks for everything the broker has.
func (m *maker) nullMeansAll(f *schema.Field) bool {
	return slices.Contains([]string{"Topics", "TopicPartitions", "Users"}, f.Name) && m.api.Key != 9
}

// rare says whether the request may be of a sort that Apache never answers: to wait for
// no answer takes long.
func (m *maker) rare() bool { return m.serial%50 == 7 }

// emptyMeansAll says the same of an empty list.
func (m *maker) emptyMeansAll(f *schema.Field) bool {
	switch m.api.Key {
	case 3:
		return m.version == 0
	case 9:
		return f.Name == "Groups" && !m.rare()
	case 50, 75:
		return f.Name == "Topics" || f.Name == "Users"
	case 48:
		return f.Name == "Components"
	case 74:
		return true
	}
	return false
}

// element makes one element, not twice the same topic or partition: those are a kind of
// their own.
func (m *maker) element(f *schema.Field) (any, bool) {
	if f.Kind != schema.Struct {
		v := m.value(f, "")
		return v, m.first(m.topic + "/" + f.Name + wire.Text(v))
	}
	outer := m.topic
	defer func() { m.topic = outer }()
	id := m.identifier(f)
	if id == nil {
		return m.fields(f.Fields, f.Name), true
	}
	m.topic = outer + "/" + f.Name + sprintf("%d", len(m.used))
	s := m.fields(f.Fields, f.Name)
	key := outer + "/" + f.Name + wire.Text(s.Get(id.Name))
	if m.api.Key == 32 || m.api.Key == 33 || m.api.Key == 44 {
		key += wire.Text(s.Get("ResourceType"))
	}
	return s, m.first(key)
}

// identifier is the field that says what an element of a list is about, nil if there is
// none.
func (m *maker) identifier(f *schema.Field) *schema.Field {
	for i := range f.Fields {
		id := &f.Fields[i]
		if !id.Versions.Contain(m.version) || id.Array {
			continue
		}
		if id.Kind == schema.String || id.Kind == schema.UUID || strings.HasSuffix(id.Name, "Index") || id.Name == "Partition" {
			return id
		}
	}
	return nil
}

// first says whether the request does not have that yet.
func (m *maker) first(key string) bool {
	if m.used[key] {
		return false
	}
	m.used[key] = true
	return true
}

func (m *maker) value(f *schema.Field, in string) any {
	if f.Nullable.Contain(m.version) && f.Kind != schema.Records && !m.valid && m.rand.IntN(8) == 0 {
		return nil
	}
	switch f.Kind {
	case schema.Bool:
		if f.Name == "AllowAutoTopicCreation" {
			return false
		}
		return m.rand.IntN(2) == 0
	case schema.UUID:
		if m.api.Key == 71 || m.api.Key == 72 {
			// What one may do depends on what one has done; nobody else has these ids.
			return wire.UUID(pick(m, m.ids[0], m.ids[1], [16]byte{}))
		}
		return wire.UUID(pick(m, m.ids[0], m.ids[1], [16]byte{}, [16]byte{1, 2, 3}))
	case schema.Bytes:
		if m.api.Key == 11 {
			return wire.Bytes(consumerMetadata(pick(m, "x", "y")))
		}
		return pick(m, wire.Bytes("bytes"), wire.Bytes{}, wire.Bytes{0, 1})
	case schema.Records:
		return wire.Records(m.records())
	case schema.String:
		return m.str(f, in)
	case schema.Float64:
		return pick(m, 1, 0, -1, 0.5, 1e300, math.Inf(1), 1000)
	}
	return m.number(f)
}

// consumerMetadata is what a member of a consumer group says of itself. At other bytes for
// the protocol type consumer Apache never answers.
func consumerMetadata(data string) []byte {
	metadata := kmsg.NewConsumerMemberMetadata()
	metadata.Topics, metadata.UserData = []string{"topic"}, []byte(data)
	return metadata.AppendTo(nil)
}

// records makes what is produced: good batches first, then such that a broker refuses.
func (m *maker) records() []byte {
	good := func() []byte { return recordsFor(m.version, "a") }
	changed := func(fn func(h *protocol.RecordBatch)) []byte {
		b := records("a", "b")
		h, err := protocol.ParseRecordBatch(b)
		if err != nil {
			panic(err)
		}
		fn(&h)
		return rewriteHeader(b, h)
	}
	codec := func(c protocol.Codec) []byte {
		return batch(protocol.BatchOptions{Codec: c}, strings.Repeat("compressed ", 20), "b")
	}
	makers := []func() []byte{
		good,
		good,
		good,
		func() []byte { return recordsFor(m.version, "a", "b") },
		func() []byte { return records("x") },
		func() []byte { return messages(0, "y") },
		func() []byte { return messages(1, "z") },
		func() []byte { return []byte{} },
		func() []byte { return []byte{1, 2} },
		func() []byte { return append(records("one"), records("two")...) },
		func() []byte { return append(records("one"), 0, 0, 0, 0, 0) },
		func() []byte { return append(records("one"), messages(1, "two")...) },
		func() []byte { b := records("bad crc"); b[20]++; return b },
		func() []byte { b := records("cut"); return b[:len(b)-3] },
		func() []byte { b := records("magic"); b[16] = byte(pick(m, 3, 127, 255)); return b },
		func() []byte { return changed(func(h *protocol.RecordBatch) { h.BaseOffset = 7 }) },
		func() []byte { return changed(func(h *protocol.RecordBatch) { h.LastOffsetDelta = 5 }) },
		func() []byte { return changed(func(h *protocol.RecordBatch) { h.LastOffsetDelta = -1 }) },
		func() []byte { return changed(func(h *protocol.RecordBatch) { h.LeaderEpoch = 99 }) },
		func() []byte {
			return changed(func(h *protocol.RecordBatch) { h.Attributes = int16(pick(m, 1, 2, 3, 4)) })
		},
		func() []byte {
			return changed(func(h *protocol.RecordBatch) { h.Attributes = int16(pick(m, 5, 6, 7)) })
		},
		func() []byte { return changed(func(h *protocol.RecordBatch) { h.Attributes = 8 }) },  // log append time
		func() []byte { return changed(func(h *protocol.RecordBatch) { h.Attributes = 32 }) }, // control
		func() []byte { return changed(func(h *protocol.RecordBatch) { h.Attributes = 1 << 9 }) },
		func() []byte { return changed(func(h *protocol.RecordBatch) { h.MaxTimestamp = 5 }) },
		func() []byte { return changed(func(h *protocol.RecordBatch) { h.BaseTimestamp = -1 }) },
		func() []byte { return codec(1) },
		func() []byte { return codec(2) },
		func() []byte { return codec(3) },
		func() []byte { return codec(4) },
		func() []byte { return idempotent(1<<40, 0, pick[int32](m, 0, 1, 5, -1, math.MaxInt32), "i") },
		func() []byte { return idempotent(1<<40, pick[int16](m, 0, 1, -1), 0, "i") },
	}
	return makers[pick(m, numbers(len(makers))...)]()
}

func numbers(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// strangeNames are none that a topic may have, or that only brokers use.
var strangeNames = []string{"", ".", "..", "a b", "a/b", "ä", "a\x00b", "~", "__consumer_offsets", "__transaction_state", "__cluster_metadata", strings.Repeat("n", 249), strings.Repeat("n", 250)}

func (m *maker) str(f *schema.Field, in string) any {
	key := m.api.Key
	switch f.Name {
	case "TransactionalId":
		return nil
	case "GroupInstanceId":
		return pick[any](m, nil, nil, "static", "other", "")
	case "MemberId":
		return pick(m, "", standInMember(0), "member", standInMember(1), "", standInMember(0))
	case "ConfigurationKeys":
		return pick(m, "retention.ms", "cleanup.policy", "no.such.key", "", "segment.bytes", "min.insync.replicas", "compression.type")
	case "Principal", "PrincipalFilter":
		return pick(m, "User:"+m.name("u"), "User:*", "nobody", "")
	case "Host", "HostFilter":
		return pick(m, "*", "127.0.0.1", "")
	case "StatesFilter":
		return pick(m, "Stable", "Empty", "Dead", "stable", "EMPTY", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling", "bogus", "")
	case "TypesFilter":
		return pick(m, "classic", "Classic", "consumer", "share", "streams", "bogus", "")
	case "Mechanism":
		return pick(m, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER", "bogus", "")
	case "Path":
		return pick(m, "/no/such/dir", "", "relative", "/no/such/other")
	case "EntityType":
		return pick(m, "user", "client-id", "user", "ip", "bogus", "")
	case "EntityName", "Match":
		return pick(m, m.name("user"), m.name("client"), "", "127.0.0.9")
	case "Key":
		if key == 49 {
			return pick(m, "producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate", "connection_creation_rate", "bogus", "")
		}
	case "User", "Users":
		return pick(m, m.name("user"), m.name("other"), "")
	case "Feature":
		if m.version == 0 {
			return pick(m, "no.such.feature", "")
		}
		return pick(m, "no.such.feature", "metadata.version", "kraft.version", "group.version", "transaction.version", "")
	case "ProtocolType":
		if key == 11 {
			return pick(m, "consumer", "connect", "")
		}
		return pick(m, "consumer", "x", "")
	case "ClientSoftwareName", "ClientSoftwareVersion":
		return pick(m, "conformance", "1.0", "a", "", "-a", "a-", "a b", "1.0-SNAPSHOT", "ä", strings.Repeat("s", 300))
	case "ProtocolName":
		return pick(m, "range", "x", "")
	}
	if key == 51 && f.Name == "Name" || key == 50 && f.Name == "Name" {
		return pick(m, m.name("user"), m.name("other"), m.name("third"), "")
	}
	switch {
	case key == 3 && f.Name == "Name" && m.version < 4:
		return pick(m, m.topics[0], m.topics[1], "..", "a b") // before v4 every request creates what is missing
	case key == 11 && f.Name == "GroupId":
		return pick(m, m.name(sprintf("j%d", m.serial)), m.name(sprintf("j%d", m.serial)), "")
	case strings.Contains(f.Name, "Group"), f.Name == "Key", f.Name == "CoordinatorKeys":
		if m.valid || m.rand.IntN(12) > 0 {
			return pick(m, m.name("live0"), m.name("g"), m.name("none"), m.name("live1"), m.name("g2"), m.name("live0"), "")
		}
		return pick(m, strangeNames...)
	case in == "Configs" && f.Name == "Name":
		return pick(m, "retention.ms", "cleanup.policy", "no.such.key", "", "segment.bytes", "min.insync.replicas", "compression.type", "max.message.bytes", "leader.replication.throttled.replicas",
			"message.timestamp.type", "consumer.session.timeout.ms", "interval.ms", "message.format.version")
	case in == "Configs" && f.Name == "Value":
		return pick(m, "100000", "delete", "compact", "delete,compact", "x", "", "-1", "0", "1", "producer", "gzip", "LogAppendTime", "2147483648", "0:1", "*", " 5 ", "3.0")
	case strings.Contains(f.Name, "Topic") || f.Name == "Name" || f.Name == "ResourceName":
		return m.topicName(f)
	}
	return pick(m, "x", "", "consumer", "range")
}

func (m *maker) topicName(f *schema.Field) any {
	strange := !m.valid && m.rand.IntN(10) == 0
	switch m.api.Key {
	case 55:
		return pick(m, "__cluster_metadata", "__cluster_metadata", m.topics[0], m.name("none"), "", "__Cluster_metadata")
	case 19:
		if strange {
			return pick(m, strangeNames...)
		}
		return pick(m, m.name(sprintf("n%d", m.serial)), m.name(sprintf("n%d", m.rand.IntN(m.serial+1))), m.topics[0], m.name("a.b"), m.name("a_b"))
	case 20:
		if strange {
			return pick(m, ".", "..", "a b", "", "ä")
		}
		return pick(m, m.name("none"), m.name("none2"))
	case 33, 37, 44, 45, 21:
		if strange {
			return pick(m, ".", "..", "a b", "", "ä", strings.Repeat("n", 250))
		}
	}
	if strange {
		return pick(m, strangeNames...)
	}
	return pick(m, m.topics[0], m.topics[1], m.topics[0], m.name("none"), "..", "a b")
}

func (m *maker) number(f *schema.Field) any {
	if list := enums[place{m.api.Key, f.Name}]; list != nil {
		return list[pick(m, numbers(len(list))...)]
	}
	switch f.Name {
	case "PartitionIndex", "Partition", "Index", "Partitions", "PartitionIndexes", "PartitionId":
		return pick[int64](m, 0, 0, 1, 2, -1, math.MaxInt32)
	case "TimeoutMs", "timeoutMs":
		return int64(10000)
	case "ReplicaId":
		return int64(-1)
	case "MaxWaitMs":
		return pick[int64](m, 10, 0, -1)
	case "MinBytes":
		return pick[int64](m, 1, 0)
	case "MaxBytes", "PartitionMaxBytes":
		return pick[int64](m, 1<<20, 1<<20, 1, 0, -1, 200, math.MaxInt32)
	case "FetchOffset", "Offset", "CommittedOffset":
		return pick[int64](m, 0, 1, 2, 3, 4, -1, math.MaxInt64)
	case "CurrentLeaderEpoch", "LeaderEpoch", "CommittedLeaderEpoch", "LastFetchedEpoch":
		return pick[int64](m, -1, 0, -1, 1, -2, math.MaxInt32)
	case "SessionId", "SessionEpoch":
		return pick[int64](m, 0, 0, -1, 1)
	case "ReplicaNodes", "BrokerIds", "Replicas":
		return pick[int64](m, 1, 1, 1, 2, -1)
	case "NumPartitions", "Count":
		return pick[int64](m, 1, -1, 2, 3, 0, -2)
	case "ReplicationFactor":
		return pick[int64](m, 1, -1, 1, 2, 0, -2)
	case "ResponsePartitionLimit":
		return pick[int64](m, 100, 0, 1, 2, -1)
	case "RetentionTimeMs":
		return int64(-1)
	case "SessionTimeoutMs":
		return pick[int64](m, 30000, 1000, 999, 0, -1, 1800000, 1800001, math.MaxInt32)
	case "RebalanceTimeoutMs":
		return pick[int64](m, 30000, 1000, 0, -1, math.MaxInt32)
	case "GenerationId", "GenerationIdOrMemberEpoch":
		return pick[int64](m, 1, 1, 1, -1, 0, 2, -2, math.MaxInt32)
	case "TransactionTimeoutMs":
		return pick[int64](m, 60000, 0, -1, 1, 900000, 900001, math.MaxInt32)
	case "ProducerId", "ProducerEpoch":
		return pick[int64](m, -1, -1, 0, 5)
	case "Iterations":
		return pick[int64](m, 4096, 8192, 4095, 16384, 16385, 0, -1, math.MaxInt32)
	case "MaxVersionLevel":
		return pick[int64](m, 1, 0, 2, -1, 100, math.MaxInt16)
	}
	least, most := limits(f)
	return pick(m, 1, 0, -1, 2, 3, least, most)
}

func limits(f *schema.Field) (least, most int64) {
	switch f.Kind {
	case schema.Int8:
		return math.MinInt8, math.MaxInt8
	case schema.Int16:
		return math.MinInt16, math.MaxInt16
	case schema.Int64:
		return math.MinInt64, math.MaxInt64
	}
	return math.MinInt32, math.MaxInt32
}

// enums are all values of the fields that have a closed set of them, the good one first,
// and one beyond at either end.
var enums = map[place][]int64{
	{0, "Acks"}:                 {1, -1, 2, -2},
	{1, "IsolationLevel"}:       {0, 1, 2, -1},
	{2, "IsolationLevel"}:       {0, 1, 2, -1},
	{2, "Timestamp"}:            {-1, -2, -3, -4, -5, -6, -7, 0, someTime, someTime + 1, someTime + 2, math.MaxInt64},
	{2, "OldStyleOffsets"}:      {1},
	{10, "KeyType"}:             {0, 2, 3, -1}, // 1 is of transactions
	{29, "ResourceTypeFilter"}:  {1, 2, 3, 4, 5, 6, 7, 8, 0, -1},
	{29, "PatternTypeFilter"}:   {1, 2, 3, 4, 5, 0, -1},
	{29, "Operation"}:           {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, -1},
	{29, "PermissionType"}:      {1, 2, 3, 4, 0, -1},
	{30, "ResourceType"}:        {2, 1, 3, 4, 5, 6, 7, 8, 0, -1},
	{30, "ResourcePatternType"}: {3, 4, 1, 2, 5, 0, -1},
	{30, "Operation"}:           {3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, -1},
	{30, "PermissionType"}:      {3, 2, 1, 4, 0, -1},
	{31, "ResourceTypeFilter"}:  {2, 1, 3, 4, 5, 6, 7, 8, 0, -1},
	{31, "PatternTypeFilter"}:   {3, 1, 2, 4, 5, 0, -1},
	{31, "Operation"}:           {3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, -1},
	{31, "PermissionType"}:      {3, 1, 2, 4, 0, -1},
	{32, "ResourceType"}:        {2, 2, 2, 4, 0, 1, 3, 8, 16, 32, 64, -1, 127},
	{33, "ResourceType"}:        {2, 2, 2, 4, 0, 1, 3, 8, 16, 32, 64, -1, 127},
	{44, "ResourceType"}:        {2, 2, 2, 4, 0, 1, 3, 8, 16, 32, 64, -1, 127},
	{44, "ConfigOperation"}:     {0, 1, 2, 3, 4, -1},
	{43, "ElectionType"}:        {0, 1, 2, -1},
	{48, "MatchType"}:           {0, 1, 2, 3, -1},
	{51, "Mechanism"}:           {1, 2, 0, 3, -1},
	{57, "UpgradeType"}:         {1, 2, 3, 0, 4, -1},
	{60, "EndpointType"}:        {1, 2, 0, 3, -1},
	{72, "CompressionType"}:     {0, 1, 2, 3, 4, 5, -1},
	{74, "ResourceTypes"}:       {2, 4, 8, 16, 32, 0, 1, 3, 64, -1},
}
