package group

import (
	"cmp"
	"slices"

	"github.com/barnabas-broker/barnabas/protocol"
)

func sortPartitions(list []partitionKey) {
	slices.SortFunc(list, func(a, b partitionKey) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
}

// expire removes offsets past their retention, and empty groups without any.
func (c *core) expire() {
	for _, id := range sortedKeys(c.groups) {
		g := c.groups[id]
		expired := c.expiredOffsets(g)
		if len(expired) == 0 {
			switch {
			case !g.isVoid():
			case g.generation > 0: // neither members nor offsets, but a record
				c.removeOffsets(g, nil, func(*core, protocol.ErrorCode) {})
			default:
				delete(c.groups, id)
			}
			continue
		}
		c.removeOffsets(g, expired, func(c *core, code protocol.ErrorCode) {
			if code == protocol.None {
				c.stats.OffsetExpirations += int64(len(expired))
			}
		})
	}
}

// expiredOffsets lists the offsets whose time is up (KIP-211): counted from when the
// group became empty; in a live group of consumers, from the commit, for topics that
// nobody is subscribed to any more; in a mere keeper of offsets, from the commit.
func (c *core) expiredOffsets(g *group) []partitionKey {
	if len(g.offsets) == 0 {
		return nil
	}
	sinceEmpty, onlyUnsubscribed := false, false
	switch {
	case g.protocolType == "":
	case g.state == stateEmpty:
		sinceEmpty = g.stateTimestampMs >= 0
	case g.state == stateStable && g.protocolType == consumerProtocolType && g.subscribedKnown:
		onlyUnsubscribed = true
	default:
		return nil
	}
	retentionMs := c.cfg.OffsetsRetention.Milliseconds()
	var expired []partitionKey
	for p, o := range g.offsets {
		if onlyUnsubscribed && g.isSubscribedTo(p.topic) || g.hasPending(p) {
			continue
		}
		since := o.commitTimestampMs
		if sinceEmpty {
			since = g.stateTimestampMs
		}
		if o.expireTimestampMs >= 0 && c.now.wallMs >= o.expireTimestampMs ||
			o.expireTimestampMs < 0 && c.now.wallMs-since >= retentionMs {
			expired = append(expired, p)
		}
	}
	sortPartitions(expired)
	return expired
}

// topicsDeleted removes the offsets of topics that are gone, so that topics of the same
// names begin anew.
func (c *core) topicsDeleted(e topicsDeletedEvent) {
	wanted := func(p partitionKey) bool { return contains(e.names, p.topic) }
	affected := make(map[string][]partitionKey)
	for id, g := range c.groups {
		if remove := g.heldPartitions(wanted); len(remove) > 0 {
			affected[id] = remove
		}
	}
	for _, id := range sortedKeys(affected) {
		c.removeOffsets(c.groups[id], affected[id], func(*core, protocol.ErrorCode) {})
	}
	for _, id := range sortedKeys(c.zooKeeper) {
		var remove []partitionKey
		for p := range c.zooKeeper[id] {
			if contains(e.names, p.topic) {
				remove = append(remove, p)
			}
		}
		if len(remove) > 0 {
			sortPartitions(remove)
			c.removeZooKeeperOffsets(id, remove)
		}
	}
}

func (c *core) removeZooKeeperOffsets(groupID string, partitions []partitionKey) {
	w := &write{}
	for _, p := range partitions {
		w.records = append(w.records, record{key: appendOffsetKey(nil, keyZooKeeperOffset, groupID, p)})
	}
	w.finish = func(c *core, code protocol.ErrorCode) {
		if !standsInLog(code) {
			return
		}
		for _, p := range partitions {
			c.dropZooKeeperOffset(groupID, p)
		}
	}
	c.write(w)
}

func (c *core) dropZooKeeperOffset(groupID string, p partitionKey) {
	delete(c.zooKeeper[groupID], p)
	if len(c.zooKeeper[groupID]) == 0 {
		delete(c.zooKeeper, groupID)
	}
}

func contains(set map[string]struct{}, s string) bool {
	_, ok := set[s]
	return ok
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
