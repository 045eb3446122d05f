package metadata

import (
	"maps"
	"slices"
	"strings"
)

// delta compares the base with the image the draft became, at what the draft touched.
func (d *Draft) delta(after *Image) *Delta {
	out := &Delta{Before: d.base, After: after, TopicsDeleted: d.removed}
	// A topic that came back with the same id was changed, not deleted.
	out.TopicsDeleted = slices.DeleteFunc(out.TopicsDeleted, func(t *Topic) bool { return after.topicsByID.get(t.ID) != nil })
	for _, t := range slices.SortedFunc(maps.Values(d.topics), compareTopicNames) {
		out.compareTopic(d.base.topicsByID.get(t.ID), t)
	}
	for resource := range d.configs {
		out.compareConfig(resource)
	}
	for entity := range d.quotas {
		out.compareQuota(entity)
	}
	for id := range d.brokers {
		out.compareBroker(id)
	}
	for key := range d.scram {
		out.ScramCredentials = append(out.ScramCredentials, key)
	}
	for id := range d.acls {
		out.compareACL(d.base.acls.get(id), after.acls.get(id))
	}
	for id := range d.tokens {
		out.DelegationTokens = append(out.DelegationTokens, id)
	}
	out.finish()
	return out
}

// Diff returns what differs between two images, whatever their history. It looks at
// everything in them.
func Diff(before, after *Image) *Delta {
	out := &Delta{Before: before, After: after}
	for t := range after.Topics() {
		out.compareTopic(before.topicsByID.get(t.ID), t)
	}
	for t := range before.topicsByID.all() {
		if after.topicsByID.get(t.ID) == nil {
			out.TopicsDeleted = append(out.TopicsDeleted, t)
		}
	}
	for set := range after.configs.all() {
		out.compareConfig(set.resource)
	}
	for set := range before.configs.all() {
		if after.configs.get(set.resource) == nil {
			out.compareConfig(set.resource)
		}
	}
	for set := range after.quotas.all() {
		out.compareQuota(set.entity)
	}
	for set := range before.quotas.all() {
		if after.quotas.get(set.entity) == nil {
			out.compareQuota(set.entity)
		}
	}
	for _, b := range after.brokers {
		out.compareBroker(b.ID)
	}
	for _, b := range before.brokers {
		if after.Broker(b.ID) == nil {
			out.compareBroker(b.ID)
		}
	}
	out.diffSecurity()
	out.finish()
	return out
}

func (d *Delta) diffSecurity() {
	before, after := d.Before, d.After
	for c := range after.scram.all() {
		old := before.ScramCredential(c.User, c.Mechanism)
		if old != c && (old == nil || !old.equal(c)) {
			d.ScramCredentials = append(d.ScramCredentials, ScramDeletion{c.User, c.Mechanism})
		}
	}
	for c := range before.scram.all() {
		if after.ScramCredential(c.User, c.Mechanism) == nil {
			d.ScramCredentials = append(d.ScramCredentials, ScramDeletion{c.User, c.Mechanism})
		}
	}
	for a := range after.acls.all() {
		d.compareACL(before.acls.get(a.ID), a)
	}
	for a := range before.acls.all() {
		if after.acls.get(a.ID) == nil {
			d.compareACL(a, nil)
		}
	}
	for t := range after.tokens.all() {
		old := before.tokens.get(t.ID)
		if old != t && (old == nil || !old.equal(t)) {
			d.DelegationTokens = append(d.DelegationTokens, t.ID)
		}
	}
	for t := range before.tokens.all() {
		if after.tokens.get(t.ID) == nil {
			d.DelegationTokens = append(d.DelegationTokens, t.ID)
		}
	}
}

func (d *Delta) compareTopic(old, t *Topic) {
	if old == t {
		return
	}
	if old == nil {
		d.TopicsCreated = append(d.TopicsCreated, t)
	}
	for i, p := range t.Partitions {
		before := old.Partition(int32(i))
		if before != p && (before == nil || !before.equal(p)) {
			d.Partitions = append(d.Partitions, PartitionDelta{t, int32(i), before, p})
		}
	}
}

func (p *Partition) equal(q *Partition) bool {
	return p.Leader == q.Leader && p.LeaderEpoch == q.LeaderEpoch && p.PartitionEpoch == q.PartitionEpoch &&
		p.Recovery == q.Recovery && equalIDs(p.Replicas, q.Replicas) && equalIDs(p.ISR, q.ISR) &&
		equalIDs(p.Adding, q.Adding) && equalIDs(p.Removing, q.Removing) && equalUUIDs(p.Directories, q.Directories)
}

func (c *ScramCredential) equal(o *ScramCredential) bool {
	return c.User == o.User && c.Mechanism == o.Mechanism && c.Iterations == o.Iterations && slices.Equal(c.Salt, o.Salt) &&
		slices.Equal(c.StoredKey, o.StoredKey) && slices.Equal(c.ServerKey, o.ServerKey)
}

func (t *DelegationToken) equal(o *DelegationToken) bool {
	return t.ID == o.ID && t.Owner == o.Owner && t.Requester == o.Requester && slices.Equal(t.Renewers, o.Renewers) &&
		t.IssueTimestampMs == o.IssueTimestampMs && t.ExpiryTimestampMs == o.ExpiryTimestampMs && t.MaxTimestampMs == o.MaxTimestampMs
}

// compareConfig lists the resource even if its values are the same as before: a broker
// config that is set again makes brokers load it again (KAFKA-14136).
func (d *Delta) compareConfig(r ConfigResource) {
	if r.Type != BrokerResource && maps.Equal(d.Before.Config(r.Type, r.Name), d.After.Config(r.Type, r.Name)) {
		return
	}
	d.Configs = append(d.Configs, r)
}

func (d *Delta) compareQuota(e QuotaEntity) {
	if !maps.Equal(d.Before.Quotas(e), d.After.Quotas(e)) {
		d.Quotas = append(d.Quotas, e)
	}
}

func (d *Delta) compareBroker(id int32) {
	if d.Before.Broker(id) != d.After.Broker(id) {
		d.Brokers = append(d.Brokers, id)
	}
}

func (d *Delta) compareACL(old, acl *ACL) {
	if old == acl || old != nil && acl != nil && *old == *acl {
		return
	}
	if old != nil {
		d.ACLsRemoved = append(d.ACLsRemoved, old)
	}
	if acl != nil {
		d.ACLsAdded = append(d.ACLsAdded, acl)
	}
}

// finish compares what is cheap to compare whole, and makes the order of the delta that of
// its contents, not that of a Go map. Topics were compared in the order of their names.
func (d *Delta) finish() {
	d.Features = !maps.Equal(d.Before.features, d.After.features)
	d.Controller = d.Before.controllerID != d.After.controllerID || d.Before.controllerEpoch != d.After.controllerEpoch
	slices.SortFunc(d.TopicsDeleted, compareTopicNames)
	d.TopicsDeleted = slices.Compact(d.TopicsDeleted) // one that was removed, put back and removed
	slices.SortFunc(d.Configs, func(a, b ConfigResource) int {
		if a.Type != b.Type {
			return int(a.Type) - int(b.Type)
		}
		return strings.Compare(a.Name, b.Name)
	})
	slices.Sort(d.Brokers)
	slices.Sort(d.DelegationTokens)
}

func compareTopicNames(a, b *Topic) int { return strings.Compare(a.Name, b.Name) }
