package group

import (
	"unicode/utf8"

	"github.com/barnabas-broker/barnabas/protocol"
)

// partitionOffset is one offset that a request wants committed.
type partitionOffset struct {
	partition partitionKey
	topicID   protocol.UUID // of a commit: the topic that was found
	offset    offsetAndMetadata
	code      protocol.ErrorCode // outcome
}

// commitEvent is an OffsetCommit v1-v10 or a TxnOffsetCommit, after the topics have been
// looked at. What offsets point to becomes the core's, and carries the outcome when done
// is called.
type commitEvent struct {
	groupID    string
	generation int32
	memberID   string
	instanceID *string
	offsets    []partitionOffset

	transactional   bool
	transactionalID string
	producerID      int64
	producerEpoch   int16
	version         int16 // of the request

	done func()
}

// zooKeeperCommitEvent is an OffsetCommit v0.
type zooKeeperCommitEvent struct {
	groupID string
	offsets []partitionOffset
	done    func()
}

func (c *core) commit(e commitEvent) {
	refuse := func(code protocol.ErrorCode) {
		setCodes(e.offsets, code)
		c.reply(e.done)
	}
	if len(e.groupID) > maxStringBytes {
		refuse(protocol.ErrInvalidGroupID)
		return
	}
	c.deleted.refuse(e.offsets, e.unknownTopicCode())
	g := c.groups[e.groupID]
	if g == nil {
		if e.generation >= 0 {
			refuse(unknownGroupCommitCode(&e))
			return
		}
		// A group that only keeps offsets, of a consumer that assigns to itself.
		g = c.getOrCreate(e.groupID)
	}
	defer c.settle(g)
	m, code := g.mayCommit(&e)
	if code == protocol.None && !e.transactional && m != nil {
		switch g.state {
		case stateStable, statePreparingRebalance:
			// Members may commit while the next round forms: they learn of it by heartbeat.
			c.extendSession(m)
		case stateCompletingRebalance:
			code = protocol.ErrRebalanceInProgress
		}
	}
	if code != protocol.None {
		refuse(code)
		return
	}
	c.checkMetadata(e.offsets)
	w := c.offsetWrite(e.groupID, keyOffsetCommit, e.offsets)
	if len(w.records) == 0 {
		c.reply(e.done)
		return
	}
	g.writes++
	if e.transactional {
		c.commitPending(g, w, &e)
	} else {
		c.commitNow(g, w, &e)
	}
}

// unknownTopicCode is for topics that do not exist, which the newest versions name by id.
func (e *commitEvent) unknownTopicCode() protocol.ErrorCode {
	if e.transactional && e.version >= 6 || !e.transactional && e.version >= 10 {
		return protocol.ErrUnknownTopicID
	}
	return protocol.ErrUnknownTopicOrPartition
}

// unknownGroupCommitCode is for commits in the name of a generation of no group. Apache
// answers v9 with one code in 3.9 and the other in 4.x; v10 is served by 4.x alone.
func unknownGroupCommitCode(e *commitEvent) protocol.ErrorCode {
	if !e.transactional && e.version >= 10 {
		return protocol.ErrGroupIDNotFound
	}
	return protocol.ErrIllegalGeneration
}

// mayCommit checks that the commit comes from a member, in its generation, or from
// nobody's member to a group that has none.
func (g *group) mayCommit(e *commitEvent) (*member, protocol.ErrorCode) {
	switch {
	case e.generation < 0 && g.state == stateEmpty:
		return nil, protocol.None
	case e.generation >= 0 || e.memberID != "" || e.instanceID != nil:
		m, code := g.currentMember(e.memberID, e.instanceID)
		if code == protocol.None && e.generation != g.generation {
			code = protocol.ErrIllegalGeneration
		}
		return m, code
	case !e.transactional && g.state != stateEmpty:
		return nil, protocol.ErrUnknownMemberID
	}
	// Versions of TxnOffsetCommit before 3 do not say who commits.
	return nil, protocol.None
}

// checkMetadata refuses metadata that is too long, counted as Java counts characters.
func (c *core) checkMetadata(offsets []partitionOffset) {
	for i := range offsets {
		o := &offsets[i]
		metadata := o.offset.metadata
		if o.code != protocol.None {
			continue
		}
		if len(metadata) > maxStringBytes ||
			len(metadata) > c.cfg.OffsetMetadataMaxBytes && utf16Length(metadata) > c.cfg.OffsetMetadataMaxBytes {
			o.code = protocol.ErrOffsetMetadataTooLarge
		}
	}
}

func utf16Length(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff && r <= utf8.MaxRune {
			n++
		}
	}
	return n
}

func setCodes(offsets []partitionOffset, code protocol.ErrorCode) {
	for i := range offsets {
		if offsets[i].code == protocol.None {
			offsets[i].code = code
		}
	}
}

// offsetWrite makes the records of all offsets that have no error. They share one piece
// of memory.
func (c *core) offsetWrite(groupID string, keyVersion int16, offsets []partitionOffset) *write {
	size, count := 0, 0
	for i := range offsets {
		if o := &offsets[i]; o.code == protocol.None {
			size += 2 + 2 + len(groupID) + 2 + len(o.partition.topic) + 4 + 2 + 8 + 4 + 2 + len(o.offset.metadata) + 8 + 8
			count++
		}
	}
	w := &write{records: make([]record, 0, count)}
	buf := make([]byte, 0, size)
	for i := range offsets {
		o := &offsets[i]
		if o.code != protocol.None {
			continue
		}
		at := len(buf)
		buf = appendOffsetKey(buf, keyVersion, groupID, o.partition)
		mid := len(buf)
		buf = appendOffsetValue(buf, &o.offset)
		w.records = append(w.records, record{key: buf[at:mid:mid], value: buf[mid:len(buf):len(buf)]})
	}
	return w
}

