package controller

import (
	"slices"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// clusterMetadataTopic is the name of the log that KRaft keeps its metadata in.
const clusterMetadataTopic = "__cluster_metadata"

func brokerName(id int32) string { return strconv.Itoa(int(id)) }

// CreateTopics creates topics; see metadata.Store.
func (c *Controller) CreateTopics(m *metadata.Image, cmd metadata.CreateTopics) ([]metadata.Record, []metadata.CreateTopicResult) {
	names := map[string]int{}
	for _, t := range cmd.Topics {
		names[t.Name]++
	}
	maker := topicMaker{c: c, m: m, room: c.opts.MaxPartitionsPerCommand}
	results := make([]metadata.CreateTopicResult, 0, len(names))
	var records []metadata.Record
	for _, t := range cmd.Topics {
		if names[t.Name] > 1 {
			continue
		}
		result := metadata.CreateTopicResult{Name: t.Name, Partitions: -1, ReplicationFactor: -1}
		made, err := maker.create(&t, &result)
		if err != nil {
			result = metadata.CreateTopicResult{Name: t.Name, Partitions: -1, ReplicationFactor: -1, Err: err}
		}
		records = append(records, made...)
		results = append(results, result)
	}
	for _, t := range cmd.Topics {
		if names[t.Name] > 1 {
			names[t.Name] = 0
			results = append(results, metadata.CreateTopicResult{Name: t.Name, Partitions: -1, ReplicationFactor: -1,
				Err: protocol.Errorf(protocol.ErrInvalidRequest, "Duplicate topic name.")})
		}
	}
	if cmd.ValidateOnly {
		return nil, results
	}
	return records, results
}

// topicMaker makes the records of the new topics and partitions of one command.
type topicMaker struct {
	c      *Controller
	m      *metadata.Image
	placer *placer
	room   int // partitions that the command may still make
	dirs   map[int32]protocol.UUID
}

var errTooLarge = &protocol.Error{Code: protocol.ErrPolicyViolation, Message: "Unable to perform excessively large batch operation."}

func (k *topicMaker) create(t *metadata.NewTopic, result *metadata.CreateTopicResult) ([]metadata.Record, error) {
	if err := k.checkName(t.Name); err != nil {
		return nil, err
	}
	configs, err := k.checkConfigs(t)
	if err != nil {
		return nil, err
	}
	var partitions []*metadata.Partition
	if len(t.Assignments) > 0 {
		partitions, err = k.assigned(t)
	} else {
		partitions, err = k.placed(t)
	}
	if err != nil {
		return nil, err
	}
	k.room -= len(partitions)
	result.ID = k.c.opts.NewUUID()
	for result.ID.IsZero() || k.m.TopicByID(result.ID) != nil {
		result.ID = k.c.opts.NewUUID()
	}
	result.Partitions = int32(len(partitions))
	result.ReplicationFactor = int16(len(partitions[0].Replicas))
	result.Configs = configs
	records := make([]metadata.Record, 0, 2+len(configs))
	records = append(records, &metadata.TopicRecord{Name: t.Name, ID: result.ID})
	// Configurations go before partitions: whoever acts on a partition finds its settings.
	for _, entry := range t.Configs {
		value := configs[entry.Name]
		records = append(records, &metadata.ConfigRecord{
			Resource: metadata.ConfigResource{Type: metadata.TopicResource, Name: t.Name}, Name: entry.Name, Value: &value})
	}
	return append(records, &metadata.PartitionsRecord{TopicID: result.ID, Partitions: partitions}), nil
}

func (k *topicMaker) checkName(name string) error {
	if name == clusterMetadataTopic {
		return protocol.Errorf(protocol.ErrInvalidRequest, "Creation of internal topic %s is prohibited.", name)
	}
	if reason := metadata.InvalidTopicName(name); reason != "" {
		return protocol.Errorf(protocol.ErrInvalidTopicException, "Topic name is invalid: %s", reason)
	}
	if k.m.Topic(name) != nil {
		return protocol.Errorf(protocol.ErrTopicAlreadyExists, "Topic '%s' already exists.", name)
	}
	if other := k.m.CollidingTopic(name); other != nil {
		return protocol.Errorf(protocol.ErrInvalidTopicException, "Topic '%s' collides with existing topic: %s", name, other.Name)
	}
	return nil
}

// checkConfigs returns the topic's configuration; a key that comes twice has its last value.
func (k *topicMaker) checkConfigs(t *metadata.NewTopic) (map[string]string, error) {
	if len(t.Configs) == 0 {
		return nil, nil
	}
	configs := make(map[string]string, len(t.Configs))
	var null []string
	for _, entry := range t.Configs {
		if entry.Value == nil {
			null = append(null, entry.Name)
			continue
		}
		configs[entry.Name] = *entry.Value
	}
	if len(null) > 0 {
		return nil, protocol.Errorf(protocol.ErrInvalidConfig, "Null value not supported for topic configs: %s", strings.Join(null, ","))
	}
	if k.c.opts.Schema == nil {
		return configs, nil
	}
	resource := metadata.ConfigResource{Type: metadata.TopicResource, Name: t.Name}
	return configs, errorOf(k.c.opts.Schema.Validate(resource, configs, nil), protocol.ErrInvalidConfig)
}

// assigned makes partitions where the client put them.
func (k *topicMaker) assigned(t *metadata.NewTopic) ([]*metadata.Partition, error) {
	if t.ReplicationFactor != -1 {
		return nil, protocol.Errorf(protocol.ErrInvalidRequest,
			"A manual partition assignment was specified, but replication factor was not set to -1.")
	}
	if t.Partitions != -1 {
		return nil, protocol.Errorf(protocol.ErrInvalidRequest,
			"A manual partition assignment was specified, but numPartitions was not set to -1.")
	}
	if len(t.Assignments) > k.room {
		return nil, errTooLarge
	}
	made := map[int32]*metadata.Partition{}
	replicationFactor := -1
	for _, a := range t.Assignments {
		if made[a.Partition] != nil {
			return nil, protocol.Errorf(protocol.ErrInvalidReplicaAssignment,
				"Found multiple manual partition assignments for partition %d", a.Partition)
		}
		if err := checkAssignment(k.m, a.Brokers, replicationFactor); err != nil {
			return nil, err
		}
		replicationFactor = len(a.Brokers)
		p, ok := k.partition(a.Brokers)
		if !ok {
			return nil, protocol.Errorf(protocol.ErrInvalidReplicaAssignment,
				"All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", a.Partition)
		}
		made[a.Partition] = p
	}
	partitions := make([]*metadata.Partition, len(made))
	for i := range partitions {
		if partitions[i] = made[int32(i)]; partitions[i] == nil {
			return nil, protocol.Errorf(protocol.ErrInvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
	}
	return partitions, nil
}

// placed makes partitions where the placer puts them.
func (k *topicMaker) placed(t *metadata.NewTopic) ([]*metadata.Partition, error) {
	switch {
	case t.ReplicationFactor < -1 || t.ReplicationFactor == 0:
		return nil, protocol.Errorf(protocol.ErrInvalidReplicationFactor,
			"Replication factor must be larger than 0, or -1 to use the default value.")
	case t.Partitions < -1 || t.Partitions == 0:
		return nil, protocol.Errorf(protocol.ErrInvalidPartitions,
			"Number of partitions was set to an invalid non-positive value.")
	}
	count, replicationFactor := t.Partitions, t.ReplicationFactor
	if count == -1 {
		count = k.c.opts.DefaultPartitions
	}
	if replicationFactor == -1 {
		replicationFactor = k.c.opts.DefaultReplicationFactor
	}
	return k.place(int(count), int(replicationFactor))
}

func (k *topicMaker) place(count, replicationFactor int) ([]*metadata.Partition, error) {
	k.placer = newPlacer(k.m, k.c.opts.Rand)
	if reason := k.placer.check(replicationFactor); reason != "" {
		return nil, protocol.Errorf(protocol.ErrInvalidReplicationFactor, "Unable to replicate the partition %d time(s): %s",
			replicationFactor, reason)
	}
	if count > k.room {
		return nil, errTooLarge
	}
	partitions := make([]*metadata.Partition, count)
	for i := range partitions {
		p, ok := k.partition(k.placer.place(replicationFactor))
		if !ok {
			return nil, protocol.Errorf(protocol.ErrInvalidReplicationFactor,
				"Unable to replicate the partition %d time(s): All brokers are currently fenced or in controlled shutdown.", replicationFactor)
		}
		partitions[i] = p
	}
	return partitions, nil
}

// partition returns a new partition on replicas, false if none of them is active.
func (k *topicMaker) partition(replicas []int32) (*metadata.Partition, bool) {
	isr := activeOf(k.m, replicas)
	if len(isr) == 0 {
		return nil, false
	}
	return &metadata.Partition{Replicas: replicas, ISR: isr, Leader: isr[0], Directories: k.directories(replicas)}, true
}

// directories returns the directories of new replicas: a broker with only one has the
// replica there, others choose for themselves and tell.
func (k *topicMaker) directories(replicas []int32) []protocol.UUID {
	if k.dirs == nil {
		k.dirs = map[int32]protocol.UUID{}
		for _, b := range k.m.Brokers() {
			k.dirs[b.ID] = defaultDirectory(b)
		}
	}
	dirs := make([]protocol.UUID, len(replicas))
	known := false
	for i, id := range replicas {
		dirs[i] = k.dirs[id]
		known = known || !dirs[i].IsZero()
	}
	if !known {
		return nil
	}
	return dirs
}

func defaultDirectory(b *metadata.Broker) protocol.UUID {
	if b != nil && len(b.LogDirs) == 1 {
		return b.LogDirs[0]
	}
	return metadata.DirectoryUnassigned
}

// checkAssignment checks one list of replicas that a client wrote. A replicationFactor of
// -1 allows any.
func checkAssignment(m *metadata.Image, brokers []int32, replicationFactor int) error {
	if len(brokers) == 0 {
		return protocol.Errorf(protocol.ErrInvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
	}
	sorted := slices.Sorted(slices.Values(brokers))
	for i, id := range sorted {
		if m.Broker(id) == nil {
			return protocol.Errorf(protocol.ErrInvalidReplicaAssignment,
				"The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if i > 0 && sorted[i-1] == id {
			return protocol.Errorf(protocol.ErrInvalidReplicaAssignment,
				"The manual partition assignment includes the broker %d more than once.", id)
		}
	}
	if replicationFactor >= 0 && len(sorted) != replicationFactor {
		return protocol.Errorf(protocol.ErrInvalidReplicaAssignment, "The manual partition assignment includes a partition with %d "+
			"replica(s), but this is not consistent with previous partitions, which have %d replica(s).", len(sorted), replicationFactor)
	}
	return nil
}

// DeleteTopics removes topics; see metadata.Store.
func (c *Controller) DeleteTopics(m *metadata.Image, refs []metadata.TopicRef) ([]metadata.Record, []metadata.DeleteTopicResult) {
	var records []metadata.Record
	var results, refused []metadata.DeleteTopicResult
	fail := func(ref metadata.TopicRef, message string) {
		refused = append(refused, metadata.DeleteTopicResult{Name: ref.Name, ID: ref.ID,
			Err: &protocol.Error{Code: protocol.ErrInvalidRequest, Message: message}})
	}
	// How often each reference comes, and how often each topic is meant by any.
	asked := map[metadata.TopicRef]int{}
	for _, ref := range refs {
		asked[ref]++
	}
	meant := map[protocol.UUID]int{}
	for ref, n := range asked {
		if t := resolveTopic(m, ref); t != nil {
			meant[t.ID] += n
		}
	}
	for _, ref := range refs {
		n := asked[ref]
		asked[ref] = 0
		switch t := resolveTopic(m, ref); {
		case n == 0: // a repetition, answered at its first mention
		case ref.Name == "" && ref.ID.IsZero():
			fail(ref, "Neither topic name nor id were specified.")
		case ref.Name != "" && !ref.ID.IsZero():
			fail(ref, "You may not specify both topic name and topic id.")
		case n > 1 && ref.ID.IsZero():
			fail(ref, "Duplicate topic name.")
		case n > 1:
			fail(ref, "Duplicate topic id.")
		case t == nil && ref.ID.IsZero():
			results = append(results, metadata.DeleteTopicResult{Name: ref.Name, Err: protocol.ErrUnknownTopicOrPartition})
		case t == nil:
			results = append(results, metadata.DeleteTopicResult{ID: ref.ID, Err: protocol.ErrUnknownTopicID})
		case meant[t.ID] > 1:
			if ref.Name != "" {
				fail(metadata.TopicRef{Name: t.Name, ID: t.ID}, "The provided topic name maps to an ID that was already supplied.")
			}
		default:
			records = append(records, &metadata.RemoveTopicRecord{ID: t.ID})
			results = append(results, metadata.DeleteTopicResult{Name: t.Name, ID: t.ID})
		}
	}
	return records, append(results, refused...)
}

// resolveTopic returns the topic that ref means, nil if there is none or ref is not clear.
func resolveTopic(m *metadata.Image, ref metadata.TopicRef) *metadata.Topic {
	switch {
	case ref.Name != "" && !ref.ID.IsZero():
		return nil
	case ref.Name != "":
		return m.Topic(ref.Name)
	}
	return m.TopicByID(ref.ID)
}

// CreatePartitions grows topics; see metadata.Store.
func (c *Controller) CreatePartitions(m *metadata.Image, cmd metadata.CreatePartitions) ([]metadata.Record, []metadata.TopicResult) {
	names := map[string]int{}
	for _, t := range cmd.Topics {
		names[t.Topic]++
	}
	maker := topicMaker{c: c, m: m, room: c.opts.MaxPartitionsPerCommand}
	var records []metadata.Record
	var results []metadata.TopicResult
	for _, t := range cmd.Topics {
		if names[t.Topic] > 1 {
			continue
		}
		r, err := maker.grow(&t)
		if err == nil {
			records = append(records, r)
		}
		results = append(results, metadata.TopicResult{Topic: t.Topic, Err: err})
	}
	for _, t := range cmd.Topics {
		if names[t.Topic] > 1 {
			names[t.Topic] = 0
			results = append(results, metadata.TopicResult{Topic: t.Topic,
				Err: protocol.Errorf(protocol.ErrInvalidRequest, "Duplicate topic name.")})
		}
	}
	if cmd.ValidateOnly {
		return nil, results
	}
	return records, results
}

func (k *topicMaker) grow(t *metadata.NewPartitions) (metadata.Record, error) {
	topic := k.m.Topic(t.Topic)
	if topic == nil {
		return nil, protocol.ErrUnknownTopicOrPartition
	}
	have := len(topic.Partitions)
	additional := int(t.Count) - have
	switch {
	case additional == 0:
		return nil, protocol.Errorf(protocol.ErrInvalidPartitions, "Topic already has %d partition(s).", have)
	case additional < 0:
		return nil, protocol.Errorf(protocol.ErrInvalidPartitions,
			"The topic %s currently has %d partition(s); %d would not be an increase.", t.Topic, have, t.Count)
	case t.Assignments != nil && len(t.Assignments) != additional:
		return nil, protocol.Errorf(protocol.ErrInvalidReplicaAssignment,
			"Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", additional, len(t.Assignments))
	case have == 0:
		return nil, protocol.Errorf(protocol.ErrUnknownServerError, "Invalid state: topic %s appears to have no partitions.", t.Topic)
	case additional > k.room:
		return nil, errTooLarge
	}
	replicationFactor := len(topic.Partitions[0].Replicas)
	record := &metadata.PartitionsRecord{TopicID: topic.ID, First: int32(have)}
	if t.Assignments == nil {
		k.placer = newPlacer(k.m, k.c.opts.Rand)
		if reason := k.placer.check(replicationFactor); reason != "" {
			return nil, &protocol.Error{Code: protocol.ErrInvalidReplicationFactor, Message: reason}
		}
		partitions, err := k.place(additional, replicationFactor)
		if err != nil {
			return nil, err
		}
		record.Partitions = partitions
		k.room -= additional
		return record, nil
	}
	for i, brokers := range t.Assignments {
		if err := checkAssignment(k.m, brokers, replicationFactor); err != nil {
			return nil, err
		}
		p, ok := k.partition(brokers)
		if !ok {
			return nil, protocol.Errorf(protocol.ErrInvalidReplicaAssignment,
				"All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", have+i)
		}
		record.Partitions = append(record.Partitions, p)
	}
	k.room -= additional
	return record, nil
}
