package protocol

// Kafka's varints are zigzag ones, of 32 or 64 bits, little groups of 7 bits first.
const (
	maxVarintBytes  = 5
	maxVarlongBytes = 10
)

// varint reads a 32-bit varint from the start of b. The size is 0 if b ends within it
// or it is too long.
func varint(b []byte) (v int32, size int) {
	u, n := uvarint(b)
	return zigzag(u), n
}

// uvarint reads a varint before its zigzag decoding.
func uvarint(b []byte) (u uint32, size int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint32(b[0]), 1
	}
	return longUvarint(b)
}

func longUvarint(b []byte) (u uint32, size int) {
	if len(b) > 1 && b[1] < 0x80 {
		return uint32(b[0]&0x7f) | uint32(b[1])<<7, 2
	}
	for i, c := range b[:min(len(b), maxVarintBytes)] {
		u |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			return u, i + 1
		}
	}
	return 0, 0
}

func zigzag(u uint32) int32 { return int32(u>>1) ^ -int32(u&1) }

// uvarlong reads a 64-bit varint as uvarint does a 32-bit one.
func uvarlong(b []byte) (u uint64, size int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return longUvarlong(b)
}

func longUvarlong(b []byte) (u uint64, size int) {
	if len(b) > 1 && b[1] < 0x80 {
		return uint64(b[0]&0x7f) | uint64(b[1])<<7, 2
	}
	for i, c := range b[:min(len(b), maxVarlongBytes)] {
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return u, i + 1
		}
	}
	return 0, 0
}

func zigzag64(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// varbytes reads bytes with a varint length before them, of which -1 (any negative one,
// as in Java) is null.
func varbytes(b []byte) (v, rest []byte, ok bool) {
	length, n := varint(b)
	if n == 0 {
		return nil, nil, false
	}
	b = b[n:]
	if length < 0 {
		return nil, b, true
	}
	if int(length) > len(b) {
		return nil, nil, false
	}
	return b[:length:length], b[length:], true
}

func appendVarint(b []byte, v int32) []byte {
	u := uint32(v)<<1 ^ uint32(v>>31)
	for u >= 0x80 {
		b = append(b, byte(u)|0x80)
		u >>= 7
	}
	return append(b, byte(u))
}

func appendVarlong(b []byte, v int64) []byte {
	u := uint64(v)<<1 ^ uint64(v>>63)
	for u >= 0x80 {
		b = append(b, byte(u)|0x80)
		u >>= 7
	}
	return append(b, byte(u))
}

func appendVarbytes(b, v []byte) []byte {
	if v == nil {
		return append(b, 1) // -1
	}
	b = appendVarint(b, int32(len(v)))
	return append(b, v...)
}

func varintSize(v int32) int {
	u := uint32(v)<<1 ^ uint32(v>>31)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

func varlongSize(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

func varbytesSize(v []byte) int {
	if v == nil {
		return 1
	}
	return varintSize(int32(len(v))) + len(v)
}
