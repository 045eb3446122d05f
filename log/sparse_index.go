package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sort"
	"sync/atomic"
)

// The suffixes of a segment's files.
const (
	logSuffix       = ".log"
	indexSuffix     = ".index"
	timeIndexSuffix = ".timeindex"
	deletedSuffix   = ".deleted"
	cleanedSuffix   = ".cleaned"
	swapSuffix      = ".swap"
)

// The sizes of index entries.
const (
	offsetEntrySize = 8  // offset relative to the segment's base 4, position 4
	timeEntrySize   = 12 // timestamp 8, offset relative to the segment's base 4
)

// indexEntry is an entry of an offset index (key: relative offset, value: position of
// the append that holds it as its last) or of a time index (key: timestamp, value:
// relative offset of the last record of the batch that has it). Keys ascend, values do
// not descend.
type indexEntry struct {
	key   int64
	value uint32
}

func appendIndexEntry(dst []byte, entrySize int, e indexEntry) []byte {
	if entrySize == offsetEntrySize {
		dst = binary.BigEndian.AppendUint32(dst, uint32(e.key))
	} else {
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.key))
	}
	return binary.BigEndian.AppendUint32(dst, e.value)
}

func parseIndexEntry(b []byte, entrySize int) indexEntry {
	if entrySize == offsetEntrySize {
		return indexEntry{int64(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])}
	}
	return indexEntry{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint32(b[8:])}
}

// The number of entries kept in memory: at least tailKept of the newest (if there are
// so many), at most tailMax, of which those that are not yet in the file are written
// when the tail is full.
const (
	tailMax  = 256
	tailKept = 128
)

// sparseIndex is the offset or time index of the active segment. The newest entries are
// in memory, the older ones in the file alone, so that a busy partition costs some
// kilobytes whatever its segment size. The log's lock guards appending; any goroutine
// may search meanwhile.
//
// The file holds exactly the entries written, without Apache's preallocated room behind
// them; after a clean shutdown the two are the same.
type sparseIndex struct {
	fs        FS
	path      atomic.Pointer[string] // changes only when a log's directory is renamed
	entrySize int

	// The index whose file must never reach less far than this one's: it is written first.
	before *sparseIndex

	cache   indexCache
	tail    atomic.Pointer[indexTail] // never nil
	written int                       // entries in the file; guarded by the log's lock
}

// indexTail is a run of entries that ends an index. Slots below n never change, so that
// a reader needs no lock; whatever else changes makes a new tail.
type indexTail struct {
	base    int // number of entries before entries[0]
	n       atomic.Int32
	entries []indexEntry // len is its capacity
}

func newIndexTail(base, capacity int, entries []indexEntry) *indexTail {
	t := &indexTail{base: base, entries: make([]indexEntry, max(capacity, len(entries)))}
	t.n.Store(int32(copy(t.entries, entries)))
	return t
}

func newSparseIndex(fsys FS, path string, entrySize int) *sparseIndex {
	x := &sparseIndex{fs: fsys, entrySize: entrySize}
	x.setPath(path)
	return x
}

func (x *sparseIndex) setPath(path string) { x.path.Store(&path) }

// openSparseIndex reads the end of the index file at path, which need not exist.
func openSparseIndex(fsys FS, path string, entrySize int) (*sparseIndex, error) {
	x := newSparseIndex(fsys, path, entrySize)
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		x.tail.Store(newIndexTail(0, 0, nil))
		return x, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	count, err := indexFileCount(f, entrySize)
	if err != nil {
		return nil, err
	}
	return x, x.reload(f, count)
}

func indexFileCount(f File, entrySize int) (int, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return int(info.Size() / int64(entrySize)), nil
}

// reload makes the index the first count entries of the file.
func (x *sparseIndex) reload(f File, count int) error {
	base := max(0, count-tailKept)
	entries, err := readIndexEntries(f, x.entrySize, base, count)
	if err != nil {
		return err
	}
	x.written = count
	x.tail.Store(newIndexTail(base, len(entries), entries))
	return nil
}

func readIndexEntries(f File, entrySize, from, to int) ([]indexEntry, error) {
	b := make([]byte, (to-from)*entrySize)
	if n, err := f.ReadAt(b, int64(from)*int64(entrySize)); n < len(b) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	entries := make([]indexEntry, to-from)
	for i := range entries {
		entries[i] = parseIndexEntry(b[i*entrySize:], entrySize)
	}
	return entries, nil
}

