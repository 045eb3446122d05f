package broker

import (
	"cmp"
	"slices"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/broker/group"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (b *Broker) groupContext(r *request) group.RequestContext {
	return group.RequestContext{ClientID: r.clientID, ClientHost: "/" + r.session.host.String()}
}

// topicLookup finds topics for a group's request, authorized for op.
func (b *Broker) topicLookup(r *request, op acl.Operation) group.TopicLookup {
	image := b.store.Image()
	return func(name string, id protocol.UUID) group.Topic {
		t := group.Topic{Name: name, ID: id}
		var topic *metadata.Topic
		if name == "" && (!id.IsZero() || r.version >= 10) {
			if topic = image.TopicByID(id); topic == nil {
				t.Err = protocol.ErrUnknownTopicID
				return t
			}
		} else {
			topic = image.Topic(name)
		}
		if topic != nil {
			t.Name, t.ID, t.Partitions = topic.Name, topic.ID, int32(len(topic.Partitions))
		}
		switch {
		case !b.authorize(r, op, acl.Topic(t.Name)):
			t.Err = protocol.ErrTopicAuthorizationFailed
		case topic == nil:
			t.Err = protocol.ErrUnknownTopicOrPartition
		}
		return t
	}
}

func (b *Broker) groupFilter(r *request, op acl.Operation) group.GroupFilter {
	return func(id string) protocol.ErrorCode {
		if b.authorize(r, op, acl.Group(id)) {
			return protocol.None
		}
		return protocol.ErrGroupAuthorizationFailed
	}
}

func (b *Broker) mayReadGroup(r *request, id string) bool {
	return b.authorize(r, acl.Read, acl.Group(id))
}

// handleJoinGroup, key 11, v0-v9 (KIP-394, KIP-345, KIP-559, KIP-800). Needs Read on the group.
func (b *Broker) handleJoinGroup(r *request) {
	req := r.msg.(*kmsg.JoinGroupRequest)
	if !b.mayReadGroup(r, req.Group) {
		resp := kmsg.NewPtrJoinGroupResponse()
		resp.ErrorCode, resp.MemberID = int16(protocol.ErrGroupAuthorizationFailed), req.MemberID
		resp.Generation = -1
		if r.version < 7 { // before it could be null
			resp.Protocol = new(string)
		}
		r.reply(resp)
		return
	}
	defer b.admitted.release(r.letGo())
	b.groups.JoinGroup(b.groupContext(r), req, func(resp *kmsg.JoinGroupResponse) { r.handOverReply(resp) })
}

// handleSyncGroup, key 14, v0-v5 (KIP-345, KIP-559). Needs Read on the group.
func (b *Broker) handleSyncGroup(r *request) {
	req := r.msg.(*kmsg.SyncGroupRequest)
	resp := kmsg.NewPtrSyncGroupResponse()
	switch {
	case r.version >= 5 && (req.ProtocolType == nil || req.Protocol == nil):
		// Apache checks this before it authorizes.
		resp.ErrorCode = int16(protocol.ErrInconsistentGroupProtocol)
		r.reply(resp)
	case !b.mayReadGroup(r, req.Group):
		resp.ErrorCode = int16(protocol.ErrGroupAuthorizationFailed)
		r.reply(resp)
	default:
		defer b.admitted.release(r.letGo())
		b.groups.SyncGroup(b.groupContext(r), req, func(resp *kmsg.SyncGroupResponse) { r.handOverReply(resp) })
	}
}

// handleHeartbeat, key 12, v0-v4. Needs Read on the group.
func (b *Broker) handleHeartbeat(r *request) {
	req := r.msg.(*kmsg.HeartbeatRequest)
	if !b.mayReadGroup(r, req.Group) {
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.ErrorCode = int16(protocol.ErrGroupAuthorizationFailed)
		r.reply(resp)
		return
	}
	b.groups.Heartbeat(b.groupContext(r), req, func(resp *kmsg.HeartbeatResponse) { r.handOverReply(resp) })
}

