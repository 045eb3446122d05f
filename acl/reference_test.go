package acl

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
)

var seedFlag = flag.Uint64("acl.seed", 0, "seed of the randomized tests; 0 takes one from the clock")

func newRand(t testing.TB) *rand.Rand {
	n := *seedFlag
	if n == 0 {
		n = uint64(time.Now().UnixNano())
	}
	t.Logf("-acl.seed=%d", n)
	return rand.New(rand.NewPCG(n, n))
}

// reference decides as apis.md §5.2 says it, one ACL after the other.
type reference struct {
	opts Options
	acls []Binding
}

func (m *reference) matches(b *Binding, who auth.Principal, host netip.Addr, op Operation, implied bool) bool {
	principals := append([]auth.Principal{who, everybody}, m.opts.Groups[who]...)
	kind, name, ok := strings.Cut(b.Principal, ":")
	if !ok || !slices.Contains(principals, auth.Principal{Type: kind, Name: name}) {
		return false
	}
	if b.Host != "*" {
		if addr, err := netip.ParseAddr(b.Host); err != nil || addr.Unmap() != host.Unmap() {
			return false
		}
	}
	if b.Operation == op || b.Operation == All {
		return true
	}
	if !implied || b.Permission != Allow {
		return false
	}
	return op == Describe && slices.Contains([]Operation{Read, Write, Delete, Alter}, b.Operation) ||
		op == DescribeConfigs && b.Operation == AlterConfigs
}

func (m *reference) authorize(who auth.Principal, host netip.Addr, op Operation, r Resource) bool {
	if slices.Contains(m.opts.SuperUsers, who) {
		return true
	}
	found, allowed := false, false
	for i := range m.acls {
		b := &m.acls[i]
		if !b.Covers(r) {
			continue
		}
		found = true
		if !m.matches(b, who, host, op, true) {
			continue
		}
		if b.Permission == Deny {
			return false
		}
		allowed = true
	}
	return allowed || !found && m.opts.AllowEveryoneIfNoACLFound
}

func (m *reference) authorizeAny(who auth.Principal, host netip.Addr, op Operation, t ResourceType) bool {
	if m.authorize(who, host, op, Resource{t, anyName}) {
		return true
	}
	var allow []Binding
	denyLiteral, denyPrefix := map[string]bool{}, map[string]bool{}
	for _, b := range m.acls {
		if b.ResourceType != t || !m.matches(&b, who, host, op, false) {
			continue
		}
		switch {
		case b.Permission == Allow:
			allow = append(allow, b)
		case b.PatternType == Prefixed:
			denyPrefix[b.ResourceName] = true
		case b.ResourceName == "*":
			return false
		default:
			denyLiteral[b.ResourceName] = true
		}
	}
	for _, b := range allow {
		if b.PatternType == Literal && b.ResourceName == "*" {
			return true
		}
		if b.PatternType == Literal && denyLiteral[b.ResourceName] {
			continue
		}
		dominated := false
		for n := 1; n <= len(b.ResourceName); n++ {
			dominated = dominated || denyPrefix[b.ResourceName[:n]]
		}
		if !dominated {
			return true
		}
	}
	return false
}

// world is a small world, so that patterns meet.
type world struct{ r *rand.Rand }

func pick[T any](w world, of ...T) T { return of[w.r.IntN(len(of))] }

func (w world) name() string {
	if w.r.IntN(8) == 0 {
		return pick(w, "*", "*a", "hardcode", "hard")
	}
	n := 1 + w.r.IntN(5)
	b := make([]byte, n)
	for i := range b {
		b[i] = "aab"[w.r.IntN(3)]
	}
	return string(b)
}

func (w world) principal() string {
	return pick(w, "User:alice", "User:alice", "User:bob", "User:*", "Group:ops", "User:"+w.name(), "Role:alice")
}

func (w world) host() string {
	return pick(w, "*", "*", "*", "10.0.0.1", "10.0.0.2", "0:0:0:0:0:0:0:1", "example.org", "10.0.0.0/8")
}

func (w world) op() Operation { return Operation(2 + w.r.IntN(operationCount-2)) }

func (w world) binding() Binding {
	return Binding{ResourceType: ResourceType(2 + w.r.IntN(3)), ResourceName: w.name(), PatternType: pick(w, Literal, Prefixed),
		Principal: w.principal(), Host: w.host(), Operation: w.op(), Permission: pick(w, Allow, Allow, Allow, Deny)}
}

