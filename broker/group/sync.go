package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// syncEvent is a SyncGroup, v0-v5.
type syncEvent struct {
	req  *kmsg.SyncGroupRequest
	done func(*kmsg.SyncGroupResponse)
}

type syncResult struct {
	code         protocol.ErrorCode
	protocolType string
	protocol     string
	hasProtocol  bool
	assignment   []byte
}

func (r *syncResult) response(version int16) *kmsg.SyncGroupResponse {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.Version = version
	resp.ErrorCode = int16(r.code)
	resp.MemberAssignment = r.assignment
	if resp.MemberAssignment == nil {
		resp.MemberAssignment = []byte{}
	}
	if r.code == protocol.None {
		if r.protocolType != "" {
			resp.ProtocolType = &r.protocolType
		}
		if r.hasProtocol {
			resp.Protocol = &r.protocol
		}
	}
	return resp
}

// answerSync ends the wait of a member's SyncGroup, if there is one.
func (c *core) answerSync(m *member, r syncResult) bool {
	w := m.sync
	if w == nil {
		return false
	}
	m.sync = nil
	c.reply(func() { w.done(r.response(w.version)) })
	return true
}

func (c *core) sync(e syncEvent) {
	req := e.req
	answer := func(r syncResult) { c.reply(func() { e.done(r.response(req.Version)) }) }
	g := c.groups[req.Group]
	if g == nil {
		answer(syncResult{code: protocol.ErrUnknownMemberID})
		return
	}
	m, code := g.currentMember(req.MemberID, req.InstanceID)
	switch {
	case code != protocol.None:
	case req.Generation != g.generation:
		code = protocol.ErrIllegalGeneration
	case req.ProtocolType != nil && *req.ProtocolType != g.protocolType,
		req.Protocol != nil && (!g.hasProtocol || *req.Protocol != g.protocol):
		code = protocol.ErrInconsistentGroupProtocol
	case g.state == statePreparingRebalance:
		code = protocol.ErrRebalanceInProgress
	case g.state == stateEmpty:
		code = protocol.ErrUnknownMemberID
	}
	if code != protocol.None {
		answer(syncResult{code: code})
		return
	}
	g.clearPendingSync(m)
	if g.state == stateStable {
		answer(g.synced(m))
		c.extendSession(m)
		c.settle(g)
		return
	}
	c.answerSync(m, syncResult{code: protocol.ErrRebalanceInProgress}) // one that is superseded
	m.sync = &syncWaiter{version: req.Version, done: e.done}
	if m.id == g.leaderID {
		c.assign(g, req.GroupAssignment)
	}
	c.settle(g)
}

func (g *group) synced(m *member) syncResult {
	return syncResult{protocolType: g.protocolType, protocol: g.protocol, hasProtocol: g.hasProtocol, assignment: m.assignment}
}

// assign writes the leader's assignment down and, when that is done, hands it out.
func (c *core) assign(g *group, assignment []kmsg.SyncGroupRequestGroupAssignment) {
	assigned := make(map[string][]byte, len(g.members))
	for i := range assignment {
		if a := &assignment[i]; g.member(a.MemberID) != nil {
			assigned[a.MemberID] = append([]byte{}, a.MemberAssignment...)
		}
	}
	generation := g.generation
	c.writeGroup(g, func(m *member) []byte { return assigned[m.id] }, func(c *core, code protocol.ErrorCode) {
		if g.state != stateCompletingRebalance || g.generation != generation {
			return // the next rebalance has answered
		}
		if code != protocol.None {
			c.prepareRebalanceAfter(g, code)
			return
		}
		c.stats.RebalancesCompleted++
		for _, m := range g.members {
			m.assignment = assigned[m.id]
		}
		c.setState(g, stateStable)
		for _, m := range g.members {
			if c.answerSync(m, g.synced(m)) {
				c.extendSession(m)
			}
		}
	})
}

// prepareRebalanceAfter tells those who wait for an assignment what went wrong with it
// and begins anew.
func (c *core) prepareRebalanceAfter(g *group, code protocol.ErrorCode) {
	c.failSyncs(g, code)
	c.prepareRebalance(g)
}

func (c *core) failSyncs(g *group, code protocol.ErrorCode) {
	for _, m := range g.members {
		m.assignment = nil
		if c.answerSync(m, syncResult{code: code}) {
			c.extendSession(m)
		}
	}
}
