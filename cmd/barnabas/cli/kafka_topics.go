package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaTopics holds the options of kafka-topics.
type kafkaTopics struct {
	create, list, describe, alter, del            bool
	topic, assignment                             string
	partitions, replicas                          int32
	configs                                       []string
	ifExists, ifNotExists, excludeInternal        bool
	underReplicated, unavailable, underMin, atMin bool
	overrides                                     bool
}

func topicsError(format string, args ...any) error {
	return &toolError{text: "Error while executing topic command : " + fmt.Sprintf(format, args...), stdout: true}
}

func runKafkaTopics(e *env, args []string) error {
	o := kafkaTopics{partitions: -1, replicas: -1}
	f := e.newToolFlags()
	f.bool(&o.create, "create", 0, "create a topic")
	f.bool(&o.list, "list", 0, "list topics")
	f.bool(&o.describe, "describe", 0, "describe topics")
	f.bool(&o.alter, "alter", 0, "add partitions to topics")
	f.bool(&o.del, "delete", 0, "delete topics")
	f.string(&o.topic, "topic", 0, "NAME", "the topic; a regular expression except with --create")
	f.int32(&o.partitions, "partitions", 0, "N", "number of partitions")
	f.int32(&o.replicas, "replication-factor", 0, "N", "replicas of each partition")
	f.string(&o.assignment, "replica-assignment", 0, "0:1,1:2", "brokers of each partition")
	f.strings(&o.configs, "config", 0, "KEY=VALUE", "a setting of a topic that is created")
	f.bool(&o.ifExists, "if-exists", 0, "act only if the topic is there")
	f.bool(&o.ifNotExists, "if-not-exists", 0, "create only if the topic is not there")
	f.bool(&o.excludeInternal, "exclude-internal", 0, "leave out internal topics")
	f.bool(&o.underReplicated, "under-replicated-partitions", 0, "describe only under-replicated partitions")
	f.bool(&o.unavailable, "unavailable-partitions", 0, "describe only partitions without a leader")
	f.bool(&o.underMin, "under-min-isr-partitions", 0, "describe only partitions below min.insync.replicas")
	f.bool(&o.atMin, "at-min-isr-partitions", 0, "describe only partitions at min.insync.replicas")
	f.bool(&o.overrides, "topics-with-overrides", 0, "describe only topics that have settings of their own")
	if err := e.parseTool(f, args); err != nil {
		return err
	}
	if bools(o.create, o.list, o.describe, o.alter, o.del) != 1 {
		return &usageError{message: "Command must include exactly one action: --list, --describe, --create, --alter or --delete"}
	}
	if (o.create || o.alter || o.del) && o.topic == "" {
		return &usageError{message: "Missing required argument \"[topic]\""}
	}
	return e.asking(func(ctx context.Context, a *admin) error {
		if o.create {
			return e.kafkaCreateTopic(ctx, a, &o)
		}
		matches, err := nameFilter(o.topic)
		if err != nil {
			return err
		}
		m, err := a.topics(ctx)
		if err != nil {
			return err
		}
		var names []string
		for _, t := range m.Topics.Sorted() {
			if matches(t.Topic) && !(o.excludeInternal && t.IsInternal) {
				names = append(names, t.Topic)
			}
		}
		if len(names) == 0 && o.topic != "" && !o.list && !o.ifExists {
			return topicsError("Topic '%s' does not exist as expected", o.topic)
		}
		switch {
		case o.list:
			for _, name := range names {
				fmt.Fprintln(e.stdout, name)
			}
			return nil
		case o.describe:
			return e.kafkaDescribeTopics(ctx, a, names, &o)
		case o.alter:
			return e.kafkaAlterTopics(ctx, a, names, &o)
		}
		resp, err := a.DeleteTopics(ctx, names...)
		if err != nil {
			return err
		}
		for _, r := range resp.Sorted() {
			if r.Err != nil && !(o.ifExists && errors.Is(r.Err, kerr.UnknownTopicOrPartition)) {
				return topicsError("%s", r.Err)
			}
		}
		return nil
	})
}

