package compress

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/s2"
)

// The framing of xerial's snappy-java, which Kafka's Java clients write: 16 bytes of
// header (8 of magic, version 1, oldest compatible version 1), then blocks of 4 bytes of
// big-endian length and as many bytes of snappy. Others write one raw snappy block.
const (
	xerialHeader    = "\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
	xerialMagicSize = 8
	xerialBlockSize = 32 << 10
)

// maxSnappyRatio is how far snappy can compress at most: 64 bytes in 3, rounded up.
const maxSnappyRatio = 22

var errSnappyLength = errors.New("impossible block length")

func (r *Reader) fillSnappy() error {
	if !r.started {
		r.started = true
		if len(r.src) >= len(xerialHeader) && string(r.src[:xerialMagicSize]) == xerialHeader[:xerialMagicSize] {
			r.xerial = true
			r.src = r.src[len(xerialHeader):]
		}
		if !r.xerial {
			src := r.src
			r.src = nil
			if len(src) == 0 {
				return errShort
			}
			return r.snappyBlock(src)
		}
	}
	for {
		if len(r.src) == 0 {
			return io.EOF
		}
		if r.xerial && len(r.src) < 4 {
			return errShort
		}
		size := int(binary.BigEndian.Uint32(r.src))
		// Streams may be strung together; the next one's magic then stands where a length
		// would.
		if len(r.src) >= len(xerialHeader) && string(r.src[:xerialMagicSize]) == xerialHeader[:xerialMagicSize] {
			r.src = r.src[len(xerialHeader):]
			continue
		}
		if size > len(r.src)-4 {
			return errShort
		}
		block := r.src[4 : 4+size]
		r.src = r.src[4+size:]
		return r.snappyBlock(block)
	}
}

func (r *Reader) snappyBlock(src []byte) error {
	size, err := s2.DecodedLen(src)
	if err != nil {
		return err
	}
	if size > r.left {
		return ErrTooLarge
	}
	if size > len(src)*maxSnappyRatio {
		return errSnappyLength
	}
	r.out, err = s2.Decode(r.blockOf(size), src)
	if err != nil {
		r.out = nil
	}
	return err
}

func appendSnappy(dst, src []byte) []byte {
	dst = append(dst, xerialHeader...)
	for len(src) > 0 {
		n := min(len(src), xerialBlockSize)
		dst = grow(dst, 4+s2.MaxEncodedLen(n))
		at := len(dst)
		block := s2.EncodeSnappy(dst[at+4:cap(dst)], src[:n])
		binary.BigEndian.PutUint32(dst[at:at+4], uint32(len(block)))
		dst = dst[:at+4+len(block)]
		src = src[n:]
	}
	return dst
}
