package acl

import (
	"net/netip"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
)

func TestTheWildcardCoversNamesThatBeginWithAStar(t *testing.T) {
	a := NewStandardAuthorizer(Options{})
	a.Swap(NewSnapshot(func(yield func(Binding) bool) {
		_ = yield(Binding{GroupResource, "*", Literal, "User:*", "*", Read, Allow}) &&
			yield(Binding{GroupResource, "*", Literal, "User:eve", "*", Read, Deny})
	}))
	host := netip.MustParseAddr("10.0.0.1")
	if d := a.Authorize(auth.Principal{Type: "User", Name: "alice"}, host, Read, Group("*a")); !d.Allowed {
		t.Errorf("alice: %s", d.Rule())
	}
	if d := a.Authorize(auth.Principal{Type: "User", Name: "eve"}, host, Read, Group("*a")); d.Allowed {
		t.Errorf("eve: %s", d.Rule())
	}
}

func TestHostsAreComparedAsAddresses(t *testing.T) {
	who := auth.Principal{Type: "User", Name: "alice"}
	for _, tt := range []struct {
		acl, peer string
		want      bool
	}{
		{"*", "10.0.0.1", true},
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "::ffff:10.0.0.1", true},
		{"::ffff:10.0.0.1", "10.0.0.1", true},
		{"0:0:0:0:0:0:0:1", "::1", true},
		{"::1", "::1", true},
		{"FE80::1%eth0", "fe80::1%eth0", true},
		{"fe80::1", "fe80::1%eth0", false},
		{"10.0.0.0/8", "10.0.0.1", false},
		{"localhost", "127.0.0.1", false},
		{"", "127.0.0.1", false},
	} {
		a := NewStandardAuthorizer(Options{})
		a.Swap(a.Snapshot().Apply([]Binding{{TopicResource, "t", Literal, "User:alice", tt.acl, Read, Allow}}, nil))
		if d := a.Authorize(who, netip.MustParseAddr(tt.peer), Read, Topic("t")); d.Allowed != tt.want {
			t.Errorf("ACL host %q, peer %s: %v, want %v", tt.acl, tt.peer, d.Allowed, tt.want)
		}
	}
}

func TestTheLogLineIsApachesAndCannotBeForged(t *testing.T) {
	a := NewStandardAuthorizer(Options{})
	acls := []Binding{{TopicResource, "orders", Literal, "User:alice", "*", Read, Allow}}
	a.Swap(a.Snapshot().Apply(acls, nil))
	for _, tt := range []struct {
		who, host string
		op        Operation
		topic     string
		want      string
		grant     string
	}{
		{"alice", "::1", Write, "orders", "Principal = User:alice is Denied operation = WRITE from host = 0:0:0:0:0:0:0:1 on resource = Topic:LITERAL:orders for request = Produce with resourceRefCount = 1 based on rule DefaultDeny",
			"barnabas acl create --allow-principal User:alice --operation Write --topic orders"},
		{"alice", "10.0.0.1", Describe, "orders", "Principal = User:alice is Allowed operation = DESCRIBE from host = 10.0.0.1 on resource = Topic:LITERAL:orders for request = Produce with resourceRefCount = 1 based on rule MatchingAcl(acl=StandardAcl(resourceType=TOPIC, resourceName=orders, patternType=LITERAL, principal=User:alice, host=*, operation=READ, permissionType=ALLOW))",
			""},
		{"CN=o'brien, OU=x\nPrincipal", "10.0.0.1", Read, "t", `Principal = User:CN=o'brien, OU=x\nPrincipal is Denied operation = READ from host = 10.0.0.1 on resource = Topic:LITERAL:t for request = Produce with resourceRefCount = 1 based on rule DefaultDeny`,
			`barnabas acl create --allow-principal $'User:CN=o\'brien, OU=x\x0aPrincipal' --operation Read --topic t`},
	} {
		q := Action{Principal: auth.Principal{Type: "User", Name: tt.who}, Host: netip.MustParseAddr(tt.host), Operation: tt.op,
			Resource: Topic(tt.topic), API: "Produce", RefCount: 1}
		d := a.Authorize(q.Principal, q.Host, q.Operation, q.Resource)
		if got := string(q.AppendLog(nil, d)); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		if got := q.GrantCommand(d); got != tt.grant {
			t.Errorf("got  %s\nwant %s", got, tt.grant)
		}
	}
}

func TestADryRunAllowsAndSaysWhatItWouldNot(t *testing.T) {
	a := NewStandardAuthorizer(Options{DryRun: true})
	d := a.Authorize(auth.Anonymous, netip.MustParseAddr("10.0.0.1"), Read, Topic("t"))
	if !d.Allowed || !d.DryRun || !d.Refused() || d.Rule() != "DefaultDeny" {
		t.Errorf("%+v", d)
	}
}

func TestGroupsAndSuperUsersAreReadAsWritten(t *testing.T) {
	users, err := ParseSuperUsers(" User:CN=a,OU=b ;; User:c:d ")
	if err != nil || len(users) != 2 || users[0].Name != "CN=a,OU=b" || users[1].Name != "c:d" {
		t.Errorf("%v, %v", users, err)
	}
	if _, err := ParseSuperUsers("alice"); err == nil {
		t.Error("a super user without a type is taken")
	}
	groups, err := ParseGroups("ops=User:a|User:b; dev=User:a")
	if err != nil || len(groups) != 2 || len(groups[auth.Principal{Type: "User", Name: "a"}]) != 2 {
		t.Errorf("%v, %v", groups, err)
	}
	if _, err := ParseGroups("ops=a"); err == nil {
		t.Error("a member without a type is taken")
	}
}

func TestTheCachesHotPathAllocatesNothing(t *testing.T) {
	a := NewStandardAuthorizer(Options{})
	a.Swap(NewSnapshot(func(yield func(Binding) bool) {
		for _, b := range manyACLs(1000) {
			if !yield(b) {
				return
			}
		}
	}))
	var c Cache
	who := auth.Principal{Type: "User", Name: "lead-001"}
	if n := testing.AllocsPerRun(1000, func() {
		c.Authorize(a, who, benchHost, Write, Topic("company.division.team-001.orders-00001"))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	// A thousand names, one after the other, find their places too.
	names := make([]string, 800)
	for i := range names {
		names[i] = string(rune('a'+i%26)) + manyACLs(5)[0].ResourceName + string(rune('a'+i/26))
	}
	for range 20 {
		for _, name := range names {
			c.Authorize(a, who, benchHost, Read, Topic(name))
		}
	}
	if n := testing.AllocsPerRun(10, func() {
		for _, name := range names {
			c.Authorize(a, who, benchHost, Read, Topic(name))
		}
	}); n != 0 {
		t.Errorf("%v allocations for many names", n)
	}
}
