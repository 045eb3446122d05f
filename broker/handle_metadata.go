package broker

import (
	"slices"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/broker/audit"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleMetadata, key 3, v0-v13 (KIP-4, KIP-430, KIP-516): brokers and topics, and topics
// made on the way. Needs Describe on each topic, Create on the cluster or the topic to
// make one.
//
// A topic that is made here is named with its leader in the same answer, which Apache
// cannot do: clients of 2015 give up on anything else. Only for a name that was deleted
// before does the first answer, from v1 on, say that the topic is gone.
func (b *Broker) handleMetadata(r *request) {
	req := r.msg.(*kmsg.MetadataRequest)
	resp := kmsg.NewPtrMetadataResponse()
	for _, t := range req.Topics {
		noName := t.Topic == nil
		if r.version < 12 && (noName || r.version >= 10 && t.TopicID != [16]byte{}) {
			b.replyMetadataError(r, protocol.ErrInvalidRequest, req)
			return
		}
		if r.version >= 12 && noName && t.TopicID == [16]byte{} && !anyTopicID(req.Topics) {
			b.replyMetadataError(r, protocol.ErrUnknownServerError, req)
			return
		}
	}
	image := b.store.Image()
	all := req.Topics == nil || r.version == 0 && len(req.Topics) == 0
	switch {
	case all:
		for t := range image.Topics() {
			if b.mayKnow(r, acl.Describe, acl.Topic(t.Name)) {
				resp.Topics = append(resp.Topics, b.metadataTopic(r, image, t))
			}
		}
	case r.version >= 12 && anyTopicID(req.Topics):
		seen := make(map[protocol.UUID]bool, len(req.Topics))
		for _, asked := range req.Topics {
			if asked.TopicID != [16]byte{} && !seen[asked.TopicID] { // names are ignored beside ids
				seen[asked.TopicID] = true
				resp.Topics = append(resp.Topics, b.metadataByID(r, image, asked.TopicID))
			}
		}
	default:
		image = b.metadataByName(r, image, req, resp)
	}
	b.addBrokers(r, image, resp)
	cluster := image.ClusterID()
	resp.ClusterID, resp.ControllerID = &cluster, image.ControllerID()
	resp.AuthorizedOperations = operationsNotAsked
	if r.version >= 8 && r.version <= 10 && req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = 0
		if b.authorize(r, acl.Describe, acl.Cluster()) {
			resp.AuthorizedOperations = b.authorizedOperations(r, acl.Cluster())
		}
	}
	if r.version >= 8 && req.IncludeTopicAuthorizedOperations {
		for i := range resp.Topics {
			t := &resp.Topics[i]
			if t.Topic != nil && t.ErrorCode != int16(protocol.ErrTopicAuthorizationFailed) {
				t.AuthorizedOperations = b.authorizedOperations(r, acl.Topic(*t.Topic))
			}
		}
	}
	r.reply(resp)
}

func anyTopicID(topics []kmsg.MetadataRequestTopic) bool {
	for _, t := range topics {
		if t.TopicID != [16]byte{} {
			return true
		}
	}
	return false
}

// replyMetadataError answers a request that is wrong as a whole. Apache names no brokers
// then.
func (b *Broker) replyMetadataError(r *request, code protocol.ErrorCode, req *kmsg.MetadataRequest) {
	resp := kmsg.NewPtrMetadataResponse()
	resp.AuthorizedOperations = operationsNotAsked
	resp.ControllerID = -1
	resp.ErrorCode = int16(code) // v13 has a place for it
	for _, asked := range req.Topics {
		t := newMetadataTopic()
		t.Topic, t.TopicID, t.ErrorCode = asked.Topic, asked.TopicID, int16(code)
		if t.Topic == nil {
			empty := ""
			t.Topic = &empty
		}
		resp.Topics = append(resp.Topics, t)
	}
	r.reply(resp)
}

func newMetadataTopic() kmsg.MetadataResponseTopic {
	t := kmsg.NewMetadataResponseTopic()
	t.AuthorizedOperations = operationsNotAsked
	return t
}

func (b *Broker) metadataByID(r *request, image *metadata.Image, id protocol.UUID) kmsg.MetadataResponseTopic {
	topic := image.TopicByID(id)
	if topic == nil {
		t := newMetadataTopic()
		t.TopicID, t.ErrorCode = id, int16(protocol.ErrUnknownTopicID)
		return t
	}
	if !b.authorize(r, acl.Describe, acl.Topic(topic.Name)) {
		t := newMetadataTopic()
		t.TopicID, t.ErrorCode = id, int16(protocol.ErrTopicAuthorizationFailed)
		return t
	}
	return b.metadataTopic(r, image, topic)
}

