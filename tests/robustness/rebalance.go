package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Members vanish in each state that a rebalance has. The timeouts are the shortest that a broker takes by default, so that one can
// wait for what becomes of the groups.
const memberTimeoutMs = 6_000

// member is what a client knows of its membership.
type member struct {
	group, id  string
	generation int32
}

// joinRequest is JoinGroup v3, which needs no member id at first.
func joinRequest(group, memberID string) kmsg.Request {
	req := kmsg.NewPtrJoinGroupRequest()
	req.SetVersion(3)
	req.Group, req.MemberID, req.ProtocolType = group, memberID, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = memberTimeoutMs, memberTimeoutMs
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name, p.Metadata = "range", []byte{0, 0}
	req.Protocols = append(req.Protocols, p)
	return req
}

func syncRequest(m member, assign bool) kmsg.Request {
	req := kmsg.NewPtrSyncGroupRequest()
	req.SetVersion(3)
	req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
	if assign {
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = m.id, []byte{0, 0}
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	return req
}

// joined reads the answer to a join.
func (c *client) joined(group string) (member, error) {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.SetVersion(3)
	if err := c.Receive(resp); err != nil {
		return member{}, err
	}
	if resp.ErrorCode != 0 {
		return member{}, fmt.Errorf("join: %w", protocol.ErrorCode(resp.ErrorCode))
	}
	return member{group, resp.MemberID, resp.Generation}, nil
}

// alone makes the client the only member, and the leader, of a group whose assignment it has not sent.
func (c *client) alone(group string) (member, error) {
	if err := c.Send(joinRequest(group, "")); err != nil {
		return member{}, err
	}
	return c.joined(group)
}

// stable makes the client the only member of a stable group.
func (c *client) stable(group string) (member, error) {
	m, err := c.alone(group)
	if err != nil {
		return m, err
	}
	resp := kmsg.NewPtrSyncGroupResponse()
	if err = c.Call(syncRequest(m, true), resp); err == nil && resp.ErrorCode != 0 {
		err = fmt.Errorf("sync: %w", protocol.ErrorCode(resp.ErrorCode))
	}
	return m, err
}

// untilRebalance sends heartbeats until the group has another member who wants to join.
func (c *client) untilRebalance(m member) error {
	for {
		req := kmsg.NewPtrHeartbeatRequest()
		req.SetVersion(2)
		req.Group, req.MemberID, req.Generation = m.group, m.id, m.generation
		resp := kmsg.NewPtrHeartbeatResponse()
		if err := c.Call(req, resp); err != nil {
			return err
		}
		switch code := protocol.ErrorCode(resp.ErrorCode); code {
		case protocol.ErrRebalanceInProgress:
			return nil
		case protocol.None:
			time.Sleep(time.Millisecond)
		default:
			return fmt.Errorf("heartbeat: %w", code)
		}
	}
}

// rebalances are the scenarios of members that vanish. What they left is looked at by groupsAreEmpty.
func rebalances(count int) []scenario {
	// Every second client joins the group that the one before it is in.
	var first *client
	var its member
	pairs := func(name string, begin func(first, second *client, its member) error) scenario {
		return scenario{name: name, count: count, groups: count / 2, begin: func(c *client) (err error) {
			if c.id%2 == 0 {
				first = c
				its, err = c.stable(groupOf(name, c.id/2))
				return err
			}
			return begin(first, c, its)
		}}
	}
	return []scenario{
		{name: "leaders gone before they assign", count: count, groups: count, begin: func(c *client) error {
			_, err := c.alone(groupOf("leaders gone before they assign", c.id))
			return err
		}},
		{name: "stable members gone", count: count, groups: count, begin: func(c *client) error {
			_, err := c.stable(groupOf("stable members gone", c.id))
			return err
		}},
		pairs("members gone while one rejoins", func(_, second *client, its member) error {
			return second.Send(joinRequest(its.group, "")) // waits for the other, who never comes back
		}),
		pairs("followers gone while they sync", func(first, second *client, its member) error {
			if err := errors.Join(second.Send(joinRequest(its.group, "")), first.untilRebalance(its), first.Send(joinRequest(its.group, its.id))); err != nil {
				return err
			}
			if _, err := first.joined(its.group); err != nil {
				return err
			}
			m, err := second.joined(its.group)
			if err != nil {
				return err
			}
			return second.Send(syncRequest(m, false)) // waits for the leader's assignment
		}),
	}
}

// findCoordinator has the broker make what it keeps groups in.
func findCoordinator(addr string) error {
	c, err := dial(addr, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorKey = "robustness"
		resp := kmsg.NewPtrFindCoordinatorResponse()
		if err := c.Call(req, resp); err != nil {
			return err
		}
		code := protocol.ErrorCode(resp.ErrorCode)
		if code == protocol.None {
			return nil
		}
		if time.Since(began) > time.Minute {
			return fmt.Errorf("FindCoordinator: %w", code)
		}
	}
}

func groupOf(scenario string, number int) string { return fmt.Sprintf("%s %d", scenario, number) }

// groupsAreEmpty waits until no group of a scenario has a member any more.
func groupsAreEmpty(addr, scenario string, groups int) error {
	c, err := dial(addr, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	for began := time.Now(); ; time.Sleep(250 * time.Millisecond) {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.SetVersion(1)
		for number := range groups {
			req.Groups = append(req.Groups, groupOf(scenario, number))
		}
		resp := kmsg.NewPtrDescribeGroupsResponse()
		if err := c.Call(req, resp); err != nil {
			return err
		}
		left := ""
		for _, g := range resp.Groups {
			if g.ErrorCode != 0 || g.State != "Empty" && g.State != "Dead" {
				left = fmt.Sprintf("group %q is %q with %d members, error %d", g.Group, g.State, len(g.Members), g.ErrorCode)
			}
		}
		if left == "" {
			return nil
		}
		if time.Since(began) > 2*time.Minute {
			return errors.New(left + ", two minutes after its members vanished")
		}
	}
}
