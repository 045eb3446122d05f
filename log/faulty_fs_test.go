package log

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// faultyFS is a file system in memory that can lose power: then what was not synced is
// lost, or half of it is. It can also fail an operation with an I/O error.
type faultyFS struct {
	mu      sync.Mutex
	names   map[string]*faultyInode
	onDisk  map[string]*faultyInode // the names that a power cut leaves
	locked  map[string]bool
	clock   int64 // modification times; goes up with each change
	changes int   // operations that changed something
	dieAt   int   // the change at which power fails, if not 0
	dead    bool
	failAt  int // the change that fails, and all after it under failIn, if not 0
	failIn  string
}

type faultyInode struct {
	dir      bool
	data     []byte
	durable  []byte
	modified int64
}

var errNoPower = errors.New("no power")

func newFaultyFS() *faultyFS {
	f := &faultyFS{names: map[string]*faultyInode{}, onDisk: map[string]*faultyInode{}, locked: map[string]bool{}, clock: 1}
	f.names["/"] = &faultyInode{dir: true}
	f.onDisk["/"] = f.names["/"]
	return f
}

// change counts an operation that changes something, and says whether it may.
func (f *faultyFS) change(name string) error {
	if f.dead {
		return errNoPower
	}
	f.changes++
	f.clock++
	if f.dieAt > 0 && f.changes >= f.dieAt {
		f.dead = true
		return errNoPower
	}
	if f.failAt > 0 && f.changes >= f.failAt && strings.HasPrefix(name, f.failIn) {
		return &fs.PathError{Op: "change", Path: name, Err: syscall.EIO}
	}
	return nil
}

// cutPower returns the file system as the next start finds it. Of each file's unsynced
// bytes all, none, or some sectors are there.
func (f *faultyFS) cutPower(r *rand.Rand) *faultyFS {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	next := newFaultyFS()
	next.clock = f.clock + 1
	for _, name := range slices.Sorted(maps.Keys(f.onDisk)) {
		inode := f.onDisk[name]
		copied := &faultyInode{dir: inode.dir, modified: inode.modified}
		switch data, durable := inode.data, inode.durable; r.IntN(4) {
		case 0:
			copied.data = slices.Clone(data)
		case 1:
			copied.data = slices.Clone(durable)
		default:
			copied.data = make([]byte, max(len(data)-r.IntN(600), len(durable)))
			const sector = 512
			for at := 0; at < len(copied.data); at += sector {
				from := durable
				if r.IntN(2) == 0 {
					from = data
				}
				if at < len(from) {
					copy(copied.data[at:min(at+sector, len(copied.data))], from[at:])
				}
			}
			// What was durable and is unchanged stays, whatever sectors it shares.
			for i := range min(len(durable), len(data), len(copied.data)) {
				if durable[i] == data[i] {
					copied.data[i] = durable[i]
				}
			}
		}
		copied.durable = slices.Clone(copied.data)
		next.names[name] = copied
		next.onDisk[name] = copied
	}
	for name := range next.names { // what lies in a directory that was lost is lost
		if dir := filepath.Dir(name); next.names[dir] == nil {
			delete(next.names, name)
			delete(next.onDisk, name)
		}
	}
	return next
}

func notExist(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: syscall.ENOENT} }

func (f *faultyFS) OpenFile(name string, flag int, _ fs.FileMode) (File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return nil, errNoPower
	}
	inode := f.names[name]
	switch {
	case inode == nil && flag&os.O_CREATE == 0, f.names[filepath.Dir(name)] == nil:
		return nil, notExist("open", name)
	case inode == nil:
		if err := f.change(name); err != nil {
			return nil, err
		}
		inode = &faultyInode{modified: f.clock}
		f.names[name] = inode
		f.names[filepath.Dir(name)].modified = f.clock
	case flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EEXIST}
	case flag&os.O_TRUNC != 0:
		if err := f.change(name); err != nil {
			return nil, err
		}
		inode.data = nil
	}
	return &faultyFile{f, inode, name}, nil
}

func (f *faultyFS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names[from] == nil {
		return notExist("rename", from)
	}
	if err := f.change(from); err != nil {
		return err
	}
	for name, inode := range f.names {
		if name == from || strings.HasPrefix(name, from+"/") {
			delete(f.names, name)
			f.names[to+name[len(from):]] = inode
		}
	}
	if f.names[to].dir { // a directory's rename takes what is in it along, also on disk
		for name, inode := range f.onDisk {
			if strings.HasPrefix(name, from+"/") {
				f.onDisk[to+name[len(from):]] = inode
			}
		}
	}
	f.names[filepath.Dir(to)].modified = f.clock
	return nil
}

