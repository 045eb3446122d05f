package group

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// JoinGroup serves JoinGroup v0-v9.
func (c *Coordinator) JoinGroup(rc RequestContext, req *kmsg.JoinGroupRequest, done func(*kmsg.JoinGroupResponse)) {
	code := protocol.ErrInvalidGroupID
	if req.Group != "" {
		code = c.do(req.Group, joinEvent{rc: rc, req: req, done: done})
	}
	if code != protocol.None {
		r := joinFailed(req.MemberID, code)
		done(r.response(req.Version))
	}
}

// SyncGroup serves SyncGroup v0-v5. From v5 on the protocol's type and name must be given;
// a caller that authorizes wants to ask [SyncGroupLacksProtocol] first, as Apache does.
func (c *Coordinator) SyncGroup(rc RequestContext, req *kmsg.SyncGroupRequest, done func(*kmsg.SyncGroupResponse)) {
	code := protocol.ErrInvalidGroupID
	switch {
	case SyncGroupLacksProtocol(req):
		code = protocol.ErrInconsistentGroupProtocol
	case req.Group != "":
		code = c.do(req.Group, syncEvent{req: req, done: done})
		if code == protocol.ErrCoordinatorLoadInProgress {
			// Old clients do not expect it here; this one makes them join again.
			code = protocol.ErrRebalanceInProgress
		}
	}
	if code != protocol.None {
		r := syncResult{code: code}
		done(r.response(req.Version))
	}
}

// SyncGroupLacksProtocol says whether the request misses what v5 demands. Apache answers
// it with INCONSISTENT_GROUP_PROTOCOL even before it authorizes.
func SyncGroupLacksProtocol(req *kmsg.SyncGroupRequest) bool {
	return req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil)
}

// Heartbeat serves Heartbeat v0-v4.
func (c *Coordinator) Heartbeat(rc RequestContext, req *kmsg.HeartbeatRequest, done func(*kmsg.HeartbeatResponse)) {
	answer := func(code protocol.ErrorCode) {
		resp := kmsg.NewPtrHeartbeatResponse()
		resp.Version = req.Version
		resp.ErrorCode = int16(code)
		done(resp)
	}
	code := protocol.ErrInvalidGroupID
	if req.Group != "" {
		code = c.do(req.Group, heartbeatEvent{req: req, done: answer})
		if code == protocol.ErrCoordinatorLoadInProgress {
			answer(protocol.None) // for all we know the member is fine
			return
		}
	}
	if code != protocol.None {
		answer(code)
	}
}

// LeaveGroup serves LeaveGroup v0-v5.
func (c *Coordinator) LeaveGroup(rc RequestContext, req *kmsg.LeaveGroupRequest, done func(*kmsg.LeaveGroupResponse)) {
	code := protocol.ErrInvalidGroupID
	if req.Group != "" {
		code = c.do(req.Group, leaveEvent{req: req, done: done})
	}
	if code != protocol.None {
		resp := kmsg.NewPtrLeaveGroupResponse()
		resp.Version = req.Version
		resp.ErrorCode = int16(code)
		done(resp)
	}
}

