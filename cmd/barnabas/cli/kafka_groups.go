package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaGroups holds the options of kafka-consumer-groups.
type kafkaGroups struct {
	list, describe, del, reset, delOffsets bool
	groups, topics                         []string
	allGroups, allTopics                   bool
	members, offsets, verbose, withState   bool
	state                                  string
	execute, dryRun, export                bool
	earliest, latest, current              bool
	offset, shift                          int64
	hasOffset, hasShift                    bool
	datetime, duration, file               string
}

// groupsError is what kafka-consumer-groups prints on standard output; it exits with 0 after it.
func (e *env) groupsError(format string, args ...any) error {
	_, err := fmt.Fprintf(e.stdout, "\nError: "+format+"\n", args...)
	return err
}

func runKafkaConsumerGroups(e *env, args []string) error {
	var o kafkaGroups
	f := e.newToolFlags()
	timeoutMs := int64(30_000)
	f.bool(&o.list, "list", 0, "list groups")
	f.bool(&o.describe, "describe", 0, "describe groups")
	f.bool(&o.del, "delete", 0, "delete groups")
	f.bool(&o.reset, "reset-offsets", 0, "move committed offsets")
	f.bool(&o.delOffsets, "delete-offsets", 0, "delete committed offsets")
	f.strings(&o.groups, "group", 0, "GROUP", "the group; may be repeated")
	f.bool(&o.allGroups, "all-groups", 0, "all groups")
	f.strings(&o.topics, "topic", 0, "TOPIC[:0,1]", "a topic or some of its partitions; may be repeated")
	f.bool(&o.allTopics, "all-topics", 0, "all topics of the group")
	f.bool(&o.members, "members", 0, "describe the members")
	f.bool(&o.offsets, "offsets", 0, "describe the offsets (the default)")
	f.bool(&o.verbose, "verbose", 0, "with assignments")
	f.string(&o.state, "state", 0, "STATE", "describe the state; with --list only groups in this state")
	f.int64(&timeoutMs, "timeout", 0, "MS", "how long to wait for the cluster")
	f.bool(&o.execute, "execute", 0, "move the offsets")
	f.bool(&o.dryRun, "dry-run", 0, "only show it (the default)")
	f.bool(&o.export, "export", 0, "show it as CSV")
	f.bool(&o.earliest, "to-earliest", 0, "to the first offset there is")
	f.bool(&o.latest, "to-latest", 0, "to the end")
	f.bool(&o.current, "to-current", 0, "to where it stands")
	f.add("to-offset", 0, "OFFSET", "to this offset", int64Flag(&o.offset, &o.hasOffset))
	f.add("shift-by", 0, "N", "forward, or back if negative", int64Flag(&o.shift, &o.hasShift))
	f.string(&o.datetime, "to-datetime", 0, "2026-01-31T12:00:00.000", "to the first record at or after this time, UTC if it names no zone")
	f.string(&o.duration, "by-duration", 0, "PnDTnHnMnS", "to the first record at most so old")
	f.string(&o.file, "from-file", 0, "FILE", "to what a CSV file says")
	// --state has a value only sometimes.
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "--state" && (i+1 == len(args) || strings.HasPrefix(args[i+1], "--")) {
			args[i], o.withState = "--state=", true
		} else if arg == "--state" || strings.HasPrefix(arg, "--state=") {
			o.withState = true
		}
	}
	if err := e.parseTool(f, args); err != nil {
		return err
	}
	e.timeout = time.Duration(timeoutMs) * time.Millisecond
	if bools(o.list, o.describe, o.del, o.reset, o.delOffsets) != 1 {
		return &usageError{message: "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets"}
	}
	if !o.list && len(o.groups) == 0 && !o.allGroups {
		return &usageError{message: "it needs --group or --all-groups"}
	}
	return e.asking(func(ctx context.Context, a *admin) error {
		listed, err := a.listGroups(ctx)
		if err != nil {
			return err
		}
		if o.list {
			return e.kafkaListGroups(listed, &o)
		}
		if o.allGroups {
			o.groups = nil
			for _, g := range listed {
				o.groups = append(o.groups, g.Group)
			}
		}
		switch {
		case o.describe:
			return e.kafkaDescribeGroups(ctx, a, &o)
		case o.del:
			return e.kafkaDeleteGroups(ctx, a, &o)
		case o.delOffsets:
			return e.kafkaDeleteOffsets(ctx, a, &o)
		}
		return e.kafkaResetOffsets(ctx, a, &o)
	})
}

