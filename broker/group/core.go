package group

import (
	"math"

	"github.com/barnabas-broker/barnabas/protocol"
)

// instant is the time of an event, on two clocks.
type instant struct {
	monotonicMs int64 // for deadlines; starts near 1, never 0
	wallMs      int64 // for timestamps that are written
}

// core is the groups of one partition of __consumer_offsets. It decides and does nothing:
// step takes an event and returns what is to be done. It has no goroutine, clock or I/O;
// the one thing it takes from outside besides events is randomness for member ids.
type core struct {
	cfg      *Config
	memberID func() protocol.UUID
	stats    *Stats
	deleted  *deletedTopics // shared by all cores of a coordinator

	groups    map[string]*group
	zooKeeper map[string]map[partitionKey]offsetAndMetadata // offsets of OffsetCommit v0, by group
	producers map[int64]map[*group]struct{}                 // groups with pending offsets of a producer
	position  int64                                         // of the newest record, counted, not an offset

	now instant // of the running step
	out actions
}

// actions is what a step wants done, in this order: writes queued, timers set, and then,
// with no lock held, answers given.
type actions struct {
	writes  []*write
	wakes   []wake
	replies []func()
}

// write is records for the partition that belong together: they go into one batch, and
// one outcome holds for all of them.
type write struct {
	records     []record
	sizeBytes   int
	timestampMs int64
	position    int64

	// Offsets of a transaction go into a batch of their own.
	transactional   bool
	transactionalID string
	producerID      int64
	producerEpoch   int16

	submitted bool // Append has been called; kept by the shell

	// finish applies the outcome to the core and returns nothing: answers go to core.out.
	// Failures carry the error code of Append, not yet translated.
	finish func(c *core, code protocol.ErrorCode)
}

// record is a key and a value; a nil value is a tombstone.
type record struct{ key, value []byte }

// wake asks for a tick of the group at a time.
type wake struct {
	groupID string
	atMs    int64
}

// Events that are not requests. The request events stand beside their handlers.
type (
	// tickEvent says that a wake has come.
	tickEvent struct {
		groupID string
		atMs    int64
	}
	// writtenEvent brings the outcome of a write.
	writtenEvent struct {
		write *write
		code  protocol.ErrorCode
	}
	// expireEvent looks for offsets past their retention.
	expireEvent struct{}
	// topicsDeletedEvent removes the offsets of topics.
	topicsDeletedEvent struct{ names map[string]struct{} }
	// transactionEvent says that a producer's transaction has ended.
	transactionEvent struct {
		producerID int64
		committed  bool
	}
	// unloadEvent answers all that wait: the partition is not ours any more.
	unloadEvent struct{}
)

func newCore(cfg *Config, memberID func() protocol.UUID, stats *Stats) *core {
	return &core{
		cfg: cfg, memberID: memberID, stats: stats, deleted: new(deletedTopics),
		groups:    make(map[string]*group),
		zooKeeper: make(map[string]map[partitionKey]offsetAndMetadata),
		producers: make(map[int64]map[*group]struct{}),
	}
}

// step feeds one event to the core. The actions are the caller's to keep.
func (c *core) step(now instant, event any) actions {
	c.now, c.out = now, actions{}
	switch e := event.(type) {
	case joinEvent:
		c.join(e)
	case syncEvent:
		c.sync(e)
	case heartbeatEvent:
		c.heartbeat(e)
	case leaveEvent:
		c.leave(e)
	case commitEvent:
		c.commit(e)
	case zooKeeperCommitEvent:
		c.zooKeeperCommit(e)
	case deleteOffsetsEvent:
		c.deleteOffsets(e)
	case deleteGroupEvent:
		c.deleteGroup(e)
	case tickEvent:
		c.tick(e)
	case writtenEvent:
		e.write.finish(c, e.code)
	case expireEvent:
		c.expire()
	case topicsDeletedEvent:
		c.topicsDeleted(e)
	case transactionEvent:
		c.endTransaction(e)
	case unloadEvent:
		c.unload()
	default:
		panic("group: unknown event")
	}
	return c.out
}

func (c *core) reply(f func()) { c.out.replies = append(c.out.replies, f) }

// write queues records. The record's memory is the core's to give away.
func (c *core) write(w *write) {
	c.position++
	w.position = c.position
	w.timestampMs = c.now.wallMs
	for _, r := range w.records {
		w.sizeBytes += len(r.key) + len(r.value) + recordOverheadBytes
	}
	c.out.writes = append(c.out.writes, w)
}

// recordOverheadBytes bounds what a record takes in a batch besides key and value.
const recordOverheadBytes = 32

func (c *core) getOrCreate(groupID string) *group {
	g := c.groups[groupID]
	if g == nil {
		g = &group{id: groupID, stateTimestampMs: c.now.wallMs}
		c.groups[groupID] = g
	}
	return g
}

// settle ends every handler that touched a group: a group that holds nothing and never
// had a generation goes at once, others have their next deadline made known.
func (c *core) settle(g *group) {
	if g.generation == 0 && g.isVoid() {
		delete(c.groups, g.id)
		return
	}
	c.arm(g)
}

// arm makes the next deadline known to the shell. Deadlines that only move away, as a
// heartbeat's does, cost nothing: the tick of the old one arms the new one.
func (c *core) arm(g *group) { c.armAt(g, g.nextDeadline()) }

func (c *core) armAt(g *group, atMs int64) {
	if atMs != 0 && (g.armedMs == 0 || atMs < g.armedMs) {
		g.armedMs = atMs
		c.out.wakes = append(c.out.wakes, wake{groupID: g.id, atMs: atMs})
	}
}

// tick handles all deadlines of a group that have passed.
func (c *core) tick(e tickEvent) {
	g := c.groups[e.groupID]
	if g == nil || g.armedMs != e.atMs {
		return // the group is gone, or has an earlier wake since
	}
	g.armedMs = 0
	now := c.now.monotonicMs
	for id, at := range g.pending {
		if at <= now {
			c.stats.PendingMembersExpired++
			delete(g.pending, id)
		}
	}
	var expired []*member
	for _, m := range g.members {
		if at := m.sessionDeadline(); at != 0 && at <= now {
			expired = append(expired, m)
		}
	}
	c.stats.SessionsExpired += int64(len(expired))
	c.removeMembers(g, expired, protocol.ErrUnknownMemberID)
	if g.syncDeadlineMs != 0 && g.syncDeadlineMs <= now {
		c.expireSync(g)
	}
	if g.joinDeadlineMs != 0 && g.joinDeadlineMs <= now {
		c.joinDeadline(g)
	}
	c.tryCompleteJoin(g)
	c.settle(g)
}

// unload answers all waiting members; the core is thrown away after it.
func (c *core) unload() {
	for _, g := range c.groups {
		for _, m := range g.members {
			c.answerJoin(g, m, joinResult{memberID: m.id, code: protocol.ErrNotCoordinator})
			c.answerSync(m, syncResult{code: protocol.ErrNotCoordinator})
		}
	}
}

func addSaturating(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