func TestIndexDecidesAsTheReferenceDoes(t *testing.T) {
	w := world{newRand(t)}
	for round := range 300 {
		opts := Options{AllowEveryoneIfNoACLFound: round%2 == 0, SuperUsers: []auth.Principal{{Type: "User", Name: "root"}},
			Groups: map[auth.Principal][]auth.Principal{{Type: "User", Name: "carl"}: {{Type: "Group", Name: "ops"}}}}
		a := NewStandardAuthorizer(opts)
		var cache Cache
		have := map[Binding]bool{}
		size := 1 + w.r.IntN(60)
		for range 4 {
			// A change, by Apply or from nothing.
			var added, removed []Binding
			for range size {
				added = append(added, w.binding())
			}
			for b := range have {
				if w.r.IntN(2) == 0 {
					removed = append(removed, b)
					delete(have, b)
				}
			}
			for _, b := range added {
				have[b] = true
			}
			before := a.Snapshot()
			count := len(slices.Collect(before.Bindings()))
			if w.r.IntN(4) == 0 {
				a.Swap(NewSnapshot(maps.Keys(have)))
			} else {
				a.Swap(before.Apply(added, removed))
			}
			if got := len(slices.Collect(before.Bindings())); got != count || before.Len() != count {
				t.Fatalf("a snapshot of %d ACLs has %d after another was made of it", count, got)
			}
			if a.Snapshot().Len() != len(have) {
				t.Fatalf("the snapshot has %d ACLs, want %d", a.Snapshot().Len(), len(have))
			}
			for b := range a.Snapshot().Bindings() {
				if !have[*b] {
					t.Fatalf("the snapshot has %v, which was removed", b)
				}
			}
			m := &reference{opts: opts, acls: slices.Collect(maps.Keys(have))}
			for range 150 {
				who, _ := parsePrincipal(pick(w, "User:alice", "User:bob", "User:carl", "User:root", "User:aa", "Role:alice"))
				host := netip.MustParseAddr(pick(w, "10.0.0.1", "10.0.0.9", "::1", "::ffff:10.0.0.2"))
				op, r := w.op(), Resource{ResourceType(2 + w.r.IntN(3)), w.name()}
				want := m.authorize(who, host, op, r)
				d := a.Authorize(who, host, op, r)
				if d.Allowed != want {
					t.Fatalf("%v from %v, %v on %v: %v (%s), want %v; ACLs:\n%s", who, host, op, r, d.Allowed, d.Rule(), want, list(m.acls))
				}
				checkDecision(t, d, r, op)
				if c := cache.Authorize(a, who, host, op, r); c != d {
					t.Fatalf("the cache says %+v, the authorizer %+v", c, d)
				}
				want = m.authorizeAny(who, host, op, r.Type)
				if d := a.AuthorizeAny(who, host, op, r.Type); d.Allowed != want {
					t.Fatalf("%v from %v, %v on any %v: %v (%s), want %v; ACLs:\n%s", who, host, op, r.Type, d.Allowed, d.Rule(), want, list(m.acls))
				}
				if got, want := len(a.Snapshot().Covering(r)), covering(m.acls, r); got != want {
					t.Fatalf("%d ACLs cover %v, want %d", got, r, want)
				}
			}
		}
		// Nothing is left of an index whose ACLs are all gone.
		empty := a.Snapshot().Apply(nil, slices.Collect(maps.Keys(have)))
		for i := range empty.types {
			if x := &empty.types[i]; empty.Len() != 0 || x.wildcard != nil || x.root != nil && (len(x.root.children) > 0 || x.root.literal != nil || x.root.prefixed != nil) {
				t.Fatalf("an index without ACLs has %d, %+v", empty.Len(), x)
			}
		}
	}
}

// checkDecision wants the ACL that a decision names to be one that can have made it.
func checkDecision(t *testing.T, d Decision, r Resource, op Operation) {
	t.Helper()
	if (d.Reason == MatchingACL) != (d.Binding != nil) {
		t.Fatalf("decision %+v", d)
	}
	if b := d.Binding; b != nil {
		if !b.Covers(r) || (b.Permission == Allow) != d.Allowed || (b.Operation.exact()|b.Operation.impliedBy(b.Permission))&(1<<op) == 0 {
			t.Fatalf("%v on %v names %v", op, r, b)
		}
	}
}

func covering(acls []Binding, r Resource) (n int) {
	for i := range acls {
		if acls[i].Covers(r) {
			n++
		}
	}
	return n
}

func list(acls []Binding) string {
	var s strings.Builder
	for i := range acls {
		fmt.Fprintln(&s, &acls[i])
	}
	return s.String()
}
