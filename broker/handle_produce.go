package broker

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/broker/quota"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/replication"
)

// produce is one Produce request under way. It is reused.
type produce struct {
	b    *Broker
	r    *request
	req  protocol.ProduceRequest
	resp protocol.ProduceResponse

	failed  bool          // some partition got an error
	waits   []produceWait // partitions whose acknowledgement has to wait
	left    atomic.Int32  // of waits, plus one while begin is at work
	expired timer
	mu      sync.Mutex // guards resp and answered while waits complete
	ended   bool
}

// produceWait is one partition that has been written and not yet replicated or synced.
type produceWait struct {
	partition *replication.Partition
	index     int // in resp.Partitions
	ack       replication.Acknowledgement
}

var produces = sync.Pool{New: func() any { return new(produce) }}

// handleProduce, key 0, v0-v13 (KIP-98, KIP-467, KIP-516): append records. Needs Write on
// each topic, and Write on the transactional id if there is one.
func (b *Broker) handleProduce(r *request) {
	p := produces.Get().(*produce)
	p.b, p.r = b, r
	if err := p.req.Decode(r.version, r.body, int(min(b.admitted.limit, 1<<31-1))); err != nil {
		p.release()
		r.hangUp(err.Error())
		return
	}
	r.use(quota.Produce, float64(len(r.body)))
	if r.conn.joinRun(p) {
		return
	}
	r.conn.appendRun()
	p.begin()
}

func (p *produce) release() {
	p.req.Reset()
	p.resp.Reset()
	clear(p.waits)
	p.waits = p.waits[:0]
	p.b, p.r, p.failed, p.ended = nil, nil, false, false
	produces.Put(p)
}

// begin appends to every partition. What can be answered at once is.
func (p *produce) begin() {
	image := p.b.store.Image()
	unreadable := p.unreadable()
	if unreadable == nil && p.r.version >= 3 && p.r.version < 7 {
		unreadable = p.unknownCodec(image)
	}
	deniedTxn := unreadable == nil && p.transactionDenied()
	for t := range p.req.Topics {
		asked := &p.req.Topics[t]
		if len(asked.Partitions) == 0 {
			continue // Apache does not answer for it either
		}
		topic, name, id, refusal := p.b.produceTopic(p.r, image, asked)
		p.resp.AddTopic(name, id)
		if deniedTxn {
			refusal = protocol.ErrTransactionalIDAuthorizationFailed
		}
		for i := range asked.Partitions {
			out := p.resp.AddPartition(asked.Partitions[i].Index)
			err := error(refusal)
			if unreadable != nil {
				err = unreadable
			} else if refusal == protocol.None {
				err = p.append(image, topic, &asked.Partitions[i], out)
			}
			if err != nil {
				p.fail(out, err, len(asked.Partitions[i].Records))
				p.r.conn.target = target{} // it may be no more
			}
		}
	}
	if p.req.Acks == 0 {
		p.answerNothing()
		return
	}
	if len(p.waits) == 0 {
		p.answer()
		return
	}
	p.wait()
}

// produceTopic finds the topic that a client names and says why not to append to it.
func (b *Broker) produceTopic(r *request, image *metadata.Image, asked *protocol.ProduceTopic) (topic *metadata.Topic, name string, id protocol.UUID, refusal protocol.ErrorCode) {
	topic = r.conn.target.topicOf(image, r.version, asked)
	switch {
	case topic != nil:
		if !b.authorize(r, acl.Write, acl.Topic(topic.Name)) {
			refusal = protocol.ErrTopicAuthorizationFailed
		}
		return topic, topic.Name, topic.ID, refusal
	case r.version >= 13:
		return nil, "", asked.ID, protocol.ErrUnknownTopicID
	}
	name = string(asked.Name)
	if !b.authorize(r, acl.Write, acl.Topic(name)) {
		return nil, name, id, protocol.ErrTopicAuthorizationFailed
	}
	return nil, name, id, protocol.ErrUnknownTopicOrPartition
}

// unreadable says why no partition of the request can be written: one of them begins with
// something that is no batch. Apache finds that out when it looks for transactional
// batches, before anything else, and fails as a whole.
func (p *produce) unreadable() error {
	for t := range p.req.Topics {
		for i := range p.req.Topics[t].Partitions {
			asked := &p.req.Topics[t].Partitions[i]
			if err := protocol.CheckFirstBatch(asked.Records); err != nil {
				return err
			}
			if isTransactional(asked.Records) {
				return nil // Apache stops looking at the first
			}
		}
	}
	return nil
}

