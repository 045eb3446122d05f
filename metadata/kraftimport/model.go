package kraftimport

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// API keys of Apache's metadata records.
const (
	keyRegisterBroker           = 0
	keyUnregisterBroker         = 1
	keyTopic                    = 2
	keyPartition                = 3
	keyConfig                   = 4
	keyPartitionChange          = 5
	keyFenceBroker              = 7
	keyUnfenceBroker            = 8
	keyRemoveTopic              = 9
	keyDelegationToken          = 10
	keyUserScramCredential      = 11
	keyFeatureLevel             = 12
	keyClientQuota              = 14
	keyProducerIDs              = 15
	keyBrokerRegistrationChange = 17
	keyAccessControlEntry       = 18
	keyRemoveAccessControlEntry = 19
	keyNoOp                     = 20
	keyZkMigration              = 21
	keyRemoveUserScram          = 22
	keyBeginTransaction         = 23
	keyEndTransaction           = 24
	keyAbortTransaction         = 25
	keyRemoveDelegationToken    = 26
	keyRegisterController       = 27
	keyClearElr                 = 28
)

// model is the cluster as far as it has been read. Apache's records may come in an order
// that ours may not, so they are gathered first.
type model struct {
	brokers  map[int32]*metadata.Broker
	topics   map[protocol.UUID]*topic
	configs  map[metadata.ConfigResource]map[string]string
	quotas   map[metadata.QuotaEntity]map[string]float64
	scram    map[metadata.ScramDeletion]metadata.ScramCredential
	acls     map[protocol.UUID]metadata.ACL
	tokens   map[string]metadata.DelegationToken
	features map[string]int16
	nextID   int64
}

type topic struct {
	name       string
	partitions map[int32]*partition
}

// partition is one of ours, and what ours does not have.
type partition struct {
	metadata.Partition
	// eligible are the eligible leader replicas (KIP-966): not in the ISR, but known to
	// have everything committed.
	eligible []int32
}

func newModel() *model {
	return &model{
		brokers: map[int32]*metadata.Broker{}, topics: map[protocol.UUID]*topic{},
		configs: map[metadata.ConfigResource]map[string]string{}, quotas: map[metadata.QuotaEntity]map[string]float64{},
		scram: map[metadata.ScramDeletion]metadata.ScramCredential{}, acls: map[protocol.UUID]metadata.ACL{},
		tokens: map[string]metadata.DelegationToken{}, features: map[string]int16{},
	}
}

// newest are the versions of records that this program can read; 0 where nothing is said.
var newest = map[uint64]uint64{keyRegisterBroker: 3, keyPartition: 2, keyPartitionChange: 2, keyBrokerRegistrationChange: 2}

// apply applies one record, the fields of which are in in.
func (m *model) apply(key, version uint64, in *decoder) error {
	switch key {
	case keyNoOp, keyZkMigration, keyRegisterController, keyClearElr:
		return nil // nothing in them that we keep
	}
	if version > newest[key] {
		return fmt.Errorf("%w: version %d of record %d", ErrNewer, version, key)
	}
	if err := m.change(key, version, in); err != nil {
		return err
	}
	if in.failed {
		return fmt.Errorf("%w: record %d", ErrCorrupt, key)
	}
	return nil
}

func (m *model) change(key, version uint64, in *decoder) error {
	switch key {
	case keyRegisterBroker:
		m.registerBroker(version, in)
	case keyUnregisterBroker:
		delete(m.brokers, in.int32())
	case keyFenceBroker, keyUnfenceBroker:
		if b := m.brokers[in.int32()]; b != nil {
			b.Fenced = key == keyFenceBroker
		}
	case keyBrokerRegistrationChange:
		m.changeBroker(in)
	case keyTopic:
		name, id := in.string(), in.uuid()
		m.topics[id] = &topic{name: name, partitions: map[int32]*partition{}}
	case keyRemoveTopic:
		id := in.uuid()
		if t := m.topics[id]; t != nil {
			delete(m.topics, id)
			delete(m.configs, metadata.ConfigResource{Type: metadata.TopicResource, Name: t.name})
		}
	case keyPartition:
		return m.addPartition(version, in)
	case keyPartitionChange:
		return m.changePartition(in)
	case keyConfig:
		m.setConfig(in)
	case keyClientQuota:
		return m.setQuota(in)
	case keyProducerIDs:
		in.int32()
		in.int64()
		m.nextID = max(m.nextID, in.int64())
	case keyFeatureLevel:
		name := in.string()
		if m.features[name] = in.int16(); m.features[name] == 0 {
			delete(m.features, name)
		}
	default:
		return m.changeSecurity(key, in)
	}
	return nil
}

