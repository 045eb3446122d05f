package group

import (
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run the simulation with this seed only")
	simSteps = flag.Int("sim.steps", 3000, "events per simulation")
	simRuns  = flag.Int("sim.runs", 20, "simulations")
)

// TestSimulation feeds random events to a core and holds it to its invariants. A failure
// prints its seed; -sim.seed runs that very history again.
func TestSimulation(t *testing.T) {
	seeds := []uint64{*simSeed}
	if *simSeed == 0 {
		seeds = nil
		for i := range *simRuns {
			seeds = append(seeds, uint64(i+1))
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { newSimulation(t, seed).run(*simSteps) })
	}
}

// simulation is a core with a log that may fail, and clients that may do anything.
type simulation struct {
	t    *testing.T
	seed uint64
	rng  *rand.Rand
	cfg  Config
	core *core
	now  instant

	queue   []*write // not yet in the log
	log     [][]byte // batches
	wakes   []wake
	asked   int // requests that must be answered
	replied int
	step    int

	members map[string]map[string]int32 // member ids given out, by group, with a generation
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), members: make(map[string]map[string]int32)}
	s.cfg = Config{MaxSize: 4}.withDefaults()
	if s.rng.IntN(2) == 0 {
		s.cfg.InitialRebalanceDelay = 3e9
	}
	s.now = instant{monotonicMs: 1, wallMs: 1_700_000_000_000}
	s.core = s.newCore(new(Stats))
	return s
}

func (s *simulation) newCore(stats *Stats) *core {
	return newCore(&s.cfg, func() (id protocol.UUID) {
		binary.BigEndian.PutUint64(id[:], s.rng.Uint64())
		binary.BigEndian.PutUint64(id[8:], s.rng.Uint64())
		return id
	}, stats)
}

func (s *simulation) fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("seed %d step %d: %s", s.seed, s.step, fmt.Sprintf(format, args...))
}

func (s *simulation) feed(event any) {
	acts := s.core.step(s.now, event)
	s.queue = append(s.queue, acts.writes...)
	s.wakes = append(s.wakes, acts.wakes...)
	for _, f := range acts.replies {
		f()
	}
}

// once guards an answer: it must come exactly once.
func (s *simulation) once() func() {
	s.asked++
	answered := false
	return func() {
		if answered {
			s.fatalf("answered twice")
		}
		answered = true
		s.replied++
	}
}

var simGroups = []string{"a", "b", "c"}

func (s *simulation) run(steps int) {
	for s.step = range steps {
		s.event()
		s.check()
	}
	s.drain()
	if s.asked != s.replied {
		s.fatalf("%d asked, %d answered", s.asked, s.replied)
	}
}

func (s *simulation) event() {
	g := simGroups[s.rng.IntN(len(simGroups))]
	switch n := s.rng.IntN(100); {
	case n < 22:
		s.join(g)
	case n < 36:
		s.sync(g)
	case n < 44:
		id, generation := s.member(g)
		done := s.once()
		s.feed(heartbeatEvent{req: &kmsg.HeartbeatRequest{Group: g, MemberID: id, Generation: generation}, done: func(protocol.ErrorCode) { done() }})
	case n < 48:
		id, _ := s.member(g)
		done := s.once()
		s.feed(leaveEvent{req: &kmsg.LeaveGroupRequest{Version: 1, Group: g, MemberID: id}, done: func(*kmsg.LeaveGroupResponse) { done() }})
	case n < 60:
		s.commit(g)
	case n < 63:
		done := s.once()
		s.feed(deleteGroupEvent{groupID: g, done: func(protocol.ErrorCode) { done() }})
	case n < 65:
		done := s.once()
		s.feed(deleteOffsetsEvent{groupID: g, offsets: s.offsets(), done: func(protocol.ErrorCode) { done() }})
	case n < 66:
		s.feed(topicsDeletedEvent{names: map[string]struct{}{"t1": {}}})
	case n < 67:
		s.feed(expireEvent{})
	case n < 70:
		s.marker(int64(s.rng.IntN(2)), s.rng.IntN(2) == 0)
	case n < 88:
		s.write()
	case n < 99:
		s.pass(int64(s.rng.ExpFloat64() * 2000))
	default:
		if s.rng.IntN(3) == 0 {
			s.restart()
		} else {
			s.pass(3_600_000 * int64(s.rng.IntN(72)))
		}
	}
}

