package compress

import (
	"encoding/binary"
	"math/bits"
)

const (
	xxh32Prime1 uint32 = 2654435761
	xxh32Prime2 uint32 = 2246822519
	xxh32Prime3 uint32 = 3266489917
	xxh32Prime4 uint32 = 668265263
	xxh32Prime5 uint32 = 374761393
)

// xxh32 is the 32-bit xxHash of b with seed 0, which lz4 frames use as their checksum.
func xxh32(b []byte) uint32 {
	size := uint32(len(b))
	h := xxh32Prime5
	if len(b) >= 16 {
		one := xxh32Prime1 // a variable: the sums and differences below wrap
		v1, v2, v3, v4 := one+xxh32Prime2, xxh32Prime2, uint32(0), -one
		for ; len(b) >= 16; b = b[16:] {
			v1 = xxh32Round(v1, binary.LittleEndian.Uint32(b))
			v2 = xxh32Round(v2, binary.LittleEndian.Uint32(b[4:]))
			v3 = xxh32Round(v3, binary.LittleEndian.Uint32(b[8:]))
			v4 = xxh32Round(v4, binary.LittleEndian.Uint32(b[12:]))
		}
		h = bits.RotateLeft32(v1, 1) + bits.RotateLeft32(v2, 7) + bits.RotateLeft32(v3, 12) + bits.RotateLeft32(v4, 18)
	}
	h += size
	for ; len(b) >= 4; b = b[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(b)*xxh32Prime3, 17) * xxh32Prime4
	}
	for _, c := range b {
		h = bits.RotateLeft32(h+uint32(c)*xxh32Prime5, 11) * xxh32Prime1
	}
	h = (h ^ h>>15) * xxh32Prime2
	h = (h ^ h>>13) * xxh32Prime3
	return h ^ h>>16
}

func xxh32Round(v, word uint32) uint32 {
	return bits.RotateLeft32(v+word*xxh32Prime2, 13) * xxh32Prime1
}
