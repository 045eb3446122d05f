package broker

import (
	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leastTimestamp is, by version, the lowest special timestamp that ListOffsets knows.
func leastTimestamp(version int16) int64 {
	switch {
	case version >= 11:
		return log.TimestampEarliestPendingUpload
	case version >= 9:
		return log.TimestampLatestTiered
	case version >= 8:
		return log.TimestampEarliestLocal
	case version >= 7:
		return log.TimestampMax
	default:
		return log.TimestampEarliest
	}
}

// handleListOffsets, key 2, v0-v11 (KIP-79, KIP-320, KIP-734, KIP-405, KIP-1005): the
// offset at a timestamp, or at a place that a special timestamp names. Needs Describe on
// each topic.
func (b *Broker) handleListOffsets(r *request) {
	req := r.msg.(*kmsg.ListOffsetsRequest)
	resp := kmsg.NewPtrListOffsetsResponse()
	seen := map[protocol.TopicPartition]int{}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			seen[protocol.TopicPartition{Topic: t.Topic, Partition: p.Partition}]++
		}
	}
	for _, t := range req.Topics {
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = t.Topic
		for _, asked := range t.Partitions {
			out := kmsg.NewListOffsetsResponseTopicPartition()
			out.Partition = asked.Partition
			out.OldStyleOffsets = []int64{}
			duplicate := seen[protocol.TopicPartition{Topic: t.Topic, Partition: asked.Partition}] > 1
			if err := b.listOffset(r, t.Topic, &asked, req, duplicate, &out); err != nil {
				out.ErrorCode = r.errorCode(err)
				out.Offset, out.Timestamp, out.LeaderEpoch = -1, -1, -1
				out.OldStyleOffsets = []int64{}
			}
			topic.Partitions = append(topic.Partitions, out)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	r.reply(resp)
}

func (b *Broker) listOffset(r *request, topic string, asked *kmsg.ListOffsetsRequestTopicPartition, req *kmsg.ListOffsetsRequest,
	duplicate bool, out *kmsg.ListOffsetsResponseTopicPartition) error {
	if !b.authorize(r, acl.Describe, acl.Topic(topic)) {
		return protocol.ErrTopicAuthorizationFailed
	}
	if duplicate && r.version >= 1 {
		return protocol.ErrInvalidRequest
	}
	if asked.Timestamp < leastTimestamp(r.version) {
		return protocol.ErrUnsupportedVersion
	}
	if req.ReplicaID < 0 && (req.IsolationLevel < 0 || req.IsolationLevel > 1) {
		return protocol.ErrUnknownServerError // at which Apache's handler fails
	}
	partition := b.replicas.Get(topic, asked.Partition)
	if partition == nil {
		return protocol.ErrUnknownTopicOrPartition
	}
	epoch := int32(-1)
	if r.version >= 4 {
		epoch = asked.CurrentLeaderEpoch
	}
	l, role, err := partition.Leader(epoch)
	if err != nil {
		return err
	}
	upTo := log.UpToHighWatermark
	switch {
	case req.ReplicaID >= 0:
		upTo = log.UpToLogEnd
	case req.IsolationLevel == 1:
		upTo = log.UpToLastStable
	}
	if r.version == 0 {
		out.OldStyleOffsets, err = l.SegmentOffsetsBefore(asked.Timestamp, int(asked.MaxNumOffsets), upTo)
		return err
	}
	found, err := l.OffsetForTimestamp(asked.Timestamp, upTo)
	if err != nil {
		return err
	}
	out.Offset, out.Timestamp, out.LeaderEpoch = found.Offset, found.Timestamp, found.LeaderEpoch
	if asked.Timestamp == log.TimestampLatest {
		out.LeaderEpoch = role.LeaderEpoch
	}
	return nil
}

// handleOffsetForLeaderEpoch, key 23, v0-v4 (KIP-101, KIP-320): where a leader epoch
// ended. Needs ClusterAction, or Describe on the topic.
func (b *Broker) handleOffsetForLeaderEpoch(r *request) {
	req := r.msg.(*kmsg.OffsetForLeaderEpochRequest)
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for _, t := range req.Topics {
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = t.Topic
		for _, asked := range t.Partitions {
			out := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			out.Partition, out.LeaderEpoch, out.EndOffset = asked.Partition, -1, -1
			epoch, end, err := b.epochEnd(r, t.Topic, &asked)
			if err != nil {
				out.ErrorCode = r.errorCode(err)
			} else {
				out.LeaderEpoch, out.EndOffset = epoch, end
			}
			topic.Partitions = append(topic.Partitions, out)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	r.reply(resp)
}

func (b *Broker) epochEnd(r *request, topic string, asked *kmsg.OffsetForLeaderEpochRequestTopicPartition) (int32, int64, error) {
	if !b.isGranted(r, acl.ClusterAction, acl.Cluster()) && !b.authorize(r, acl.Describe, acl.Topic(topic)) {
		return -1, -1, protocol.ErrTopicAuthorizationFailed
	}
	partition := b.replicas.Get(topic, asked.Partition)
	if partition == nil {
		return -1, -1, protocol.ErrUnknownTopicOrPartition
	}
	current := int32(-1)
	if r.version >= 2 {
		current = asked.CurrentLeaderEpoch
	}
	l, role, err := partition.Leader(current)
	if err != nil {
		return -1, -1, err
	}
	if asked.LeaderEpoch == role.LeaderEpoch {
		return role.LeaderEpoch, l.LogEndOffset(), nil
	}
	epoch, end := l.EndOffsetForEpoch(asked.LeaderEpoch)
	return epoch, end, nil
}
