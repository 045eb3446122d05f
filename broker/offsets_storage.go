package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/barnabas-broker/barnabas/broker/group"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/replication"
)

// offsetsStorage lets the group coordinator write and read __consumer_offsets.
type offsetsStorage struct{ b *Broker }

// PartitionCount is the partition count of the topic, 0 while there is none.
func (s offsetsStorage) PartitionCount() int32 {
	t := s.b.store.Image().Topic(group.OffsetsTopic)
	if t == nil {
		return 0
	}
	return int32(len(t.Partitions))
}

// MaxBatchBytes is the smaller of max.message.bytes and segment.bytes; see group.Storage.
func (s offsetsStorage) MaxBatchBytes(partition int32) int {
	if p := s.b.replicas.Get(group.OffsetsTopic, partition); p != nil {
		if l, err := p.Log(); err == nil {
			cfg := l.Config()
			return int(min(int64(cfg.MaxMessageSize), cfg.SegmentSize))
		}
	}
	return 0 // Append says why
}

// Append appends one batch; see group.Storage.
func (s offsetsStorage) Append(w group.Write, done func(error)) {
	p := s.b.replicas.Get(group.OffsetsTopic, w.Partition)
	if p == nil {
		done(protocol.ErrNotLeaderOrFollower)
		return
	}
	info, err := p.Append(w.Batch, -1, log.AppendOptions{LeaderEpoch: w.LeaderEpoch, RequestVersion: 13, Origin: log.OriginCoordinator})
	if err != nil {
		done(err)
		return
	}
	ack := replication.Acknowledgement{Offset: info.LastOffset + 1, Replicated: true, Synced: info.MustSync}
	if p.CanAcknowledge(ack) {
		done(nil)
		return
	}
	s.await(p, ack, w.Timeout, done)
}

// await calls done once, when the append is acknowledged or the timeout has passed.
func (s offsetsStorage) await(p *replication.Partition, ack replication.Acknowledgement, timeout time.Duration, done func(error)) {
	result := make(chan error, 1)
	p.When(ack, func(err error) { result <- err })
	go func() {
		select {
		case err := <-result:
			done(err)
		case <-time.After(timeout):
			done(protocol.ErrRequestTimedOut)
		case <-s.b.ctx.Done():
			done(protocol.ErrNotLeaderOrFollower)
		}
	}()
}

// loadChunk is how much of a partition is read at a time (offsets.load.buffer.size has
// no effect here).
const loadChunk = 1 << 20

// Load hands all batches up to the log end to fn; see group.Storage.
func (s offsetsStorage) Load(ctx context.Context, partition int32, fn func(batch []byte) error) error {
	p := s.b.replicas.Get(group.OffsetsTopic, partition)
	if p == nil {
		return protocol.ErrNotLeaderOrFollower
	}
	l, _, err := p.Leader(-1)
	if err != nil {
		return err
	}
	var buf []byte
	for offset := l.LogStartOffset(); offset < l.LogEndOffset(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := l.Read(offset, loadChunk, log.UpToLogEnd, true)
		if err != nil {
			return err
		}
		if data.Region.Size() == 0 {
			return nil
		}
		buf, err = data.Region.AppendTo(buf[:0])
		data.Region.Release()
		if err != nil {
			return err
		}
		for rest := buf; len(rest) > 0; {
			_, _, size, err := protocol.PeekBatch(rest)
			if err == nil && size > len(rest) {
				err = protocol.ErrBatchTruncated
			}
			if err != nil {
				// Passing over it would forget groups without a word.
				return fmt.Errorf("%s-%d at offset %d: %w", group.OffsetsTopic, partition, offset, err)
			}
			if err := fn(rest[:size]); err != nil {
				return err
			}
			rest = rest[size:]
		}
		offset = data.NextOffset
	}
	return nil
}
