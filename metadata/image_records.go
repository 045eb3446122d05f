package metadata

import (
	"bytes"
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
)

// partitionsPerRecord bounds the size of one record of a snapshot.
const partitionsPerRecord = 1000

// Records yields records that make this image out of an empty one. The same image yields
// the same records in the same order.
func (m *Image) Records() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		_ = m.clusterRecords(yield) && m.topicRecords(yield) && m.configRecords(yield) && m.securityRecords(yield)
	}
}

func (m *Image) clusterRecords(yield func(Record) bool) bool {
	if m.clusterID != "" && !yield(&ClusterIDRecord{m.clusterID}) {
		return false
	}
	if (m.controllerID != NoLeader || m.controllerEpoch != 0) && !yield(&ControllerRecord{m.controllerID, m.controllerEpoch}) {
		return false
	}
	for _, name := range m.Features() {
		if !yield(&FeatureRecord{name, m.features[name]}) {
			return false
		}
	}
	if m.nextProducerID != 0 && !yield(&ProducerIDsRecord{Broker: NoLeader, Epoch: -1, Next: m.nextProducerID}) {
		return false
	}
	for _, b := range m.brokers {
		if !yield(&BrokerRecord{*b}) {
			return false
		}
	}
	return true
}

func (m *Image) topicRecords(yield func(Record) bool) bool {
	for t := range m.Topics() {
		if !yield(&TopicRecord{t.Name, t.ID}) {
			return false
		}
		for first := 0; first < len(t.Partitions); first += partitionsPerRecord {
			chunk := t.Partitions[first:min(first+partitionsPerRecord, len(t.Partitions))]
			if !yield(&PartitionsRecord{TopicID: t.ID, First: int32(first), Partitions: chunk}) {
				return false
			}
		}
	}
	return true
}

func (m *Image) configRecords(yield func(Record) bool) bool {
	sets := slices.SortedFunc(m.configs.all(), func(a, b *configSet) int {
		return cmp.Or(cmp.Compare(a.resource.Type, b.resource.Type), strings.Compare(a.resource.Name, b.resource.Name))
	})
	for _, set := range sets {
		for _, name := range slices.Sorted(maps.Keys(set.values)) {
			value := set.values[name]
			if !yield(&ConfigRecord{set.resource, name, &value}) {
				return false
			}
		}
	}
	quotas := slices.SortedFunc(m.quotas.all(), func(a, b *quotaSet) int { return a.entity.compare(b.entity) })
	for _, set := range quotas {
		for _, key := range slices.Sorted(maps.Keys(set.values)) {
			if !yield(&QuotaRecord{Entity: set.entity, Key: key, Value: set.values[key]}) {
				return false
			}
		}
	}
	return true
}

func (n QuotaName) compare(o QuotaName) int {
	if n.Set != o.Set {
		if n.Set {
			return 1
		}
		return -1
	}
	return strings.Compare(n.Name, o.Name)
}

func (e QuotaEntity) compare(o QuotaEntity) int {
	return cmp.Or(e.User.compare(o.User), e.ClientID.compare(o.ClientID), e.IP.compare(o.IP))
}

func (m *Image) securityRecords(yield func(Record) bool) bool {
	credentials := slices.SortedFunc(m.scram.all(), func(a, b *ScramCredential) int {
		return cmp.Or(strings.Compare(a.User, b.User), cmp.Compare(a.Mechanism, b.Mechanism))
	})
	for _, c := range credentials {
		if !yield(&ScramCredentialRecord{*c}) {
			return false
		}
	}
	acls := slices.SortedFunc(m.acls.all(), func(a, b *ACL) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for _, a := range acls {
		if !yield(&ACLRecord{*a}) {
			return false
		}
	}
	tokens := slices.SortedFunc(m.tokens.all(), func(a, b *DelegationToken) int { return strings.Compare(a.ID, b.ID) })
	for _, t := range tokens {
		if !yield(&DelegationTokenRecord{*t}) {
			return false
		}
	}
	return true
}
