package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// groupDescription is one group as describe shows it.
type groupDescription struct {
	Group        string              `json:"group"`
	State        string              `json:"state"`
	ProtocolType string              `json:"protocolType,omitempty"`
	Assignor     string              `json:"assignor,omitempty"`
	Coordinator  string              `json:"coordinator"`
	Members      []memberDescription `json:"members"`
	Offsets      []groupOffset       `json:"offsets"`
	TotalLag     int64               `json:"totalLag"`
}

type memberDescription struct {
	MemberID   string             `json:"memberId"`
	InstanceID string             `json:"instanceId,omitempty"`
	ClientID   string             `json:"clientId"`
	Host       string             `json:"host"`
	Assigned   map[string][]int32 `json:"assigned"`
}

// groupOffset is where a group stands in one partition.
type groupOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"` // -1: none
	Start     int64  `json:"start"`     // -1: not known
	End       int64  `json:"end"`       // -1: not known
	Lag       int64  `json:"lag"`       // -1: not known
	MemberID  string `json:"memberId,omitempty"`
	ClientID  string `json:"clientId,omitempty"`
	Host      string `json:"host,omitempty"`
	Metadata  string `json:"metadata,omitempty"`
	Error     string `json:"error,omitempty"`
}

func groupDescribeCommand() *command {
	return &command{
		name: "describe", args: "GROUP...", minArgs: 1, maxArgs: -1, summary: "Show a group's state, members, assignments and lag",
		complete: []string{"group"},
		run: func(e *env, groups []string) error {
			return e.asking(func(ctx context.Context, a *admin) error {
				described, err := a.describeGroups(ctx, groups)
				parts := make([]func(io.Writer) error, len(described))
				for i := range described {
					parts[i] = described[i].writeTo
				}
				if len(described) == 0 && err != nil {
					return err
				}
				return errors.Join(err, e.show(described, sections(parts...)))
			})
		},
	}
}

func groupOffsetsCommand() *command {
	var topics []string
	return &command{
		name: "offsets", args: "GROUP...", minArgs: 1, maxArgs: -1, summary: "Show committed offsets and lag of groups",
		complete: []string{"group"},
		flags: func(f *flagSet) {
			f.strings(&topics, "topic", 't', "TOPIC", "only this topic; may be repeated")
			f.completes("topic")
		},
		run: func(e *env, groups []string) error {
			return e.asking(func(ctx context.Context, a *admin) error {
				type row struct {
					Group string `json:"group"`
					groupOffset
				}
				rows, errs := []row{}, []error{}
				found := map[string]bool{}
				t := newTable("GROUP", "TOPIC", ">PARTITION", ">COMMITTED", ">END", ">LAG")
				for _, group := range groups {
					offsets, err := a.groupOffsets(ctx, group, nil)
					if err == nil && len(offsets) == 0 {
						_, err = a.describeGroups(ctx, []string{group}) // there may be no such group
					}
					if err != nil {
						errs = append(errs, err)
						continue
					}
					for _, o := range offsets {
						if len(topics) > 0 && !slices.Contains(topics, o.Topic) {
							continue
						}
						found[o.Topic] = true
						rows = append(rows, row{group, o})
						t.row(group, o.Topic, number(o.Partition), orDash(o.Committed), orDash(o.End), orDash(o.Lag))
					}
				}
				missing := slices.DeleteFunc(slices.Clone(topics), func(name string) bool { return found[name] })
				if len(missing) > 0 && len(errs) == 0 {
					_, err := a.topics(ctx, missing...) // nor may there be such topics
					errs = append(errs, err)
				}
				if err := errors.Join(errs...); len(rows) == 0 && err != nil {
					return err
				}
				return errors.Join(append(errs, e.show(rows, t.writeTo))...)
			})
		},
	}
}

