package broker

import (
	"sync"
	"time"
	"unsafe"

	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/replication"
)

// fetch is one Fetch request under way, from decoding to its answer, over any number of
// waits. It is reused.
type fetch struct {
	b    *Broker
	r    *request
	conn *conn                 // of r, also when that has been answered
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
	large   bool // it was admitted with the memory that it takes
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
	f.b, f.r, f.conn = b, r, r.conn
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
	f.b, f.r, f.conn, f.session, f.waiter = nil, nil, nil, nil, nil
	f.partitions, f.results, f.gaps, f.owner = partitions, results, f.gaps[:0], f.owner[:0]
	f.full, f.replica, f.late, f.large, f.ended, f.hardLimit = false, false, false, false, false, false
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
	asked := 0
	for t := range f.req.Topics {
		asked += len(f.req.Topics[t].Partitions)
	}
	if epoch == finalSessionEpoch || epoch == initialSessionEpoch {
		if id != 0 {
			f.b.sessions.remove(id, f.r.session.principal)
		}
		f.admit(asked)
		f.takePartitions(usesIDs)
		if epoch == initialSessionEpoch && f.r.version >= 7 {
			f.session = f.b.sessions.create(f.partitions, f.r.session.principal, usesIDs, f.replica)
		}
		return protocol.None
	}
	session, size := f.b.sessions.get(id, f.r.session.principal)
	if session == nil {
		return protocol.ErrFetchSessionIDNotFound
	}
	f.admit(asked + size)
	session.mu.Lock()
	defer session.mu.Unlock()
	if epoch != session.epoch {
		return protocol.ErrInvalidFetchSessionEpoch
	}
	if usesIDs != session.usesIDs {
		return protocol.ErrFetchSessionTopicIDError
	}
	f.takePartitions(usesIDs)
	memory := session.memory
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
	if session.memory != memory && !f.b.sessions.resized(session) {
		return protocol.ErrFetchSessionIDNotFound
	}
	f.partitions = f.partitions[:0]
	for e := session.order.Front(); e != nil; e = e.Next() {
		f.partitions = append(f.partitions, e.Value.(*sessionPartition).fetchPartition)
	}
	f.session, f.full = session, false
	return protocol.None
}

// fetchPartitionMemory is about what a partition of a fetch takes until it is answered.
const fetchPartitionMemory = 64 + int(unsafe.Sizeof(fetchPartition{})+unsafe.Sizeof(fetchResult{}))

// admit waits until there is memory for as many partitions, if they are no few.
func (f *fetch) admit(partitions int) {
	memory := int64(partitions*fetchPartitionMemory + len(f.r.body))
	if memory <= freeMemory {
		return
	}
	f.conn.admit(memory)
	f.large = true
	f.conn.mu.Lock()
	defer f.conn.mu.Unlock()
	f.r.admitted = memory
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
