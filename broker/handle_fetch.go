package broker

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/broker/quota"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/replication"
)

// inlineRegion is the size below which a region is read into the answer instead of sent
// by sendfile: for so little one write of everything is cheaper.
const inlineRegion = 8 << 10

// fetch is one Fetch request under way, from decoding to its answer, over any number of
// waits. It is reused.
type fetch struct {
	b    *Broker
	r    *request
	req  protocol.FetchRequest // good while the handler runs
	resp protocol.FetchResponse

	session    *fetchSession // nil: none, or not kept
	full       bool          // the answer carries every partition
	partitions []fetchPartition
	results    []fetchResult
	gaps       []protocol.RecordsGap
	owner      []int // of the i-th partition in resp: its place in results

	replica   bool
	replicaID int32
	upTo      log.UpTo
	minBytes  int64
	maxBytes  int64
	hardLimit bool // of v0-v2: not even the first batch may exceed it
	deadline  time.Time

	mu      sync.Mutex // one look at a time
	waiter  *replication.Waiter
	expired timer
	late    bool // the deadline has passed, or the connection closed
	ended   bool
}

// fetchPartition is one partition that a client asks for. It owns its strings.
type fetchPartition struct {
	key                fetchKey
	name               string // of the topic, also where the key has its id
	fetchOffset        int64
	logStartOffset     int64
	partitionMaxBytes  int32
	currentLeaderEpoch int32
	lastFetchedEpoch   int32
}

// fetchResult is what a look found.
type fetchResult struct {
	out     protocol.FetchResponsePartition
	region  log.Region
	source  *replication.Partition // that the records are of, or nil
	refused bool                   // not known or not allowed: such come last in an answer
	from    int                    // in the request's scratch buffer, for records that were copied or converted
	to      int
}

var fetches = sync.Pool{New: func() any { return new(fetch) }}

// handleFetch, key 1, v0-v18 (KIP-74, KIP-227, KIP-320, KIP-392, KIP-516): records from an
// offset on. Needs Read on each topic, or ClusterAction for a replica.
func (b *Broker) handleFetch(r *request) {
	f := fetches.Get().(*fetch)
	f.b, f.r = b, r
	if err := f.req.Decode(r.version, r.body, int(min(b.admitted.limit, 1<<31-1))); err != nil {
		f.release()
		r.hangUp(err.Error())
		return
	}
	f.prepare()
	if code := f.openSession(); code != protocol.None {
		f.refuse(code)
		return
	}
	if f.req.IsolationLevel < 0 || f.req.IsolationLevel > 1 {
		if f.anyFound() {
			if f.session != nil && f.full {
				f.b.sessions.remove(f.session.id, f.r.session.principal)
			}
			f.partitions, f.resp.SessionID = f.partitions[:0], f.req.SessionID
			f.refuse(protocol.ErrUnknownServerError)
			return
		}
	}
	f.req.Reset()
	f.look()
}

func (f *fetch) release() {
	f.req.Reset()
	f.resp.Reset()
	f.reset()
	fetches.Put(f)
}

func (f *fetch) reset() {
	clear(f.partitions)
	clear(f.results)
	partitions, results := f.partitions[:0], f.results[:0]
	if cap(partitions) > 4096 {
		partitions, results = nil, nil
	}
	f.b, f.r, f.session, f.waiter = nil, nil, nil, nil
	f.partitions, f.results, f.gaps, f.owner = partitions, results, f.gaps[:0], f.owner[:0]
	f.full, f.replica, f.late, f.ended, f.hardLimit = false, false, false, false, false
}