func (f *faultyFS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names[name] == nil {
		return notExist("remove", name)
	}
	if err := f.change(name); err != nil {
		return err
	}
	delete(f.names, name)
	f.names[filepath.Dir(name)].modified = f.clock
	return nil
}

func (f *faultyFS) RemoveAll(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.change(name); err != nil {
		return err
	}
	for n := range f.names {
		if n == name || strings.HasPrefix(n, name+"/") {
			delete(f.names, n)
		}
	}
	return nil
}

func (f *faultyFS) Mkdir(name string, _ fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names[name] != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.EEXIST}
	}
	if err := f.change(name); err != nil {
		return err
	}
	f.names[name] = &faultyInode{dir: true, modified: f.clock}
	return nil
}

func (f *faultyFS) MkdirAll(name string, perm fs.FileMode) error {
	if parent := filepath.Dir(name); parent != name {
		f.MkdirAll(parent, perm)
	}
	if err := f.Mkdir(name, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func (f *faultyFS) Stat(name string) (fs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if inode := f.names[name]; inode != nil && !f.dead {
		return faultyInfo{filepath.Base(name), inode.dir, int64(len(inode.data)), inode.modified}, nil
	}
	return nil, notExist("stat", name)
}

func (f *faultyFS) ReadDir(name string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names[name] == nil || f.dead {
		return nil, notExist("readdir", name)
	}
	var entries []fs.DirEntry
	for n, inode := range f.names {
		if n != "/" && filepath.Dir(n) == name {
			entries = append(entries, fs.FileInfoToDirEntry(faultyInfo{filepath.Base(n), inode.dir, int64(len(inode.data)), inode.modified}))
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

func (f *faultyFS) SetModTime(name string, modified time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.change(name)
}

func (f *faultyFS) SyncDir(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.change(name); err != nil {
		return err
	}
	for n := range f.onDisk {
		if n != "/" && filepath.Dir(n) == name && f.names[n] != f.onDisk[n] {
			delete(f.onDisk, n)
		}
	}
	for n, inode := range f.names {
		if filepath.Dir(n) == name {
			f.onDisk[n] = inode
		}
	}
	return nil
}

func (f *faultyFS) Lock(name string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locked[name] {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: syscall.EWOULDBLOCK}
	}
	f.locked[name] = true
	return faultyLock{f, name}, nil
}

type faultyLock struct {
	fs   *faultyFS
	name string
}

func (l faultyLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locked, l.name)
	return nil
}

type faultyFile struct {
	fs    *faultyFS
	inode *faultyInode
	name  string
}

func (f *faultyFile) OS() *os.File { return nil }
func (f *faultyFile) Close() error { return nil }

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.dead {
		return 0, errNoPower
	}
	if off >= int64(len(f.inode.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.inode.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt may write only some of the bytes when power fails or the disk does.
func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	wasDead := f.fs.dead
	err := f.fs.change(f.name)
	if err != nil {
		if wasDead {
			return 0, err
		}
		p = p[:len(p)/2]
	}
	if grow := off + int64(len(p)) - int64(len(f.inode.data)); grow > 0 {
		f.inode.data = append(f.inode.data, make([]byte, grow)...)
	}
	f.inode.modified = f.fs.clock
	return copy(f.inode.data[off:], p), err
}

func (f *faultyFile) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change(f.name); err != nil {
		return err
	}
	if size < int64(len(f.inode.data)) {
		f.inode.data = slices.Clone(f.inode.data[:size])
	} else {
		f.inode.data = append(f.inode.data, make([]byte, size-int64(len(f.inode.data)))...)
	}
	return nil
}

func (f *faultyFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change(f.name); err != nil {
		return err
	}
	f.inode.durable = slices.Clone(f.inode.data)
	return nil
}

func (f *faultyFile) Stat() (fs.FileInfo, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return faultyInfo{filepath.Base(f.name), f.inode.dir, int64(len(f.inode.data)), f.inode.modified}, nil
}

type faultyInfo struct {
	name     string
	dir      bool
	size     int64
	modified int64
}

func (i faultyInfo) Name() string       { return i.name }
func (i faultyInfo) Size() int64        { return i.size }
func (i faultyInfo) ModTime() time.Time { return time.Unix(0, i.modified) }
func (i faultyInfo) IsDir() bool        { return i.dir }
func (i faultyInfo) Sys() any           { return nil }
func (i faultyInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
