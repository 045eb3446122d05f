package broker

import (
	"errors"
	"math"
	"slices"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/replication"
)

// inlineRegion is the size below which a region is read into the answer instead of sent
// by sendfile: for so little one write of everything is cheaper.
const inlineRegion = 8 << 10

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
		if errors.Is(err, log.ErrClosed) {
			// It may have been moved to another data directory since it was found.
			res.region.Release()
			err = f.readPartition(image, &f.partitions[i], res, left, got == 0 && !f.hardLimit)
		}
		if err != nil {
			f.failPartition(&f.partitions[i], res, err)
			enough = true
		}
		if res.out.DivergingEpoch != nil {
			enough = true
		}
		size := int64(max(0, res.out.RecordsSize))
		got += size
		if !res.refused { // a limit below 0 stays for the first partition that is read
			left = max(0, left-size)
		}
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
		// A piece of a batch is of no use where another partition has given records. Apache
		// says nothing of aborted transactions then.
		data.Region.Release()
		res.out.AbortedTransactions = nil
	}
	res.region = data.Region
	res.out.RecordsSize = int(res.region.Size())
	if f.r.version <= 3 && res.region.Size() > 0 {
		return f.readOld(l, p, res, data.NextOffset, most, minOneBatch)
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

// describeAborted sets the aborted transactions, which read_committed gets for what was
// read, be it an empty list, and nobody else.
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

// maxEmptyReads bounds how often one fetch reads on from where conversion left nothing.
const maxEmptyReads = 10_000

// overflow is the beginning of a message that is larger than any answer: what Apache sends
// where conversion has left nothing. A client that meets it asks for more next time.
var overflow = [...]byte{255, 255, 255, 255, 255, 255, 255, 255, 127, 255, 255, 255}

// readOld converts what was read for a client of Fetch v0-v3. Where that leaves nothing, as
// of control records, it reads on: the client knows no offset behind them to go on from.
func (f *fetch) readOld(l *log.Log, p *fetchPartition, res *fetchResult, next int64, most int, minOneBatch bool) error {
	if !f.b.config().TopicDownConversion(f.b.store.Image().Config(metadata.TopicResource, p.name)) {
		return protocol.ErrUnsupportedVersion
	}
	for range maxEmptyReads {
		if err := f.downConvert(p, res, most); err != nil || res.to > res.from {
			return err
		}
		data, err := l.Read(next, most, f.upTo, minOneBatch || f.hardLimit)
		if err != nil {
			return nil // the next fetch is told, if it is still so
		}
		if data.FirstBatchTooBig || data.Region.Size() == 0 {
			data.Region.Release()
			return nil
		}
		res.region, next = data.Region, data.NextOffset
	}
	f.r.scratch = append(f.r.scratch, overflow[:min(len(overflow), most)]...)
	res.to = len(f.r.scratch)
	res.out.RecordsSize = res.to - res.from
	return nil
}

// downConvert turns the records of a region into the message format that a client of
// Fetch v0-v3 reads: magic 0 up to v1, magic 1 for v2 and v3.
func (f *fetch) downConvert(p *fetchPartition, res *fetchResult, most int) error {
	defer res.region.Release()
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
