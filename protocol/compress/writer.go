package compress

import (
	"fmt"
	"slices"
)

// AppendCompress appends src, compressed, to dst. Levels are Kafka's: gzip -1 or 1 to 9,
// lz4 1 to 17, zstd -131072 to 22; DefaultLevel is the codec's default.
func AppendCompress(dst []byte, codec int8, level int, src []byte) ([]byte, error) {
	switch codec {
	case None:
		return append(dst, src...), nil
	case Gzip:
		return appendGzip(dst, level, src)
	case Snappy:
		return appendSnappy(dst, src), nil
	case LZ4, LZ4Legacy:
		return appendLZ4(dst, codec, level, src)
	case Zstd:
		return appendZstd(dst, level, src)
	}
	return dst, ErrCodec
}

func levelError(codec int8, level int) error {
	return fmt.Errorf("%s has no compression level %d", name(codec), level)
}

// grow returns b with room for n more bytes.
func grow(b []byte, n int) []byte { return slices.Grow(b, n) }
