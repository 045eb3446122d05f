package acl

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
)

func TestAnExplanationNamesWhatDecidedAndWhatDoesNotApply(t *testing.T) {
	a := NewStandardAuthorizer(Options{})
	a.Swap(a.Snapshot().Apply([]Binding{
		{TopicResource, "ord", Prefixed, "User:alice", "*", Read, Allow},
		{TopicResource, "orders", Literal, "User:alice", "*", Read, Deny},
		{TopicResource, "orders", Literal, "User:alice", "10.0.0.2", All, Deny},
		{TopicResource, "*", Literal, "User:bob", "*", All, Allow},
		{TopicResource, "orders-2", Literal, "User:alice", "*", All, Allow},
	}, nil))
	x := a.Explain(Action{Principal: auth.Principal{Type: "User", Name: "alice"}, Host: netip.MustParseAddr("10.0.0.1"), Operation: Describe, Resource: Topic("orders")})
	want := `User:alice Describe on Topic:LITERAL:orders from host 10.0.0.1 is allowed: an ACL allows it.
  Allow User:bob from host *: All on Topic:LITERAL:* - does not apply: it is for User:bob
* Allow User:alice from host *: Read on Topic:PREFIXED:ord
  Deny User:alice from host 10.0.0.2: All on Topic:LITERAL:orders - does not apply: it is for host 10.0.0.2
  Deny User:alice from host *: Read on Topic:LITERAL:orders - does not apply: a denial of Read does not deny Describe
`
	if x.String() != want {
		t.Errorf("got\n%s", x)
	}
	x = a.Explain(Action{Principal: auth.Principal{Type: "User", Name: "alice"}, Host: netip.MustParseAddr("10.0.0.1"), Operation: Read, Resource: Topic("orders")})
	if want := "To allow it: barnabas acl delete --deny-principal User:alice --operation Read --topic orders --force\n"; !strings.HasSuffix(x.String(), want) {
		t.Errorf("got\n%s", x)
	}
}

func TestLintFindsWhatDoesNothingAndWhatDoesTooMuch(t *testing.T) {
	for _, tt := range []struct {
		name string
		acls []Binding
		want []string
	}{
		{"as it should be", []Binding{
			{TopicResource, "t", Literal, "User:a", "10.0.0.1", Read, Allow}, {GroupResource, "g", Literal, "User:a", "*", Read, Allow},
			{TopicResource, "t", Literal, "User:b", "*", Write, Allow}}, nil},
		{"a host name", []Binding{{TopicResource, "t", Literal, "User:a", "example.org", Write, Allow}}, []string{Inert}},
		{"a range", []Binding{{TopicResource, "t", Literal, "User:a", "10.0.0.0/8", Write, Allow}}, []string{Inert}},
		{"a short IPv6 address", []Binding{{TopicResource, "t", Literal, "User:a", "::1", Write, Allow}}, []string{Inert}},
		{"a star in a name", []Binding{{TopicResource, "orders-*", Literal, "User:a", "*", Write, Allow}}, []string{Inert}},
		{"a star in a principal", []Binding{{TopicResource, "t", Literal, "User:a*", "*", Write, Allow}}, []string{Inert}},
		{"a prefixed star", []Binding{{TopicResource, "*", Prefixed, "User:a", "*", Write, Allow}}, []string{Inert, TooWide}},
		{"everybody writes", []Binding{{TopicResource, "t", Literal, "User:*", "*", Write, Allow}}, []string{TooWide}},
		{"all of every topic", []Binding{{TopicResource, "*", Literal, "User:a", "*", All, Allow}}, []string{TooWide}},
		{"cluster action", []Binding{{ClusterResource, ClusterName, Literal, "User:a", "*", ClusterAction, Allow}}, []string{TooWide}},
		{"cluster action on a topic", []Binding{{TopicResource, "t", Literal, "User:a", "*", ClusterAction, Allow}}, []string{Misfit}},
		{"twice allowed", []Binding{{TopicResource, "ord", Prefixed, "User:a", "*", All, Allow}, {TopicResource, "orders", Literal, "User:a", "10.0.0.1", Write, Allow}}, []string{Shadowed}},
		{"allowed and denied", []Binding{{TopicResource, "ord", Prefixed, "User:a", "*", All, Deny}, {TopicResource, "orders", Literal, "User:a", "*", Write, Allow}}, []string{Shadowed}},
		{"a denial that leaves what is implied", []Binding{{TopicResource, "t", Literal, "User:a", "*", Write, Deny}, {TopicResource, "t", Literal, "User:a", "*", Write, Allow}}, []string{HalfDeny}},
		{"a whole denial", []Binding{{TopicResource, "t", Literal, "User:a", "*", Read, Deny}, {TopicResource, "t", Literal, "User:a", "*", Describe, Deny}}, nil},
		{"no group", []Binding{{TopicResource, "t", Literal, "User:a", "*", Read, Allow}}, []string{Incomplete}},
		{"no topic", []Binding{{TopicResource, "gone", Literal, "User:a", "*", Write, Allow}}, []string{Homeless}},
	} {
		s := NewSnapshot(slices.Values(tt.acls))
		var kinds []string
		for _, f := range s.Lint(LintOptions{TopicExists: func(name string) bool { return name != "gone" }}) {
			kinds = append(kinds, f.Kind)
		}
		if !slices.Equal(kinds, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, kinds, tt.want)
		}
	}
	a := NewStandardAuthorizer(Options{})
	a.Swap(a.Snapshot().Apply([]Binding{{TopicResource, "t", Literal, "User:a", "*", Write, Allow}, {TopicResource, "u", Literal, "User:a", "*", Write, Allow}}, nil))
	a.Authorize(auth.Principal{Type: "User", Name: "a"}, netip.MustParseAddr("10.0.0.1"), Write, Topic("t"))
	if unused := a.Snapshot().Unused(); len(unused) != 1 || unused[0].ResourceName != "u" {
		t.Errorf("unused: %v", unused)
	}
	// A change elsewhere does not forget what was used.
	a.Swap(a.Snapshot().Apply([]Binding{{TopicResource, "v", Literal, "User:a", "*", Write, Allow}}, nil))
	if unused := a.Snapshot().Unused(); len(unused) != 2 {
		t.Errorf("unused: %v", unused)
	}
}
