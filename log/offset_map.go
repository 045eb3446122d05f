package log

import "math/bits"

// offsetMap knows the newest offset of each key in the dirty part of a log.
//
// It is split by hash into parts that grow by themselves, so that the memory follows the
// number of keys, growing needs little more at any moment than what is kept, and the
// whole never exceeds its limit. Keys are held as 128-bit hashes, 24 bytes with their
// offset.
type offsetMap struct {
	hasher       keyHasher
	maxKeys      int // Apache's slots times load factor
	maxPartSlots int
	keyCount     int
	latestOffset int64 // newest offset whose key, if it has one, is in the map; -1 if none
	parts        [offsetMapParts]offsetMapPart
}

const (
	offsetMapParts     = 64 // by the 6 highest bits of the hash
	offsetMapPartBits  = 6
	offsetMapSlotSize  = 24
	offsetMapFirstSize = 16 // slots of a part at first
)

// offsetMapPart is a hash table with linear probing. A slot is empty if its offset is 0;
// offsets are kept plus one.
type offsetMapPart struct {
	slots    []offsetMapSlot
	keyCount int
}

type offsetMapSlot struct {
	hash          keyHash
	offsetPlusOne int64
}

// newOffsetMap returns an empty map that will take at most maxSize bytes and fill at most
// loadFactor of its slots.
func newOffsetMap(maxSize int64, loadFactor float64, seed [16]byte) *offsetMap {
	partSlots := int(max(maxSize/offsetMapSlotSize/offsetMapParts, 2))
	return &offsetMap{
		hasher:       newKeyHasher(seed),
		maxPartSlots: partSlots,
		maxKeys:      max(int(float64(partSlots*offsetMapParts)*loadFactor), 1),
		latestOffset: -1,
	}
}

// put notes that the key occurs at offset, which must be above all before. It returns
// false, and notes nothing, if the map is full.
func (m *offsetMap) put(key []byte, offset int64) bool {
	if m.keyCount >= m.maxKeys {
		return false // even if the key is known: as Apache, which does not look
	}
	hash := m.hasher.sum(key)
	part := &m.parts[hash.hi>>(64-offsetMapPartBits)]
	if len(part.slots) == 0 || part.keyCount >= len(part.slots)-len(part.slots)/8 {
		part.grow(m.maxPartSlots)
	}
	slot := part.find(hash)
	if slot.offsetPlusOne == 0 {
		// One slot stays empty, for find to end.
		if part.keyCount >= len(part.slots)-1 {
			return false
		}
		slot.hash = hash
		part.keyCount++
		m.keyCount++
	}
	slot.offsetPlusOne = offset + 1
	m.latestOffset = max(m.latestOffset, offset)
	return true
}

// get returns the newest offset of the key, or -1.
func (m *offsetMap) get(key []byte) int64 {
	hash := m.hasher.sum(key)
	part := &m.parts[hash.hi>>(64-offsetMapPartBits)]
	if len(part.slots) == 0 {
		return -1
	}
	return part.find(hash).offsetPlusOne - 1
}

func (m *offsetMap) noteLatest(offset int64) { m.latestOffset = max(m.latestOffset, offset) }

// find returns the slot of the hash, or the empty one where it belongs.
func (p *offsetMapPart) find(hash keyHash) *offsetMapSlot {
	// The low word, spread over any number of slots by its high bits.
	i, _ := bits.Mul64(hash.lo, uint64(len(p.slots)))
	for {
		slot := &p.slots[i]
		if slot.offsetPlusOne == 0 || slot.hash == hash {
			return slot
		}
		if i++; i == uint64(len(p.slots)) {
			i = 0
		}
	}
}

func (p *offsetMapPart) grow(maxSlots int) {
	size := min(max(2*len(p.slots), offsetMapFirstSize), maxSlots)
	if size == len(p.slots) {
		return
	}
	old := p.slots
	p.slots = make([]offsetMapSlot, size)
	for _, slot := range old {
		if slot.offsetPlusOne != 0 {
			*p.find(slot.hash) = slot
		}
	}
}
