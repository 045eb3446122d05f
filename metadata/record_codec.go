package metadata

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/barnabas-broker/barnabas/protocol"
)

// A record is encoded as
//
//	type     uvarint
//	version  uvarint, 0 so far
//	size     uvarint, bytes that follow
//	payload
//
// with numbers as (zigzag) varints, strings and byte fields behind their length, ids as
// their 16 bytes. One record has one encoding.

// ErrCorruptRecord says that bytes are not the encoding of a record.
var ErrCorruptRecord = errors.New("corrupt metadata record")

// ErrRecordVersion says that a record comes from a newer version of this program.
var ErrRecordVersion = errors.New("metadata record of an unknown type or version")

// AppendRecord appends the encoding of r to dst.
func AppendRecord(dst []byte, r Record) []byte {
	dst = append(dst, byte(r.recordType()), 0)
	// The size comes first and is not known: leave room for the usual two bytes.
	start := len(dst)
	dst = append(dst, 0, 0)
	dst = r.appendPayload(dst)
	size := len(dst) - start - 2
	var prefix [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(prefix[:], uint64(size))
	switch {
	case n == 1:
		copy(dst[start+1:], dst[start+2:])
		dst = dst[:len(dst)-1]
	case n > 2:
		dst = append(dst, prefix[:n-2]...)
		copy(dst[start+n:], dst[start+2:start+2+size])
	}
	copy(dst[start:], prefix[:n])
	return dst
}

// AppendRecords appends the encodings of records, behind their number.
func AppendRecords(dst []byte, records []Record) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(records)))
	for _, r := range records {
		dst = AppendRecord(dst, r)
	}
	return dst
}

// ParseRecord decodes the record at the start of src and returns what follows it. It never
// allocates more than a small multiple of the bytes there are, and keeps none of them.
func ParseRecord(src []byte) (r Record, rest []byte, err error) {
	in := decoder{src: src}
	kind, version, size := in.uvarint(), in.uvarint(), in.uvarint()
	if in.failed || size > uint64(len(in.src)) {
		return nil, nil, ErrCorruptRecord
	}
	if kind > uint64(typeFeature) || version != 0 {
		return nil, nil, fmt.Errorf("%w: type %d, version %d", ErrRecordVersion, kind, version)
	}
	rest = in.src[size:]
	in.src = in.src[:size]
	r = in.record(RecordType(kind))
	if in.failed || len(in.src) != 0 {
		return nil, nil, fmt.Errorf("%w of type %d", ErrCorruptRecord, kind)
	}
	return r, rest, nil
}

// ParseRecords decodes what AppendRecords wrote and nothing more.
func ParseRecords(src []byte) ([]Record, error) {
	in := decoder{src: src}
	count := in.count(3)
	if in.failed {
		return nil, ErrCorruptRecord
	}
	records := make([]Record, 0, count)
	rest := in.src
	for range count {
		var r Record
		var err error
		if r, rest, err = ParseRecord(rest); err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%w: %d bytes left over", ErrCorruptRecord, len(rest))
	}
	return records, nil
}

func appendInt(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendIDs(dst []byte, ids []int32) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	for _, id := range ids {
		dst = appendInt(dst, int64(id))
	}
	return dst
}

func appendUUIDs(dst []byte, ids []protocol.UUID) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	for i := range ids {
		dst = append(dst, ids[i][:]...)
	}
	return dst
}

func (*NoOpRecord) appendPayload(dst []byte) []byte        { return dst }
func (r *ClusterIDRecord) appendPayload(dst []byte) []byte { return appendString(dst, r.ClusterID) }

func (r *ControllerRecord) appendPayload(dst []byte) []byte {
	return appendInt(appendInt(dst, int64(r.ID)), int64(r.Epoch))
}

func (r *BrokerRecord) appendPayload(dst []byte) []byte {
	dst = appendInt(dst, int64(r.ID))
	dst = appendInt(dst, r.Epoch)
	dst = append(dst, r.Incarnation[:]...)
	dst = binary.AppendUvarint(dst, uint64(len(r.Endpoints)))
	for _, e := range r.Endpoints {
		dst = appendString(dst, e.Name)
		dst = appendString(dst, e.Host)
		dst = appendInt(dst, int64(e.Port))
		dst = appendInt(dst, int64(e.SecurityProtocol))
	}
	dst = appendString(dst, r.Rack)
	dst = binary.AppendUvarint(dst, uint64(len(r.Features)))
	for _, f := range r.Features {
		dst = appendString(dst, f.Name)
		dst = appendInt(dst, int64(f.Min))
		dst = appendInt(dst, int64(f.Max))
	}
	dst = appendUUIDs(dst, r.LogDirs)
	dst = appendBool(dst, r.Fenced)
	return appendBool(dst, r.InControlledShutdown)
}