func (s *simulation) member(g string) (id string, generation int32) {
	if s.rng.IntN(20) == 0 {
		return "stranger", 1
	}
	ids := sortedKeys(s.members[g])
	if len(ids) == 0 {
		return "", -1
	}
	id = ids[s.rng.IntN(len(ids))]
	return id, s.members[g][id]
}

func (s *simulation) join(g string) {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version = int16(s.rng.IntN(10))
	req.Group = g
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 6000+int32(s.rng.IntN(10_000)), int32(s.rng.IntN(20_000))
	req.ProtocolType = "consumer"
	for _, name := range []string{"range", "sticky", "other"}[s.rng.IntN(2):] {
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: subscription("t", fmt.Sprint("t", s.rng.IntN(3)))})
	}
	if s.rng.IntN(3) > 0 {
		req.MemberID, _ = s.member(g)
	}
	if req.Version >= 5 && s.rng.IntN(3) == 0 {
		instance := fmt.Sprint("i", s.rng.IntN(2))
		req.InstanceID = &instance
	}
	done := s.once()
	s.feed(joinEvent{rc: testContext, req: req, done: func(r *kmsg.JoinGroupResponse) {
		done()
		if code := protocol.ErrorCode(r.ErrorCode); code == protocol.None || code == protocol.ErrMemberIDRequired {
			if s.members[g] == nil {
				s.members[g] = make(map[string]int32)
			}
			s.members[g][r.MemberID] = r.Generation
		} else {
			delete(s.members[g], req.MemberID)
		}
	}})
}

func (s *simulation) sync(g string) {
	id, generation := s.member(g)
	req := &kmsg.SyncGroupRequest{Version: 3, Group: g, MemberID: id, Generation: generation}
	for other := range maps.Keys(s.members[g]) {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: other, MemberAssignment: []byte("to " + other)})
	}
	done := s.once()
	s.feed(syncEvent{req: req, done: func(r *kmsg.SyncGroupResponse) {
		done()
		if len(r.MemberAssignment) > 0 && r.ErrorCode != 0 {
			s.fatalf("assignment beside error %d", r.ErrorCode)
		}
	}})
}

func (s *simulation) offsets() []partitionOffset {
	var list []partitionOffset
	for range 1 + s.rng.IntN(3) {
		list = append(list, partitionOffset{
			partition: partitionKey{topic: fmt.Sprint("t", s.rng.IntN(3)), partition: int32(s.rng.IntN(2))},
			offset:    offsetAndMetadata{offset: int64(s.step), commitTimestampMs: s.now.wallMs, expireTimestampMs: -1, leaderEpoch: -1},
		})
	}
	return list
}

func (s *simulation) commit(g string) {
	e := commitEvent{groupID: g, generation: -1, offsets: s.offsets(), done: s.once()}
	if s.rng.IntN(2) == 0 {
		e.memberID, e.generation = s.member(g)
	}
	if s.rng.IntN(4) == 0 {
		e.transactional, e.producerID = true, int64(s.rng.IntN(2))
	}
	s.feed(e)
}

// write takes the oldest writes through the log, which may refuse them. Those that come
// together share a batch, as a shard gathers them.
func (s *simulation) write() {
	if len(s.queue) == 0 {
		return
	}
	writes := s.take(1 + s.rng.IntN(4))
	code := protocol.None
	switch s.rng.IntN(20) {
	case 0:
		code = protocol.ErrNotEnoughReplicas
	case 1:
		code = protocol.ErrNotEnoughReplicasAfterAppend
	}
	if standsInLog(code) {
		s.append(writes)
	}
	for _, w := range writes {
		s.feed(writtenEvent{write: w, code: code})
	}
}

// take takes up to n writes from the queue that can stand in one batch.
func (s *simulation) take(n int) []*write {
	taken := 0
	for taken < min(n, len(s.queue)) && (taken == 0 || !s.queue[0].transactional && !s.queue[taken].transactional) {
		s.queue[taken].submitted = true
		taken++
	}
	writes := s.queue[:taken:taken]
	s.queue = s.queue[taken:]
	return writes
}