func (e *env) kafkaCreateTopic(ctx context.Context, a *admin, o *kafkaTopics) error {
	configs, err := keyValues(o.configs)
	if err != nil {
		return err
	}
	assignment, err := assignments(o.assignment)
	if err != nil {
		return err
	}
	if strings.ContainsAny(o.topic, "._") {
		fmt.Fprintln(e.stdout, "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. "+
			"To avoid issues it is best to use either, but not both.")
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = a.timeoutMs
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = o.topic, o.partitions, int16(o.replicas)
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
	resp, err := request[*kmsg.CreateTopicsResponse](ctx, a, req)
	if err != nil {
		return failed(err, "cannot create topic %s", o.topic)
	}
	for _, r := range resp.Topics {
		switch {
		case r.ErrorCode == kerr.TopicAlreadyExists.Code && o.ifNotExists:
		case r.ErrorCode != 0:
			return topicsError("%s", brokerMessage(r.ErrorCode, r.ErrorMessage))
		default:
			fmt.Fprintf(e.stdout, "Created topic %s.\n", r.Topic)
		}
	}
	return nil
}

func (e *env) kafkaAlterTopics(ctx context.Context, a *admin, names []string, o *kafkaTopics) error {
	assignment, err := assignments(o.assignment)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = a.timeoutMs
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
	for _, r := range resp.Topics {
		if r.ErrorCode != 0 {
			return topicsError("%s", brokerMessage(r.ErrorCode, r.ErrorMessage))
		}
	}
	return nil
}

func (e *env) kafkaDescribeTopics(ctx context.Context, a *admin, names []string, o *kafkaTopics) error {
	if len(names) == 0 {
		return nil
	}
	all, err := a.describeTopics(ctx, names)
	if err != nil {
		return err
	}
	minISR := map[string]int{}
	if o.underMin || o.atMin {
		if minISR, err = a.minISR(ctx, names); err != nil {
			return err
		}
	}
	partial := o.underReplicated || o.unavailable || o.underMin || o.atMin
	for _, t := range all {
		if o.overrides && len(t.Configs) == 0 {
			continue
		}
		if !partial {
			var configs []string
			for _, key := range sortedKeys(t.Configs) {
				configs = append(configs, key+"="+t.Configs[key])
			}
			fmt.Fprintf(e.stdout, "Topic: %s\tTopicId: %s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s\n",
				t.Name, t.ID, len(t.Partitions), t.ReplicationFactor, strings.Join(configs, ","))
		}
		if o.overrides {
			continue
		}
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if partial && !(o.underReplicated && len(p.ISR) < len(p.Replicas) || o.unavailable && p.Leader < 0 ||
				o.underMin && len(p.ISR) < minISR[t.Name] || o.atMin && len(p.ISR) == minISR[t.Name]) {
				continue
			}
			leader := "none"
			if p.Leader >= 0 {
				leader = number(p.Leader)
			}
			fmt.Fprintf(e.stdout, "\tTopic: %s\tPartition: %d\tLeader: %s\tReplicas: %s\tIsr: %s\tElr: \tLastKnownElr: \n",
				t.Name, p.Partition, leader, joined(p.Replicas), joined(p.ISR))
		}
	}
	return nil
}

// minISR returns min.insync.replicas of each topic.
func (a *admin) minISR(ctx context.Context, names []string) (map[string]int, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range names {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, name, []string{"min.insync.replicas"}
		req.Resources = append(req.Resources, r)
	}
	resources, err := a.describeConfigs(ctx, req)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for _, r := range resources {
		for _, c := range r.Configs {
			out[r.ResourceName], _ = strconv.Atoi(configValue(&c))
		}
	}
	return out, nil
}

func joined(list []int32) string {
	text := make([]string, len(list))
	for i, n := range list {
		text[i] = strconv.Itoa(int(n))
	}
	return strings.Join(text, ",")
}

// runKafkaGetOffsets prints topic:partition:offset lines.
func runKafkaGetOffsets(e *env, args []string) error {
	topic, at, partitions, pairs := "", "latest", "", ""
	excludeInternal := false
	f := e.newToolFlags()
	f.string(&e.bootstrap, "broker-list", 0, "HOST:PORT,...", "older name of --bootstrap-server")
	f.string(&topic, "topic", 0, "NAME", "the topics, a regular expression; all if not given")
	f.string(&at, "time", 0, "TIME", "milliseconds, or -1 latest, -2 earliest, -3 max-timestamp, or these names")
	f.string(&partitions, "partitions", 0, "0,1", "only these partitions")
	f.string(&pairs, "topic-partitions", 0, "TOPIC:0,...", "topics with partitions")
	f.bool(&excludeInternal, "exclude-internal-topics", 0, "leave out internal topics")
	if err := e.parseTool(f, args); err != nil {
		return err
	}
	switch at {
	case "-1":
		at = "latest"
	case "-2":
		at = "earliest"
	case "-3":
		at = "max-timestamp"
	}
	only, err := partitionList(partitions)
	if err != nil {
		return err
	}
	matches, err := nameFilter(topic)
	if err != nil {
		return err
	}
	if pairs != "" {
		return &usageError{message: "--topic-partitions is not supported here: use --topic and --partitions"}
	}
	return e.asking(func(ctx context.Context, a *admin) error {
		m, err := a.topics(ctx)
		if err != nil {
			return err
		}
		var names []string
		for _, t := range m.Topics.Sorted() {
			if matches(t.Topic) && !(excludeInternal && t.IsInternal) {
				names = append(names, t.Topic)
			}
		}
		if len(names) == 0 {
			return &toolError{text: "Error: Could not match any topic-partitions with the specified filters"}
		}
		listed, err := a.offsetsAt(ctx, at, names)
		if err != nil {
			return err
		}
		var errs []error
		listedEach(listed, func(o kadm.ListedOffset) {
			switch {
			case len(only) > 0 && !slices.Contains(only, o.Partition):
			case o.Err != nil:
				errs = append(errs, failed(o.Err, "cannot list offsets of %s-%d", o.Topic, o.Partition))
			case o.Offset >= 0:
				fmt.Fprintf(e.stdout, "%s:%d:%d\n", o.Topic, o.Partition, o.Offset)
			}
		})
		return errors.Join(errs...)
	})
}

func listedEach(l kadm.ListedOffsets, fn func(kadm.ListedOffset)) {
	for _, o := range sortedOffsets(l) {
		fn(o)
	}
}
