package acl

import (
	"hash/maphash"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/auth"
)

// Snapshot is a set of ACLs, immutable, with an index that answers one question in one
// walk along the resource's name, whatever the number of ACLs. [Snapshot.Apply] makes the
// next one out of it and shares what did not change.
type Snapshot struct {
	types [resourceTypeCount]typeIndex
	count int
}

// typeIndex is the ACLs of one resource type.
type typeIndex struct {
	root     *node    // nil if there is none
	wildcard *entries // of the literal name *
	// byPrincipal is for the question about any resource of the type: ACLs of one
	// principal, in shards so that one change copies little.
	byPrincipal *[principalShards]*shard
}

const principalShards = 64

type shard struct {
	edit  *edit
	rules map[auth.Principal][]*rule
}

// seed is that of the shards' hash: any will do for the life of the process.
var seed = maphash.MakeSeed()

func shardOf(who auth.Principal) int { return int(maphash.String(seed, who.Name) % principalShards) }

// NewSnapshot returns a snapshot of the ACLs; nil is none. Invalid ones cover nothing, or
// match nobody. One that comes twice counts once.
func NewSnapshot(bindings iter.Seq[Binding]) *Snapshot {
	s := &Snapshot{}
	if bindings == nil {
		return s
	}
	ed := new(edit)
	for b := range bindings {
		s.change(ed, b, false)
	}
	return s
}

// Apply returns s without removed and with added.
func (s *Snapshot) Apply(added, removed []Binding) *Snapshot {
	next, ed := *s, new(edit)
	if len(removed) > 64 && len(removed) > s.count/8 {
		next = *s.without(removed)
		removed = nil
	}
	for _, b := range removed {
		next.change(ed, b, true)
	}
	for _, b := range added {
		next.change(ed, b, false)
	}
	return &next
}

// without is s rebuilt: removing many one by one costs more.
func (s *Snapshot) without(removed []Binding) *Snapshot {
	gone := make(map[Binding]bool, len(removed))
	for _, b := range removed {
		gone[b] = true
	}
	next, ed := &Snapshot{}, new(edit)
	for r := range s.rules() {
		if !gone[r.Binding] {
			next.change(ed, r.Binding, false)
		}
	}
	return next
}

// Len is the number of ACLs.
func (s *Snapshot) Len() int { return s.count }

// change adds or removes one ACL. Only the edit's owner sees s.
func (s *Snapshot) change(ed *edit, b Binding, remove bool) {
	if b.ResourceType <= AnyResource || b.ResourceType >= resourceTypeCount || b.PatternType != Literal && b.PatternType != Prefixed {
		return
	}
	t := &s.types[b.ResourceType]
	who, _ := parsePrincipal(b.Principal)
	if t.entries(&b).get(who).has(b) != remove {
		return // there already, or gone already
	}
	r := &rule{Binding: b}
	if remove {
		s.count--
	} else {
		s.count++
	}
	t.putShard(ed, who, r, remove)
	if b.PatternType == Literal && b.ResourceName == Wildcard {
		t.wildcard = t.wildcard.with(ed, r, remove)
		return
	}
	if t.root == nil {
		t.root = &node{edit: ed}
	}
	t.root = t.root.with(ed, b.ResourceName, r, remove)
}

func (t *typeIndex) shard(n int) *shard {
	if t.byPrincipal == nil {
		return nil
	}
	return t.byPrincipal[n]
}

func (h *shard) rulesOf(who auth.Principal) []*rule {
	if h == nil {
		return nil
	}
	return h.rules[who]
}

// entries returns the ACLs of b's pattern, nil if there is none.
func (t *typeIndex) entries(b *Binding) *entries {
	if b.PatternType == Literal && b.ResourceName == Wildcard {
		return t.wildcard
	}
	n, rest := t.root, b.ResourceName
	for n != nil && rest != "" {
		i := indexByte(n.index, rest[0])
		if i < 0 || !strings.HasPrefix(rest, n.children[i].label) {
			return nil
		}
		n = n.children[i]
		rest = rest[len(n.label):]
	}
	switch {
	case n == nil:
		return nil
	case b.PatternType == Prefixed:
		return n.prefixed
	default:
		return n.literal
	}
}

