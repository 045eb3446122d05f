package group

import (
	"bytes"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// state is where a classic group stands in its rebalances.
type state int8

const (
	// stateEmpty has no members: new, left by all, or only a keeper of offsets.
	stateEmpty state = iota
	// statePreparingRebalance waits for members to join.
	statePreparingRebalance
	// stateCompletingRebalance waits for the leader's assignment.
	stateCompletingRebalance
	// stateStable has handed its assignment out.
	stateStable
	// stateDead is what the API shows of a group that does not exist.
	stateDead
)

var stateNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}

func (s state) String() string { return stateNames[s] }

// Durations and deadlines in the core are milliseconds. Deadlines are on the monotonic
// clock, 0 being "none"; timestamps that are written are on the wall clock.

// newMemberJoinTimeoutMs bounds how long a member that does not know its id yet is kept
// waiting in a JoinGroup: it cannot heartbeat, and its connection may be gone.
const newMemberJoinTimeoutMs = 5 * 60 * 1000

// protocolMetadata is one of the protocols (assignors) a member offers, by preference.
type protocolMetadata struct {
	name     string
	metadata []byte
}

// joinWaiter is a JoinGroup that has not been answered.
type joinWaiter struct {
	version int16
	done    func(*kmsg.JoinGroupResponse)
}

// syncWaiter is a SyncGroup that has not been answered.
type syncWaiter struct {
	version int16
	done    func(*kmsg.SyncGroupResponse)
}

// member is one member of a classic group.
type member struct {
	id                 string
	instanceID         string
	isStatic           bool
	isNew              bool // joining for the first time, not answered yet
	pendingSync        bool // was told of the generation, has not sent its SyncGroup
	removed            bool // see group.unlink
	clientID           string
	clientHost         string
	rebalanceTimeoutMs int32
	sessionTimeoutMs   int32
	protocols          []protocolMetadata
	assignment         []byte

	join *joinWaiter // counted in group.awaitingJoin
	sync *syncWaiter

	deadlineMs int64 // end of the session; see sessionDeadline
}

// sessionDeadline is when the member is to be removed. One that waits for us, in a join
// or a sync, is alive by definition, unless it is new.
func (m *member) sessionDeadline() int64 {
	if !m.isNew && (m.join != nil || m.sync != nil) {
		return 0
	}
	return m.deadlineMs
}

func (m *member) metadataFor(protocolName string) ([]byte, bool) {
	for i := range m.protocols {
		if m.protocols[i].name == protocolName {
			return m.protocols[i].metadata, true
		}
	}
	return nil, false
}

// matches says whether the protocols of a request are those the member joined with.
func (m *member) matches(protocols []kmsg.JoinGroupRequestProtocol) bool {
	if len(protocols) > len(m.protocols) {
		protocols = distinctProtocols(protocols) // as copyProtocols took them
	}
	if len(protocols) != len(m.protocols) {
		return false
	}
	for i := range protocols {
		if protocols[i].Name != m.protocols[i].name || !bytes.Equal(protocols[i].Metadata, m.protocols[i].metadata) {
			return false
		}
	}
	return true
}

// pendingOffset is an offset of a transaction that is still open.
type pendingOffset struct {
	offsetAndMetadata
	position int64  // of the record among all of the partition
	write    *write // until it has been appended
	ended    ending // of the transaction, if that came while the append was under way
}

// ending is how a transaction ended.
type ending int8

const (
	notEnded ending = iota
	endedCommitted
	endedAborted
)

// committed is an offset that counts. position orders it against offsets of transactions,
// which count from their commit on but stand in the log before it.
type committed struct {
	offsetAndMetadata
	position int64
}

