package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func groupCommand() *command {
	return &command{name: "group", summary: "list, describe and delete consumer groups, read and reset their offsets", sub: []*command{
		groupListCommand(), groupDescribeCommand(), groupOffsetsCommand(), groupResetCommand(), groupDeleteCommand(), groupDeleteOffsetsCommand(),
	}}
}

func groupListCommand() *command {
	var states, types []string
	return &command{
		name: "list", summary: "List groups",
		flags: func(f *flagSet) {
			f.strings(&states, "state", 's', "STATE", "only groups in this state; may be repeated")
			f.completes("Stable|Empty|PreparingRebalance|CompletingRebalance|Dead")
			f.strings(&types, "type", 't', "TYPE", "only groups of this type: classic or consumer; may be repeated")
			f.completes("classic|consumer")
		},
		run: func(e *env, _ []string) error {
			type row struct {
				Group        string `json:"group"`
				State        string `json:"state"`
				Type         string `json:"type,omitempty"`
				ProtocolType string `json:"protocolType"`
				Coordinator  int32  `json:"coordinator"`
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				req := kmsg.NewPtrListGroupsRequest()
				req.StatesFilter, req.TypesFilter = states, types
				rows, errs := []row{}, []error{}
				for _, shard := range a.raw.RequestSharded(ctx, req) {
					err := shard.Err
					if err == nil {
						err = kerr.ErrorForCode(shard.Resp.(*kmsg.ListGroupsResponse).ErrorCode)
					}
					if err != nil {
						errs = append(errs, failed(err, "cannot list groups%s", ofBroker(shard.Meta.NodeID)))
						continue
					}
					for _, g := range shard.Resp.(*kmsg.ListGroupsResponse).Groups {
						rows = append(rows, row{g.Group, g.GroupState, g.GroupType, g.ProtocolType, shard.Meta.NodeID})
					}
				}
				slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.Group, b.Group) })
				t := newTable("GROUP", "STATE", "TYPE", "PROTOCOL", ">COORDINATOR")
				for _, r := range rows {
					t.row(r.Group, textOrDash(r.State), textOrDash(r.Type), textOrDash(r.ProtocolType), number(r.Coordinator))
				}
				if len(rows) > 0 || len(errs) == 0 {
					errs = append(errs, e.show(rows, t.writeTo))
				}
				return errors.Join(errs...)
			})
		},
	}
}

func ofBroker(id int32) string {
	if id < 0 {
		return ""
	}
	return fmt.Sprintf(" of broker %d", id)
}

func groupDeleteCommand() *command {
	return &command{
		name: "delete", args: "GROUP...", minArgs: 1, maxArgs: -1, summary: "Delete groups without members, and their offsets",
		complete: []string{"group"},
		run: func(e *env, groups []string) error {
			return e.asking(func(ctx context.Context, a *admin) error {
				resp, err := a.DeleteGroups(ctx, groups...)
				if len(resp) == 0 && err != nil {
					return failed(err, "cannot delete %s", strings.Join(groups, ", "))
				}
				deleted, errs := []string{}, []error{}
				var lines []string
				for _, r := range resp.Sorted() {
					if r.Err != nil {
						errs = append(errs, failed(r.Err, "cannot delete group %s", r.Group))
						continue
					}
					deleted = append(deleted, r.Group)
					lines = append(lines, "deleted group "+r.Group)
				}
				if len(deleted) > 0 {
					errs = append(errs, e.done(map[string]any{"deleted": deleted}, lines...))
				}
				return errors.Join(errs...)
			})
		},
	}
}

func groupDeleteOffsetsCommand() *command {
	var topics []string
	return &command{
		name: "delete-offsets", args: "GROUP", minArgs: 1, maxArgs: 1, summary: "Delete a group's committed offsets of topics that nobody in it reads",
		complete: []string{"group"},
		flags: func(f *flagSet) {
			f.strings(&topics, "topic", 't', "TOPIC[:0,3]", "topic, or some of its partitions; may be repeated")
			f.completes("topic")
		},
		run: func(e *env, args []string) error {
			if len(topics) == 0 {
				return badUsage("it needs --topic")
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				set, err := a.partitionsOf(ctx, topics)
				if err != nil {
					return err
				}
				resp, err := a.DeleteOffsets(ctx, args[0], set)
				if err != nil {
					return failed(err, "cannot delete offsets of group %s", args[0])
				}
				type row struct {
					Topic     string `json:"topic"`
					Partition int32  `json:"partition"`
				}
				rows, errs, lines := []row{}, []error{}, []string{}
				for _, topic := range set.Sorted() {
					for _, p := range topic.Partitions {
						if err := resp[topic.Topic][p]; err != nil {
							errs = append(errs, failed(err, "cannot delete the offset of group %s in %s-%d", args[0], topic.Topic, p))
							continue
						}
						rows = append(rows, row{topic.Topic, p})
						lines = append(lines, fmt.Sprintf("deleted the offset of group %s in %s-%d", args[0], topic.Topic, p))
					}
				}
				if len(rows) > 0 {
					errs = append(errs, e.done(map[string]any{"deleted": rows}, lines...))
				}
				return errors.Join(errs...)
			})
		},
	}
}

// partitionsOf reads TOPIC and TOPIC:0,3 arguments; all partitions where none are named.
func (a *admin) partitionsOf(ctx context.Context, specs []string) (kadm.TopicsSet, error) {
	set := kadm.TopicsSet{}
	var names []string
	wanted := map[string][]int32{}
	for _, spec := range specs {
		topic, partitions, err := topicPartitions(spec)
		if err != nil {
			return nil, err
		}
		names = append(names, topic)
		wanted[topic] = append(wanted[topic], partitions...)
	}
	m, err := a.topics(ctx, names...)
	if err != nil {
		return nil, err
	}
	for topic, partitions := range wanted {
		there := m.Topics[topic].Partitions.Numbers()
		if err := hasPartitions(topic, there, partitions); err != nil {
			return nil, err
		}
		if len(partitions) == 0 {
			partitions = there
		}
		set.Add(topic, partitions...)
	}
	return set, nil
}

// hasPartitions makes an error of the first of wanted that is not there.
func hasPartitions(topic string, there, wanted []int32) error {
	for _, p := range wanted {
		if !slices.Contains(there, p) {
			return &failure{what: fmt.Sprintf("topic %s has no partition %d", topic, p), why: "it has " + count(len(there), "partition")}
		}
	}
	return nil
}
