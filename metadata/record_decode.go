package metadata

import (
	"encoding/binary"
	"math"

	"github.com/barnabas-broker/barnabas/protocol"
)

// decoder takes fields from the front of src. After the first field that does not fit it
// has failed, and yields zeroes.
type decoder struct {
	src    []byte
	failed bool
}

func (d *decoder) fail() {
	d.failed = true
	d.src = nil
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.src)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *decoder) int64() int64 {
	v, n := binary.Varint(d.src)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *decoder) int32() int32 {
	v := d.int64()
	if v < math.MinInt32 || v > math.MaxInt32 {
		d.fail()
		return 0
	}
	return int32(v)
}

func (d *decoder) int16() int16 {
	v := d.int64()
	if v < math.MinInt16 || v > math.MaxInt16 {
		d.fail()
		return 0
	}
	return int16(v)
}

func (d *decoder) byte() byte {
	if len(d.src) == 0 {
		d.fail()
		return 0
	}
	b := d.src[0]
	d.src = d.src[1:]
	return b
}

// below returns a byte that must be less than limit.
func (d *decoder) below(limit byte) byte {
	b := d.byte()
	if b >= limit {
		d.fail()
		return 0
	}
	return b
}

func (d *decoder) bool() bool { return d.below(2) == 1 }

// count returns a number of elements that take at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.src)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) raw() []byte {
	n := d.count(1)
	b := d.src[:n]
	d.src = d.src[n:]
	return b
}

func (d *decoder) string() string { return string(d.raw()) }

func (d *decoder) bytes() []byte { return append([]byte{}, d.raw()...) }

func (d *decoder) uuid() (id protocol.UUID) {
	if len(d.src) < len(id) {
		d.fail()
		return id
	}
	copy(id[:], d.src)
	d.src = d.src[len(id):]
	return id
}

// ids returns a list that is not nil.
func (d *decoder) ids() []int32 {
	out := make([]int32, d.count(1))
	for i := range out {
		out[i] = d.int32()
	}
	return out
}

func (d *decoder) uuids() []protocol.UUID {
	out := make([]protocol.UUID, d.count(len(protocol.UUID{})))
	for i := range out {
		out[i] = d.uuid()
	}
	return out
}

func (d *decoder) optionalBool() *bool {
	b := d.below(3)
	if b == 0 {
		return nil
	}
	v := b == 2
	return &v
}

func (d *decoder) record(kind RecordType) Record {
	switch kind {
	case typeNoOp:
		return &NoOpRecord{}
	case typeClusterID:
		return &ClusterIDRecord{d.string()}
	case typeController:
		return &ControllerRecord{d.int32(), d.int32()}
	case typeBroker:
		return d.broker()
	case typeBrokerChange:
		r := &BrokerChangeRecord{ID: d.int32(), Epoch: d.int64(), Fenced: d.optionalBool(), InControlledShutdown: d.optionalBool()}
		if d.bool() {
			dirs := d.uuids()
			r.LogDirs = &dirs
		}
		return r
	case typeRemoveBroker:
		return &RemoveBrokerRecord{d.int32(), d.int64()}
	case typeTopic:
		return &TopicRecord{d.string(), d.uuid()}
	case typeRemoveTopic:
		return &RemoveTopicRecord{d.uuid()}
	case typePartitions:
		return d.partitions()
	case typePartitionChange:
		return d.partitionChange()
	case typeConfig:
		r := &ConfigRecord{Resource: ConfigResource{ResourceType(d.byte()), d.string()}, Name: d.string()}
		if d.bool() {
			value := d.string()
			r.Value = &value
		}
		return r
	case typeQuota:
		return d.quota()
	case typeScram:
		return &ScramCredentialRecord{ScramCredential{User: d.string(), Mechanism: ScramMechanism(d.byte()), Salt: d.bytes(),
			StoredKey: d.bytes(), ServerKey: d.bytes(), Iterations: d.int32()}}
	case typeRemoveScram:
		return &RemoveScramCredentialRecord{ScramDeletion{d.string(), ScramMechanism(d.byte())}}
	case typeToken:
		return d.token()
	case typeRemoveToken:
		return &RemoveDelegationTokenRecord{d.string()}
	case typeACL:
		return &ACLRecord{ACL{ID: d.uuid(), ResourceType: int8(d.byte()), PatternType: int8(d.byte()), Operation: int8(d.byte()),
			Permission: int8(d.byte()), ResourceName: d.string(), Principal: d.string(), Host: d.string()}}
	case typeRemoveACL:
		return &RemoveACLRecord{d.uuid()}
	case typeProducerIDs:
		return &ProducerIDsRecord{d.int32(), d.int64(), d.int64()}
	case typeFeature:
		return &FeatureRecord{d.string(), d.int16()}
	}
	d.fail()
	return nil
}