// handleLeaveGroup, key 13, v0-v5 (KIP-345, KIP-800). Needs Read on the group.
func (b *Broker) handleLeaveGroup(r *request) {
	req := r.msg.(*kmsg.LeaveGroupRequest)
	if !b.mayReadGroup(r, req.Group) {
		resp := kmsg.NewPtrLeaveGroupResponse()
		resp.ErrorCode = int16(protocol.ErrGroupAuthorizationFailed)
		r.reply(resp)
		return
	}
	b.groups.LeaveGroup(b.groupContext(r), req, func(resp *kmsg.LeaveGroupResponse) { r.handOverReply(resp) })
}

// handleOffsetCommit, key 8, v0-v10 (KIP-211, KIP-320, KIP-848). Needs Read on the group
// and on each topic.
func (b *Broker) handleOffsetCommit(r *request) {
	req := r.msg.(*kmsg.OffsetCommitRequest)
	if !b.mayReadGroup(r, req.Group) {
		resp := kmsg.NewPtrOffsetCommitResponse()
		for _, t := range req.Topics {
			topic := kmsg.NewOffsetCommitResponseTopic()
			topic.Topic, topic.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				out := kmsg.NewOffsetCommitResponseTopicPartition()
				out.Partition, out.ErrorCode = p.Partition, int16(protocol.ErrGroupAuthorizationFailed)
				topic.Partitions = append(topic.Partitions, out)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		r.reply(resp)
		return
	}
	image := b.store.Image()
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.OffsetCommitRequestTopic) bool {
		topic := image.Topic(t.Topic)
		if r.version >= 10 {
			topic = image.TopicByID(t.TopicID)
		}
		return len(t.Partitions) == 0 && b.isLeftOut(r, topic)
	})
	if err := b.ensureTopic(r.ctx(), group.OffsetsTopic); err != nil {
		b.logger.Warn("cannot create the offsets topic", "err", err)
	}
	b.groups.OffsetCommit(b.groupContext(r), req, b.topicLookup(r, acl.Read), func(resp *kmsg.OffsetCommitResponse) {
		r.handOver(func() {
			mergeCommitted(resp)
			r.reply(resp)
		})
	})
}

// isLeftOut says whether a topic that is named without partitions has no place in an answer
// about offsets, as Apache has it for those that it knows. Whoever may not read the topic
// must not learn from it that it is there.
func (b *Broker) isLeftOut(r *request, topic *metadata.Topic) bool {
	return topic != nil && b.mayKnow(r, acl.Read, acl.Topic(topic.Name))
}

// mergeCommitted puts the answers for one topic together, if the request names it more than once.
func mergeCommitted(resp *kmsg.OffsetCommitResponse) {
	type topic struct {
		name string
		id   [16]byte
	}
	at := make(map[topic]int, len(resp.Topics))
	merged := resp.Topics[:0]
	for _, t := range resp.Topics {
		key := topic{t.Topic, t.TopicID}
		if i, again := at[key]; again {
			merged[i].Partitions = append(merged[i].Partitions, t.Partitions...)
			continue
		}
		at[key] = len(merged)
		merged = append(merged, t)
	}
	resp.Topics = merged
}

// handleOffsetFetch, key 9, v0-v10 (KIP-447, KIP-709, KIP-848). Needs Describe on each
// group and on each topic.
func (b *Broker) handleOffsetFetch(r *request) {
	req := r.msg.(*kmsg.OffsetFetchRequest)
	if r.version == 0 && b.mayKnow(r, acl.Describe, acl.Group(req.Group)) {
		// Clients of that time ask no coordinator first, which would have made the topic.
		if err := b.ensureTopic(r.ctx(), group.OffsetsTopic); err != nil {
			b.logger.Warn("cannot create the offsets topic", "err", err)
		}
	}
	if r.version >= 10 {
		// Topics that nobody knows stand last.
		image := b.store.Image()
		for _, g := range req.Groups {
			slices.SortStableFunc(g.Topics, func(x, y kmsg.OffsetFetchRequestGroupTopic) int {
				return cmp.Compare(unknown(image, x.TopicID), unknown(image, y.TopicID))
			})
		}
	}
	b.groups.OffsetFetch(b.groupContext(r), req, b.groupFilter(r, acl.Describe), b.topicLookup(r, acl.Describe),
		func(resp *kmsg.OffsetFetchResponse) { r.handOverReply(resp) })
}

