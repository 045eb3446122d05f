package broker

import (
	"strconv"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// futureDirExtra is what the directory of a replica that is being moved has in its name
// beside topic and partition: two separators, a UUID without dashes, and "-future".
const futureDirExtra = 1 + 1 + 32 + 7

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// handleDescribeLogDirs, key 35, v0-v5 (KIP-113, KIP-827, KIP-1066): what is in the data
// directories. Needs Describe on the cluster.
func (b *Broker) handleDescribeLogDirs(r *request) {
	req := r.msg.(*kmsg.DescribeLogDirsRequest)
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	if !b.authorize(r, acl.Describe, acl.Cluster()) {
		resp.ErrorCode = int16(protocol.ErrClusterAuthorizationFailed)
		r.reply(resp)
		return
	}
	wanted := map[protocol.TopicPartition]bool{}
	for _, t := range req.Topics {
		for _, n := range t.Partitions {
			wanted[protocol.TopicPartition{Topic: t.Topic, Partition: n}] = true
		}
	}
	byDir := map[string][]*log.Log{}
	for l := range b.logs.Logs() {
		if req.Topics != nil && !wanted[l.Partition()] {
			continue
		}
		byDir[l.DataDir()] = append(byDir[l.DataDir()], l)
		if future := b.logs.Future(l.Partition()); future != nil {
			byDir[future.DataDir()] = append(byDir[future.DataDir()], future)
		}
	}
	for _, d := range b.logs.Dirs() {
		out := kmsg.NewDescribeLogDirsResponseDir()
		out.Dir, out.TotalBytes, out.UsableBytes = d.Path, -1, -1
		if d.Err != nil {
			out.ErrorCode = int16(protocol.ErrKafkaStorageError)
			resp.Dirs = append(resp.Dirs, out)
			continue
		}
		out.TotalBytes, out.UsableBytes = d.Total, d.Usable
		topics := map[string]int{}
		for _, l := range byDir[d.Path] {
			tp := l.Partition()
			i, ok := topics[tp.Topic]
			if !ok {
				i = len(out.Topics)
				topics[tp.Topic] = i
				t := kmsg.NewDescribeLogDirsResponseDirTopic()
				t.Topic = tp.Topic
				out.Topics = append(out.Topics, t)
			}
			p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
			p.Partition, p.Size, p.IsFuture = tp.Partition, l.Size(), l.IsFuture()
			if l.IsFuture() {
				if current := b.logs.Get(tp); current != nil {
					p.OffsetLag = current.LogEndOffset() - l.LogEndOffset()
				}
			} else {
				p.OffsetLag = max(l.HighWatermark()-l.LogEndOffset(), 0)
			}
			out.Topics[i].Partitions = append(out.Topics[i].Partitions, p)
		}
		resp.Dirs = append(resp.Dirs, out)
	}
	r.reply(resp)
}

// handleAlterReplicaLogDirs, key 34, v0-v2 (KIP-113): move replicas between data
// directories. Needs Alter on the cluster.
func (b *Broker) handleAlterReplicaLogDirs(r *request) {
	req := r.msg.(*kmsg.AlterReplicaLogDirsRequest)
	resp := kmsg.NewPtrAlterReplicaLogDirsResponse()
	allowed := b.authorize(r, acl.Alter, acl.Cluster())
	asked := lastAsked(func(yield func(protocol.TopicPartition, string) bool) {
		for _, d := range req.Dirs {
			for _, t := range d.Topics {
				for _, n := range t.Partitions {
					if !yield(protocol.TopicPartition{Topic: t.Topic, Partition: n}, d.Dir) {
						return
					}
				}
			}
		}
	})
	for _, t := range asked {
		topic := kmsg.NewAlterReplicaLogDirsResponseTopic()
		topic.Topic = t.name
		for _, p := range t.partitions {
			out := kmsg.NewAlterReplicaLogDirsResponseTopicPartition()
			out.Partition = p.index
			switch {
			case !allowed:
				out.ErrorCode = int16(protocol.ErrClusterAuthorizationFailed)
			case len(t.name)+len(itoa(int64(p.index)))+futureDirExtra > 255:
				out.ErrorCode = int16(protocol.ErrInvalidTopicException) // for a name of a directory
			default:
				out.ErrorCode = r.errorCode(b.moves.start(protocol.TopicPartition{Topic: t.name, Partition: p.index}, p.value))
			}
			topic.Partitions = append(topic.Partitions, out)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	r.reply(resp)
}
