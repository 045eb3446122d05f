package metadatatest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// Options are what the suite asks of a new, empty store.
type Options struct {
	NodeID                   int32
	DefaultPartitions        int32
	DefaultReplicationFactor int16
	Schema                   metadata.ConfigSchema
	Features                 []metadata.FeatureRange
}

// Open makes an empty store with the given options. It closes it when the test is over.
type Open func(t *testing.T, o Options) metadata.Store

// Run runs the whole suite.
func Run(t *testing.T, open Open) {
	tests := []struct {
		name string
		run  func(*testing.T, *env)
	}{
		{"an empty store has an image with a cluster id", emptyStore},
		{"subscribers see every change once and in order", subscribers},
		{"subscribers are called before the image is served", subscribersFirst},
		{"a command can be read when it returns", readYourWrites},
		{"a command whose time is over does nothing", timeouts},
		{"CreateTopics", createTopics},
		{"CreateTopics places by hand", createTopicsByHand},
		{"DeleteTopics", deleteTopics},
		{"CreatePartitions", createPartitions},
		{"IncrementalAlterConfigs", incrementalAlterConfigs},
		{"AlterConfigs", alterConfigs},
		{"brokers register, unfence, fence and go", brokers},
		{"AlterPartition", alterPartition},
		{"ElectLeaders", electLeaders},
		{"reassignment", reassignment},
		{"AllocateProducerIDs", producerIDs},
		{"AlterClientQuotas", clientQuotas},
		{"AlterUserScramCredentials", scram},
		{"ACLs", acls},
		{"delegation tokens", tokens},
		{"features", features},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &env{t: t, ctx: context.Background()}
			e.Store = open(t, Options{NodeID: 1, DefaultPartitions: 2, DefaultReplicationFactor: 1, Schema: schema{},
				Features: []metadata.FeatureRange{{Name: "transaction.version", Min: 0, Max: 2}}})
			tt.run(t, e)
		})
	}
}

// env is a store under test with helpers.
type env struct {
	metadata.Store
	t      *testing.T
	ctx    context.Context
	epochs [10]int64
}

// schema is a small table of keys.
type schema struct{}

func (schema) IsList(_ metadata.ResourceType, key string) bool { return key == "cleanup.policy" }

func (schema) DefaultValue(_ metadata.ResourceType, key string) (string, bool) {
	if key == "cleanup.policy" {
		return "delete", true
	}
	return "", false
}

func (schema) Validate(r metadata.ConfigResource, values, _ map[string]string) error {
	for key, value := range values {
		switch {
		case strings.HasPrefix(key, "unknown"):
			return protocol.Errorf(protocol.ErrInvalidConfig, "Unknown topic config name: %s", key)
		case key == "retention.ms" && strings.Trim(value, "-0123456789") != "":
			return protocol.Errorf(protocol.ErrInvalidConfig, "Invalid value %s for configuration %s: Not a number of type LONG", value, key)
		case key == "read.only":
			return protocol.ErrInvalidRequest
		}
	}
	return nil
}

// broker registers broker id, unfenced.
func (e *env) broker(id int32) int64 {
	e.t.Helper()
	epoch, err := e.RegisterBroker(e.ctx, metadata.BrokerRegistration{ID: id, Incarnation: protocol.NewUUID(), PreviousEpoch: -1,
		Endpoints: []metadata.Endpoint{{Name: "PLAINTEXT", Host: "localhost", Port: 9092 + id}},
		LogDirs:   []protocol.UUID{directory(id)}, Features: []metadata.FeatureRange{{Name: "transaction.version", Min: 0, Max: 2}}})
	if err != nil {
		e.t.Fatalf("register broker %d: %v", id, err)
	}
	e.epochs[id] = epoch
	return epoch
}

func directory(broker int32) protocol.UUID { return protocol.UUID{0: 0xd1, 15: byte(broker)} }

func (e *env) fence(id int32) {
	e.t.Helper()
	if _, err := e.Heartbeat(e.ctx, metadata.BrokerHeartbeat{ID: id, Epoch: e.epochs[id], ImageVersion: e.Image().Version(), WantFence: true}); err != nil {
		e.t.Fatalf("fence broker %d: %v", id, err)
	}
}