func (c *core) commitNow(g *group, w *write, e *commitEvent) {
	if g.pendingCommits == nil {
		g.pendingCommits = make(map[partitionKey]int)
	}
	for i := range e.offsets {
		if e.offsets[i].code == protocol.None {
			g.pendingCommits[e.offsets[i].partition]++
		}
	}
	offsets, done := e.offsets, e.done
	w.finish = func(c *core, code protocol.ErrorCode) {
		g.writes--
		for i := range offsets {
			o := &offsets[i]
			if o.code != protocol.None {
				continue
			}
			if g.pendingCommits[o.partition]--; g.pendingCommits[o.partition] <= 0 {
				delete(g.pendingCommits, o.partition)
			}
			if standsInLog(code) {
				c.setOffset(g, o.partition, committed{offsetAndMetadata: o.offset, position: w.position})
				c.stats.OffsetCommits++
			}
			o.code = commitWriteCode(code)
		}
		if len(g.pendingCommits) == 0 {
			g.pendingCommits = nil
		}
		c.reply(done)
		c.settle(g)
	}
	c.write(w)
}

// commitPending notes the offsets under the producer until its transaction ends.
func (c *core) commitPending(g *group, w *write, e *commitEvent) {
	w.transactional = true
	w.transactionalID = e.transactionalID
	w.producerID, w.producerEpoch = e.producerID, e.producerEpoch
	offsets, done, producerID := e.offsets, e.done, e.producerID
	w.finish = func(c *core, code protocol.ErrorCode) {
		g.writes--
		for i := range offsets {
			o := &offsets[i]
			if o.code != protocol.None {
				continue
			}
			c.pendingWritten(g, producerID, o.partition, w, standsInLog(code))
			o.code = commitWriteCode(code)
		}
		c.reply(done)
		c.settle(g)
	}
	c.write(w)
	for i := range offsets {
		if o := &offsets[i]; o.code == protocol.None {
			c.setPending(g, producerID, o.partition, pendingOffset{offsetAndMetadata: o.offset, position: w.position, write: w})
		}
	}
}

func (c *core) zooKeeperCommit(e zooKeeperCommitEvent) {
	if len(e.groupID) > maxStringBytes {
		setCodes(e.offsets, protocol.ErrInvalidGroupID)
		c.reply(e.done)
		return
	}
	c.deleted.refuse(e.offsets, protocol.ErrUnknownTopicOrPartition)
	c.checkMetadata(e.offsets)
	w := c.offsetWrite(e.groupID, keyZooKeeperOffset, e.offsets)
	if len(w.records) == 0 {
		c.reply(e.done)
		return
	}
	w.finish = func(c *core, code protocol.ErrorCode) {
		for i := range e.offsets {
			o := &e.offsets[i]
			if o.code != protocol.None {
				continue
			}
			if standsInLog(code) {
				c.setZooKeeperOffset(e.groupID, o.partition, o.offset)
			}
			o.code = commitWriteCode(code)
		}
		c.reply(e.done)
	}
	c.write(w)
}

func (c *core) setOffset(g *group, p partitionKey, o committed) {
	if g.offsets == nil {
		g.offsets = make(map[partitionKey]committed)
	}
	old, exists := g.offsets[p]
	if exists && old.position > o.position {
		return
	}
	if !exists {
		p.topic = intern(p.topic)
	}
	g.offsets[p] = o
}

func (c *core) setZooKeeperOffset(groupID string, p partitionKey, o offsetAndMetadata) {
	offsets := c.zooKeeper[groupID]
	if offsets == nil {
		offsets = make(map[partitionKey]offsetAndMetadata)
		c.zooKeeper[groupID] = offsets
	}
	p.topic = intern(p.topic)
	offsets[p] = o
}

// standsInLog says whether a write will be found by the next leader that has our log. One
// that was not replicated in time is an error to the client, which will repeat it, but
// not undone.
func standsInLog(code protocol.ErrorCode) bool {
	return code == protocol.None || code == protocol.ErrRequestTimedOut || code == protocol.ErrNotEnoughReplicasAfterAppend
}

// commitWriteCode translates a failed append for those who commit offsets.
func commitWriteCode(code protocol.ErrorCode) protocol.ErrorCode {
	switch code {
	case protocol.ErrNetworkException: // from the check of the transaction
		return protocol.ErrCoordinatorLoadInProgress
	case protocol.ErrUnknownTopicOrPartition, protocol.ErrNotEnoughReplicas,
		protocol.ErrNotEnoughReplicasAfterAppend, protocol.ErrRequestTimedOut:
		return protocol.ErrCoordinatorNotAvailable
	case protocol.ErrNotLeaderOrFollower, protocol.ErrKafkaStorageError, protocol.ErrFencedLeaderEpoch:
		return protocol.ErrNotCoordinator
	case protocol.ErrMessageTooLarge, protocol.ErrRecordListTooLarge, protocol.ErrInvalidFetchSize:
		return protocol.ErrInvalidCommitOffsetSize
	}
	return code
}
