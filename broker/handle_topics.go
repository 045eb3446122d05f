package broker

import (
	"context"
	"time"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// withTimeout is the context of an admin command that the client gives timeoutMs.
func (b *Broker) withTimeout(r *request, timeoutMs int32) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.ctx(), time.Duration(timeoutMs)*time.Millisecond)
}

// handleCreateTopics, key 19, v0-v7 (KIP-4, KIP-464, KIP-525). Needs Create on the cluster
// or on each topic, and DescribeConfigs on a topic for its settings to be shown.
func (b *Broker) handleCreateTopics(r *request) {
	req := r.msg.(*kmsg.CreateTopicsRequest)
	resp := kmsg.NewPtrCreateTopicsResponse()
	onCluster := b.isGranted(r, acl.Create, acl.Cluster())
	c := metadata.CreateTopics{ValidateOnly: req.ValidateOnly}
	names := map[string]int{}
	for _, t := range req.Topics {
		names[t.Topic]++
	}
	var refused []kmsg.CreateTopicsResponseTopic
	for _, t := range req.Topics {
		refuse := func(code protocol.ErrorCode, message string) {
			out := newCreatedTopic(t.Topic)
			out.ErrorCode, out.ErrorMessage = int16(code), &message
			refused = append(refused, out)
		}
		switch {
		case t.Topic == "__cluster_metadata":
			if names[t.Topic]--; names[t.Topic] > 0 {
				continue // it is answered once
			}
			refuse(protocol.ErrInvalidRequest, "Creation of internal topic __cluster_metadata is prohibited.")
		case names[t.Topic] > 1:
			c.Topics = append(c.Topics, newTopicOf(t)) // the store answers duplicates, once
		case !onCluster && !b.authorize(r, acl.Create, acl.Topic(t.Topic)):
			refuse(protocol.ErrTopicAuthorizationFailed, "Authorization failed.")
		default:
			n := newTopicOf(t)
			if err := b.mutateBy(r, strictCreateTopics, req.ValidateOnly, b.partitionsOf(&n)); err != nil {
				refuse(codeOf(err), *messageOf(err))
				continue
			}
			c.Topics = append(c.Topics, n)
		}
	}
	ctx, cancel := b.withTimeout(r, req.TimeoutMillis)
	defer cancel()
	results, err := b.store.CreateTopics(ctx, c)
	if err != nil {
		results = nil
		for _, t := range c.Topics {
			results = append(results, metadata.CreateTopicResult{Name: t.Name, Err: err})
		}
	}
	for i := range results {
		resp.Topics = append(resp.Topics, b.createdTopic(r, &results[i]))
	}
	resp.Topics = append(resp.Topics, refused...)
	r.reply(resp)
}

func newTopicOf(t kmsg.CreateTopicsRequestTopic) metadata.NewTopic {
	n := metadata.NewTopic{Name: t.Topic, Partitions: t.NumPartitions, ReplicationFactor: t.ReplicationFactor}
	for _, a := range t.ReplicaAssignment {
		n.Assignments = append(n.Assignments, metadata.ReplicaAssignment{Partition: a.Partition, Brokers: a.Replicas})
	}
	for _, c := range t.Configs {
		n.Configs = append(n.Configs, metadata.ConfigEntry{Name: c.Name, Value: c.Value})
	}
	return n
}

func newCreatedTopic(name string) kmsg.CreateTopicsResponseTopic {
	out := kmsg.NewCreateTopicsResponseTopic()
	out.Topic, out.NumPartitions, out.ReplicationFactor = name, -1, -1
	out.Configs = []kmsg.CreateTopicsResponseTopicConfig{}
	return out
}

func (b *Broker) createdTopic(r *request, res *metadata.CreateTopicResult) kmsg.CreateTopicsResponseTopic {
	out := newCreatedTopic(res.Name)
	if res.Err != nil {
		out.ErrorCode, out.ErrorMessage = r.errorCode(res.Err), messageOf(res.Err)
		return out
	}
	out.TopicID = res.ID
	if !b.authorize(r, acl.DescribeConfigs, acl.Topic(res.Name)) {
		out.ConfigErrorCode = int16(protocol.ErrTopicAuthorizationFailed)
		return out
	}
	out.NumPartitions, out.ReplicationFactor = res.Partitions, res.ReplicationFactor
	for _, e := range b.config().DescribeTopic(res.Configs, nil) {
		c := kmsg.NewCreateTopicsResponseTopicConfig()
		c.Name, c.Value, c.ReadOnly, c.Source, c.IsSensitive = e.Name, e.Value, e.ReadOnly, int8(e.Source), e.Sensitive
		out.Configs = append(out.Configs, c)
	}
	return out
}

