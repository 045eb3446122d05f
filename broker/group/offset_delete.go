package group

import (
	"iter"
	"slices"

	"github.com/barnabas-broker/barnabas/protocol"
)

// deleteOffsetsEvent is an OffsetDelete (KIP-496). done gets the code of the whole, and
// offsets carry those of the partitions.
type deleteOffsetsEvent struct {
	groupID string
	offsets []partitionOffset
	done    func(protocol.ErrorCode)
}

// deleteGroupEvent is one group of a DeleteGroups (KIP-229).
type deleteGroupEvent struct {
	groupID string
	done    func(protocol.ErrorCode)
}

func (c *core) deleteOffsets(e deleteOffsetsEvent) {
	g := c.groups[e.groupID]
	if g == nil {
		c.reply(func() { e.done(protocol.ErrGroupIDNotFound) })
		return
	}
	if g.state != stateEmpty && g.protocolType != consumerProtocolType {
		c.reply(func() { e.done(protocol.ErrNonEmptyGroup) })
		return
	}
	var remove []partitionKey
	for i := range e.offsets {
		o := &e.offsets[i]
		if o.code != protocol.None {
			continue
		}
		if g.state != stateEmpty && g.isSubscribedTo(o.partition.topic) {
			o.code = protocol.ErrGroupSubscribedToTopic
			continue
		}
		if g.holds(o.partition) {
			remove = append(remove, o.partition)
		}
	}
	if len(remove) == 0 {
		c.reply(func() { e.done(protocol.None) })
		return
	}
	c.removeOffsets(g, remove, func(c *core, code protocol.ErrorCode) {
		if code == protocol.None {
			c.stats.OffsetDeletions += int64(len(remove))
		}
		setCodes(e.offsets, commitWriteCode(code))
		c.reply(func() { e.done(protocol.None) })
	})
}

// holds says whether a tombstone is needed to be rid of the partition's offset.
func (g *group) holds(p partitionKey) bool {
	_, ok := g.offsets[p]
	return ok || g.hasPending(p)
}

// held yields all partitions with an offset, committed or on its way, in no order and some
// of them more than once.
func (g *group) held() iter.Seq[partitionKey] {
	return func(yield func(partitionKey) bool) {
		for p := range g.offsets {
			if !yield(p) {
				return
			}
		}
		for p := range g.pendingCommits {
			if !yield(p) {
				return
			}
		}
		for _, offsets := range g.transactions {
			for p := range offsets {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// heldPartitions lists the partitions that are held and wanted, sorted. It is quick where
// none is wanted.
func (g *group) heldPartitions(wanted func(partitionKey) bool) []partitionKey {
	var list []partitionKey
	for p := range g.held() {
		if wanted(p) {
			list = append(list, p)
		}
	}
	sortPartitions(list)
	return slices.Compact(list)
}

func anyPartition(partitionKey) bool { return true }

// removeOffsets writes tombstones and, when that is done, drops the offsets. A group that
// is empty and left without any goes with them, as Apache's did up to 3.9.
func (c *core) removeOffsets(g *group, partitions []partitionKey, finish func(*core, protocol.ErrorCode)) {
	w := &write{}
	for _, p := range partitions {
		w.records = append(w.records, record{key: appendOffsetKey(nil, keyOffsetCommit, g.id, p)})
	}
	vanishes := c.vanishes(g, partitions)
	if vanishes && g.generation > 0 {
		w.records = append(w.records, record{key: appendGroupKey(nil, g.id)})
	}
	c.removal(g, w, partitions, vanishes, finish)
}

// vanishes says whether nothing is left of the group without these offsets.
func (c *core) vanishes(g *group, partitions []partitionKey) bool {
	if g.state != stateEmpty || len(g.pending) > 0 {
		return false
	}
	gone := make(map[partitionKey]struct{}, len(partitions))
	for _, p := range partitions {
		gone[p] = struct{}{}
	}
	for p := range g.held() {
		if _, ok := gone[p]; !ok {
			return false
		}
	}
	return true
}

// deleteGroup removes an empty group with everything in it.
func (c *core) deleteGroup(e deleteGroupEvent) {
	g := c.groups[e.groupID]
	if g == nil {
		c.reply(func() { e.done(protocol.ErrGroupIDNotFound) })
		return
	}
	if g.state != stateEmpty {
		c.reply(func() { e.done(protocol.ErrNonEmptyGroup) })
		return
	}
	clear(g.pending) // ids without a member do not keep a group
	partitions := g.heldPartitions(anyPartition)
	w := &write{}
	for _, p := range partitions {
		w.records = append(w.records, record{key: appendOffsetKey(nil, keyOffsetCommit, g.id, p)})
	}
	if g.generation > 0 {
		w.records = append(w.records, record{key: appendGroupKey(nil, g.id)})
	}
	if len(w.records) == 0 {
		c.settle(g)
		c.reply(func() { e.done(protocol.None) })
		return
	}
	c.removal(g, w, partitions, true, func(c *core, code protocol.ErrorCode) {
		if code == protocol.None {
			c.stats.GroupDeletions++
		}
		c.reply(func() { e.done(groupWriteCode(code)) })
	})
}

// removal queues a write of tombstones. What was committed before it stands before it in
// the log and in the queue, so everything at its time is gone when it is done; what comes
// after it stays. whole says that the group's own record, if it has one, is among them.
func (c *core) removal(g *group, w *write, partitions []partitionKey, whole bool, finish func(*core, protocol.ErrorCode)) {
	g.writes++
	w.finish = func(c *core, code protocol.ErrorCode) {
		g.writes--
		if standsInLog(code) {
			for _, p := range partitions {
				c.dropOffset(g, p, w.position)
			}
			if whole && g.isVoid() {
				delete(c.groups, g.id)
				c.stats.GroupsRemoved++
			}
		}
		finish(c, code)
		if c.groups[g.id] == g {
			c.settle(g)
		}
	}
	c.write(w)
}

// dropOffset forgets the offset of a partition as of a position in the log.
func (c *core) dropOffset(g *group, p partitionKey, position int64) {
	if o, ok := g.offsets[p]; ok && o.position < position {
		delete(g.offsets, p)
	}
	if len(g.offsets) == 0 {
		g.offsets = nil
	}
	for producerID, offsets := range g.transactions {
		if list, ok := offsets[p]; ok {
			c.keepPending(g, producerID, p, slices.DeleteFunc(list, func(o pendingOffset) bool { return o.position < position }))
		}
	}
}
