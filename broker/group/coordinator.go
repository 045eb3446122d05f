package group

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// RequestContext is what a request carries besides its body. The request's version is
// the Version field of the kmsg struct.
type RequestContext struct {
	ClientID   string // begins the member ids that are handed out
	ClientHost string // as DescribeGroups shows it: a slash and the address, "/10.0.0.1"
}

// Topic is what a request may know of a topic that it names.
type Topic struct {
	Name       string
	ID         protocol.UUID
	Partitions int32

	// Err is None, TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION, or
	// UNKNOWN_TOPIC_ID. The order of these checks is the caller's.
	Err protocol.ErrorCode
}

// TopicLookup finds a topic by name, or, if name is empty and id is not zero, by id, on
// behalf of one principal. Each method says what it makes of [Topic.Err].
type TopicLookup func(name string, id protocol.UUID) Topic

// GroupFilter says whether the principal may do to a group what the request is for: None
// or GROUP_AUTHORIZATION_FAILED. Nil lets all through.
type GroupFilter func(groupID string) protocol.ErrorCode

// Coordinator is one broker's group coordinator. Lock order: Coordinator.mu, then
// shard.mu, then timers.mu; none is held over a call out of the package.
type Coordinator struct {
	// Constant after New.
	cfg      Config
	storage  Storage
	memberID func() protocol.UUID
	logger   *slog.Logger
	timers   *timers
	ctx      context.Context // ends with Close; loads run under it
	cancel   context.CancelFunc
	loaders  sync.WaitGroup
	deleted  deletedTopics

	mu          sync.RWMutex
	shards      map[int32]*shard
	closed      bool
	expiring    bool          // the periodic expiry has been set
	toLoad      []*shard      // waiting for a loader
	loaderCount int           // running loaders, maxLoaders at most
	loading     int           // shards not loaded yet
	loaded      chan struct{} // closed while loading is 0
	gone        Stats         // counters of shards that are gone
}

// maxLoaders bounds how many partitions are read at the same time.
const maxLoaders = 4

// loadRetry is the pause after a load that failed.
const loadRetry = 5 * time.Second

