package metadata

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"math/bits"

	"github.com/barnabas-broker/barnabas/protocol"
)

// A table is a persistent hash table of pointers: a change copies one shard and the list
// of shards and leaves the old table as it was. Shards are open-addressed arrays of
// pointers, at most three quarters full, so that an entry costs eight bytes and a bit;
// keys live in the entries.
//
// Within one [Draft] shards are copied at most once: a shard that carries the draft's token
// is the draft's own and is written in place.
type table[K comparable, T any] struct {
	kind   *tableKind[K, T]
	shards []*tableShard[T] // a power of two of them; nil shards are empty
	owner  *draftToken      // whose shards slice this is
	count  int
}

type tableShard[T any] struct {
	slots []*T // a power of two of them
	count int
	owner *draftToken
}

// tableKind is what all generations of a table share.
type tableKind[K comparable, T any] struct {
	key  func(*T) K
	hash func(K) uint64
}

// draftToken is the identity of a draft; it is not empty so that each has its own address.
type draftToken struct{ _ byte }

const (
	tableShardTarget  = 64 // mean entries per shard at which the number of shards doubles
	tableShardMinimum = 4  // slots of the smallest shard
)

// The seed is one for the whole process. It is not state: nothing that anybody
// can see depends on it.
var tableSeed = maphash.MakeSeed()

func hashString(s string) uint64 { return maphash.String(tableSeed, s) }

// hashUUID mixes both halves of an id; ids are the controller's own and random.
func hashUUID(id protocol.UUID) uint64 {
	h := binary.LittleEndian.Uint64(id[8:]) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(id[:]), 29)
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>32
}

func hashComparable[K comparable](k K) uint64 { return maphash.Comparable(tableSeed, k) }

func newTable[K comparable, T any](key func(*T) K, hash func(K) uint64) table[K, T] {
	return table[K, T]{kind: &tableKind[K, T]{key: key, hash: hash}}
}

// get returns the entry of key k, or nil.
func (t *table[K, T]) get(k K) *T {
	if t.count == 0 {
		return nil
	}
	h := t.kind.hash(k)
	shard := t.shards[h&uint64(len(t.shards)-1)]
	if shard == nil {
		return nil
	}
	mask := uint64(len(shard.slots) - 1)
	for i := h >> 32 & mask; ; i = (i + 1) & mask {
		entry := shard.slots[i]
		if entry == nil || t.kind.key(entry) == k {
			return entry
		}
	}
}

// all yields every entry in no order.
func (t *table[K, T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, shard := range t.shards {
			if shard == nil {
				continue
			}
			for _, entry := range shard.slots {
				if entry != nil && !yield(entry) {
					return
				}
			}
		}
	}
}

// put sets the entry of its key, on behalf of the draft.
func (t *table[K, T]) put(entry *T, draft *draftToken) {
	k := t.kind.key(entry)
	h := t.kind.hash(k)
	shard := t.own(h, draft)
	if 4*(shard.count+1) > 3*len(shard.slots) {
		t.growShard(shard)
	}
	mask := uint64(len(shard.slots) - 1)
	for i := h >> 32 & mask; ; i = (i + 1) & mask {
		if shard.slots[i] == nil {
			shard.slots[i] = entry
			shard.count++
			t.count++
			break
		}
		if t.kind.key(shard.slots[i]) == k {
			shard.slots[i] = entry
			return
		}
	}
	if t.count > tableShardTarget*len(t.shards) {
		t.split(draft)
	}
}

// remove takes the entry of key k out, on behalf of the draft.
func (t *table[K, T]) remove(k K, draft *draftToken) {
	if t.get(k) == nil {
		return
	}
	h := t.kind.hash(k)
	shard := t.own(h, draft)
	mask := uint64(len(shard.slots) - 1)
	i := h >> 32 & mask
	for t.kind.key(shard.slots[i]) != k {
		i = (i + 1) & mask
	}
	// Entries that follow without a gap move up where their own probe passes the hole.
	for j := i; ; {
		j = (j + 1) & mask
		entry := shard.slots[j]
		if entry == nil {
			break
		}
		home := t.kind.hash(t.kind.key(entry)) >> 32 & mask
		if (j-home)&mask >= (j-i)&mask {
			shard.slots[i] = entry
			i = j
		}
	}
	shard.slots[i] = nil
	shard.count--
	t.count--
}

// own returns the shard of hash h, which the draft may write.
func (t *table[K, T]) own(h uint64, draft *draftToken) *tableShard[T] {
	if len(t.shards) == 0 {
		t.shards, t.owner = make([]*tableShard[T], 1), draft
	}
	if t.owner != draft {
		t.shards = append([]*tableShard[T](nil), t.shards...)
		t.owner = draft
	}
	at := h & uint64(len(t.shards)-1)
	shard := t.shards[at]
	switch {
	case shard == nil:
		shard = &tableShard[T]{slots: make([]*T, tableShardMinimum), owner: draft}
		t.shards[at] = shard
	case shard.owner != draft:
		shard = &tableShard[T]{slots: append([]*T(nil), shard.slots...), count: shard.count, owner: draft}
		t.shards[at] = shard
	}
	return shard
}

func (t *table[K, T]) growShard(shard *tableShard[T]) {
	old := shard.slots
	shard.slots = make([]*T, 2*len(old))
	for _, entry := range old {
		if entry != nil {
			t.place(shard, entry)
		}
	}
}

// place puts an entry that is not there in a shard with room.
func (t *table[K, T]) place(shard *tableShard[T], entry *T) {
	mask := uint64(len(shard.slots) - 1)
	i := t.kind.hash(t.kind.key(entry)) >> 32 & mask
	for shard.slots[i] != nil {
		i = (i + 1) & mask
	}
	shard.slots[i] = entry
}

// split doubles the number of shards.
func (t *table[K, T]) split(draft *draftToken) {
	old := t.shards
	t.shards = make([]*tableShard[T], 2*len(old))
	t.owner = draft
	for _, shard := range old {
		if shard == nil {
			continue
		}
		for _, entry := range shard.slots {
			if entry == nil {
				continue
			}
			at := t.kind.hash(t.kind.key(entry)) & uint64(len(t.shards)-1)
			to := t.shards[at]
			if to == nil {
				to = &tableShard[T]{slots: make([]*T, tableShardMinimum), owner: draft}
				t.shards[at] = to
			}
			if 4*(to.count+1) > 3*len(to.slots) {
				t.growShard(to)
			}
			t.place(to, entry)
			to.count++
		}
	}
}
