package metadata

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/barnabas-broker/barnabas/protocol"
)

// interner keeps one copy of each list of brokers and of directories: the partitions of a
// cluster have few different ones. Images of one store share it. It is a cache, and
// forgets everything when it has grown to internLimit.
type interner struct {
	mu   sync.Mutex
	ids  map[string][]int32
	dirs map[string][]protocol.UUID
	key  []byte
}

const internLimit = 16 << 10

func newInterner() *interner {
	return &interner{ids: map[string][]int32{}, dirs: map[string][]protocol.UUID{}}
}

func (n *interner) list(ids []int32) []int32 {
	if len(ids) == 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.key = n.key[:0]
	for _, id := range ids {
		n.key = binary.LittleEndian.AppendUint32(n.key, uint32(id))
	}
	if known, ok := n.ids[string(n.key)]; ok {
		return known
	}
	if len(n.ids) >= internLimit {
		clear(n.ids)
	}
	known := slices.Clone(ids)
	n.ids[string(n.key)] = known
	return known
}

// directories returns nil for a list in which none is assigned.
func (n *interner) directories(ids []protocol.UUID) []protocol.UUID {
	if !slices.ContainsFunc(ids, func(id protocol.UUID) bool { return !id.IsZero() }) {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.key = n.key[:0]
	for i := range ids {
		n.key = append(n.key, ids[i][:]...)
	}
	if known, ok := n.dirs[string(n.key)]; ok {
		return known
	}
	if len(n.dirs) >= internLimit {
		clear(n.dirs)
	}
	known := slices.Clone(ids)
	n.dirs[string(n.key)] = known
	return known
}

func equalIDs(a, b []int32) bool { return slices.Equal(a, b) }

func equalUUIDs(a, b []protocol.UUID) bool { return slices.Equal(a, b) }
