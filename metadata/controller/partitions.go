package controller

import (
	"slices"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// checkBrokerEpoch refuses what an unknown broker or an earlier life of a broker sends.
func checkBrokerEpoch(m *metadata.Image, id int32, epoch int64) error {
	b := m.Broker(id)
	if b == nil {
		return protocol.Errorf(protocol.ErrStaleBrokerEpoch, "No broker registration found for broker id %d", id)
	}
	if b.Epoch != epoch {
		return protocol.Errorf(protocol.ErrStaleBrokerEpoch, "Expected broker epoch %d, but got broker epoch %d", b.Epoch, epoch)
	}
	return nil
}

// AlterPartition changes ISRs for their leaders; see metadata.Store.
func (c *Controller) AlterPartition(m *metadata.Image, cmd metadata.AlterPartition) ([]metadata.Record, []metadata.AlterPartitionResult, error) {
	if err := checkBrokerEpoch(m, cmd.Broker, cmd.Epoch); err != nil {
		return nil, nil, err
	}
	var records []metadata.Record
	results := make([]metadata.AlterPartitionResult, len(cmd.Partitions))
	seen := map[partitionKey]bool{}
	for i, change := range cmd.Partitions {
		results[i] = metadata.AlterPartitionResult{TopicID: change.TopicID, Partition: change.Partition}
		key := partitionKey{change.TopicID, change.Partition}
		if seen[key] {
			results[i].Err = protocol.ErrInvalidRequest
			continue
		}
		seen[key] = true
		var record *metadata.PartitionChangeRecord
		record, results[i].State, results[i].Err = c.alterPartition(m, cmd.Broker, &change)
		if record != nil {
			records = append(records, record)
		}
	}
	return records, results, nil
}

type partitionKey struct {
	topic protocol.UUID
	n     int32
}

func (c *Controller) alterPartition(m *metadata.Image, leader int32, change *metadata.ISRChange) (*metadata.PartitionChangeRecord, *metadata.Partition, error) {
	topic := m.TopicByID(change.TopicID)
	if topic == nil {
		return nil, nil, protocol.ErrUnknownTopicID
	}
	partition := topic.Partition(change.Partition)
	isr := make([]int32, len(change.ISR))
	for i, member := range change.ISR {
		isr[i] = member.Broker
	}
	if err := checkISRChange(m, partition, leader, change, isr); err != nil {
		return nil, nil, err
	}
	b := newPartitionChange(m, topic, change.Partition)
	if c.uncleanElection(m, topic.Name) {
		b.rule = electUnclean
	}
	b.isr, b.recovery = isr, change.Recovery
	record := b.build()
	if record == nil {
		return nil, partition, nil
	}
	next := partition.Merge(record)
	if next.Leader != leader {
		// The change completed a reassignment that leaves the leader out. It is made, and
		// the leader told to look again.
		return record, nil, protocol.ErrNewLeaderElected
	}
	return record, next, nil
}

func checkISRChange(m *metadata.Image, p *metadata.Partition, leader int32, change *metadata.ISRChange, isr []int32) error {
	switch {
	case p == nil:
		return protocol.ErrUnknownTopicOrPartition
	case change.LeaderEpoch > p.LeaderEpoch, change.PartitionEpoch > p.PartitionEpoch:
		// The leader knows more than we do: we are hardly the controller still.
		return protocol.ErrNotController
	case change.LeaderEpoch < p.LeaderEpoch:
		return protocol.ErrFencedLeaderEpoch
	case leader != p.Leader:
		return protocol.ErrInvalidRequest
	case change.PartitionEpoch < p.PartitionEpoch:
		return protocol.ErrInvalidUpdateVersion
	case !isValidISR(isr, p.Replicas), !slices.Contains(isr, leader):
		return protocol.ErrInvalidRequest
	case change.Recovery == metadata.LeaderRecovering && len(isr) > 1,
		change.Recovery == metadata.LeaderRecovering && p.Recovery == metadata.LeaderRecovered:
		return protocol.ErrInvalidRequest
	}
	for _, member := range change.ISR {
		if !isActive(m, member.Broker) || member.Epoch != -1 && member.Epoch != m.Broker(member.Broker).Epoch {
			return protocol.ErrIneligibleReplica
		}
	}
	return nil
}

// isValidISR says whether isr is a set, not empty, of replicas.
func isValidISR(isr, replicas []int32) bool {
	if len(isr) == 0 {
		return false
	}
	for i, id := range isr {
		if slices.Contains(isr[:i], id) || !slices.Contains(replicas, id) {
			return false
		}
	}
	return true
}

// ElectLeaders elects; see metadata.Store.
func (c *Controller) ElectLeaders(m *metadata.Image, cmd metadata.ElectLeaders) ([]metadata.Record, []metadata.PartitionResult, error) {
	if cmd.Type != metadata.ElectPreferred && cmd.Type != metadata.ElectUnclean {
		return nil, nil, protocol.Errorf(protocol.ErrInvalidRequest, "Unknown election type %d", cmd.Type)
	}
	var records []metadata.Record
	var results []metadata.PartitionResult
	if cmd.All {
		for t := range m.Topics() {
			for i := range t.Partitions {
				record, err := electLeader(m, t.Name, int32(i), cmd.Type)
				if record != nil {
					records = append(records, record)
				}
				if err != protocol.ErrElectionNotNeeded {
					results = append(results, metadata.PartitionResult{
						TopicPartition: protocol.TopicPartition{Topic: t.Name, Partition: int32(i)}, Err: err})
				}
			}
		}
		return records, results, nil
	}
	seen := map[protocol.TopicPartition]bool{}
	for _, tp := range cmd.Partitions {
		record, err := electLeader(m, tp.Topic, tp.Partition, cmd.Type)
		if record != nil && !seen[tp] {
			records = append(records, record)
		}
		seen[tp] = true
		results = append(results, metadata.PartitionResult{TopicPartition: tp, Err: err})
	}
	return records, results, nil
}

func electLeader(m *metadata.Image, topic string, number int32, kind metadata.ElectionType) (metadata.Record, error) {
	t := m.Topic(topic)
	if t == nil {
		return nil, protocol.Errorf(protocol.ErrUnknownTopicOrPartition, "No such topic as %s", topic)
	}
	p := t.Partition(number)
	if p == nil {
		return nil, protocol.Errorf(protocol.ErrUnknownTopicOrPartition, "No such partition as %s-%d", topic, number)
	}
	if kind == metadata.ElectPreferred && p.Leader == p.Replicas[0] || kind == metadata.ElectUnclean && p.Leader != metadata.NoLeader {
		return nil, protocol.ErrElectionNotNeeded
	}
	b := newPartitionChange(m, t, number)
	b.rule = electPreferred
	if kind == metadata.ElectUnclean {
		b.rule = electUnclean
	}
	if record := b.build(); record != nil {
		return record, nil
	}
	if kind == metadata.ElectPreferred {
		return nil, protocol.ErrPreferredLeaderNotAvailable
	}
	return nil, protocol.ErrEligibleLeadersNotAvailable
}

// AlterPartitionReassignments starts, replaces and cancels reassignments; see metadata.Store.
//
// A reassignment is a change to target and origin together, with what comes and what goes
// beside them; the ISR change that brings the whole target in sync completes it.
func (c *Controller) AlterPartitionReassignments(m *metadata.Image, cmd metadata.AlterReassignments) ([]metadata.Record, []metadata.PartitionResult) {
	var records []metadata.Record
	results := make([]metadata.PartitionResult, len(cmd.Reassignments))
	made := map[protocol.TopicPartition]int{} // in records
	for i, r := range cmd.Reassignments {
		record, err := c.reassign(m, &r, cmd.KeepReplicationFactor)
		results[i] = metadata.PartitionResult{TopicPartition: r.TopicPartition, Err: err}
		if record == nil {
			continue
		}
		// Of a partition that is named more than once the last counts, as with Apache.
		if at, again := made[r.TopicPartition]; again {
			records[at] = record
			continue
		}
		made[r.TopicPartition] = len(records)
		records = append(records, record)
	}
	return records, results
}

func (c *Controller) reassign(m *metadata.Image, r *metadata.Reassignment, keepReplicationFactor bool) (metadata.Record, error) {
	t := m.Topic(r.Topic)
	if t == nil {
		return nil, protocol.Errorf(protocol.ErrUnknownTopicOrPartition, "Unable to find a topic named %s.", r.Topic)
	}
	p := t.Partition(r.Partition)
	if p == nil {
		return nil, protocol.Errorf(protocol.ErrUnknownTopicOrPartition, "Unable to find partition %s:%d.", r.Topic, r.Partition)
	}
	b := newPartitionChange(m, t, r.Partition)
	var err error
	if r.Replicas == nil {
		err = c.cancelReassignment(m, t.Name, b)
	} else {
		err = startReassignment(m, b, r.Replicas, keepReplicationFactor)
	}
	if err != nil {
		return nil, err
	}
	if record := b.build(); record != nil {
		return record, nil
	}
	return nil, nil
}

func (c *Controller) cancelReassignment(m *metadata.Image, topic string, b *partitionChange) error {
	p := b.partition
	if !p.IsReassigning() {
		return protocol.ErrNoReassignmentInProgress
	}
	unclean := c.uncleanElection(m, topic)
	b.replicas, b.isr = without(p.Replicas, p.Adding), without(p.ISR, p.Adding)
	if len(b.replicas) == 0 {
		return protocol.Errorf(protocol.ErrInvalidReplicaAssignment, "Invalid replica assignment: addingReplicas contains all replicas.")
	}
	if len(b.isr) == 0 {
		// All that are in sync would go; one of the others has to stand in.
		if !unclean {
			return protocol.Errorf(protocol.ErrInvalidReplicaAssignment, "Unable to revert partition assignment for %s:%d because "+
				"it would require an unclean leader election.", topic, b.number)
		}
		b.isr = []int32{b.replicas[0]}
	}
	if unclean {
		b.rule = electUnclean
	}
	b.adding, b.removing = nil, nil
	return nil
}

func startReassignment(m *metadata.Image, b *partitionChange, target []int32, keepReplicationFactor bool) error {
	if err := checkAssignment(m, target, -1); err != nil {
		return err
	}
	p := b.partition
	if current := len(without(p.Replicas, p.Adding)); keepReplicationFactor && len(target) != current {
		return protocol.Errorf(protocol.ErrInvalidReplicationFactor, "The replication factor is changed from %d to %d", current, len(target))
	}
	// A new target replaces one in progress. The origin stays what it was (KIP-455), so that
	// cancelling leads back to it; KRaft takes all present replicas for the origin, and
	// its cancel then leaves some of the first target behind.
	origin := without(p.Replicas, p.Adding)
	b.adding, b.removing = without(target, origin), without(origin, target)
	b.replicas = slices.Concat(target, b.removing)
	// What only the replaced target wanted goes at once, unless nobody else is in sync.
	if b.isr = without(p.ISR, without(p.Replicas, b.replicas)); len(b.isr) == 0 {
		b.isr = p.ISR
		b.removing = append(b.removing, p.ISR...)
		b.replicas = append(b.replicas, p.ISR...)
	}
	slices.Sort(b.removing)
	slices.Sort(b.adding)
	return nil
}

// ListPartitionReassignments reads the reassignments in progress; see metadata.Store.
func ListPartitionReassignments(m *metadata.Image, asked []protocol.TopicPartition) []metadata.ReassignmentState {
	var out []metadata.ReassignmentState
	add := func(tp protocol.TopicPartition, p *metadata.Partition) {
		if p != nil && p.IsReassigning() {
			out = append(out, metadata.ReassignmentState{TopicPartition: tp, Replicas: p.Replicas, Adding: p.Adding, Removing: p.Removing})
		}
	}
	if asked == nil {
		for t := range m.Topics() {
			for i, p := range t.Partitions {
				add(protocol.TopicPartition{Topic: t.Name, Partition: int32(i)}, p)
			}
		}
		return out
	}
	for _, tp := range asked {
		add(tp, m.Partition(tp))
	}
	return out
}

// AssignReplicasToDirs notes where replicas are; see metadata.Store.
func (c *Controller) AssignReplicasToDirs(m *metadata.Image, cmd metadata.AssignReplicasToDirs) ([]metadata.Record, []metadata.AssignDirResult, error) {
	if err := checkBrokerEpoch(m, cmd.Broker, cmd.Epoch); err != nil {
		return nil, nil, err
	}
	broker := m.Broker(cmd.Broker)
	var records []metadata.Record
	results := make([]metadata.AssignDirResult, len(cmd.Assignments))
	seen := map[partitionKey]bool{}
	for i, a := range cmd.Assignments {
		results[i].DirAssignment = a
		topic := m.TopicByID(a.TopicID)
		p := topic.Partition(a.Partition)
		key := partitionKey{a.TopicID, a.Partition}
		switch {
		case topic == nil:
			results[i].Err = protocol.ErrUnknownTopicID
			continue
		case p == nil:
			results[i].Err = protocol.ErrUnknownTopicOrPartition
			continue
		case !p.HasReplica(cmd.Broker):
			results[i].Err = protocol.ErrNotLeaderOrFollower
			continue
		case seen[key]:
			results[i].Err = protocol.ErrInvalidRequest
			continue
		}
		seen[key] = true
		b := newPartitionChange(m, topic, a.Partition)
		b.directories = map[int32]protocol.UUID{cmd.Broker: a.Directory}
		if !hasOnlineDirectory(broker, a.Directory) {
			// The replica is in a directory that is gone: out of the ISR with it.
			b.isr = without(p.ISR, []int32{cmd.Broker})
			b.acceptable = func(id int32) bool { return id != cmd.Broker && isActive(m, id) }
			if c.uncleanElection(m, topic.Name) {
				b.rule = electUnclean
			}
		}
		if record := b.build(); record != nil {
			records = append(records, record)
		}
	}
	return records, results, nil
}
