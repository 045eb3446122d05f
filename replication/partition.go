package replication

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// Partition is one replica that this broker hosts.
//
// Lock order: Partition.mu, then gate, then the log's own. waiters.mu is a leaf.
type Partition struct {
	// Constant after open.
	protocol.TopicPartition
	TopicID  protocol.UUID
	brokerID int32

	role atomic.Pointer[Role] // swapped whole, with mu held
	log  atomic.Pointer[log.Log]
	// openErr says why there is no log. Read when log is nil.
	openErr atomic.Pointer[error]

	waiters waiterList

	// Traffic counts since the broker knows the partition.
	Traffic Traffic

	gate sync.RWMutex // held shared by appends, alone while another log takes the log's place

	mu        sync.Mutex // serializes role changes
	committed commitList // requests that wait for the high watermark
}

// Traffic counts what clients wrote to a partition and read from it. The counters only grow.
type Traffic struct {
	MessagesIn atomic.Int64 // records appended here as the leader
	BytesIn    atomic.Int64 // of them
	BytesOut   atomic.Int64 // of records fetched; who answers a fetch adds to it
}

// Role is what the metadata says of a partition, as far as its replica here is
// concerned. It is immutable.
type Role struct {
	Leader         int32
	LeaderEpoch    int32
	PartitionEpoch int32
	Replicas       []int32
	ISR            []int32
	MinISR         int // min.insync.replicas, at most the number of replicas
}

// Role returns the role in force.
func (p *Partition) Role() *Role { return p.role.Load() }

// Log returns the partition's log, or the reason why there is none.
func (p *Partition) Log() (*log.Log, error) {
	if l := p.log.Load(); l != nil {
		return l, nil
	}
	if err := p.openErr.Load(); err != nil {
		return nil, *err
	}
	return nil, protocol.ErrKafkaStorageError
}

// Leader returns the log if this broker leads the partition. currentLeaderEpoch is what
// the asker believes to be the leader epoch, -1 if it has no belief: an older one is
// fenced, a newer one is unknown yet (KIP-320).
func (p *Partition) Leader(currentLeaderEpoch int32) (*log.Log, *Role, error) {
	role := p.role.Load()
	if currentLeaderEpoch != -1 { // lower ones are beliefs too, and wrong
		if currentLeaderEpoch < role.LeaderEpoch {
			return nil, role, protocol.ErrFencedLeaderEpoch
		}
		if currentLeaderEpoch > role.LeaderEpoch {
			return nil, role, protocol.ErrUnknownLeaderEpoch
		}
	}
	if role.Leader != p.brokerID {
		return nil, role, protocol.ErrNotLeaderOrFollower
	}
	l, err := p.Log()
	return l, role, err
}

// Append writes records as the leader. requiredAcks is the producer's: with -1 there
// must be min.insync.replicas in sync before anything is written.
func (p *Partition) Append(records []byte, requiredAcks int16, opts log.AppendOptions) (log.AppendInfo, error) {
	p.gate.RLock()
	defer p.gate.RUnlock()
	l, role, err := p.Leader(-1)
	if err != nil {
		return log.AppendInfo{}, err
	}
	if opts.LeaderEpoch >= 0 && opts.LeaderEpoch != role.LeaderEpoch {
		return log.AppendInfo{}, protocol.ErrFencedLeaderEpoch
	}
	if err := p.enoughReplicas(role, requiredAcks); err != nil {
		return log.AppendInfo{}, err
	}
	opts.LeaderEpoch = role.LeaderEpoch
	info, err := l.Append(records, opts)
	if err != nil {
		return info, err
	}
	if !info.Duplicate {
		p.appended(l, role, int64(info.Size), int64(info.RecordCount))
	}
	return info, nil
}

// AppendGroup is Append for each of a group, one after the other, at less cost; see
// [log.Log.AppendGroup]. The leader epochs of the options are set here.
func (p *Partition) AppendGroup(group []log.GroupAppend, requiredAcks int16) {
	p.gate.RLock()
	defer p.gate.RUnlock()
	l, role, err := p.Leader(-1)
	if err == nil {
		err = p.enoughReplicas(role, requiredAcks)
	}
	if err != nil {
		for i := range group {
			group[i].Err = err
		}
		return
	}
	for i := range group {
		group[i].Options.LeaderEpoch = role.LeaderEpoch
	}
	l.AppendGroup(group)
	size, records, grown := int64(0), int64(0), false
	for i := range group {
		if a := &group[i]; a.Err == nil && !a.Info.Duplicate {
			size, records, grown = size+int64(a.Info.Size), records+int64(a.Info.RecordCount), true
		}
	}
	if grown {
		p.appended(l, role, size, records)
	}
}

func (p *Partition) enoughReplicas(role *Role, requiredAcks int16) error {
	if requiredAcks == -1 && len(role.ISR) < role.MinISR {
		return protocol.Errorf(protocol.ErrNotEnoughReplicas,
			"The size of the current ISR %v is insufficient to satisfy the min.isr requirement of %d for partition %v",
			role.ISR, role.MinISR, p.TopicPartition)
	}
	return nil
}

