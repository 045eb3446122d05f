package log

import (
	"encoding/binary"
	"math/bits"
)

// keyHash is the hash of a record's key under which compaction knows it.
type keyHash struct{ hi, lo uint64 }

// keyHasher computes SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012),
// a function whose collisions nobody finds who does not know its secret key. Compaction
// takes two keys of equal hash for one and drops the older record, so a producer must not
// be able to make such a pair up; with Apache's MD5, it is.
type keyHasher struct{ k0, k1 uint64 }

func newKeyHasher(seed [16]byte) keyHasher {
	return keyHasher{binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:])}
}

// sum hashes b.
func (h keyHasher) sum(b []byte) keyHash {
	s := sipState{
		v0: h.k0 ^ 0x736f6d6570736575,
		v1: h.k1 ^ 0x646f72616e646f6d ^ 0xee,
		v2: h.k0 ^ 0x6c7967656e657261,
		v3: h.k1 ^ 0x7465646279746573,
	}
	last := uint64(len(b)) << 56
	for ; len(b) >= 8; b = b[8:] {
		s.block(binary.LittleEndian.Uint64(b))
	}
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	s.block(last)
	s.v2 ^= 0xee
	s.round()
	s.round()
	s.round()
	s.round()
	lo := s.v0 ^ s.v1 ^ s.v2 ^ s.v3
	s.v1 ^= 0xdd
	s.round()
	s.round()
	s.round()
	s.round()
	return keyHash{lo: lo, hi: s.v0 ^ s.v1 ^ s.v2 ^ s.v3}
}

type sipState struct{ v0, v1, v2, v3 uint64 }

func (s *sipState) block(m uint64) {
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
}

func (s *sipState) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}