func unknown(image *metadata.Image, id protocol.UUID) int {
	if image.TopicByID(id) == nil {
		return 1
	}
	return 0
}

// handleOffsetDelete, key 47, v0 (KIP-496). Needs Delete on the group and Read on each topic.
func (b *Broker) handleOffsetDelete(r *request) {
	req := r.msg.(*kmsg.OffsetDeleteRequest)
	if !b.authorize(r, acl.Delete, acl.Group(req.Group)) {
		resp := kmsg.NewPtrOffsetDeleteResponse()
		resp.ErrorCode = int16(protocol.ErrGroupAuthorizationFailed)
		r.reply(resp)
		return
	}
	image := b.store.Image()
	req.Topics = slices.DeleteFunc(req.Topics, func(t kmsg.OffsetDeleteRequestTopic) bool {
		return len(t.Partitions) == 0 && b.isLeftOut(r, image.Topic(t.Topic))
	})
	b.groups.OffsetDelete(b.groupContext(r), req, b.topicLookup(r, acl.Read), func(resp *kmsg.OffsetDeleteResponse) {
		r.handOver(func() {
			mergeDeleted(resp)
			r.reply(resp)
		})
	})
}

// mergeDeleted puts the answers for one topic together, and what is refused before the
// group is asked in front.
func mergeDeleted(resp *kmsg.OffsetDeleteResponse) {
	refused := func(p kmsg.OffsetDeleteResponseTopicPartition) bool {
		return p.ErrorCode == int16(protocol.ErrUnknownTopicOrPartition) || p.ErrorCode == int16(protocol.ErrTopicAuthorizationFailed)
	}
	at := make(map[string]int, len(resp.Topics))
	var merged []kmsg.OffsetDeleteResponseTopic
	take := func(want bool) {
		for _, t := range resp.Topics {
			first := len(t.Partitions) == 0 && want
			for _, p := range t.Partitions {
				if refused(p) != want {
					continue
				}
				first = true
				break
			}
			if !first {
				continue
			}
			i, ok := at[t.Topic]
			if !ok {
				i = len(merged)
				at[t.Topic] = i
				merged = append(merged, kmsg.OffsetDeleteResponseTopic{Topic: t.Topic})
			}
			for _, p := range t.Partitions {
				if refused(p) == want {
					merged[i].Partitions = append(merged[i].Partitions, p)
				}
			}
		}
	}
	take(true)
	take(false)
	resp.Topics = merged
}

// handleDescribeGroups, key 15, v0-v6 (KIP-430, KIP-345, KIP-1043). Needs Describe on each group.
func (b *Broker) handleDescribeGroups(r *request) {
	req := r.msg.(*kmsg.DescribeGroupsRequest)
	var operations func(string) int32
	if req.IncludeAuthorizedOperations {
		operations = func(id string) int32 { return b.authorizedOperations(r, acl.Group(id)) }
	}
	b.groups.DescribeGroups(b.groupContext(r), req, b.groupFilter(r, acl.Describe), operations,
		func(resp *kmsg.DescribeGroupsResponse) { r.handOverReply(resp) })
}

// handleListGroups, key 16, v0-v5 (KIP-518, KIP-848). Needs Describe on the cluster, or
// lists the groups with Describe.
func (b *Broker) handleListGroups(r *request) {
	req := r.msg.(*kmsg.ListGroupsRequest)
	filter := func(id string) protocol.ErrorCode {
		if b.mayKnow(r, acl.Describe, acl.Group(id)) {
			return protocol.None
		}
		return protocol.ErrGroupAuthorizationFailed
	}
	if b.mayKnow(r, acl.Describe, acl.Cluster()) {
		filter = nil
	}
	b.groups.ListGroups(b.groupContext(r), req, filter, func(resp *kmsg.ListGroupsResponse) { r.handOverReply(resp) })
}

// handleDeleteGroups, key 42, v0-v2 (KIP-229). Needs Delete on each group.
func (b *Broker) handleDeleteGroups(r *request) {
	req := r.msg.(*kmsg.DeleteGroupsRequest)
	b.groups.DeleteGroups(b.groupContext(r), req, b.groupFilter(r, acl.Delete), func(resp *kmsg.DeleteGroupsResponse) { r.handOverReply(resp) })
}

