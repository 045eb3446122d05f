package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicDescription is one topic as describe shows it.
type topicDescription struct {
	Name              string                 `json:"name"`
	ID                string                 `json:"id,omitempty"`
	Internal          bool                   `json:"internal"`
	ReplicationFactor int                    `json:"replicationFactor"`
	SizeBytes         int64                  `json:"sizeBytes"` // of all replicas; -1 if not known
	Configs           map[string]string      `json:"configs"`   // those that differ from the broker's
	Partitions        []partitionDescription `json:"partitions"`
}

type partitionDescription struct {
	Partition   int32   `json:"partition"`
	Leader      int32   `json:"leader"` // -1: none
	LeaderEpoch int32   `json:"leaderEpoch"`
	Replicas    []int32 `json:"replicas"`
	ISR         []int32 `json:"isr"`
	Offline     []int32 `json:"offlineReplicas"`
	SizeBytes   int64   `json:"sizeBytes"` // of the leader's replica; -1 if not known
	Error       string  `json:"error,omitempty"`
}

func topicDescribeCommand() *command {
	var underReplicated, unavailable bool
	return &command{
		name: "describe", args: "[TOPIC...]", maxArgs: -1, summary: "Show partitions, leaders, replicas, sizes and settings of topics",
		complete: []string{"topic"},
		flags: func(f *flagSet) {
			f.bool(&underReplicated, "under-replicated", 0, "only partitions with fewer replicas in sync than they have")
			f.bool(&unavailable, "unavailable", 0, "only partitions without a leader")
		},
		run: func(e *env, names []string) error {
			return e.asking(func(ctx context.Context, a *admin) error {
				all, err := a.describeTopics(ctx, names)
				if err != nil {
					return err
				}
				if underReplicated || unavailable {
					all = onlyPartitions(all, func(p *partitionDescription) bool {
						return underReplicated && len(p.ISR) < len(p.Replicas) || unavailable && p.Leader < 0
					})
				}
				parts := make([]func(io.Writer) error, len(all))
				for i := range all {
					parts[i] = all[i].writeTo
				}
				return e.show(all, sections(parts...))
			})
		},
	}
}

// describeTopics gathers what metadata, configs and log directories say. Sizes stay
// unknown where the log directories may not be read.
func (a *admin) describeTopics(ctx context.Context, names []string) ([]topicDescription, error) {
	m, err := a.topics(ctx, names...)
	if err != nil {
		return nil, err
	}
	all := []topicDescription{}
	set := kadm.TopicsSet{}
	for _, d := range m.Topics.Sorted() {
		t := topicDescription{Name: d.Topic, ID: topicID(d.ID), Internal: d.IsInternal,
			ReplicationFactor: d.Partitions.NumReplicas(), SizeBytes: -1, Configs: map[string]string{}}
		for _, p := range d.Partitions.Sorted() {
			out := partitionDescription{p.Partition, p.Leader, p.LeaderEpoch, p.Replicas, p.ISR, p.OfflineReplicas, -1, ""}
			if p.Err != nil {
				out.Error = p.Err.Error()
			}
			t.Partitions = append(t.Partitions, out)
			set.Add(d.Topic, p.Partition)
		}
		all = append(all, t)
	}
	if len(all) == 0 {
		return all, nil
	}
	configs := kmsg.NewPtrDescribeConfigsRequest()
	for i := range all {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, all[i].Name
		configs.Resources = append(configs.Resources, r)
	}
	sizes := make(chan kadm.DescribedAllLogDirs, 1)
	go func() {
		dirs, _ := a.DescribeAllLogDirs(ctx, set)
		sizes <- dirs
	}()
	described, err := a.describeConfigs(ctx, configs)
	if err != nil {
		return nil, err
	}
	dirs := <-sizes
	for i := range all {
		all[i].fill(described, dirs)
	}
	return all, nil
}

func (t *topicDescription) fill(configs []kmsg.DescribeConfigsResponseResource, dirs kadm.DescribedAllLogDirs) {
	for _, r := range configs {
		if r.ResourceName != t.Name {
			continue
		}
		for _, c := range r.Configs {
			if c.Source == kmsg.ConfigSourceDynamicTopicConfig {
				t.Configs[c.Name] = configValue(&c)
			}
		}
	}
	dirs.Each(func(d kadm.DescribedLogDir) {
		for _, replica := range d.Topics[t.Name] {
			if replica.IsFuture {
				continue
			}
			t.SizeBytes = max(t.SizeBytes, 0) + replica.Size
			for i := range t.Partitions {
				if p := &t.Partitions[i]; p.Partition == replica.Partition && p.Leader == d.Broker {
					p.SizeBytes = replica.Size
				}
			}
		}
	})
}

func onlyPartitions(all []topicDescription, keep func(*partitionDescription) bool) []topicDescription {
	kept := []topicDescription{}
	for _, t := range all {
		var some []partitionDescription
		for i := range t.Partitions {
			if keep(&t.Partitions[i]) {
				some = append(some, t.Partitions[i])
			}
		}
		if len(some) > 0 {
			t.Partitions = some
			kept = append(kept, t)
		}
	}
	return kept
}

func (t *topicDescription) writeTo(w io.Writer) error {
	line := fmt.Sprintf("topic %s", printable(t.Name))
	if t.ID != "" {
		line += "  id " + t.ID
	}
	line += fmt.Sprintf("  %s  %s", count(len(t.Partitions), "partition"), count(t.ReplicationFactor, "replica"))
	if t.SizeBytes >= 0 {
		line += "  " + size(t.SizeBytes)
	}
	if t.Internal {
		line += "  internal"
	}
	if _, err := fmt.Fprintln(w, line); err != nil {
		return err
	}
	for _, key := range sortedKeys(t.Configs) {
		fmt.Fprintf(w, "  %s=%s\n", key, printable(t.Configs[key]))
	}
	rows := newTable(">PARTITION", ">LEADER", ">EPOCH", "REPLICAS", "IN SYNC", "OFFLINE", ">SIZE")
	for _, p := range t.Partitions {
		leader := number(p.Leader)
		if p.Leader < 0 {
			leader = "none"
		}
		rows.row(number(p.Partition), leader, orDash(int64(p.LeaderEpoch)), numbers(p.Replicas), numbers(p.ISR), numbers(p.Offline), size(p.SizeBytes))
	}
	return rows.writeTo(w)
}