func (t *typeIndex) putShard(ed *edit, who auth.Principal, r *rule, remove bool) {
	n := shardOf(who)
	h := t.shard(n)
	if h == nil || h.edit != ed {
		copied := &shard{edit: ed, rules: map[auth.Principal][]*rule{}}
		if h != nil {
			for p, rules := range h.rules {
				copied.rules[p] = slices.Clip(rules)
			}
		}
		h = copied
		shards := &[principalShards]*shard{}
		if t.byPrincipal != nil {
			*shards = *t.byPrincipal
		}
		shards[n] = h
		t.byPrincipal = shards
	}
	rules := h.rules[who]
	if !remove {
		h.rules[who] = append(rules, r)
		return
	}
	rules = slices.DeleteFunc(slices.Clone(rules), func(have *rule) bool { return have.Binding == r.Binding })
	if len(rules) == 0 {
		delete(h.rules, who)
	} else {
		h.rules[who] = rules
	}
}

// Bindings yields all ACLs, in no order.
func (s *Snapshot) Bindings() iter.Seq[*Binding] {
	return func(yield func(*Binding) bool) {
		for r := range s.rules() {
			if !yield(&r.Binding) {
				return
			}
		}
	}
}

func (s *Snapshot) rules() iter.Seq[*rule] {
	return func(yield func(*rule) bool) {
		for i := range s.types {
			if s.types[i].byPrincipal == nil {
				continue
			}
			for _, h := range s.types[i].byPrincipal {
				if h == nil {
					continue
				}
				for _, rules := range h.rules {
					for _, r := range rules {
						if !yield(r) {
							return
						}
					}
				}
			}
		}
	}
}

// Matching returns the ACLs that the filter selects, in the order of [Binding.Compare].
func (s *Snapshot) Matching(f *Filter) []*Binding {
	var found []*Binding
	for b := range s.Bindings() {
		if f.Matches(b) {
			found = append(found, b)
		}
	}
	slices.SortFunc(found, (*Binding).Compare)
	return found
}

// Covering returns the ACLs whose pattern covers the resource, whomever they are for.
func (s *Snapshot) Covering(resource Resource) []*Binding {
	if resource.Type <= AnyResource || resource.Type >= resourceTypeCount {
		return nil
	}
	var rules []*rule
	t := &s.types[resource.Type]
	rules = t.wildcard.all(rules)
	for w := t.walk(resource.Name); w.next(); {
		rules = w.found.all(rules)
	}
	covering := make([]*Binding, len(rules))
	for i, r := range rules {
		covering[i] = &r.Binding
	}
	slices.SortFunc(covering, (*Binding).Compare)
	return covering
}

// Unused returns the ACLs that have decided nothing since they were added, or since this
// process has known them.
func (s *Snapshot) Unused() []*Binding {
	var unused []*Binding
	for r := range s.rules() {
		if !r.used.Load() {
			unused = append(unused, &r.Binding)
		}
	}
	slices.SortFunc(unused, (*Binding).Compare)
	return unused
}

// question is who asks for what.
type question struct {
	who    auth.Principal
	host   netip.Addr
	op     Operation
	groups []auth.Principal
}

var everybody = auth.Principal{Type: "User", Name: "*"}

// walk is a walk along a name through the patterns that cover it, * not included.
type walk struct {
	at    *node
	rest  string
	last  bool // at's prefixed entries are done: its literal ones are next, then the end
	found *entries
}

func (t *typeIndex) walk(name string) walk { return walk{at: t.root, rest: name} }

// next puts the next pattern's entries into found; false at the end.
func (w *walk) next() bool {
	for w.at != nil {
		n := w.at
		if !w.last {
			w.last = true
			if n.prefixed != nil {
				w.found = n.prefixed
				return true
			}
		}
		w.last = false
		w.at = nil
		if w.rest == "" {
			if n.literal != nil {
				w.found = n.literal
				return true
			}
			return false
		}
		i := indexByte(n.index, w.rest[0])
		if i < 0 {
			return false
		}
		child := n.children[i]
		if len(w.rest) < len(child.label) || w.rest[:len(child.label)] != child.label {
			return false
		}
		w.at, w.rest = child, w.rest[len(child.label):]
	}
	return false
}

// indexByte is strings.IndexByte for the few bytes that most nodes have.
func indexByte(s string, c byte) int {
	for i := range len(s) {
		if s[i] == c {
			return i
		}
	}
	return -1
}

