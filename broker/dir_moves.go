package broker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
)

// dirMoves moves replicas between the broker's data directories (KIP-113): a future log
// is filled from the current one and takes its place when it has caught up. One goroutine
// per move, at most num.replica.alter.log.dirs.threads at a time.
type dirMoves struct {
	b     *Broker
	slots chan struct{}

	mu    sync.Mutex
	moves map[protocol.TopicPartition]context.CancelFunc
}

func newDirMoves(b *Broker, threads int) *dirMoves {
	return &dirMoves{b: b, slots: make(chan struct{}, max(threads, 1)), moves: map[protocol.TopicPartition]context.CancelFunc{}}
}

// start begins to move a partition's log to a data directory, in place of a move to
// another one that may be under way.
func (m *dirMoves) start(tp protocol.TopicPartition, dir string) error {
	known := false
	for _, d := range m.b.logs.Dirs() {
		if d.Path == dir {
			if d.Err != nil {
				return protocol.ErrKafkaStorageError
			}
			known = true
		}
	}
	if !known {
		return protocol.ErrLogDirNotFound
	}
	partition := m.b.replicas.Get(tp.Topic, tp.Partition)
	if partition == nil {
		return protocol.ErrReplicaNotAvailable
	}
	if _, err := partition.Log(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if stop := m.moves[tp]; stop != nil {
		if future := m.b.logs.Future(tp); future != nil && future.DataDir() == dir {
			return nil
		}
		stop()
		delete(m.moves, tp)
		if err := m.b.logs.DeleteFuture(tp); err != nil && !errors.Is(err, log.ErrUnknownLog) {
			return err
		}
	}
	// Not the partition's log: that is a moment behind when a move ends.
	if l := m.b.logs.Get(tp); l == nil {
		return protocol.ErrReplicaNotAvailable
	} else if l.DataDir() == dir {
		return nil
	}
	future, err := m.b.logs.CreateFuture(tp, dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(m.b.ctx)
	m.moves[tp] = cancel
	m.b.wg.Add(1)
	go func() {
		defer m.b.wg.Done()
		defer cancel()
		m.run(ctx, tp, future)
	}()
	return nil
}

// resume begins the moves anew that the end of the process before has cut short. What was
// copied already is not gone on with: to know that it is what it was, all of it would have to
// be read and compared, which takes about as long as to copy it.
func (m *dirMoves) resume() {
	for future := range m.b.logs.Futures() {
		tp, dir := future.Partition(), future.DataDir()
		err := m.b.logs.DeleteFuture(tp)
		if err == nil {
			err = m.start(tp, dir)
		}
		if err != nil {
			m.b.logger.Warn("cannot go on to move a log to another data directory", "topic", tp.Topic, "partition", tp.Partition, "dir", dir, "err", err)
		}
	}
}

func (m *dirMoves) run(ctx context.Context, tp protocol.TopicPartition, future *log.Log) {
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		return
	}
	err := m.copy(ctx, tp, future)
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return // what is in moves, and the future log, may be another's by now
	}
	delete(m.moves, tp)
	if err != nil {
		m.b.logger.Error("cannot move a log to another data directory", "topic", tp.Topic, "partition", tp.Partition, "err", err)
		m.b.logs.DeleteFuture(tp)
		return
	}
	m.b.logger.Info("moved a log to another data directory", "topic", tp.Topic, "partition", tp.Partition, "dir", future.DataDir())
}

// copyChunk is how much one step of a move copies.
const copyChunk = 1 << 20

// lastChunks is how many steps of a move appends may have to wait for at its end.
const lastChunks = 4

func (m *dirMoves) copy(ctx context.Context, tp protocol.TopicPartition, future *log.Log) error {
	buf := make([]byte, 0, copyChunk)
	for ctx.Err() == nil {
		partition := m.b.replicas.Get(tp.Topic, tp.Partition)
		if partition == nil || partition.TopicID != future.TopicID() {
			return protocol.ErrUnknownTopicOrPartition
		}
		current, err := partition.Log()
		if err != nil {
			return err
		}
		if buf, err = copyStep(current, future, buf[:0]); err != nil {
			return err
		}
		if len(buf) > 0 {
			m.throttle(ctx, len(buf))
			continue
		}
		if err := keepDurable(current, future); err != nil {
			return err
		}
		swapped, err := partition.Replace(func(taken func(*log.Log)) error {
			// What was appended meanwhile. Nothing more can be.
			for range lastChunks {
				if buf, err = copyStep(current, future, buf[:0]); err != nil {
					return err
				}
				if len(buf) == 0 {
					break
				}
			}
			if future.LogEndOffset() < current.LogEndOffset() || ctx.Err() != nil {
				return nil
			}
			l, err := m.b.logs.SwapFuture(tp, taken)
			if l != nil && err != nil {
				// The move is made, but what was moved is still there.
				m.b.logger.Error("cannot delete a log that was moved to another data directory", "topic", tp.Topic, "partition", tp.Partition, "err", err)
				err = nil
			}
			return err
		})
		if swapped {
			m.b.logs.CheckpointSwapped(future)
		}
		if swapped || err != nil {
			return err
		}
	}
	return ctx.Err()
}

// keepDurable sees to it that what is on the disk in the log that is moved is so in its
// copy too: it may have been acknowledged for that.
func keepDurable(current, future *log.Log) error {
	if future.DurableOffset() >= min(current.DurableOffset(), future.LogEndOffset()) {
		return nil
	}
	return future.Flush()
}

// copyStep copies what comes next, and returns it, empty if there is nothing.
func copyStep(current, future *log.Log, buf []byte) ([]byte, error) {
	if start := current.LogStartOffset(); future.LogEndOffset() < start {
		if err := future.TruncateFullyAndStartAt(start); err != nil {
			return buf, err
		}
	}
	size := min(copyChunk, current.Config().SegmentSize) // more is not appended at once
	data, err := current.Read(future.LogEndOffset(), int(size), log.UpToLogEnd, true)
	var outside *log.OffsetOutOfRangeError
	if errors.As(err, &outside) && outside.Asked < outside.LogStart {
		return copyStep(current, future, buf) // it was deleted meanwhile
	}
	if err != nil {
		return buf, err
	}
	buf, err = data.Region.AppendTo(buf)
	data.Region.Release()
	if err != nil || len(buf) == 0 {
		return buf, err
	}
	_, err = future.AppendAsFollower(buf)
	var early *log.OutOfOrderOffsetsError
	if errors.As(err, &early) && future.LogStartOffset() == future.LogEndOffset() {
		// DeleteRecords has made the log begin inside a batch. It is copied whole.
		if err = future.TruncateFullyAndStartAt(early.First); err == nil {
			_, err = future.AppendAsFollower(buf)
		}
	}
	return buf, err
}

// throttle keeps a move below replica.alter.log.dirs.io.max.bytes.per.second.
func (m *dirMoves) throttle(ctx context.Context, size int) {
	rate := m.b.config().Broker().Replication.AlterLogDirsThrottledRate
	if rate <= 0 || rate >= 1<<40 {
		return
	}
	select {
	case <-time.After(time.Duration(float64(size) / float64(rate) * float64(time.Second))):
	case <-ctx.Done():
	}
}