func (d *decoder) broker() Record {
	r := &BrokerRecord{Broker{ID: d.int32(), Epoch: d.int64(), Incarnation: d.uuid()}}
	for range d.count(4) {
		r.Endpoints = append(r.Endpoints, Endpoint{Name: d.string(), Host: d.string(), Port: d.int32(), SecurityProtocol: SecurityProtocol(d.int16())})
	}
	r.Rack = d.string()
	for range d.count(3) {
		r.Features = append(r.Features, FeatureRange{d.string(), d.int16(), d.int16()})
	}
	r.LogDirs = d.uuids()
	r.Fenced, r.InControlledShutdown = d.bool(), d.bool()
	return r
}

func (d *decoder) partitions() Record {
	r := &PartitionsRecord{TopicID: d.uuid(), First: d.int32()}
	n := d.count(1)
	// A partition costs a byte at least and becomes some hundred: grow with what
	// really comes, not with what is announced.
	r.Partitions = make([]*Partition, 0, min(n, 4096))
	var previous *Partition
	for range n {
		if previous = d.partition(previous); d.failed {
			break
		}
		r.Partitions = append(r.Partitions, previous)
	}
	return r
}

func (d *decoder) partition(previous *Partition) *Partition {
	flags := d.below(partitionFlags + 1)
	p := &Partition{}
	switch {
	case flags&partitionSameAsPrevious == 0:
		p.Replicas = d.ids()
		if flags&partitionHasDirectories != 0 {
			p.Directories = d.uuids()
			if len(p.Directories) == 0 {
				d.fail()
			}
		}
	case previous == nil || flags&partitionHasDirectories != 0:
		d.fail()
		return p
	default:
		p.Replicas, p.Directories = previous.Replicas, previous.Directories
	}
	if flags&partitionISRIsReplicas != 0 {
		p.ISR = p.Replicas
	} else {
		p.ISR = d.ids()
	}
	switch {
	case flags&partitionLeaderIsFirst == 0:
		p.Leader = d.int32()
	case len(p.Replicas) == 0:
		d.fail()
	default:
		p.Leader = p.Replicas[0]
	}
	if flags&partitionIsNew == 0 {
		p.LeaderEpoch, p.PartitionEpoch, p.Recovery = d.int32(), d.int32(), LeaderRecoveryState(d.below(2))
	}
	if flags&partitionIsReassigning != 0 {
		p.Adding, p.Removing = d.ids(), d.ids()
		if !p.IsReassigning() {
			d.fail()
		}
	}
	return p
}

func (d *decoder) partitionChange() Record {
	r := &PartitionChangeRecord{TopicID: d.uuid(), Partition: d.int32()}
	flags := d.below(changeFlags + 1)
	if flags&changesLeader != 0 {
		leader := d.int32()
		r.Leader = &leader
	}
	if flags&changesISR != 0 {
		r.ISR = d.ids()
	}
	if flags&changesReplicas != 0 {
		r.Replicas = d.ids()
	}
	if flags&changesAdding != 0 {
		adding := d.ids()
		r.Adding = &adding
	}
	if flags&changesRemoving != 0 {
		removing := d.ids()
		r.Removing = &removing
	}
	if flags&changesDirectories != 0 {
		r.Directories = d.uuids()
	}
	if flags&changesRecovery != 0 {
		recovery := LeaderRecoveryState(d.below(2))
		r.Recovery = &recovery
	}
	return r
}

func (d *decoder) quota() Record {
	r := &QuotaRecord{}
	for _, part := range []*QuotaName{&r.Entity.User, &r.Entity.ClientID, &r.Entity.IP} {
		if part.Set = d.bool(); part.Set {
			part.Name = d.string()
		}
	}
	r.Key = d.string()
	if r.Remove = d.bool(); !r.Remove {
		if len(d.src) < 8 {
			d.fail()
			return r
		}
		r.Value = math.Float64frombits(binary.BigEndian.Uint64(d.src))
		d.src = d.src[8:]
	}
	return r
}

func (d *decoder) token() Record {
	r := &DelegationTokenRecord{DelegationToken{ID: d.string(), Owner: d.string(), Requester: d.string()}}
	for range d.count(1) {
		r.Renewers = append(r.Renewers, d.string())
	}
	r.IssueTimestampMs, r.ExpiryTimestampMs, r.MaxTimestampMs = d.int64(), d.int64(), d.int64()
	return r
}