func (m *model) registerBroker(version uint64, in *decoder) {
	b := &metadata.Broker{ID: in.int32()}
	if version >= 2 {
		in.bool() // migrating from ZooKeeper
	}
	b.Incarnation, b.Epoch = in.uuid(), in.int64()
	for n := in.count(7); n > 0 && !in.failed; n-- {
		b.Endpoints = append(b.Endpoints, metadata.Endpoint{Name: in.string(), Host: in.string(), Port: int32(uint16(in.int16())),
			SecurityProtocol: metadata.SecurityProtocol(in.int16())})
		in.tags(nil)
	}
	for n := in.count(6); n > 0 && !in.failed; n-- {
		b.Features = append(b.Features, metadata.FeatureRange{Name: in.string(), Min: in.int16(), Max: in.int16()})
		in.tags(nil)
	}
	if rack := in.nullableString(); rack != nil {
		b.Rack = *rack
	}
	b.Fenced = in.bool()
	if version >= 1 {
		b.InControlledShutdown = in.bool()
	}
	in.tags(func(tag uint64, in *decoder) {
		if tag == 0 {
			b.LogDirs = in.uuids()
		}
	})
	m.brokers[b.ID] = b
}

func (m *model) changeBroker(in *decoder) {
	b := m.brokers[in.int32()]
	if b == nil {
		b = &metadata.Broker{} // unregistered meanwhile
	}
	in.int64()
	in.tags(func(tag uint64, in *decoder) {
		switch tag {
		case 0:
			if v := in.int8(); v != 0 {
				b.Fenced = v > 0
			}
		case 1:
			if v := in.int8(); v != 0 {
				b.InControlledShutdown = v > 0
			}
		case 2:
			b.LogDirs = in.uuids()
		}
	})
}

func (m *model) addPartition(version uint64, in *decoder) error {
	n, id := in.int32(), in.uuid()
	p := &partition{}
	p.Replicas, p.ISR, p.Removing, p.Adding = in.ids(), in.ids(), in.ids(), in.ids()
	p.Leader, p.LeaderEpoch, p.PartitionEpoch = in.int32(), in.int32(), in.int32()
	if version >= 1 {
		p.Directories = in.uuids()
	}
	in.tags(func(tag uint64, in *decoder) {
		switch tag {
		case 0:
			p.Recovery = recoveryState(in.int8())
		case 1:
			p.eligible = in.ids()
		}
	})
	t := m.topics[id]
	if t == nil || n < 0 {
		return fmt.Errorf("%w: partition %d of unknown topic %s", ErrCorrupt, n, id)
	}
	t.partitions[n] = p
	return nil
}

func recoveryState(v int8) metadata.LeaderRecoveryState {
	if v == int8(metadata.LeaderRecovering) {
		return metadata.LeaderRecovering
	}
	return metadata.LeaderRecovered
}

func (m *model) changePartition(in *decoder) error {
	n, id := in.int32(), in.uuid()
	t := m.topics[id]
	if t == nil || t.partitions[n] == nil {
		return fmt.Errorf("%w: change of unknown partition %d of topic %s", ErrCorrupt, n, id)
	}
	r := &metadata.PartitionChangeRecord{}
	eligible := t.partitions[n].eligible
	in.tags(func(tag uint64, in *decoder) {
		switch tag {
		case 0:
			r.ISR = in.ids()
		case 1:
			leader := in.int32()
			r.Leader = &leader
		case 2:
			r.Replicas = in.ids()
		case 3:
			removing := in.ids()
			r.Removing = &removing
		case 4:
			adding := in.ids()
			r.Adding = &adding
		case 5:
			recovery := recoveryState(in.int8())
			r.Recovery = &recovery
		case 6:
			eligible = in.ids()
		case 8:
			r.Directories = in.uuids()
		}
	})
	t.partitions[n] = &partition{*t.partitions[n].Merge(r), eligible}
	return nil
}

func (m *model) setConfig(in *decoder) {
	resource := metadata.ConfigResource{Type: metadata.ResourceType(in.int8()), Name: in.string()}
	name, value := in.string(), in.nullableString()
	values := m.configs[resource]
	if value == nil {
		delete(values, name)
		return
	}
	if values == nil {
		values = map[string]string{}
		m.configs[resource] = values
	}
	values[name] = *value
}

