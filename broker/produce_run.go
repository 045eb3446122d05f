package broker

import (
	"context"
	"log/slog"
	"sync"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/broker/quota"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/replication"
)

// produceRun is Produce requests of one connection that came in one read, follow each other
// and go to the same partition. They are begun and answered in order like all others, but
// appended together, once the read holds no further request that belongs to them. A client
// that keeps several small requests in flight so pays for one append.
//
// The requests' bodies lie in the connection's buffer: a run ends before that is moved.
type produceRun struct {
	partition *replication.Partition
	acks      int16
	produces  []*produce
	group     []log.GroupAppend
	answered  []*request
}

// maxRun bounds the requests of a run, and with them the time until the first is answered.
const maxRun = 64

var runs = sync.Pool{New: func() any { return new(produceRun) }}

// target is the partition that a connection produced to last: most connections have few,
// and the metadata changes rarely. It holds no image, which an idle connection would keep
// in memory.
type target struct {
	version   int64 // of the image that topic is of
	topic     *metadata.Topic
	index     int32
	partition *replication.Partition
}

// isOf says whether the target's topic is of an image.
func (t *target) isOf(image *metadata.Image) bool {
	return t.topic != nil && t.version == image.Version()
}

// topicOf returns the topic that a client names, or nil.
func (t *target) topicOf(image *metadata.Image, version int16, asked *protocol.ProduceTopic) *metadata.Topic {
	if version >= 13 {
		if t.isOf(image) && t.topic.ID == asked.ID {
			return t.topic
		}
		return image.TopicByID(asked.ID)
	}
	if t.isOf(image) && t.topic.Name == string(asked.Name) {
		return t.topic
	}
	return image.TopicBytes(asked.Name)
}

// partitionOf returns a partition of a topic of the image, or nil if it is not here.
func (t *target) partitionOf(b *Broker, image *metadata.Image, topic *metadata.Topic, index int32) *replication.Partition {
	if t.isOf(image) && t.topic == topic && t.index == index {
		return t.partition
	}
	partition := b.replicas.Get(topic.Name, index)
	if partition != nil {
		*t = target{image.Version(), topic, index, partition}
	}
	return partition
}

// joinRun holds a request back to be appended with those around it, if it is of that kind.
func (c *conn) joinRun(p *produce) bool {
	if c.run == nil && !c.hasFrame() || len(p.req.Topics) != 1 || len(p.req.Topics[0].Partitions) != 1 || c.slab == nil {
		return false
	}
	if p.req.Acks != 1 && p.req.Acks != -1 {
		return false // an error of acks=0 ends the connection before the next request
	}
	b, r := c.b, p.r
	if limits := b.quotas.Limits(); limits.Any(quota.Produce) || limits.Any(quota.Request) {
		return false // an answer may silence the connection for the next request
	}
	if b.acls != nil && b.logger.Enabled(context.Background(), slog.LevelDebug) {
		return false // decisions are logged
	}
	image := b.store.Image()
	asked := &p.req.Topics[0]
	topic := c.target.topicOf(image, r.version, asked)
	if topic == nil || isInternal(topic.Name) || !b.isGranted(r, acl.Write, acl.Topic(topic.Name)) {
		return false // what is refused is reported, in dry run too
	}
	records := asked.Partitions[0].Records
	if records == nil || protocol.MayBeTransactional(records) || protocol.CheckFirstBatch(records) != nil {
		return false
	}
	partition := c.target.partitionOf(b, image, topic, asked.Partitions[0].Index)
	if partition == nil {
		return false
	}
	if run := c.run; run != nil && (run.partition != partition || run.acks != p.req.Acks || len(run.produces) == maxRun) {
		c.appendRun()
		if !c.hasFrame() {
			return false
		}
	}
	if c.run == nil {
		c.run = runs.Get().(*produceRun)
		c.run.partition, c.run.acks = partition, p.req.Acks
	}
	p.resp.AddTopic(topic.Name, topic.ID)
	p.resp.AddPartition(asked.Partitions[0].Index)
	c.run.produces = append(c.run.produces, p)
	c.run.group = append(c.run.group, log.GroupAppend{Records: records, Options: log.AppendOptions{LeaderEpoch: -1, RequestVersion: r.version}})
	return true
}

// appendRun appends the run, if there is one, and answers its requests.
func (c *conn) appendRun() {
	run := c.run
	if run == nil {
		return
	}
	c.run = nil
	run.partition.AppendGroup(run.group, run.acks)
	bytes, records := 0, 0
	for i, p := range run.produces {
		a := &run.group[i]
		out := &p.resp.Partitions[0]
		if err := p.appended(run.partition, &a.Info, a.Err, out); err != nil {
			p.fail(out, err, len(a.Records))
			c.target = target{} // it may be no more
		} else if !a.Info.Duplicate {
			bytes, records = bytes+a.Info.Size, records+a.Info.RecordCount
		}
	}
	c.b.metrics.bytesIn.Add(int64(bytes))
	c.b.metrics.messagesIn.Add(int64(records))
	for _, p := range run.produces {
		if len(p.waits) > 0 {
			p.wait()
			continue
		}
		r := p.r // encode lets go of p
		p.encode()
		run.answered = append(run.answered, r)
	}
	c.completeAll(run.answered)
	run.release()
}

func (r *produceRun) release() {
	clear(r.produces)
	clear(r.group)
	clear(r.answered)
	*r = produceRun{produces: r.produces[:0], group: r.group[:0], answered: r.answered[:0]}
	runs.Put(r)
}