// metadataByName answers for topics by name and makes those that may be made. It returns
// the image that has them.
func (b *Broker) metadataByName(r *request, image *metadata.Image, req *kmsg.MetadataRequest, resp *kmsg.MetadataResponse) *metadata.Image {
	mayCreate := (r.version < 4 || req.AllowAutoTopicCreation) && b.config().Broker().Topics.AutoCreateEnable
	failed := map[string]protocol.ErrorCode{}
	var missing []string
	for _, asked := range req.Topics {
		name := *asked.Topic
		switch {
		case !b.authorize(r, acl.Describe, acl.Topic(name)):
			failed[name] = protocol.ErrTopicAuthorizationFailed
		case image.Topic(name) != nil:
		case metadata.InvalidTopicName(name) != "":
			failed[name] = protocol.ErrInvalidTopicException
		case !mayCreate:
			failed[name] = protocol.ErrUnknownTopicOrPartition
		case !b.isGranted(r, acl.Create, acl.Cluster()) && !b.authorize(r, acl.Create, acl.Topic(name)):
			failed[name] = protocol.ErrTopicAuthorizationFailed
		default:
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		if r.version > 0 {
			for _, name := range missing {
				if b.deleted.has(name) {
					failed[name] = protocol.ErrUnknownTopicOrPartition
				}
			}
		}
		for name, code := range b.createOnDemand(r, missing) {
			failed[name] = code
		}
		image = b.store.Image()
	}
	// Topics that are there come first, as in Apache's answers.
	slices.SortStableFunc(req.Topics, func(a, c kmsg.MetadataRequestTopic) int {
		known := func(name string) bool { return image.Topic(name) != nil && failed[name] == protocol.None }
		return boolToInt(known(*c.Topic)) - boolToInt(known(*a.Topic))
	})
	seen := map[string]bool{}
	for _, asked := range req.Topics {
		name := *asked.Topic
		if seen[name] {
			continue
		}
		seen[name] = true
		if topic := image.Topic(name); topic != nil && failed[name] == protocol.None {
			resp.Topics = append(resp.Topics, b.metadataTopic(r, image, topic))
			continue
		}
		t := newMetadataTopic()
		t.Topic, t.ErrorCode, t.IsInternal = &name, int16(failed[name]), isInternal(name)
		if t.ErrorCode == 0 {
			t.ErrorCode = int16(protocol.ErrLeaderNotAvailable)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return image
}

// createOnDemand is autoCreate for a request, on record. It returns the codes of topics that
// are not made.
func (b *Broker) createOnDemand(r *request, names []string) map[string]protocol.ErrorCode {
	if b.audit.FailClosed() && b.auditCreation(r, audit.Begun, names) != nil {
		failed := map[string]protocol.ErrorCode{}
		for _, name := range names {
			failed[name] = protocol.ErrUnknownTopicOrPartition
		}
		return failed
	}
	failed := b.autoCreate(r.ctx(), names)
	b.auditCreation(r, audit.Succeeded, slices.DeleteFunc(names, func(name string) bool { return failed[name] != protocol.None }))
	return failed
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// metadataTopic describes a topic as the asker's listener sees it.
func (b *Broker) metadataTopic(r *request, image *metadata.Image, topic *metadata.Topic) kmsg.MetadataResponseTopic {
	t := newMetadataTopic()
	t.Topic, t.TopicID, t.IsInternal = &topic.Name, topic.ID, isInternal(topic.Name)
	t.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(topic.Partitions))
	for n, p := range topic.Partitions {
		out := kmsg.NewMetadataResponseTopicPartition()
		out.Partition, out.Leader, out.LeaderEpoch = int32(n), p.Leader, p.LeaderEpoch
		out.Replicas, out.ISR = p.Replicas, p.ISR
		for _, id := range p.Replicas {
			if !image.IsAlive(id) || p.Directory(id) == metadata.DirectoryLost {
				out.OfflineReplicas = append(out.OfflineReplicas, id)
			}
		}
		out.ErrorCode = int16(b.leaderError(r, image, p))
		if out.ErrorCode != 0 {
			out.Leader = -1
		}
		if r.version == 0 {
			if alive := onlyAlive(image, p.Replicas); len(alive) < len(p.Replicas) {
				out.Replicas = alive
				if out.ErrorCode == 0 {
					out.ErrorCode = int16(protocol.ErrReplicaNotAvailable)
				}
			}
			out.ISR = onlyAlive(image, p.ISR)
		}
		t.Partitions[n] = out
	}
	return t
}

// leaderError says why a client cannot use the leader of a partition.
func (b *Broker) leaderError(r *request, image *metadata.Image, p *metadata.Partition) protocol.ErrorCode {
	if p.Leader == metadata.NoLeader || !image.IsAlive(p.Leader) {
		return protocol.ErrLeaderNotAvailable
	}
	if _, ok := image.Broker(p.Leader).Endpoint(r.session.listener.name); !ok {
		if r.key == protocol.KeyMetadata && r.version < 6 {
			return protocol.ErrLeaderNotAvailable
		}
		return protocol.ErrListenerNotFound
	}
	return protocol.None
}

func onlyAlive(image *metadata.Image, ids []int32) []int32 {
	alive := make([]int32, 0, len(ids))
	for _, id := range ids {
		if image.IsAlive(id) {
			alive = append(alive, id)
		}
	}
	return alive
}

// addBrokers lists the live brokers that have the asker's listener.
func (b *Broker) addBrokers(r *request, image *metadata.Image, resp *kmsg.MetadataResponse) {
	for _, broker := range image.Brokers() {
		e, ok := broker.Endpoint(r.session.listener.name)
		if !ok || broker.Fenced {
			continue
		}
		out := kmsg.NewMetadataResponseBroker()
		out.NodeID, out.Host, out.Port, out.Rack = broker.ID, e.Host, e.Port, rackOf(broker)
		resp.Brokers = append(resp.Brokers, out)
	}
}

func rackOf(broker *metadata.Broker) *string {
	if broker.Rack == "" {
		return nil
	}
	return &broker.Rack
}