// prepare takes over what the request says of all partitions.
func (f *fetch) prepare() {
	f.replica, f.replicaID = f.req.ReplicaID >= 0, f.req.ReplicaID
	f.hardLimit = f.r.version <= 2
	f.maxBytes = int64(f.req.MaxBytes)
	if !f.replica {
		f.maxBytes = min(f.maxBytes, int64(f.b.config().Broker().Network.FetchMaxBytes))
		if most, ok := f.r.conn.usage.Most(f.b.quotas, f.r.session.principal.Name, f.r.clientID, f.r.received); ok {
			f.maxBytes = min(f.maxBytes, most)
		}
	}
	f.minBytes = min(int64(f.req.MinBytes), f.maxBytes)
	f.upTo = log.UpToHighWatermark
	switch {
	case f.replica:
		f.upTo = log.UpToLogEnd
	case f.req.IsolationLevel == 1:
		f.upTo = log.UpToLastStable
	}
	if wait := f.req.MaxWaitMs; wait > 0 {
		f.deadline = f.r.received.Add(time.Duration(wait) * time.Millisecond)
	} else {
		f.late = true
	}
}

// openSession finds the partitions to read: those of the request, or of its session.
func (f *fetch) openSession() protocol.ErrorCode {
	f.full = true
	usesIDs := f.r.version >= 13
	id, epoch := f.req.SessionID, f.req.SessionEpoch
	if epoch == finalSessionEpoch || epoch == initialSessionEpoch {
		if id != 0 {
			f.b.sessions.remove(id, f.r.session.principal)
		}
		f.takePartitions(usesIDs)
		if epoch == initialSessionEpoch && f.r.version >= 7 {
			f.session = f.b.sessions.create(f.partitions, f.r.session.principal, usesIDs, f.replica)
		}
		return protocol.None
	}
	session := f.b.sessions.get(id, f.r.session.principal)
	if session == nil {
		return protocol.ErrFetchSessionIDNotFound
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	if epoch != session.epoch {
		return protocol.ErrInvalidFetchSessionEpoch
	}
	if usesIDs != session.usesIDs {
		return protocol.ErrFetchSessionTopicIDError
	}
	f.takePartitions(usesIDs)
	for i := range f.partitions {
		session.put(f.partitions[i])
	}
	for t := range f.req.Forgotten {
		forgotten := &f.req.Forgotten[t]
		key := fetchKey{id: forgotten.ID}
		if !usesIDs {
			key.name = string(forgotten.Name)
		}
		for _, n := range forgotten.Partitions {
			key.partition = n
			session.forget(key)
		}
	}
	session.epoch = nextEpoch(session.epoch)
	if len(session.partitions) == 0 {
		// The end of the session: what the request names itself is served without one.
		f.b.sessions.remove(id, f.r.session.principal)
		return protocol.None
	}
	f.partitions = f.partitions[:0]
	for e := session.order.Front(); e != nil; e = e.Next() {
		f.partitions = append(f.partitions, e.Value.(*sessionPartition).fetchPartition)
	}
	f.session, f.full = session, false
	return protocol.None
}

// takePartitions copies the request's partitions, with names that outlive its buffer.
func (f *fetch) takePartitions(usesIDs bool) {
	image := f.b.store.Image()
	for t := range f.req.Topics {
		asked := &f.req.Topics[t]
		key := fetchKey{id: asked.ID}
		var name string
		if usesIDs {
			if topic := image.TopicByID(asked.ID); topic != nil {
				name = topic.Name
			}
		} else {
			if topic := image.TopicBytes(asked.Name); topic != nil {
				name = topic.Name
			} else {
				name = string(asked.Name)
			}
			key.name = name
		}
		for i := range asked.Partitions {
			p := &asked.Partitions[i]
			key.partition = p.Partition
			f.partitions = append(f.partitions, fetchPartition{
				key: key, name: name, fetchOffset: p.FetchOffset, logStartOffset: p.LogStartOffset,
				partitionMaxBytes: p.PartitionMaxBytes, currentLeaderEpoch: p.CurrentLeaderEpoch,
				lastFetchedEpoch: p.LastFetchedEpoch,
			})
		}
	}
}

// anyFound says whether any partition can be looked at. Apache stumbles over an unknown
// isolation level only then.
func (f *fetch) anyFound() bool {
	image := f.b.store.Image()
	for i := range f.partitions {
		if _, err := f.find(image, &f.partitions[i]); err == nil {
			return true
		}
	}
	return false
}

// refuse answers with an error for the whole request.
func (f *fetch) refuse(code protocol.ErrorCode) {
	f.resp.ErrorCode = code
	if code == protocol.ErrUnknownServerError && f.r.version < 13 {
		// The form of Apache's answer to a request at which its handler fails.
		for t := range f.req.Topics {
			f.resp.AddTopic(string(f.req.Topics[t].Name), protocol.UUID{})
			for i := range f.req.Topics[t].Partitions {
				out := f.resp.AddPartition(f.req.Topics[t].Partitions[i].Partition)
				out.ErrorCode, out.RecordsSize, out.AbortedTransactions = code, -1, []protocol.AbortedTransaction{}
			}
		}
	}
	f.encode()
}

// addPartition adds the answer's slot of the i-th partition, beginning a topic if needed.
func (f *fetch) addPartition(i int) *protocol.FetchResponsePartition {
	p := &f.partitions[i]
	last := len(f.resp.Topics) - 1
	if last < 0 || f.resp.Topics[last].Name != p.name || f.resp.Topics[last].ID != p.key.id {
		f.resp.AddTopic(p.name, p.key.id)
	}
	return f.resp.AddPartition(p.key.partition)
}

// look reads every partition and answers, or waits, if there is too little and time left.
func (f *fetch) look() {
	if f.lookLocked() {
		f.answer() // nobody else looks any more
	}
}

// lookLocked takes the lock itself. It says whether the answer is to be sent.
func (f *fetch) lookLocked() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.ended {
		if enough := f.read(); enough || f.late {
			f.ended = true
			return true
		}
		f.dropRegions()
		if f.park() {
			break
		}
		// By their positions there are bytes enough, though a read gives fewer: it ends
		// with a whole batch, or with its segment. More time would not change that.
		f.late = true
	}
	return false
}