func (m *model) setQuota(in *decoder) error {
	var e metadata.QuotaEntity
	for n := in.count(3); n > 0 && !in.failed; n-- {
		kind, name := in.string(), in.nullableString()
		in.tags(nil)
		part := metadata.QuotaName{Set: true}
		if name != nil {
			part.Name = *name
		}
		switch kind {
		case "user":
			e.User = part
		case "client-id":
			e.ClientID = part
		case "ip":
			e.IP = part
		default:
			return fmt.Errorf("%w: quota of a %q", ErrNewer, kind)
		}
	}
	key, value, remove := in.string(), in.float64(), in.bool()
	quotas := m.quotas[e]
	if remove {
		delete(quotas, key)
		return nil
	}
	if quotas == nil {
		quotas = map[string]float64{}
		m.quotas[e] = quotas
	}
	quotas[key] = value
	return nil
}

func (m *model) changeSecurity(key uint64, in *decoder) error {
	switch key {
	case keyUserScramCredential:
		c := metadata.ScramCredential{User: in.string(), Mechanism: metadata.ScramMechanism(in.int8()), Salt: in.bytes(),
			StoredKey: in.bytes(), ServerKey: in.bytes(), Iterations: in.int32()}
		m.scram[metadata.ScramDeletion{User: c.User, Mechanism: c.Mechanism}] = c
	case keyRemoveUserScram:
		delete(m.scram, metadata.ScramDeletion{User: in.string(), Mechanism: metadata.ScramMechanism(in.int8())})
	case keyAccessControlEntry:
		a := metadata.ACL{ID: in.uuid(), ResourceType: in.int8(), ResourceName: in.string(), PatternType: in.int8(),
			Principal: in.string(), Host: in.string(), Operation: in.int8(), Permission: in.int8()}
		m.acls[a.ID] = a
	case keyRemoveAccessControlEntry:
		delete(m.acls, in.uuid())
	case keyDelegationToken:
		t := metadata.DelegationToken{Owner: in.string(), Requester: in.string()}
		for n := in.count(1); n > 0 && !in.failed; n-- {
			t.Renewers = append(t.Renewers, in.string())
		}
		t.IssueTimestampMs, t.MaxTimestampMs, t.ExpiryTimestampMs, t.ID = in.int64(), in.int64(), in.int64(), in.string()
		m.tokens[t.ID] = t
	case keyRemoveDelegationToken:
		delete(m.tokens, in.string())
	default:
		return fmt.Errorf("%w: record %d", ErrNewer, key)
	}
	return nil
}

// records returns what the model holds, in an order that our records may have.
func (m *model) records() []metadata.Record {
	var out []metadata.Record
	for _, name := range slices.Sorted(maps.Keys(m.features)) {
		out = append(out, &metadata.FeatureRecord{Name: name, Level: m.features[name]})
	}
	if m.nextID > 0 {
		out = append(out, &metadata.ProducerIDsRecord{Broker: metadata.NoLeader, Epoch: -1, Next: m.nextID})
	}
	for _, id := range slices.Sorted(maps.Keys(m.brokers)) {
		out = append(out, &metadata.BrokerRecord{Broker: *m.brokers[id]})
	}
	out = append(out, m.topicRecords()...)
	resources := slices.SortedFunc(maps.Keys(m.configs), func(a, b metadata.ConfigResource) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
	})
	for _, r := range resources {
		for _, name := range slices.Sorted(maps.Keys(m.configs[r])) {
			value := m.configs[r][name]
			out = append(out, &metadata.ConfigRecord{Resource: r, Name: name, Value: &value})
		}
	}
	for e, quotas := range m.quotas {
		for key, value := range quotas {
			out = append(out, &metadata.QuotaRecord{Entity: e, Key: key, Value: value})
		}
	}
	for _, c := range m.scram {
		out = append(out, &metadata.ScramCredentialRecord{ScramCredential: c})
	}
	for _, a := range m.acls {
		out = append(out, &metadata.ACLRecord{ACL: a})
	}
	for _, t := range m.tokens {
		out = append(out, &metadata.DelegationTokenRecord{DelegationToken: t})
	}
	return out
}

func (m *model) topicRecords() []metadata.Record {
	var out []metadata.Record
	ids := slices.SortedFunc(maps.Keys(m.topics), func(a, b protocol.UUID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ids {
		t := m.topics[id]
		out = append(out, &metadata.TopicRecord{Name: t.name, ID: id})
		r := &metadata.PartitionsRecord{TopicID: id}
		for n := range int32(len(t.partitions)) {
			p := t.partitions[n]
			if p == nil {
				break // a gap: Kafka has none, and the rest would not be reachable
			}
			if len(p.ISR) == 0 {
				// With eligible leader replicas the ISR may be empty; ours never is.
				p.ISR = p.eligible
				if len(p.ISR) == 0 {
					p.ISR = p.Replicas[:min(1, len(p.Replicas))]
				}
			}
			r.Partitions = append(r.Partitions, &p.Partition)
		}
		out = append(out, r)
	}
	return out
}
