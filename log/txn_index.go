package log

import (
	"encoding/binary"
	"errors"
	"fmt"
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
// The file is opened for each use: aborts are rare, and an index read again is in the
// page cache. Any goroutine may collect; the log's lock guards the rest.
type TransactionIndex struct {
	fs FS

	mu         sync.Mutex
	path       string
	size       int64 // whole entries in the file; -1 until it has been looked at
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

// load reads the file and notes its size and newest entry.
func (x *TransactionIndex) load() ([]AbortedTxn, error) {
	x.mu.Lock()
	path := x.path
	x.mu.Unlock()
	b, err := readFile(x.fs, path, maxTxnIndexSize)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read transaction index: %w", err)
	}
	txns, err := ParseTxnIndex(b)
	if err != nil {
		return nil, fmt.Errorf("read transaction index %s: %w", path, err)
	}
	return txns, nil
}

// A segment of 2 GiB cannot hold more markers than this many bytes of entries.
const maxTxnIndexSize = 1 << 30

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
	txns, err := x.load()
	if err != nil {
		return err
	}
	x.noteEnd(txns)
	return nil
}

func (x *TransactionIndex) noteEnd(txns []AbortedTxn) {
	x.size, x.lastOffset = int64(len(txns))*abortedTxnSize, -1
	if len(txns) > 0 {
		x.lastOffset = txns[len(txns)-1].LastOffset
	}
}

// All returns all entries.
func (x *TransactionIndex) All() ([]AbortedTxn, error) { return x.load() }

// CollectAbortedTxns appends to dst the transactions that overlap the offsets from
// fetchOffset up to, not including, upperBound. It says whether the search is done: no
// later segment can have more of them.
func (x *TransactionIndex) CollectAbortedTxns(dst []AbortedTxn, fetchOffset, upperBound int64) (_ []AbortedTxn, done bool, err error) {
	txns, err := x.load()
	if err != nil {
		return dst, false, err
	}
	for _, t := range txns {
		if t.LastOffset >= fetchOffset && t.FirstOffset < upperBound {
			dst = append(dst, t)
		}
		if t.LastStableOffset >= upperBound {
			return dst, true, nil
		}
	}
	return dst, false, nil
}

// TruncateTo removes the transactions whose markers are at or after offset.
func (x *TransactionIndex) TruncateTo(offset int64) error {
	txns, err := x.load()
	if err != nil {
		return err
	}
	keep := slices.IndexFunc(txns, func(t AbortedTxn) bool { return t.LastOffset >= offset })
	if keep < 0 {
		return nil
	}
	return x.truncate(txns[:keep])
}

// Reset removes all transactions.
func (x *TransactionIndex) Reset() error { return x.truncate(nil) }

func (x *TransactionIndex) truncate(keep []AbortedTxn) error {
	f, err := x.fs.OpenFile(x.path, os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrNotExist) {
		x.noteEnd(nil)
		return nil
	}
	if err == nil {
		err = errors.Join(f.Truncate(int64(len(keep))*abortedTxnSize), f.Close())
	}
	if err != nil {
		return fmt.Errorf("truncate transaction index: %w", err)
	}
	x.noteEnd(keep)
	return nil
}

// SanityCheck reads the file of a segment that begins at baseOffset and reports what
// cannot be: [ErrCorruptTxnIndex].
func (x *TransactionIndex) SanityCheck(baseOffset int64) error {
	txns, err := x.load()
	if err != nil {
		return err
	}
	for _, t := range txns {
		if t.LastOffset < baseOffset {
			return fmt.Errorf("%w: %s: last offset %d of a transaction is below the segment's base offset %d", ErrCorruptTxnIndex, x.path, t.LastOffset, baseOffset)
		}
	}
	return nil
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