// listGroups lists the groups of all coordinators.
func (a *admin) listGroups(ctx context.Context) ([]kmsg.ListGroupsResponseGroup, error) {
	var all []kmsg.ListGroupsResponseGroup
	for _, shard := range a.raw.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
		err := shard.Err
		if err == nil {
			err = kerr.ErrorForCode(shard.Resp.(*kmsg.ListGroupsResponse).ErrorCode)
		}
		if err != nil {
			return nil, failed(err, "cannot list groups%s", ofBroker(shard.Meta.NodeID))
		}
		all = append(all, shard.Resp.(*kmsg.ListGroupsResponse).Groups...)
	}
	slices.SortFunc(all, func(a, b kmsg.ListGroupsResponseGroup) int { return cmp.Compare(a.Group, b.Group) })
	return all, nil
}

func (e *env) kafkaListGroups(listed []kmsg.ListGroupsResponseGroup, o *kafkaGroups) error {
	if !o.withState {
		for _, g := range listed {
			fmt.Fprintln(e.stdout, g.Group)
		}
		return nil
	}
	wanted := splitList(strings.ToLower(o.state))
	fmt.Fprintf(e.stdout, "%-25s %-20s\n", "GROUP", "STATE")
	for _, g := range listed {
		if len(wanted) == 0 || slices.Contains(wanted, strings.ToLower(g.GroupState)) {
			fmt.Fprintf(e.stdout, "%-25s %-20s\n", g.Group, g.GroupState)
		}
	}
	return nil
}