// OffsetCommit serves OffsetCommit v0-v10. topics is asked for every topic; an Err of it
// goes to all partitions of the topic, a partition past Partitions gets 3. v0 goes to the
// offsets that Apache kept in ZooKeeper, which no other version sees.
func (c *Coordinator) OffsetCommit(rc RequestContext, req *kmsg.OffsetCommitRequest, topics TopicLookup, done func(*kmsg.OffsetCommitResponse)) {
	resp := kmsg.NewPtrOffsetCommitResponse()
	resp.Version = req.Version
	resp.Topics = make([]kmsg.OffsetCommitResponseTopic, len(req.Topics))
	now := c.timers.instant().wallMs
	expireMs := int64(-1)
	if req.Version >= 2 && req.Version <= 4 && req.RetentionTimeMillis >= 0 {
		expireMs = addSaturating(now, req.RetentionTimeMillis)
	}
	offsets, slots := []partitionOffset(nil), []*int16(nil)
	for t := range req.Topics {
		asked, out := &req.Topics[t], &resp.Topics[t]
		out.Topic, out.TopicID = asked.Topic, asked.TopicID
		out.Partitions = make([]kmsg.OffsetCommitResponseTopicPartition, len(asked.Partitions))
		topic := lookUp(topics, req.Version >= 10, asked.Topic, asked.TopicID)
		for i := range asked.Partitions {
			p, slot := &asked.Partitions[i], &out.Partitions[i].ErrorCode
			out.Partitions[i].Partition = p.Partition
			if code := topic.partitionCode(p.Partition); code != protocol.None {
				*slot = int16(code)
				continue
			}
			o := partitionOffset{
				partition: partitionKey{topic: topic.Name, partition: p.Partition},
				topicID:   topic.ID,
				offset: offsetAndMetadata{
					offset: p.Offset, leaderEpoch: -1, metadata: stringOf(p.Metadata),
					commitTimestampMs: now, expireTimestampMs: expireMs,
				},
			}
			if req.Version >= 6 {
				o.offset.leaderEpoch = p.LeaderEpoch
			}
			if req.Version == 1 && p.Timestamp != -1 {
				o.offset.commitTimestampMs = p.Timestamp
			}
			offsets, slots = append(offsets, o), append(slots, slot)
		}
	}
	finish := func() {
		for i := range offsets {
			*slots[i] = int16(offsets[i].code)
		}
		done(resp)
	}
	if len(offsets) == 0 {
		finish()
		return
	}
	var event any = commitEvent{
		groupID: req.Group, generation: req.Generation, memberID: req.MemberID, instanceID: req.InstanceID,
		offsets: offsets, producerID: -1, version: req.Version, done: finish,
	}
	if req.Version == 0 {
		event = zooKeeperCommitEvent{groupID: req.Group, offsets: offsets, done: finish}
	}
	if code := c.do(req.Group, event); code != protocol.None {
		setCodes(offsets, code)
		finish()
	}
}

// TxnOffsetCommit serves TxnOffsetCommit v0-v6. The offsets stay pending until
// TransactionCompleted. topics works as in OffsetCommit.
func (c *Coordinator) TxnOffsetCommit(rc RequestContext, req *kmsg.TxnOffsetCommitRequest, topics TopicLookup, done func(*kmsg.TxnOffsetCommitResponse)) {
	resp := kmsg.NewPtrTxnOffsetCommitResponse()
	resp.Version = req.Version
	resp.Topics = make([]kmsg.TxnOffsetCommitResponseTopic, len(req.Topics))
	now := c.timers.instant().wallMs
	offsets, slots := []partitionOffset(nil), []*int16(nil)
	for t := range req.Topics {
		asked, out := &req.Topics[t], &resp.Topics[t]
		out.Topic, out.TopicID = asked.Topic, asked.TopicID
		out.Partitions = make([]kmsg.TxnOffsetCommitResponseTopicPartition, len(asked.Partitions))
		topic := lookUp(topics, req.Version >= 6, asked.Topic, asked.TopicID)
		for i := range asked.Partitions {
			p, slot := &asked.Partitions[i], &out.Partitions[i].ErrorCode
			out.Partitions[i].Partition = p.Partition
			if code := topic.partitionCode(p.Partition); code != protocol.None {
				*slot = int16(code)
				continue
			}
			o := partitionOffset{
				partition: partitionKey{topic: topic.Name, partition: p.Partition},
				topicID:   topic.ID,
				offset: offsetAndMetadata{
					offset: p.Offset, leaderEpoch: -1, metadata: stringOf(p.Metadata),
					commitTimestampMs: now, expireTimestampMs: -1,
				},
			}
			if req.Version >= 2 {
				o.offset.leaderEpoch = p.LeaderEpoch
			}
			offsets, slots = append(offsets, o), append(slots, slot)
		}
	}
	finish := func() {
		for i := range offsets {
			*slots[i] = int16(txnCode(offsets[i].code, req.Version))
		}
		done(resp)
	}
	if len(offsets) == 0 {
		finish()
		return
	}
	event := commitEvent{
		groupID: req.Group, generation: -1, offsets: offsets, version: req.Version,
		transactional: true, transactionalID: req.TransactionalID,
		producerID: req.ProducerID, producerEpoch: req.ProducerEpoch, done: finish,
	}
	if req.Version >= 3 {
		event.generation, event.memberID, event.instanceID = req.Generation, req.MemberID, req.InstanceID
	}
	code := protocol.ErrInvalidGroupID
	if req.Group != "" {
		code = c.do(req.Group, event)
	}
	if code != protocol.None {
		setCodes(offsets, code)
		finish()
	}
}

