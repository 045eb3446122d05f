package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func topicCommand() *command {
	return &command{name: "topic", summary: "list, create, describe, alter and delete topics", sub: []*command{
		topicListCommand(), topicCreateCommand(), topicDescribeCommand(), topicAlterCommand(), topicDeleteCommand(),
		topicOffsetsCommand(), topicDeleteRecordsCommand(),
	}}
}

func topicListCommand() *command {
	var internal bool
	return &command{
		name: "list", summary: "List topics", maxArgs: 0,
		flags: func(f *flagSet) {
			f.bool(&internal, "internal", 'i', "list the cluster's own topics too, such as __consumer_offsets")
		},
		run: func(e *env, _ []string) error {
			type row struct {
				Name              string `json:"name"`
				ID                string `json:"id"`
				Partitions        int    `json:"partitions"`
				ReplicationFactor int    `json:"replicationFactor"`
				Internal          bool   `json:"internal"`
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				m, err := a.topics(ctx)
				if err != nil {
					return err
				}
				rows := []row{}
				t := newTable("NAME", ">PARTITIONS", ">REPLICAS")
				for _, d := range m.Topics.Sorted() {
					if d.IsInternal && !internal {
						continue
					}
					r := row{d.Topic, topicID(d.ID), len(d.Partitions), d.Partitions.NumReplicas(), d.IsInternal}
					rows = append(rows, r)
					t.row(r.Name, number(r.Partitions), number(r.ReplicationFactor))
				}
				return e.show(rows, t.writeTo)
			})
		},
	}
}

func topicCreateCommand() *command {
	var o struct {
		partitions, replicas      int32
		configs                   []string
		assignment                string
		ifNotExists, validateOnly bool
	}
	o.partitions, o.replicas = -1, -1
	return &command{
		name: "create", args: "TOPIC...", minArgs: 1, maxArgs: -1, summary: "Create topics",
		flags: func(f *flagSet) {
			f.int32(&o.partitions, "partitions", 'p', "N", "number of partitions (the broker's num.partitions)")
			f.int32(&o.replicas, "replicas", 'r', "N", "replication factor (the broker's default.replication.factor)")
			f.strings(&o.configs, "config", 'c', "KEY=VALUE", "a setting of the topic; may be repeated")
			f.string(&o.assignment, "assignment", 0, "0:1,1:2", "brokers of each partition, instead of -p and -r")
			f.bool(&o.ifNotExists, "if-not-exists", 0, "no error if the topic is there")
			f.bool(&o.validateOnly, "validate-only", 0, "check only, create nothing")
		},
		run: func(e *env, names []string) error {
			configs, err := keyValues(o.configs)
			if err != nil {
				return err
			}
			assignment, err := assignments(o.assignment)
			if err != nil {
				return err
			}
			if assignment != nil && (o.partitions >= 0 || o.replicas >= 0) {
				return badUsage("--assignment says it all: leave out --partitions and --replicas")
			}
			req := kmsg.NewPtrCreateTopicsRequest()
			req.ValidateOnly = o.validateOnly
			for _, name := range names {
				t := kmsg.NewCreateTopicsRequestTopic()
				t.Topic, t.NumPartitions, t.ReplicationFactor = name, o.partitions, int16(o.replicas)
				for i, replicas := range assignment {
					p := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
					p.Partition, p.Replicas = int32(i), replicas
					t.ReplicaAssignment = append(t.ReplicaAssignment, p)
				}
				for _, kv := range configs {
					c := kmsg.NewCreateTopicsRequestTopicConfig()
					c.Name, c.Value = kv[0], kmsg.StringPtr(kv[1])
					t.Configs = append(t.Configs, c)
				}
				req.Topics = append(req.Topics, t)
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				req.TimeoutMillis = a.timeoutMs
				resp, err := request[*kmsg.CreateTopicsResponse](ctx, a, req)
				if err != nil {
					return failed(err, "cannot create %s", strings.Join(names, ", "))
				}
				type result struct {
					Name              string `json:"name"`
					ID                string `json:"id,omitempty"`
					Created           bool   `json:"created"`
					Partitions        int32  `json:"partitions"`
					ReplicationFactor int16  `json:"replicationFactor"`
				}
				results, lines, errs := []result{}, []string{}, []error{}
				for i := range resp.Topics {
					t := &resp.Topics[i]
					if t.ErrorCode == kerr.TopicAlreadyExists.Code && o.ifNotExists {
						results = append(results, result{Name: t.Topic, Partitions: -1, ReplicationFactor: -1})
						lines = append(lines, "topic "+t.Topic+" exists already")
						continue
					}
					if err := refused(t.ErrorCode, t.ErrorMessage, "cannot create topic %s", t.Topic); err != nil {
						errs = append(errs, err)
						continue
					}
					results = append(results, result{t.Topic, topicID(t.TopicID), !o.validateOnly, t.NumPartitions, t.ReplicationFactor})
					verb := "created topic "
					if o.validateOnly {
						verb = "could create topic "
					}
					line := verb + t.Topic
					if t.NumPartitions > 0 {
						line += fmt.Sprintf(" with %s, %s each", count(int(t.NumPartitions), "partition"), count(int(t.ReplicationFactor), "replica"))
					}
					lines = append(lines, line)
				}
				if len(results) > 0 {
					errs = append(errs, e.done(results, lines...))
				}
				return errors.Join(errs...)
			})
		},
	}
}

