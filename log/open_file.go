package log

import (
	"errors"
	"io"
	"slices"
	"sync/atomic"
)

// openFile is an open segment file that its segment and any number of regions hold. It
// is closed when the last of them lets go.
type openFile struct {
	f    File
	refs atomic.Int32
}

func newOpenFile(f File) *openFile {
	o := &openFile{f: f}
	o.refs.Store(1)
	return o
}

// tryAcquire takes another hold, unless the file has been closed.
func (o *openFile) tryAcquire() bool {
	for {
		n := o.refs.Load()
		if n <= 0 {
			return false
		}
		if o.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release lets go of one hold.
func (o *openFile) release() error {
	if n := o.refs.Add(-1); n == 0 {
		return o.f.Close()
	} else if n < 0 {
		panic("log: a file was released more often than acquired")
	}
	return nil
}

var errShortRegion = errors.New("the file is shorter than the region read from it")

func (o *openFile) readRange(p []byte, pos, size, off int64) (int, error) {
	if off >= size {
		return 0, io.EOF
	}
	whole := true
	if int64(len(p)) > size-off {
		p, whole = p[:size-off], false
	}
	n, err := o.f.ReadAt(p, pos+off)
	switch {
	case n == len(p) && whole:
		return n, nil
	case n == len(p), err == nil:
		return n, io.EOF
	case err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

func (o *openFile) appendRange(dst []byte, pos, size int64) ([]byte, error) {
	if size == 0 {
		return dst, nil
	}
	start := len(dst)
	dst = slices.Grow(dst, int(size))[:start+int(size)]
	n, err := o.f.ReadAt(dst[start:], pos)
	if n == int(size) {
		return dst, nil
	}
	if err == nil || err == io.EOF {
		err = errShortRegion
	}
	return dst[:start], err
}