// describeGroups describes each group, of whichever protocol it is.
func (a *admin) describeGroups(ctx context.Context, names []string) (all []groupDescription, err error) {
	classic, err := a.DescribeGroups(ctx, names...)
	if len(classic) == 0 && err != nil {
		return nil, failed(err, "cannot describe groups")
	}
	var errs []error
	for _, name := range names {
		d, err := a.describeGroup(ctx, name, classic[name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, d)
	}
	return all, errors.Join(errs...)
}

func (a *admin) describeGroup(ctx context.Context, name string, classic kadm.DescribedGroup) (d groupDescription, err error) {
	d = groupDescription{Group: name, State: classic.State, ProtocolType: classic.ProtocolType, Assignor: classic.Protocol,
		Coordinator: brokerText(classic.Coordinator), Members: []memberDescription{}}
	switch {
	case errors.Is(classic.Err, kerr.GroupIDNotFound):
		// A group of the newer protocol answers only to its own request.
		if err := a.describeConsumerGroup(ctx, &d, name, classic.Err); err != nil {
			return d, err
		}
	case classic.Err != nil:
		return d, failed(classic.Err, "cannot describe group %s", name)
	default:
		for _, m := range classic.Members {
			d.Members = append(d.Members, classicMember(&m))
		}
	}
	d.Offsets, err = a.groupOffsets(ctx, name, d.Members)
	if err != nil {
		return d, err
	}
	for _, o := range d.Offsets {
		d.TotalLag += max(o.Lag, 0)
	}
	if d.State == "Dead" && len(d.Members) == 0 && len(d.Offsets) == 0 {
		return d, failed(kerr.GroupIDNotFound, "cannot describe group %s", name)
	}
	return d, nil
}

func classicMember(m *kadm.DescribedGroupMember) memberDescription {
	out := memberDescription{MemberID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Assigned: map[string][]int32{}}
	if m.InstanceID != nil {
		out.InstanceID = *m.InstanceID
	}
	if assigned, ok := m.Assigned.AsConsumer(); ok {
		for _, t := range assigned.Topics {
			out.Assigned[t.Topic] = append(out.Assigned[t.Topic], t.Partitions...)
		}
	}
	return out
}

func (a *admin) describeConsumerGroup(ctx context.Context, d *groupDescription, name string, classicErr error) error {
	described, err := a.DescribeConsumerGroups(ctx, name)
	g, ok := described[name]
	if err != nil || !ok || g.Err != nil {
		return failed(classicErr, "cannot describe group %s", name)
	}
	d.State, d.ProtocolType, d.Assignor, d.Coordinator = g.State, "consumer", g.AssignorName, brokerText(g.Coordinator)
	for _, m := range g.Members {
		out := memberDescription{MemberID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost, Assigned: map[string][]int32{}}
		if m.InstanceID != nil {
			out.InstanceID = *m.InstanceID
		}
		for _, t := range m.Assignment.Sorted() {
			out.Assigned[t.Topic] = t.Partitions
		}
		d.Members = append(d.Members, out)
	}
	return nil
}

// groupOffsets joins what the group committed, what its members are assigned, and where
// the partitions end.
func (a *admin) groupOffsets(ctx context.Context, group string, members []memberDescription) ([]groupOffset, error) {
	committed, err := a.FetchOffsets(ctx, group)
	if err != nil {
		return nil, failed(err, "cannot read the offsets of group %s", group)
	}
	type key struct {
		topic     string
		partition int32
	}
	at := map[key]int{}
	all := []groupOffset{}
	entry := func(topic string, partition int32) *groupOffset {
		k := key{topic, partition}
		i, ok := at[k]
		if !ok {
			i = len(all)
			at[k] = i
			all = append(all, groupOffset{Topic: topic, Partition: partition, Committed: -1, Start: -1, End: -1, Lag: -1})
		}
		return &all[i]
	}
	for _, o := range committed.Sorted() {
		out := entry(o.Topic, o.Partition)
		out.Committed, out.Metadata = o.At, o.Metadata
		if o.Err != nil {
			out.Committed, out.Error = -1, o.Err.Error()
		}
	}
	for _, m := range members {
		for topic, partitions := range m.Assigned {
			for _, p := range partitions {
				out := entry(topic, p)
				out.MemberID, out.ClientID, out.Host = m.MemberID, m.ClientID, m.Host
			}
		}
	}
	if len(all) == 0 {
		return all, nil
	}
	topics := map[string]bool{}
	for i := range all {
		topics[all[i].Topic] = true
	}
	names := sortedKeys(topics)
	start, err1 := a.ListStartOffsets(ctx, names...)
	end, err2 := a.ListEndOffsets(ctx, names...)
	if err := cmp.Or(err1, err2); err != nil && len(end) == 0 {
		return nil, failed(err, "cannot list the ends of the partitions of group %s", group)
	}
	for i := range all {
		o := &all[i]
		if s, ok := start.Lookup(o.Topic, o.Partition); ok && s.Err == nil {
			o.Start = s.Offset
		}
		e, ok := end.Lookup(o.Topic, o.Partition)
		switch {
		case ok && e.Err == nil:
			o.End = e.Offset
			if o.Committed >= 0 {
				o.Lag = max(e.Offset-o.Committed, 0)
			}
		case ok && o.Error == "":
			o.Error = e.Err.Error()
		}
	}
	slices.SortFunc(all, func(a, b groupOffset) int { return comparePartitions(a.Topic, a.Partition, b.Topic, b.Partition) })
	return all, nil
}

func brokerText(b kadm.BrokerDetail) string {
	if b.Host == "" {
		return number(b.NodeID)
	}
	return fmt.Sprintf("%d (%s:%d)", b.NodeID, b.Host, b.Port)
}

func (d *groupDescription) writeTo(w io.Writer) error {
	line := fmt.Sprintf("group %s  %s  coordinator %s  %s", printable(d.Group), d.State, d.Coordinator, count(len(d.Members), "member"))
	if d.Assignor != "" {
		line += "  assignor " + d.Assignor
	}
	if _, err := fmt.Fprintf(w, "%s  total lag %d\n", line, d.TotalLag); err != nil {
		return err
	}
	if len(d.Members) > 0 {
		t := newTable("MEMBER", "INSTANCE", "CLIENT", "HOST", ">PARTITIONS")
		for _, m := range d.Members {
			n := 0
			for _, partitions := range m.Assigned {
				n += len(partitions)
			}
			t.row(m.MemberID, textOrDash(m.InstanceID), textOrDash(m.ClientID), textOrDash(m.Host), number(n))
		}
		if err := t.writeTo(w); err != nil {
			return err
		}
	}
	if len(d.Offsets) == 0 {
		return nil
	}
	t := newTable("TOPIC", ">PARTITION", ">COMMITTED", ">END", ">LAG", "MEMBER")
	for _, o := range d.Offsets {
		t.row(o.Topic, number(o.Partition), orDash(o.Committed), orDash(o.End), orDash(o.Lag), textOrDash(o.MemberID))
	}
	return t.writeTo(w)
}