// decide looks at every pattern that covers the resource: a denial anywhere decides, else
// any permission does.
func (s *Snapshot) decide(q *question, resource Resource) Decision {
	if resource.Type <= AnyResource || resource.Type >= resourceTypeCount || q.op < 0 || q.op >= operationCount {
		return Decision{}
	}
	t := &s.types[resource.Type]
	v := verdict{bit: 1 << q.op}
	if t.wildcard != nil && v.consider(t.wildcard, q) {
		return v.denied(q.op)
	}
	for w := t.walk(resource.Name); w.next(); {
		if v.consider(w.found, q) {
			return v.denied(q.op)
		}
	}
	if v.allow == nil {
		return Decision{Covered: v.covered}
	}
	return v.allow.decision(Allow, q.op)
}

// verdict is what a walk has found so far.
type verdict struct {
	bit     uint32
	covered bool
	allow   *cell
	deny    *cell
}

func (v *verdict) denied(op Operation) Decision { return v.deny.decision(Deny, op) }

func (c *cell) decision(p Permission, op Operation) Decision {
	d := Decision{Allowed: p == Allow, Reason: MatchingACL, Covered: true}
	if r := c.deciding(p, op); r != nil {
		if !r.used.Load() {
			r.used.Store(true)
		}
		d.Binding = &r.Binding
	}
	return d
}

// consider looks at the ACLs of one pattern that covers the resource; true means denied.
func (v *verdict) consider(e *entries, q *question) bool {
	v.covered = true
	if v.principal(e, q.who, q) || v.principal(e, everybody, q) {
		return true
	}
	for _, group := range q.groups {
		if v.principal(e, group, q) {
			return true
		}
	}
	return false
}

func (v *verdict) principal(e *entries, who auth.Principal, q *question) bool {
	g := e.get(who)
	if g == nil {
		return false
	}
	if v.cell(&g.any) {
		return true
	}
	if g.hosts == nil {
		return false
	}
	c := g.hosts[q.host]
	return c != nil && v.cell(c)
}

func (v *verdict) cell(c *cell) bool {
	if c.deny&v.bit != 0 {
		v.deny = c
		return true
	}
	if c.allow&v.bit != 0 && v.allow == nil {
		v.allow = c
	}
	return false
}

// decideAny says whether there is a name of type t that q may do its operation to: an
// ALLOW that no DENY outweighs on all of its pattern. Implied operations do not count.
func (s *Snapshot) decideAny(q *question, t ResourceType) Decision {
	if t <= AnyResource || t >= resourceTypeCount || q.op < 0 || q.op >= operationCount {
		return Decision{}
	}
	x := &s.types[t]
	v := verdict{bit: 1 << q.op}
	if x.wildcard != nil && v.consider(x.wildcard, q) {
		return v.denied(q.op)
	}
	if r := x.allowed(q, q.who); r != nil {
		return r.decides()
	}
	if r := x.allowed(q, everybody); r != nil {
		return r.decides()
	}
	for _, group := range q.groups {
		if r := x.allowed(q, group); r != nil {
			return r.decides()
		}
	}
	return Decision{Covered: true}
}

func (r *rule) decides() Decision {
	if !r.used.Load() {
		r.used.Store(true)
	}
	return Decision{Allowed: true, Reason: MatchingACL, Binding: &r.Binding, Covered: true}
}

// allowed returns an ALLOW of the principal for the question that stands on some name.
func (x *typeIndex) allowed(q *question, who auth.Principal) *rule {
	for _, r := range x.shard(shardOf(who)).rulesOf(who) {
		if r.Permission != Allow || r.Operation.exact()&(1<<q.op) == 0 {
			continue
		}
		if addr, any, ok := parseHost(r.Host); !any && (!ok || addr != q.host) {
			continue
		}
		if r.PatternType == Literal && r.ResourceName == Wildcard || !x.dominated(q, &r.Binding) {
			return r
		}
	}
	return nil
}

// dominated says whether a DENY covers all that b's pattern does, * aside.
func (x *typeIndex) dominated(q *question, b *Binding) bool {
	v := verdict{bit: 1 << q.op}
	for w := x.walk(b.ResourceName); w.next(); {
		if literal := w.at == nil; literal && b.PatternType == Prefixed {
			continue
		}
		if v.consider(w.found, q) {
			return true
		}
	}
	return false
}
