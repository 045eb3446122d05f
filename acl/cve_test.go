package acl

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
)

// While Apache moved from ZooKeeper to KRaft, taking one ACL of a resource away could take
// the others with it. Here any order of additions and removals leaves what a set would
// hold, and decides as that set does.
func TestCVE_2024_27309_ARemovedACLTakesNoOtherAway(t *testing.T) {
	r := rand.New(rand.NewPCG(2024, 27309))
	random := func() Binding {
		name := []string{"a", "ab", "abc", "*", "b"}[r.IntN(5)]
		return Binding{TopicResource, name, []PatternType{Literal, Prefixed}[r.IntN(2)], fmt.Sprintf("User:%d", r.IntN(3)), []string{"*", "10.0.0.7"}[r.IntN(2)],
			[]Operation{Read, Write, Describe, All}[r.IntN(4)], []Permission{Allow, Deny}[r.IntN(2)]}
	}
	for range 50 {
		live, model := NewSnapshot(slices.Values([]Binding(nil))), map[Binding]bool{}
		for range 60 {
			var add, remove []Binding
			for range r.IntN(4) {
				b := random()
				add, model[b] = append(add, b), true
			}
			if known := slices.Collect(maps.Keys(model)); len(known) > 0 && r.IntN(2) == 0 {
				b := known[r.IntN(len(known))]
				if !slices.Contains(add, b) {
					remove = append(remove, b)
					delete(model, b)
				}
			}
			live = live.Apply(add, remove)
		}
		whole := NewSnapshot(maps.Keys(model))
		byChanges, atOnce := NewStandardAuthorizer(Options{}), NewStandardAuthorizer(Options{})
		byChanges.Swap(live)
		atOnce.Swap(whole)
		for user := range 3 {
			for _, name := range []string{"a", "ab", "abc", "abcd", "b", "c"} {
				for _, op := range []Operation{Read, Write, Describe, Delete} {
					who, host := auth.User(fmt.Sprint(user)), netip.MustParseAddr([]string{"10.0.0.7", "10.0.0.8"}[r.IntN(2)])
					got, want := byChanges.Authorize(who, host, op, Topic(name)), atOnce.Authorize(who, host, op, Topic(name))
					if got.Allowed != want.Allowed {
						t.Fatalf("%v %v %s from %v: %v after the changes, %v from %d ACLs at once", who, op, name, host, got, want, len(model))
					}
				}
			}
		}
	}
}
