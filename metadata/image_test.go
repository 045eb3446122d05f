package metadata

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

func apply(tb testing.TB, base *Image, records ...Record) (*Image, *Delta) {
	tb.Helper()
	d := NewDraft(base)
	for _, r := range records {
		if err := d.Apply(r); err != nil {
			tb.Fatalf("apply %#v: %v", r, err)
		}
	}
	return d.Finish(base.Version() + 1)
}

func testID(n int) (id protocol.UUID) {
	copy(id[:], fmt.Sprintf("%08d", n))
	return id
}

func testTopic(n int, partitions int) []Record {
	id := testID(n)
	r := &PartitionsRecord{TopicID: id}
	for range partitions {
		r.Partitions = append(r.Partitions, &Partition{Replicas: []int32{1}, ISR: []int32{1}, Leader: 1,
			Directories: []protocol.UUID{testID(9999)}})
	}
	return []Record{&TopicRecord{fmt.Sprintf("topic-%05d", n), id}, r}
}

func TestImageIsNotChangedByItsSuccessors(t *testing.T) {
	empty := EmptyImage()
	one, _ := apply(t, empty, testTopic(1, 2)...)
	leader := NoLeader
	two, delta := apply(t, one, &PartitionChangeRecord{TopicID: testID(1), Partition: 1, Leader: &leader})
	three, _ := apply(t, two, &RemoveTopicRecord{testID(1)})

	if empty.TopicCount() != 0 || one.Topic("topic-00001").Partition(1).Leader != 1 {
		t.Error("an older image changed")
	}
	p := two.TopicByID(testID(1)).Partition(1)
	if p.Leader != NoLeader || p.LeaderEpoch != 1 || p.PartitionEpoch != 1 {
		t.Errorf("partition after the change: %+v", p)
	}
	if len(delta.Partitions) != 1 || delta.Partitions[0].Before.Leader != 1 || !delta.Partitions[0].LeaderChanged() {
		t.Errorf("delta %+v", delta)
	}
	if three.Topic("topic-00001") != nil || three.PartitionCount() != 0 || slices.Collect(three.Topics()) != nil {
		t.Error("a removed topic is still there")
	}
}

func TestTopicDeletedAndCreatedAgainIsInBothLists(t *testing.T) {
	one, _ := apply(t, EmptyImage(), append(testTopic(1, 1), &ConfigRecord{ConfigResource{TopicResource, "topic-00001"}, "k", new(string)})...)
	id := testID(2)
	_, delta := apply(t, one, &RemoveTopicRecord{testID(1)}, &TopicRecord{"topic-00001", id},
		&PartitionsRecord{TopicID: id, Partitions: []*Partition{{Replicas: []int32{1}, ISR: []int32{1}, Leader: 1}}})
	if len(delta.TopicsDeleted) != 1 || delta.TopicsDeleted[0].ID != testID(1) || len(delta.TopicsCreated) != 1 ||
		delta.TopicsCreated[0].ID != id || len(delta.Partitions) != 1 || delta.Partitions[0].Before != nil || len(delta.Configs) != 1 {
		t.Errorf("delta %+v", delta)
	}
}

// The image follows a plain map through random histories, and so do delta and Diff.
func TestImageFollowsAModel(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		image := EmptyImage()
		model := map[string]int{}
		known := image
		for step := range 300 {
			d := NewDraft(image)
			for range 1 + rng.IntN(20) {
				n := rng.IntN(400)
				name := fmt.Sprintf("topic-%05d", n)
				if _, ok := model[name]; ok {
					if err := d.Apply(&RemoveTopicRecord{testID(n)}); err != nil {
						t.Fatal(err)
					}
					delete(model, name)
					continue
				}
				for _, r := range testTopic(n, 1+n%3) {
					if err := d.Apply(r); err != nil {
						t.Fatal(err)
					}
				}
				model[name] = 1 + n%3
			}
			before := image
			var delta *Delta
			image, delta = d.Finish(int64(step))
			if err := checkImage(image, model); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
			if full := Diff(before, image); !slices.Equal(names(delta.TopicsCreated), names(full.TopicsCreated)) ||
				!slices.Equal(names(delta.TopicsDeleted), names(full.TopicsDeleted)) || len(delta.Partitions) != len(full.Partitions) {
				t.Fatalf("seed %d step %d: delta %v, diff %v", seed, step, delta, full)
			}
		}
		if known.TopicCount() != 0 {
			t.Fatal("the empty image changed")
		}
	}
}