// read fills results. It says whether the answer can go out: enough bytes, an error, or
// nothing to wait for.
func (f *fetch) read() bool {
	f.results = f.results[:0]
	f.r.scratch = f.r.scratch[:0]
	image := f.b.store.Image()
	enough := len(f.partitions) == 0
	left, got := f.maxBytes, int64(0)
	for i := range f.partitions {
		f.results = append(f.results, fetchResult{})
		res := &f.results[i]
		err := f.readPartition(image, &f.partitions[i], res, left, got == 0 && !f.hardLimit)
		if err != nil {
			f.failPartition(&f.partitions[i], res, err)
			enough = true
		}
		if res.out.DivergingEpoch != nil {
			enough = true
		}
		size := int64(max(0, res.out.RecordsSize))
		got += size
		left = max(0, left-size)
	}
	return enough || got >= f.minBytes
}

// readPartition finds the region of one partition.
func (f *fetch) readPartition(image *metadata.Image, p *fetchPartition, res *fetchResult, left int64, minOneBatch bool) error {
	res.out = protocol.FetchResponsePartition{
		Partition: p.key.partition, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1, PreferredReadReplica: -1,
	}
	partition, err := f.find(image, p)
	if err != nil {
		// Apache asks its metadata before it reads, and puts what they refuse behind the rest.
		res.refused = f.waiter == nil && err != protocol.ErrInconsistentTopicID
		return err
	}
	res.source = partition
	l, role, err := partition.Leader(max(p.currentLeaderEpoch, -1))
	if err != nil {
		return err
	}
	if f.replica && (f.replicaID == role.Leader || !slices.Contains(role.Replicas, f.replicaID)) {
		return protocol.ErrNotLeaderOrFollower
	}
	if f.r.version < 10 && f.topicIsZstd(l) {
		return protocol.ErrUnsupportedCompressionType
	}
	if p.lastFetchedEpoch >= 0 {
		epoch, end := l.EndOffsetForEpoch(p.lastFetchedEpoch)
		if epoch < 0 || end < 0 {
			return protocol.ErrOffsetOutOfRange
		}
		if epoch < p.lastFetchedEpoch || end < p.fetchOffset {
			res.out.DivergingEpoch = &protocol.EpochEndOffset{Epoch: epoch, EndOffset: end}
			res.out.HighWatermark, res.out.LastStableOffset, res.out.LogStartOffset = l.HighWatermark(), l.LastStableOffset(), l.LogStartOffset()
			f.describeAborted(&res.out, nil)
			return nil
		}
	}
	most := int(min(int64(p.partitionMaxBytes), left, math.MaxInt32))
	if most < 0 {
		return f.readNothing(l, p, res)
	}
	// Where the limit is hard the first batch is read whole all the same: converted, it is
	// cut at the limit, and a cut message is what tells the client to ask for more.
	data, err := l.Read(p.fetchOffset, most, f.upTo, minOneBatch || f.hardLimit && most > 0)
	if err != nil {
		return err
	}
	res.out.HighWatermark, res.out.LastStableOffset, res.out.LogStartOffset = data.HighWatermark, data.LastStableOffset, data.LogStartOffset
	f.describeAborted(&res.out, data.AbortedTransactions)
	if data.FirstBatchTooBig && !f.hardLimit {
		// A piece of a batch is of no use where another partition has given records.
		data.Region.Release()
	}
	res.region = data.Region
	res.out.RecordsSize = int(res.region.Size())
	if f.r.version <= 3 && res.region.Size() > 0 {
		return f.downConvert(p, res, most)
	}
	if res.region.Size() > 0 && res.region.Size() < inlineRegion {
		return f.copyRegion(res)
	}
	return nil
}

