package group

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// classicGroupType is what ListGroups calls the groups of this package.
const classicGroupType = "classic"

// describe fills the answer for one group; ok is false if it does not exist. Metadata and
// assignment are told in a stable group only.
func (c *core) describe(groupID string, resp *kmsg.DescribeGroupsResponseGroup) (ok bool) {
	g := c.groups[groupID]
	if g == nil {
		return false
	}
	resp.State = g.state.String()
	resp.ProtocolType = g.protocolType
	if g.state == stateStable {
		resp.Protocol = g.protocol
	}
	resp.Members = make([]kmsg.DescribeGroupsResponseGroupMember, 0, len(g.members))
	for _, m := range g.members {
		d := kmsg.DescribeGroupsResponseGroupMember{
			MemberID: m.id, ClientID: m.clientID, ClientHost: m.clientHost,
			ProtocolMetadata: []byte{}, MemberAssignment: []byte{},
		}
		if m.isStatic {
			instanceID := m.instanceID
			d.InstanceID = &instanceID
		}
		if g.state == stateStable {
			if metadata, ok := m.metadataFor(g.protocol); ok {
				d.ProtocolMetadata = metadata
			}
			if m.assignment != nil {
				d.MemberAssignment = m.assignment
			}
		}
		resp.Members = append(resp.Members, d)
	}
	return true
}

// describedBytes is about what a group takes in an answer.
func describedBytes(resp *kmsg.DescribeGroupsResponseGroup) int {
	const overhead = 128
	size := overhead
	for i := range resp.Members {
		m := &resp.Members[i]
		size += overhead + len(m.MemberID) + len(m.ClientID) + len(m.ClientHost) + len(m.ProtocolMetadata) + len(m.MemberAssignment)
	}
	return size
}

// list appends the groups that are in one of the states, or all if there is no filter.
func (c *core) list(dst []kmsg.ListGroupsResponseGroup, states []string) []kmsg.ListGroupsResponseGroup {
	for _, g := range c.groups {
		if !matchesFilter(states, g.state.String()) {
			continue
		}
		dst = append(dst, kmsg.ListGroupsResponseGroup{
			Group: g.id, ProtocolType: g.protocolType, GroupState: g.state.String(), GroupType: classicGroupType,
		})
	}
	return dst
}

func matchesFilter(filter []string, s string) bool {
	if len(filter) == 0 {
		return true
	}
	for _, f := range filter {
		if strings.EqualFold(f, s) {
			return true
		}
	}
	return false
}
