package metadata

import "github.com/barnabas-broker/barnabas/protocol"

// Delta is what differs between two images. It is immutable. Items stand in no particular
// order between topics; partitions of one topic come in ascending order.
//
// A topic that was deleted and created again under its name between the two images appears
// in both TopicsDeleted and TopicsCreated, with different ids: handle deletions first.
type Delta struct {
	// Before and After are the two images. Before is an empty image in the first delta of
	// a subscriber.
	Before, After *Image

	TopicsCreated []*Topic // as in After
	TopicsDeleted []*Topic // as in Before
	// Partitions are those created, also of created topics, and those changed. Partitions
	// of deleted topics are not listed. Partitions of a living topic never vanish.
	Partitions []PartitionDelta

	// Configs are the resources whose keys changed. Those of a deleted topic are listed too.
	Configs []ConfigResource
	// Brokers are the ids of brokers that were registered, changed or removed, ascending.
	Brokers []int32

	Quotas           []QuotaEntity   // entities whose quotas changed
	ScramCredentials []ScramDeletion // user and mechanism of credentials that changed or went
	ACLsAdded        []*ACL
	ACLsRemoved      []*ACL
	DelegationTokens []string // ids of tokens that changed or went
	Features         bool     // finalized features changed
	Controller       bool     // controller id or epoch changed
}

// PartitionDelta is one partition that was created or changed.
type PartitionDelta struct {
	Topic     *Topic // as in After
	Partition int32
	Before    *Partition // nil if created
	After     *Partition
}

// TopicPartition returns topic name and partition number.
func (d PartitionDelta) TopicPartition() protocol.TopicPartition {
	return protocol.TopicPartition{Topic: d.Topic.Name, Partition: d.Partition}
}

// LeaderChanged says whether the partition has another leader, or the same in a new
// leader epoch, than before.
func (d PartitionDelta) LeaderChanged() bool {
	return d.Before == nil || d.Before.Leader != d.After.Leader || d.Before.LeaderEpoch != d.After.LeaderEpoch
}
