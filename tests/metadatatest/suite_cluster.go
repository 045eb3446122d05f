package metadatatest

import (
	"slices"
	"testing"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

func brokers(t *testing.T, e *env) {
	epoch := e.broker(1)
	b := e.Image().Broker(1)
	if b == nil || b.Epoch != epoch || b.Fenced || len(b.Endpoints) != 1 || b.Endpoints[0].Port != 9093 || !e.Image().IsAlive(1) {
		t.Fatalf("broker %+v", b)
	}
	e.broker(2)
	e.create("t", []int32{1, 2}, []int32{2, 1})
	e.fence(2)
	if p := e.partition("t", 1); p.Leader != 1 || p.LeaderEpoch != 1 || p.PartitionEpoch != 1 || !slices.Equal(p.ISR, []int32{1}) {
		t.Errorf("after the fence: %+v", p)
	}
	if p := e.partition("t", 0); p.Leader != 1 || p.LeaderEpoch != 0 || p.PartitionEpoch != 1 || !slices.Equal(p.ISR, []int32{1}) {
		t.Errorf("a shrunk ISR: %+v", p)
	}
	e.fence(1)
	if p := e.partition("t", 0); p.Leader != metadata.NoLeader || !slices.Equal(p.ISR, []int32{1}) {
		t.Errorf("with nobody left: %+v", p)
	}
	e.unfence(2)
	if p := e.partition("t", 0); p.Leader != metadata.NoLeader {
		t.Errorf("a broker that is not in sync leads: %+v", p)
	}
	e.unfence(1)
	if p := e.partition("t", 0); p.Leader != 1 || p.LeaderEpoch != 2 {
		t.Errorf("after the unfence: %+v", p)
	}
	// A new life of the broker.
	old := e.epochs[1]
	if e.broker(1) <= old {
		t.Error("the broker epoch did not grow")
	}
	if p := e.partition("t", 0); p.Leader != 1 || p.LeaderEpoch != 3 {
		t.Errorf("after an unclean restart: %+v", p)
	}
	_, err := e.Heartbeat(e.ctx, metadata.BrokerHeartbeat{ID: 1, Epoch: old})
	e.is("an earlier life", err, protocol.ErrStaleBrokerEpoch, "")
	before := e.partition("t", 0).LeaderEpoch
	if _, err := e.RegisterBroker(e.ctx, metadata.BrokerRegistration{ID: 1, Incarnation: protocol.NewUUID(), LogDirs: []protocol.UUID{directory(1)}, PreviousEpoch: e.epochs[1]}); err != nil {
		t.Fatal(err)
	}
	if p := e.partition("t", 0); p.Leader != 1 || p.LeaderEpoch != before {
		t.Errorf("after a clean restart: %+v", p)
	}
	_, err = e.RegisterBroker(e.ctx, metadata.BrokerRegistration{ID: 3, ClusterID: "other", Incarnation: protocol.NewUUID()})
	e.is("another cluster", err, protocol.ErrInconsistentClusterID, "but got cluster ID other")
	_, err = e.RegisterBroker(e.ctx, metadata.BrokerRegistration{ID: 3, Incarnation: protocol.NewUUID(), LogDirs: []protocol.UUID{directory(1)}})
	e.is("somebody's directory", err, protocol.ErrInvalidRegistration, "Broker 1 is already registered with directory")
	e.is("an unknown broker", e.UnregisterBroker(e.ctx, 8), protocol.ErrBrokerIDNotRegistered, "Broker ID 8 is not currently registered")
	e.is("unregister", e.UnregisterBroker(e.ctx, 2), protocol.None, "")
	if e.Image().Broker(2) != nil || !slices.Equal(e.partition("t", 0).Replicas, []int32{1, 2}) {
		t.Error("an unregistered broker")
	}
}

func alterPartition(t *testing.T, e *env) {
	e.broker(1)
	e.broker(2)
	topic := e.create("t", []int32{1, 2})
	alter := func(change metadata.ISRChange) metadata.AlterPartitionResult {
		t.Helper()
		change.TopicID = topic.ID
		out, err := e.AlterPartition(e.ctx, metadata.AlterPartition{Broker: 1, Epoch: e.epochs[1], Partitions: []metadata.ISRChange{change}})
		if err != nil || len(out) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		return out[0]
	}
	isr := func(ids ...int32) (out []metadata.ISRMember) {
		for _, id := range ids {
			out = append(out, metadata.ISRMember{Broker: id, Epoch: -1})
		}
		return out
	}
	shrunk := alter(metadata.ISRChange{ISR: isr(1)})
	if shrunk.Err != nil || shrunk.State == nil || !slices.Equal(shrunk.State.ISR, []int32{1}) || shrunk.State.PartitionEpoch != 1 || shrunk.State.LeaderEpoch != 0 {
		t.Fatalf("shrink: %+v", shrunk)
	}
	e.is("old partition epoch", alter(metadata.ISRChange{ISR: isr(1, 2)}).Err, protocol.ErrInvalidUpdateVersion, "")
	e.is("future partition epoch", alter(metadata.ISRChange{ISR: isr(1, 2), PartitionEpoch: 9}).Err, protocol.ErrNotController, "")
	e.is("future leader epoch", alter(metadata.ISRChange{ISR: isr(1, 2), LeaderEpoch: 9, PartitionEpoch: 1}).Err, protocol.ErrNotController, "")
	e.is("without the leader", alter(metadata.ISRChange{ISR: isr(2), PartitionEpoch: 1}).Err, protocol.ErrInvalidRequest, "")
	e.is("not a replica", alter(metadata.ISRChange{ISR: isr(1, 3), PartitionEpoch: 1}).Err, protocol.ErrInvalidRequest, "")
	e.is("twice the same", alter(metadata.ISRChange{ISR: isr(1, 1), PartitionEpoch: 1}).Err, protocol.ErrInvalidRequest, "")
	e.is("recovering again", alter(metadata.ISRChange{ISR: isr(1), PartitionEpoch: 1, Recovery: metadata.LeaderRecovering}).Err, protocol.ErrInvalidRequest, "")
	e.is("unknown partition", alter(metadata.ISRChange{Partition: 7, ISR: isr(1)}).Err, protocol.ErrUnknownTopicOrPartition, "")
	e.is("another life of the member", alter(metadata.ISRChange{ISR: []metadata.ISRMember{{Broker: 1, Epoch: -1}, {Broker: 2, Epoch: 99999}}, PartitionEpoch: 1}).Err,
		protocol.ErrIneligibleReplica, "")
	e.fence(2)
	e.is("a fenced member", alter(metadata.ISRChange{ISR: isr(1, 2), PartitionEpoch: 1}).Err, protocol.ErrIneligibleReplica, "")
	e.unfence(2)
	grown := alter(metadata.ISRChange{ISR: isr(1, 2), PartitionEpoch: 1})
	if grown.Err != nil || !slices.Equal(grown.State.ISR, []int32{1, 2}) || grown.State.PartitionEpoch != 2 {
		t.Fatalf("grow: %+v", grown)
	}
	_, err := e.AlterPartition(e.ctx, metadata.AlterPartition{Broker: 1, Epoch: e.epochs[1] - 1, Partitions: []metadata.ISRChange{{}}})
	e.is("stale broker", err, protocol.ErrStaleBrokerEpoch, "")
	out, _ := e.AlterPartition(e.ctx, metadata.AlterPartition{Broker: 1, Epoch: e.epochs[1], Partitions: []metadata.ISRChange{{TopicID: protocol.NewUUID()}}})
	e.is("unknown topic", out[0].Err, protocol.ErrUnknownTopicID, "")
	out, _ = e.AlterPartition(e.ctx, metadata.AlterPartition{Broker: 2, Epoch: e.epochs[2],
		Partitions: []metadata.ISRChange{{TopicID: topic.ID, PartitionEpoch: 2, ISR: isr(1, 2)}}})
	e.is("not the leader", out[0].Err, protocol.ErrInvalidRequest, "")
	e.fence(1)
	out, _ = e.AlterPartition(e.ctx, metadata.AlterPartition{Broker: 1, Epoch: e.epochs[1],
		Partitions: []metadata.ISRChange{{TopicID: topic.ID, PartitionEpoch: 2, ISR: isr(1, 2)}}})
	e.is("a deposed leader", out[0].Err, protocol.ErrFencedLeaderEpoch, "")
}

func electLeaders(t *testing.T, e *env) {
	e.broker(1)
	e.broker(2)
	e.create("t", []int32{1, 2}, []int32{2, 1})
	elect := func(kind metadata.ElectionType, tp protocol.TopicPartition) error {
		out, err := e.ElectLeaders(e.ctx, metadata.ElectLeaders{Type: kind, Partitions: []protocol.TopicPartition{tp}})
		if err != nil || len(out) != 1 || out[0].TopicPartition != tp {
			t.Fatalf("%+v, %v", out, err)
		}
		return out[0].Err
	}
	zero := protocol.TopicPartition{Topic: "t"}
	e.is("not needed", elect(metadata.ElectPreferred, zero), protocol.ErrElectionNotNeeded, "")
	e.is("not needed either", elect(metadata.ElectUnclean, zero), protocol.ErrElectionNotNeeded, "")
	e.is("unknown topic", elect(metadata.ElectPreferred, protocol.TopicPartition{Topic: "u"}), protocol.ErrUnknownTopicOrPartition, "No such topic as u")
	e.is("unknown partition", elect(metadata.ElectPreferred, protocol.TopicPartition{Topic: "t", Partition: 5}), protocol.ErrUnknownTopicOrPartition, "No such partition as t-5")
	e.fence(1)
	e.is("preferred is away", elect(metadata.ElectPreferred, zero), protocol.ErrPreferredLeaderNotAvailable, "")
	e.unfence(1)
	e.is("preferred is not in sync", elect(metadata.ElectPreferred, zero), protocol.ErrPreferredLeaderNotAvailable, "")
	p := e.partition("t", 0)
	topic := e.Image().Topic("t")
	out, err := e.AlterPartition(e.ctx, metadata.AlterPartition{Broker: 2, Epoch: e.epochs[2], Partitions: []metadata.ISRChange{{TopicID: topic.ID,
		LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, ISR: []metadata.ISRMember{{Broker: 2, Epoch: -1}, {Broker: 1, Epoch: -1}}}}})
	if err != nil || out[0].Err != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	all, err := e.ElectLeaders(e.ctx, metadata.ElectLeaders{Type: metadata.ElectPreferred, All: true})
	if err != nil || len(all) != 1 || all[0].TopicPartition != zero || all[0].Err != nil {
		t.Errorf("all: %+v, %v", all, err)
	}
	if p := e.partition("t", 0); p.Leader != 1 || p.LeaderEpoch != 2 {
		t.Errorf("after the election: %+v", p)
	}
	_, err = e.ElectLeaders(e.ctx, metadata.ElectLeaders{Type: 5})
	e.is("unknown type", err, protocol.ErrInvalidRequest, "Unknown election type 5")
	// Unclean: the only one in sync goes, another one stands in.
	e.create("u", []int32{1, 2})
	e.fence(2)
	e.fence(1)
	u := protocol.TopicPartition{Topic: "u"}
	e.is("nobody", elect(metadata.ElectUnclean, u), protocol.ErrEligibleLeadersNotAvailable, "")
	e.unfence(2)
	e.is("unclean", elect(metadata.ElectUnclean, u), protocol.None, "")
	if p := e.partition("u", 0); p.Leader != 2 || !slices.Equal(p.ISR, []int32{2}) || p.Recovery != metadata.LeaderRecovering {
		t.Errorf("after the unclean election: %+v", p)
	}
}

func reassignment(t *testing.T, e *env) {
	for id := int32(1); id <= 4; id++ {
		e.broker(id)
	}
	topic := e.create("t", []int32{1, 2})
	tp := protocol.TopicPartition{Topic: "t"}
	reassign := func(target []int32) error {
		out, err := e.AlterPartitionReassignments(e.ctx, metadata.AlterReassignments{Reassignments: []metadata.Reassignment{{TopicPartition: tp, Replicas: target}}})
		if err != nil || len(out) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		return out[0].Err
	}
	join := func(ids ...int32) error {
		p := e.partition("t", 0)
		change := metadata.ISRChange{TopicID: topic.ID, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, Recovery: p.Recovery}
		for _, id := range ids {
			change.ISR = append(change.ISR, metadata.ISRMember{Broker: id, Epoch: -1})
		}
		out, err := e.AlterPartition(e.ctx, metadata.AlterPartition{Broker: p.Leader, Epoch: e.epochs[p.Leader], Partitions: []metadata.ISRChange{change}})
		if err != nil {
			t.Fatal(err)
		}
		return out[0].Err
	}
	e.is("cancel of nothing", reassign(nil), protocol.ErrNoReassignmentInProgress, "")
	e.is("empty", reassign([]int32{}), protocol.ErrInvalidReplicaAssignment, "empty replica list")
	e.is("unknown broker", reassign([]int32{9}), protocol.ErrInvalidReplicaAssignment, "no such broker")
	e.is("twice", reassign([]int32{1, 1}), protocol.ErrInvalidReplicaAssignment, "more than once")
	e.is("start", reassign([]int32{3, 4}), protocol.None, "")
	if p := e.partition("t", 0); !slices.Equal(p.Replicas, []int32{3, 4, 1, 2}) || !slices.Equal(p.Adding, []int32{3, 4}) || !slices.Equal(p.Removing, []int32{1, 2}) || p.Leader != 1 {
		t.Errorf("started: %+v", p)
	}
	states, err := e.ListPartitionReassignments(e.ctx, nil)
	if err != nil || len(states) != 1 || states[0].TopicPartition != tp || !slices.Equal(states[0].Adding, []int32{3, 4}) {
		t.Errorf("listed: %+v, %v", states, err)
	}
	if states, _ := e.ListPartitionReassignments(e.ctx, []protocol.TopicPartition{{Topic: "u"}}); len(states) != 0 {
		t.Errorf("listed: %+v", states)
	}
	e.is("cancel", reassign(nil), protocol.None, "")
	if p := e.partition("t", 0); !slices.Equal(p.Replicas, []int32{1, 2}) || p.IsReassigning() {
		t.Errorf("cancelled: %+v", p)
	}
	e.is("start again", reassign([]int32{3, 4}), protocol.None, "")
	e.is("one is in sync", join(1, 2, 3), protocol.None, "")
	e.is("replace", reassign([]int32{2, 4}), protocol.None, "")
	if p := e.partition("t", 0); !slices.Equal(p.Replicas, []int32{2, 4, 1}) || !slices.Equal(p.Adding, []int32{4}) || !slices.Equal(p.Removing, []int32{1}) || slices.Contains(p.ISR, 3) {
		t.Errorf("replaced: %+v", p)
	}
	before := e.partition("t", 0)
	e.is("all are in sync", join(1, 2, 4), protocol.ErrNewLeaderElected, "")
	if p := e.partition("t", 0); !slices.Equal(p.Replicas, []int32{2, 4}) || p.IsReassigning() || p.Leader != 2 || !slices.Equal(p.ISR, []int32{2, 4}) || p.LeaderEpoch <= before.LeaderEpoch {
		t.Errorf("completed: %+v", p)
	}
	out, err := e.AlterPartitionReassignments(e.ctx, metadata.AlterReassignments{KeepReplicationFactor: true,
		Reassignments: []metadata.Reassignment{{TopicPartition: tp, Replicas: []int32{1, 2, 3}}}})
	if err != nil {
		t.Fatal(err)
	}
	e.is("another replication factor", out[0].Err, protocol.ErrInvalidReplicationFactor, "The replication factor is changed from 2 to 3")
	dirs, err := e.AssignReplicasToDirs(e.ctx, metadata.AssignReplicasToDirs{Broker: 2, Epoch: e.epochs[2], Assignments: []metadata.DirAssignment{
		{Directory: directory(2), TopicID: topic.ID}, {Directory: directory(2), TopicID: protocol.NewUUID()}, {Directory: directory(2), TopicID: topic.ID, Partition: 9}}})
	if err != nil {
		t.Fatal(err)
	}
	e.is("directory", dirs[0].Err, protocol.None, "")
	e.is("directory of an unknown topic", dirs[1].Err, protocol.ErrUnknownTopicID, "")
	e.is("directory of an unknown partition", dirs[2].Err, protocol.ErrUnknownTopicOrPartition, "")
}

func producerIDs(t *testing.T, e *env) {
	_, err := e.AllocateProducerIDs(e.ctx, 1, 1)
	e.is("unknown broker", err, protocol.ErrStaleBrokerEpoch, "")
	epoch := e.broker(1)
	first, err := e.AllocateProducerIDs(e.ctx, 1, epoch)
	if err != nil || first.Count != metadata.ProducerIDBlockSize {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := e.AllocateProducerIDs(e.ctx, 1, epoch)
	if err != nil || second.First < first.First+int64(first.Count) {
		t.Errorf("%+v after %+v, %v", second, first, err)
	}
	if next := e.Image().NextProducerID(); next < second.First+int64(second.Count) {
		t.Errorf("next producer id %d", next)
	}
}
