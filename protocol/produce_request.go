package protocol

import (
	"errors"
	"fmt"
	"unsafe"
)

// ErrRequestMemory says that a request would decode into more memory than the caller
// admitted for it.
var ErrRequestMemory = errors.New("decoded request exceeds the admitted memory")

// ProduceRequest, key 0, v0-v13 (KIP-98, KIP-467, KIP-516). Names, ids and records are
// views into the body it was decoded from and live as long as that.
//
// A ProduceRequest may be decoded into again and again, one body after the other; it keeps
// its topic and partition slices and after a while allocates nothing.
type ProduceRequest struct {
	Version         int16
	TransactionalID []byte // nil if null or below v3
	Acks            int16
	TimeoutMs       int32
	Topics          []ProduceTopic

	partitions []ProducePartition // of all topics, in order
}

// ProduceTopic is one topic of a ProduceRequest. From v13 on it has an id and no name. To
// find a topic by name without garbage, index a map with string(t.Name).
type ProduceTopic struct {
	Name       []byte
	ID         UUID
	Partitions []ProducePartition

	count int
}

// ProducePartition is one partition's records.
type ProducePartition struct {
	Index   int32
	Records []byte // nil if null, which Apache lets pass its decoder too
}

// keepElements is the most that a request's slices keep from one decode to the next.
const keepElements = 1024

// Decode reads a request body into r. It refuses what schema.Check refuses, with an error
// that says where, and with ErrRequestMemory what needs more than memoryMax bytes of
// topics and partitions (0: no limit; slices that grow to hold them take up to twice as
// much). A limit is needed, since the smallest topic on the wire takes 3 bytes and 72
// here. Bytes behind the last field are ignored, as Apache does.
func (r *ProduceRequest) Decode(version int16, body []byte, memoryMax int) error {
	r.reset(version)
	b := NewReader(body)
	flexible := version >= 9
	if version < 0 || version > 13 {
		return fmt.Errorf("decode Produce v%d request: %w", version, ErrUnsupportedVersion)
	}
	budget := newDecodeBudget(memoryMax)
	if version >= 3 {
		r.TransactionalID = b.NullableString(flexible)
	}
	r.Acks = b.Int16()
	r.TimeoutMs = b.Int32()
	for range b.ArrayLength(flexible, 1) {
		if b.err != nil || !budget.take(int(unsafe.Sizeof(ProduceTopic{}))) {
			break
		}
		var t ProduceTopic
		if version >= 13 {
			t.ID = b.UUID()
		} else {
			t.Name = b.String(flexible)
		}
		t.count = b.ArrayLength(flexible, 1)
		for range t.count {
			if b.err != nil || !budget.take(int(unsafe.Sizeof(ProducePartition{}))) {
				break
			}
			p := ProducePartition{Index: b.Int32(), Records: b.NullableBytes(flexible)}
			if flexible {
				b.SkipTags()
			}
			r.partitions = append(r.partitions, p)
		}
		if flexible {
			b.SkipTags()
		}
		r.Topics = append(r.Topics, t)
	}
	if flexible {
		b.SkipTags()
	}
	if err := budget.err(&b); err != nil {
		at := b.at
		r.reset(version)
		return fmt.Errorf("decode Produce v%d request at byte %d: %w", version, at, err)
	}
	rest := r.partitions
	for i := range r.Topics {
		t := &r.Topics[i]
		t.Partitions, rest = rest[:t.count:t.count], rest[t.count:]
	}
	return nil
}

// Reset lets go of the body; call it before the body's buffer goes back to its pool. Of
// the slices it keeps no more than 1024 elements.
func (r *ProduceRequest) Reset() { r.reset(0) }

func (r *ProduceRequest) reset(version int16) {
	topics, partitions := r.Topics, r.partitions
	clear(topics)
	clear(partitions)
	if cap(topics) > keepElements {
		topics = nil
	}
	if cap(partitions) > keepElements {
		partitions = nil
	}
	*r = ProduceRequest{Version: version, Topics: topics[:0], partitions: partitions[:0]}
}

// decodeBudget counts down what a decoder may still spend on elements.
type decodeBudget struct {
	limited bool
	left    int
	spent   bool
}

func newDecodeBudget(memoryMax int) decodeBudget {
	return decodeBudget{limited: memoryMax > 0, left: memoryMax}
}

func (m *decodeBudget) take(n int) bool {
	if m.limited {
		if m.left -= n; m.left < 0 {
			m.spent = true
		}
	}
	return !m.spent
}

func (m *decodeBudget) err(b *Reader) error {
	if m.spent {
		return ErrRequestMemory
	}
	return b.err
}