// readNothing is a read of less than no bytes. As with Apache it is one of none where
// there is nothing to read, and an error anywhere else.
func (f *fetch) readNothing(l *log.Log, p *fetchPartition, res *fetchResult) error {
	data, err := l.Read(p.fetchOffset, 1, f.upTo, true)
	if err != nil {
		return err
	}
	found := data.Region.Size() > 0
	data.Region.Release()
	if found {
		return protocol.ErrUnknownServerError
	}
	res.out.HighWatermark, res.out.LastStableOffset, res.out.LogStartOffset = data.HighWatermark, data.LastStableOffset, data.LogStartOffset
	f.describeAborted(&res.out, nil)
	return nil
}

// describeAborted sets the aborted transactions, which read_committed always gets, be it
// an empty list, and nobody else.
func (f *fetch) describeAborted(out *protocol.FetchResponsePartition, aborted []log.AbortedTransaction) {
	if f.upTo != log.UpToLastStable {
		return
	}
	out.AbortedTransactions = make([]protocol.AbortedTransaction, len(aborted))
	for i, a := range aborted {
		out.AbortedTransactions[i] = protocol.AbortedTransaction{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset}
	}
}

// find authorizes and finds a partition, in that order.
func (f *fetch) find(image *metadata.Image, p *fetchPartition) (*replication.Partition, error) {
	name := p.name
	if f.session != nil && f.session.usesIDs || f.r.version >= 13 {
		// An id whose name was known when it was first asked for stays bound to the name:
		// after that it is the name that is gone, or has another id.
		if topic := image.TopicByID(p.key.id); topic != nil {
			name = topic.Name
		} else if name == "" {
			return nil, protocol.ErrUnknownTopicID
		}
	}
	if f.replica {
		if !f.b.authorize(f.r, acl.ClusterAction, acl.Cluster()) {
			return nil, protocol.ErrTopicAuthorizationFailed
		}
	} else if !f.b.authorize(f.r, acl.Read, acl.Topic(name)) {
		return nil, protocol.ErrTopicAuthorizationFailed
	}
	partition := f.b.replicas.Get(name, p.key.partition)
	if partition == nil {
		return nil, protocol.ErrUnknownTopicOrPartition
	}
	if f.r.version >= 13 && partition.TopicID != p.key.id {
		return nil, protocol.ErrInconsistentTopicID
	}
	return partition, nil
}

func (f *fetch) topicIsZstd(l *log.Log) bool {
	c := l.Config()
	return !c.ProducerCodec && c.Compression == protocol.CodecZstd
}

// copyRegion reads a small region into the request's scratch buffer.
func (f *fetch) copyRegion(res *fetchResult) error {
	from := len(f.r.scratch)
	scratch, err := res.region.AppendTo(f.r.scratch)
	res.region.Release()
	if err != nil {
		return err
	}
	f.r.scratch, res.from, res.to = scratch, from, len(scratch)
	return nil
}

