package broker

import (
	"container/list"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/protocol"
)

// Epochs that mean something else in a Fetch request (KIP-227).
const (
	initialSessionEpoch = 0
	finalSessionEpoch   = -1
)

// sessionPartitionMemory is about what a partition of a session takes beside its name.
const sessionPartitionMemory = 256

// minSessionMemory is what the sessions may hold together however little requests may.
const minSessionMemory = 64 << 20

// sessionEvictionAge is how long a session must have been unused before another may take
// its slot, as in Apache.
const sessionEvictionAge = 2 * time.Minute

// fetchKey names a partition in a session: by topic name up to Fetch v12, by id after.
type fetchKey struct {
	name      string
	id        protocol.UUID
	partition int32
}

// fetchSession is what the broker remembers between the fetches of one client, so that
// they need name only what changed. Its lock is held while a request takes its list of
// partitions and while an answer is made, not while a request waits.
type fetchSession struct {
	id      int32
	owner   auth.Principal // nobody else may go on with it
	usesIDs bool
	replica bool

	mu         sync.Mutex
	epoch      int32 // that the next request must carry
	partitions map[fetchKey]*list.Element
	order      list.List // of *sessionPartition: those that returned data go to the end
	memory     int64     // about what the partitions take

	lastUsed time.Time // guarded by fetchSessions.mu, as are created, size and held
	created  time.Time
	size     int
	held     int64 // memory, as it is counted in fetchSessions.held
}

// sessionPartition is one partition of a session, and what the client last heard of it.
type sessionPartition struct {
	fetchPartition
	highWatermark  int64
	logStartOffset int64
}

// fetchSessions is all sessions, at most max.incremental.fetch.session.cache.slots and
// about so many bytes.
//
// Lock order: fetchSession.mu, fetchSessions.mu.
type fetchSessions struct {
	slots  int
	memory int64

	mu      sync.Mutex
	byID    map[int32]*fetchSession
	held    int64 // bytes
	evicted int64
}

func newFetchSessions(slots int, memory int64) *fetchSessions {
	return &fetchSessions{slots: slots, memory: max(memory, minSessionMemory), byID: map[int32]*fetchSession{}}
}

// get returns the session and how many partitions it has, nil if there is none or it is
// somebody else's. Kafka lets anybody go on with it who knows its number.
func (s *fetchSessions) get(id int32, who auth.Principal) (*fetchSession, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.byID[id]
	if session == nil || session.owner != who {
		return nil, 0
	}
	session.lastUsed = time.Now()
	return session, session.size
}

// resized counts what a session has become, whose lock is held. It reports false, and the
// session is gone, if there is no memory for more.
func (s *fetchSessions) resized(session *fetchSession) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[session.id] != session {
		return true // evicted meanwhile: the next request is told
	}
	grows := session.memory > session.held
	s.held += session.memory - session.held
	session.held, session.size = session.memory, len(session.partitions)
	if grows && s.held > s.memory {
		s.deleteLocked(session)
		return false
	}
	return true
}

func (s *fetchSessions) deleteLocked(session *fetchSession) {
	delete(s.byID, session.id)
	s.held -= session.held
	session.held = 0
}

func (s *fetchSessions) remove(id int32, who auth.Principal) {
	s.mu.Lock()
	if session := s.byID[id]; session != nil && session.owner == who {
		s.deleteLocked(session)
	}
	s.mu.Unlock()
}

// count returns the sessions there are and the partitions in them.
func (s *fetchSessions) count() (sessions, partitions int, evicted int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.byID {
		partitions += session.size
	}
	return len(s.byID), partitions, s.evicted
}

