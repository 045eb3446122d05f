package acl

import (
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/barnabas-broker/barnabas/auth"
)

// Authorizer decides. Implementations answer from memory and may be called by any
// number of goroutines at once.
type Authorizer interface {
	// Authorize says whether the principal, connected from host, may do op to resource.
	Authorize(who auth.Principal, host netip.Addr, op Operation, resource Resource) Decision
	// AuthorizeAny says whether the principal may do op to at least one resource of the type.
	AuthorizeAny(who auth.Principal, host netip.Addr, op Operation, t ResourceType) Decision
	// Enabled is false when no authorizer is configured: everything is allowed, and the
	// ACL APIs answer SECURITY_DISABLED.
	Enabled() bool
}

// AllowAll is the Authorizer of a broker without authorizer.class.name.
type AllowAll struct{}

// Authorize allows.
func (AllowAll) Authorize(auth.Principal, netip.Addr, Operation, Resource) Decision {
	return Decision{Allowed: true, Reason: NoAuthorizer}
}

// AuthorizeAny allows.
func (AllowAll) AuthorizeAny(auth.Principal, netip.Addr, Operation, ResourceType) Decision {
	return Decision{Allowed: true, Reason: NoAuthorizer}
}

// Enabled is false.
func (AllowAll) Enabled() bool { return false }

// Options of a StandardAuthorizer. The zero value is Apache's default: no super users,
// and what no ACL allows is refused.
type Options struct {
	SuperUsers                []auth.Principal // super.users
	AllowEveryoneIfNoACLFound bool             // allow.everyone.if.no.acl.found
	// DryRun lets pass what would be refused, and marks the decision.
	DryRun bool
	// Groups are the groups that principals are in, by member: an ACL for Group:name is
	// then an ACL for each of them. Kafka has no such thing.
	Groups map[auth.Principal][]auth.Principal
}

// StandardAuthorizer decides from ACLs as Apache's org.apache.kafka.metadata.authorizer.
// StandardAuthorizer does.
type StandardAuthorizer struct {
	opts       Options
	superUsers map[auth.Principal]bool
	snapshot   atomic.Pointer[Snapshot]
}

// NewStandardAuthorizer returns an authorizer that has no ACLs yet.
func NewStandardAuthorizer(opts Options) *StandardAuthorizer {
	a := &StandardAuthorizer{opts: opts, superUsers: map[auth.Principal]bool{}}
	for _, p := range opts.SuperUsers {
		a.superUsers[p] = true
	}
	a.snapshot.Store(NewSnapshot(nil))
	return a
}

// Snapshot is the set of ACLs in force.
func (a *StandardAuthorizer) Snapshot() *Snapshot { return a.snapshot.Load() }

// Swap puts another set of ACLs in force, whole, for all decisions from now on.
func (a *StandardAuthorizer) Swap(s *Snapshot) { a.snapshot.Store(s) }

// Options are what the authorizer was made with.
func (a *StandardAuthorizer) Options() Options { return a.opts }

// Enabled is true.
func (a *StandardAuthorizer) Enabled() bool { return true }

// Authorize decides from the ACLs in force.
func (a *StandardAuthorizer) Authorize(who auth.Principal, host netip.Addr, op Operation, resource Resource) Decision {
	return a.decide(a.snapshot.Load(), who, host, op, resource)
}

func (a *StandardAuthorizer) decide(s *Snapshot, who auth.Principal, host netip.Addr, op Operation, resource Resource) Decision {
	if len(a.superUsers) > 0 && a.superUsers[who] {
		return Decision{Allowed: true, Reason: SuperUser}
	}
	q := a.question(who, host, op)
	return a.finish(s.decide(&q, resource))
}

// question is who asks for what, as the index wants it.
func (a *StandardAuthorizer) question(who auth.Principal, host netip.Addr, op Operation) question {
	q := question{who: who, host: host.Unmap(), op: op}
	if len(a.opts.Groups) > 0 {
		q.groups = a.opts.Groups[who]
	}
	return q
}

// finish applies what stands above the ACLs.
func (a *StandardAuthorizer) finish(d Decision) Decision {
	if d.Reason == DefaultDeny && !d.Covered && a.opts.AllowEveryoneIfNoACLFound {
		return Decision{Allowed: true, Reason: DefaultAllow}
	}
	if !d.Allowed && a.opts.DryRun {
		d.Allowed, d.DryRun = true, true
	}
	return d
}

// anyName is the name that Apache asks for before it looks whether a principal may do
// something to any resource of a type. It shows: see AuthorizeAny.
const anyName = "hardcode"

// AuthorizeAny says whether there is a resource of the type, existing or not, that the
// principal may do op to. As on Apache, where allow.everyone.if.no.acl.found is true the
// answer depends on whether an ACL covers one fixed name, and implied operations do not
// count.
func (a *StandardAuthorizer) AuthorizeAny(who auth.Principal, host netip.Addr, op Operation, t ResourceType) Decision {
	if len(a.superUsers) > 0 && a.superUsers[who] {
		return Decision{Allowed: true, Reason: SuperUser}
	}
	s := a.snapshot.Load()
	q := a.question(who, host, op)
	d := s.decide(&q, Resource{t, anyName})
	if d.Reason == DefaultDeny && !d.Covered && a.opts.AllowEveryoneIfNoACLFound {
		return Decision{Allowed: true, Reason: DefaultAllow}
	}
	if !d.Allowed {
		d = s.decideAny(&q, t)
	}
	if !d.Allowed && a.opts.DryRun {
		d.Allowed, d.DryRun = true, true
	}
	return d
}

// ParseSuperUsers reads the value of super.users: Type:name, separated by semicolons.
func ParseSuperUsers(text string) ([]auth.Principal, error) {
	var users []auth.Principal
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		p, ok := parsePrincipal(part)
		if !ok {
			return nil, fmt.Errorf("expected a string in format principalType:principalName but got %s", part)
		}
		users = append(users, p)
	}
	return users, nil
}

// ParseGroups reads groups of principals, ops=User:alice|User:bob;dev=User:carl, into the
// groups that each member is in.
func ParseGroups(text string) (map[auth.Principal][]auth.Principal, error) {
	groups := map[auth.Principal][]auth.Principal{}
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, members, ok := strings.Cut(part, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("expected group=Type:name|Type:name but got %s", part)
		}
		for member := range strings.SplitSeq(members, "|") {
			p, ok := parsePrincipal(strings.TrimSpace(member))
			if !ok {
				return nil, fmt.Errorf("group %s: expected a principal Type:name but got %q", name, member)
			}
			groups[p] = append(groups[p], auth.Principal{Type: GroupPrincipalType, Name: name})
		}
	}
	return groups, nil
}

// GroupPrincipalType is the type of a principal in an ACL that is for a group of principals.
const GroupPrincipalType = "Group"
