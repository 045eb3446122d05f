package metadata

import "github.com/barnabas-broker/barnabas/protocol"

// Quorum is who keeps the metadata, as one of them sees it.
type Quorum struct {
	LeaderID      int32 // -1 for none, or none known
	LeaderEpoch   int32 // number of the leader's reign
	HighWatermark int64 // first entry of the metadata's log that is not known to be kept by most voters
	Voters        []QuorumReplica
	Observers     []QuorumReplica
}

// QuorumReplica is one copy of the metadata's log.
type QuorumReplica struct {
	NodeID       int32
	DirectoryID  protocol.UUID
	LogEndOffset int64 // -1 for not known
}

// QuorumStore is a Store that is a quorum of its own.
type QuorumStore interface {
	Store
	// Quorum describes the quorum.
	Quorum() Quorum
}
