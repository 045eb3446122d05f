package compress

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// How zstd is decompressed in bounded memory. A decoder needs the last window of what
// came out; the frame's header claims how large that is, and Java's level 3 claims 2 MiB
// for every batch, however small. So a frame is first decompressed whole, its output
// being its own history, into memory that grows as output really comes. Only if that
// passes zstdWindow is it begun again as a stream, with a ring as large as the frame's
// window. Frames of larger windows (zstd's levels 20 to 22) are decompressed whole, up
// to what the caller allows in all; those of which more than zstdWindow really comes, few
// at a time. docs/decisions/0005-zstd-windows.md has the reasons.
const (
	zstdWindow    = 8 << 20 // level 19's
	zstdMaxWindow = 1 << 27 // level 22's, and the most that zstd-jni reads

	// maxZstdRatio is how far zstd can compress at most: 128 KiB in a block of 4 bytes.
	maxZstdRatio = 1 << 15
)

// Pools of *zstd.Decoder.
var (
	// For DecodeAll, which goes on until its decoder's bound, whatever it will be allowed to
	// return: so there are bounds of 1 MiB, 2 MiB, 4 MiB and so on.
	zstdWhole   [8]sync.Pool
	zstdStreams sync.Pool // for Read, windows up to zstdWindow

	// zstdTurns holds a token for each frame that is decompressed whole to more than zstdWindow.
	zstdTurns = make(chan struct{}, 2)

	errZstdSize = errors.New("impossible frame content size")
)

func zstdDecoder(pool *sync.Pool, maxMemory uint64) (*zstd.Decoder, error) {
	if d, _ := pool.Get().(*zstd.Decoder); d != nil {
		return d, nil
	}
	return zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1), // also: no goroutines
		zstd.WithDecoderLowmem(true),
		zstd.WithDecodeBuffersBelow(0),
		zstd.WithDecoderMaxMemory(maxMemory))
}

// startZstd makes r.out everything that src holds, or r.stream a decoder of it.
func (r *Reader) startZstd() error {
	if r.started {
		return io.EOF
	}
	r.started = true
	if len(r.src) == 0 {
		return errShort
	}
	var h zstd.Header
	if err := h.Decode(r.src); err != nil {
		return err
	}
	if h.FrameContentSize > uint64(r.left) {
		return ErrTooLarge
	}
	if h.FrameContentSize/maxZstdRatio > uint64(len(r.src)) {
		return errZstdSize
	}
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize
	}
	switch {
	case window > zstdMaxWindow:
		return ErrTooLarge
	}
	err := r.zstdWhole(min(r.left, zstdWindow), window)
	if !errors.Is(err, ErrTooLarge) || r.left <= zstdWindow {
		return err
	}
	if window > zstdWindow {
		zstdTurns <- struct{}{} // until Close
		r.turn = true
		return r.zstdWhole(r.left, window)
	}
	d, err := zstdDecoder(&zstdStreams, zstdWindow)
	if err != nil {
		return err
	}
	r.in.Reset(r.src)
	r.stream = d
	return d.Reset(&r.in)
}

// zstdWhole decompresses all of src into the block memory, if that is not much more than
// limit. A decoder takes no frame of a larger window than its bound; since nothing reaches
// back further than the output is long, such a frame may as well claim the bound.
func (r *Reader) zstdWhole(limit int, window uint64) error {
	class := 0
	for class < len(zstdWhole)-1 && limit > 1<<(20+class) {
		class++
	}
	pool := &zstdWhole[class]
	d, err := zstdDecoder(pool, 1<<(20+class))
	if err != nil {
		return err
	}
	src := r.src
	if window > 1<<(20+class) {
		src = bytes.Clone(src)
		src[5] = byte(10+class) << 3 // after the magic number and one byte of flags: the exponent less ten
	}
	out, err := d.DecodeAll(src, r.blockOf(min(8*len(r.src), maxKeptBlock))[:0])
	pool.Put(d)
	if cap(out) > cap(r.block) {
		r.block = out[:cap(out)]
	}
	if err != nil {
		return tooLarge(err)
	}
	r.out = out
	return nil
}

// tooLarge turns zstd's own errors of size into ours.
func tooLarge(err error) error {
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return ErrTooLarge
	}
	return err
}

func (r *Reader) closeZstd() {
	if r.stream != nil {
		if r.stream.Reset(nil) == nil {
			zstdStreams.Put(r.stream)
		}
		r.stream = nil
	}
	if r.turn {
		r.block, r.turn = nil, false // before others get theirs
		<-zstdTurns
	}
}

// zstdWriteWindow is the window written: that of zstd's own level 3.
const zstdWriteWindow = 2 << 20

var zstdEncoders [zstd.SpeedBestCompression + 1]sync.Pool // of *zstd.Encoder, by speed

// appendZstd maps Kafka's levels onto the four speeds of the library: up to 2 fastest, 3
// to 5 default, 6 to 9 better, above best.
func appendZstd(dst []byte, level int, src []byte) ([]byte, error) {
	if level == DefaultLevel {
		level = 3
	}
	if level < -131072 || level > 22 {
		return dst, levelError(Zstd, level)
	}
	speed := zstd.EncoderLevelFromZstd(level)
	e, _ := zstdEncoders[speed].Get().(*zstd.Encoder)
	if e == nil {
		var err error
		e, err = zstd.NewWriter(nil,
			zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true),
			zstd.WithEncoderLevel(speed),
			zstd.WithEncoderCRC(false), // the batch has its own
			zstd.WithWindowSize(zstdWriteWindow))
		if err != nil {
			return dst, err
		}
	}
	dst = e.EncodeAll(src, dst)
	zstdEncoders[speed].Put(e)
	return dst, nil
}
