package group

import "slices"

// Offsets of a transaction are pending from the moment they are written until the
// transaction's marker. Pending ones do not count, but make their partitions unstable.

func (c *core) setPending(g *group, producerID int64, p partitionKey, o pendingOffset) {
	if g.transactions == nil {
		g.transactions = make(map[int64]map[partitionKey][]pendingOffset)
	}
	offsets := g.transactions[producerID]
	if offsets == nil {
		offsets = make(map[partitionKey][]pendingOffset)
		g.transactions[producerID] = offsets
	}
	p.topic = intern(p.topic)
	if o.write == nil { // in the log, after all others
		offsets[p] = append(offsets[p][:0], o)
	} else {
		offsets[p] = append(offsets[p], o)
	}
	groups := c.producers[producerID]
	if groups == nil {
		groups = make(map[*group]struct{})
		c.producers[producerID] = groups
	}
	groups[g] = struct{}{}
}

// keepPending replaces the pending offsets of a producer for one partition.
func (c *core) keepPending(g *group, producerID int64, p partitionKey, list []pendingOffset) {
	offsets := g.transactions[producerID]
	if len(list) > 0 {
		offsets[p] = list
		return
	}
	delete(offsets, p)
	if len(offsets) > 0 {
		return
	}
	delete(g.transactions, producerID)
	if len(g.transactions) == 0 {
		g.transactions = nil
	}
	delete(c.producers[producerID], g)
	if len(c.producers[producerID]) == 0 {
		delete(c.producers, producerID)
	}
}

// pendingWritten brings the outcome of the write of a pending offset. One that failed
// leaves what the transaction wrote before.
func (c *core) pendingWritten(g *group, producerID int64, p partitionKey, w *write, inLog bool) {
	list := g.transactions[producerID][p]
	i := slices.IndexFunc(list, func(o pendingOffset) bool { return o.write == w })
	if i < 0 {
		return // deleted meanwhile
	}
	o := list[i]
	switch {
	case !inLog, o.ended == endedAborted:
		list = slices.Delete(list, i, i+1)
	case o.ended == endedCommitted:
		c.setOffset(g, p, committed{offsetAndMetadata: o.offsetAndMetadata, position: o.position})
		c.stats.OffsetCommits++
		list = slices.Delete(list, i, i+1)
	default:
		list[i].write = nil
		list = slices.Delete(list, 0, i)
	}
	c.keepPending(g, producerID, p, list)
}

// endTransaction applies or drops the pending offsets of a producer. Those whose write
// has not even been submitted when the marker was written belong to its next transaction;
// those whose append is under way wait for its outcome.
func (c *core) endTransaction(e transactionEvent) {
	for g := range c.producers[e.producerID] {
		for p, list := range g.transactions[e.producerID] {
			var keep []pendingOffset
			for _, o := range list {
				switch {
				case o.write == nil:
					if e.committed {
						c.setOffset(g, p, committed{offsetAndMetadata: o.offsetAndMetadata, position: o.position})
						c.stats.OffsetCommits++
					}
					continue
				case o.write.submitted && e.committed:
					o.ended = endedCommitted
				case o.write.submitted:
					o.ended = endedAborted
				}
				keep = append(keep, o)
			}
			c.keepPending(g, e.producerID, p, keep)
		}
		c.settle(g)
	}
}
