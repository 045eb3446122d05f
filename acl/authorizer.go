package acl

import (
	"net/netip"

	"github.com/barnabas-broker/barnabas/auth"
)

// Decision is the answer to one question of authorization. Its zero value refuses.
type Decision struct {
	Allowed bool
	Rule    string // what decided, for logs and explanations; never sent to a client
}

// Authorizer decides. Implementations answer from memory and may be called by any
// number of goroutines at once.
type Authorizer interface {
	// Authorize says whether the principal, connected from host, may do op to resource.
	Authorize(who auth.Principal, host netip.Addr, op Operation, resource Resource) Decision
	// Enabled is false when no authorizer is configured: everything is allowed, and the
	// ACL APIs answer SECURITY_DISABLED.
	Enabled() bool
}

// AllowAll is the Authorizer of a broker without authorizer.class.name.
type AllowAll struct{}

// Authorize allows.
func (AllowAll) Authorize(auth.Principal, netip.Addr, Operation, Resource) Decision {
	return Decision{Allowed: true, Rule: "no authorizer is configured"}
}

// Enabled is false.
func (AllowAll) Enabled() bool { return false }