func (e *env) unfence(id int32) {
	e.t.Helper()
	if out, err := e.Heartbeat(e.ctx, metadata.BrokerHeartbeat{ID: id, Epoch: e.epochs[id], ImageVersion: e.Image().Version()}); err != nil || out.IsFenced {
		e.t.Fatalf("unfence broker %d: %+v, %v", id, out, err)
	}
}

// create makes one topic and returns it as the image has it.
func (e *env) create(name string, assignments ...[]int32) *metadata.Topic {
	e.t.Helper()
	topic := metadata.NewTopic{Name: name, Partitions: -1, ReplicationFactor: -1}
	for i, brokers := range assignments {
		topic.Assignments = append(topic.Assignments, metadata.ReplicaAssignment{Partition: int32(i), Brokers: brokers})
	}
	out, err := e.CreateTopics(e.ctx, metadata.CreateTopics{Topics: []metadata.NewTopic{topic}})
	if err != nil || len(out) != 1 || out[0].Err != nil {
		e.t.Fatalf("create %s: %+v, %v", name, out, err)
	}
	return e.Image().Topic(name)
}

// is checks an error's code and what its message contains.
func (e *env) is(what string, err error, code protocol.ErrorCode, text string) {
	e.t.Helper()
	if code == protocol.None {
		if err != nil {
			e.t.Errorf("%s: %v", what, err)
		}
		return
	}
	if !errors.Is(err, code) {
		e.t.Errorf("%s: %v, not %v", what, err, code)
		return
	}
	message := ""
	if withMessage := (*protocol.Error)(nil); errors.As(err, &withMessage) {
		message = withMessage.Message
	}
	if !strings.Contains(message, text) {
		e.t.Errorf("%s says %q, not %q", what, message, text)
	}
}

func (e *env) partition(topic string, n int32) metadata.Partition {
	e.t.Helper()
	p := e.Image().Partition(protocol.TopicPartition{Topic: topic, Partition: n})
	if p == nil {
		e.t.Fatalf("no partition %s-%d", topic, n)
	}
	return *p
}

func ptr[T any](v T) *T { return &v }

func emptyStore(t *testing.T, e *env) {
	m := e.Image()
	if m == nil || m.ClusterID() == "" || m.TopicCount() != 0 || len(m.Brokers()) != 0 {
		t.Errorf("image %+v", m)
	}
	if m.ControllerEpoch() <= 0 {
		t.Errorf("controller epoch %d", m.ControllerEpoch())
	}
}

func subscribers(t *testing.T, e *env) {
	e.broker(1)
	e.create("first")
	var inside atomic.Int32
	var versions []int64
	var last *metadata.Image
	seen := map[string]bool{}
	cancel := e.Subscribe(func(d *metadata.Delta, m *metadata.Image) {
		if inside.Add(1) != 1 {
			t.Error("two calls at once")
		}
		defer inside.Add(-1)
		if last != nil && d.Before != last || d.After != m {
			t.Error("a delta is not between the images of two calls")
		}
		for _, topic := range d.TopicsCreated {
			if seen[topic.Name] {
				t.Errorf("%s was created twice", topic.Name)
			}
			seen[topic.Name] = true
		}
		last = m
		versions = append(versions, m.Version())
	})
	if !seen["first"] || last != e.Image() {
		t.Error("the first call does not bring what there is")
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { e.create(fmt.Sprintf("topic-%d", i)) })
	}
	wg.Wait()
	if len(seen) != 21 || !slices.IsSorted(versions) || last != e.Image() {
		t.Errorf("%d topics seen, versions %v", len(seen), versions)
	}
	cancel()
	e.create("after")
	if seen["after"] {
		t.Error("called after cancel")
	}
}

func subscribersFirst(t *testing.T, e *env) {
	e.broker(1)
	e.Subscribe(func(d *metadata.Delta, m *metadata.Image) {
		for _, topic := range d.TopicsCreated {
			if e.Image().Topic(topic.Name) != nil {
				t.Errorf("%s is served before its subscriber knows", topic.Name)
			}
		}
	})
	e.create("late")
}

