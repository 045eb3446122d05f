package group

// Offsets of a transaction are pending from the moment they are written until the
// transaction's marker. Pending ones do not count, but make their partitions unstable.

func (c *core) setPending(g *group, producerID int64, p partitionKey, o pendingOffset) {
	if g.transactions == nil {
		g.transactions = make(map[int64]map[partitionKey]pendingOffset)
	}
	offsets := g.transactions[producerID]
	if offsets == nil {
		offsets = make(map[partitionKey]pendingOffset)
		g.transactions[producerID] = offsets
	}
	p.topic = intern(p.topic)
	offsets[p] = o
	groups := c.producers[producerID]
	if groups == nil {
		groups = make(map[*group]struct{})
		c.producers[producerID] = groups
	}
	groups[g] = struct{}{}
}

func (c *core) forgetPending(g *group, producerID int64, p partitionKey) {
	offsets := g.transactions[producerID]
	delete(offsets, p)
	if len(offsets) == 0 {
		c.forgetProducer(g, producerID)
	}
}

func (c *core) forgetProducer(g *group, producerID int64) {
	delete(g.transactions, producerID)
	if len(g.transactions) == 0 {
		g.transactions = nil
	}
	delete(c.producers[producerID], g)
	if len(c.producers[producerID]) == 0 {
		delete(c.producers, producerID)
	}
}

// endTransaction applies or drops the pending offsets of a producer. Those whose write
// has not even been submitted when the marker was written belong to its next transaction.
func (c *core) endTransaction(e transactionEvent) {
	for g := range c.producers[e.producerID] {
		for p, o := range g.transactions[e.producerID] {
			if o.write != nil && !o.write.submitted {
				continue
			}
			if e.committed {
				c.setOffset(g, p, committed{offsetAndMetadata: o.offsetAndMetadata, position: o.position})
				c.stats.OffsetCommits++
			}
			c.forgetPending(g, e.producerID, p)
		}
		c.settle(g)
	}
}
