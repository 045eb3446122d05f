package group

import (
	"encoding/hex"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// joinEvent is a JoinGroup, v0-v9 (KIP-62, KIP-345, KIP-394, KIP-559, KIP-800, KIP-814).
type joinEvent struct {
	rc   RequestContext
	req  *kmsg.JoinGroupRequest
	done func(*kmsg.JoinGroupResponse)
}

// joinResult is the answer before it is put into a version's form.
type joinResult struct {
	code           protocol.ErrorCode
	memberID       string
	generation     int32
	protocolType   string
	protocol       string
	hasProtocol    bool
	leaderID       string
	skipAssignment bool
	members        []kmsg.JoinGroupResponseMember
}

func joinFailed(memberID string, code protocol.ErrorCode) joinResult {
	return joinResult{code: code, memberID: memberID, generation: -1}
}

func (r *joinResult) response(version int16) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.Version = version
	resp.ErrorCode = int16(r.code)
	resp.Generation = r.generation
	if r.code != protocol.None && r.generation == 0 {
		resp.Generation = -1
	}
	resp.LeaderID = r.leaderID
	resp.MemberID = r.memberID
	resp.SkipAssignment = r.skipAssignment
	resp.Members = r.members
	if r.protocolType != "" {
		resp.ProtocolType = &r.protocolType
	}
	if r.hasProtocol && r.protocol != "" || version < 7 { // null is allowed from v7 on, and Apache sends it for "" too
		resp.Protocol = &r.protocol
	}
	return resp
}

// joined is a successful answer to a member of the current generation.
func (g *group) joined(m *member) joinResult {
	r := joinResult{
		memberID: m.id, generation: g.generation, leaderID: g.leaderID,
		protocolType: g.protocolType, protocol: g.protocol, hasProtocol: g.hasProtocol,
	}
	if m.id == g.leaderID {
		r.members = g.memberList()
	}
	return r
}

// memberList is what the leader is told, in order to assign.
func (g *group) memberList() []kmsg.JoinGroupResponseMember {
	list := make([]kmsg.JoinGroupResponseMember, 0, len(g.members))
	for _, m := range g.members {
		metadata, _ := m.metadataFor(g.protocol)
		e := kmsg.JoinGroupResponseMember{MemberID: m.id, ProtocolMetadata: metadata}
		if m.isStatic {
			instanceID := m.instanceID
			e.InstanceID = &instanceID
		}
		list = append(list, e)
	}
	return list
}

// answerJoin ends the wait of a member's JoinGroup, if there is one.
func (c *core) answerJoin(g *group, m *member, r joinResult) {
	w := m.join
	if w == nil {
		return
	}
	m.join = nil
	g.awaitingJoin--
	c.reply(func() { w.done(r.response(w.version)) })
}

func (c *core) join(e joinEvent) {
	req := e.req
	refuse := func(memberID string, code protocol.ErrorCode) {
		r := joinFailed(memberID, code)
		c.reply(func() { e.done(r.response(req.Version)) })
	}
	if t := int64(req.SessionTimeoutMillis); t < c.cfg.MinSessionTimeout.Milliseconds() || t > c.cfg.MaxSessionTimeout.Milliseconds() {
		refuse(req.MemberID, protocol.ErrInvalidSessionTimeout)
		return
	}
	if !joinFits(e) {
		refuse(req.MemberID, protocol.ErrInvalidRequest)
		return
	}
	g := c.groups[req.Group]
	if g == nil {
		if req.MemberID != "" {
			refuse(req.MemberID, protocol.ErrUnknownMemberID)
			return
		}
		g = c.getOrCreate(req.Group)
	}
	switch {
	case !c.accepts(g, req.MemberID):
		if m := g.member(req.MemberID); m != nil {
			c.answerSync(m, syncResult{code: protocol.ErrUnknownMemberID})
		}
		g.remove(req.MemberID)
		refuse("", protocol.ErrGroupMaxSizeReached)
	case !g.supports(req.ProtocolType, req.Protocols):
		refuse(req.MemberID, protocol.ErrInconsistentGroupProtocol)
	case req.MemberID == "":
		c.joinNew(g, e, refuse)
	default:
		c.joinKnown(g, e, refuse)
	}
	c.tryCompleteJoin(g)
	c.settle(g)
}