// New returns a coordinator that leads no partition yet.
func New(opts Options) *Coordinator {
	cfg := opts.Config.withDefaults()
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.After == nil {
		opts.After = func(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
	}
	if opts.MemberID == nil {
		opts.MemberID = protocol.NewUUID
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Coordinator{
		cfg: cfg, storage: opts.Storage, memberID: opts.MemberID, logger: opts.Logger,
		shards: make(map[int32]*shard),
		loaded: make(chan struct{}),
	}
	close(c.loaded)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.timers = &timers{now: opts.Now, after: opts.After, fire: c.fire, start: opts.Now()}
	return c
}

// Close answers all that wait with NOT_COORDINATOR and stops the timer and the loads.
func (c *Coordinator) Close() {
	c.mu.Lock()
	c.closed = true
	shards := c.shards
	c.shards = make(map[int32]*shard)
	if len(c.toLoad) > 0 {
		if c.loading -= len(c.toLoad); c.loading == 0 {
			close(c.loaded)
		}
		c.toLoad = nil
	}
	c.mu.Unlock()
	c.cancel()
	c.timers.close()
	for _, s := range shards {
		s.resign()
	}
	c.loaders.Wait()
}

// PartitionFor returns the partition of __consumer_offsets that a group belongs to; ok is
// false while the topic does not exist.
func (c *Coordinator) PartitionFor(groupID string) (partition int32, ok bool) {
	n := c.storage.PartitionCount()
	if n <= 0 {
		return 0, false
	}
	return PartitionOf(groupID, n), true
}

// shardOf finds the shard of a group, or says why there is none.
func (c *Coordinator) shardOf(groupID string) (*shard, protocol.ErrorCode) {
	partition, ok := c.PartitionFor(groupID)
	if !ok {
		return nil, protocol.ErrCoordinatorNotAvailable
	}
	c.mu.RLock()
	s := c.shards[partition]
	c.mu.RUnlock()
	if s == nil {
		return nil, protocol.ErrNotCoordinator
	}
	return s, protocol.None
}

// do feeds an event to the core that has the group.
func (c *Coordinator) do(groupID string, event any) protocol.ErrorCode {
	s, code := c.shardOf(groupID)
	if code != protocol.None {
		return code
	}
	return s.do(event)
}

// read runs f with the core that has the group, under its lock.
func (c *Coordinator) read(groupID string, f func(*core)) protocol.ErrorCode {
	s, code := c.shardOf(groupID)
	if code != protocol.None {
		return code
	}
	return s.read(f)
}

// allShards returns the shards there are, by partition.
func (c *Coordinator) allShards() []*shard {
	c.mu.RLock()
	defer c.mu.RUnlock()
	list := make([]*shard, 0, len(c.shards))
	for _, s := range c.shards {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *shard) int { return int(a.partition) - int(b.partition) })
	return list
}

// BecomeLeader starts to load a partition in the background; until that is done its
// groups answer COORDINATOR_LOAD_IN_PROGRESS. A repeated call with the same epoch does
// nothing, one with a newer epoch keeps the state and continues with it.
func (c *Coordinator) BecomeLeader(partition, leaderEpoch int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if s := c.shards[partition]; s != nil {
		s.mu.Lock()
		s.leaderEpoch = max(s.leaderEpoch, leaderEpoch)
		s.mu.Unlock()
		return
	}
	if !c.expiring {
		c.expiring = true
		c.timers.add(shardWake{atMs: c.timers.instant().monotonicMs + c.cfg.OffsetsRetentionCheckInterval.Milliseconds()})
	}
	s := &shard{coordinator: c, partition: partition, leaderEpoch: leaderEpoch}
	c.shards[partition] = s
	c.queueLoadLocked(s)
}

// Resign forgets a partition and answers its waiting requests with NOT_COORDINATOR. An
// epoch older than that of BecomeLeader is ignored; -1 always counts.
func (c *Coordinator) Resign(partition, leaderEpoch int32) {
	c.mu.Lock()
	s := c.shards[partition]
	if s == nil {
		c.mu.Unlock()
		return
	}
	s.mu.Lock()
	stale := leaderEpoch >= 0 && leaderEpoch < s.leaderEpoch
	if !stale {
		c.gone.add(&s.stats)
	}
	s.mu.Unlock()
	if !stale {
		delete(c.shards, partition)
	}
	c.mu.Unlock()
	if !stale {
		s.resign()
	}
}

// WaitLoaded returns when no partition is loading, or with ctx's error.
func (c *Coordinator) WaitLoaded(ctx context.Context) error {
	for {
		c.mu.RLock()
		loading, loaded := c.loading, c.loaded
		c.mu.RUnlock()
		if loading == 0 {
			return nil
		}
		select {
		case <-loaded:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// queueLoadLocked hands a shard to a loader; mu is held.
func (c *Coordinator) queueLoadLocked(s *shard) {
	if c.loading == 0 {
		c.loaded = make(chan struct{})
	}
	c.loading++
	c.toLoad = append(c.toLoad, s)
	if c.loaderCount < maxLoaders {
		c.loaderCount++
		c.loaders.Go(c.loadAll)
	}
}

// loadAll is one loader: it loads until nothing is left to load.
func (c *Coordinator) loadAll() {
	for {
		c.mu.Lock()
		if len(c.toLoad) == 0 {
			c.loaderCount--
			c.mu.Unlock()
			return
		}
		s := c.toLoad[0]
		c.toLoad = slices.Delete(c.toLoad, 0, 1)
		c.mu.Unlock()

		s.load()

		c.mu.Lock()
		if c.loading--; c.loading == 0 {
			close(c.loaded)
		}
		c.mu.Unlock()
	}
}

// fire handles one wake of the timers.
func (c *Coordinator) fire(w shardWake) {
	switch {
	case w.shard == nil:
		for _, s := range c.allShards() {
			s.do(expireEvent{})
		}
		c.timers.add(shardWake{atMs: c.timers.instant().monotonicMs + c.cfg.OffsetsRetentionCheckInterval.Milliseconds()})
	case w.load:
		c.mu.Lock()
		if !c.closed && c.shards[w.shard.partition] == w.shard {
			c.queueLoadLocked(w.shard)
		}
		c.mu.Unlock()
	default:
		w.shard.do(tickEvent{groupID: w.groupID, atMs: w.atMs})
	}
}

// TopicsDeleted removes the committed offsets of topics that no longer exist, and refuses
// those that are on their way here. Of the topics only Name and ID matter.
func (c *Coordinator) TopicsDeleted(topics []Topic) {
	set := make(map[string]struct{}, len(topics))
	for i := range topics {
		c.deleted.add(topics[i].ID)
		set[topics[i].Name] = struct{}{}
	}
	for _, s := range c.allShards() {
		s.doLoaded(topicsDeletedEvent{names: set})
	}
}

// TransactionCompleted tells that the commit or abort marker of a producer stands in a
// partition of __consumer_offsets, below its high watermark.
func (c *Coordinator) TransactionCompleted(partition int32, producerID int64, committed bool) {
	c.mu.RLock()
	s := c.shards[partition]
	c.mu.RUnlock()
	if s != nil {
		s.doLoaded(transactionEvent{producerID: producerID, committed: committed})
	}
}

// Stats returns the counters and what the coordinator holds now.
func (c *Coordinator) Stats() Stats {
	c.mu.RLock()
	total := c.gone
	c.mu.RUnlock()
	for _, s := range c.allShards() {
		s.mu.Lock()
		total.add(&s.stats)
		switch s.status {
		case shardActive:
			total.PartitionsLed++
			s.core.gauges(&total)
		case shardLoading:
			total.PartitionsLoading++
		}
		s.mu.Unlock()
	}
	return total
}

// PartitionOf is the absolute value of the Java hash of the group id modulo the partition
// count.
func PartitionOf(groupID string, partitionCount int32) int32 {
	var h int32
	for _, r := range groupID {
		if r > 0xffff { // Java hashes the two halves of the surrogate pair
			r -= 0x10000
			h = 31*h + (0xd800 + r>>10)
			h = 31*h + (0xdc00 + r&0x3ff)
			continue
		}
		h = 31*h + r
	}
	if h == math.MinInt32 { // has no absolute value
		return 0
	}
	return max(h, -h) % partitionCount
}
