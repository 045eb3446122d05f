package broker

import (
	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// unauthorized is the text beside CLUSTER_AUTHORIZATION_FAILED. Apache prints its request
// object there, with addresses of the broker's insides; ours says what is missing.
func unauthorized(op acl.Operation) *string {
	text := "Cluster authorization failed: " + op.Name() + " on Cluster is needed."
	return &text
}

// handleDescribeACLs, key 29, v0-v3 (KIP-140, KIP-290): the ACLs that a filter selects.
// Needs Describe on the cluster.
func (b *Broker) handleDescribeACLs(r *request) {
	req := r.msg.(*kmsg.DescribeACLsRequest)
	resp := kmsg.NewPtrDescribeACLsResponse()
	resp.Resources = []kmsg.DescribeACLsResponseResource{}
	f := acl.Filter{ResourceType: acl.ResourceType(req.ResourceType), ResourceName: req.ResourceName,
		PatternType: acl.PatternType(req.ResourcePatternType), Principal: req.Principal, Host: req.Host,
		Operation: acl.Operation(req.Operation), Permission: acl.Permission(req.PermissionType)}
	if r.version == 0 {
		f.PatternType = acl.Literal
	}
	if f.ResourceType == 0 || f.PatternType == 0 || f.Operation == 0 || f.Permission == 0 {
		// Apache cannot decode it, whoever asks and whether there is an authorizer or not.
		r.hangUp("a filter of ACLs with a number that means unknown")
		return
	}
	switch {
	case !b.authorize(r, acl.Describe, acl.Cluster()):
		resp.ErrorCode, resp.ErrorMessage = int16(protocol.ErrClusterAuthorizationFailed), unauthorized(acl.Describe)
		r.reply(resp)
		return
	case b.acls == nil:
		message := "No Authorizer is configured on the broker"
		resp.ErrorCode, resp.ErrorMessage = int16(protocol.ErrSecurityDisabled), &message
		r.reply(resp)
		return
	}
	resp.ErrorMessage = new(string) // as Apache says that all is well
	// The order of Matching brings the ACLs of one pattern together.
	for _, a := range b.acls.Snapshot().Matching(&f) {
		last := len(resp.Resources) - 1
		if last < 0 || resp.Resources[last].ResourceName != a.ResourceName ||
			resp.Resources[last].ResourceType != kmsg.ACLResourceType(a.ResourceType) ||
			resp.Resources[last].ResourcePatternType != kmsg.ACLResourcePatternType(a.PatternType) {
			resource := kmsg.NewDescribeACLsResponseResource()
			resource.ResourceType, resource.ResourceName = kmsg.ACLResourceType(a.ResourceType), a.ResourceName
			resource.ResourcePatternType = kmsg.ACLResourcePatternType(a.PatternType)
			resp.Resources = append(resp.Resources, resource)
			last++
		}
		entry := kmsg.NewDescribeACLsResponseResourceACL()
		entry.Principal, entry.Host = a.Principal, a.Host
		entry.Operation, entry.PermissionType = kmsg.ACLOperation(a.Operation), kmsg.ACLPermissionType(a.Permission)
		resp.Resources[last].ACLs = append(resp.Resources[last].ACLs, entry)
	}
	r.reply(resp)
}

// handleCreateACLs, key 30, v0-v3 (KIP-140, KIP-290): ACLs, each made or refused alone.
// Needs Alter on the cluster.
func (b *Broker) handleCreateACLs(r *request) {
	req := r.msg.(*kmsg.CreateACLsRequest)
	errs := make([]error, len(req.Creations))
	for i := range req.Creations {
		if c := &req.Creations[i]; c.ResourceType == 0 || c.ResourcePatternType == 0 && r.version > 0 || c.Operation == 0 || c.PermissionType == 0 {
			r.hangUp("an ACL with a number that means unknown")
			return
		}
	}
	if err := b.mayAlterACLs(r); err != nil {
		for i := range errs {
			errs[i] = err
		}
		b.replyCreateACLs(r, errs)
		return
	}
	var valid []metadata.ACL
	var at []int // in errs
	for i := range req.Creations {
		c := &req.Creations[i]
		binding := acl.Binding{ResourceType: acl.ResourceType(c.ResourceType), ResourceName: c.ResourceName,
			PatternType: acl.PatternType(c.ResourcePatternType), Principal: c.Principal, Host: c.Host,
			Operation: acl.Operation(c.Operation), Permission: acl.Permission(c.PermissionType)}
		if r.version == 0 {
			binding.PatternType = acl.Literal
		}
		if errs[i] = binding.Validate(); errs[i] == nil {
			valid, at = append(valid, storedACL(&binding)), append(at, i)
		}
	}
	if len(valid) > 0 {
		results, err := b.store.CreateACLs(r.ctx(), valid)
		for n, i := range at {
			if errs[i] = err; err == nil {
				errs[i] = results[n]
			}
		}
	}
	b.replyCreateACLs(r, errs)
}

func (b *Broker) replyCreateACLs(r *request, errs []error) {
	resp := kmsg.NewPtrCreateACLsResponse()
	for _, err := range errs {
		out := kmsg.NewCreateACLsResponseResult()
		out.ErrorCode, out.ErrorMessage = r.errorCode(err), messageOf(err)
		if err == nil {
			out.ErrorMessage = new(string)
		}
		if err != nil && out.ErrorMessage == nil {
			out.ErrorMessage = defaultMessage(codeOf(err))
		}
		resp.Results = append(resp.Results, out)
	}
	r.reply(resp)
}

// mayAlterACLs says why the request may not change ACLs.
func (b *Broker) mayAlterACLs(r *request) error {
	if !b.authorize(r, acl.Alter, acl.Cluster()) {
		return &protocol.Error{Code: protocol.ErrClusterAuthorizationFailed, Message: *unauthorized(acl.Alter)}
	}
	if b.acls == nil {
		return protocol.Errorf(protocol.ErrSecurityDisabled, "No Authorizer is configured.")
	}
	return nil
}

func storedACL(b *acl.Binding) metadata.ACL {
	return metadata.ACL{ResourceType: int8(b.ResourceType), ResourceName: b.ResourceName, PatternType: int8(b.PatternType),
		Principal: b.Principal, Host: b.Host, Operation: int8(b.Operation), Permission: int8(b.Permission)}
}

// handleDeleteACLs, key 31, v0-v3 (KIP-140, KIP-290): removes what filters select, and
// names it. Needs Alter on the cluster.
func (b *Broker) handleDeleteACLs(r *request) {
	req := r.msg.(*kmsg.DeleteACLsRequest)
	resp := kmsg.NewPtrDeleteACLsResponse()
	fail := func(err error) {
		for range req.Filters {
			out := kmsg.NewDeleteACLsResponseResult()
			out.MatchingACLs = []kmsg.DeleteACLsResponseResultMatchingACL{}
			out.ErrorCode, out.ErrorMessage = r.errorCode(err), messageOf(err)
			if out.ErrorMessage == nil {
				out.ErrorMessage = defaultMessage(codeOf(err))
			}
			resp.Results = append(resp.Results, out)
		}
		r.reply(resp)
	}
	for i := range req.Filters {
		if f := &req.Filters[i]; f.ResourceType == 0 || f.ResourcePatternType == 0 && r.version > 0 || f.Operation == 0 || f.PermissionType == 0 {
			r.hangUp("a filter of ACLs with a number that means unknown")
			return
		}
	}
	if err := b.mayAlterACLs(r); err != nil {
		fail(err)
		return
	}
	filters := make([]metadata.ACLFilter, len(req.Filters))
	for i := range req.Filters {
		f := &req.Filters[i]
		filters[i] = metadata.ACLFilter{ResourceType: int8(f.ResourceType), ResourceName: f.ResourceName,
			PatternType: int8(f.ResourcePatternType), Principal: f.Principal, Host: f.Host,
			Operation: int8(f.Operation), Permission: int8(f.PermissionType)}
		if r.version == 0 {
			filters[i].PatternType = int8(acl.Literal)
		}
	}
	results, err := b.store.DeleteACLs(r.ctx(), filters)
	if err != nil {
		fail(err)
		return
	}
	for i := range results {
		out := kmsg.NewDeleteACLsResponseResult()
		out.ErrorCode, out.ErrorMessage = r.errorCode(results[i].Err), messageOf(results[i].Err)
		out.MatchingACLs = []kmsg.DeleteACLsResponseResultMatchingACL{}
		for n := range results[i].Deleted {
			a := &results[i].Deleted[n]
			m := kmsg.NewDeleteACLsResponseResultMatchingACL()
			m.ResourceType, m.ResourceName = kmsg.ACLResourceType(a.ResourceType), a.ResourceName
			m.ResourcePatternType = kmsg.ACLResourcePatternType(a.PatternType)
			m.Principal, m.Host = a.Principal, a.Host
			m.Operation, m.PermissionType = kmsg.ACLOperation(a.Operation), kmsg.ACLPermissionType(a.Permission)
			out.MatchingACLs = append(out.MatchingACLs, m)
		}
		resp.Results = append(resp.Results, out)
	}
	r.reply(resp)
}
