package compress

import (
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

var gzipReaders sync.Pool // of *gzip.Reader

func (r *Reader) startGzip() error {
	r.in.Reset(r.src)
	z, _ := gzipReaders.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	r.gzip = z
	if err := z.Reset(&r.in); err != nil {
		if err == io.EOF {
			err = errShort
		}
		return err
	}
	z.Multistream(false)
	return nil
}

// readGzip reads on into the next member, if there is one; what follows the last member
// and is none is ignored, as Java's GZIPInputStream does.
func (r *Reader) readGzip(p []byte) (int, error) {
	for {
		n, err := r.gzip.Read(p)
		if n > 0 || err == nil {
			if err == io.EOF {
				err = nil // met again by the next call
			}
			return n, err
		}
		if err != io.EOF {
			return 0, err
		}
		if r.in.Len() == 0 || r.gzip.Reset(&r.in) != nil {
			return 0, io.EOF
		}
		r.gzip.Multistream(false)
	}
}

func (r *Reader) closeGzip() {
	if r.gzip != nil {
		gzipReaders.Put(r.gzip)
		r.gzip = nil
	}
}

// gzipWriter is a gzip.Writer with the slice it appends to.
type gzipWriter struct {
	dst []byte
	z   *gzip.Writer
}

func (w *gzipWriter) Write(p []byte) (int, error) {
	w.dst = append(w.dst, p...)
	return len(p), nil
}

var gzipWriters [11]sync.Pool // of *gzipWriter, by level+1

func appendGzip(dst []byte, level int, src []byte) ([]byte, error) {
	if level == DefaultLevel {
		level = gzip.DefaultCompression
	}
	if level < -1 || level > 9 {
		return dst, levelError(Gzip, level)
	}
	w, _ := gzipWriters[level+1].Get().(*gzipWriter)
	if w == nil {
		w = new(gzipWriter)
		z, err := gzip.NewWriterLevel(w, level)
		if err != nil {
			return dst, err
		}
		w.z = z
	}
	w.dst = dst
	w.z.Reset(w)
	_, err := w.z.Write(src)
	if err == nil {
		err = w.z.Close()
	}
	dst, w.dst = w.dst, nil
	gzipWriters[level+1].Put(w)
	return dst, err
}
