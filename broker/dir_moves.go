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
	l, err := partition.Log()
	if err != nil {
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
	if l.DataDir() == dir {
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
		m.run(ctx, tp, future)
	}()
	return nil
}

func (m *dirMoves) run(ctx context.Context, tp protocol.TopicPartition, future *log.Log) {
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-ctx.Done():
		return
	}
	err := m.copy(ctx, tp, future)
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	delete(m.moves, tp)
	m.mu.Unlock()
	if err != nil {
		m.b.logger.Error("cannot move a log to another data directory", "topic", tp.Topic, "partition", tp.Partition, "err", err)
		m.b.logs.DeleteFuture(tp)
		return
	}
	m.b.logger.Info("moved a log to another data directory", "topic", tp.Topic, "partition", tp.Partition, "dir", future.DataDir())
}

// copyChunk is how much one step of a move copies.
const copyChunk = 1 << 20

func (m *dirMoves) copy(ctx context.Context, tp protocol.TopicPartition, future *log.Log) error {
	buf := make([]byte, 0, copyChunk)
	for ctx.Err() == nil {
		partition := m.b.replicas.Get(tp.Topic, tp.Partition)
		if partition == nil {
			return protocol.ErrUnknownTopicOrPartition
		}
		current, err := partition.Log()
		if err != nil {
			return err
		}
		if start := current.LogStartOffset(); future.LogEndOffset() < start {
			if err := future.TruncateFullyAndStartAt(start); err != nil {
				return err
			}
		}
		data, err := current.Read(future.LogEndOffset(), copyChunk, log.UpToLogEnd, true)
		if err != nil {
			return err
		}
		if data.Region.Size() == 0 {
			data.Region.Release()
			swapped, err := partition.Replace(func() (*log.Log, bool, error) {
				if future.LogEndOffset() < current.LogEndOffset() {
					return nil, false, nil // something was appended meanwhile
				}
				l, err := m.b.logs.SwapFuture(tp)
				return l, err == nil, err
			})
			if swapped || err != nil {
				return err
			}
			continue
		}
		buf, err = data.Region.AppendTo(buf[:0])
		data.Region.Release()
		if err != nil {
			return err
		}
		if _, err := future.AppendAsFollower(buf); err != nil {
			return err
		}
		m.throttle(ctx, len(buf))
	}
	return ctx.Err()
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