// Kinds of coordinators in FindCoordinator.
const (
	coordinatorOfGroup       = 0
	coordinatorOfTransaction = 1
	coordinatorOfShare       = 2
)

// handleFindCoordinator, key 10, v0-v6 (KIP-98, KIP-699, KIP-932): which broker
// coordinates a group. Needs Describe on each group. It makes the offsets topic if there
// is none.
func (b *Broker) handleFindCoordinator(r *request) {
	req := r.msg.(*kmsg.FindCoordinatorRequest)
	resp := kmsg.NewPtrFindCoordinatorResponse()
	kind := int8(coordinatorOfGroup)
	if r.version >= 1 {
		kind = req.CoordinatorType
	}
	if r.version < 4 {
		c := b.findCoordinator(r, kind, req.CoordinatorKey)
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Host, resp.Port = c.ErrorCode, c.ErrorMessage, c.NodeID, c.Host, c.Port
		if resp.ErrorCode == 0 {
			none := "NONE"
			resp.ErrorMessage = &none
		}
		r.reply(resp)
		return
	}
	for _, key := range req.CoordinatorKeys {
		resp.Coordinators = append(resp.Coordinators, b.findCoordinator(r, kind, key))
	}
	r.reply(resp)
}

func (b *Broker) findCoordinator(r *request, kind int8, key string) kmsg.FindCoordinatorResponseCoordinator {
	out := kmsg.NewFindCoordinatorResponseCoordinator()
	out.Key, out.NodeID, out.Port = key, -1, -1
	out.ErrorMessage = new(string)
	fail := func(code protocol.ErrorCode, message string) kmsg.FindCoordinatorResponseCoordinator {
		out.ErrorCode = int16(code)
		if message != "" {
			out.ErrorMessage = &message
		}
		return out
	}
	switch kind {
	case coordinatorOfGroup:
		if !b.authorize(r, acl.Describe, acl.Group(key)) {
			return fail(protocol.ErrGroupAuthorizationFailed, *defaultMessage(protocol.ErrGroupAuthorizationFailed))
		}
	case coordinatorOfTransaction:
		if !b.authorize(r, acl.Describe, acl.TransactionalID(key)) {
			return fail(protocol.ErrTransactionalIDAuthorizationFailed, *defaultMessage(protocol.ErrTransactionalIDAuthorizationFailed))
		}
		return fail(protocol.ErrCoordinatorNotAvailable, "This broker has no transaction coordinator.")
	case coordinatorOfShare:
		if r.version >= 4 && r.version < 6 {
			return fail(protocol.ErrInvalidRequest, "")
		}
		if r.version < 4 {
			return fail(protocol.ErrInvalidRequest, *defaultMessage(protocol.ErrInvalidRequest))
		}
		if !b.authorize(r, acl.ClusterAction, acl.Cluster()) {
			return fail(protocol.ErrClusterAuthorizationFailed, *defaultMessage(protocol.ErrClusterAuthorizationFailed))
		}
		return fail(protocol.ErrCoordinatorNotAvailable, "")
	default:
		return fail(protocol.ErrInvalidRequest, *defaultMessage(protocol.ErrInvalidRequest))
	}
	if err := b.ensureTopic(r.ctx(), group.OffsetsTopic); err != nil {
		b.logger.Warn("cannot create the offsets topic", "err", err)
		return fail(protocol.ErrCoordinatorNotAvailable, "")
	}
	image := b.store.Image()
	topic := image.Topic(group.OffsetsTopic)
	if topic == nil || len(topic.Partitions) == 0 {
		return fail(protocol.ErrCoordinatorNotAvailable, "")
	}
	p := topic.Partition(group.PartitionOf(key, int32(len(topic.Partitions))))
	broker := image.Broker(p.Leader)
	if broker == nil || broker.Fenced {
		return fail(protocol.ErrCoordinatorNotAvailable, "")
	}
	e, ok := broker.Endpoint(r.session.listener.name)
	if !ok {
		return fail(protocol.ErrCoordinatorNotAvailable, "")
	}
	out.NodeID, out.Host, out.Port = broker.ID, e.Host, e.Port
	return out
}
