package group

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// RequestContext is what a request carries besides its body. The request's version is
// the Version field of the kmsg struct.
type RequestContext struct {
	ClientID   string // begins the member ids that are handed out
	ClientHost string // as DescribeGroups shows it: a slash and the address, "/10.0.0.1"
}

// Topic is what a request may know of a topic that it names.
type Topic struct {
	Name       string
	ID         protocol.UUID
	Partitions int32

	// Err is None, TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION, or
	// UNKNOWN_TOPIC_ID. The order of these checks is the caller's.
	Err protocol.ErrorCode
}

// TopicLookup finds a topic by name, or, if name is empty and id is not zero, by id, on
// behalf of one principal. Each method says what it makes of [Topic.Err].
type TopicLookup func(name string, id protocol.UUID) Topic

// GroupFilter says whether the principal may do to a group what the request is for: None
// or GROUP_AUTHORIZATION_FAILED. Nil lets all through.
type GroupFilter func(groupID string) protocol.ErrorCode

// Coordinator is one broker's group coordinator.
type Coordinator struct{}

// New returns a coordinator that leads no partition yet.
func New(opts Options) *Coordinator { panic("not yet") }

// Close answers all that wait with NOT_COORDINATOR and stops the timer and the loads.
func (c *Coordinator) Close() {}

// PartitionFor returns the partition of __consumer_offsets that a group belongs to; ok is
// false while the topic does not exist.
func (c *Coordinator) PartitionFor(groupID string) (partition int32, ok bool) { return 0, false }

// PartitionOf is the positive Java hash of the group id modulo the partition count.
func PartitionOf(groupID string, partitionCount int32) int32 { return 0 }

// BecomeLeader starts to load a partition in the background; until that is done its
// groups answer COORDINATOR_LOAD_IN_PROGRESS. A repeated call with the same epoch does
// nothing, one with a newer epoch keeps the state and continues with it.
func (c *Coordinator) BecomeLeader(partition, leaderEpoch int32) {}

// Resign forgets a partition and answers its waiting requests with NOT_COORDINATOR. An
// epoch older than that of BecomeLeader is ignored; -1 always counts.
func (c *Coordinator) Resign(partition, leaderEpoch int32) {}

// WaitLoaded returns when no partition is loading, or with ctx's error.
func (c *Coordinator) WaitLoaded(ctx context.Context) error { return nil }

// TopicsDeleted removes the committed offsets of topics that no longer exist.
func (c *Coordinator) TopicsDeleted(names []string) {}

// JoinGroup serves JoinGroup v0-v9.
func (c *Coordinator) JoinGroup(rc RequestContext, req *kmsg.JoinGroupRequest, done func(*kmsg.JoinGroupResponse)) {
}

// SyncGroup serves SyncGroup v0-v5.
func (c *Coordinator) SyncGroup(rc RequestContext, req *kmsg.SyncGroupRequest, done func(*kmsg.SyncGroupResponse)) {
}

// Heartbeat serves Heartbeat v0-v4.
func (c *Coordinator) Heartbeat(rc RequestContext, req *kmsg.HeartbeatRequest, done func(*kmsg.HeartbeatResponse)) {
}

// LeaveGroup serves LeaveGroup v0-v5.
func (c *Coordinator) LeaveGroup(rc RequestContext, req *kmsg.LeaveGroupRequest, done func(*kmsg.LeaveGroupResponse)) {
}

// OffsetCommit serves OffsetCommit v0-v10. topics is asked for every topic; an Err of it
// goes to all partitions of the topic, a partition past Partitions gets 3. v0 goes to the
// offsets that Apache kept in ZooKeeper, which no other version sees.
func (c *Coordinator) OffsetCommit(rc RequestContext, req *kmsg.OffsetCommitRequest, topics TopicLookup, done func(*kmsg.OffsetCommitResponse)) {
}

// OffsetFetch serves OffsetFetch v0-v10. groups is asked for every group. topics is asked
// for every topic named, where 29 and 100 go to all partitions of the topic and 3 is
// ignored (but answered in v0), and for every committed topic when all are asked for:
// there topics with 29 are left out, and in v10 those without an id.
func (c *Coordinator) OffsetFetch(rc RequestContext, req *kmsg.OffsetFetchRequest, groups GroupFilter, topics TopicLookup, done func(*kmsg.OffsetFetchResponse)) {
}

// OffsetDelete serves OffsetDelete v0. topics is asked for every topic; an Err of it goes
// to all partitions of the topic, a partition past Partitions gets 3.
func (c *Coordinator) OffsetDelete(rc RequestContext, req *kmsg.OffsetDeleteRequest, topics TopicLookup, done func(*kmsg.OffsetDeleteResponse)) {
}

// DescribeGroups serves DescribeGroups v0-v6. operations is asked for the authorized
// operations field of groups without error, or 69, if the request wants it; nil leaves it
// unset.
func (c *Coordinator) DescribeGroups(rc RequestContext, req *kmsg.DescribeGroupsRequest, groups GroupFilter, operations func(groupID string) int32, done func(*kmsg.DescribeGroupsResponse)) {
}

// ListGroups serves ListGroups v0-v5. Groups that the filter refuses are left out.
func (c *Coordinator) ListGroups(rc RequestContext, req *kmsg.ListGroupsRequest, groups GroupFilter, done func(*kmsg.ListGroupsResponse)) {
}

// DeleteGroups serves DeleteGroups v0-v2.
func (c *Coordinator) DeleteGroups(rc RequestContext, req *kmsg.DeleteGroupsRequest, groups GroupFilter, done func(*kmsg.DeleteGroupsResponse)) {
}

// TxnOffsetCommit serves TxnOffsetCommit v0-v5. The offsets stay pending until
// TransactionCompleted. topics works as in OffsetCommit.
func (c *Coordinator) TxnOffsetCommit(rc RequestContext, req *kmsg.TxnOffsetCommitRequest, topics TopicLookup, done func(*kmsg.TxnOffsetCommitResponse)) {
}

// TransactionCompleted tells that the commit or abort marker of a producer stands in a
// partition of __consumer_offsets, below its high watermark.
func (c *Coordinator) TransactionCompleted(partition int32, producerID int64, committed bool) {}
