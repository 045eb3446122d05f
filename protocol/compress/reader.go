package compress

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Reader decompresses the records of one batch piece by piece. Get one from NewReader
// and give it back with Close.
type Reader struct {
	codec int8
	src   []byte // input not yet looked at
	left  int    // bytes that may still come out
	err   error  // what Read returns once out is empty
	out   []byte // decompressed, not yet read; lies in block or in the input
	block []byte // memory for one decompressed block, kept between uses

	started bool // the frame header has been read
	xerial  bool // snappy comes in xerial framing
	lz4     lz4Frame

	in     bytes.Reader
	gzip   *gzip.Reader
	stream *zstd.Decoder
	turn   bool // this is one of zstdTurns
}

var readers = sync.Pool{New: func() any { return new(Reader) }}

// maxKeptBlock is the largest block memory that goes back to the pool with its Reader.
const maxKeptBlock = 2 << 20

// NewReader returns a Reader of what src holds, which must stay as it is until Close. No
// more than maxSize bytes come out of it.
func NewReader(codec int8, src []byte, maxSize int) (*Reader, error) {
	switch codec {
	case None, Gzip, Snappy, LZ4, LZ4Legacy, Zstd:
	default:
		return nil, ErrCodec
	}
	r := readers.Get().(*Reader)
	r.codec, r.src, r.left = codec, src, maxSize
	return r, nil
}

// Read implements io.Reader. Errors other than io.EOF wrap ErrCorrupt or are ErrTooLarge.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.gzip != nil {
			return r.account(r.readGzip(p))
		}
		if r.stream != nil {
			return r.account(r.stream.Read(p))
		}
		if err := r.fill(); err != nil {
			if err != io.EOF {
				err = corrupt(r.codec, err)
			}
			r.err = err
		}
		if len(r.out) > r.left {
			r.out, r.err = nil, ErrTooLarge
		}
		r.left -= len(r.out)
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// account takes n bytes read straight into the caller's memory off what may come out.
func (r *Reader) account(n int, err error) (int, error) {
	if n > r.left {
		r.err = ErrTooLarge
		return 0, r.err
	}
	r.left -= n
	if err != nil {
		if err != io.EOF {
			err = corrupt(r.codec, tooLarge(err))
		}
		r.err = err
	}
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// fill makes the next decompressed block r.out, or returns io.EOF.
func (r *Reader) fill() error {
	switch r.codec {
	case None:
		if r.started {
			return io.EOF
		}
		r.started = true
		r.out = r.src
		return nil
	case Gzip:
		return r.startGzip()
	case Snappy:
		return r.fillSnappy()
	case LZ4, LZ4Legacy:
		return r.fillLZ4()
	default:
		return r.startZstd()
	}
}

// blockOf returns the Reader's block memory with room for size bytes.
func (r *Reader) blockOf(size int) []byte {
	if cap(r.block) < size {
		r.block = make([]byte, max(size, 64<<10))
	}
	return r.block[:size]
}

// Close gives the Reader back. It must not be used after.
func (r *Reader) Close() {
	r.closeGzip()
	r.closeZstd()
	block := r.block
	if cap(block) > maxKeptBlock {
		block = nil
	}
	r.in.Reset(nil)
	*r = Reader{block: block, in: r.in}
	readers.Put(r)
}

// AppendDecompress appends what src holds, at most maxSize bytes, to dst. On an error it
// returns dst with what had come out until then.
func AppendDecompress(dst []byte, codec int8, src []byte, maxSize int) ([]byte, error) {
	r, err := NewReader(codec, src, maxSize)
	if err != nil {
		return dst, err
	}
	defer r.Close()
	for {
		if cap(dst)-len(dst) < 512 {
			dst = append(dst, make([]byte, max(4096, min(cap(dst), 4<<20)))...)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

var errShort = errors.New("input ends early")