// count is the number of entries. It and the methods that change the index are called
// with the log's lock held.
func (x *sparseIndex) count() int {
	t := x.tail.Load()
	return t.base + int(t.n.Load())
}

// last is the newest entry.
func (x *sparseIndex) last() (indexEntry, bool) {
	t := x.tail.Load()
	if n := t.n.Load(); n > 0 {
		return t.entries[n-1], true
	}
	return indexEntry{}, false
}

func (x *sparseIndex) append(e indexEntry) error {
	t := x.tail.Load()
	n := int(t.n.Load())
	if n == len(t.entries) {
		var err error
		if t, err = x.makeRoom(t, n); err != nil {
			return err
		}
		n = int(t.n.Load())
	}
	t.entries[n] = e
	t.n.Store(int32(n + 1))
	return nil
}

// makeRoom doubles the tail, or, when it is at its largest, writes it and keeps the
// newer half.
func (x *sparseIndex) makeRoom(t *indexTail, n int) (*indexTail, error) {
	next := newIndexTail(t.base, min(tailMax, max(8, 2*n)), t.entries[:min(n, tailMax)])
	if n >= tailMax {
		if err := x.write(); err != nil {
			return nil, err
		}
		next = newIndexTail(t.base+n-tailKept, tailMax, t.entries[n-tailKept:n])
	}
	x.tail.Store(next)
	return next, nil
}

// write brings the file up to date, and creates it if there is none.
func (x *sparseIndex) write() error {
	t := x.tail.Load()
	n := int(t.n.Load())
	if x.written == t.base+n && x.written > 0 {
		return nil
	}
	if x.before != nil {
		if err := x.before.write(); err != nil {
			return err
		}
	}
	f, err := x.fs.OpenFile(*x.path.Load(), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 0, (t.base+n-x.written)*x.entrySize)
	for _, e := range t.entries[x.written-t.base : n] {
		b = appendIndexEntry(b, x.entrySize, e)
	}
	if len(b) > 0 {
		if _, err := f.WriteAt(b, int64(x.written)*int64(x.entrySize)); err != nil {
			return err
		}
	}
	x.written = t.base + n
	return nil
}

