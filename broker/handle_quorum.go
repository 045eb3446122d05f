package broker

import (
	"time"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clusterMetadataTopic is the name under which Kafka's quorum is asked about.
const clusterMetadataTopic = "__cluster_metadata"

// handleDescribeQuorum, key 55, v0-v2 (KIP-595, KIP-836, KIP-853): who keeps the cluster's
// metadata. A request has to name the one partition that there is, and nothing else.
// Needs Describe on the cluster.
func (b *Broker) handleDescribeQuorum(r *request) {
	req := r.msg.(*kmsg.DescribeQuorumRequest)
	resp := kmsg.NewPtrDescribeQuorumResponse()
	resp.ErrorMessage = new(string)
	if !b.authorize(r, acl.Describe, acl.Cluster()) {
		resp.ErrorCode = int16(protocol.ErrClusterAuthorizationFailed)
		resp.ErrorMessage = defaultMessage(protocol.ErrClusterAuthorizationFailed)
		r.reply(resp)
		return
	}
	store, ok := b.store.(metadata.QuorumStore)
	if !ok {
		resp.ErrorCode = int16(protocol.ErrUnsupportedVersion)
		resp.ErrorMessage = defaultMessage(protocol.ErrUnsupportedVersion)
		r.reply(resp)
		return
	}
	asksRight := len(req.Topics) == 1 && req.Topics[0].Topic == clusterMetadataTopic &&
		len(req.Topics[0].Partitions) == 1 && req.Topics[0].Partitions[0].Partition == 0
	for _, t := range req.Topics {
		topic := kmsg.NewDescribeQuorumResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			out := kmsg.NewDescribeQuorumResponseTopicPartition()
			out.Partition = p.Partition
			if asksRight {
				describeQuorum(&out, store.Quorum(), r.received)
			} else {
				out.ErrorCode = int16(protocol.ErrUnknownTopicOrPartition)
				out.ErrorMessage = defaultMessage(protocol.ErrUnknownTopicOrPartition)
			}
			topic.Partitions = append(topic.Partitions, out)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if asksRight {
		// Of listeners there are none: our voters do not speak Kafka's protocol to each other.
		for _, v := range resp.Topics[0].Partitions[0].CurrentVoters {
			node := kmsg.NewDescribeQuorumResponseNode()
			node.NodeID = v.ReplicaID
			resp.Nodes = append(resp.Nodes, node)
		}
	}
	r.reply(resp)
}

// describeQuorum fills in the answer about the one partition.
func describeQuorum(out *kmsg.DescribeQuorumResponseTopicPartition, q metadata.Quorum, now time.Time) {
	out.ErrorMessage = new(string)
	out.LeaderID, out.LeaderEpoch, out.HighWatermark = q.LeaderID, q.LeaderEpoch, q.HighWatermark
	replica := func(state metadata.QuorumReplica) kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
		s := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		s.ReplicaID, s.LogEndOffset = state.NodeID, state.LogEndOffset
		if state.NodeID == q.LeaderID { // the leader is always as far as itself
			s.LastFetchTimestamp, s.LastCaughtUpTimestamp = now.UnixMilli(), now.UnixMilli()
		}
		return s
	}
	for _, v := range q.Voters {
		out.CurrentVoters = append(out.CurrentVoters, replica(v))
	}
	for _, o := range q.Observers {
		out.Observers = append(out.Observers, replica(o))
	}
}

// handleUnregisterBroker, key 64, v0 (KIP-500): forgets a broker that is gone for good.
// Needs Alter on the cluster. The one that is asked is there, and is not forgotten; Kafka
// would let it go, and have a broker run that the cluster does not know.
func (b *Broker) handleUnregisterBroker(r *request) {
	req := r.msg.(*kmsg.UnregisterBrokerRequest)
	resp := kmsg.NewPtrUnregisterBrokerResponse()
	resp.ErrorMessage = new(string)
	var err error
	switch {
	case !b.authorize(r, acl.Alter, acl.Cluster()):
		err = protocol.ErrClusterAuthorizationFailed
	case req.BrokerID == b.opts.NodeID:
		err = protocol.Errorf(protocol.ErrInvalidRequest, "Broker %d is running: it answers this request.", req.BrokerID)
	default:
		err = b.store.UnregisterBroker(r.ctx(), req.BrokerID)
	}
	if err != nil {
		resp.ErrorCode = r.errorCode(err)
		if message := messageOf(err); message != nil {
			resp.ErrorMessage = message
		} else if codeOf(err) == protocol.ErrClusterAuthorizationFailed {
			resp.ErrorMessage = defaultMessage(protocol.ErrClusterAuthorizationFailed)
		}
	}
	r.reply(resp)
}
