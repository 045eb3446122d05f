package audit

import (
	"os"
	"sync"
	"time"
)

// File is a sink that appends to a file, each line in one write. When somebody moves the
// file away, as log rotation does, it begins a new one of the same name.
type File struct {
	path string

	mu      sync.Mutex
	f       *os.File
	checked time.Time // that f is still what path names
	torn    bool      // its last line has no end: a disk was full, or a machine lost power
	buf     []byte
	closed  bool
}

// OpenFile opens or creates the file, readable for its owner alone.
func OpenFile(path string) (*File, error) {
	s := &File{path: path}
	return s, s.open()
}

func (s *File) open() error {
	f, err := os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s.f, s.torn = f, endsTorn(s.path)
	return nil
}

// endsTorn says whether the last line of a file has no end. One that cannot be read is taken
// for whole.
func endsTorn(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var last [1]byte
	_, err = f.ReadAt(last[:], info.Size()-1)
	return err == nil && last[0] != '\n'
}

// rotateCheck is how long lines may go to a file that was moved away.
const rotateCheck = time.Second

// Write appends a line.
func (s *File) Write(line []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	if now := time.Now(); s.f != nil && now.Sub(s.checked) >= rotateCheck {
		s.checked = now
		at, err := os.Stat(s.path)
		have, err2 := s.f.Stat()
		if err != nil || err2 != nil || !os.SameFile(at, have) {
			s.f.Close()
			s.f = nil
		}
	}
	if s.f == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	s.buf = s.buf[:0]
	if s.torn {
		s.buf = append(s.buf, '\n')
	}
	s.buf = append(append(s.buf, line...), '\n')
	n, err := s.f.Write(s.buf)
	if n > 0 {
		s.torn = s.buf[n-1] != '\n'
	}
	return err
}

// Close closes the file.
func (s *File) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.f == nil {
		return nil
	}
	return s.f.Close()
}
