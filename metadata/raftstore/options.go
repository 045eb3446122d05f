package raftstore

import (
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/metadata/controller"
	"github.com/barnabas-broker/barnabas/protocol"
)

// DirName is what the directory of the store is called within metadata.log.dir.
//
// The name is chosen for Apache Kafka, which must be able to open our data directories: it
// refuses to start over a directory that is not called topic-partition, would take
// one that is for a partition, and passes over exactly those whose topic is
// __cluster_metadata. Its own metadata log is partition 0 of it.
const DirName = "__cluster_metadata-1"

// Options of a Store. The zero value of a field means its default, unless it is said to
// be needed.
type Options struct {
	// Dir is the directory of the store, made if it is not there. Needed.
	Dir    string
	NodeID int32
	// DirectoryID is the id that a new store gets, which afterwards knows it itself. It is part
	// of the node's name in Raft, so that a node whose disk was wiped cannot vote as its former
	// self.
	DirectoryID protocol.UUID
	// ClusterID is the id that the cluster must have, and gets if it is new; a random one.
	ClusterID string
	// Initial gives the records that a new cluster begins with, after its id; nil means
	// none. It is asked whenever the store has no cluster yet, which may be again at the next
	// start, and its error fails Open.
	Initial func() ([]metadata.Record, error)

	// Controller are the options of the decisions. LocalBroker is set to NodeID.
	Controller controller.Options
	// RebalanceInterval is how often preferred leaders are elected, where another leads, and
	// leaderless partitions looked at (leader.imbalance.check.interval.seconds); 300 s.
	RebalanceInterval time.Duration
	// NoRebalance turns the election of preferred leaders off (auto.leader.rebalance.enable=false).
	NoRebalance bool

	// Transport connects this node with other voters. nil means that there are none.
	Transport raft.Transport
	// Voters are the servers that a new cluster begins with. nil means this node alone.
	// Exactly one node may bootstrap a cluster of several.
	Voters []raft.Server
	// Join opens a store that another node's cluster will take in; it does not bootstrap.
	Join bool

	// HeartbeatTimeout is Raft's, and its election timeout; 1 s. A node that is alone does
	// not wait for it.
	HeartbeatTimeout time.Duration
	// SnapshotThreshold is the number of entries after which a snapshot is taken; 4096.
	SnapshotThreshold uint64
	// SegmentBytes is the size of a file of the log; 4 MiB.
	SegmentBytes int
	// FS is where the log's files are; the disk.
	FS types.VFS

	Logger *slog.Logger // discards
}

func (o *Options) setDefaults() {
	if o.HeartbeatTimeout == 0 {
		o.HeartbeatTimeout = time.Second
	}
	if o.SnapshotThreshold == 0 {
		o.SnapshotThreshold = 4096
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 4 << 20
	}
	if o.RebalanceInterval == 0 {
		o.RebalanceInterval = 300 * time.Second
	}
	if o.FS == nil {
		o.FS = fs.New()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Controller.LocalBroker = o.NodeID
}