// group is a classic group, or a mere keeper of offsets. Its invariants are those that
// check in core_test.go holds it to. Everything but id may be nil or zero in an idle one.
type group struct {
	id               string
	state            state
	stateTimestampMs int64 // when state was entered, by the wall clock; -1: unknown
	generation       int32 // 0 until the first rebalance
	protocolType     string
	protocol         string
	hasProtocol      bool
	leaderID         string // empty without members

	members       []*member // in the order they joined
	byID          map[string]*member
	static        map[string]*member // by instance id
	pending       map[string]int64   // member ids given out with MEMBER_ID_REQUIRED, and when they lapse
	protocolCount map[string]int     // how many members offer a protocol
	awaitingJoin  int                // members with a join waiter
	pendingSyncs  int                // members with pendingSync set

	joinDeadlineMs   int64 // end of statePreparingRebalance
	initialJoin      bool  // the deadline is an initial delay, which new members extend
	newMemberAdded   bool
	initialDelayMs   int64 // the running initial delay
	initialRemainsMs int64 // how much longer it may be extended
	syncDeadlineMs   int64 // when members with pendingSync are removed

	armedMs int64 // deadline that the shell has been told of; never later than nextDeadline

	subscribed      []string // topics of all members, as of this generation, sorted
	subscribedKnown bool

	offsets        map[partitionKey]committed
	pendingCommits map[partitionKey]int                       // commits being written
	transactions   map[int64]map[partitionKey][]pendingOffset // by producer id; several while some are being written, oldest first
	writes         int                                        // unfinished writes that will touch this group
}

func (g *group) member(id string) *member { return g.byID[id] }

// add puts a new member into the group. The first one gives the group its protocol type
// and leads.
func (g *group) add(m *member) {
	if g.byID == nil {
		g.byID = make(map[string]*member)
		g.protocolCount = make(map[string]int)
	}
	if len(g.members) == 0 {
		g.leaderID = m.id
	}
	if m.isStatic {
		if g.static == nil {
			g.static = make(map[string]*member)
		}
		g.static[m.instanceID] = m
	}
	g.members = append(g.members, m)
	g.byID[m.id] = m
	g.countProtocols(m, 1)
	if m.join != nil {
		g.awaitingJoin++
	}
	delete(g.pending, m.id)
}

// remove takes a member, or a pending member id, out of the group. The caller answers
// what the member waits for.
func (g *group) remove(id string) {
	delete(g.pending, id)
	if m := g.byID[id]; m != nil {
		g.unlink(m)
		g.compact()
	}
}

// unlink takes a member out of everything but members. compact does the rest, for all
// that were unlinked together: one after the other would take the square of their number.
func (g *group) unlink(m *member) {
	m.removed = true
	delete(g.byID, m.id)
	g.countProtocols(m, -1)
	if m.isStatic {
		delete(g.static, m.instanceID)
	}
	if m.join != nil {
		g.awaitingJoin--
	}
	g.clearPendingSync(m)
}

// compact ends the removal of the members that were unlinked.
func (g *group) compact() {
	g.members = slices.DeleteFunc(g.members, func(m *member) bool { return m.removed })
	if g.byID[g.leaderID] == nil {
		g.leaderID = ""
		if len(g.members) > 0 {
			g.leaderID = g.members[0].id
		}
	}
	if len(g.members) == 0 { // an empty group keeps no maps
		g.members, g.byID, g.static, g.protocolCount = nil, nil, nil, nil
	}
}

// rename gives a static member that came back its new id.
func (g *group) rename(m *member, id string) {
	delete(g.byID, m.id)
	if g.leaderID == m.id {
		g.leaderID = id
	}
	m.id = id
	g.byID[id] = m
}

func (g *group) countProtocols(m *member, by int) {
	for i := range m.protocols {
		if n := g.protocolCount[m.protocols[i].name] + by; n > 0 {
			g.protocolCount[m.protocols[i].name] = n
		} else {
			delete(g.protocolCount, m.protocols[i].name)
		}
	}
}

func (g *group) setProtocols(m *member, protocols []protocolMetadata) {
	g.countProtocols(m, -1)
	m.protocols = protocols
	g.countProtocols(m, 1)
}

func (g *group) setPendingSync(m *member) {
	if !m.pendingSync {
		m.pendingSync = true
		g.pendingSyncs++
	}
}

func (g *group) clearPendingSync(m *member) {
	if m.pendingSync {
		m.pendingSync = false
		if g.pendingSyncs--; g.pendingSyncs == 0 {
			g.syncDeadlineMs = 0
		}
	}
}