// handleDeleteTopics, key 20, v0-v6 (KIP-4, KIP-516). Needs Delete on the cluster, or
// Describe and Delete on each topic.
func (b *Broker) handleDeleteTopics(r *request) {
	req := r.msg.(*kmsg.DeleteTopicsRequest)
	resp := kmsg.NewPtrDeleteTopicsResponse()
	if !b.config().Broker().Topics.DeleteEnable {
		b.refuseDeletion(r, req, resp)
		return
	}
	image := b.store.Image()
	all := b.isGranted(r, acl.Delete, acl.Cluster())
	add := func(name *string, id protocol.UUID, err error) {
		out := kmsg.NewDeleteTopicsResponseTopic()
		out.Topic, out.TopicID, out.ErrorCode = name, id, r.errorCode(err)
		out.ErrorMessage = messageOf(err)
		if code := codeOf(err); out.ErrorMessage == nil && code != protocol.None && code != protocol.ErrRequestTimedOut && r.version >= 5 {
			out.ErrorMessage = defaultMessage(code)
		}
		resp.Topics = append(resp.Topics, out)
	}
	var refs []metadata.TopicRef
	asked := topicsToDelete(req)
	named := map[metadata.TopicRef]int{}
	for _, t := range asked {
		if (t.Topic == nil) != (t.TopicID == [16]byte{}) {
			named[topicRef(&t)]++
		}
	}
	for _, t := range asked {
		// What is named more than once is answered once, and stays.
		if n := named[topicRef(&t)]; n < 0 {
			continue
		} else if n > 1 {
			named[topicRef(&t)] = -1
			what := "id"
			if t.Topic != nil {
				what = "name"
			}
			add(t.Topic, t.TopicID, protocol.Errorf(protocol.ErrInvalidRequest, "Duplicate topic %s.", what))
			continue
		}
		switch {
		case t.Topic != nil && t.TopicID != [16]byte{}:
			add(t.Topic, t.TopicID, protocol.Errorf(protocol.ErrInvalidRequest, "You may not specify both topic name and topic id."))
		case t.Topic == nil && t.TopicID == [16]byte{}:
			add(nil, t.TopicID, protocol.Errorf(protocol.ErrInvalidRequest, "Neither topic name nor id were specified."))
		case t.Topic == nil:
			topic := image.TopicByID(t.TopicID)
			switch {
			case topic == nil:
				add(nil, t.TopicID, protocol.ErrUnknownTopicID)
			case !all && !b.authorize(r, acl.Describe, acl.Topic(topic.Name)):
				add(nil, t.TopicID, protocol.ErrTopicAuthorizationFailed)
			case !all && !b.authorize(r, acl.Delete, acl.Topic(topic.Name)):
				add(&topic.Name, t.TopicID, protocol.ErrTopicAuthorizationFailed)
			default:
				if err := r.mutate(strictDeleteTopics, len(topic.Partitions)); err != nil {
					add(&topic.Name, t.TopicID, err)
					continue
				}
				refs = append(refs, metadata.TopicRef{ID: t.TopicID})
			}
		default:
			name := *t.Topic
			switch {
			case !all && !b.authorize(r, acl.Describe, acl.Topic(name)):
				add(t.Topic, t.TopicID, protocol.ErrTopicAuthorizationFailed)
			case name == "":
				add(t.Topic, t.TopicID, protocol.ErrUnknownTopicOrPartition)
			case image.Topic(name) == nil && !all && !b.mayKnow(r, acl.Delete, acl.Topic(name)):
				// Not for the store to look again: it may be there by now.
				add(t.Topic, t.TopicID, protocol.ErrUnknownTopicOrPartition)
			case image.Topic(name) == nil:
				refs = append(refs, metadata.TopicRef{Name: name})
			case !all && !b.authorize(r, acl.Delete, acl.Topic(name)):
				add(t.Topic, protocol.UUID{}, protocol.ErrTopicAuthorizationFailed)
			default:
				if err := r.mutate(strictDeleteTopics, len(image.Topic(name).Partitions)); err != nil {
					add(t.Topic, image.Topic(name).ID, err)
					continue
				}
				refs = append(refs, metadata.TopicRef{Name: name})
			}
		}
	}
	ctx, cancel := b.withTimeout(r, req.TimeoutMillis)
	defer cancel()
	results, err := b.store.DeleteTopics(ctx, refs)
	if err != nil {
		for _, ref := range refs {
			add(optional(ref.Name), ref.ID, err)
		}
	}
	for _, res := range results {
		add(optional(res.Name), res.ID, res.Err)
	}
	r.reply(resp)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// topicsToDelete unites the two forms of the request: names up to v5, topics after.
// topicRef is how a request names a topic.
func topicRef(t *kmsg.DeleteTopicsRequestTopic) metadata.TopicRef {
	if t.Topic != nil {
		return metadata.TopicRef{Name: *t.Topic}
	}
	return metadata.TopicRef{ID: t.TopicID}
}

func topicsToDelete(req *kmsg.DeleteTopicsRequest) []kmsg.DeleteTopicsRequestTopic {
	if req.Version >= 6 {
		return req.Topics
	}
	topics := make([]kmsg.DeleteTopicsRequestTopic, len(req.TopicNames))
	for i := range req.TopicNames {
		topics[i].Topic = &req.TopicNames[i]
	}
	return topics
}

func (b *Broker) refuseDeletion(r *request, req *kmsg.DeleteTopicsRequest, resp *kmsg.DeleteTopicsResponse) {
	code := protocol.ErrTopicDeletionDisabled
	if r.version < 3 {
		code = protocol.ErrInvalidRequest
	}
	for _, t := range topicsToDelete(req) {
		out := kmsg.NewDeleteTopicsResponseTopic()
		out.Topic, out.TopicID, out.ErrorCode = t.Topic, t.TopicID, int16(code)
		out.ErrorMessage = defaultMessage(code)
		resp.Topics = append(resp.Topics, out)
	}
	r.reply(resp)
}

// handleCreatePartitions, key 37, v0-v3 (KIP-195, KIP-599). Needs Alter on each topic.
func (b *Broker) handleCreatePartitions(r *request) {
	req := r.msg.(*kmsg.CreatePartitionsRequest)
	resp := kmsg.NewPtrCreatePartitionsResponse()
	c := metadata.CreatePartitions{ValidateOnly: req.ValidateOnly}
	add := func(topic string, err error) {
		out := kmsg.NewCreatePartitionsResponseTopic()
		out.Topic, out.ErrorCode, out.ErrorMessage = topic, r.errorCode(err), messageOf(err)
		resp.Topics = append(resp.Topics, out)
	}
	for _, t := range req.Topics {
		if !b.authorize(r, acl.Alter, acl.Topic(t.Topic)) {
			add(t.Topic, protocol.ErrTopicAuthorizationFailed)
			continue
		}
		n := metadata.NewPartitions{Topic: t.Topic, Count: t.Count}
		if t.Assignment != nil {
			n.Assignments = [][]int32{} // none is not the same as no word of it
		}
		for _, a := range t.Assignment {
			n.Assignments = append(n.Assignments, a.Replicas)
		}
		if topic := b.store.Image().Topic(t.Topic); topic != nil {
			if err := b.mutateBy(r, strictCreatePartitions, req.ValidateOnly, int(t.Count)-len(topic.Partitions)); err != nil {
				add(t.Topic, err)
				continue
			}
		}
		c.Topics = append(c.Topics, n)
	}
	ctx, cancel := b.withTimeout(r, req.TimeoutMillis)
	defer cancel()
	results, err := b.store.CreatePartitions(ctx, c)
	if err != nil {
		for _, t := range c.Topics {
			add(t.Topic, err)
		}
	}
	for _, res := range results {
		add(res.Topic, res.Err)
	}
	r.reply(resp)
}

// handleDeleteRecords, key 21, v0-v2 (KIP-107): raise the log start offset. Needs Delete
// on each topic.
func (b *Broker) handleDeleteRecords(r *request) {
	req := r.msg.(*kmsg.DeleteRecordsRequest)
	resp := kmsg.NewPtrDeleteRecordsResponse()
	asked := lastAsked(func(yield func(protocol.TopicPartition, int64) bool) {
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				if !yield(protocol.TopicPartition{Topic: t.Topic, Partition: p.Partition}, p.Offset) {
					return
				}
			}
		}
	})
	for _, t := range asked {
		topic := kmsg.NewDeleteRecordsResponseTopic()
		topic.Topic = t.name
		for _, p := range t.partitions {
			out := kmsg.NewDeleteRecordsResponseTopicPartition()
			out.Partition, out.LowWatermark = p.index, -1
			low, err := b.deleteRecords(r, t.name, p.index, p.value)
			if err != nil {
				out.ErrorCode = r.errorCode(err)
			} else {
				out.LowWatermark = low
			}
			topic.Partitions = append(topic.Partitions, out)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	r.reply(resp)
}

func (b *Broker) deleteRecords(r *request, topic string, n int32, offset int64) (int64, error) {
	if !b.authorize(r, acl.Delete, acl.Topic(topic)) {
		return -1, protocol.ErrTopicAuthorizationFailed
	}
	partition := b.replicas.Get(topic, n)
	if partition == nil {
		return -1, protocol.ErrUnknownTopicOrPartition
	}
	if isInternal(topic) {
		return -1, protocol.ErrInvalidTopicException
	}
	l, _, err := partition.Leader(-1)
	if err != nil {
		return -1, err
	}
	if !l.Config().Delete {
		return -1, protocol.ErrPolicyViolation
	}
	if offset < -1 || offset > l.HighWatermark() {
		return -1, protocol.ErrOffsetOutOfRange
	}
	low, err := l.DeleteRecordsTo(offset)
	if err == nil {
		partition.Wake() // a fetch may wait below the new start
	}
	return low, err
}