func readYourWrites(t *testing.T, e *env) {
	e.broker(1)
	var told sync.Map
	e.Subscribe(func(d *metadata.Delta, m *metadata.Image) {
		time.Sleep(time.Millisecond)
		for _, topic := range d.TopicsCreated {
			told.Store(topic.Name, true)
		}
	})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 10 {
				// Every name is asked for by two workers: the one that comes late is refused, and must
				// find the topic too.
				name := fmt.Sprintf("topic-%d-%d", worker/2, i)
				out, err := e.CreateTopics(e.ctx, metadata.CreateTopics{Topics: []metadata.NewTopic{{Name: name, Partitions: 1, ReplicationFactor: 1}}})
				if err != nil || out[0].Err != nil && !errors.Is(out[0].Err, protocol.ErrTopicAlreadyExists) {
					t.Error(err, out)
				}
				topic := e.Image().Topic(name)
				if topic == nil || topic.Partitions[0].Leader != 1 {
					t.Errorf("%s is not to be read", name)
				}
				if _, ok := told.Load(name); !ok {
					t.Errorf("no subscriber knows %s", name)
				}
			}
		})
	}
	wg.Wait()
}

func timeouts(t *testing.T, e *env) {
	e.broker(1)
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.CreateTopics(ctx, metadata.CreateTopics{Topics: []metadata.NewTopic{{Name: "never", Partitions: 1, ReplicationFactor: 1}}})
	e.is("command without time", err, protocol.ErrRequestTimedOut, "")
	e.create("barrier")
	if e.Image().Topic("never") != nil {
		t.Error("the topic was made")
	}
}