// truncate keeps the first count entries, in memory and in the file.
func (x *sparseIndex) truncate(count int) error {
	t := x.tail.Load()
	if count >= t.base+int(t.n.Load()) {
		return nil
	}
	if x.written <= count {
		x.tail.Store(newIndexTail(t.base, 0, t.entries[:count-t.base]))
		return nil
	}
	f, err := x.fs.OpenFile(*x.path.Load(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(int64(count) * int64(x.entrySize)); err != nil {
		return err
	}
	return x.reload(f, count)
}

// lookup finds the last entry whose key, or value if byValue, is not above target. slot
// is its number, -1 if there is none.
func (x *sparseIndex) lookup(target int64, byValue bool) (e indexEntry, slot int, err error) {
	t := x.tail.Load()
	entries := t.entries[:t.n.Load()]
	if len(entries) > 0 && !above(entries[0], target, byValue) {
		i := sort.Search(len(entries), func(i int) bool { return above(entries[i], target, byValue) }) - 1
		return entries[i], t.base + i, nil
	}
	if t.base == 0 {
		return indexEntry{}, -1, nil
	}
	return x.cache.lookup(x.fs, indexFile{path: *x.path.Load()}, x.entrySize, t.base, target, byValue)
}

func above(e indexEntry, target int64, byValue bool) bool {
	if byValue {
		return int64(e.value) > target
	}
	return e.key > target
}

// indexCache keeps pieces of an index file that were looked up in last, so that readers
// that go through a segment open its index file only every few megabytes. Any goroutine
// may use it. It lives no longer than the segment stays open and uncut.
type indexCache struct {
	pieces [4]atomic.Pointer[indexPiece]
	next   atomic.Uint32
}

// reset forgets all pieces.
func (c *indexCache) reset() {
	for i := range c.pieces {
		c.pieces[i].Store(nil)
	}
}

// indexFile names an index file: by its path, or as that of a segment, whose path is put
// together only if the file must be opened.
type indexFile struct {
	path   string
	of     *openSegment
	suffix string
}

func (f indexFile) name() string {
	if f.of == nil {
		return f.path
	}
	return f.of.segment.path(f.of.log.Dir(), f.suffix)
}

// indexPiece is a run of entries of an index file. Lookups up to, not including, the
// last entry end in it; that is the next piece's first, or, if nothing will follow, a
// sentinel. Lookups below the first entry of all end in the first piece.
type indexPiece struct {
	base    int
	entries []indexEntry
}

// The number of entries in a piece.
const pieceSize = 256

// lookup finds the last entry among the first count in the file, or among all if count
// is negative and the file is complete.
func (c *indexCache) lookup(fsys FS, file indexFile, entrySize, count int, target int64, byValue bool) (indexEntry, int, error) {
	for i := range c.pieces {
		if p := c.pieces[i].Load(); p != nil && p.covers(target, byValue) {
			e, slot := p.find(target, byValue)
			return e, slot, nil
		}
	}
	path := file.name()
	p, err := readIndexPiece(fsys, path, entrySize, count, target, byValue)
	if err != nil {
		return indexEntry{}, -1, fmt.Errorf("read %s: %w", path, err)
	}
	e, slot := p.find(target, byValue)
	if p.covers(target, byValue) {
		c.pieces[c.next.Add(1)%uint32(len(c.pieces))].Store(p)
	}
	return e, slot, nil
}

func (p *indexPiece) covers(target int64, byValue bool) bool {
	n := len(p.entries)
	return n > 1 && (p.base == 0 || !above(p.entries[0], target, byValue)) && above(p.entries[n-1], target, byValue)
}

func (p *indexPiece) find(target int64, byValue bool) (indexEntry, int) {
	i := sort.Search(len(p.entries), func(i int) bool { return above(p.entries[i], target, byValue) }) - 1
	if i < 0 {
		return indexEntry{}, -1
	}
	return p.entries[i], p.base + i
}

// readIndexPiece reads the part of an index file in which the last entry lies that is not
// above target. A file that does not exist has no entries.
func readIndexPiece(fsys FS, path string, entrySize, count int, target int64, byValue bool) (*indexPiece, error) {
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return &indexPiece{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	complete := count < 0
	if complete {
		if count, err = indexFileCount(f, entrySize); err != nil {
			return nil, err
		}
	}
	// Which piece: the last whose first entry is not above target.
	low, high := 0, (count+pieceSize-1)/pieceSize // the answer lies in [low, high)
	var b [timeEntrySize]byte
	for high-low > 1 {
		mid := int(uint(low+high) / 2)
		if _, err := f.ReadAt(b[:entrySize], int64(mid)*pieceSize*int64(entrySize)); err != nil {
			return nil, err
		}
		if above(parseIndexEntry(b[:], entrySize), target, byValue) {
			high = mid
		} else {
			low = mid
		}
	}
	p := &indexPiece{base: low * pieceSize}
	if p.entries, err = readIndexEntries(f, entrySize, p.base, min(count, p.base+pieceSize+1)); err != nil {
		return nil, err
	}
	if complete && p.base+len(p.entries) == count {
		p.entries = append(p.entries, indexEntry{math.MaxInt64, math.MaxUint32})
	}
	return p, nil
}

// lastIndexEntry reads the newest entry of a file.
func lastIndexEntry(fsys FS, path string, entrySize int) (e indexEntry, count int, err error) {
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return indexEntry{}, 0, nil
	}
	if err != nil {
		return indexEntry{}, 0, err
	}
	defer f.Close()
	if count, err = indexFileCount(f, entrySize); err != nil || count == 0 {
		return indexEntry{}, 0, err
	}
	entries, err := readIndexEntries(f, entrySize, count-1, count)
	if err != nil {
		return indexEntry{}, 0, err
	}
	return entries[0], count, nil
}

// validIndexPrefix reads an index file that a crash may have left and returns the
// entries that can be right: keys ascend strictly, values do not descend (strictly
// ascend, in an offset index), and both fit the segment. Apache's zero padding ends it.
func validIndexPrefix(fsys FS, path string, entrySize int, fits func(indexEntry) bool) ([]indexEntry, error) {
	b, err := readFile(fsys, path, 1<<30)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries []indexEntry
	for ; len(b) >= entrySize; b = b[entrySize:] {
		e := parseIndexEntry(b, entrySize)
		if n := len(entries); n > 0 {
			last := entries[n-1]
			if e.key <= last.key || e.value < last.value || entrySize == offsetEntrySize && e.value == last.value {
				break
			}
		}
		if !fits(e) {
			break
		}
		entries = append(entries, e)
	}
	return slices.Clip(entries), nil
}