// txnCode gives old producers the codes that they know.
func txnCode(code protocol.ErrorCode, version int16) protocol.ErrorCode {
	switch {
	case code == protocol.ErrCoordinatorLoadInProgress && version < 2:
		return protocol.ErrCoordinatorNotAvailable
	case code == protocol.ErrTransactionAbortable && version < 4:
		return protocol.ErrInvalidTxnState
	}
	return code
}

// lookUp asks for a topic in the way that the version names it.
func lookUp(topics TopicLookup, byID bool, name string, id protocol.UUID) Topic {
	if byID {
		return topics("", id)
	}
	return topics(name, protocol.UUID{})
}

func (t *Topic) partitionCode(partition int32) protocol.ErrorCode {
	if t.Err != protocol.None {
		return t.Err
	}
	if partition < 0 || partition >= t.Partitions {
		return protocol.ErrUnknownTopicOrPartition
	}
	return protocol.None
}

func stringOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// OffsetDelete serves OffsetDelete v0. topics is asked for every topic; an Err of it goes
// to all partitions of the topic, a partition past Partitions gets 3.
func (c *Coordinator) OffsetDelete(rc RequestContext, req *kmsg.OffsetDeleteRequest, topics TopicLookup, done func(*kmsg.OffsetDeleteResponse)) {
	resp := kmsg.NewPtrOffsetDeleteResponse()
	resp.Version = req.Version
	resp.Topics = make([]kmsg.OffsetDeleteResponseTopic, len(req.Topics))
	offsets, slots := []partitionOffset(nil), []*int16(nil)
	for t := range req.Topics {
		asked, out := &req.Topics[t], &resp.Topics[t]
		out.Topic = asked.Topic
		out.Partitions = make([]kmsg.OffsetDeleteResponseTopicPartition, len(asked.Partitions))
		topic := lookUp(topics, false, asked.Topic, protocol.UUID{})
		for i := range asked.Partitions {
			p, slot := asked.Partitions[i].Partition, &out.Partitions[i].ErrorCode
			out.Partitions[i].Partition = p
			if code := topic.partitionCode(p); code != protocol.None {
				*slot = int16(code)
				continue
			}
			offsets = append(offsets, partitionOffset{partition: partitionKey{topic: asked.Topic, partition: p}})
			slots = append(slots, slot)
		}
	}
	finish := func(code protocol.ErrorCode) {
		if code != protocol.None {
			resp.ErrorCode, resp.Topics = int16(code), nil
		}
		for i := range offsets {
			*slots[i] = int16(offsets[i].code)
		}
		done(resp)
	}
	code := protocol.ErrInvalidGroupID
	if req.Group != "" {
		code = c.do(req.Group, deleteOffsetsEvent{groupID: req.Group, offsets: offsets, done: finish})
	}
	if code != protocol.None {
		finish(code)
	}
}