func (r *BrokerChangeRecord) appendPayload(dst []byte) []byte {
	dst = appendInt(dst, int64(r.ID))
	dst = appendInt(dst, r.Epoch)
	dst = appendOptionalBool(dst, r.Fenced)
	dst = appendOptionalBool(dst, r.InControlledShutdown)
	dst = appendBool(dst, r.LogDirs != nil)
	if r.LogDirs != nil {
		dst = appendUUIDs(dst, *r.LogDirs)
	}
	return dst
}

// appendOptionalBool writes 0 for nil, 1 for false, 2 for true.
func appendOptionalBool(dst []byte, b *bool) []byte {
	switch {
	case b == nil:
		return append(dst, 0)
	case !*b:
		return append(dst, 1)
	}
	return append(dst, 2)
}

func (r *RemoveBrokerRecord) appendPayload(dst []byte) []byte {
	return appendInt(appendInt(dst, int64(r.ID)), r.Epoch)
}

func (r *TopicRecord) appendPayload(dst []byte) []byte {
	return append(appendString(dst, r.Name), r.ID[:]...)
}

func (r *RemoveTopicRecord) appendPayload(dst []byte) []byte { return append(dst, r.ID[:]...) }

// Flags of a partition in a PartitionsRecord: which fields follow.
const (
	partitionISRIsReplicas  = 1 << 0 // the ISR is the replicas, in their order
	partitionLeaderIsFirst  = 1 << 1 // the leader is the first replica
	partitionIsNew          = 1 << 2 // both epochs are 0 and the leader has recovered
	partitionIsReassigning  = 1 << 3 // adding and removing follow
	partitionHasDirectories = 1 << 4
	partitionSameAsPrevious = 1 << 5 // replicas and directories are those of the partition before
	partitionFlags          = 1<<6 - 1
)

func (r *PartitionsRecord) appendPayload(dst []byte) []byte {
	dst = append(dst, r.TopicID[:]...)
	dst = appendInt(dst, int64(r.First))
	dst = binary.AppendUvarint(dst, uint64(len(r.Partitions)))
	var previous *Partition
	for _, p := range r.Partitions {
		dst = p.append(dst, previous)
		previous = p
	}
	return dst
}

func (p *Partition) append(dst []byte, previous *Partition) []byte {
	var flags byte
	if equalIDs(p.ISR, p.Replicas) {
		flags |= partitionISRIsReplicas
	}
	if len(p.Replicas) > 0 && p.Leader == p.Replicas[0] {
		flags |= partitionLeaderIsFirst
	}
	if p.LeaderEpoch == 0 && p.PartitionEpoch == 0 && p.Recovery == LeaderRecovered {
		flags |= partitionIsNew
	}
	if p.IsReassigning() {
		flags |= partitionIsReassigning
	}
	same := previous != nil && equalIDs(p.Replicas, previous.Replicas) && equalUUIDs(p.Directories, previous.Directories)
	if same {
		flags |= partitionSameAsPrevious
	} else if len(p.Directories) > 0 {
		flags |= partitionHasDirectories
	}
	dst = append(dst, flags)
	if !same {
		dst = appendIDs(dst, p.Replicas)
		if flags&partitionHasDirectories != 0 {
			dst = appendUUIDs(dst, p.Directories)
		}
	}
	if flags&partitionISRIsReplicas == 0 {
		dst = appendIDs(dst, p.ISR)
	}
	if flags&partitionLeaderIsFirst == 0 {
		dst = appendInt(dst, int64(p.Leader))
	}
	if flags&partitionIsNew == 0 {
		dst = appendInt(dst, int64(p.LeaderEpoch))
		dst = appendInt(dst, int64(p.PartitionEpoch))
		dst = append(dst, byte(p.Recovery))
	}
	if flags&partitionIsReassigning != 0 {
		dst = appendIDs(dst, p.Adding)
		dst = appendIDs(dst, p.Removing)
	}
	return dst
}

