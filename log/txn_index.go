package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

// AbortedTxn is an entry of a transaction index, 34 bytes:
//
//	 0 version             2   0
//	 2 producer id         8
//	10 first offset        8
//	18 last offset         8   of the abort marker
//	26 last stable offset  8
type AbortedTxn struct {
	ProducerID       int64
	FirstOffset      int64 // of the transaction's first batch
	LastOffset       int64 // of its abort marker
	LastStableOffset int64 // what it became when the marker was written
}

const (
	abortedTxnSize    = 34
	abortedTxnVersion = 0
)

// TxnIndexSuffix ends the names of transaction index files.
const TxnIndexSuffix = ".txnindex"

// ErrCorruptTxnIndex says that a transaction index cannot be used and must be rebuilt.
var ErrCorruptTxnIndex = errors.New("transaction index is corrupt")

func appendAbortedTxn(dst []byte, t AbortedTxn) []byte {
	be := binary.BigEndian
	dst = be.AppendUint16(dst, abortedTxnVersion)
	dst = be.AppendUint64(dst, uint64(t.ProducerID))
	dst = be.AppendUint64(dst, uint64(t.FirstOffset))
	dst = be.AppendUint64(dst, uint64(t.LastOffset))
	return be.AppendUint64(dst, uint64(t.LastStableOffset))
}

// parseAbortedTxn reads the entry at the start of b, which has one.
func parseAbortedTxn(b []byte) (AbortedTxn, error) {
	be := binary.BigEndian
	if v := int16(be.Uint16(b)); v > abortedTxnVersion {
		return AbortedTxn{}, fmt.Errorf("%w: version %d is unknown", ErrCorruptTxnIndex, v)
	}
	return AbortedTxn{
		ProducerID:       int64(be.Uint64(b[2:])),
		FirstOffset:      int64(be.Uint64(b[10:])),
		LastOffset:       int64(be.Uint64(b[18:])),
		LastStableOffset: int64(be.Uint64(b[26:])),
	}, nil
}

// ParseTxnIndex reads the contents of a transaction index. A cut-off entry at the end is
// left out, as Apache does.
func ParseTxnIndex(b []byte) ([]AbortedTxn, error) {
	txns := make([]AbortedTxn, 0, len(b)/abortedTxnSize)
	for ; len(b) >= abortedTxnSize; b = b[abortedTxnSize:] {
		t, err := parseAbortedTxn(b)
		if err != nil {
			return nil, err
		}
		txns = append(txns, t)
	}
	return txns, nil
}

// TransactionIndex is the .txnindex file of a segment: the aborted transactions whose
// markers the segment holds, in the order of their markers. Consumers of committed
// records are told of them. Most segments have none and then have no file; such a
// segment needs no TransactionIndex either.
//
// The file is opened for each use: aborts are rare, and an index that is read again is in
// the page cache. Any goroutine may collect; the log's lock guards the methods that
// change something.
type TransactionIndex struct {
	fs FS

	mu   sync.Mutex
	path string // also guarded by the log's lock, for writing

	size       int64 // of the entries in the file; -1 until it has been looked at
	lastOffset int64 // of the newest entry, or -1
}

// OpenTransactionIndex names the index file at path, which need not exist. It reads nothing.
func OpenTransactionIndex(fsys FS, path string) *TransactionIndex {
	return &TransactionIndex{fs: fsys, path: path, size: -1, lastOffset: -1}
}

// Path is where the file is, or would be.
func (x *TransactionIndex) Path() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.path
}

// SetPath tells that the file was renamed.
func (x *TransactionIndex) SetPath(path string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.path = path
}

// each calls fn for the entries in order until it returns false. There are none if there
// is no file, and a cut-off one at the end does not count.
func (x *TransactionIndex) each(fn func(AbortedTxn) bool) error {
	path := x.Path()
	f, err := x.fs.OpenFile(path, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read transaction index: %w", err)
	}
	defer f.Close()
	b := make([]byte, 60*abortedTxnSize)
	for position := int64(0); ; {
		n, err := f.ReadAt(b, position)
		if err != nil && err != io.EOF {
			return fmt.Errorf("read transaction index: %w", err)
		}
		whole := n - n%abortedTxnSize
		for entry := range slices.Chunk(b[:whole], abortedTxnSize) {
			t, err := parseAbortedTxn(entry)
			if err != nil {
				return fmt.Errorf("read transaction index %s: %w", path, err)
			}
			if !fn(t) {
				return nil
			}
		}
		if n < len(b) {
			return nil
		}
		position += int64(whole)
	}
}