func createTopics(t *testing.T, e *env) {
	_, err := e.CreateTopics(e.ctx, metadata.CreateTopics{})
	e.is("nothing asked", err, protocol.None, "")
	one := func(topic metadata.NewTopic) error {
		out, err := e.CreateTopics(e.ctx, metadata.CreateTopics{Topics: []metadata.NewTopic{topic}})
		if err != nil || len(out) != 1 || out[0].Name != topic.Name {
			t.Fatalf("create %s: %+v, %v", topic.Name, out, err)
		}
		return out[0].Err
	}
	e.is("without brokers", one(metadata.NewTopic{Name: "a", Partitions: 1, ReplicationFactor: 1}), protocol.ErrInvalidReplicationFactor,
		"Unable to replicate the partition 1 time(s): ")
	e.broker(1)
	e.create("exists")
	e.create("dot.ted")
	long := strings.Repeat("x", 250)
	for _, tt := range []struct {
		topic metadata.NewTopic
		code  protocol.ErrorCode
		text  string
	}{
		{metadata.NewTopic{Name: "exists", Partitions: 1, ReplicationFactor: 1}, protocol.ErrTopicAlreadyExists, "Topic 'exists' already exists."},
		{metadata.NewTopic{Name: "dot_ted", Partitions: 1, ReplicationFactor: 1}, protocol.ErrInvalidTopicException, "Topic 'dot_ted' collides with existing topic: dot.ted"},
		{metadata.NewTopic{Name: "dot.ted", Partitions: 1, ReplicationFactor: 1}, protocol.ErrTopicAlreadyExists, ""},
		{metadata.NewTopic{Name: "", Partitions: 1, ReplicationFactor: 1}, protocol.ErrInvalidTopicException, "Topic name is invalid: the empty string is not allowed"},
		{metadata.NewTopic{Name: ".", Partitions: 1, ReplicationFactor: 1}, protocol.ErrInvalidTopicException, "'.' is not allowed"},
		{metadata.NewTopic{Name: "..", Partitions: 1, ReplicationFactor: 1}, protocol.ErrInvalidTopicException, "'..' is not allowed"},
		{metadata.NewTopic{Name: "sp ace", Partitions: 1, ReplicationFactor: 1}, protocol.ErrInvalidTopicException, "contains one or more characters other than"},
		{metadata.NewTopic{Name: long, Partitions: 1, ReplicationFactor: 1}, protocol.ErrInvalidTopicException, "is longer than the max allowed length 249"},
		{metadata.NewTopic{Name: "__cluster_metadata", Partitions: 1, ReplicationFactor: 1}, protocol.ErrInvalidRequest, "is prohibited"},
		{metadata.NewTopic{Name: "t", Partitions: 0, ReplicationFactor: 1}, protocol.ErrInvalidPartitions, "Number of partitions was set to an invalid non-positive value."},
		{metadata.NewTopic{Name: "t", Partitions: -2, ReplicationFactor: 1}, protocol.ErrInvalidPartitions, ""},
		{metadata.NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 0}, protocol.ErrInvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value."},
		{metadata.NewTopic{Name: "t", Partitions: 1, ReplicationFactor: -2}, protocol.ErrInvalidReplicationFactor, ""},
		{metadata.NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 2}, protocol.ErrInvalidReplicationFactor,
			"Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because only 1 broker(s) are registered."},
		{metadata.NewTopic{Name: "t", Partitions: 1 << 30, ReplicationFactor: 1}, protocol.ErrPolicyViolation, "excessively large"},
		{metadata.NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1, Configs: []metadata.ConfigEntry{{Name: "unknown.key", Value: ptr("1")}}},
			protocol.ErrInvalidConfig, "Unknown topic config name: unknown.key"},
		{metadata.NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1, Configs: []metadata.ConfigEntry{{Name: "retention.ms", Value: ptr("soon")}}},
			protocol.ErrInvalidConfig, "Not a number"},
		{metadata.NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1, Configs: []metadata.ConfigEntry{{Name: "a"}, {Name: "b"}}},
			protocol.ErrInvalidConfig, "Null value not supported for topic configs: a,b"},
	} {
		e.is(fmt.Sprintf("%.20q", tt.topic.Name), one(tt.topic), tt.code, tt.text)
	}
	if e.Image().Topic("t") != nil {
		t.Error("a refused topic was made")
	}
	out, err := e.CreateTopics(e.ctx, metadata.CreateTopics{Topics: []metadata.NewTopic{
		{Name: "twice", Partitions: 1, ReplicationFactor: 1},
		{Name: "default", Partitions: -1, ReplicationFactor: -1, Configs: []metadata.ConfigEntry{{Name: "cleanup.policy", Value: ptr("compact")}, {Name: "retention.ms", Value: ptr("7")}}},
		{Name: "twice", Partitions: 1, ReplicationFactor: 1},
	}})
	if err != nil || len(out) != 2 || out[0].Name != "default" || out[1].Name != "twice" {
		t.Fatalf("%+v, %v", out, err)
	}
	e.is("default", out[0].Err, protocol.None, "")
	e.is("twice", out[1].Err, protocol.ErrInvalidRequest, "Duplicate topic name.")
	topic := e.Image().Topic("default")
	if topic == nil || topic.ID != out[0].ID || topic.ID.IsZero() || len(topic.Partitions) != 2 || out[0].Partitions != 2 || out[0].ReplicationFactor != 1 {
		t.Fatalf("topic %+v, result %+v", topic, out[0])
	}
	for _, p := range topic.Partitions {
		if p.Leader != 1 || p.LeaderEpoch != 0 || p.PartitionEpoch != 0 || !slices.Equal(p.Replicas, []int32{1}) || !slices.Equal(p.ISR, []int32{1}) {
			t.Errorf("partition %+v", p)
		}
	}
	if c := e.Image().Config(metadata.TopicResource, "default"); len(c) != 2 || c["cleanup.policy"] != "compact" || c["retention.ms"] != "7" {
		t.Errorf("configuration %v", c)
	}
	out, err = e.CreateTopics(e.ctx, metadata.CreateTopics{ValidateOnly: true, Topics: []metadata.NewTopic{
		{Name: "would", Partitions: 3, ReplicationFactor: 1}, {Name: "exists", Partitions: 1, ReplicationFactor: 1}}})
	if err != nil || out[0].Err != nil || out[0].Partitions != 3 || !errors.Is(out[1].Err, protocol.ErrTopicAlreadyExists) || e.Image().Topic("would") != nil {
		t.Errorf("validate only: %+v, %v", out, err)
	}
}