// downConvert turns the records of a region into the message format that a client of
// Fetch v0-v3 reads: magic 0 up to v1, magic 1 for v2 and v3.
func (f *fetch) downConvert(p *fetchPartition, res *fetchResult, most int) error {
	defer res.region.Release()
	if !f.b.config().TopicDownConversion(f.b.store.Image().Config(metadata.TopicResource, p.name)) {
		return protocol.ErrUnsupportedVersion
	}
	magic := int8(0)
	if f.r.version >= 2 {
		magic = 1
	}
	stored := getBuffer(int(res.region.Size()))
	defer putBuffer(stored)
	batches, err := res.region.AppendTo(stored[:0])
	if err != nil {
		return err
	}
	from := len(f.r.scratch)
	scratch, err := protocol.DownConvert(f.r.scratch, batches, magic, p.fetchOffset)
	if err != nil {
		return err
	}
	if f.hardLimit && len(scratch)-from > most {
		scratch = scratch[:from+most]
	}
	f.b.metrics.fetchConversion.Add(1)
	f.r.scratch, res.from, res.to = scratch, from, len(scratch)
	res.out.RecordsSize = res.to - res.from
	return nil
}

// failPartition turns an error into a partition's answer.
func (f *fetch) failPartition(p *fetchPartition, res *fetchResult, err error) {
	res.region.Release()
	code := codeOf(err)
	f.b.metrics.failedFetch.Add(1)
	if code == protocol.ErrUnknownServerError || code == protocol.ErrKafkaStorageError {
		f.b.logger.Error("fetch failed", "topic", p.name, "partition", p.key.partition, "err", err)
	}
	if code == protocol.ErrKafkaStorageError && f.r.version <= 5 {
		code = protocol.ErrNotLeaderOrFollower
	}
	aborted := res.out.AbortedTransactions
	unread := code == protocol.ErrUnknownTopicOrPartition || code == protocol.ErrUnknownTopicID || code == protocol.ErrTopicAuthorizationFailed
	if unread && f.waiter == nil { // one that went while the request waited is answered as if it had been read
		aborted = []protocol.AbortedTransaction{}
	}
	res.out = protocol.FetchResponsePartition{
		Partition: p.key.partition, ErrorCode: code, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1,
		PreferredReadReplica: -1, AbortedTransactions: aborted,
	}
	if code == protocol.ErrUnsupportedCompressionType || code == protocol.ErrUnsupportedVersion {
		res.out.RecordsSize, res.out.AbortedTransactions = -1, []protocol.AbortedTransaction{}
	}
	res.from, res.to = 0, 0
	if f.r.version >= 16 && (code == protocol.ErrNotLeaderOrFollower || code == protocol.ErrFencedLeaderEpoch) {
		f.b.nameLeader(f.r, p.name, p.key.partition, &res.out.CurrentLeader, &f.resp.NodeEndpoints)
	}
}

func (f *fetch) dropRegions() {
	for i := range f.results {
		f.results[i].region.Release()
	}
}

// park registers for what is to come. It reports false if enough came meanwhile.
func (f *fetch) park() bool {
	if f.waiter != nil {
		f.b.timers.stop(&f.expired)
	}
	partitions := make([]*replication.Partition, 0, len(f.partitions))
	for i := range f.partitions {
		p := &f.partitions[i]
		if hosted := f.b.replicas.Get(p.name, p.key.partition); hosted != nil {
			partitions = append(partitions, hosted)
		}
	}
	f.waiter = replication.Wait(partitions, f.minBytes-f.available(), func() { go f.look() })
	if f.available() >= f.minBytes {
		return !f.waiter.Cancel() // cancelled: look again at once; else the waker does
	}
	waiter := f.waiter
	f.b.timers.start(&f.expired, f.deadline, func() { f.expire(waiter) })
	if !f.r.conn.setOnClose(f.r, func() { f.expire(waiter) }) {
		go f.expire(waiter)
	}
	return true
}

