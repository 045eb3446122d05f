package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/barnabas-broker/barnabas/protocol"
)

// Versions of record keys in __consumer_offsets. The version is the key's first two bytes
// and says what the record is. Those from 3 on belong to KIP-848 and later group types;
// what is not listed here is left alone.
const (
	keyOffsetCommit0 int16 = 0 // offset of (group, topic, partition); as written before 0.9
	keyOffsetCommit  int16 = 1 // the same
	keyGroupMetadata int16 = 2 // state of a classic group

	// keyZooKeeperOffset is ours: an offset committed with OffsetCommit v0, which Apache
	// kept in ZooKeeper, apart from all others. Key and value look like those of an offset
	// commit. Apache's coordinators skip key versions that they do not know, with a warning,
	// and compaction keeps them, so the records survive a stay under Apache.
	keyZooKeeperOffset int16 = 0x4230
)

// Versions of record values that are written: the highest that every Apache back to 2.1
// reads, as Apache itself does. Version 4 of both is flexible, and only read.
const (
	offsetValueWithExpiry int16 = 1 // the one version with an expiry time
	offsetValue           int16 = 3
	groupValue            int16 = 3
	newestValue           int16 = 4
)

// maxStringBytes is the longest string Kafka's formats hold.
const maxStringBytes = math.MaxInt16

var errUnknownValueVersion = errors.New("unknown version of a record value")

// partitionKey is a partition by name, the key of committed offsets in a group.
type partitionKey struct {
	topic     string
	partition int32
}

// offsetAndMetadata is one committed offset.
type offsetAndMetadata struct {
	offset            int64
	commitTimestampMs int64
	expireTimestampMs int64 // -1: by the broker's retention
	leaderEpoch       int32 // -1: unknown
	metadata          string
}

// groupRecord is the content of a GroupMetadataValue.
type groupRecord struct {
	protocolType     string
	generation       int32
	protocol         string
	hasProtocol      bool // else null
	leader           string
	hasLeader        bool // else null
	stateTimestampMs int64
	members          []memberRecord
}

type memberRecord struct {
	memberID           string
	instanceID         string
	isStatic           bool // else the instance id is null
	clientID           string
	clientHost         string
	rebalanceTimeoutMs int32
	sessionTimeoutMs   int32
	subscription       []byte
	assignment         []byte
}

func appendOffsetKey(dst []byte, version int16, groupID string, p partitionKey) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(version))
	dst = protocol.AppendString(dst, false, groupID)
	dst = protocol.AppendString(dst, false, p.topic)
	return binary.BigEndian.AppendUint32(dst, uint32(p.partition))
}

func appendGroupKey(dst []byte, groupID string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(keyGroupMetadata))
	return protocol.AppendString(dst, false, groupID)
}

// recordKey is a parsed key; its strings are views into the record.
type recordKey struct {
	version   int16
	group     []byte
	topic     []byte
	partition int32
}

// parseKey reads a record key. Keys of unknown versions come back with nothing but the
// version.
func parseKey(b []byte) (recordKey, error) {
	r := protocol.NewReader(b)
	k := recordKey{version: r.Int16()}
	switch k.version {
	case keyOffsetCommit0, keyOffsetCommit, keyZooKeeperOffset:
		k.group = r.String(false)
		k.topic = r.String(false)
		k.partition = r.Int32()
	case keyGroupMetadata:
		k.group = r.String(false)
	}
	return k, r.Err()
}

func appendOffsetValue(dst []byte, o *offsetAndMetadata) []byte {
	be := binary.BigEndian
	version := offsetValue
	if o.expireTimestampMs >= 0 {
		version = offsetValueWithExpiry
	}
	dst = be.AppendUint16(dst, uint16(version))
	dst = be.AppendUint64(dst, uint64(o.offset))
	if version == offsetValue {
		dst = be.AppendUint32(dst, uint32(o.leaderEpoch))
	}
	dst = protocol.AppendString(dst, false, o.metadata)
	dst = be.AppendUint64(dst, uint64(o.commitTimestampMs))
	if version == offsetValueWithExpiry {
		dst = be.AppendUint64(dst, uint64(o.expireTimestampMs))
	}
	return dst
}

