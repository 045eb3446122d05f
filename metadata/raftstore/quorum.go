package raftstore

import (
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/hashicorp/raft"
)

// Quorum implements metadata.QuorumStore. How far other nodes are is not known here.
func (s *Store) Quorum() metadata.Quorum {
	q := metadata.Quorum{LeaderID: -1, LeaderEpoch: int32(s.raft.CurrentTerm()), HighWatermark: int64(s.raft.CommitIndex()) + 1}
	_, leader := s.raft.LeaderWithID()
	q.LeaderID, _ = nodeOf(leader)
	for _, server := range s.raft.GetConfiguration().Configuration().Servers {
		replica := metadata.QuorumReplica{LogEndOffset: -1}
		replica.NodeID, replica.DirectoryID = nodeOf(server.ID)
		if server.ID == s.serverID() {
			replica.LogEndOffset = int64(s.raft.LastIndex()) + 1
		}
		if server.Suffrage == raft.Voter {
			q.Voters = append(q.Voters, replica)
		} else {
			q.Observers = append(q.Observers, replica)
		}
	}
	return q
}

// nodeOf takes a name as serverID makes it apart; -1 for any other.
func nodeOf(id raft.ServerID) (int32, protocol.UUID) {
	node, directory, _ := strings.Cut(string(id), "-")
	n, err := strconv.ParseInt(node, 10, 32)
	if err != nil {
		return -1, protocol.UUID{}
	}
	uuid, _ := protocol.ParseUUID(directory)
	return int32(n), uuid
}
