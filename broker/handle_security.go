package broker

import (
	"cmp"
	"slices"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// handleAlterClientQuotas, key 49, v0-v1 (KIP-546). Needs AlterConfigs on the cluster.
func (b *Broker) handleAlterClientQuotas(r *request) {
	req := r.msg.(*kmsg.AlterClientQuotasRequest)
	resp := kmsg.NewPtrAlterClientQuotasResponse()
	var alterations []metadata.QuotaAlteration
	for _, e := range req.Entries {
		var a metadata.QuotaAlteration
		for _, part := range e.Entity {
			component := metadata.QuotaComponent{Type: part.Type, Name: part.Name}
			if i := slices.IndexFunc(a.Entity, func(c metadata.QuotaComponent) bool { return c.Type == part.Type }); i >= 0 {
				a.Entity[i] = component // of a type that comes twice the last counts
				continue
			}
			a.Entity = append(a.Entity, component)
		}
		for _, op := range e.Ops {
			a.Changes = append(a.Changes, metadata.QuotaChange{Key: op.Key, Value: op.Value, Remove: op.Remove})
		}
		alterations = append(alterations, a)
	}
	add := func(entity []metadata.QuotaComponent, err error) {
		out := kmsg.NewAlterClientQuotasResponseEntry()
		out.ErrorCode, out.ErrorMessage = r.errorCode(err), messageOf(err)
		if out.ErrorMessage == nil && err != nil {
			out.ErrorMessage = defaultMessage(codeOf(err))
		}
		for _, c := range entity {
			part := kmsg.NewAlterClientQuotasResponseEntryEntity()
			part.Type, part.Name = c.Type, c.Name
			out.Entity = append(out.Entity, part)
		}
		resp.Entries = append(resp.Entries, out)
	}
	if !b.authorize(r, acl.AlterConfigs, acl.Cluster()) {
		for _, a := range alterations {
			add(a.Entity, protocol.ErrClusterAuthorizationFailed)
		}
		r.reply(resp)
		return
	}
	results, err := b.store.AlterClientQuotas(r.ctx(), alterations, req.ValidateOnly)
	if err != nil {
		for _, a := range alterations {
			add(a.Entity, err)
		}
	}
	for _, res := range results {
		add(res.Entity, res.Err)
	}
	r.reply(resp)
}

// How a component of DescribeClientQuotas matches.
const (
	quotaMatchExact   = 0
	quotaMatchDefault = 1
	quotaMatchAny     = 2
)

// handleDescribeClientQuotas, key 48, v0-v1 (KIP-546). Needs DescribeConfigs on the cluster.
func (b *Broker) handleDescribeClientQuotas(r *request) {
	req := r.msg.(*kmsg.DescribeClientQuotasRequest)
	resp := kmsg.NewPtrDescribeClientQuotasResponse()
	fail := func(err error) {
		resp.ErrorCode, resp.ErrorMessage, resp.Entries = r.errorCode(err), messageOf(err), nil
		if resp.ErrorMessage == nil {
			resp.ErrorMessage = defaultMessage(codeOf(err))
		}
		r.reply(resp)
	}
	if !b.authorize(r, acl.DescribeConfigs, acl.Cluster()) {
		fail(protocol.ErrClusterAuthorizationFailed)
		return
	}
	filter := map[string]kmsg.DescribeClientQuotasRequestComponent{}
	for _, c := range req.Components {
		switch c.EntityType {
		case "user", "client-id", "ip":
		case "":
			fail(protocol.Errorf(protocol.ErrInvalidRequest, "Unexpected empty filter component entity type"))
			return
		default:
			fail(protocol.Errorf(protocol.ErrUnsupportedVersion, "Custom entity type '%s' not supported", c.EntityType))
			return
		}
		if _, twice := filter[c.EntityType]; twice {
			fail(protocol.Errorf(protocol.ErrInvalidRequest, "Duplicate %s filter component entity type", c.EntityType))
			return
		}
		if c.MatchType < quotaMatchExact || c.MatchType > quotaMatchAny {
			fail(protocol.Errorf(protocol.ErrInvalidRequest, "Unexpected match type: %d", c.MatchType))
			return
		}
		if c.MatchType == quotaMatchExact && c.Match == nil {
			fail(protocol.Errorf(protocol.ErrInvalidRequest, "An exact match of %s needs a name to match.", c.EntityType))
			return
		}
		if c.MatchType != quotaMatchExact && c.Match != nil {
			name := "MATCH_TYPE_DEFAULT"
			if c.MatchType == quotaMatchAny {
				name = "MATCH_TYPE_SPECIFIED"
			}
			fail(protocol.Errorf(protocol.ErrInvalidRequest, "Request specified %s, but also specified a match string.", name))
			return
		}
		filter[c.EntityType] = c
	}
	if _, ip := filter["ip"]; ip && len(filter) > 1 {
		fail(protocol.Errorf(protocol.ErrInvalidRequest, "Invalid entity filter component combination, IP filter component should not be used with user or clientId filter component."))
		return
	}
	resp.Entries, resp.ErrorMessage = []kmsg.DescribeClientQuotasResponseEntry{}, new(string)
	for entity, quotas := range b.store.Image().AllQuotas() {
		if e, ok := matchQuota(entity, filter, req.Strict); ok {
			for key, value := range quotas {
				v := kmsg.NewDescribeClientQuotasResponseEntryValue()
				v.Key, v.Value = key, value
				e.Values = append(e.Values, v)
			}
			slices.SortFunc(e.Values, func(a, b kmsg.DescribeClientQuotasResponseEntryValue) int { return cmp.Compare(a.Key, b.Key) })
			resp.Entries = append(resp.Entries, e)
		}
	}
	slices.SortFunc(resp.Entries, func(a, b kmsg.DescribeClientQuotasResponseEntry) int {
		return slices.CompareFunc(a.Entity, b.Entity, func(x, y kmsg.DescribeClientQuotasResponseEntryEntity) int {
			return cmp.Or(cmp.Compare(x.Type, y.Type), cmp.Compare(deref(x.Name), deref(y.Name)))
		})
	})
	r.reply(resp)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// matchQuota says whether an entity passes a filter, and how it is shown.
func matchQuota(entity metadata.QuotaEntity, filter map[string]kmsg.DescribeClientQuotasRequestComponent, strict bool) (kmsg.DescribeClientQuotasResponseEntry, bool) {
	out := kmsg.NewDescribeClientQuotasResponseEntry()
	matched := 0
	for _, part := range []struct {
		kind string
		name metadata.QuotaName
	}{{"client-id", entity.ClientID}, {"ip", entity.IP}, {"user", entity.User}} {
		if !part.name.Set {
			continue
		}
		e := kmsg.NewDescribeClientQuotasResponseEntryEntity()
		e.Type = part.kind
		if part.name.Name != "" {
			e.Name = &part.name.Name
		}
		out.Entity = append(out.Entity, e)
		c, asked := filter[part.kind]
		if !asked {
			if strict {
				return out, false
			}
			continue
		}
		switch c.MatchType {
		case quotaMatchExact:
			if c.Match == nil || *c.Match != part.name.Name || part.name.Name == "" {
				return out, false
			}
		case quotaMatchDefault:
			if part.name.Name != "" {
				return out, false
			}
		}
		matched++
	}
	return out, matched == len(filter)
}