// Append adds an aborted transaction. Its last offset must be above all before.
func (x *TransactionIndex) Append(t AbortedTxn) error {
	if err := x.learnEnd(); err != nil {
		return err
	}
	if t.LastOffset <= x.lastOffset {
		return fmt.Errorf("append to transaction index %s: last offset %d is not above %d", x.path, t.LastOffset, x.lastOffset)
	}
	f, err := x.fs.OpenFile(x.path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("append to transaction index: %w", err)
	}
	_, err = f.WriteAt(appendAbortedTxn(nil, t), x.size)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("append to transaction index: %w", err)
	}
	x.size, x.lastOffset = x.size+abortedTxnSize, t.LastOffset
	return nil
}

// learnEnd looks at the file if that has not been done.
func (x *TransactionIndex) learnEnd() error {
	if x.size >= 0 {
		return nil
	}
	size, lastOffset := int64(0), int64(-1)
	err := x.each(func(t AbortedTxn) bool {
		size, lastOffset = size+abortedTxnSize, t.LastOffset
		return true
	})
	if err == nil {
		x.size, x.lastOffset = size, lastOffset
	}
	return err
}

// All returns all entries.
func (x *TransactionIndex) All() ([]AbortedTxn, error) {
	var all []AbortedTxn
	err := x.each(func(t AbortedTxn) bool {
		all = append(all, t)
		return true
	})
	return all, err
}

// CollectAbortedTxns appends to dst the transactions that overlap the offsets from
// fetchOffset up to, not including, upperBound. It says whether the search is done: no
// later segment can have more of them.
func (x *TransactionIndex) CollectAbortedTxns(dst []AbortedTxn, fetchOffset, upperBound int64) (_ []AbortedTxn, done bool, err error) {
	err = x.each(func(t AbortedTxn) bool {
		if t.LastOffset >= fetchOffset && t.FirstOffset < upperBound {
			dst = append(dst, t)
		}
		done = t.LastStableOffset >= upperBound
		return !done
	})
	return dst, done, err
}

// TruncateTo removes the transactions whose markers are at or after offset.
func (x *TransactionIndex) TruncateTo(offset int64) error {
	size, lastOffset, above := int64(0), int64(-1), false
	err := x.each(func(t AbortedTxn) bool {
		if above = t.LastOffset >= offset; above {
			return false
		}
		size, lastOffset = size+abortedTxnSize, t.LastOffset
		return true
	})
	if err != nil || !above {
		return err
	}
	return x.truncate(size, lastOffset)
}

// Reset removes all transactions.
func (x *TransactionIndex) Reset() error { return x.truncate(0, -1) }

func (x *TransactionIndex) truncate(size, lastOffset int64) error {
	f, err := x.fs.OpenFile(x.path, os.O_WRONLY, 0o644)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Close())
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("truncate transaction index: %w", err)
	}
	x.size, x.lastOffset = size, lastOffset
	return nil
}

// SanityCheck reads the file of a segment that begins at baseOffset and reports what
// cannot be: [ErrCorruptTxnIndex].
func (x *TransactionIndex) SanityCheck(baseOffset int64) error {
	var corrupt error
	err := x.each(func(t AbortedTxn) bool {
		if t.LastOffset < baseOffset {
			corrupt = fmt.Errorf("%w: %s: last offset %d of a transaction is below the segment's base offset %d",
				ErrCorruptTxnIndex, x.path, t.LastOffset, baseOffset)
		}
		return corrupt == nil
	})
	return errors.Join(err, corrupt)
}

// Flush makes the file durable, if there is one.
func (x *TransactionIndex) Flush() error {
	f, err := x.fs.OpenFile(x.Path(), os.O_RDWR, 0o644)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("flush transaction index: %w", err)
	}
	return nil
}
