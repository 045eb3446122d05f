package broker

import (
	"slices"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/broker/repeats"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleDescribeCluster, key 60, v0-v2 (KIP-700, KIP-919, KIP-1073): the brokers. Needs
// nothing, and Describe on the cluster for the authorized operations.
func (b *Broker) handleDescribeCluster(r *request) {
	req := r.msg.(*kmsg.DescribeClusterRequest)
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.ClusterAuthorizedOperations = operationsNotAsked
	resp.EndpointType = 1
	if r.version >= 1 && req.EndpointType != 1 {
		resp.ErrorCode = int16(protocol.ErrUnsupportedEndpointType)
		message := "Unsupported endpoint type " + itoa(int64(req.EndpointType))
		if req.EndpointType == 2 {
			resp.ErrorCode = int16(protocol.ErrMismatchedEndpointType)
			message = "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
		}
		resp.ErrorMessage = &message
		r.reply(resp)
		return
	}
	image := b.store.Image()
	resp.ClusterID, resp.ControllerID = image.ClusterID(), image.ControllerID()
	for _, broker := range image.Brokers() {
		e, ok := broker.Endpoint(r.session.listener.name)
		if !ok || broker.Fenced && !(r.version >= 2 && req.IncludeFencedBrokers) {
			continue
		}
		out := kmsg.NewDescribeClusterResponseBroker()
		out.NodeID, out.Host, out.Port, out.Rack, out.IsFenced = broker.ID, e.Host, e.Port, rackOf(broker), broker.Fenced
		resp.Brokers = append(resp.Brokers, out)
	}
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = 0
		if b.authorize(r, acl.Describe, acl.Cluster()) {
			resp.ClusterAuthorizedOperations = b.authorizedOperations(r, acl.Cluster())
		}
	}
	r.reply(resp)
}