// parseOffsetValue reads an OffsetCommitValue v0-v4. Tagged fields of v4 (a topic id) are
// skipped.
func parseOffsetValue(b []byte) (offsetAndMetadata, error) {
	r := protocol.NewReader(b)
	version := r.Int16()
	if version < 0 || version > newestValue {
		return offsetAndMetadata{}, fmt.Errorf("%w: offset commit %d", errUnknownValueVersion, version)
	}
	flexible := version >= 4
	o := offsetAndMetadata{leaderEpoch: -1, expireTimestampMs: -1}
	o.offset = r.Int64()
	if version >= 3 {
		o.leaderEpoch = r.Int32()
	}
	o.metadata = string(r.String(flexible))
	o.commitTimestampMs = r.Int64()
	if version == 1 {
		o.expireTimestampMs = r.Int64()
	}
	if flexible {
		r.SkipTags()
	}
	return o, r.Err()
}

func appendGroupValue(dst []byte, g *groupRecord) []byte {
	be := binary.BigEndian
	dst = be.AppendUint16(dst, uint16(groupValue))
	dst = protocol.AppendString(dst, false, g.protocolType)
	dst = be.AppendUint32(dst, uint32(g.generation))
	dst = appendNullable(dst, g.protocol, g.hasProtocol)
	dst = appendNullable(dst, g.leader, g.hasLeader)
	dst = be.AppendUint64(dst, uint64(g.stateTimestampMs))
	dst = protocol.AppendArrayLength(dst, false, len(g.members))
	for i := range g.members {
		m := &g.members[i]
		dst = protocol.AppendString(dst, false, m.memberID)
		dst = appendNullable(dst, m.instanceID, m.isStatic)
		dst = protocol.AppendString(dst, false, m.clientID)
		dst = protocol.AppendString(dst, false, m.clientHost)
		dst = be.AppendUint32(dst, uint32(m.rebalanceTimeoutMs))
		dst = be.AppendUint32(dst, uint32(m.sessionTimeoutMs))
		dst = appendBytes(dst, m.subscription)
		dst = appendBytes(dst, m.assignment)
	}
	return dst
}

func appendNullable(dst []byte, s string, present bool) []byte {
	if !present {
		return protocol.AppendNullString(dst, false)
	}
	return protocol.AppendString(dst, false, s)
}

// appendBytes writes nil as empty: the fields are not nullable.
func appendBytes(dst, b []byte) []byte {
	return append(protocol.AppendBytesLength(dst, false, len(b)), b...)
}

// memberMinBytes is the least a member takes in any version: five or more lengths and two
// integers, in the flexible form the shortest.
const memberMinBytes = 14

// parseGroupValue reads a GroupMetadataValue v0-v4.
func parseGroupValue(b []byte) (groupRecord, error) {
	r := protocol.NewReader(b)
	version := r.Int16()
	if version < 0 || version > newestValue {
		return groupRecord{}, fmt.Errorf("%w: group metadata %d", errUnknownValueVersion, version)
	}
	flexible := version >= 4
	g := groupRecord{stateTimestampMs: -1}
	g.protocolType = string(r.String(flexible))
	g.generation = r.Int32()
	g.protocol, g.hasProtocol = readNullable(&r, flexible)
	g.leader, g.hasLeader = readNullable(&r, flexible)
	if version >= 2 {
		g.stateTimestampMs = r.Int64()
	}
	n := r.ArrayLength(flexible, memberMinBytes)
	for i := 0; i < n && r.Err() == nil; i++ {
		var m memberRecord
		m.memberID = string(r.String(flexible))
		if version >= 3 {
			m.instanceID, m.isStatic = readNullable(&r, flexible)
		}
		m.clientID = string(r.String(flexible))
		m.clientHost = string(r.String(flexible))
		if version >= 1 {
			m.rebalanceTimeoutMs = r.Int32()
		}
		m.sessionTimeoutMs = r.Int32()
		if version == 0 {
			m.rebalanceTimeoutMs = m.sessionTimeoutMs
		}
		m.subscription = append([]byte(nil), r.Bytes(flexible)...)
		m.assignment = append([]byte(nil), r.Bytes(flexible)...)
		if flexible {
			r.SkipTags()
		}
		g.members = append(g.members, m)
	}
	if flexible {
		r.SkipTags()
	}
	return g, r.Err()
}

func readNullable(r *protocol.Reader, flexible bool) (s string, present bool) {
	b := r.NullableString(flexible)
	return string(b), b != nil
}
