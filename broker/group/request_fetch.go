package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// OffsetFetch serves OffsetFetch v0-v10. groups is asked for every group. topics is asked
// for every topic named, where 29 and 100 go to all partitions of the topic and 3 is
// ignored (but answered in v0), and for every committed topic when all are asked for:
// there topics with 29 are left out, and in v10 those without an id.
func (c *Coordinator) OffsetFetch(rc RequestContext, req *kmsg.OffsetFetchRequest, groups GroupFilter, topics TopicLookup, done func(*kmsg.OffsetFetchResponse)) {
	resp := kmsg.NewPtrOffsetFetchResponse()
	resp.Version = req.Version
	var again named
	if req.Version >= 8 {
		resp.Groups = make([]kmsg.OffsetFetchResponseGroup, len(req.Groups))
		for i := range req.Groups {
			c.fetchGroup(req, &req.Groups[i], groups, topics, &again, &resp.Groups[i])
		}
	} else {
		c.fetchOne(req, groups, topics, &again, resp)
	}
	done(resp)
}

// fetchOne serves the versions that ask for one group, in terms of those that ask for many.
func (c *Coordinator) fetchOne(req *kmsg.OffsetFetchRequest, groups GroupFilter, topics TopicLookup, again *named, resp *kmsg.OffsetFetchResponse) {
	asked := kmsg.OffsetFetchRequestGroup{Group: req.Group}
	if req.Topics != nil || req.Version < 2 { // null, for all topics, came with v2
		asked.Topics = make([]kmsg.OffsetFetchRequestGroupTopic, len(req.Topics))
		for i := range req.Topics {
			asked.Topics[i].Topic, asked.Topics[i].Partitions = req.Topics[i].Topic, req.Topics[i].Partitions
		}
	}
	var out kmsg.OffsetFetchResponseGroup
	c.fetchGroup(req, &asked, groups, topics, again, &out)
	if out.ErrorCode != 0 && req.Version < 2 { // no place for it but the partitions
		for i := range asked.Topics {
			t := kmsg.OffsetFetchResponseGroupTopic{Topic: asked.Topics[i].Topic}
			for _, p := range asked.Topics[i].Partitions {
				t.Partitions = append(t.Partitions, fetchedPartition(p, fetched{offset: -1, leaderEpoch: -1, code: protocol.ErrorCode(out.ErrorCode)}))
			}
			out.Topics = append(out.Topics, t)
		}
		out.ErrorCode = 0
	}
	resp.ErrorCode = out.ErrorCode
	resp.Topics = make([]kmsg.OffsetFetchResponseTopic, len(out.Topics))
	for i := range out.Topics {
		from, to := &out.Topics[i], &resp.Topics[i]
		to.Topic = from.Topic
		to.Partitions = make([]kmsg.OffsetFetchResponseTopicPartition, len(from.Partitions))
		for j, p := range from.Partitions {
			to.Partitions[j] = kmsg.OffsetFetchResponseTopicPartition{
				Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: p.Metadata, ErrorCode: p.ErrorCode,
			}
		}
	}
}

func (c *Coordinator) fetchGroup(req *kmsg.OffsetFetchRequest, asked *kmsg.OffsetFetchRequestGroup, groups GroupFilter,
	topics TopicLookup, again *named, out *kmsg.OffsetFetchResponseGroup) {
	out.Group = asked.Group
	code := groups.check(asked.Group)
	if code == protocol.None {
		s, shardCode := c.shardOf(asked.Group)
		switch {
		case shardCode != protocol.None:
			code = shardCode
		case asked.Topics == nil:
			code = s.fetchAll(req, asked.Group, topics, again, out)
		default:
			code = s.fetchNamed(req, asked, topics, again, out)
		}
	}
	if code != protocol.None {
		out.ErrorCode, out.Topics = int16(code), nil
	}
}

