package group

import "github.com/barnabas-broker/barnabas/protocol"

// fetched is the answer for one partition of an OffsetFetch.
type fetched struct {
	offset      int64
	leaderEpoch int32
	metadata    string
	code        protocol.ErrorCode
}

var notCommitted = fetched{offset: -1, leaderEpoch: -1}

// fetch returns the committed offset of one partition. Whether the group exists makes no
// difference: without an offset the answer is -1.
func (g *group) fetch(p partitionKey, requireStable bool) fetched {
	if g == nil {
		return notCommitted
	}
	if requireStable && g.hasPending(p) {
		return fetched{offset: -1, leaderEpoch: -1, code: protocol.ErrUnstableOffsetCommit}
	}
	o, ok := g.offsets[p]
	if !ok {
		return notCommitted
	}
	return fetched{offset: o.offset, leaderEpoch: o.leaderEpoch, metadata: o.metadata}
}

// committedPartitions lists the partitions with a committed offset, sorted.
func (g *group) committedPartitions() []partitionKey {
	if g == nil {
		return nil
	}
	list := make([]partitionKey, 0, len(g.offsets))
	for p := range g.offsets {
		list = append(list, p)
	}
	sortPartitions(list)
	return list
}

// fetchZooKeeper returns an offset committed with v0. Apache's answer for a missing node
// is UNKNOWN_TOPIC_OR_PARTITION.
func (c *core) fetchZooKeeper(groupID string, p partitionKey) fetched {
	o, ok := c.zooKeeper[groupID][p]
	if !ok {
		return fetched{offset: -1, leaderEpoch: -1, code: protocol.ErrUnknownTopicOrPartition}
	}
	return fetched{offset: o.offset, leaderEpoch: -1, metadata: o.metadata}
}