// handleDescribeTopicPartitions, key 75, v0 (KIP-966): topics page by page. Needs Describe
// on each topic.
func (b *Broker) handleDescribeTopicPartitions(r *request) {
	req := r.msg.(*kmsg.DescribeTopicPartitionsRequest)
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	image := b.store.Image()
	var names []string
	all := len(req.Topics) == 0
	if all {
		for t := range image.Topics() {
			names = append(names, t.Name)
		}
	} else {
		for _, t := range req.Topics {
			names = append(names, t.Topic)
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	first := int32(0)
	if c := req.Cursor; c != nil {
		i, found := slices.BinarySearch(names, c.Topic)
		if c.Partition < 0 || !found && !all {
			refuseTopicPartitions(r, req)
			return
		}
		names = names[i:]
		if len(names) > 0 && names[0] == c.Topic {
			first = c.Partition
		}
	}
	left := int(max(1, min(req.ResponsePartitionLimit, b.config().Broker().Network.MaxRequestPartitionSizeLimit)))
	for i, name := range names {
		out := kmsg.NewDescribeTopicPartitionsResponseTopic()
		out.Topic = &names[i]
		topic := image.Topic(name)
		from := first
		first = 0 // it is of the topic that the cursor names alone, be that there or not
		if all && !b.mayKnow(r, acl.Describe, acl.Topic(name)) || !all && !b.authorize(r, acl.Describe, acl.Topic(name)) {
			if !all {
				out.ErrorCode = int16(protocol.ErrTopicAuthorizationFailed)
				resp.Topics = append(resp.Topics, out)
			}
			continue
		}
		if left == 0 {
			// The next page begins here, whether there is such a topic or not.
			next := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
			next.Topic, next.Partition = name, from
			resp.NextCursor = &next
			break
		}
		out.AuthorizedOperations = b.authorizedOperations(r, acl.Topic(name))
		if topic == nil {
			out.ErrorCode, out.IsInternal = int16(protocol.ErrUnknownTopicOrPartition), isInternal(name)
			if metadata.InvalidTopicName(name) != "" {
				out.ErrorCode = int16(protocol.ErrInvalidTopicException)
			}
			resp.Topics = append(resp.Topics, out)
			continue
		}
		out.TopicID, out.IsInternal = topic.ID, isInternal(name)
		n := from
		for ; left > 0 && int(n) < len(topic.Partitions); n++ {
			out.Partitions = append(out.Partitions, b.describedPartition(r, image, topic, n))
			left--
		}
		resp.Topics = append(resp.Topics, out)
		if int(n) < len(topic.Partitions) {
			next := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
			next.Topic, next.Partition = name, n
			resp.NextCursor = &next
			break
		}
	}
	r.reply(resp)
}

// refuseTopicPartitions answers a request whose cursor points nowhere.
func refuseTopicPartitions(r *request, req *kmsg.DescribeTopicPartitionsRequest) {
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	for i := range req.Topics {
		out := kmsg.NewDescribeTopicPartitionsResponseTopic()
		out.Topic, out.ErrorCode, out.AuthorizedOperations = &req.Topics[i].Topic, int16(protocol.ErrInvalidRequest), operationsNotAsked
		resp.Topics = append(resp.Topics, out)
	}
	r.reply(resp)
}

func (b *Broker) describedPartition(r *request, image *metadata.Image, topic *metadata.Topic, n int32) kmsg.DescribeTopicPartitionsResponseTopicPartition {
	p := topic.Partitions[n]
	out := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
	out.Partition, out.LeaderID, out.LeaderEpoch = n, p.Leader, p.LeaderEpoch
	out.Replicas, out.ISR = p.Replicas, p.ISR
	out.EligibleLeaderReplicas, out.LastKnownELR = []int32{}, []int32{}
	for _, id := range p.Replicas {
		if !image.IsAlive(id) {
			out.OfflineReplicas = append(out.OfflineReplicas, id)
		}
	}
	out.ErrorCode = int16(b.leaderError(r, image, p))
	if out.ErrorCode != 0 {
		out.LeaderID = -1
	}
	return out
}

// handleDescribeProducers, key 61, v0 (KIP-664): who has been producing. Needs Read on
// each topic.
func (b *Broker) handleDescribeProducers(r *request) {
	req := r.msg.(*kmsg.DescribeProducersRequest)
	resp := kmsg.NewPtrDescribeProducersResponse()
	var named repeats.Set[protocol.TopicPartition]
	for _, t := range req.Topics {
		topic := kmsg.NewDescribeProducersResponseTopic()
		topic.Topic = t.Topic
		for _, n := range t.Partitions {
			out := kmsg.NewDescribeProducersResponseTopicPartition()
			out.Partition = n
			producers, err := b.activeProducers(r, t.Topic, n)
			if len(producers) > 0 && named.Refuses(protocol.TopicPartition{Topic: t.Topic, Partition: n}) {
				producers, err = nil, repeatedInRequest()
			}
			named.Spend(len(producers) * producerBytes)
			if err != nil {
				out.ErrorCode, out.ErrorMessage = r.errorCode(err), messageOf(err)
			}
			out.ActiveProducers = producers
			topic.Partitions = append(topic.Partitions, out)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	r.reply(resp)
}

// producerBytes is about what a producer takes in an answer.
const producerBytes = 64

func (b *Broker) activeProducers(r *request, topic string, n int32) ([]kmsg.DescribeProducersResponseTopicPartitionActiveProducer, error) {
	if why := metadata.InvalidTopicName(topic); why != "" {
		return nil, protocol.Errorf(protocol.ErrInvalidTopicException, "Topic name is invalid: %s", why)
	}
	if !b.authorize(r, acl.Read, acl.Topic(topic)) {
		return nil, &protocol.Error{Code: protocol.ErrTopicAuthorizationFailed, Message: *defaultMessage(protocol.ErrTopicAuthorizationFailed)}
	}
	partition := b.replicas.Get(topic, n)
	if partition == nil {
		if b.store.Image().Topic(topic) != nil {
			return nil, protocol.ErrUnknownTopicOrPartition // and no message
		}
		return nil, &protocol.Error{Code: protocol.ErrUnknownTopicOrPartition, Message: *defaultMessage(protocol.ErrUnknownTopicOrPartition)}
	}
	l, _, err := partition.Leader(-1)
	if err != nil {
		return nil, err
	}
	var out []kmsg.DescribeProducersResponseTopicPartitionActiveProducer
	for _, p := range l.ActiveProducers() {
		o := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		o.ProducerID, o.ProducerEpoch, o.LastSequence = p.ProducerID, int32(p.ProducerEpoch), p.LastSequence
		o.LastTimestamp, o.CoordinatorEpoch, o.CurrentTxnStartOffset = p.LastTimestamp, p.CoordinatorEpoch, p.TxnStartOffset
		out = append(out, o)
	}
	return out, nil
}

// handleElectLeaders, key 43, v0-v2 (KIP-460). Needs Alter on the cluster.
func (b *Broker) handleElectLeaders(r *request) {
	req := r.msg.(*kmsg.ElectLeadersRequest)
	resp := kmsg.NewPtrElectLeadersResponse()
	byTopic := map[string]int{}
	topicOf := func(name string) int {
		i, ok := byTopic[name]
		if !ok {
			i = len(resp.Topics)
			byTopic[name] = i
			t := kmsg.NewElectLeadersResponseTopic()
			t.Topic = name
			resp.Topics = append(resp.Topics, t)
		}
		return i
	}
	addTo := func(i int, tp protocol.TopicPartition, err error) {
		out := kmsg.NewElectLeadersResponseTopicPartition()
		out.Partition, out.ErrorCode, out.ErrorMessage = tp.Partition, r.errorCode(err), messageOf(err)
		if code := codeOf(err); out.ErrorMessage == nil && err != nil && code != protocol.ErrRequestTimedOut {
			out.ErrorMessage = defaultMessage(code)
		}
		resp.Topics[i].Partitions = append(resp.Topics[i].Partitions, out)
	}
	add := func(tp protocol.TopicPartition, err error) { addTo(topicOf(tp.Topic), tp, err) }
	c := metadata.ElectLeaders{Type: metadata.ElectionType(req.ElectionType), All: req.Topics == nil}
	for _, t := range req.Topics {
		for _, n := range t.Partitions {
			c.Partitions = append(c.Partitions, protocol.TopicPartition{Topic: t.Topic, Partition: n})
		}
	}
	if r.version == 0 {
		c.Type = metadata.ElectPreferred
	}
	if !b.authorize(r, acl.Alter, acl.Cluster()) {
		resp.ErrorCode = int16(protocol.ErrClusterAuthorizationFailed)
		for _, tp := range c.Partitions {
			add(tp, protocol.Errorf(protocol.ErrClusterAuthorizationFailed, "Alter on Cluster:kafka-cluster is not allowed."))
		}
		r.reply(resp)
		return
	}
	if !c.All && len(req.Topics) == 0 {
		r.reply(resp) // nothing is asked, of whatever type
		return
	}
	if c.Type != metadata.ElectPreferred && c.Type != metadata.ElectUnclean {
		resp.ErrorCode = int16(protocol.ErrInvalidRequest)
		for _, asked := range req.Topics {
			t := kmsg.NewElectLeadersResponseTopic()
			t.Topic = asked.Topic
			resp.Topics = append(resp.Topics, t)
			for _, n := range asked.Partitions {
				addTo(len(resp.Topics)-1, protocol.TopicPartition{Topic: t.Topic, Partition: n},
					protocol.Errorf(protocol.ErrInvalidRequest, "Unknown election type %d", req.ElectionType))
			}
		}
		r.reply(resp)
		return
	}
	// The timeout is how long to wait until the leaders lead, which here they do when the
	// store returns. So 0 is enough, as it is for a broker over ZooKeeper; KRaft refuses it.
	ctx, cancel := b.withTimeout(r, req.TimeoutMillis)
	if req.TimeoutMillis <= 0 {
		ctx = r.ctx()
	}
	defer cancel()
	results, err := b.store.ElectLeaders(ctx, c)
	if err != nil {
		resp.ErrorCode = r.errorCode(err)
		for _, tp := range c.Partitions {
			add(tp, err)
		}
	} else if c.All {
		for t := range b.store.Image().Topics() {
			topicOf(t.Name)
		}
		for _, res := range results {
			add(res.TopicPartition, res.Err)
		}
	} else {
		// One result for each that was asked, in the grouping of the request.
		for _, asked := range req.Topics {
			t := kmsg.NewElectLeadersResponseTopic()
			t.Topic = asked.Topic
			resp.Topics = append(resp.Topics, t)
			for _, res := range results[:len(asked.Partitions)] {
				addTo(len(resp.Topics)-1, res.TopicPartition, res.Err)
			}
			results = results[len(asked.Partitions):]
		}
	}
	r.reply(resp)
}

// handleAlterPartitionReassignments, key 45, v0-v1 (KIP-455). Needs Alter on the cluster.
func (b *Broker) handleAlterPartitionReassignments(r *request) {
	req := r.msg.(*kmsg.AlterPartitionAssignmentsRequest)
	resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	resp.AllowReplicationFactorChange = r.version == 0 || req.AllowReplicationFactorChange || len(req.Topics) == 0
	if !b.authorize(r, acl.Alter, acl.Cluster()) {
		resp.ErrorCode = int16(protocol.ErrClusterAuthorizationFailed)
		resp.ErrorMessage = defaultMessage(protocol.ErrClusterAuthorizationFailed)
		for _, t := range req.Topics {
			topic := kmsg.NewAlterPartitionAssignmentsResponseTopic()
			topic.Topic = t.Topic
			for _, p := range t.Partitions {
				out := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
				out.Partition, out.ErrorCode, out.ErrorMessage = p.Partition, resp.ErrorCode, resp.ErrorMessage
				topic.Partitions = append(topic.Partitions, out)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		r.reply(resp)
		return
	}
	c := metadata.AlterReassignments{KeepReplicationFactor: r.version > 0 && !req.AllowReplicationFactorChange}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			c.Reassignments = append(c.Reassignments, metadata.Reassignment{
				TopicPartition: protocol.TopicPartition{Topic: t.Topic, Partition: p.Partition}, Replicas: p.Replicas})
		}
	}
	ctx, cancel := b.withTimeout(r, req.TimeoutMillis)
	defer cancel()
	results, err := b.store.AlterPartitionReassignments(ctx, c)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = r.errorCode(err), messageOf(err)
	}
	if err == nil {
		for _, asked := range req.Topics {
			t := kmsg.NewAlterPartitionAssignmentsResponseTopic()
			t.Topic = asked.Topic
			for _, res := range results[:len(asked.Partitions)] {
				out := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
				out.Partition, out.ErrorCode, out.ErrorMessage = res.Partition, r.errorCode(res.Err), messageOf(res.Err)
				if code := codeOf(res.Err); out.ErrorMessage == nil && res.Err != nil && code != protocol.ErrNoReassignmentInProgress {
					out.ErrorMessage = defaultMessage(code)
				}
				t.Partitions = append(t.Partitions, out)
			}
			results = results[len(asked.Partitions):]
			resp.Topics = append(resp.Topics, t)
		}
	}
	if len(req.Topics) == 0 && resp.ErrorCode == 0 {
		resp.ErrorMessage = new(string)
	}
	r.reply(resp)
}

// handleListPartitionReassignments, key 46, v0 (KIP-455). Needs Describe on the cluster.
// As with Apache the timeout of the request counts for nothing.
func (b *Broker) handleListPartitionReassignments(r *request) {
	req := r.msg.(*kmsg.ListPartitionReassignmentsRequest)
	resp := kmsg.NewPtrListPartitionReassignmentsResponse()
	if !b.authorize(r, acl.Describe, acl.Cluster()) {
		resp.ErrorCode = int16(protocol.ErrClusterAuthorizationFailed)
		resp.ErrorMessage = defaultMessage(protocol.ErrClusterAuthorizationFailed)
		for _, t := range req.Topics { // what was asked, and nothing of it
			topic := kmsg.NewListPartitionReassignmentsResponseTopic()
			topic.Topic = t.Topic
			for _, n := range t.Partitions {
				out := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
				out.Partition = n
				topic.Partitions = append(topic.Partitions, out)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		r.reply(resp)
		return
	}
	var asked []protocol.TopicPartition
	if req.Topics != nil {
		asked = []protocol.TopicPartition{}
	}
	for _, t := range req.Topics {
		for _, n := range t.Partitions {
			asked = append(asked, protocol.TopicPartition{Topic: t.Topic, Partition: n})
		}
	}
	states, err := b.store.ListPartitionReassignments(r.ctx(), asked)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = r.errorCode(err), messageOf(err)
	}
	for _, s := range states {
		last := len(resp.Topics) - 1
		if last < 0 || resp.Topics[last].Topic != s.Topic {
			t := kmsg.NewListPartitionReassignmentsResponseTopic()
			t.Topic = s.Topic
			resp.Topics = append(resp.Topics, t)
			last++
		}
		out := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		out.Partition, out.Replicas, out.AddingReplicas, out.RemovingReplicas = s.Partition, s.Replicas, s.Adding, s.Removing
		resp.Topics[last].Partitions = append(resp.Topics[last].Partitions, out)
	}
	r.reply(resp)
}

// handleUpdateFeatures, key 57, v0-v1 (KIP-584). Needs Alter on the cluster.
func (b *Broker) handleUpdateFeatures(r *request) {
	req := r.msg.(*kmsg.UpdateFeaturesRequest)
	resp := kmsg.NewPtrUpdateFeaturesResponse()
	if !b.authorize(r, acl.Alter, acl.Cluster()) {
		resp.ErrorCode = int16(protocol.ErrClusterAuthorizationFailed)
		resp.ErrorMessage = defaultMessage(protocol.ErrClusterAuthorizationFailed)
		r.reply(resp)
		return
	}
	var updates []metadata.FeatureUpdate
	at := map[string]int{} // in updates
	for _, u := range req.FeatureUpdates {
		up := metadata.FeatureUpdate{Name: u.Feature, Level: u.MaxVersionLevel, Upgrade: metadata.FeatureUpgrade(u.UpgradeType)}
		if r.version == 0 {
			up.Upgrade = metadata.FeatureUpgradeOnly
			if u.AllowDowngrade {
				up.Upgrade = metadata.FeatureSafeDowngrade
			}
		}
		// Of a feature that is named more than once the last counts.
		if i, again := at[up.Name]; again {
			updates[i] = up
			continue
		}
		at[up.Name] = len(updates)
		updates = append(updates, up)
	}
	results, err := b.store.UpdateFeatures(r.ctx(), updates, r.version >= 1 && req.ValidateOnly)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = r.errorCode(err), messageOf(err)
	}
	if resp.ErrorCode == 0 && r.version < 2 {
		resp.ErrorMessage = new(string)
	}
	for _, res := range results {
		out := kmsg.NewUpdateFeaturesResponseResult()
		out.Feature, out.ErrorCode, out.ErrorMessage = res.Name, r.errorCode(res.Err), messageOf(res.Err)
		resp.Results = append(resp.Results, out)
		if r.version >= 2 && res.Err != nil && resp.ErrorCode == 0 {
			resp.ErrorCode, resp.ErrorMessage = out.ErrorCode, out.ErrorMessage
		}
	}
	r.reply(resp)
}
