package protocol

import (
	"encoding/binary"
	"fmt"
	"math"
)

// FetchResponse, key 1, v0-v18, without the records: those stay where they are, in file
// regions, and the response knows only how many bytes they are. Fill it with AddTopic and
// AddPartition; after Reset its slices serve again.
//
// AppendFrame lays out the whole answer as bytes with gaps:
//
//	frame size, header, ... records length | records of the first partition | ...
//
// and says where each gap is, so that the session can write bytes and regions in turn.
type FetchResponse struct {
	ThrottleMs    int32          // v1+
	ErrorCode     ErrorCode      // v7+
	SessionID     int32          // v7+
	NodeEndpoints []NodeEndpoint // v16+, tagged

	Topics     []FetchResponseTopic
	Partitions []FetchResponsePartition // of all topics, in order
}

// FetchResponseTopic is one topic of a FetchResponse, answered for the next
// PartitionCount elements of its Partitions.
type FetchResponseTopic struct {
	Name           string // v0-v12
	ID             UUID   // v13+
	PartitionCount int
}

// FetchResponsePartition is what there is to read in one partition.
type FetchResponsePartition struct {
	Partition            int32
	ErrorCode            ErrorCode
	HighWatermark        int64                // -1 on error
	LastStableOffset     int64                // v4+, -1 on error
	LogStartOffset       int64                // v5+, -1 on error
	AbortedTransactions  []AbortedTransaction // v4+; nil is null, as read uncommitted gets it
	PreferredReadReplica int32                // v11+, -1 for none
	RecordsSize          int                  // bytes that follow in place of the records; -1 is null
	DivergingEpoch       *EpochEndOffset      // v12+, tagged, not sent if nil
	CurrentLeader        *LeaderIDAndEpoch    // v12+, tagged, not sent if nil
	SnapshotID           *SnapshotID          // v12+, tagged, not sent if nil
}

// AbortedTransaction is a producer whose records from an offset on, up to its next abort
// marker, a read committed consumer must drop.
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64
}

// EpochEndOffset is the largest epoch known below the one asked for, and its end.
type EpochEndOffset struct {
	Epoch     int32
	EndOffset int64
}

// SnapshotID names a snapshot of the metadata log.
type SnapshotID struct {
	EndOffset int64
	Epoch     int32
}

// RecordsGap is a place in an encoded FetchResponse where records belong.
type RecordsGap struct {
	Partition int // index in FetchResponse.Partitions
	Pos       int // the records come before the byte of dst at this place
	Size      int // never 0
}

// Reset empties r and keeps its slices.
func (r *FetchResponse) Reset() {
	clear(r.Topics)
	clear(r.Partitions)
	*r = FetchResponse{NodeEndpoints: r.NodeEndpoints[:0], Topics: r.Topics[:0], Partitions: r.Partitions[:0]}
}

// AddTopic begins the next topic.
func (r *FetchResponse) AddTopic(name string, id UUID) {
	r.Topics = append(r.Topics, FetchResponseTopic{Name: name, ID: id})
}

// AddPartition adds a partition to the topic added last and returns it for the caller to
// fill, all offsets and the preferred replica being -1, the records empty. The pointer
// holds until the next AddPartition.
func (r *FetchResponse) AddPartition(partition int32) *FetchResponsePartition {
	r.Topics[len(r.Topics)-1].PartitionCount++
	r.Partitions = append(r.Partitions, FetchResponsePartition{
		Partition: partition, HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1, PreferredReadReplica: -1,
	})
	return &r.Partitions[len(r.Partitions)-1]
}

// Size returns the size of the body and, in it, of the records.
func (r *FetchResponse) Size(version int16) (size, recordsSize int) {
	flexible := version >= 12
	size = lengthSize(flexible, len(r.Topics))
	if version >= 1 {
		size += 4
	}
	if version >= 7 {
		size += 2 + 4
	}
	rest := r.Partitions
	for i := range r.Topics {
		t := &r.Topics[i]
		if version >= 13 {
			size += 16
		} else {
			size += stringSize(flexible, len(t.Name))
		}
		size += lengthSize(flexible, t.PartitionCount)
		for i := range rest[:t.PartitionCount] {
			p := &rest[i]
			size += p.size(version)
			recordsSize += max(p.RecordsSize, 0)
		}
		rest = rest[t.PartitionCount:]
		if flexible {
			size++
		}
	}
	if flexible {
		size += nodeEndpointsTagSize(r.NodeEndpoints, version >= 16)
	}
	return size + recordsSize, recordsSize
}

// size is what the partition takes, its records apart.
func (p *FetchResponsePartition) size(version int16) int {
	flexible := version >= 12
	n := 4 + 2 + 8 + lengthSize(flexible, p.RecordsSize)
	if version >= 4 {
		n += 8
		if p.AbortedTransactions == nil {
			n += lengthSize(flexible, -1)
		} else {
			each := 16
			if flexible {
				each++
			}
			n += lengthSize(flexible, len(p.AbortedTransactions)) + each*len(p.AbortedTransactions)
		}
	}
	if version >= 5 {
		n += 8
	}
	if version >= 11 {
		n += 4
	}
	if flexible {
		n++
		if p.DivergingEpoch != nil {
			n += epochTagSize
		}
		if p.CurrentLeader != nil {
			n += currentLeaderTagSize
		}
		if p.SnapshotID != nil {
			n += epochTagSize
		}
	}
	return n
}

