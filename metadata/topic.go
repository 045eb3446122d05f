package metadata

import "github.com/barnabas-broker/barnabas/protocol"

// Limits of Kafka on topic names and on what one command may ask for.
const (
	// MaxTopicNameLength is the longest legal topic name, in bytes.
	MaxTopicNameLength = 249
	// NoLeader stands for the leader of a partition that has none.
	NoLeader int32 = -1
)

// Topic is one topic. It is immutable; a change makes a new one.
type Topic struct {
	Name string
	ID   protocol.UUID
	// Partitions are indexed by partition number, without gaps.
	Partitions []*Partition
}

// Partition returns partition number n, or nil if there is none.
func (t *Topic) Partition(n int32) *Partition {
	if t == nil || n < 0 || int(n) >= len(t.Partitions) {
		return nil
	}
	return t.Partitions[n]
}

// LeaderRecoveryState says whether the leader of a partition was elected uncleanly and
// has not yet said that it recovered (KIP-704).
type LeaderRecoveryState int8

// The two states of Kafka.
const (
	LeaderRecovered  LeaderRecoveryState = 0
	LeaderRecovering LeaderRecoveryState = 1
)

// Partition is the state of one partition. It is immutable; a change makes a new one. At
// all times
//
//	Leader is in ISR, or is NoLeader
//	ISR is not empty and a subset of Replicas
//	Adding and Removing are subsets of Replicas
//
// LeaderEpoch and PartitionEpoch never go back during the life of a topic id.
type Partition struct {
	// Replicas are the assigned brokers in order of preference; Replicas[0] is the
	// preferred leader. During a reassignment they are target and origin together.
	Replicas []int32
	// ISR are the in-sync replicas.
	ISR []int32
	// Adding and Removing are the two halves of a reassignment in progress; nil without.
	Adding, Removing []int32
	// Directories are the log directories of Replicas, index by index (KIP-858). nil means
	// that none is assigned; the zero id that this one is not.
	Directories []protocol.UUID

	Leader int32
	// LeaderEpoch is the number of the leadership, one higher with each election.
	LeaderEpoch int32
	// PartitionEpoch is one higher with each change of the partition's state.
	PartitionEpoch int32
	Recovery       LeaderRecoveryState
}

// IsReassigning says whether a reassignment is in progress.
func (p *Partition) IsReassigning() bool { return len(p.Adding) > 0 || len(p.Removing) > 0 }

// HasReplica says whether broker is assigned the partition.
func (p *Partition) HasReplica(broker int32) bool { return containsID(p.Replicas, broker) }

// InISR says whether broker is in sync.
func (p *Partition) InISR(broker int32) bool { return containsID(p.ISR, broker) }

// Directory returns the log directory that broker's replica is assigned to, the zero id
// if none.
func (p *Partition) Directory(broker int32) protocol.UUID {
	for i, id := range p.Replicas {
		if id == broker && i < len(p.Directories) {
			return p.Directories[i]
		}
	}
	return protocol.UUID{}
}

func containsID(ids []int32, id int32) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}

// Log directory ids that Kafka reserves (KIP-858).
var (
	// DirectoryUnassigned: no directory is known for the replica.
	DirectoryUnassigned = protocol.UUID{}
	// DirectoryLost: the replica is in a directory that went offline.
	DirectoryLost = protocol.UUID{15: 1}
	// DirectoryMigrating: unused after migration from ZooKeeper.
	DirectoryMigrating = protocol.UUID{15: 2}
)
