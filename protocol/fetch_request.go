package protocol

import (
	"fmt"
	"math"
	"unsafe"
)

// FetchRequest, key 1, v0-v18 (KIP-74, KIP-227, KIP-320, KIP-392, KIP-516, KIP-903). Names
// and ids are views into the body it was decoded from and live as long as that. What a
// version does not carry has Apache's default.
//
// A FetchRequest may be decoded into again and again, one body after the other; it keeps
// its slices and after a while allocates nothing.
type FetchRequest struct {
	Version        int16
	ClusterID      []byte // v12+, tagged; nil if null or absent
	ReplicaID      int32  // -1 for a consumer; from v15 on out of the tagged replica state
	ReplicaEpoch   int64  // v15+, -1 if unknown
	MaxWaitMs      int32
	MinBytes       int32
	MaxBytes       int32 // v3+, 2147483647 below
	IsolationLevel int8  // v4+; 0 read uncommitted, 1 read committed
	SessionID      int32 // v7+
	SessionEpoch   int32 // v7+, -1 below: no session
	Topics         []FetchTopic
	Forgotten      []ForgottenTopic // v7+
	RackID         []byte           // v11+

	partitions []FetchPartition // of all topics, in order
	forgotten  []int32          // partitions of all forgotten topics, in order
}

// FetchTopic is one topic of a FetchRequest. From v13 on it has an id and no name.
type FetchTopic struct {
	Name       []byte
	ID         UUID
	Partitions []FetchPartition

	count int
}

// FetchPartition says from where to read one partition.
type FetchPartition struct {
	Partition          int32
	CurrentLeaderEpoch int32 // v9+, -1 unchecked
	FetchOffset        int64
	LastFetchedEpoch   int32 // v12+, -1 if there is none
	PartitionMaxBytes  int32
	LogStartOffset     int64 // v5+, of a follower; -1
	HighWatermark      int64 // v18+, tagged, of a follower; 9223372036854775807 if it does not say
	ReplicaDirectoryID UUID  // v17+, tagged, of a follower
}

// ForgottenTopic lists partitions to remove from a fetch session.
type ForgottenTopic struct {
	Name       []byte
	ID         UUID
	Partitions []int32

	count int
}

// Decode reads a request body into r, under the rules of ProduceRequest.Decode.
func (r *FetchRequest) Decode(version int16, body []byte, memoryMax int) error {
	r.reset(version)
	if version < 0 || version > 18 {
		return fmt.Errorf("decode Fetch v%d request: %w", version, ErrUnsupportedVersion)
	}
	b := NewReader(body)
	flexible := version >= 12
	budget := newDecodeBudget(memoryMax)
	if version <= 14 {
		r.ReplicaID = b.Int32()
	}
	r.MaxWaitMs = b.Int32()
	r.MinBytes = b.Int32()
	if version >= 3 {
		r.MaxBytes = b.Int32()
	}
	if version >= 4 {
		r.IsolationLevel = b.Int8()
	}
	if version >= 7 {
		r.SessionID = b.Int32()
		r.SessionEpoch = b.Int32()
	}
	r.decodeTopics(&b, &budget)
	if version >= 7 {
		r.decodeForgotten(&b, &budget)
	}
	if version >= 11 {
		r.RackID = b.String(flexible)
	}
	if flexible {
		r.decodeTags(&b)
	}
	if err := budget.err(&b); err != nil {
		at := b.at
		r.reset(version)
		return fmt.Errorf("decode Fetch v%d request at byte %d: %w", version, at, err)
	}
	partitions := r.partitions
	for i := range r.Topics {
		t := &r.Topics[i]
		t.Partitions, partitions = partitions[:t.count:t.count], partitions[t.count:]
	}
	forgotten := r.forgotten
	for i := range r.Forgotten {
		t := &r.Forgotten[i]
		t.Partitions, forgotten = forgotten[:t.count:t.count], forgotten[t.count:]
	}
	return nil
}