// unknownCodec is the error with which Apache fails a whole request of v3 to v6 that has a
// batch with a codec that there is not, for a partition that there is. Later versions are
// judged by the log, and each partition for itself.
func (p *produce) unknownCodec(image *metadata.Image) error {
	for t := range p.req.Topics {
		asked := &p.req.Topics[t]
		for i := range asked.Partitions {
			records := asked.Partitions[i].Records
			if !protocol.HasUnknownCodec(records) {
				continue
			}
			topic, _, _, refusal := p.b.produceTopic(p.r, image, asked)
			if refusal != protocol.None || p.r.conn.target.partitionOf(p.b, image, topic, asked.Partitions[i].Index) == nil {
				continue
			}
			if err := protocol.CheckProduceShape(records, p.r.version); codeOf(err) == protocol.ErrUnknownServerError {
				return err
			}
		}
	}
	return nil
}

// transactionDenied says whether a transactional batch stands in the request whose
// producer may not use the transactional id.
func (p *produce) transactionDenied() bool {
	for t := range p.req.Topics {
		for i := range p.req.Topics[t].Partitions {
			if !isTransactional(p.req.Topics[t].Partitions[i].Records) {
				continue
			}
			return p.req.TransactionalID == nil ||
				!p.b.authorize(p.r, acl.Write, acl.TransactionalID(string(p.req.TransactionalID)))
		}
	}
	return false
}

func isTransactional(records []byte) bool {
	if !protocol.MayBeTransactional(records) {
		return false
	}
	h, err := protocol.ParseRecordBatch(records)
	return err == nil && h.IsTransactional()
}

// append writes one partition's records.
func (p *produce) append(image *metadata.Image, topic *metadata.Topic, asked *protocol.ProducePartition, out *protocol.ProduceResponsePartition) error {
	partition := p.r.conn.target.partitionOf(p.b, image, topic, asked.Index)
	if partition == nil {
		return protocol.ErrUnknownTopicOrPartition
	}
	if asked.Records == nil {
		return protocol.Errorf(protocol.ErrInvalidRecord, "The records of partition %d are null.", asked.Index)
	}
	if p.req.Acks < -1 || p.req.Acks > 1 {
		if err := protocol.CheckProduceShape(asked.Records, p.r.version); err != nil {
			return err
		}
		return protocol.ErrInvalidRequiredAcks
	}
	if isInternal(topic.Name) && p.r.clientID != adminClientID {
		if err := protocol.CheckProduceShape(asked.Records, p.r.version); err != nil {
			return err
		}
		return protocol.ErrInvalidTopicException
	}
	if isTransactional(asked.Records) {
		// No transaction has been opened here, so the partition is in none.
		if p.r.version >= 11 {
			return protocol.ErrTransactionAbortable
		}
		return protocol.ErrInvalidTxnState
	}
	info, err := partition.Append(asked.Records, p.req.Acks, log.AppendOptions{LeaderEpoch: -1, RequestVersion: p.r.version})
	if err == nil && !info.Duplicate {
		p.b.metrics.bytesIn.Add(int64(info.Size))
		p.b.metrics.messagesIn.Add(int64(info.RecordCount))
	}
	return p.appended(partition, &info, err, out)
}

// appended puts what an append came to into a partition's answer, but an error, which it
// returns.
func (p *produce) appended(partition *replication.Partition, info *log.AppendInfo, err error, out *protocol.ProduceResponsePartition) error {
	if err != nil {
		if l, logErr := partition.Log(); logErr == nil && refusedByLog(err) {
			out.LogStartOffset = l.LogStartOffset()
		}
		return err
	}
	out.BaseOffset, out.LogAppendTimeMs, out.LogStartOffset = info.FirstOffset, info.LogAppendTime, info.LogStartOffset
	if p.r.version < 3 {
		p.b.metrics.produceConversion.Add(1) // a message set, stored as a batch
	}
	l, err := partition.Log()
	if err != nil {
		return err
	}
	if p.req.Acks == 0 || info.LastOffset < 0 {
		return nil
	}
	// A batch that was here already may not have been synced when it came first.
	ack := replication.Acknowledgement{
		Offset: info.LastOffset + 1, Replicated: p.req.Acks == -1, Synced: info.MustSync || l.Config().SyncBeforeAck(),
	}
	if !partition.CanAcknowledge(ack) {
		p.waits = append(p.waits, produceWait{partition: partition, index: len(p.resp.Partitions) - 1, ack: ack})
	}
	return nil
}