func names(topics []*Topic) []string {
	var out []string
	for _, t := range topics {
		out = append(out, t.Name)
	}
	return out
}

func checkImage(m *Image, model map[string]int) error {
	if m.TopicCount() != len(model) {
		return fmt.Errorf("%d topics, not %d", m.TopicCount(), len(model))
	}
	last, count, partitions := "", 0, 0
	for topic := range m.Topics() {
		if topic.Name <= last && last != "" || model[topic.Name] != len(topic.Partitions) || m.Topic(topic.Name) != topic ||
			m.TopicByID(topic.ID) != topic || m.TopicBytes([]byte(topic.Name)) != topic {
			return fmt.Errorf("topic %q is not right", topic.Name)
		}
		last = topic.Name
		count++
		partitions += len(topic.Partitions)
	}
	if count != len(model) || m.PartitionCount() != partitions {
		return fmt.Errorf("%d topics in order, %d partitions", count, partitions)
	}
	for topic := range m.TopicsFrom("topic-00100") {
		if topic.Name < "topic-00100" {
			return fmt.Errorf("TopicsFrom yields %q", topic.Name)
		}
		count--
	}
	for topic := range m.Topics() {
		if topic.Name < "topic-00100" {
			count--
		}
	}
	if count != 0 {
		return fmt.Errorf("TopicsFrom is off by %d", count)
	}
	return nil
}