// DeleteGroups serves DeleteGroups v0-v2. A group named twice is deleted and answered for
// once.
func (c *Coordinator) DeleteGroups(rc RequestContext, req *kmsg.DeleteGroupsRequest, groups GroupFilter, done func(*kmsg.DeleteGroupsResponse)) {
	resp := kmsg.NewPtrDeleteGroupsResponse()
	resp.Version = req.Version
	seen := make(map[string]struct{}, len(req.Groups))
	for _, id := range req.Groups {
		if contains(seen, id) {
			continue
		}
		seen[id] = struct{}{}
		resp.Groups = append(resp.Groups, kmsg.DeleteGroupsResponseGroup{Group: id})
	}
	var left atomic.Int64
	left.Store(int64(len(resp.Groups)) + 1)
	finish := func() {
		if left.Add(-1) == 0 {
			done(resp)
		}
	}
	for i := range resp.Groups {
		out := &resp.Groups[i]
		answer := func(code protocol.ErrorCode) {
			out.ErrorCode = int16(code)
			finish()
		}
		code := groups.check(out.Group)
		if code == protocol.None {
			code = c.do(out.Group, deleteGroupEvent{groupID: out.Group, done: answer})
		}
		if code != protocol.None {
			answer(code)
		}
	}
	finish()
}

func (f GroupFilter) check(groupID string) protocol.ErrorCode {
	if f == nil {
		return protocol.None
	}
	return f(groupID)
}

// DescribeGroups serves DescribeGroups v0-v6. operations is asked for the authorized
// operations field of groups without error, or 69, if the request wants it; nil leaves it
// unset.
func (c *Coordinator) DescribeGroups(rc RequestContext, req *kmsg.DescribeGroupsRequest, groups GroupFilter, operations func(groupID string) int32, done func(*kmsg.DescribeGroupsResponse)) {
	resp := kmsg.NewPtrDescribeGroupsResponse()
	resp.Version = req.Version
	resp.Groups = make([]kmsg.DescribeGroupsResponseGroup, len(req.Groups))
	var again named
	for i, id := range req.Groups {
		out := &resp.Groups[i]
		*out = kmsg.NewDescribeGroupsResponseGroup()
		out.Group = id
		code := groups.check(id)
		if code == protocol.None && again.refusesGroup(id) {
			code = protocol.ErrInvalidRequest
		}
		if code == protocol.None {
			code = c.read(id, func(core *core) {
				if core.describe(id, out) {
					again.Spend(describedBytes(out))
					return
				}
				out.State = stateDead.String()
				if req.Version >= 6 {
					out.ErrorCode = int16(protocol.ErrGroupIDNotFound)
					message := "Group " + id + " not found."
					out.ErrorMessage = &message
				}
			})
		}
		if code != protocol.None {
			out.ErrorCode = int16(code)
		} else if req.IncludeAuthorizedOperations && operations != nil && out.ErrorCode == 0 {
			out.AuthorizedOperations = operations(id)
		}
	}
	if req.Version >= 6 {
		// As Apache 4.3.1, the only one that has it: what could not be described comes
		// first, and without operations.
		slices.SortStableFunc(resp.Groups, func(x, y kmsg.DescribeGroupsResponseGroup) int {
			return cmp.Compare(failed(x.ErrorCode), failed(y.ErrorCode))
		})
	}
	done(resp)
}

func failed(code int16) int {
	if code != 0 {
		return 0
	}
	return 1
}

// ListGroups serves ListGroups v0-v5. Groups that the filter refuses are left out. The
// filters of the request may be in any case.
func (c *Coordinator) ListGroups(rc RequestContext, req *kmsg.ListGroupsRequest, groups GroupFilter, done func(*kmsg.ListGroupsResponse)) {
	resp := kmsg.NewPtrListGroupsResponse()
	resp.Version = req.Version
	var list []kmsg.ListGroupsResponseGroup
	for _, s := range c.allShards() {
		code := s.read(func(core *core) {
			if matchesFilter(req.TypesFilter, classicGroupType) {
				list = core.list(list, req.StatesFilter)
			}
		})
		if code == protocol.ErrCoordinatorLoadInProgress {
			resp.ErrorCode = int16(code)
		}
	}
	list = slices.DeleteFunc(list, func(g kmsg.ListGroupsResponseGroup) bool { return groups.check(g.Group) != protocol.None })
	slices.SortFunc(list, func(a, b kmsg.ListGroupsResponseGroup) int {
		switch {
		case a.Group < b.Group:
			return -1
		case a.Group > b.Group:
			return 1
		}
		return 0
	})
	resp.Groups = list
	done(resp)
}