func createTopicsByHand(t *testing.T, e *env) {
	e.broker(1)
	e.broker(2)
	e.broker(3)
	for _, tt := range []struct {
		name        string
		partitions  int32
		replicas    int16
		assignments []metadata.ReplicaAssignment
		code        protocol.ErrorCode
		text        string
	}{
		{"with a partition count", 1, -1, []metadata.ReplicaAssignment{{Partition: 0, Brokers: []int32{1}}}, protocol.ErrInvalidRequest, "numPartitions was not set to -1"},
		{"with a replication factor", -1, 1, []metadata.ReplicaAssignment{{Partition: 0, Brokers: []int32{1}}}, protocol.ErrInvalidRequest, "replication factor was not set to -1"},
		{"with a gap", -1, -1, []metadata.ReplicaAssignment{{Partition: 0, Brokers: []int32{1}}, {Partition: 2, Brokers: []int32{1}}},
			protocol.ErrInvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence"},
		{"with a partition twice", -1, -1, []metadata.ReplicaAssignment{{Partition: 0, Brokers: []int32{1}}, {Partition: 0, Brokers: []int32{1}}},
			protocol.ErrInvalidReplicaAssignment, "Found multiple manual partition assignments for partition 0"},
		{"with uneven replicas", -1, -1, []metadata.ReplicaAssignment{{Partition: 0, Brokers: []int32{1}}, {Partition: 1, Brokers: []int32{1, 2}}},
			protocol.ErrInvalidReplicaAssignment, "includes a partition with 2 replica(s), but this is not consistent with previous partitions, which have 1 replica(s)."},
		{"with a broker twice", -1, -1, []metadata.ReplicaAssignment{{Partition: 0, Brokers: []int32{1, 1}}},
			protocol.ErrInvalidReplicaAssignment, "includes the broker 1 more than once."},
		{"with an unknown broker", -1, -1, []metadata.ReplicaAssignment{{Partition: 0, Brokers: []int32{9}}},
			protocol.ErrInvalidReplicaAssignment, "includes broker 9, but no such broker is registered."},
		{"with nobody", -1, -1, []metadata.ReplicaAssignment{{Partition: 0}}, protocol.ErrInvalidReplicaAssignment, "includes an empty replica list."},
	} {
		out, err := e.CreateTopics(e.ctx, metadata.CreateTopics{Topics: []metadata.NewTopic{
			{Name: "t", Partitions: tt.partitions, ReplicationFactor: tt.replicas, Assignments: tt.assignments}}})
		if err != nil {
			t.Fatal(err)
		}
		e.is(tt.name, out[0].Err, tt.code, tt.text)
	}
	topic := e.create("by-hand", []int32{2, 1}, []int32{3, 2})
	if p := topic.Partitions[1]; p.Leader != 3 || !slices.Equal(p.Replicas, []int32{3, 2}) {
		t.Errorf("partition %+v", p)
	}
	e.fence(2)
	if p := e.create("half-fenced", []int32{2, 1}).Partitions[0]; p.Leader != 1 || !slices.Equal(p.ISR, []int32{1}) {
		t.Errorf("partition %+v", p)
	}
	out, _ := e.CreateTopics(e.ctx, metadata.CreateTopics{Topics: []metadata.NewTopic{{Name: "t", Partitions: -1, ReplicationFactor: -1,
		Assignments: []metadata.ReplicaAssignment{{Partition: 0, Brokers: []int32{2}}}}}})
	e.is("on a fenced broker", out[0].Err, protocol.ErrInvalidReplicaAssignment, "are fenced or in controlled shutdown.")
}

func deleteTopics(t *testing.T, e *env) {
	e.broker(1)
	a, b, c, d := e.create("a"), e.create("b"), e.create("c"), e.create("d")
	keep := e.create("keep")
	if _, err := e.IncrementalAlterConfigs(e.ctx, metadata.IncrementalAlterConfigs{Alterations: []metadata.ConfigAlteration{{
		Resource: metadata.ConfigResource{Type: metadata.TopicResource, Name: "a"},
		Changes:  []metadata.ConfigChange{{Name: "retention.ms", Value: ptr("1")}}}}}); err != nil {
		t.Fatal(err)
	}
	ghost := protocol.NewUUID()
	out, err := e.DeleteTopics(e.ctx, []metadata.TopicRef{
		{Name: "a"}, {ID: b.ID}, {Name: "missing"}, {ID: ghost}, {}, {Name: "keep", ID: keep.ID}, {Name: "c"}, {Name: "c"}, {ID: d.ID}, {Name: "d"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name string
		id   protocol.UUID
		code protocol.ErrorCode
		text string
	}{
		{"a", a.ID, protocol.None, ""},
		{"b", b.ID, protocol.None, ""},
		{"missing", protocol.UUID{}, protocol.ErrUnknownTopicOrPartition, ""},
		{"", ghost, protocol.ErrUnknownTopicID, ""},
		{"", protocol.UUID{}, protocol.ErrInvalidRequest, "Neither topic name nor id were specified."},
		{"keep", keep.ID, protocol.ErrInvalidRequest, "You may not specify both topic name and topic id."},
		{"c", protocol.UUID{}, protocol.ErrInvalidRequest, "Duplicate topic name."},
		{"d", d.ID, protocol.ErrInvalidRequest, "The provided topic name maps to an ID that was already supplied."},
	}
	if len(out) != len(want) {
		t.Fatalf("%d results: %+v", len(out), out)
	}
	for i, w := range want {
		if out[i].Name != w.name || out[i].ID != w.id {
			t.Errorf("result %d is %+v, not of %q", i, out[i], w.name)
		}
		e.is(w.name, out[i].Err, w.code, w.text)
	}
	m := e.Image()
	if m.Topic("a") != nil || m.TopicByID(b.ID) != nil || m.Topic("c") != c || m.Topic("d") != d || m.Topic("keep") != keep {
		t.Error("the wrong topics went")
	}
	if m.Config(metadata.TopicResource, "a") != nil {
		t.Error("the configuration of a deleted topic stays")
	}
	if again := e.create("a"); again.ID == a.ID {
		t.Error("a topic that was made again has its old id")
	}
}

func createPartitions(t *testing.T, e *env) {
	e.broker(1)
	e.broker(2)
	e.create("t", []int32{1}, []int32{1})
	grow := func(topic string, count int32, assignments [][]int32) error {
		out, err := e.CreatePartitions(e.ctx, metadata.CreatePartitions{Topics: []metadata.NewPartitions{{Topic: topic, Count: count, Assignments: assignments}}})
		if err != nil || len(out) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		return out[0].Err
	}
	e.is("unknown topic", grow("x", 3, nil), protocol.ErrUnknownTopicOrPartition, "")
	e.is("same count", grow("t", 2, nil), protocol.ErrInvalidPartitions, "Topic already has 2 partition(s).")
	e.is("lower count", grow("t", 1, nil), protocol.ErrInvalidPartitions, "The topic t currently has 2 partition(s); 1 would not be an increase.")
	e.is("too few assignments", grow("t", 4, [][]int32{{1}}), protocol.ErrInvalidReplicaAssignment,
		"Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.")
	e.is("another replication factor", grow("t", 3, [][]int32{{1, 2}}), protocol.ErrInvalidReplicaAssignment, "not consistent")
	e.is("unknown broker", grow("t", 3, [][]int32{{9}}), protocol.ErrInvalidReplicaAssignment, "no such broker")
	e.is("too many", grow("t", 1<<30, nil), protocol.ErrPolicyViolation, "")
	e.is("by hand", grow("t", 3, [][]int32{{2}}), protocol.None, "")
	e.is("placed", grow("t", 5, nil), protocol.None, "")
	topic := e.Image().Topic("t")
	if len(topic.Partitions) != 5 || topic.Partitions[2].Leader != 2 || len(topic.Partitions[4].Replicas) != 1 {
		t.Errorf("topic %+v", topic)
	}
	out, err := e.CreatePartitions(e.ctx, metadata.CreatePartitions{ValidateOnly: true, Topics: []metadata.NewPartitions{{Topic: "t", Count: 9}}})
	if err != nil || out[0].Err != nil || len(e.Image().Topic("t").Partitions) != 5 {
		t.Errorf("validate only: %+v, %v", out, err)
	}
	out, err = e.CreatePartitions(e.ctx, metadata.CreatePartitions{Topics: []metadata.NewPartitions{{Topic: "t", Count: 6}, {Topic: "t", Count: 7}}})
	if err != nil || len(out) != 1 || len(e.Image().Topic("t").Partitions) != 5 {
		t.Errorf("duplicate: %+v, %v", out, err)
	} else {
		e.is("duplicate", out[0].Err, protocol.ErrInvalidRequest, "Duplicate topic name.")
	}
}

func incrementalAlterConfigs(t *testing.T, e *env) {
	e.broker(1)
	e.create("t")
	topic := metadata.ConfigResource{Type: metadata.TopicResource, Name: "t"}
	alter := func(r metadata.ConfigResource, changes ...metadata.ConfigChange) error {
		out, err := e.IncrementalAlterConfigs(e.ctx, metadata.IncrementalAlterConfigs{Alterations: []metadata.ConfigAlteration{{Resource: r, Changes: changes}}})
		if err != nil || len(out) != 1 || out[0].Resource != r {
			t.Fatalf("%+v, %v", out, err)
		}
		return out[0].Err
	}
	value := func(key string) string { return e.Image().Config(metadata.TopicResource, "t")[key] }
	set := func(key, v string) metadata.ConfigChange { return metadata.ConfigChange{Name: key, Value: &v} }
	op := func(op metadata.ConfigOp, key, v string) metadata.ConfigChange {
		return metadata.ConfigChange{Name: key, Op: op, Value: &v}
	}
	e.is("set", alter(topic, set("retention.ms", "5"), set("x", "y")), protocol.None, "")
	e.is("append to the default", alter(topic, op(metadata.ConfigAppend, "cleanup.policy", "compact")), protocol.None, "")
	if value("retention.ms") != "5" || value("cleanup.policy") != "delete,compact" {
		t.Errorf("%v", e.Image().Config(metadata.TopicResource, "t"))
	}
	e.is("append again", alter(topic, op(metadata.ConfigAppend, "cleanup.policy", "compact")), protocol.None, "")
	e.is("subtract", alter(topic, op(metadata.ConfigSubtract, "cleanup.policy", "delete")), protocol.None, "")
	if value("cleanup.policy") != "compact" {
		t.Errorf("cleanup.policy is %q", value("cleanup.policy"))
	}
	e.is("append to a number", alter(topic, op(metadata.ConfigAppend, "retention.ms", "5")), protocol.ErrInvalidConfig,
		"Can't APPEND to key retention.ms because its type is not LIST.")
	e.is("subtract from a number", alter(topic, op(metadata.ConfigSubtract, "retention.ms", "5")), protocol.ErrInvalidConfig, "Can't SUBTRACT to key")
	e.is("delete", alter(topic, metadata.ConfigChange{Name: "x", Op: metadata.ConfigDelete}), protocol.None, "")
	e.is("delete what is not there", alter(topic, metadata.ConfigChange{Name: "x", Op: metadata.ConfigDelete}), protocol.None, "")
	if _, ok := e.Image().Config(metadata.TopicResource, "t")["x"]; ok {
		t.Error("x is still there")
	}
	e.is("null", alter(topic, metadata.ConfigChange{Name: "a"}), protocol.ErrInvalidRequest, "Null value not supported for : a")
	e.is("key twice", alter(topic, set("a", "1"), set("a", "2")), protocol.ErrInvalidRequest, "Error due to duplicate config keys")
	e.is("operation", alter(topic, op(9, "a", "1")), protocol.ErrInvalidRequest, "Unknown operations type 9")
	e.is("bad value", alter(topic, set("retention.ms", "soon"), set("good", "1")), protocol.ErrInvalidConfig, "Not a number")
	e.is("unknown key", alter(topic, set("unknown", "1")), protocol.ErrInvalidConfig, "Unknown topic config name: unknown")
	e.is("code of the schema", alter(topic, set("read.only", "1")), protocol.ErrInvalidRequest, "")
	if value("good") != "" || value("retention.ms") != "5" {
		t.Error("a refused resource was changed")
	}
	for _, tt := range []struct {
		resource metadata.ConfigResource
		code     protocol.ErrorCode
		text     string
	}{
		{metadata.ConfigResource{Type: metadata.TopicResource, Name: "nosuch"}, protocol.ErrUnknownTopicOrPartition, "The topic 'nosuch' does not exist."},
		{metadata.ConfigResource{Type: metadata.TopicResource, Name: ""}, protocol.ErrInvalidRequest, "Default topic resources are not allowed."},
		{metadata.ConfigResource{Type: metadata.TopicResource, Name: "sp ace"}, protocol.ErrInvalidTopicException, ""},
		{metadata.ConfigResource{Type: metadata.BrokerResource, Name: "one"}, protocol.ErrInvalidRequest, "Unable to parse broker name as a base 10 number."},
		{metadata.ConfigResource{Type: metadata.BrokerResource, Name: "-1"}, protocol.ErrInvalidRequest, "Invalid negative broker ID."},
		{metadata.ConfigResource{Type: metadata.BrokerResource, Name: "7"}, protocol.ErrBrokerIDNotRegistered, "No node with id 7 found."},
		{metadata.ConfigResource{Type: metadata.GroupResource, Name: ""}, protocol.ErrInvalidRequest, "Default group resources are not allowed."},
		{metadata.ConfigResource{Type: 77, Name: "x"}, protocol.ErrInvalidRequest, "Unknown resource type 77"},
		{metadata.ConfigResource{Type: metadata.BrokerResource, Name: "1"}, protocol.None, ""},
		{metadata.ConfigResource{Type: metadata.BrokerResource, Name: ""}, protocol.None, ""},
		{metadata.ConfigResource{Type: metadata.GroupResource, Name: "g"}, protocol.None, ""},
		{metadata.ConfigResource{Type: metadata.ClientMetricsResource, Name: "m"}, protocol.None, ""},
	} {
		e.is(tt.resource.String(), alter(tt.resource, set("some.key", "1")), tt.code, tt.text)
		if tt.code == protocol.None && e.Image().Config(tt.resource.Type, tt.resource.Name)["some.key"] != "1" {
			t.Errorf("%v was not changed", tt.resource)
		}
	}
	reloads := 0
	e.Subscribe(func(d *metadata.Delta, _ *metadata.Image) {
		if slices.Contains(d.Configs, metadata.ConfigResource{Type: metadata.BrokerResource, Name: "1"}) {
			reloads++
		}
	})
	alter(metadata.ConfigResource{Type: metadata.BrokerResource, Name: "1"}, set("some.key", "1"))
	if reloads != 2 {
		t.Errorf("a broker's key that is set again is told %d times, not once after the first", reloads-1)
	}
	out, err := e.IncrementalAlterConfigs(e.ctx, metadata.IncrementalAlterConfigs{Alterations: []metadata.ConfigAlteration{
		{Resource: topic, Changes: []metadata.ConfigChange{set("d", "1")}}, {Resource: topic, Changes: []metadata.ConfigChange{set("d", "2")}}}})
	if err != nil || len(out) != 2 || value("d") != "" {
		t.Errorf("%+v, %v", out, err)
	}
	for _, r := range out {
		e.is("resource twice", r.Err, protocol.ErrInvalidRequest, "Each resource must appear at most once.")
	}
	outcome, err := e.IncrementalAlterConfigs(e.ctx, metadata.IncrementalAlterConfigs{ValidateOnly: true, Alterations: []metadata.ConfigAlteration{
		{Resource: topic, Changes: []metadata.ConfigChange{set("e", "1")}}}})
	if err != nil || outcome[0].Err != nil || value("e") != "" {
		t.Errorf("validate only: %+v, %v", outcome, err)
	}
}

func alterConfigs(t *testing.T, e *env) {
	e.broker(1)
	e.create("t")
	topic := metadata.ConfigResource{Type: metadata.TopicResource, Name: "t"}
	replace := func(r metadata.ConfigResource, entries ...metadata.ConfigEntry) error {
		out, err := e.AlterConfigs(e.ctx, metadata.AlterConfigs{Replacements: []metadata.ConfigReplacement{{Resource: r, Entries: entries}}})
		if err != nil || len(out) != 1 || out[0].Resource != r {
			t.Fatalf("%+v, %v", out, err)
		}
		return out[0].Err
	}
	e.is("first", replace(topic, metadata.ConfigEntry{Name: "a", Value: ptr("1")}, metadata.ConfigEntry{Name: "b", Value: ptr("2")}), protocol.None, "")
	e.is("second", replace(topic, metadata.ConfigEntry{Name: "b", Value: ptr("3")}), protocol.None, "")
	if c := e.Image().Config(metadata.TopicResource, "t"); len(c) != 1 || c["b"] != "3" {
		t.Errorf("%v", c)
	}
	e.is("null", replace(topic, metadata.ConfigEntry{Name: "b"}), protocol.ErrInvalidRequest, "Null value not supported for : b")
	e.is("key twice", replace(topic, metadata.ConfigEntry{Name: "b", Value: ptr("1")}, metadata.ConfigEntry{Name: "b", Value: ptr("2")}),
		protocol.ErrInvalidRequest, "Error due to duplicate config keys")
	e.is("bad value", replace(topic, metadata.ConfigEntry{Name: "retention.ms", Value: ptr("x")}), protocol.ErrInvalidConfig, "")
	e.is("unknown topic", replace(metadata.ConfigResource{Type: metadata.TopicResource, Name: "u"}), protocol.ErrUnknownTopicOrPartition, "")
	out, err := e.AlterConfigs(e.ctx, metadata.AlterConfigs{Replacements: []metadata.ConfigReplacement{{Resource: topic}, {Resource: topic}}})
	if err != nil || len(out) != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	e.is("resource twice", out[1].Err, protocol.ErrInvalidRequest, "Each resource must appear at most once.")
	e.is("nothing", replace(topic), protocol.None, "")
	if c := e.Image().Config(metadata.TopicResource, "t"); len(c) != 0 {
		t.Errorf("%v", c)
	}
}
