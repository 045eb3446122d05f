package compress

import (
	"errors"
	"fmt"
)

// The codecs, numbered as in the attributes of batches and messages.
const (
	None   int8 = 0
	Gzip   int8 = 1
	Snappy int8 = 2
	LZ4    int8 = 3
	Zstd   int8 = 4

	// LZ4Legacy is lz4 as magic 0 messages have it: the checksum in the frame header was
	// computed over the wrong bytes. Reading ignores it, writing reproduces it. It is no
	// number of the wire; callers choose it when the message's magic is 0 and its codec 3.
	LZ4Legacy int8 = 0x43
)

// DefaultLevel as a level means the codec's own default. No Kafka level of gzip or lz4 is
// 0, and zstd's 0 means its default as well.
const DefaultLevel = 0

var (
	// ErrTooLarge says that more bytes would have come out than the caller allowed.
	ErrTooLarge = errors.New("decompressed data is larger than allowed")
	// ErrCorrupt says that the bytes are not what their codec says. The codec's own
	// error is wrapped beside it.
	ErrCorrupt = errors.New("compressed data is corrupt")
	// ErrCodec says that a codec number is not one of Kafka's.
	ErrCodec = errors.New("unknown compression codec")
)

func corrupt(codec int8, err error) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrCorrupt, name(codec), err)
}

func name(codec int8) string {
	switch codec {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4, LZ4Legacy:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("codec %d", codec)
}

// Decompress returns what src holds, at most maxSize bytes.
func Decompress(codec int8, src []byte, maxSize int) ([]byte, error) {
	return AppendDecompress(nil, codec, src, maxSize)
}
