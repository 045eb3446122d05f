package group

import (
	"errors"

	"github.com/barnabas-broker/barnabas/protocol"
)

// loader rebuilds a core from the batches of its partition.
type loader struct {
	core *core
	buf  protocol.RecordsBuffer

	records int64
	skipped int64 // unreadable
	foreign int64 // of group types that are not served; left alone
	failure error // of the first skipped record
}

// load takes one batch, of any magic. What cannot be read, a record or a batch, is counted
// and skipped: the rest is worth having.
func (l *loader) load(batch []byte) error {
	h, err := protocol.ParseBatch(batch)
	if err != nil {
		l.skip(err)
		return nil
	}
	producerID := int64(-1)
	if h.IsTransactional() {
		producerID = h.ProducerID
	}
	err = protocol.WalkRecords(batch, &h, &l.buf, func(r *protocol.Record) error {
		l.records++
		l.core.position++ // of each: an offset and its tombstone may share a batch
		var err error
		if h.IsControl() {
			err = l.marker(&h, r)
		} else {
			err = l.record(r.Key, r.Value, producerID)
		}
		if err != nil {
			l.skip(err)
		}
		return nil
	})
	if err != nil {
		l.skip(err)
	}
	return nil
}

func (l *loader) marker(h *protocol.RecordBatch, r *protocol.Record) error {
	marker, err := protocol.ParseEndTxnMarker(r.Key, r.Value)
	if err != nil {
		return err
	}
	l.core.endTransaction(transactionEvent{producerID: h.ProducerID, committed: marker.Commit})
	return nil
}

func (l *loader) skip(err error) {
	l.skipped++
	if l.failure == nil {
		l.failure = err
	}
}

var errNoKey = errors.New("record without a key")

func (l *loader) record(keyBytes, value []byte, producerID int64) error {
	if keyBytes == nil {
		return errNoKey
	}
	key, err := parseKey(keyBytes)
	if err != nil {
		return err
	}
	switch key.version {
	case keyGroupMetadata:
		return l.group(string(key.group), value)
	case keyOffsetCommit0, keyOffsetCommit:
		return l.offset(&key, value, producerID)
	case keyZooKeeperOffset:
		return l.zooKeeperOffset(&key, value)
	}
	l.foreign++
	return nil
}

func (l *loader) offset(key *recordKey, value []byte, producerID int64) error {
	c := l.core
	p := partitionKey{topic: intern(string(key.topic)), partition: key.partition}
	if value == nil {
		if g := c.groups[string(key.group)]; g != nil {
			if producerID >= 0 {
				c.keepPending(g, producerID, p, nil)
			} else {
				c.dropOffset(g, p, c.position)
			}
		}
		return nil
	}
	o, err := parseOffsetValue(value)
	if err != nil {
		return err
	}
	g := c.groups[string(key.group)]
	if g == nil {
		g = c.getOrCreate(string(key.group))
	}
	if producerID >= 0 {
		c.setPending(g, producerID, p, pendingOffset{offsetAndMetadata: o, position: c.position})
	} else {
		c.setOffset(g, p, committed{offsetAndMetadata: o, position: c.position})
	}
	return nil
}

func (l *loader) zooKeeperOffset(key *recordKey, value []byte) error {
	p := partitionKey{topic: intern(string(key.topic)), partition: key.partition}
	if value == nil {
		l.core.dropZooKeeperOffset(string(key.group), p)
		return nil
	}
	o, err := parseOffsetValue(value)
	if err != nil {
		return err
	}
	l.core.setZooKeeperOffset(string(key.group), p, o)
	return nil
}

// group takes the newest state of a group; its offsets have records of their own.
func (l *loader) group(groupID string, value []byte) error {
	c := l.core
	var rec groupRecord
	if value != nil {
		var err error
		if rec, err = parseGroupValue(value); err != nil {
			return err
		}
	}
	old := c.groups[groupID]
	if old == nil && value == nil {
		return nil
	}
	g := &group{id: groupID, stateTimestampMs: c.now.wallMs}
	if old != nil { // the offsets stay
		g.offsets, g.transactions = old.offsets, old.transactions
		for producerID := range old.transactions {
			delete(c.producers[producerID], old)
			c.producers[producerID][g] = struct{}{}
		}
	}
	c.groups[groupID] = g
	if value == nil {
		return nil
	}
	g.restore(&rec)
	return nil
}

// restore puts a record's content into a group without members.
func (g *group) restore(rec *groupRecord) {
	g.generation = rec.generation
	g.protocolType = intern(rec.protocolType)
	g.protocol, g.hasProtocol = intern(rec.protocol), rec.hasProtocol
	g.stateTimestampMs = rec.stateTimestampMs
	for i := range rec.members {
		r := &rec.members[i]
		if r.memberID == "" || g.member(r.memberID) != nil || r.isStatic && g.static[r.instanceID] != nil {
			continue // none is without an id, and two of the same cannot be: the first is kept
		}
		g.add(&member{
			id: r.memberID, instanceID: r.instanceID, isStatic: r.isStatic,
			clientID: intern(r.clientID), clientHost: intern(r.clientHost),
			rebalanceTimeoutMs: r.rebalanceTimeoutMs, sessionTimeoutMs: r.sessionTimeoutMs,
			protocols:  []protocolMetadata{{name: g.protocol, metadata: r.subscription}},
			assignment: r.assignment,
		})
	}
	if rec.hasLeader && g.member(rec.leader) != nil {
		g.leaderID = rec.leader
	}
	if len(g.members) > 0 {
		g.state = stateStable
	}
	g.subscribed, g.subscribedKnown = g.subscribedTopics()
}

// finish makes the loaded groups live: their members' sessions begin, and groups that
// have grown larger than is allowed now rebalance. The actions are for the shell.
func (l *loader) finish(now instant) actions {
	c := l.core
	c.now, c.out = now, actions{}
	for _, id := range sortedKeys(c.groups) {
		g := c.groups[id]
		for _, m := range g.members {
			c.extendSession(m)
		}
		if len(g.members) > c.cfg.MaxSize {
			c.prepareRebalance(g)
		}
		c.settle(g)
	}
	return c.out
}