func (s *simulation) append(writes []*write) {
	opts := protocol.BatchOptions{}
	if w := writes[0]; w.transactional {
		opts.Transactional, opts.Producer = true, &protocol.Producer{ID: w.producerID, Epoch: w.producerEpoch}
	}
	var records []protocol.Record
	for _, w := range writes {
		for _, r := range w.records {
			records = append(records, protocol.Record{Timestamp: w.timestampMs, Key: r.key, Value: r.value})
		}
	}
	batch, err := protocol.AppendBatch(nil, opts, records...)
	if err != nil {
		s.fatalf("batch: %v", err)
	}
	s.log = append(s.log, batch)
}

func (s *simulation) marker(producerID int64, committed bool) {
	s.log = append(s.log, protocol.AppendEndTxnBatch(nil, producerID, 0, s.now.wallMs, protocol.EndTxnMarker{Commit: committed}))
	s.feed(transactionEvent{producerID: producerID, committed: committed})
}

// pass lets time go by, with the wakes that fall into it.
func (s *simulation) pass(ms int64) {
	end := s.now.monotonicMs + ms
	for {
		first := -1
		for i, w := range s.wakes {
			if w.atMs <= end && (first < 0 || w.atMs < s.wakes[first].atMs) {
				first = i
			}
		}
		if first < 0 {
			break
		}
		w := s.wakes[first]
		s.wakes = append(s.wakes[:first], s.wakes[first+1:]...)
		s.advance(max(w.atMs, s.now.monotonicMs))
		s.feed(tickEvent(w))
	}
	s.advance(end)
}

func (s *simulation) advance(to int64) {
	s.now.wallMs += to - s.now.monotonicMs
	s.now.monotonicMs = to
}

// restart loses the core and what it had not written, and loads another from the log.
func (s *simulation) restart() {
	for _, w := range s.queue {
		for _, f := range s.core.step(s.now, writtenEvent{write: w, code: protocol.ErrNotLeaderOrFollower}).replies {
			f()
		}
	}
	for _, f := range s.core.step(s.now, unloadEvent{}).replies {
		f()
	}
	s.queue, s.wakes = nil, nil
	s.core = s.load()
	acts := (&loader{core: s.core}).finish(s.now)
	s.queue, s.wakes = acts.writes, acts.wakes
}

func (s *simulation) load() *core {
	l := loader{core: s.newCore(new(Stats))}
	l.core.now = s.now
	for _, batch := range s.log {
		if err := l.load(batch); err != nil {
			s.fatalf("load: %v", err)
		}
	}
	if l.skipped > 0 {
		s.fatalf("load: %v", l.failure)
	}
	return l.core
}

// check holds the core to what must be true after every event.
func (s *simulation) check() {
	for id, g := range s.core.groups {
		if g.id != id {
			s.fatalf("group %s under %s", g.id, id)
		}
		s.checkGroup(g)
	}
	for producerID, groups := range s.core.producers {
		for g := range groups {
			if s.core.groups[g.id] != g || len(g.transactions[producerID]) == 0 {
				s.fatalf("producer %d kept for group %s without reason", producerID, g.id)
			}
		}
	}
	if len(s.queue) == 0 && s.step%20 == 0 {
		s.checkDurable()
	}
}