// joinFits refuses strings that the records of __consumer_offsets cannot hold; the
// compact strings of newer versions can be longer.
func joinFits(e joinEvent) bool {
	const reserve = 64 // for the random part of member ids
	fits := len(e.req.Group) <= maxStringBytes && len(e.req.ProtocolType) <= maxStringBytes &&
		len(e.rc.ClientID) <= maxStringBytes-reserve && len(e.rc.ClientHost) <= maxStringBytes
	if e.req.InstanceID != nil {
		fits = fits && len(*e.req.InstanceID) <= maxStringBytes-reserve
	}
	for i := range e.req.Protocols {
		fits = fits && len(e.req.Protocols[i].Name) <= maxStringBytes
	}
	return fits
}

// accepts holds the group to group.max.size. While it prepares, those that wait count,
// not those that are known: whoever comes back too late is the one to go.
func (c *core) accepts(g *group, memberID string) bool {
	m := g.member(memberID)
	switch g.state {
	case statePreparingRebalance:
		return m != nil && m.join != nil || g.awaitingJoin < c.cfg.MaxSize
	case stateCompletingRebalance, stateStable:
		return m != nil || len(g.members) < c.cfg.MaxSize
	}
	return true
}

// joinNew lets a client in that has no member id yet.
func (c *core) joinNew(g *group, e joinEvent, refuse func(string, protocol.ErrorCode)) {
	req := e.req
	if req.InstanceID != nil {
		id := *req.InstanceID + "-" + uuidText(c.memberID())
		if old := g.static[*req.InstanceID]; old != nil {
			c.replaceStatic(g, old, id, e)
		} else {
			c.addMember(g, id, e)
		}
		return
	}
	id := e.rc.ClientID + "-" + uuidText(c.memberID())
	if req.Version < 4 {
		c.addMember(g, id, e)
		return
	}
	// KIP-394: a client whose first answer is lost must not leave a member behind for
	// every retry. It is told its id first and joins with that.
	if g.pending == nil {
		g.pending = make(map[string]int64)
	}
	g.pending[id] = c.now.monotonicMs + int64(req.SessionTimeoutMillis)
	refuse(id, protocol.ErrMemberIDRequired)
}

// joinKnown handles a client that gives a member id.
func (c *core) joinKnown(g *group, e joinEvent, refuse func(string, protocol.ErrorCode)) {
	req := e.req
	if _, ok := g.pending[req.MemberID]; ok {
		if req.InstanceID != nil { // such ids are given to dynamic members only
			refuse(req.MemberID, protocol.ErrUnknownServerError)
			return
		}
		c.addMember(g, req.MemberID, e)
		return
	}
	m, code := g.currentMember(req.MemberID, req.InstanceID)
	if code != protocol.None {
		refuse(req.MemberID, code)
		return
	}
	switch g.state {
	case statePreparingRebalance:
		c.updateMember(g, m, e)
	case stateCompletingRebalance:
		// A member that asks again lost our answer; only news begins another round.
		if m.matches(req.Protocols) {
			r := g.joined(m)
			c.reply(func() { e.done(r.response(req.Version)) })
			return
		}
		c.updateMember(g, m, e)
	case stateStable:
		// The leader rejoins in order to have it all assigned anew.
		if m.id != g.leaderID && m.matches(req.Protocols) {
			r := g.joined(m)
			c.reply(func() { e.done(r.response(req.Version)) })
			return
		}
		c.updateMember(g, m, e)
	default:
		refuse(req.MemberID, protocol.ErrUnknownMemberID)
	}
}

func (c *core) addMember(g *group, id string, e joinEvent) {
	req := e.req
	m := &member{
		id: id, isNew: true,
		clientID: intern(e.rc.ClientID), clientHost: intern(e.rc.ClientHost),
		rebalanceTimeoutMs: rebalanceTimeout(req), sessionTimeoutMs: req.SessionTimeoutMillis,
		protocols: copyProtocols(req.Protocols),
		join:      &joinWaiter{version: req.Version, done: e.done},
	}
	if req.InstanceID != nil {
		m.isStatic, m.instanceID = true, *req.InstanceID
	}
	if g.state == statePreparingRebalance && g.generation == 0 {
		g.newMemberAdded = true
	}
	if len(g.members) == 0 {
		g.protocolType = intern(req.ProtocolType)
	}
	m.deadlineMs = c.now.monotonicMs + newMemberJoinTimeoutMs
	g.add(m)
	c.maybeRebalance(g)
}

// updateMember takes what a rejoining member brings and makes it wait.
func (c *core) updateMember(g *group, m *member, e joinEvent) {
	c.setJoin(g, m, e)
	c.maybeRebalance(g)
}