func (r *FetchRequest) decodeTopics(b *Reader, budget *decodeBudget) {
	flexible := r.Version >= 12
	for range b.ArrayLength(flexible, 1) {
		if b.err != nil || !budget.take(int(unsafe.Sizeof(FetchTopic{}))) {
			return
		}
		var t FetchTopic
		if r.Version >= 13 {
			t.ID = b.UUID()
		} else {
			t.Name = b.String(flexible)
		}
		t.count = b.ArrayLength(flexible, 1)
		for range t.count {
			if b.err != nil || !budget.take(int(unsafe.Sizeof(FetchPartition{}))) {
				return
			}
			r.partitions = append(r.partitions, FetchPartition{})
			r.decodePartition(b, &r.partitions[len(r.partitions)-1])
		}
		if flexible {
			b.SkipTags()
		}
		r.Topics = append(r.Topics, t)
	}
}

func (r *FetchRequest) decodePartition(b *Reader, p *FetchPartition) {
	*p = FetchPartition{CurrentLeaderEpoch: -1, LastFetchedEpoch: -1, LogStartOffset: -1, HighWatermark: math.MaxInt64}
	p.Partition = b.Int32()
	if r.Version >= 9 {
		p.CurrentLeaderEpoch = b.Int32()
	}
	p.FetchOffset = b.Int64()
	if r.Version >= 12 {
		p.LastFetchedEpoch = b.Int32()
	}
	if r.Version >= 5 {
		p.LogStartOffset = b.Int64()
	}
	p.PartitionMaxBytes = b.Int32()
	if r.Version < 12 {
		return
	}
	for n := b.TagCount(); n > 0 && b.err == nil; n-- {
		tag, value := b.Tag()
		switch {
		case tag == 0 && r.Version >= 17:
			p.ReplicaDirectoryID = value.UUID()
		case tag == 1 && r.Version >= 18:
			p.HighWatermark = value.Int64()
		case tag <= 1: // newer than the version, which Apache refuses
			b.fail(ErrMalformed)
		default:
			continue
		}
		b.closeTag(&value)
	}
}

func (r *FetchRequest) decodeForgotten(b *Reader, budget *decodeBudget) {
	flexible := r.Version >= 12
	for range b.ArrayLength(flexible, 1) {
		if b.err != nil || !budget.take(int(unsafe.Sizeof(ForgottenTopic{}))) {
			return
		}
		var t ForgottenTopic
		if r.Version >= 13 {
			t.ID = b.UUID()
		} else {
			t.Name = b.String(flexible)
		}
		t.count = b.ArrayLength(flexible, 4)
		if !budget.take(4 * t.count) {
			return
		}
		for range t.count {
			r.forgotten = append(r.forgotten, b.Int32())
		}
		if flexible {
			b.SkipTags()
		}
		r.Forgotten = append(r.Forgotten, t)
	}
}

func (r *FetchRequest) decodeTags(b *Reader) {
	for n := b.TagCount(); n > 0 && b.err == nil; n-- {
		tag, value := b.Tag()
		switch {
		case tag == 0:
			r.ClusterID = value.NullableString(true)
		case tag == 1 && r.Version >= 15:
			r.ReplicaID = value.Int32()
			r.ReplicaEpoch = value.Int64()
			value.SkipTags()
		case tag == 1: // newer than the version, which Apache refuses
			b.fail(ErrMalformed)
		default:
			continue
		}
		b.closeTag(&value)
	}
}

// Reset lets go of the body; call it before the body's buffer goes back to its pool.
func (r *FetchRequest) Reset() { r.reset(0) }

func (r *FetchRequest) reset(version int16) {
	topics, partitions := r.Topics, r.partitions
	forgottenTopics, forgotten := r.Forgotten, r.forgotten
	clear(topics)
	clear(forgottenTopics)
	if cap(topics) > keepElements {
		topics = nil
	}
	if cap(partitions) > keepElements {
		partitions = nil
	}
	if cap(forgottenTopics) > keepElements {
		forgottenTopics = nil
	}
	if cap(forgotten) > keepElements {
		forgotten = nil
	}
	*r = FetchRequest{
		Version: version, ReplicaID: -1, ReplicaEpoch: -1, MaxBytes: math.MaxInt32, SessionEpoch: -1,
		Topics: topics[:0], partitions: partitions[:0],
		Forgotten: forgottenTopics[:0], forgotten: forgotten[:0],
	}
}
