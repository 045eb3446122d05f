package protocol

import (
	"encoding/binary"
	"math/bits"
)

// The Append functions write Kafka's primitive types behind dst, as encoding/binary's do.
// Integers and UUIDs have no helper of their own: use binary.BigEndian and append.

// AppendUvarint appends an unsigned variable-length integer.
func AppendUvarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// UvarintSize is the number of bytes that AppendUvarint appends.
func UvarintSize(v uint32) int { return (bits.Len32(v|1) + 6) / 7 }

// AppendString appends a string, in the compact form if flexible is set.
func AppendString[T string | []byte](dst []byte, flexible bool, s T) []byte {
	if flexible {
		dst = AppendUvarint(dst, uint32(len(s))+1)
	} else {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	}
	return append(dst, s...)
}

// AppendNullString appends the null string.
func AppendNullString(dst []byte, flexible bool) []byte {
	if flexible {
		return append(dst, 0)
	}
	return append(dst, 0xff, 0xff)
}

// AppendStringOrNull appends a string, the empty one as null.
func AppendStringOrNull(dst []byte, flexible bool, s string) []byte {
	if s == "" {
		return AppendNullString(dst, flexible)
	}
	return AppendString(dst, flexible, s)
}

// AppendArrayLength appends an element count; -1 is the null array.
func AppendArrayLength(dst []byte, flexible bool, n int) []byte {
	if flexible {
		return AppendUvarint(dst, uint32(n+1))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(int32(n)))
}

// AppendBytesLength appends the length that precedes bytes or records; -1 is null.
func AppendBytesLength(dst []byte, flexible bool, n int) []byte {
	return AppendArrayLength(dst, flexible, n)
}

// AppendBytes appends bytes with their length, nil as null.
func AppendBytes(dst []byte, flexible bool, b []byte) []byte {
	if b == nil {
		return AppendBytesLength(dst, flexible, -1)
	}
	return append(AppendBytesLength(dst, flexible, len(b)), b...)
}

// Sizes of what the functions above append.

func stringSize(flexible bool, n int) int {
	if flexible {
		return UvarintSize(uint32(n)+1) + n
	}
	return 2 + n
}

func stringOrNullSize(flexible bool, n int) int {
	if n == 0 && flexible {
		return 1
	}
	return stringSize(flexible, n)
}

func lengthSize(flexible bool, n int) int {
	if flexible {
		return UvarintSize(uint32(n + 1))
	}
	return 4
}