func (c *core) setJoin(g *group, m *member, e joinEvent) {
	// A JoinGroup that was waiting is superseded, but must be answered still: it may stand
	// before this one on the same connection.
	c.answerJoin(g, m, joinFailed(m.id, protocol.ErrRebalanceInProgress))
	g.setProtocols(m, copyProtocols(e.req.Protocols))
	m.rebalanceTimeoutMs = rebalanceTimeout(e.req)
	m.sessionTimeoutMs = e.req.SessionTimeoutMillis
	m.join = &joinWaiter{version: e.req.Version, done: e.done}
	g.awaitingJoin++
}

// replaceStatic gives the place of a static member to a client that comes with the same
// instance id: the member restarted. In a stable group nobody else need notice, as long
// as the choice of the protocol stays.
func (c *core) replaceStatic(g *group, m *member, newID string, e joinEvent) {
	oldID, oldLeaderID := m.id, g.leaderID
	oldProtocols, oldRebalanceTimeoutMs, oldSessionTimeoutMs := m.protocols, m.rebalanceTimeoutMs, m.sessionTimeoutMs
	c.answerJoin(g, m, joinFailed(oldID, protocol.ErrFencedInstanceID))
	c.answerSync(m, syncResult{code: protocol.ErrFencedInstanceID})
	g.rename(m, newID)
	c.setJoin(g, m, e)
	c.extendSession(m)

	switch {
	case g.state == stateCompletingRebalance:
		// The leader may be assigning to the old id just now.
		c.prepareRebalance(g)
		return
	case g.state != stateStable:
		return
	case g.selectProtocol() != g.protocol:
		c.maybeRebalance(g)
		return
	}
	version := e.req.Version
	c.writeGroup(g, func(m *member) []byte { return m.assignment }, func(c *core, code protocol.ErrorCode) {
		if g.member(newID) != m {
			return // removed or replaced again meanwhile, and answered then
		}
		if code != protocol.None {
			if g.state == stateStable {
				g.setProtocols(m, oldProtocols)
				m.rebalanceTimeoutMs, m.sessionTimeoutMs = oldRebalanceTimeoutMs, oldSessionTimeoutMs
				g.rename(m, oldID)
				c.extendSession(m)
			}
			c.answerJoin(g, m, joinResult{
				code: code, generation: g.generation, leaderID: oldLeaderID,
				protocolType: g.protocolType, protocol: g.protocol, hasProtocol: g.hasProtocol,
			})
			return
		}
		if g.state != stateStable {
			return // a rebalance has begun; its end answers
		}
		r := g.joined(m)
		if version >= 9 {
			// KIP-814: a leader learns that it leads, but is not to assign.
			r.skipAssignment = m.id == g.leaderID
		} else {
			// An old leader would assign, to no effect. It does not recognise itself by
			// the id it had before.
			r.leaderID, r.members = oldLeaderID, nil
		}
		c.answerJoin(g, m, r)
		c.extendSession(m)
	})
}

func rebalanceTimeout(req *kmsg.JoinGroupRequest) int32 {
	if req.Version == 0 {
		return req.SessionTimeoutMillis
	}
	return req.RebalanceTimeoutMillis
}

// copyProtocols takes the protocols out of the request's memory, each name once.
func copyProtocols(protocols []kmsg.JoinGroupRequestProtocol) []protocolMetadata {
	protocols = distinctProtocols(protocols)
	list := make([]protocolMetadata, 0, len(protocols))
	for i := range protocols {
		list = append(list, protocolMetadata{name: intern(protocols[i].Name), metadata: append([]byte(nil), protocols[i].Metadata...)})
	}
	return list
}

// distinctProtocols returns the first of each name.
func distinctProtocols(protocols []kmsg.JoinGroupRequestProtocol) []kmsg.JoinGroupRequestProtocol {
	if len(protocols) < 2 {
		return protocols
	}
	seen := make(map[string]struct{}, len(protocols))
	list := make([]kmsg.JoinGroupRequestProtocol, 0, len(protocols))
	for i := range protocols {
		if name := protocols[i].Name; !contains(seen, name) {
			seen[name] = struct{}{}
			list = append(list, protocols[i])
		}
	}
	return list
}

// uuidText is the dashed form, the one that Java prints.
func uuidText(u protocol.UUID) string {
	var b [36]byte
	hex.Encode(b[0:8], u[0:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:36], u[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}
