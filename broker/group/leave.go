package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// leaveEvent is a LeaveGroup, v0-v5: a member that goes, or an admin's removal of many.
type leaveEvent struct {
	req  *kmsg.LeaveGroupRequest
	done func(*kmsg.LeaveGroupResponse)
}

func (c *core) leave(e leaveEvent) {
	req := e.req
	resp := kmsg.NewPtrLeaveGroupResponse()
	resp.Version = req.Version
	g := c.groups[req.Group]
	if req.Version < 3 {
		resp.ErrorCode = int16(c.leaveOne(g, req.MemberID, nil))
	} else {
		for i := range req.Members {
			asked := &req.Members[i]
			resp.Members = append(resp.Members, kmsg.LeaveGroupResponseMember{
				MemberID: asked.MemberID, InstanceID: asked.InstanceID,
				ErrorCode: int16(c.leaveOne(g, asked.MemberID, asked.InstanceID)),
			})
		}
	}
	c.reply(func() { e.done(resp) })
	if g != nil {
		g.compact()
		c.tryCompleteJoin(g)
		c.settle(g)
	}
}

func (c *core) leaveOne(g *group, memberID string, instanceID *string) protocol.ErrorCode {
	if g == nil {
		return protocol.ErrUnknownMemberID
	}
	if memberID == "" { // an admin names a static member by its instance id alone
		if instanceID == nil || g.static[*instanceID] == nil {
			return protocol.ErrUnknownMemberID
		}
		c.removeMember(g, g.static[*instanceID], protocol.ErrUnknownMemberID)
		return protocol.None
	}
	if _, ok := g.pending[memberID]; ok {
		delete(g.pending, memberID)
		return protocol.None
	}
	m, code := g.currentMember(memberID, instanceID)
	if code != protocol.None {
		return code
	}
	c.removeMember(g, m, protocol.ErrUnknownMemberID)
	return protocol.None
}
