package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// heartbeatEvent is a Heartbeat, v0-v4.
type heartbeatEvent struct {
	req  *kmsg.HeartbeatRequest
	done func(protocol.ErrorCode)
}

func (c *core) heartbeat(e heartbeatEvent) {
	code := c.heartbeatCode(e.req)
	c.reply(func() { e.done(code) })
}

func (c *core) heartbeatCode(req *kmsg.HeartbeatRequest) protocol.ErrorCode {
	g := c.groups[req.Group]
	if g == nil {
		return protocol.ErrUnknownMemberID
	}
	m, code := g.currentMember(req.MemberID, req.InstanceID)
	if code != protocol.None {
		return code
	}
	if req.Generation != g.generation {
		return protocol.ErrIllegalGeneration
	}
	// The session goes on during a rebalance too. Its deadline moves away by that, so there
	// is nearly always a wake before it; no need to look at the other members.
	c.extendSession(m)
	c.armAt(g, m.sessionDeadline())
	if g.state == statePreparingRebalance {
		return protocol.ErrRebalanceInProgress
	}
	return protocol.None
}