func (g *group) clearPendingSyncs() {
	for _, m := range g.members {
		m.pendingSync = false
	}
	g.pendingSyncs, g.syncDeadlineMs = 0, 0
}

func (g *group) allJoined() bool { return g.awaitingJoin == len(g.members) && len(g.pending) == 0 }

// rebalanceTimeoutMs is the longest that any member asks for.
func (g *group) rebalanceTimeoutMs() int64 {
	var longest int32
	for _, m := range g.members {
		longest = max(longest, m.rebalanceTimeoutMs)
	}
	return int64(longest)
}

// supports says whether a member with these protocols fits into the group.
func (g *group) supports(protocolType string, protocols []kmsg.JoinGroupRequestProtocol) bool {
	if g.state == stateEmpty {
		return protocolType != "" && len(protocols) > 0
	}
	if protocolType != g.protocolType {
		return false
	}
	for i := range protocols {
		if g.protocolCount[protocols[i].Name] >= len(g.members) {
			return true
		}
	}
	return false
}

// selectProtocol lets each member vote for the first of its protocols that all members
// offer. The most votes win; of equals, the one that was voted for first.
func (g *group) selectProtocol() string {
	votes := make(map[string]int)
	var winner string
	for _, m := range g.members {
		for i := range m.protocols {
			if name := m.protocols[i].name; g.protocolCount[name] >= len(g.members) {
				votes[name]++
				break
			}
		}
	}
	most := 0
	for _, m := range g.members {
		for i := range m.protocols {
			if name := m.protocols[i].name; votes[name] > most {
				winner, most = name, votes[name]
			}
		}
	}
	return winner
}

// currentMember checks the ids of a request that must come from a member.
func (g *group) currentMember(id string, instanceID *string) (*member, protocol.ErrorCode) {
	if instanceID != nil {
		switch m := g.static[*instanceID]; {
		case m == nil:
			return nil, protocol.ErrUnknownMemberID
		case m.id != id:
			return nil, protocol.ErrFencedInstanceID
		}
	}
	m := g.byID[id]
	if m == nil {
		return nil, protocol.ErrUnknownMemberID
	}
	return m, protocol.None
}

// nextDeadline is the earliest deadline of the group and its members, 0 if there is none.
func (g *group) nextDeadline() int64 {
	var next int64
	earliest := func(at int64) {
		if at != 0 && (next == 0 || at < next) {
			next = at
		}
	}
	earliest(g.joinDeadlineMs)
	earliest(g.syncDeadlineMs)
	for _, m := range g.members {
		earliest(m.sessionDeadline())
	}
	for _, at := range g.pending {
		earliest(at)
	}
	return next
}

// isVoid says that nothing would be lost with the group.
func (g *group) isVoid() bool {
	return g.state == stateEmpty && len(g.members) == 0 && len(g.pending) == 0 && g.writes == 0 &&
		len(g.offsets) == 0 && len(g.pendingCommits) == 0 && len(g.transactions) == 0
}

// hasPending says whether an offset of the partition is on its way: being written, or in
// a transaction that has not ended.
func (g *group) hasPending(p partitionKey) bool {
	if g.pendingCommits[p] > 0 {
		return true
	}
	for _, offsets := range g.transactions {
		if _, ok := offsets[p]; ok {
			return true
		}
	}
	return false
}

// record is the group as it is to be written. assignment is asked for each member's.
func (g *group) record(assignment func(*member) []byte) groupRecord {
	rec := groupRecord{
		protocolType: g.protocolType, generation: g.generation,
		protocol: g.protocol, hasProtocol: g.hasProtocol,
		leader: g.leaderID, hasLeader: g.leaderID != "",
		stateTimestampMs: g.stateTimestampMs,
	}
	for _, m := range g.members {
		subscription, _ := m.metadataFor(g.protocol)
		rec.members = append(rec.members, memberRecord{
			memberID: m.id, instanceID: m.instanceID, isStatic: m.isStatic,
			clientID: m.clientID, clientHost: m.clientHost,
			rebalanceTimeoutMs: m.rebalanceTimeoutMs, sessionTimeoutMs: m.sessionTimeoutMs,
			subscription: subscription, assignment: assignment(m),
		})
	}
	return rec
}
