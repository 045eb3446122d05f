package acl

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
)

// manyACLs is what a large cluster has: topics of teams, each with readers and writers,
// prefixes that share a long stem, denials, and hosts on the wildcard.
func manyACLs(n int) []Binding {
	acls := make([]Binding, 0, n)
	for i := 0; len(acls) < n; i++ {
		team := fmt.Sprintf("company.division.team-%03d.", i%200)
		topic := fmt.Sprintf("%sorders-%05d", team, i)
		user := fmt.Sprintf("User:CN=service-%05d,OU=team-%03d,O=company", i, i%200)
		acls = append(acls,
			Binding{TopicResource, topic, Literal, user, "*", Write, Allow},
			Binding{TopicResource, topic, Literal, fmt.Sprintf("User:reader-%d", i%50), "*", Read, Allow},
			Binding{TopicResource, team, Prefixed, fmt.Sprintf("User:lead-%03d", i%200), "*", All, Allow},
			Binding{TopicResource, fmt.Sprintf("%sorders-%03d", team, i%1000), Prefixed, "User:intern", "*", Write, Deny},
			Binding{TopicResource, "*", Literal, fmt.Sprintf("User:probe-%d", i%500), fmt.Sprintf("10.0.%d.%d", i>>8&255, i&255), Describe, Allow})
	}
	return acls[:n]
}

var benchHost = netip.MustParseAddr("10.0.0.7")

func BenchmarkDecision(b *testing.B) {
	for _, n := range []int{100, 10_000, 1_000_000} {
		acls := manyACLs(n)
		a := NewStandardAuthorizer(Options{SuperUsers: []auth.Principal{{Type: "User", Name: "admin"}}})
		a.Swap(NewSnapshot(slices.Values(acls)))
		who, _ := parsePrincipal(acls[5*(n/10)].Principal)
		topic := Topic(acls[5*(n/10)].ResourceName)
		for _, tt := range []struct {
			name string
			who  auth.Principal
			op   Operation
			r    Resource
		}{
			{"allowed", who, Write, topic},
			{"refused", who, Delete, topic},
			{"unknown", auth.Principal{Type: "User", Name: "nobody"}, Read, Topic("company.division.team-199.nothing")},
		} {
			b.Run(fmt.Sprintf("acls=%d/%s", n, tt.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					a.Authorize(tt.who, benchHost, tt.op, tt.r)
				}
			})
			b.Run(fmt.Sprintf("acls=%d/%s/cached", n, tt.name), func(b *testing.B) {
				var c Cache
				b.ReportAllocs()
				for b.Loop() {
					c.Authorize(a, tt.who, benchHost, tt.op, tt.r)
				}
			})
		}
		b.Run(fmt.Sprintf("acls=%d/any", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a.AuthorizeAny(who, benchHost, Write, TopicResource)
			}
		})
	}
}

func BenchmarkChange(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		acls := manyACLs(n)
		s := NewSnapshot(slices.Values(acls))
		one := []Binding{{TopicResource, acls[5].ResourceName, Literal, "User:new", "*", Read, Allow}}
		wide := []Binding{{TopicResource, "*", Literal, "User:new", "*", Read, Allow}}
		b.Run(fmt.Sprintf("acls=%d/one", n), func(b *testing.B) {
			for b.Loop() {
				s.Apply(one, nil)
			}
		})
		b.Run(fmt.Sprintf("acls=%d/wildcard", n), func(b *testing.B) {
			for b.Loop() {
				s.Apply(wide, nil)
			}
		})
		b.Run(fmt.Sprintf("acls=%d/load", n), func(b *testing.B) {
			for b.Loop() {
				NewSnapshot(slices.Values(acls))
			}
		})
	}
}