func TestRecordsMakeTheSameImage(t *testing.T) {
	image, _ := apply(t, EmptyImage(), sampleRecords()...)
	again := EmptyImage()
	d := NewDraft(again)
	for r := range image.Records() {
		if err := d.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	again, _ = d.Finish(image.Version())
	first, second := encodeImage(image), encodeImage(again)
	if !bytes.Equal(first, second) {
		t.Error("an image that went through its records is another")
	}
	if delta := Diff(image, again); len(delta.Partitions)+len(delta.TopicsCreated)+len(delta.TopicsDeleted)+len(delta.Quotas)+
		len(delta.ScramCredentials)+len(delta.ACLsAdded)+len(delta.DelegationTokens) != 0 || delta.Features {
		t.Errorf("they differ in %+v", delta)
	}
}

func encodeImage(m *Image) []byte {
	var out []byte
	for r := range m.Records() {
		out = AppendRecord(out, r)
	}
	return out
}

func sampleRecords() []Record {
	value, yes, leader, recovering := "compact,delete", true, int32(2), LeaderRecovering
	user := QuotaName{Set: true, Name: "alice"}
	records := []Record{
		&NoOpRecord{},
		&ClusterIDRecord{"aGVsbG8gd29ybGQgMTIzNA"},
		&ControllerRecord{1, 3},
		&BrokerRecord{Broker{ID: 1, Epoch: 7, Incarnation: testID(4), Endpoints: []Endpoint{{"PLAINTEXT", "localhost", 9092, Plaintext}},
			Rack: "r1", Features: []FeatureRange{{"metadata.version", 1, 25}}, LogDirs: []protocol.UUID{testID(9999)}, Fenced: true}},
		&BrokerRecord{Broker{ID: 2, Epoch: 8, LogDirs: []protocol.UUID{}}},
		&BrokerChangeRecord{ID: 1, Epoch: 7, Fenced: new(bool), InControlledShutdown: &yes, LogDirs: &[]protocol.UUID{testID(9998)}},
		&RemoveBrokerRecord{2, 8},
		&ConfigRecord{ConfigResource{TopicResource, "topic-00001"}, "cleanup.policy", &value},
		&ConfigRecord{ConfigResource{BrokerResource, ""}, "log.retention.ms", &value},
		&ConfigRecord{ConfigResource{BrokerResource, ""}, "log.retention.ms", nil},
		&QuotaRecord{Entity: QuotaEntity{User: user, ClientID: QuotaName{Set: true}}, Key: "producer_byte_rate", Value: 1e6},
		&QuotaRecord{Entity: QuotaEntity{IP: user}, Key: "connection_creation_rate", Remove: true},
		&ScramCredentialRecord{ScramCredential{"alice", ScramSHA512, []byte("salt"), []byte("stored"), []byte("server"), 4096}},
		&ScramCredentialRecord{ScramCredential{"bob", ScramSHA256, []byte("salt"), []byte("stored"), []byte("server"), 4096}},
		&RemoveScramCredentialRecord{ScramDeletion{"bob", ScramSHA256}},
		&DelegationTokenRecord{DelegationToken{ID: "t1", Owner: "User:a", Requester: "User:b", Renewers: []string{"User:c"},
			IssueTimestampMs: 1, ExpiryTimestampMs: 2, MaxTimestampMs: 3}},
		&RemoveDelegationTokenRecord{"t2"},
		&ACLRecord{ACL{testID(5), 2, "orders", 3, "User:alice", "*", 3, 3}},
		&RemoveACLRecord{testID(6)},
		&ProducerIDsRecord{1, 7, 1000},
		&FeatureRecord{"metadata.version", 25},
	}
	records = append(records, testTopic(1, 3)...)
	records = append(records,
		&TopicRecord{"moving", testID(3)},
		&PartitionsRecord{TopicID: testID(3), Partitions: []*Partition{
			{Replicas: []int32{3, 2, 1}, ISR: []int32{2, 1}, Adding: []int32{3}, Removing: []int32{1}, Leader: 2, LeaderEpoch: 5, PartitionEpoch: 9},
			{Replicas: []int32{300000, 2}, ISR: []int32{2}, Leader: NoLeader, LeaderEpoch: 1, PartitionEpoch: 1, Recovery: LeaderRecovering},
		}},
		&PartitionChangeRecord{TopicID: testID(3), Partition: 0, Leader: &leader, ISR: []int32{2}, Replicas: []int32{2, 1},
			Adding: &[]int32{}, Removing: &[]int32{}, Directories: []protocol.UUID{testID(1), {}}, Recovery: &recovering},
		&TopicRecord{"gone", testID(8)},
		&RemoveTopicRecord{testID(8)},
	)
	return records
}

func TestRecordsSurviveTheirEncoding(t *testing.T) {
	for _, r := range sampleRecords() {
		wire := AppendRecord(nil, r)
		again, rest, err := ParseRecord(append(wire, 0xff))
		if err != nil || len(rest) != 1 {
			t.Fatalf("%#v: %v, %d bytes over", r, err, len(rest))
		}
		if !reflect.DeepEqual(normal(r), normal(again)) {
			t.Errorf("%#v came back as %#v", r, again)
		}
		for n := range wire {
			if _, _, err := ParseRecord(wire[:n]); err == nil {
				t.Errorf("%T is accepted when cut to %d of %d bytes", r, n, len(wire))
			}
		}
	}
	if _, err := ParseRecords(AppendRecords(nil, sampleRecords())); err != nil {
		t.Error(err)
	}
}

// normal makes nil and empty lists of partitions and brokers the same.
func normal(r Record) Record {
	switch r := r.(type) {
	case *PartitionsRecord:
		out := *r
		out.Partitions = nil
		for _, p := range r.Partitions {
			q := *p
			if len(q.Adding) == 0 {
				q.Adding = nil
			}
			if len(q.Removing) == 0 {
				q.Removing = nil
			}
			out.Partitions = append(out.Partitions, &q)
		}
		return &out
	case *BrokerRecord:
		out := *r
		if len(out.LogDirs) == 0 {
			out.LogDirs = nil
		}
		return &out
	}
	return r
}

func FuzzParseRecord(f *testing.F) {
	for _, r := range sampleRecords() {
		f.Add(AppendRecord(nil, r))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		defer fuzzcost.Bound(t, len(wire), 64)()
		r, rest, err := ParseRecord(wire)
		if err != nil {
			return
		}
		if len(rest) >= len(wire) {
			t.Fatal("nothing was read")
		}
		once := AppendRecord(nil, r)
		again, _, err := ParseRecord(once)
		if err != nil {
			t.Fatalf("%#v does not come back: %v", r, err)
		}
		if twice := AppendRecord(nil, again); !bytes.Equal(once, twice) {
			t.Fatalf("%x came back as %x", once, twice)
		}
	})
}