// appended moves the high watermark after an append and wakes who waits for it.
func (p *Partition) appended(l *log.Log, role *Role, size, records int64) {
	p.Traffic.MessagesIn.Add(records)
	p.Traffic.BytesIn.Add(size)
	if len(role.ISR) == 1 && role.ISR[0] == p.brokerID && l.RaiseHighWatermark(l.LogEndOffset()) {
		p.committed.reached(l.HighWatermark())
	}
	p.waiters.grown(size)
}

// Wake lets everybody who waits for the partition look again.
func (p *Partition) Wake() { p.waiters.grown(-1) }

// Acknowledgement is what a writer waits for before it is told that its records are in.
type Acknowledgement struct {
	Offset     int64 // one past the last record
	Replicated bool  // on every in-sync replica: below the high watermark
	Synced     bool  // on this broker's disk
}

// When calls done once the acknowledgement can be given, or with an error if the
// leadership ends first. done may be called before When returns and must not block.
func (p *Partition) When(a Acknowledgement, done func(error)) {
	l, err := p.Log()
	if err != nil {
		done(err)
		return
	}
	if !a.Replicated {
		whenSynced(l, a, done)
		return
	}
	p.whenReplicated(l, a.Offset, func(err error) {
		if err != nil {
			done(err)
			return
		}
		whenSynced(l, a, done)
	})
}

func whenSynced(l *log.Log, a Acknowledgement, done func(error)) {
	if !a.Synced {
		done(nil)
		return
	}
	l.WaitDurable(a.Offset, done)
}

// CanAcknowledge says whether When would answer at once and without an error.
func (p *Partition) CanAcknowledge(a Acknowledgement) bool {
	l, err := p.Log()
	return err == nil && (!a.Replicated || l.HighWatermark() >= a.Offset) && (!a.Synced || l.DurableOffset() >= a.Offset)
}

func (p *Partition) whenReplicated(l *log.Log, offset int64, done func(error)) {
	if l.HighWatermark() >= offset {
		done(nil)
		return
	}
	p.committed.add(offset, done)
	if hw := l.HighWatermark(); hw >= offset {
		p.committed.reached(hw) // it moved while we were adding
	}
}

// setRole puts a new role in force, with p.mu held.
func (p *Partition) setRole(role *Role) error {
	before := p.role.Load()
	p.role.Store(role)
	l, err := p.Log()
	if err != nil {
		return nil // the log's own failure has been reported
	}
	if role.Leader == p.brokerID && (before == nil || before.Leader != p.brokerID || before.LeaderEpoch != role.LeaderEpoch) {
		if err := l.AssignEpoch(role.LeaderEpoch, l.LogEndOffset()); err != nil {
			return fmt.Errorf("begin leader epoch %d of %v: %w", role.LeaderEpoch, p.TopicPartition, err)
		}
	}
	if role.Leader == p.brokerID && len(role.ISR) == 1 && role.ISR[0] == p.brokerID {
		l.RaiseHighWatermark(l.LogEndOffset())
		p.committed.reached(l.HighWatermark())
	}
	if before != nil && (before.Leader != role.Leader || before.LeaderEpoch != role.LeaderEpoch) {
		p.committed.fail(protocol.ErrNotLeaderOrFollower)
		p.Wake()
	}
	return nil
}

// close ends the partition's service: it was deleted, or moved away.
func (p *Partition) close(reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.role.Store(&Role{Leader: metadata.NoLeader, LeaderEpoch: p.role.Load().LeaderEpoch})
	p.openErr.Store(&reason)
	p.log.Store(nil)
	p.committed.fail(reason)
	p.Wake()
}

// commitList is who waits for the high watermark to reach an offset.
type commitList struct {
	count   atomic.Int32
	mu      sync.Mutex
	waiting []commitWaiter
}

type commitWaiter struct {
	offset int64
	done   func(error)
}

func (c *commitList) add(offset int64, done func(error)) {
	c.mu.Lock()
	c.waiting = append(c.waiting, commitWaiter{offset, done})
	c.count.Add(1)
	c.mu.Unlock()
}

// reached completes those who wait for highWatermark or less.
func (c *commitList) reached(highWatermark int64) {
	c.take(func(w commitWaiter) bool { return w.offset <= highWatermark }, nil)
}

func (c *commitList) fail(reason error) {
	c.take(func(commitWaiter) bool { return true }, reason)
}

func (c *commitList) take(ready func(commitWaiter) bool, result error) {
	if c.count.Load() == 0 {
		return
	}
	var taken []commitWaiter
	c.mu.Lock()
	rest := c.waiting[:0]
	for _, w := range c.waiting {
		if ready(w) {
			taken = append(taken, w)
		} else {
			rest = append(rest, w)
		}
	}
	clear(c.waiting[len(rest):])
	c.waiting = rest
	c.count.Add(-int32(len(taken)))
	c.mu.Unlock()
	for _, w := range taken {
		w.done(result)
	}
}

// Replace puts another log in the place of the partition's, for a move between data
// directories. swap is called while no role can change and nothing is appended; it calls
// taken with the new log, if there is one. Replace reports whether there was.
func (p *Partition) Replace(swap func(taken func(*log.Log)) error) (replaced bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate.Lock()
	defer p.gate.Unlock()
	err = swap(func(l *log.Log) {
		p.log.Store(l)
		replaced = true
	})
	return replaced, err
}