// available is about how many bytes the partitions could give now.
func (f *fetch) available() int64 {
	var sum int64
	for i := range f.partitions {
		p := &f.partitions[i]
		hosted := f.b.replicas.Get(p.name, p.key.partition)
		if hosted == nil {
			continue
		}
		if l, err := hosted.Log(); err == nil {
			size := l.BytesFrom(p.fetchOffset, f.upTo)
			if size == log.EnoughBytes {
				return size
			}
			sum += min(size, int64(p.partitionMaxBytes))
		}
	}
	return sum
}

// expire has the request answered with what there is.
func (f *fetch) expire(waiter *replication.Waiter) {
	f.mu.Lock()
	f.late = true
	f.mu.Unlock()
	waiter.Fire()
}

// answer sends what the last look found.
func (f *fetch) answer() {
	if f.waiter != nil {
		f.b.timers.stop(&f.expired)
	}
	if f.overQuota() {
		f.answerNothingYet()
		return
	}
	if f.session != nil {
		f.session.mu.Lock()
	}
	var bytes int64
	refused := false
	for i := range f.results {
		if f.results[i].refused {
			refused = true
			continue
		}
		bytes += f.answerPartition(i)
	}
	for _, unknownID := range []bool{true, false} { // first what has no name, then the others
		for i := range f.results {
			if refused && f.results[i].refused && (f.results[i].out.ErrorCode == protocol.ErrUnknownTopicID) == unknownID {
				f.answerPartition(i)
			}
		}
	}
	if f.session != nil {
		f.resp.SessionID = f.session.id
		f.session.mu.Unlock()
	}
	f.b.metrics.bytesOut.Add(bytes)
	f.encode()
}

// overQuota charges the answer to the client's quota. If the client has to wait, nothing
// is charged, and the answer must carry nothing.
func (f *fetch) overQuota() bool {
	if f.replica || !f.b.quotas.Limits().Any(quota.Fetch) {
		return false
	}
	size := 32
	for i := range f.results {
		size += max(0, f.results[i].out.RecordsSize) + 48
	}
	f.r.wait(f.r.conn.usage.Take(f.b.quotas, quota.Fetch, f.r.session.principal.Name, f.r.clientID, float64(size), time.Now()))
	return f.r.throttle > 0
}

// answerNothingYet answers a fetch over its quota without partitions. What a session has
// to tell stays to be told; a full fetch gets no session.
func (f *fetch) answerNothingYet() {
	f.dropRegions()
	if f.session != nil && !f.full {
		f.resp.SessionID = f.session.id
	}
	f.encode()
}

// answerPartition puts the i-th partition into the answer, if it has to be there. It
// returns the size of its records.
func (f *fetch) answerPartition(i int) int64 {
	res := &f.results[i]
	if f.session != nil {
		if must := f.session.changed(&res.out, f.partitions[i].key, f.full); !must && !f.full {
			res.region.Release()
			return 0
		}
	}
	out := f.addPartition(i)
	*out = res.out
	f.owner = append(f.owner, i)
	size := int64(max(0, res.out.RecordsSize))
	if size > 0 {
		res.source.Traffic.BytesOut.Add(size)
	}
	return size
}

// encode encodes the response and sends it.
func (f *fetch) encode() {
	r := f.r
	f.resp.ThrottleMs = r.throttleMs()
	encoded, gaps, err := f.resp.AppendFrame(r.encoded[:0], f.gaps[:0], r.version, r.corrID)
	if err != nil {
		f.dropRegions()
		f.release()
		r.hangUp(err.Error())
		return
	}
	r.encoded, f.gaps = encoded, gaps
	for _, g := range gaps {
		res := &f.results[f.owner[g.Partition]]
		r.attachments = append(r.attachments, attachment{at: g.Pos, region: res.region, from: res.from, to: res.to})
		res.region = log.Region{}
	}
	parked := f.waiter != nil
	if !parked {
		f.release()
	}
	// A fetch that has waited is left to the collector: a timer or a waker may still
	// hold it.
	r.replyEncoded()
}