// create makes a session for the partitions of a full fetch, or returns nil when there is
// no room: the client is then served without one.
func (s *fetchSessions) create(partitions []fetchPartition, owner auth.Principal, usesIDs, replica bool) *fetchSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	memory := int64(0)
	for i := range partitions {
		memory += partitions[i].sessionMemory()
	}
	for s.held+memory > s.memory {
		if memory > s.memory || !s.evictLocked(now, 0, false) { // others in use do not make room for it
			return nil
		}
	}
	if len(s.byID) >= s.slots && !s.evictLocked(now, len(partitions), replica) {
		return nil
	}
	session := &fetchSession{
		owner:   owner,
		usesIDs: usesIDs, replica: replica, epoch: 1, lastUsed: now, created: now,
		partitions: make(map[fetchKey]*list.Element, len(partitions)),
	}
	for {
		session.id = rand.Int32N(1<<31-2) + 1
		if s.byID[session.id] == nil {
			break
		}
	}
	for i := range partitions {
		session.put(partitions[i])
	}
	session.size, session.held = len(session.partitions), session.memory
	s.held += session.held
	s.byID[session.id] = session
	return session
}

// evictLocked makes room: for the session unused longest if that is long enough, else for
// one that is smaller and older than the new one. Sessions of replicas go before none of
// a consumer.
func (s *fetchSessions) evictLocked(now time.Time, size int, replica bool) bool {
	var oldest, smallest *fetchSession
	for _, c := range s.byID {
		if oldest == nil || c.lastUsed.Before(oldest.lastUsed) {
			oldest = c
		}
		if c.replica && !replica || now.Sub(c.created) < sessionEvictionAge {
			continue
		}
		if smallest == nil || c.size < smallest.size {
			smallest = c
		}
	}
	victim := oldest
	if victim == nil {
		return false
	}
	if now.Sub(oldest.lastUsed) < sessionEvictionAge {
		if smallest == nil || smallest.size >= size && !(replica && !smallest.replica) {
			return false
		}
		victim = smallest
	}
	s.deleteLocked(victim)
	s.evicted++
	return true
}

// put adds a partition or changes what is asked of it. Its lock is held, or nobody else
// knows the session.
func (f *fetchSession) put(p fetchPartition) {
	f.memory += p.sessionMemory()
	if e := f.partitions[p.key]; e != nil {
		f.memory -= e.Value.(*sessionPartition).sessionMemory()
		e.Value.(*sessionPartition).fetchPartition = p
		return
	}
	f.partitions[p.key] = f.order.PushBack(&sessionPartition{fetchPartition: p, highWatermark: -1, logStartOffset: -1})
}

// sessionMemory is about what the partition takes in a session.
func (p *fetchPartition) sessionMemory() int64 { return sessionPartitionMemory + int64(len(p.name)) }

func (f *fetchSession) forget(key fetchKey) {
	if e := f.partitions[key]; e != nil {
		f.memory -= e.Value.(*sessionPartition).sessionMemory()
		f.order.Remove(e)
		delete(f.partitions, key)
	}
}

// changed decides whether an incremental answer carries the partition, and notes what
// the client is told. The order changes by incremental answers only.
func (f *fetchSession) changed(out *protocol.FetchResponsePartition, key fetchKey, full bool) bool {
	e := f.partitions[key]
	if e == nil {
		return out.RecordsSize > 0 || out.ErrorCode != protocol.None
	}
	p := e.Value.(*sessionPartition)
	must := out.RecordsSize > 0 || out.PreferredReadReplica >= 0 || out.DivergingEpoch != nil
	if out.HighWatermark != p.highWatermark {
		must = true
		p.highWatermark = out.HighWatermark
	}
	if out.LogStartOffset != p.logStartOffset {
		must = true
		p.logStartOffset = out.LogStartOffset
	}
	if out.ErrorCode != protocol.None {
		// It must be sent again once it recovers, whatever its offsets are then.
		p.highWatermark = -2
		must = true
	}
	if !full && out.RecordsSize > 0 {
		f.order.MoveToBack(e)
	}
	return must
}

// nextEpoch is the session epoch after epoch: 2147483647 is followed by 1.
func nextEpoch(epoch int32) int32 {
	if epoch == 1<<31-1 {
		return 1
	}
	return epoch + 1
}
