package broker

import (
	"math/bits"
	"sync"
)

// slabSize is what a connection reads into while something is arriving. An idle
// connection holds none.
const slabSize = 64 << 10

var slabs = sync.Pool{New: func() any { b := make([]byte, slabSize); return &b }}

func getSlab() *[]byte  { return slabs.Get().(*[]byte) }
func putSlab(b *[]byte) { slabs.Put(b) }

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