func (s *simulation) checkGroup(g *group) {
	awaiting, pendingSyncs, static := 0, 0, 0
	counts := make(map[string]int)
	for _, m := range g.members {
		if g.byID[m.id] != m {
			s.fatalf("member %s not found by id", m.id)
		}
		if m.join != nil {
			awaiting++
		}
		if m.pendingSync {
			pendingSyncs++
		}
		if m.isStatic {
			static++
			if g.static[m.instanceID] != m {
				s.fatalf("static member %s not found", m.instanceID)
			}
		}
		if m.sync != nil && g.state != stateCompletingRebalance {
			s.fatalf("%s waits for an assignment in %v", m.id, g.state)
		}
		if _, ok := g.pending[m.id]; ok {
			s.fatalf("%s is member and pending", m.id)
		}
		for _, p := range m.protocols {
			counts[p.name]++
		}
	}
	switch {
	case len(g.byID) != len(g.members) || len(g.static) != static:
		s.fatalf("%s: %d members, %d by id, %d static of %d", g.id, len(g.members), len(g.byID), len(g.static), static)
	case awaiting != g.awaitingJoin || pendingSyncs != g.pendingSyncs:
		s.fatalf("%s: awaiting %d counted %d, syncs %d counted %d", g.id, awaiting, g.awaitingJoin, pendingSyncs, g.pendingSyncs)
	case !maps.Equal(counts, g.protocolCount) && len(counts)+len(g.protocolCount) > 0:
		s.fatalf("%s: protocols %v counted %v", g.id, counts, g.protocolCount)
	case (len(g.members) == 0) != (g.leaderID == ""), g.leaderID != "" && g.member(g.leaderID) == nil:
		s.fatalf("%s: leader %q among %d", g.id, g.leaderID, len(g.members))
	case (g.state == stateEmpty) != (len(g.members) == 0) && g.state != statePreparingRebalance:
		s.fatalf("%s: %v with %d members", g.id, g.state, len(g.members))
	case g.state == statePreparingRebalance && g.joinDeadlineMs == 0:
		s.fatalf("%s prepares without a deadline", g.id)
	case g.state != statePreparingRebalance && g.joinDeadlineMs != 0:
		s.fatalf("%s has a join deadline in %v", g.id, g.state)
	case g.state == statePreparingRebalance && !g.initialJoin && g.allJoined():
		s.fatalf("%s: all have joined and nothing happens", g.id)
	case g.pendingSyncs > 0 && g.syncDeadlineMs == 0:
		s.fatalf("%s waits for syncs without a deadline", g.id)
	case g.state != statePreparingRebalance && len(g.members)-static > s.cfg.MaxSize: // static ones keep their place
		s.fatalf("%s has %d members", g.id, len(g.members))
	case g.generation == 0 && g.isVoid():
		s.fatalf("%s is void", g.id)
	}
	if g.state == stateStable || g.state == stateCompletingRebalance {
		for _, m := range g.members {
			if _, ok := m.metadataFor(g.protocol); !ok && m.join == nil {
				s.fatalf("%s does not know %s", m.id, g.protocol)
			}
		}
	}
	// Every deadline has a wake that comes no later.
	if next := g.nextDeadline(); next != 0 {
		covered := false
		for _, w := range s.wakes {
			covered = covered || w.groupID == g.id && w.atMs == g.armedMs && w.atMs <= next
		}
		if !covered {
			s.fatalf("%s: deadline %d has no wake (armed %d)", g.id, next, g.armedMs)
		}
	}
	for p, n := range g.pendingCommits {
		if n <= 0 {
			s.fatalf("%s: %v pending %d times", g.id, p, n)
		}
	}
	if g.writes == 0 && len(g.pendingCommits) > 0 {
		s.fatalf("%s: pending commits without a write", g.id)
	}
}

// checkDurable compares the core with one loaded from the log: with nothing on its way,
// the offsets must be the same.
func (s *simulation) checkDurable() {
	loaded := s.load()
	for id, g := range s.core.groups {
		l := loaded.groups[id]
		if l == nil {
			l = &group{}
		}
		if len(l.offsets) != len(g.offsets) {
			s.fatalf("%s: %d offsets, %d in the log", id, len(g.offsets), len(l.offsets))
		}
		for p, o := range g.offsets {
			if l.offsets[p].offsetAndMetadata != o.offsetAndMetadata {
				s.fatalf("%s %v: %+v, in the log %+v", id, p, o, l.offsets[p])
			}
		}
		if len(l.transactions) != len(g.transactions) {
			s.fatalf("%s: %d transactions, %d in the log", id, len(g.transactions), len(l.transactions))
		}
	}
	for id, l := range loaded.groups {
		if s.core.groups[id] == nil && !l.isVoid() {
			s.fatalf("%s is gone but in the log: %+v", id, l)
		}
	}
}

// drain lets everything end: writes succeed and time passes, so nobody may wait any more.
func (s *simulation) drain() {
	for range 100 {
		for len(s.queue) > 0 {
			w := s.take(1)
			s.append(w)
			s.feed(writtenEvent{write: w[0]})
			s.check()
		}
		s.pass(newMemberJoinTimeoutMs)
		s.check()
	}
	s.checkDurable()
	for id, g := range s.core.groups {
		if g.state != stateEmpty {
			s.fatalf("%s still %v", id, g.state)
		}
	}
}