// Flags of a PartitionChangeRecord: which fields follow.
const (
	changesLeader      = 1 << 0
	changesISR         = 1 << 1
	changesReplicas    = 1 << 2
	changesAdding      = 1 << 3
	changesRemoving    = 1 << 4
	changesDirectories = 1 << 5
	changesRecovery    = 1 << 6
	changeFlags        = 1<<7 - 1
)

func (r *PartitionChangeRecord) appendPayload(dst []byte) []byte {
	dst = append(dst, r.TopicID[:]...)
	dst = appendInt(dst, int64(r.Partition))
	at := len(dst)
	dst = append(dst, 0)
	if r.Leader != nil {
		dst[at] |= changesLeader
		dst = appendInt(dst, int64(*r.Leader))
	}
	if r.ISR != nil {
		dst[at] |= changesISR
		dst = appendIDs(dst, r.ISR)
	}
	if r.Replicas != nil {
		dst[at] |= changesReplicas
		dst = appendIDs(dst, r.Replicas)
	}
	if r.Adding != nil {
		dst[at] |= changesAdding
		dst = appendIDs(dst, *r.Adding)
	}
	if r.Removing != nil {
		dst[at] |= changesRemoving
		dst = appendIDs(dst, *r.Removing)
	}
	if r.Directories != nil {
		dst[at] |= changesDirectories
		dst = appendUUIDs(dst, r.Directories)
	}
	if r.Recovery != nil {
		dst[at] |= changesRecovery
		dst = append(dst, byte(*r.Recovery))
	}
	return dst
}

func (r *ConfigRecord) appendPayload(dst []byte) []byte {
	dst = append(dst, byte(r.Resource.Type))
	dst = appendString(dst, r.Resource.Name)
	dst = appendString(dst, r.Name)
	dst = appendBool(dst, r.Value != nil)
	if r.Value != nil {
		dst = appendString(dst, *r.Value)
	}
	return dst
}

func (r *QuotaRecord) appendPayload(dst []byte) []byte {
	for _, part := range []QuotaName{r.Entity.User, r.Entity.ClientID, r.Entity.IP} {
		dst = appendBool(dst, part.Set)
		if part.Set {
			dst = appendString(dst, part.Name)
		}
	}
	dst = appendString(dst, r.Key)
	dst = appendBool(dst, r.Remove)
	if !r.Remove {
		dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(r.Value))
	}
	return dst
}

func (r *ScramCredentialRecord) appendPayload(dst []byte) []byte {
	dst = appendString(dst, r.User)
	dst = append(dst, byte(r.Mechanism))
	dst = appendBytes(dst, r.Salt)
	dst = appendBytes(dst, r.StoredKey)
	dst = appendBytes(dst, r.ServerKey)
	return appendInt(dst, int64(r.Iterations))
}

func (r *RemoveScramCredentialRecord) appendPayload(dst []byte) []byte {
	return append(appendString(dst, r.User), byte(r.Mechanism))
}

func (r *DelegationTokenRecord) appendPayload(dst []byte) []byte {
	dst = appendString(dst, r.ID)
	dst = appendString(dst, r.Owner)
	dst = appendString(dst, r.Requester)
	dst = binary.AppendUvarint(dst, uint64(len(r.Renewers)))
	for _, renewer := range r.Renewers {
		dst = appendString(dst, renewer)
	}
	dst = appendInt(dst, r.IssueTimestampMs)
	dst = appendInt(dst, r.ExpiryTimestampMs)
	return appendInt(dst, r.MaxTimestampMs)
}

func (r *RemoveDelegationTokenRecord) appendPayload(dst []byte) []byte {
	return appendString(dst, r.ID)
}

func (r *ACLRecord) appendPayload(dst []byte) []byte {
	dst = append(dst, r.ID[:]...)
	dst = append(dst, byte(r.ResourceType), byte(r.PatternType), byte(r.Operation), byte(r.Permission))
	dst = appendString(dst, r.ResourceName)
	dst = appendString(dst, r.Principal)
	return appendString(dst, r.Host)
}

func (r *RemoveACLRecord) appendPayload(dst []byte) []byte { return append(dst, r.ID[:]...) }

func (r *ProducerIDsRecord) appendPayload(dst []byte) []byte {
	return appendInt(appendInt(appendInt(dst, int64(r.Broker)), r.Epoch), r.Next)
}

func (r *FeatureRecord) appendPayload(dst []byte) []byte {
	return appendInt(appendString(dst, r.Name), int64(r.Level))
}