// assignments reads 0:1,1:2: the brokers of each partition, partitions parted by commas.
func assignments(s string) ([][]int32, error) {
	var all [][]int32
	for _, partition := range splitList(s) {
		var replicas []int32
		for _, broker := range strings.Split(partition, ":") {
			n, err := strconv.ParseInt(strings.TrimSpace(broker), 10, 32)
			if err != nil {
				return nil, badUsage("%q is not an assignment such as 0:1,1:2 (partition 0 on brokers 0 and 1, partition 1 on 1 and 2)", s)
			}
			replicas = append(replicas, int32(n))
		}
		all = append(all, replicas)
	}
	return all, nil
}

func topicAlterCommand() *command {
	var o struct {
		partitions   int32
		set, del     []string
		assignment   string
		validateOnly bool
	}
	return &command{
		name: "alter", args: "TOPIC...", minArgs: 1, maxArgs: -1, summary: "Add partitions to topics and change their settings",
		complete: []string{"topic"},
		flags: func(f *flagSet) {
			f.int32(&o.partitions, "partitions", 'p', "N", "number of partitions to have; more than now")
			f.string(&o.assignment, "assignment", 0, "0:1,1:2", "brokers of each new partition")
			f.strings(&o.set, "config", 'c', "KEY=VALUE", "a setting to change; may be repeated")
			f.strings(&o.del, "delete-config", 'd', "KEY", "a setting to go back to its default; may be repeated")
			f.bool(&o.validateOnly, "validate-only", 0, "check only, change nothing")
		},
		run: func(e *env, names []string) error {
			assignment, err := assignments(o.assignment)
			if err != nil {
				return err
			}
			changes, err := configChanges(o.set, o.del)
			if err != nil {
				return err
			}
			if o.partitions == 0 && len(changes) == 0 {
				return badUsage("nothing to change: it needs --partitions, --config or --delete-config")
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				var errs []error
				var done []string
				if o.partitions != 0 {
					req := kmsg.NewPtrCreatePartitionsRequest()
					req.TimeoutMillis, req.ValidateOnly = a.timeoutMs, o.validateOnly
					for _, name := range names {
						t := kmsg.NewCreatePartitionsRequestTopic()
						t.Topic, t.Count = name, o.partitions
						for _, replicas := range assignment {
							p := kmsg.NewCreatePartitionsRequestTopicAssignment()
							p.Replicas = replicas
							t.Assignment = append(t.Assignment, p)
						}
						req.Topics = append(req.Topics, t)
					}
					resp, err := request[*kmsg.CreatePartitionsResponse](ctx, a, req)
					if err != nil {
						return failed(err, "cannot add partitions")
					}
					for _, t := range resp.Topics {
						if err := refused(t.ErrorCode, t.ErrorMessage, "cannot add partitions to topic %s", t.Topic); err != nil {
							errs = append(errs, err)
							continue
						}
						done = append(done, fmt.Sprintf("topic %s has %s", t.Topic, count(int(o.partitions), "partition")))
					}
				}
				if len(changes) > 0 {
					altered, err := a.alterConfigs(ctx, kmsg.ConfigResourceTypeTopic, names, changes, o.validateOnly)
					errs = append(errs, err)
					for _, name := range altered {
						done = append(done, "changed settings of topic "+name)
					}
				}
				if len(done) > 0 {
					if o.validateOnly {
						done = []string{"all of it could be done"}
					}
					errs = append(errs, e.done(map[string]any{"done": done}, done...))
				}
				return errors.Join(errs...)
			})
		},
	}
}

func topicDeleteCommand() *command {
	var ifExists bool
	return &command{
		name: "delete", args: "TOPIC...", minArgs: 1, maxArgs: -1, summary: "Delete topics and all their records",
		complete: []string{"topic"},
		flags: func(f *flagSet) {
			f.bool(&ifExists, "if-exists", 0, "no error if a topic is not there")
		},
		run: func(e *env, names []string) error {
			return e.asking(func(ctx context.Context, a *admin) error {
				req := kmsg.NewPtrDeleteTopicsRequest()
				req.TimeoutMillis = a.timeoutMs
				req.TopicNames = names
				for _, name := range names {
					t := kmsg.NewDeleteTopicsRequestTopic()
					t.Topic = kmsg.StringPtr(name)
					req.Topics = append(req.Topics, t)
				}
				resp, err := request[*kmsg.DeleteTopicsResponse](ctx, a, req)
				if err != nil {
					return failed(err, "cannot delete %s", strings.Join(names, ", "))
				}
				deleted, errs := []string{}, []error{}
				var lines []string
				for _, t := range resp.Topics {
					name := ""
					if t.Topic != nil {
						name = *t.Topic
					}
					if t.ErrorCode == kerr.UnknownTopicOrPartition.Code && ifExists {
						lines = append(lines, "there is no topic "+name)
						continue
					}
					if err := refused(t.ErrorCode, t.ErrorMessage, "cannot delete topic %s", name); err != nil {
						errs = append(errs, err)
						continue
					}
					deleted = append(deleted, name)
					lines = append(lines, "deleted topic "+name)
				}
				if len(lines) > 0 {
					errs = append(errs, e.done(map[string]any{"deleted": deleted}, lines...))
				}
				return errors.Join(errs...)
			})
		},
	}
}

// count writes "1 partition", "2 partitions".
func count(n int, what string) string {
	s := strconv.Itoa(n) + " " + what
	if n != 1 {
		s += "s"
	}
	return s
}

// topicID writes a topic's id as Kafka does; "" for none.
func topicID(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// sections writes several parts with an empty line between them.
func sections(parts ...func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		for i, part := range parts {
			if i > 0 {
				if _, err := io.WriteString(w, "\n"); err != nil {
					return err
				}
			}
			if err := part(w); err != nil {
				return err
			}
		}
		return nil
	}
}