// Any records that decode can be applied, or refused, but do not panic and leave the image whole.
func FuzzApplyRecords(f *testing.F) {
	f.Add(AppendRecords(nil, sampleRecords()))
	f.Fuzz(func(t *testing.T, wire []byte) {
		defer fuzzcost.Bound(t, len(wire), 64)()
		records, err := ParseRecords(wire)
		if err != nil {
			return
		}
		d := NewDraft(EmptyImage())
		for _, r := range records {
			if d.Apply(r) != nil {
				return
			}
		}
		image, _ := d.Finish(1)
		again := NewDraft(EmptyImage())
		for r := range image.Records() {
			if err := again.Apply(r); err != nil {
				t.Fatalf("image is not whole: %v", err)
			}
		}
	})
}

func TestLookupsDoNotAllocate(t *testing.T) {
	image, _ := apply(t, EmptyImage(), testTopic(1, 1)...)
	name, id := []byte("topic-00001"), testID(1)
	if n := testing.AllocsPerRun(100, func() {
		if image.TopicBytes(name) == nil || image.Topic("topic-00001") == nil || image.TopicByID(id) == nil {
			t.Fatal("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func heapOf(build func() *Image) (uint64, *Image) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	image := build()
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return after.HeapAlloc - before.HeapAlloc, image
}

// Not a bound to defend, but the design's estimate: up to some 300 bytes a partition.
func TestHeapPerPartition(t *testing.T) {
	const n = 10_000
	single, image := heapOf(func() *Image {
		image := EmptyImage()
		for i := range n {
			image, _ = apply(t, image, testTopic(i, 1)...)
		}
		return image
	})
	t.Logf("%d topics of one partition, made one by one: %d bytes each", image.TopicCount(), single/n)
	if single/n > 400 {
		t.Errorf("%d bytes per single-partition topic", single/n)
	}
	runtime.KeepAlive(image)
	wide, image := heapOf(func() *Image {
		image, _ := apply(t, EmptyImage(), testTopic(0, n)...)
		return image
	})
	t.Logf("one topic of %d partitions: %d bytes each", image.PartitionCount(), wide/n)
	if wide/n > 300 {
		t.Errorf("%d bytes per partition", wide/n)
	}
	runtime.KeepAlive(image)
}

func BenchmarkCreateTopic(b *testing.B) {
	for _, existing := range []int{0, 10_000, 100_000} {
		b.Run(fmt.Sprintf("existing=%d", existing), func(b *testing.B) {
			d := NewDraft(EmptyImage())
			for i := range existing {
				for _, r := range testTopic(i, 1) {
					if err := d.Apply(r); err != nil {
						b.Fatal(err)
					}
				}
			}
			image, _ := d.Finish(1)
			records := testTopic(existing+1, 1)
			b.ReportAllocs()
			for b.Loop() {
				apply(b, image, records...)
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	image := EmptyImage()
	d := NewDraft(image)
	for i := range 10_000 {
		for _, r := range testTopic(i, 1) {
			if err := d.Apply(r); err != nil {
				b.Fatal(err)
			}
		}
	}
	image, _ = d.Finish(1)
	name := []byte("topic-04711")
	b.ReportAllocs()
	for b.Loop() {
		image.TopicBytes(name)
	}
}
