package broker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/metadata"
)

// newAuthorizer returns the authorizer that the configuration asks for.
func newAuthorizer(c config.Authorization) (acl.Authorizer, error) {
	if c.ClassName == "" {
		return acl.AllowAll{}, nil
	}
	users, err := acl.ParseSuperUsers(c.SuperUsers)
	if err != nil {
		return nil, fmt.Errorf("super.users: %w", err)
	}
	groups, err := acl.ParseGroups(c.PrincipalGroups)
	if err != nil {
		return nil, fmt.Errorf("barnabas.acl.principal.groups: %w", err)
	}
	return acl.NewStandardAuthorizer(acl.Options{SuperUsers: users, AllowEveryoneIfNoACLFound: c.AllowEveryoneIfNoACLFound,
		DryRun: c.DryRun, Groups: groups}), nil
}

// applyToSecurity follows the ACLs, the quotas and the delegation tokens of the metadata.
func (b *Broker) applyToSecurity(d *metadata.Delta, image *metadata.Image) {
	b.applyToQuotas(d, image)
	b.applyToTokens(d, image)
	if len(d.ScramCredentials) > 0 {
		b.scramIterations.changed.Store(image.Version())
	}
	if b.acls == nil || len(d.ACLsAdded)+len(d.ACLsRemoved) == 0 {
		return
	}
	bindings := func(acls []*metadata.ACL) []acl.Binding {
		out := make([]acl.Binding, len(acls))
		for i, a := range acls {
			out[i] = bindingOf(a)
		}
		return out
	}
	b.acls.Swap(b.acls.Snapshot().Apply(bindings(d.ACLsAdded), bindings(d.ACLsRemoved)))
}

// UnusedACLs returns the ACLs that have decided nothing since this broker has known them.
func (b *Broker) UnusedACLs() []*acl.Binding {
	if b.acls == nil {
		return nil
	}
	return b.acls.Snapshot().Unused()
}

func bindingOf(a *metadata.ACL) acl.Binding {
	return acl.Binding{ResourceType: acl.ResourceType(a.ResourceType), ResourceName: a.ResourceName,
		PatternType: acl.PatternType(a.PatternType), Principal: a.Principal, Host: a.Host,
		Operation: acl.Operation(a.Operation), Permission: acl.Permission(a.Permission)}
}

// authorize decides whether the request's principal may do op to resource, and reports a
// refusal. A check that the API's row does not list is refused, whoever asks.
func (b *Broker) authorize(r *request, op acl.Operation, resource acl.Resource) bool {
	if !b.listed(r, op, resource.Type) {
		return false
	}
	if b.acls == nil {
		return b.authorizer.Authorize(r.session.principal, r.session.host, op, resource).Allowed
	}
	d := r.conn.decisions.Authorize(b.acls, r.session.principal, r.session.host, op, resource)
	if d.Refused() {
		b.reportRefusal(r, op, resource, d)
	} else if b.logger.Enabled(context.Background(), slog.LevelDebug) {
		b.logDecision(slog.LevelDebug, r, op, resource, d)
	}
	return d.Allowed
}

// mayKnow is authorize for what is left out of an answer rather than refused: nobody is
// told of it.
func (b *Broker) mayKnow(r *request, op acl.Operation, resource acl.Resource) bool {
	if !b.listed(r, op, resource.Type) {
		return false
	}
	return b.decide(r, op, resource).Allowed
}

func (b *Broker) decide(r *request, op acl.Operation, resource acl.Resource) acl.Decision {
	if b.acls == nil {
		return b.authorizer.Authorize(r.session.principal, r.session.host, op, resource)
	}
	return r.conn.decisions.Authorize(b.acls, r.session.principal, r.session.host, op, resource)
}

func (b *Broker) listed(r *request, op acl.Operation, t acl.ResourceType) bool {
	if r.api.mayNeed(need{op, t}) {
		return true
	}
	b.logger.Error("a handler asked for an authorization that its row does not list", "api", r.api.name,
		"operation", op.String(), "resource", t.String())
	return false
}

// isGranted is the first of two ways to be allowed something: nobody is told of a refusal,
// and where the authorizer only reports it is false too, so that the second way is asked and
// reports.
func (b *Broker) isGranted(r *request, op acl.Operation, resource acl.Resource) bool {
	return b.listed(r, op, resource.Type) && !b.decide(r, op, resource).Refused()
}

// isGrantedAny is isGranted for some resource of a type.
func (b *Broker) isGrantedAny(r *request, op acl.Operation, t acl.ResourceType) bool {
	return b.listed(r, op, t) && !b.authorizer.AuthorizeAny(r.session.principal, r.session.host, op, t).Refused()
}

// authorizedOperations is the bit field of what the request's principal may do to a
// resource: bit n for operation n.
func (b *Broker) authorizedOperations(r *request, resource acl.Resource) int32 {
	var field int32
	for _, op := range resource.Type.Operations() {
		if b.decide(r, op, resource).Allowed {
			field |= 1 << op
		}
	}
	return field
}

// operationsNotAsked is what an authorized-operations field holds when it was not asked for.
const operationsNotAsked = -2147483648

// reportRefusal tells the operator of a refusal, in a line that says what would allow it.
// A client that tries again and again gets one line in ten seconds.
func (b *Broker) reportRefusal(r *request, op acl.Operation, resource acl.Resource, d acl.Decision) {
	a := acl.Action{Principal: r.session.principal, Host: r.session.host, Operation: op, Resource: resource, API: r.api.name, RefCount: 1}
	b.metrics.refusedAuthorizations.Add(1)
	b.auditRefusal(r, &a, d)
	key := a.Principal.String() + " " + a.Host.String() + " " + a.Operation.String() + " " + a.API + " " + a.Resource.String()
	if skipped, ok := b.refusals.Say(key, time.Now()); ok {
		line := string(a.AppendLog(nil, d))
		b.logger.Info(line, "grant", a.GrantCommand(d), "dryRun", d.DryRun, "repeated", skipped)
	}
}

// logDecision writes Apache's line about a decision.
func (b *Broker) logDecision(level slog.Level, r *request, op acl.Operation, resource acl.Resource, d acl.Decision) {
	a := acl.Action{Principal: r.session.principal, Host: r.session.host, Operation: op, Resource: resource, API: r.api.name, RefCount: 1}
	b.logger.Log(context.Background(), level, string(a.AppendLog(nil, d)))
}
