package log

import (
	"os"
)

// Region is a range of a segment's file. It stays readable until [Region.Release], also
// when the segment is deleted or the log truncated meanwhile: it holds the file open.
// The zero Region is empty. A Region is used by one goroutine and released once.
type Region struct {
	file *openFile // nil if empty
	pos  int64
	size int64
}

// Size is the number of bytes in the region.
func (r *Region) Size() int64 { return r.size }

// Pos is where the region begins in the file.
func (r *Region) Pos() int64 { return r.pos }

// File is the operating system's file for sendfile, or nil if the region is empty or
// the file system is not the operating system's. Its read position belongs to nobody:
// whoever uses it names positions.
func (r *Region) File() *os.File {
	if r.file == nil {
		return nil
	}
	return r.file.f.OS()
}

// ReadAt reads len(p) bytes from off bytes into the region, as io.ReaderAt does.
func (r *Region) ReadAt(p []byte, off int64) (int, error) {
	return r.file.readRange(p, r.pos, r.size, off)
}

// AppendTo appends the bytes of the region to dst.
func (r *Region) AppendTo(dst []byte) ([]byte, error) {
	return r.file.appendRange(dst, r.pos, r.size)
}

// Limit cuts the region to at most size bytes.
func (r *Region) Limit(size int64) { r.size = min(r.size, size) }

// Release gives the file back. The region is empty afterwards.
func (r *Region) Release() {
	if r.file != nil {
		r.file.release()
	}
	*r = Region{}
}
