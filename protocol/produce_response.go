package protocol

import "encoding/binary"

// LeaderIDAndEpoch tells a client which broker to ask instead (KIP-951).
type LeaderIDAndEpoch struct {
	LeaderID    int32 // -1 if unknown
	LeaderEpoch int32 // -1 if unknown
}

// NodeEndpoint is the address of a leader named in a LeaderIDAndEpoch.
type NodeEndpoint struct {
	NodeID int32
	Host   string
	Port   int32
	Rack   string // "" is sent as null
}

// ProduceResponse, key 0, v0-v13. Fill it with AddTopic and AddPartition, in the order of
// the request; after Reset its slices serve again.
type ProduceResponse struct {
	ThrottleMs    int32          // v1+
	NodeEndpoints []NodeEndpoint // v10+, tagged

	Topics     []ProduceResponseTopic
	Partitions []ProduceResponsePartition // of all topics, in order
}

// ProduceResponseTopic is one topic of a ProduceResponse, answered for the next
// PartitionCount elements of its Partitions.
type ProduceResponseTopic struct {
	Name           string // v0-v12
	ID             UUID   // v13+
	PartitionCount int
}

// ProduceResponsePartition is what became of one partition's records.
type ProduceResponsePartition struct {
	Index           int32
	ErrorCode       ErrorCode
	BaseOffset      int64             // -1 on error
	LogAppendTimeMs int64             // v2+, -1 unless the broker set the timestamps
	LogStartOffset  int64             // v5+, -1 on error
	RecordErrors    []RecordError     // v8+; a message "" is sent as null
	ErrorMessage    string            // v8+, "" is sent as null
	CurrentLeader   *LeaderIDAndEpoch // v10+, tagged, not sent if nil
}

// Reset empties r and keeps its slices.
func (r *ProduceResponse) Reset() {
	clear(r.Topics)
	clear(r.Partitions)
	*r = ProduceResponse{NodeEndpoints: r.NodeEndpoints[:0], Topics: r.Topics[:0], Partitions: r.Partitions[:0]}
}

// AddTopic begins the next topic.
func (r *ProduceResponse) AddTopic(name string, id UUID) {
	r.Topics = append(r.Topics, ProduceResponseTopic{Name: name, ID: id})
}

// AddPartition adds a partition to the topic added last and returns it for the caller to
// fill, all offsets and times being -1. The pointer holds until the next AddPartition.
func (r *ProduceResponse) AddPartition(index int32) *ProduceResponsePartition {
	r.Topics[len(r.Topics)-1].PartitionCount++
	r.Partitions = append(r.Partitions, ProduceResponsePartition{Index: index, BaseOffset: -1, LogAppendTimeMs: -1, LogStartOffset: -1})
	return &r.Partitions[len(r.Partitions)-1]
}

// AppendFrame appends the whole answer: frame size, response header, body.
func (r *ProduceResponse) AppendFrame(dst []byte, version int16, correlationID int32) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = AppendResponseHeader(dst, KeyProduce, version, correlationID)
	dst = r.AppendTo(dst, version)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// AppendTo appends the body.
func (r *ProduceResponse) AppendTo(dst []byte, version int16) []byte {
	be := binary.BigEndian
	flexible := version >= 9
	dst = AppendArrayLength(dst, flexible, len(r.Topics))
	rest := r.Partitions
	for i := range r.Topics {
		t := &r.Topics[i]
		if version >= 13 {
			dst = append(dst, t.ID[:]...)
		} else {
			dst = AppendString(dst, flexible, t.Name)
		}
		dst = AppendArrayLength(dst, flexible, t.PartitionCount)
		for i := range rest[:t.PartitionCount] {
			dst = rest[i].appendTo(dst, version)
		}
		rest = rest[t.PartitionCount:]
		if flexible {
			dst = append(dst, 0)
		}
	}
	if version >= 1 {
		dst = be.AppendUint32(dst, uint32(r.ThrottleMs))
	}
	if flexible {
		dst = appendNodeEndpointsTag(dst, r.NodeEndpoints, version >= 10)
	}
	return dst
}

func (p *ProduceResponsePartition) appendTo(dst []byte, version int16) []byte {
	be := binary.BigEndian
	flexible := version >= 9
	dst = be.AppendUint32(dst, uint32(p.Index))
	dst = be.AppendUint16(dst, uint16(p.ErrorCode))
	dst = be.AppendUint64(dst, uint64(p.BaseOffset))
	if version >= 2 {
		dst = be.AppendUint64(dst, uint64(p.LogAppendTimeMs))
	}
	if version >= 5 {
		dst = be.AppendUint64(dst, uint64(p.LogStartOffset))
	}
	if version >= 8 {
		dst = AppendArrayLength(dst, flexible, len(p.RecordErrors))
		for _, e := range p.RecordErrors {
			dst = be.AppendUint32(dst, uint32(e.BatchIndex))
			dst = AppendStringOrNull(dst, flexible, e.Message)
			if flexible {
				dst = append(dst, 0)
			}
		}
		dst = AppendStringOrNull(dst, flexible, p.ErrorMessage)
	}
	if !flexible {
		return dst
	}
	if version < 10 || p.CurrentLeader == nil {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	return p.CurrentLeader.appendTag(dst, 0)
}

const currentLeaderTagSize = 2 + 4 + 4 + 1

// appendTag appends the tagged field of that number: number, size, value.
func (l *LeaderIDAndEpoch) appendTag(dst []byte, tag byte) []byte {
	dst = append(dst, tag, currentLeaderTagSize-2)
	dst = binary.BigEndian.AppendUint32(dst, uint32(l.LeaderID))
	dst = binary.BigEndian.AppendUint32(dst, uint32(l.LeaderEpoch))
	return append(dst, 0)
}

// appendNodeEndpointsTag appends the tag section of a Produce or Fetch response: empty, or
// tag 0 with the endpoints.
func appendNodeEndpointsTag(dst []byte, endpoints []NodeEndpoint, allowed bool) []byte {
	if !allowed || len(endpoints) == 0 {
		return append(dst, 0)
	}
	dst = append(dst, 1, 0)
	dst = AppendUvarint(dst, uint32(nodeEndpointsSize(endpoints)))
	dst = AppendArrayLength(dst, true, len(endpoints))
	for i := range endpoints {
		e := &endpoints[i]
		dst = binary.BigEndian.AppendUint32(dst, uint32(e.NodeID))
		dst = AppendString(dst, true, e.Host)
		dst = binary.BigEndian.AppendUint32(dst, uint32(e.Port))
		dst = AppendStringOrNull(dst, true, e.Rack)
		dst = append(dst, 0)
	}
	return dst
}

func nodeEndpointsSize(endpoints []NodeEndpoint) int {
	n := lengthSize(true, len(endpoints))
	for i := range endpoints {
		e := &endpoints[i]
		n += 4 + stringSize(true, len(e.Host)) + 4 + stringOrNullSize(true, len(e.Rack)) + 1
	}
	return n
}

func nodeEndpointsTagSize(endpoints []NodeEndpoint, allowed bool) int {
	if !allowed || len(endpoints) == 0 {
		return 1
	}
	n := nodeEndpointsSize(endpoints)
	return 2 + UvarintSize(uint32(n)) + n
}
