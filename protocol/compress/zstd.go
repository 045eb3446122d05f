package compress

import (
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// How zstd is decompressed in bounded memory. A decoder needs the last window of what
// came out; the frame's header claims how large that is, and Java's level 3 claims 2 MiB
// for every batch, however small. So a frame is first decompressed whole, its output
// being its own history, which costs as much memory as really comes out. Only if that
// passes zstdWholeMax is it begun again as a stream, with a ring as large as the window,
// up to zstdStreamWindow. Larger windows (zstd's levels 20 to 22) are decompressed whole
// up to what the caller allows in all.
const (
	zstdWholeMax     = 1 << 20
	zstdStreamWindow = 8 << 20
	zstdMaxWindow    = 1 << 27 // the most that zstd-jni reads, level 22's window
)

var (
	zstdWhole   sync.Pool // of *zstd.Decoder for DecodeAll
	zstdStreams sync.Pool // of *zstd.Decoder for Read
)

func newZstdDecoder(maxOut, maxWindow uint64) (*zstd.Decoder, error) {
	return zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1), // also: no goroutines
		zstd.WithDecoderLowmem(true),
		zstd.WithDecodeBuffersBelow(0),
		zstd.WithDecoderMaxMemory(maxOut),
		zstd.WithDecoderMaxWindow(maxWindow))
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
	if h.FrameContentSize <= zstdWholeMax {
		d, _ := zstdWhole.Get().(*zstd.Decoder)
		if d == nil {
			var err error
			if d, err = newZstdDecoder(zstdWholeMax, zstdMaxWindow); err != nil {
				return err
			}
		}
		if cap(r.block) == 0 {
			r.block = make([]byte, 0, 64<<10)
		}
		out, err := d.DecodeAll(r.src, r.block[:0])
		zstdWhole.Put(d)
		if cap(out) > cap(r.block) {
			r.block = out[:cap(out)]
		}
		if err == nil {
			r.out = out
			return nil
		}
		if !errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			return tooLarge(err)
		}
	}
	if h.WindowSize > zstdStreamWindow || h.SingleSegment && h.FrameContentSize > zstdStreamWindow {
		return r.zstdLarge()
	}
	d, _ := zstdStreams.Get().(*zstd.Decoder)
	if d == nil {
		var err error
		if d, err = newZstdDecoder(zstdMaxWindow, zstdStreamWindow); err != nil {
			return err
		}
	}
	r.in.Reset(r.src)
	r.stream = d
	return d.Reset(&r.in)
}

// zstdLarge decompresses a frame of a large window whole, with a decoder and memory that
// are not kept.
func (r *Reader) zstdLarge() error {
	if r.left <= 0 {
		return ErrTooLarge
	}
	d, err := newZstdDecoder(uint64(r.left), zstdMaxWindow)
	if err != nil {
		return err
	}
	defer d.Close()
	r.out, err = d.DecodeAll(r.src, nil)
	if err != nil {
		r.out = nil
	}
	return tooLarge(err)
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
}

// zstdWindow is the window written: that of zstd's own level 3.
const zstdWindow = 2 << 20

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
			zstd.WithWindowSize(zstdWindow))
		if err != nil {
			return dst, err
		}
	}
	dst = e.EncodeAll(src, dst)
	zstdEncoders[speed].Put(e)
	return dst, nil
}