// AppendFrame appends frame size, response header and body, without the records, to dst.
// The frame size counts the records. It appends to gaps where they belong, in ascending
// order; positions count from the beginning of dst.
//
// Records of more than 2 GiB in all cannot be framed, which is an error.
func (r *FetchResponse) AppendFrame(dst []byte, gaps []RecordsGap, version int16, correlationID int32) ([]byte, []RecordsGap, error) {
	size, _ := r.Size(version)
	size += responseHeaderSize(KeyFetch, version)
	if size > math.MaxInt32 {
		return dst, gaps, fmt.Errorf("encode Fetch v%d response: %d bytes do not fit into a frame", version, size)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(size))
	dst = AppendResponseHeader(dst, KeyFetch, version, correlationID)
	dst, gaps = r.AppendTo(dst, gaps, version)
	return dst, gaps, nil
}

// AppendTo is AppendFrame for the body alone.
func (r *FetchResponse) AppendTo(dst []byte, gaps []RecordsGap, version int16) ([]byte, []RecordsGap) {
	be := binary.BigEndian
	flexible := version >= 12
	if version >= 1 {
		dst = be.AppendUint32(dst, uint32(r.ThrottleMs))
	}
	if version >= 7 {
		dst = be.AppendUint16(dst, uint16(r.ErrorCode))
		dst = be.AppendUint32(dst, uint32(r.SessionID))
	}
	dst = AppendArrayLength(dst, flexible, len(r.Topics))
	next := 0
	for i := range r.Topics {
		t := &r.Topics[i]
		if version >= 13 {
			dst = append(dst, t.ID[:]...)
		} else {
			dst = AppendString(dst, flexible, t.Name)
		}
		dst = AppendArrayLength(dst, flexible, t.PartitionCount)
		for range t.PartitionCount {
			p := &r.Partitions[next]
			dst = p.appendBefore(dst, version)
			if p.RecordsSize > 0 {
				gaps = append(gaps, RecordsGap{Partition: next, Pos: len(dst), Size: p.RecordsSize})
			}
			dst = p.appendAfter(dst, version)
			next++
		}
		if flexible {
			dst = append(dst, 0)
		}
	}
	if flexible {
		dst = appendNodeEndpointsTag(dst, r.NodeEndpoints, version >= 16)
	}
	return dst, gaps
}

// appendBefore appends what stands before the records, their length included.
func (p *FetchResponsePartition) appendBefore(dst []byte, version int16) []byte {
	be := binary.BigEndian
	flexible := version >= 12
	dst = be.AppendUint32(dst, uint32(p.Partition))
	dst = be.AppendUint16(dst, uint16(p.ErrorCode))
	dst = be.AppendUint64(dst, uint64(p.HighWatermark))
	if version >= 4 {
		dst = be.AppendUint64(dst, uint64(p.LastStableOffset))
	}
	if version >= 5 {
		dst = be.AppendUint64(dst, uint64(p.LogStartOffset))
	}
	if version >= 4 {
		if p.AbortedTransactions == nil {
			dst = AppendArrayLength(dst, flexible, -1)
		} else {
			dst = AppendArrayLength(dst, flexible, len(p.AbortedTransactions))
		}
		for _, a := range p.AbortedTransactions {
			dst = be.AppendUint64(dst, uint64(a.ProducerID))
			dst = be.AppendUint64(dst, uint64(a.FirstOffset))
			if flexible {
				dst = append(dst, 0)
			}
		}
	}
	if version >= 11 {
		dst = be.AppendUint32(dst, uint32(p.PreferredReadReplica))
	}
	return AppendBytesLength(dst, flexible, p.RecordsSize)
}

const epochTagSize = 2 + 4 + 8 + 1

// appendAfter appends what stands behind the records: the tag section.
func (p *FetchResponsePartition) appendAfter(dst []byte, version int16) []byte {
	be := binary.BigEndian
	if version < 12 {
		return dst
	}
	count := len(dst)
	dst = append(dst, 0)
	if e := p.DivergingEpoch; e != nil {
		dst[count]++
		dst = append(dst, 0, epochTagSize-2)
		dst = be.AppendUint32(dst, uint32(e.Epoch))
		dst = be.AppendUint64(dst, uint64(e.EndOffset))
		dst = append(dst, 0)
	}
	if p.CurrentLeader != nil {
		dst[count]++
		dst = p.CurrentLeader.appendTag(dst, 1)
	}
	if s := p.SnapshotID; s != nil {
		dst[count]++
		dst = append(dst, 2, epochTagSize-2)
		dst = be.AppendUint64(dst, uint64(s.EndOffset))
		dst = be.AppendUint32(dst, uint32(s.Epoch))
		dst = append(dst, 0)
	}
	return dst
}
