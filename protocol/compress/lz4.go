package compress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/pierrec/lz4/v4"
)

// lz4Frame is what the header of an lz4 frame says. Kafka's frames are those of the lz4
// frame format 1.5.1 with two restrictions that its clients rely on: blocks are
// independent, and there is no dictionary. One frame holds a batch; bytes after its end
// mark are ignored.
type lz4Frame struct {
	maxBlock        int
	blockChecksum   bool
	contentChecksum bool
}

const (
	lz4Magic           = 0x184d2204
	lz4Uncompressed    = 1 << 31 // bit of a block's length: the block is stored as it is
	lz4FlagVersion     = 1 << 6
	lz4FlagIndependent = 1 << 5
	lz4FlagBlockSum    = 1 << 4
	lz4FlagContentSize = 1 << 3
	lz4FlagContentSum  = 1 << 2
	lz4BlockSize64KiB  = 4 << 4
	lz4WriteBlockSize  = 64 << 10

	// maxLZ4Ratio is how far lz4 can compress at most: one byte of match length says 255.
	maxLZ4Ratio = 255
)

var (
	errLZ4Magic    = errors.New("not an lz4 frame")
	errLZ4Flags    = errors.New("unsupported frame flags")
	errLZ4Header   = errors.New("frame header checksum does not match")
	errLZ4Block    = errors.New("block is larger than the frame allows")
	errLZ4Checksum = errors.New("block checksum does not match")
)

func (r *Reader) fillLZ4() error {
	if !r.started {
		if err := r.lz4Header(); err != nil {
			return err
		}
		r.started = true
	}
	if len(r.src) < 4 {
		return errShort
	}
	word := binary.LittleEndian.Uint32(r.src)
	r.src = r.src[4:]
	size := int(word &^ lz4Uncompressed)
	if size == 0 {
		if r.lz4.contentChecksum && len(r.src) < 4 {
			return errShort
		}
		return io.EOF
	}
	if size > r.lz4.maxBlock {
		return errLZ4Block
	}
	if size > len(r.src) {
		return errShort
	}
	block := r.src[:size]
	r.src = r.src[size:]
	if r.lz4.blockChecksum {
		if len(r.src) < 4 {
			return errShort
		}
		if xxh32(block) != binary.LittleEndian.Uint32(r.src) {
			return errLZ4Checksum
		}
		r.src = r.src[4:]
	}
	if word&lz4Uncompressed != 0 {
		r.out = block
		return nil
	}
	buf := r.blockOf(min(r.lz4.maxBlock, size*maxLZ4Ratio+16))
	n, err := lz4.UncompressBlock(block, buf)
	if err != nil {
		return err
	}
	r.out = buf[:n]
	return nil
}

func (r *Reader) lz4Header() error {
	if len(r.src) < 7 {
		return errShort
	}
	if binary.LittleEndian.Uint32(r.src) != lz4Magic {
		return errLZ4Magic
	}
	flags, bd := r.src[4], r.src[5]
	if flags>>6 != 1 || flags&lz4FlagIndependent == 0 || flags&3 != 0 {
		return errLZ4Flags
	}
	if bd&0x8f != 0 || bd>>4 < 4 {
		return errLZ4Flags
	}
	r.lz4 = lz4Frame{
		maxBlock:        1 << (2*(bd>>4) + 8),
		blockChecksum:   flags&lz4FlagBlockSum != 0,
		contentChecksum: flags&lz4FlagContentSum != 0,
	}
	end := 6
	if flags&lz4FlagContentSize != 0 {
		end += 8
	}
	if len(r.src) < end+1 {
		return errShort
	}
	// Kafka's magic 0 computed the checksum over the frame's magic number too, and its
	// readers have ignored it there ever since.
	if r.codec != LZ4Legacy && r.src[end] != byte(xxh32(r.src[4:end])>>8) {
		return errLZ4Header
	}
	r.src = r.src[end+1:]
	return nil
}

var (
	lz4Fast sync.Pool // of *lz4.Compressor
	lz4High sync.Pool // of *lz4.CompressorHC
)

// lz4Level is the library's level for one of lz4-java's high ones.
func lz4Level(level int) lz4.CompressionLevel {
	levels := [...]lz4.CompressionLevel{lz4.Level1, lz4.Level2, lz4.Level3, lz4.Level4, lz4.Level5,
		lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9}
	return levels[min(level, len(levels))-1]
}

// appendLZ4 writes the frame Kafka's Java clients write: 64 KiB blocks, no checksums but
// the header's. Their level 9, the default, is the fast compressor; all others are the
// high one, of which lz4-java has 17 depths and this library 9.
func appendLZ4(dst []byte, codec int8, level int, src []byte) ([]byte, error) {
	if level == DefaultLevel {
		level = 9
	}
	if level < 1 || level > 17 {
		return dst, levelError(LZ4, level)
	}
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, lz4Magic)
	dst = append(dst, lz4FlagVersion|lz4FlagIndependent, lz4BlockSize64KiB)
	summed := dst[at+4:]
	if codec == LZ4Legacy {
		summed = dst[at:]
	}
	dst = append(dst, byte(xxh32(summed)>>8))

	var fast *lz4.Compressor
	var high *lz4.CompressorHC
	if level == 9 {
		fast, _ = lz4Fast.Get().(*lz4.Compressor)
		if fast == nil {
			fast = new(lz4.Compressor)
		}
		defer lz4Fast.Put(fast)
	} else {
		high, _ = lz4High.Get().(*lz4.CompressorHC)
		if high == nil {
			high = new(lz4.CompressorHC)
		}
		high.Level = lz4Level(level)
		defer lz4High.Put(high)
	}
	for len(src) > 0 {
		n := min(len(src), lz4WriteBlockSize)
		dst = grow(dst, 4+lz4.CompressBlockBound(n))
		at := len(dst)
		room := dst[at+4 : at+4+lz4.CompressBlockBound(n)]
		var size int
		var err error
		if fast != nil {
			size, err = fast.CompressBlock(src[:n], room)
		} else {
			size, err = high.CompressBlock(src[:n], room)
		}
		if err != nil {
			return dst, fmt.Errorf("lz4: %w", err)
		}
		word := uint32(size)
		if size == 0 || size >= n {
			size = copy(room, src[:n])
			word = uint32(n) | lz4Uncompressed
		}
		binary.LittleEndian.PutUint32(dst[at:at+4], word)
		dst = dst[:at+4+size]
		src = src[n:]
	}
	return binary.LittleEndian.AppendUint32(dst, 0), nil
}
