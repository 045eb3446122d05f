package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createACLs makes ACLs; what fails does not keep the others from being made.
func (a *admin) createACLs(ctx context.Context, bindings []acl.Binding) error {
	req := kmsg.NewPtrCreateACLsRequest()
	for i := range bindings {
		b := &bindings[i]
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName = kmsg.ACLResourceType(b.ResourceType), b.ResourceName
		c.ResourcePatternType = kmsg.ACLResourcePatternType(b.PatternType)
		c.Principal, c.Host = b.Principal, b.Host
		c.Operation, c.PermissionType = kmsg.ACLOperation(b.Operation), kmsg.ACLPermissionType(b.Permission)
		req.Creations = append(req.Creations, c)
	}
	resp, err := request[*kmsg.CreateACLsResponse](ctx, a, req)
	if err != nil {
		return failed(err, "cannot create ACLs")
	}
	var errs []error
	for i, r := range resp.Results {
		if i < len(bindings) {
			errs = append(errs, refused(r.ErrorCode, r.ErrorMessage, "cannot create the ACL %s", aclText(&bindings[i])))
		}
	}
	return errors.Join(errs...)
}

// describeACLs returns the ACLs that the filter selects, in order.
func (a *admin) describeACLs(ctx context.Context, f *acl.Filter) ([]acl.Binding, error) {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourceName, req.ResourcePatternType = kmsg.ACLResourceType(f.ResourceType), f.ResourceName, kmsg.ACLResourcePatternType(f.PatternType)
	req.Principal, req.Host = f.Principal, f.Host
	req.Operation, req.PermissionType = kmsg.ACLOperation(f.Operation), kmsg.ACLPermissionType(f.Permission)
	resp, err := request[*kmsg.DescribeACLsResponse](ctx, a, req)
	if err != nil {
		return nil, failed(err, "cannot list ACLs")
	}
	if err := refused(resp.ErrorCode, resp.ErrorMessage, "cannot list ACLs"); err != nil {
		return nil, err
	}
	var list []acl.Binding
	for _, r := range resp.Resources {
		for _, e := range r.ACLs {
			list = append(list, acl.Binding{ResourceType: acl.ResourceType(r.ResourceType), ResourceName: r.ResourceName,
				PatternType: acl.PatternType(r.ResourcePatternType), Principal: e.Principal, Host: e.Host,
				Operation: acl.Operation(e.Operation), Permission: acl.Permission(e.PermissionType)})
		}
	}
	slices.SortFunc(list, func(x, y acl.Binding) int { return x.Compare(&y) })
	return slices.Compact(list), nil
}

// deleteACLs deletes what the filters select and returns it.
func (a *admin) deleteACLs(ctx context.Context, filters []acl.Filter) ([]acl.Binding, error) {
	req := kmsg.NewPtrDeleteACLsRequest()
	for _, f := range filters {
		r := kmsg.NewDeleteACLsRequestFilter()
		r.ResourceType, r.ResourceName, r.ResourcePatternType = kmsg.ACLResourceType(f.ResourceType), f.ResourceName, kmsg.ACLResourcePatternType(f.PatternType)
		r.Principal, r.Host = f.Principal, f.Host
		r.Operation, r.PermissionType = kmsg.ACLOperation(f.Operation), kmsg.ACLPermissionType(f.Permission)
		req.Filters = append(req.Filters, r)
	}
	resp, err := request[*kmsg.DeleteACLsResponse](ctx, a, req)
	if err != nil {
		return nil, failed(err, "cannot delete ACLs")
	}
	var gone []acl.Binding
	var errs []error
	for _, r := range resp.Results {
		errs = append(errs, refused(r.ErrorCode, r.ErrorMessage, "cannot delete ACLs"))
		for _, m := range r.MatchingACLs {
			b := acl.Binding{ResourceType: acl.ResourceType(m.ResourceType), ResourceName: m.ResourceName,
				PatternType: acl.PatternType(m.ResourcePatternType), Principal: m.Principal, Host: m.Host,
				Operation: acl.Operation(m.Operation), Permission: acl.Permission(m.PermissionType)}
			if err := refused(m.ErrorCode, m.ErrorMessage, "cannot delete the ACL %s", aclText(&b)); err != nil {
				errs = append(errs, err)
				continue
			}
			gone = append(gone, b)
		}
	}
	return gone, errors.Join(errs...)
}

// filter selects what the pattern names.
func (p aclPattern) filter() acl.Filter {
	f := acl.Everything
	f.ResourceType, f.ResourceName, f.PatternType = p.kind, p.name, p.pattern
	return f
}

// filters select the very ACLs of the group, or all of its pattern if it has none.
func (g *aclGroup) filters() []acl.Filter {
	if len(g.entries) == 0 {
		return []acl.Filter{g.pattern.filter()}
	}
	var list []acl.Filter
	for i := range g.entries {
		f, e := g.pattern.filter(), &g.entries[i]
		f.Principal, f.Host, f.Operation, f.Permission = &e.Principal, &e.Host, e.Operation, e.Permission
		list = append(list, f)
	}
	return list
}