// fail puts the error of so many bytes of records into a partition's answer.
func (p *produce) fail(out *protocol.ProduceResponsePartition, err error, size int) {
	p.failed = true
	p.b.metrics.failedProduce.Add(1)
	out.ErrorCode = codeOf(err)
	if out.ErrorCode == protocol.ErrMessageTooLarge {
		p.b.metrics.bytesRejected.Add(int64(size))
	}
	if out.ErrorCode == protocol.ErrUnknownServerError || out.ErrorCode == protocol.ErrKafkaStorageError {
		p.b.logger.Error("produce failed", "partition", out.Index, "clientId", p.r.clientID, "err", err)
	}
	var invalid *protocol.InvalidRecordsError
	if errors.As(err, &invalid) {
		out.RecordErrors = invalid.Records
		out.ErrorMessage = invalid.Err.Message
	}
	var shape *protocol.ShapeError
	if errors.As(err, &shape) && shape.Err.Code == protocol.ErrCorruptMessage {
		out.ErrorMessage = shape.Err.Message
	}
	if out.ErrorCode == protocol.ErrNotLeaderOrFollower && p.r.version >= 10 {
		p.b.nameLeader(p.r, p.resp.Topics[len(p.resp.Topics)-1].Name, out.Index, &out.CurrentLeader, &p.resp.NodeEndpoints)
	}
}

// refusedByLog says whether the partition's log itself refused the records, in a way in
// which Apache's answer still tells the log start offset. No message goes with such an
// error: only one about single records has any.
func refusedByLog(err error) bool {
	switch codeOf(err) {
	case protocol.ErrUnknownTopicOrPartition, protocol.ErrNotLeaderOrFollower, protocol.ErrMessageTooLarge,
		protocol.ErrRecordListTooLarge, protocol.ErrCorruptMessage, protocol.ErrKafkaStorageError:
		return false
	}
	var shape *protocol.ShapeError
	return !errors.As(err, &shape)
}

// answer sends the response. Nothing of the request may be under way.
func (p *produce) answer() {
	r := p.r
	p.encode()
	r.conn.complete(r)
}

// encode puts the response into the request and lets go of p.
func (p *produce) encode() {
	r := p.r
	p.resp.ThrottleMs = r.throttleMs()
	r.encoded = p.resp.AppendFrame(r.encoded[:0], r.version, r.corrID)
	p.release()
}

// answerNothing ends a request with acks=0. An error closes the connection: it is the
// only way to tell.
func (p *produce) answerNothing() {
	r, failed := p.r, p.failed
	r.throttleMs()
	p.release()
	if failed {
		r.hangUp("a produce request with acks=0 failed")
		return
	}
	r.replyNothing()
}

// wait parks the request until every partition is committed, or its time is over.
func (p *produce) wait() {
	timeout := time.Duration(p.req.TimeoutMs) * time.Millisecond
	p.req.Reset() // its views into the connection's buffer are at their end
	p.left.Store(int32(len(p.waits)) + 1)
	p.b.timers.start(&p.expired, time.Now().Add(timeout), p.expire)
	for i := range p.waits {
		w := p.waits[i]
		w.partition.When(w.ack, func(err error) { p.done(w.index, err) })
	}
	p.done(-1, nil)
}

func (p *produce) done(index int, err error) {
	if err != nil {
		p.mu.Lock()
		if !p.ended {
			out := &p.resp.Partitions[index]
			out.ErrorCode, out.BaseOffset, out.LogAppendTimeMs, out.LogStartOffset = codeOf(err), -1, -1, -1
		}
		p.mu.Unlock()
	}
	if p.left.Add(-1) > 0 {
		return
	}
	p.mu.Lock()
	ended := p.ended
	p.ended = true
	p.mu.Unlock()
	if !ended {
		p.b.timers.stop(&p.expired)
		p.sendWaited()
	}
}

// expire answers REQUEST_TIMED_OUT for what is not committed yet. The records stay: they
// may be committed later.
func (p *produce) expire() {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	p.ended = true
	for _, w := range p.waits {
		out := &p.resp.Partitions[w.index]
		if out.ErrorCode == protocol.None && !w.partition.CanAcknowledge(w.ack) {
			out.ErrorCode, out.BaseOffset, out.LogAppendTimeMs, out.LogStartOffset = protocol.ErrRequestTimedOut, -1, -1, -1
		}
	}
	p.mu.Unlock()
	p.sendWaited()
}

// sendWaited answers a request that has waited. Its struct is not used again, because a
// partition that was late may still call done.
func (p *produce) sendWaited() {
	r := p.r
	p.resp.ThrottleMs = r.throttleMs()
	r.encoded = p.resp.AppendFrame(r.encoded[:0], r.version, r.corrID)
	r.replyEncoded()
}

// adminClientID is the client id whose produce requests Apache lets into internal topics.
const adminClientID = "__admin_client"

// isInternal says whether a topic is one of Kafka's own.
func isInternal(topic string) bool {
	return topic == "__consumer_offsets" || topic == "__transaction_state" || topic == "__share_group_state"
}
