package group

import "github.com/barnabas-broker/barnabas/protocol"

// A rebalance: everybody joins (PreparingRebalance), the leader assigns and everybody
// syncs (CompletingRebalance), the group is Stable until the next.

func (c *core) setState(g *group, s state) {
	g.state = s
	g.stateTimestampMs = c.now.wallMs
}

// maybeRebalance begins a rebalance unless one is being prepared.
func (c *core) maybeRebalance(g *group) {
	if g.state != statePreparingRebalance {
		c.prepareRebalance(g)
	}
}

func (c *core) prepareRebalance(g *group) {
	if g.state == stateCompletingRebalance {
		c.failSyncs(g, protocol.ErrRebalanceInProgress)
	}
	g.clearPendingSyncs()
	wasEmpty := g.state == stateEmpty
	c.setState(g, statePreparingRebalance)
	c.stats.RebalancesBegun++
	if !wasEmpty {
		g.initialJoin = false
		g.joinDeadlineMs = c.now.monotonicMs + g.rebalanceTimeoutMs()
		return
	}
	// KIP-134: the members of a new group start at about the same time. Waiting a little
	// for the others saves a rebalance for each of them.
	delay := c.cfg.InitialRebalanceDelay.Milliseconds()
	g.initialJoin, g.newMemberAdded = true, false
	g.initialDelayMs = delay
	g.initialRemainsMs = max(g.rebalanceTimeoutMs()-delay, 0)
	g.joinDeadlineMs = c.now.monotonicMs + delay
	if delay <= 0 {
		c.completeJoin(g)
	}
}

// tryCompleteJoin ends the wait for members when the last one has come. An initial delay
// is always waited for.
func (c *core) tryCompleteJoin(g *group) {
	if g.state == statePreparingRebalance && !g.initialJoin && g.allJoined() {
		c.completeJoin(g)
	}
}

// joinDeadline ends the wait for members, or extends the initial one if more have come.
func (c *core) joinDeadline(g *group) {
	if g.initialJoin && g.newMemberAdded && g.initialRemainsMs != 0 {
		g.newMemberAdded = false
		delay := min(c.cfg.InitialRebalanceDelay.Milliseconds(), g.initialRemainsMs)
		g.initialRemainsMs = max(g.initialRemainsMs-g.initialDelayMs, 0)
		g.initialDelayMs = delay
		g.joinDeadlineMs = c.now.monotonicMs + delay
		return
	}
	c.completeJoin(g)
}

// completeJoin begins the next generation with those who have joined. Static members keep
// their place although they have not: they may be restarting.
func (c *core) completeJoin(g *group) {
	g.joinDeadlineMs, g.initialJoin = 0, false
	for _, m := range g.members {
		if m.join == nil && !m.isStatic {
			g.unlink(m)
		}
	}
	g.compact()
	if len(g.members) > 0 && !g.electJoinedLeader() {
		// Only silent static members are left. Their sessions end sooner or later.
		g.joinDeadlineMs = c.now.monotonicMs + max(g.rebalanceTimeoutMs(), 1)
		return
	}
	g.generation++
	g.clearPendingSyncs()
	if len(g.members) == 0 {
		g.protocol, g.hasProtocol = "", false
		g.subscribed, g.subscribedKnown = g.subscribedTopics()
		c.setState(g, stateEmpty)
		// If this write fails, a restart finds the generation before, whose members are
		// gone and time out. Nothing to do about it.
		c.writeGroup(g, nil, func(*core, protocol.ErrorCode) {})
		return
	}
	g.protocol, g.hasProtocol = g.selectProtocol(), true
	g.subscribed, g.subscribedKnown = g.subscribedTopics()
	c.setState(g, stateCompletingRebalance)
	for _, m := range g.members {
		c.answerJoin(g, m, g.joined(m))
		c.extendSession(m)
		m.isNew = false
		g.setPendingSync(m)
	}
	g.syncDeadlineMs = c.now.monotonicMs + g.rebalanceTimeoutMs()
}

// electJoinedLeader makes sure that the leader is one who has joined.
func (g *group) electJoinedLeader() bool {
	if g.member(g.leaderID).join != nil {
		return true
	}
	for _, m := range g.members {
		if m.join != nil {
			g.leaderID = m.id
			return true
		}
	}
	return false
}

// expireSync removes the members that joined but never asked for their assignment.
func (c *core) expireSync(g *group) {
	g.syncDeadlineMs = 0
	if g.state != stateCompletingRebalance && g.state != stateStable || g.pendingSyncs == 0 {
		return
	}
	for _, m := range g.members {
		if m.pendingSync {
			// A static one may have come back, with the record of that still being written.
			c.answerJoin(g, m, joinFailed("", protocol.ErrUnknownMemberID))
			c.answerSync(m, syncResult{code: protocol.ErrUnknownMemberID})
			g.unlink(m)
		}
	}
	g.compact()
	c.prepareRebalance(g)
}

// removeMembers takes members out and begins a rebalance among the others. The caller
// calls tryCompleteJoin when it is done with the group.
func (c *core) removeMembers(g *group, members []*member, code protocol.ErrorCode) {
	for _, m := range members {
		c.removeMember(g, m, code)
	}
	g.compact()
}

// removeMember is removeMembers for one of several; the caller compacts the group after
// the last, and until then looks for members by their ids only.
func (c *core) removeMember(g *group, m *member, code protocol.ErrorCode) {
	c.answerJoin(g, m, joinFailed("", code))
	c.answerSync(m, syncResult{code: code})
	g.unlink(m)
	switch g.state {
	case stateStable, stateCompletingRebalance:
		g.compact()
		c.prepareRebalance(g)
	}
}

func (c *core) extendSession(m *member) {
	m.deadlineMs = c.now.monotonicMs + int64(m.sessionTimeoutMs)
}

// writeGroup writes the group as it is. finish gets the code that members are to be told.
func (c *core) writeGroup(g *group, assignment func(*member) []byte, finish func(*core, protocol.ErrorCode)) {
	rec := g.record(assignment)
	g.writes++
	c.write(&write{
		records: []record{{key: appendGroupKey(nil, g.id), value: appendGroupValue(nil, &rec)}},
		finish: func(c *core, code protocol.ErrorCode) {
			g.writes--
			finish(c, groupWriteCode(code))
			c.tryCompleteJoin(g)
			c.settle(g)
		},
	})
}

// groupWriteCode translates a failed append for those who wait for an assignment.
func groupWriteCode(code protocol.ErrorCode) protocol.ErrorCode {
	switch code {
	case protocol.ErrUnknownTopicOrPartition, protocol.ErrNotEnoughReplicas, protocol.ErrNotEnoughReplicasAfterAppend:
		return protocol.ErrCoordinatorNotAvailable
	case protocol.ErrNotLeaderOrFollower, protocol.ErrKafkaStorageError, protocol.ErrFencedLeaderEpoch:
		return protocol.ErrNotCoordinator
	case protocol.ErrRequestTimedOut:
		return protocol.ErrRebalanceInProgress
	case protocol.ErrMessageTooLarge, protocol.ErrRecordListTooLarge, protocol.ErrInvalidFetchSize:
		return protocol.ErrUnknownServerError
	}
	return code
}
