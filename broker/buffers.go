package broker

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// slabSize is what a connection reads into while something is arriving. An idle
// connection holds none.
const slabSize = 64 << 10

// littleBuffer is what a connection reads into, or holds answers in, when there are no slabs.
const littleBuffer = 4 << 10

// maxSlabs bounds the slabs of a broker: 64 MiB.
const maxSlabs = 1024

// slab is a buffer of slabSize bytes, leased from a stock.
type slab struct {
	bytes []byte
	stock *slabStock
}

var slabs = sync.Pool{New: func() any { return &slab{bytes: make([]byte, slabSize)} }}

// slabStock counts the slabs that the connections of a broker may still get. A client that reads its
// answers holds one for moments; one that goes on asking and does not read holds two or
// three for as long as it likes. So there is a limit, and past it connections make do
// with buffers of the size of what is in them.
type slabStock struct{ left atomic.Int64 }

// lease returns a slab, or nil if there is none left.
func (s *slabStock) lease() *slab {
	if s.left.Add(-1) < 0 {
		s.left.Add(1)
		return nil
	}
	b := slabs.Get().(*slab)
	b.stock = s
	return b
}

// scarce says whether there is none left.
func (s *slabStock) scarce() bool { return s.left.Load() <= 0 }

// abandon counts the slab, if it is one, as given back, and leaves it to the collector.
func (b *slab) abandon() {
	if b != nil {
		b.stock.left.Add(1)
	}
}

func (b *slab) giveBack() {
	b.stock.left.Add(1)
	b.stock = nil
	slabs.Put(b)
}

// Frames that do not fit a slab are read into buffers of power-of-two classes, from
// 128 KiB to 8 MiB pooled, above that allocated for the one frame.
const (
	minClassBits = 17
	maxClassBits = 23
)

var classes [maxClassBits - minClassBits + 1]sync.Pool

// getBuffer returns a buffer of at least size bytes, len(b) == cap(b).
func getBuffer(size int) []byte {
	class := max(bits.Len(uint(size-1)), minClassBits)
	if class > maxClassBits {
		return make([]byte, size)
	}
	if b, ok := classes[class-minClassBits].Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 1<<class)
}

// putBuffer gives back what getBuffer returned.
func putBuffer(b []byte) {
	b = b[:cap(b)]
	class := bits.Len(uint(len(b) - 1))
	if len(b) != 1<<class || class < minClassBits || class > maxClassBits {
		return
	}
	classes[class-minClassBits].Put(&b)
}