func (s *shard) fetchNamed(req *kmsg.OffsetFetchRequest, asked *kmsg.OffsetFetchRequestGroup, topics TopicLookup, again *named, out *kmsg.OffsetFetchResponseGroup) protocol.ErrorCode {
	found := make([]Topic, len(asked.Topics)) // looked up without the lock: it is the caller's code
	for i := range asked.Topics {
		found[i] = lookUp(topics, req.Version >= 10, asked.Topics[i].Topic, asked.Topics[i].TopicID)
	}
	out.Topics = make([]kmsg.OffsetFetchResponseGroupTopic, len(asked.Topics))
	return s.read(func(core *core) {
		g := core.groups[asked.Group]
		for i := range asked.Topics {
			a, t, o := &asked.Topics[i], &found[i], &out.Topics[i]
			o.Topic, o.TopicID = a.Topic, a.TopicID
			o.Partitions = make([]kmsg.OffsetFetchResponseGroupTopicPartition, len(a.Partitions))
			name := a.Topic
			if req.Version >= 10 {
				name = t.Name
			}
			for j, partition := range a.Partitions {
				var f fetched
				p := partitionKey{topic: name, partition: partition}
				switch {
				case t.Err != protocol.None && (t.Err != protocol.ErrUnknownTopicOrPartition || req.Version == 0):
					f = fetched{offset: -1, leaderEpoch: -1, code: t.Err}
				case req.Version == 0:
					f = core.fetchZooKeeper(asked.Group, p)
				default:
					f = g.fetch(p, req.RequireStable)
				}
				if f.metadata != "" {
					if again.refusesPartition(asked.Group, p) {
						f = fetched{offset: -1, leaderEpoch: -1, code: protocol.ErrInvalidRequest}
					}
					again.Spend(len(f.metadata))
				}
				o.Partitions[j] = fetchedPartition(partition, f)
			}
		}
	})
}

// fetchAll answers for every partition that the group has committed.
func (s *shard) fetchAll(req *kmsg.OffsetFetchRequest, groupID string, topics TopicLookup, again *named, out *kmsg.OffsetFetchResponseGroup) protocol.ErrorCode {
	if again.refusesGroup(groupID) {
		return protocol.ErrInvalidRequest
	}
	var partitions []partitionKey
	var offsets []fetched
	code := s.read(func(core *core) {
		g := core.groups[groupID]
		partitions = g.committedPartitions()
		for _, p := range partitions {
			offsets = append(offsets, g.fetch(p, req.RequireStable))
		}
	})
	out.Topics = []kmsg.OffsetFetchResponseGroupTopic{}
	var topic Topic
	for i, p := range partitions {
		if i == 0 || partitions[i-1].topic != p.topic {
			topic = topics(p.topic, protocol.UUID{})
			if topic.shown(req.Version) {
				out.Topics = append(out.Topics, kmsg.OffsetFetchResponseGroupTopic{Topic: p.topic, TopicID: topic.ID})
			}
		}
		if topic.shown(req.Version) {
			o := &out.Topics[len(out.Topics)-1]
			o.Partitions = append(o.Partitions, fetchedPartition(p.partition, offsets[i]))
			again.Spend(fetchedOverhead + len(offsets[i].metadata))
		}
	}
	return code
}

// shown says whether a topic has a place in an answer about all topics.
func (t *Topic) shown(version int16) bool {
	return t.Err != protocol.ErrTopicAuthorizationFailed && (version < 10 || !t.ID.IsZero())
}

// fetchedOverhead is about what a partition takes in an answer besides its metadata.
const fetchedOverhead = 64

func fetchedPartition(partition int32, f fetched) kmsg.OffsetFetchResponseGroupTopicPartition {
	return kmsg.OffsetFetchResponseGroupTopicPartition{
		Partition: partition, Offset: f.offset, LeaderEpoch: f.leaderEpoch, Metadata: &f.metadata, ErrorCode: int16(f.code),
	}
}
