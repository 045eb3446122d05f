package controller

import (
	"slices"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// electionRule is how far a partition goes to have a leader.
type electionRule int

const (
	// The zero rule keeps a leader that is good, else takes the first good replica in sync.
	_ electionRule = iota
	// electPreferred moves to the preferred replica if that is good.
	electPreferred
	// electUnclean is the zero rule, and where that finds nobody takes the first replica alive.
	electUnclean
)

// partitionChange works out the record that brings a partition to a wished state: it
// completes a reassignment whose replicas are in sync, elects where the leader is no longer
// good, and says nothing of what stays as it is. Set the fields before build.
type partitionChange struct {
	image     *metadata.Image
	partition *metadata.Partition
	topicID   protocol.UUID
	number    int32
	// acceptable says whether a broker may lead at all. nil means it is active and the
	// replica's directory is online.
	acceptable func(int32) bool
	rule       electionRule
	// active, if not nil, is a broker taken as it stands here, not as in the image: the
	// change that made it active is not in the image yet.
	active *metadata.Broker

	// What the partition should become; newPartitionChange sets them to what it is.
	isr, replicas, adding, removing []int32
	recovery                        metadata.LeaderRecoveryState
	directories                     map[int32]protocol.UUID // by broker, where told
}

func newPartitionChange(m *metadata.Image, t *metadata.Topic, number int32) *partitionChange {
	p := t.Partitions[number]
	return &partitionChange{image: m, partition: p, topicID: t.ID, number: number, isr: p.ISR, replicas: p.Replicas,
		adding: p.Adding, removing: p.Removing, recovery: p.Recovery}
}

// build returns the record, nil if nothing changes.
func (b *partitionChange) build() *metadata.PartitionChangeRecord {
	b.completeReassignment()
	r := &metadata.PartitionChangeRecord{TopicID: b.topicID, Partition: b.number}
	b.elect(r)
	if r.Leader == nil && !containsAll(b.replicas, b.partition.Replicas) {
		// A replica that is no longer assigned must not go on fetching as if nothing had
		// happened: a new leader epoch fences it.
		leader := b.partition.Leader
		r.Leader = &leader
	}
	// Without an unclean election the ISR is never emptied: its last member stays.
	if r.ISR == nil && len(b.isr) > 0 && !slices.Equal(b.isr, b.partition.ISR) {
		r.ISR = b.isr
	}
	b.assign(r)
	if r.Recovery == nil && b.recovery != b.partition.Recovery {
		r.Recovery = &b.recovery
	}
	if r.Leader == nil && r.ISR == nil && r.Replicas == nil && r.Adding == nil && r.Removing == nil && r.Recovery == nil &&
		r.Directories == nil {
		return nil
	}
	return r
}

// completeReassignment drops the replicas being removed once all that stay are in sync.
func (b *partitionChange) completeReassignment() {
	if len(b.adding) == 0 && len(b.removing) == 0 {
		return
	}
	isr, replicas := without(b.isr, b.removing), without(b.replicas, b.removing)
	if len(isr) == 0 || len(replicas) == 0 || !containsAll(isr, replicas) {
		return
	}
	b.isr, b.replicas, b.adding, b.removing = isr, replicas, nil, nil
}

func (b *partitionChange) elect(r *metadata.PartitionChangeRecord) {
	leader, unclean := b.electLeader()
	if leader == b.partition.Leader && !unclean {
		return
	}
	r.Leader = &leader
	if unclean {
		r.ISR = []int32{leader}
		if b.partition.Recovery != metadata.LeaderRecovering {
			recovering := metadata.LeaderRecovering
			r.Recovery = &recovering
		}
	}
}

func (b *partitionChange) electLeader() (leader int32, unclean bool) {
	if b.rule == electPreferred && b.isGood(b.replicas[0]) {
		return b.replicas[0], false
	}
	if b.isGood(b.partition.Leader) {
		return b.partition.Leader, false
	}
	for _, id := range b.replicas {
		if b.isGood(id) {
			return id, false
		}
	}
	if b.rule == electUnclean {
		for _, id := range b.replicas {
			if b.mayLead(id) {
				return id, true
			}
		}
	}
	return metadata.NoLeader, false
}

// isGood says whether a broker can lead without loss.
func (b *partitionChange) isGood(id int32) bool { return slices.Contains(b.isr, id) && b.mayLead(id) }

func (b *partitionChange) mayLead(id int32) bool {
	dir := b.partition.Directory(id)
	if b.active != nil && b.active.ID == id {
		return hasOnlineDirectory(b.active, dir)
	}
	if b.acceptable != nil {
		if !b.acceptable(id) {
			return false
		}
	} else if !isActive(b.image, id) {
		return false
	}
	broker := b.image.Broker(id)
	return broker != nil && hasOnlineDirectory(broker, dir)
}

// hasOnlineDirectory says whether a replica in dir can be served.
func hasOnlineDirectory(b *metadata.Broker, dir protocol.UUID) bool {
	switch dir {
	case metadata.DirectoryUnassigned, metadata.DirectoryMigrating:
		return true
	case metadata.DirectoryLost:
		return false
	}
	// A broker that told of no directories is one that cannot tell.
	return len(b.LogDirs) == 0 || slices.Contains(b.LogDirs, dir)
}

// assign sets what changes of replicas and where they are.
func (b *partitionChange) assign(r *metadata.PartitionChangeRecord) {
	old := b.partition
	if !slices.Equal(b.replicas, old.Replicas) {
		r.Replicas = b.replicas
	}
	if r.Replicas != nil || len(b.directories) > 0 {
		dirs := make([]protocol.UUID, len(b.replicas))
		for i, id := range b.replicas {
			switch told, ok := b.directories[id]; {
			case ok:
				dirs[i] = told
			case old.HasReplica(id):
				dirs[i] = old.Directory(id)
			default:
				dirs[i] = defaultDirectory(b.image.Broker(id))
			}
		}
		// The length of the list must follow that of the replicas, even if no entry differs.
		if !slices.Equal(dirs, old.Directories) && (len(old.Directories) > 0 || !allUnassigned(dirs)) {
			r.Directories = dirs
		}
	}
	if !slices.Equal(b.removing, old.Removing) {
		removing := b.removing
		r.Removing = &removing
	}
	if !slices.Equal(b.adding, old.Adding) {
		adding := b.adding
		r.Adding = &adding
	}
}

func allUnassigned(dirs []protocol.UUID) bool {
	return !slices.ContainsFunc(dirs, func(id protocol.UUID) bool { return id != metadata.DirectoryUnassigned })
}

// without returns the members of ids that are not in out, in order.
func without(ids, out []int32) []int32 {
	var left []int32
	for _, id := range ids {
		if !slices.Contains(out, id) {
			left = append(left, id)
		}
	}
	return left
}

func containsAll(ids, all []int32) bool {
	for _, id := range all {
		if !slices.Contains(ids, id) {
			return false
		}
	}
	return true
}