func (e *env) kafkaDescribeGroups(ctx context.Context, a *admin, o *kafkaGroups) error {
	for _, name := range o.groups {
		described, err := a.describeGroups(ctx, []string{name})
		if errors.Is(err, kerr.GroupIDNotFound) {
			if err := e.groupsError("Consumer group '%s' does not exist.", name); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		d := &described[0]
		switch d.State {
		case "Empty":
			fmt.Fprintf(e.stderr, "\nConsumer group '%s' has no active members.\n", name)
		case "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling":
			fmt.Fprintf(e.stderr, "\nWarning: Consumer group '%s' is rebalancing.\n", name)
		}
		switch {
		case o.withState:
			id, address, _ := strings.Cut(d.Coordinator, " ")
			coordinator := fmt.Sprintf("%s  (%s)", strings.Trim(address, "()"), id)
			width := max(25, len(coordinator))
			fmt.Fprintf(e.stdout, "\n%-25s %-*s %-20s %-15s %s", "GROUP", width, "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS")
			fmt.Fprintf(e.stdout, "\n%-25s %-*s %-20s %-15s %d\n", d.Group, width, coordinator, d.Assignor, d.State, len(d.Members))
		case o.members:
			e.kafkaMembers(d, o.verbose)
		default:
			e.kafkaOffsets(d)
		}
	}
	return nil
}

// column is the width of a column: of its longest cell, at least 15.
func column[T any](rows []T, cell func(T) string) int {
	width := 15
	for _, r := range rows {
		width = max(width, len(cell(r)))
	}
	return width
}

func (e *env) kafkaOffsets(d *groupDescription) {
	group := max(15, len(d.Group))
	topic := column(d.Offsets, func(o groupOffset) string { return o.Topic })
	member := column(d.Offsets, func(o groupOffset) string { return o.MemberID })
	host := column(d.Offsets, func(o groupOffset) string { return o.Host })
	format := fmt.Sprintf("\n%%-%ds %%-%ds %%-10s %%-15s %%-15s %%-15s %%-%ds %%-%ds %%s", group, topic, member, host)
	fmt.Fprintf(e.stdout, format, "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID")
	for _, o := range d.Offsets {
		fmt.Fprintf(e.stdout, format, d.Group, o.Topic, number(o.Partition), orDash(o.Committed), orDash(o.End), orDash(o.Lag),
			textOrDash(o.MemberID), textOrDash(o.Host), textOrDash(o.ClientID))
	}
	fmt.Fprintln(e.stdout)
}

func (e *env) kafkaMembers(d *groupDescription, verbose bool) {
	group := max(15, len(d.Group))
	member := column(d.Members, func(m memberDescription) string { return m.MemberID })
	instance := column(d.Members, func(m memberDescription) string { return m.InstanceID })
	host := column(d.Members, func(m memberDescription) string { return m.Host })
	client := column(d.Members, func(m memberDescription) string { return m.ClientID })
	static := slices.ContainsFunc(d.Members, func(m memberDescription) bool { return m.InstanceID != "" })
	line := func(id, instanceID, where, clientID, count, assigned string) {
		fmt.Fprintf(e.stdout, "%-*s %-*s ", group, cmp.Or(map[bool]string{true: "GROUP"}[id == "CONSUMER-ID"], d.Group), member, id)
		if static {
			fmt.Fprintf(e.stdout, "%-*s ", instance, instanceID)
		}
		fmt.Fprintf(e.stdout, "%-*s %-*s %-15s ", host, where, client, clientID, count)
		if verbose {
			fmt.Fprint(e.stdout, assigned)
		}
		fmt.Fprintln(e.stdout)
	}
	fmt.Fprintln(e.stdout)
	line("CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "ASSIGNMENT")
	for _, m := range d.Members {
		n := 0
		var assigned []string
		for _, topic := range sortedKeys(m.Assigned) {
			partitions := slices.Sorted(slices.Values(m.Assigned[topic]))
			n += len(partitions)
			assigned = append(assigned, topic+"("+joined(partitions)+")")
		}
		line(m.MemberID, m.InstanceID, m.Host, m.ClientID, number(n), cmp.Or(strings.Join(assigned, ", "), "-"))
	}
}

func (e *env) kafkaDeleteGroups(ctx context.Context, a *admin, o *kafkaGroups) error {
	resp, err := a.DeleteGroups(ctx, o.groups...)
	if err != nil && len(resp) == 0 {
		return failed(err, "cannot delete groups")
	}
	var deleted, lines []string
	for _, r := range resp.Sorted() {
		if r.Err == nil {
			deleted = append(deleted, r.Group)
			continue
		}
		text := r.Err.Error()
		var code *kerr.Error
		if errors.As(r.Err, &code) {
			text = code.Description
		}
		lines = append(lines, fmt.Sprintf("* Group '%s' could not be deleted due to: %s", r.Group, text))
	}
	if len(lines) == 0 {
		fmt.Fprintf(e.stdout, "Deletion of requested consumer groups ('%s') was successful.\n", strings.Join(deleted, "', '"))
		return nil
	}
	e.groupsError("Deletion of some consumer groups failed:")
	fmt.Fprintln(e.stdout, strings.Join(lines, "\n"))
	if len(deleted) > 0 {
		fmt.Fprintf(e.stdout, "\nThese consumer groups were deleted successfully: '%s'\n", strings.Join(deleted, "', '"))
	}
	return nil
}

func (e *env) kafkaDeleteOffsets(ctx context.Context, a *admin, o *kafkaGroups) error {
	if len(o.groups) != 1 || len(o.topics) == 0 {
		return &usageError{message: "--delete-offsets needs --group and --topic"}
	}
	set, err := a.partitionsOf(ctx, o.topics)
	if err != nil {
		return err
	}
	resp, err := a.DeleteOffsets(ctx, o.groups[0], set)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return e.groupsError("'%s' does not exist.", o.groups[0])
	}
	if err != nil {
		return failed(err, "cannot delete offsets of group %s", o.groups[0])
	}
	failedSome := slices.ContainsFunc(set.Sorted(), func(t kadm.TopicPartitions) bool {
		return slices.ContainsFunc(t.Partitions, func(p int32) bool { return resp[t.Topic][p] != nil })
	})
	if failedSome {
		e.groupsError("Encounter some partition level error, see the follow-up details:")
	} else {
		fmt.Fprintf(e.stdout, "Request succeed for deleting offsets with topic %s group %s\n", strings.Join(set.Topics(), ", "), o.groups[0])
	}
	const format = "\n%-30s %-15s %-15s"
	fmt.Fprintf(e.stdout, format, "TOPIC", "PARTITION", "STATUS")
	for _, t := range set.Sorted() {
		for _, p := range t.Partitions {
			status := "Successful"
			if err := resp[t.Topic][p]; err != nil {
				status = "Error: " + err.Error()
			}
			fmt.Fprintf(e.stdout, format, t.Topic, number(p), status)
		}
	}
	fmt.Fprintln(e.stdout)
	return nil
}

func (e *env) kafkaResetOffsets(ctx context.Context, a *admin, o *kafkaGroups) error {
	if bools(o.earliest, o.latest, o.current, o.hasOffset, o.hasShift, o.datetime != "", o.duration != "", o.file != "") != 1 {
		return &usageError{message: "Option '--reset-offsets' requires one of the following scenarios: --to-offset, --to-datetime, --by-duration, --to-earliest, --to-latest, --shift-by, --from-file, --to-current"}
	}
	if o.file == "" && bools(len(o.topics) > 0, o.allTopics) != 1 {
		return &usageError{message: "One of the reset scopes should be defined: --all-topics, --topic."}
	}
	plan := resetPlan{earliest: o.earliest, latest: o.latest, current: o.current, file: o.file}
	if o.hasOffset {
		plan.offset = &o.offset
	}
	if o.hasShift {
		plan.shift = &o.shift
	}
	var err error
	if o.datetime != "" {
		plan.datetime, err = moment(o.datetime, time.Now().UTC())
	} else if o.duration != "" {
		plan.datetime, err = durationAgo(o.duration, time.Now())
	}
	if err != nil {
		return &usageError{message: err.Error()}
	}
	var moves []resetOffset
	byGroup := map[string][]resetOffset{}
	for _, group := range o.groups {
		described, err := a.DescribeGroups(ctx, group)
		if err != nil {
			return failed(err, "cannot describe group %s", group)
		}
		if d := described[group]; len(d.Members) > 0 {
			if err := e.groupsError("Assignments can only be reset if the group '%s' is inactive, but the current state is %s.", group, d.State); err != nil {
				return err
			}
			continue
		}
		committed, err := a.FetchOffsets(ctx, group)
		if err != nil {
			return failed(err, "cannot read the offsets of group %s", group)
		}
		if byGroup[group], err = e.planReset(ctx, a, committed, o.topics, plan); err != nil {
			return err
		}
		moves = append(moves, byGroup[group]...)
	}
	if o.execute {
		for group, moves := range byGroup {
			if err := a.commitMoves(ctx, group, moves); err != nil {
				return err
			}
		}
	}
	if o.export {
		for _, m := range moves {
			fmt.Fprintf(e.stdout, "%s,%d,%d\n", m.Topic, m.Partition, m.Offset)
		}
		return nil
	}
	const format = "\n%-30s %-30s %-10s %-15s"
	fmt.Fprintf(e.stdout, format, "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET")
	for _, group := range o.groups {
		for _, m := range byGroup[group] {
			fmt.Fprintf(e.stdout, format, group, m.Topic, number(m.Partition), number(m.Offset))
		}
	}
	fmt.Fprintln(e.stdout)
	return nil
}
