package log

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
)

const (
	noTimestamp      = -1
	timestampUnknown = -2 // must be looked up in a file first
)

// segment is a run of batches in a file, with its indexes. Of a segment nobody uses only
// this struct is in memory.
type segment struct {
	baseOffset int64

	// Bytes of whole batches in the file; more may be there after a failed write. Stored
	// after the write, so that what a reader sees can be read.
	size atomic.Int64

	// Set, with openMu held, before the files of a segment that is no longer the log's are
	// renamed: from then on their names may be another segment's.
	gone atomic.Bool

	open     atomic.Pointer[openSegment]
	txnIndex atomic.Pointer[TransactionIndex] // nil if the segment has no aborted transactions

	// The rest is guarded by the log's lock, but for maxTimestamp of inactive segments,
	// which does not change once known.

	maxTimestamp       atomic.Int64 // the largest so far, or timestampUnknown
	maxTimestampOffset int64        // last offset of the batch that has it
	firstTimestamp     int64        // the largest of the first append, by which segment.ms counts
	created            int64        // ms; segment.ms counts from here if the first append has no timestamp
	timeDirty          bool         // maxTimestamp may lack its entry in the time index
	bytesSinceIndex    int64        // since the last index entry
	jitter             int64        // ms; taken off segment.ms
}

func newSegment(baseOffset, nowMs int64) *segment {
	s := &segment{baseOffset: baseOffset, created: nowMs, maxTimestampOffset: baseOffset, firstTimestamp: timestampUnknown}
	s.maxTimestamp.Store(timestampUnknown)
	return s
}

// fits says whether an offset can be told by its distance to the base offset.
func (s *segment) fits(offset int64) bool {
	return offset >= s.baseOffset && offset-s.baseOffset <= 1<<31-1
}

// segmentName is Kafka's name of a segment's file: the base offset in 20 digits.
func segmentName(baseOffset int64, suffix string) string {
	return fmt.Sprintf("%020d%s", baseOffset, suffix)
}

func (s *segment) path(dir, suffix string) string {
	return filepath.Join(dir, segmentName(s.baseOffset, suffix))
}

// parseSegmentName reads the base offset before the first dot of a segment file's name.
func parseSegmentName(name string) (baseOffset int64, suffix string, ok bool) {
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.':
			return baseOffset, name[i:], i > 0
		case c < '0' || c > '9' || i >= 20:
			return 0, "", false
		case baseOffset > (1<<63-1-int64(c-'0'))/10:
			return 0, "", false
		default:
			baseOffset = baseOffset*10 + int64(c-'0')
		}
	}
	return 0, "", false
}

// segmentList is the segments of a log, oldest first, never empty; the last is the
// active one. It is never changed in place.
type segmentList []*segment

func (l segmentList) active() *segment { return l[len(l)-1] }

// floor is the place of the segment that would hold offset, -1 if all begin after it.
func (l segmentList) floor(offset int64) int {
	low, high := 0, len(l)
	for low < high {
		mid := int(uint(low+high) / 2)
		if l[mid].baseOffset > offset {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low - 1
}

func (l segmentList) size() int64 {
	var n int64
	for _, s := range l {
		n += s.size.Load()
	}
	return n
}

// openSegment is a segment in use: its open file and, if something has been appended
// since it was opened, its indexes.
type openSegment struct {
	log     *Log
	segment *segment
	file    *openFile
	path    string      // of the .log file when it was opened, for messages
	used    atomic.Bool // since the cache last looked
	doubted atomic.Bool // the index was found to be wrong

	// Only of the active segment, and only once something is appended; nil if the index
	// files hold everything.
	indexes atomic.Pointer[activeIndexes]

	cache indexCache // of the offset index file, while indexes is nil

	// The positions of the high watermark and the last stable offset, when they lay in
	// this segment and were last looked up.
	limits [2]offsetPosition
}

type activeIndexes struct {
	// The file of times is written first: recovery takes the largest timestamp up to the
	// last entry of the file of offsets from it.
	offsets, times *sparseIndex
	lastTime       indexEntry // the newest time entry; key noTimestamp if there is none
}

// offsetPosition remembers where in a file an offset begins. Readers look and store
// without a lock: version is odd while somebody stores.
type offsetPosition struct {
	version     atomic.Uint32
	offset, pos atomic.Int64
}

func (p *offsetPosition) load(offset int64) (pos int64, ok bool) {
	v := p.version.Load()
	if v == 0 || v&1 != 0 || p.offset.Load() != offset {
		return 0, false
	}
	pos = p.pos.Load()
	return pos, p.version.Load() == v
}

func (p *offsetPosition) store(offset, pos int64) {
	v := p.version.Load()
	if v&1 != 0 || !p.version.CompareAndSwap(v, v+1) {
		return
	}
	p.offset.Store(offset)
	p.pos.Store(pos)
	p.version.Store(v + 2)
}

// lookupOffset finds the last offset index entry whose offset is not above offset.
func (o *openSegment) lookupOffset(offset int64) (indexEntry, int, error) {
	return o.lookup(offset-o.segment.baseOffset, false)
}

// lookupPosition finds the last offset index entry whose position is not above pos.
func (o *openSegment) lookupPosition(pos int64) (indexEntry, int, error) {
	return o.lookup(pos, true)
}

func (o *openSegment) lookup(target int64, byValue bool) (indexEntry, int, error) {
	if x := o.indexes.Load(); x != nil {
		return x.offsets.lookup(target, byValue)
	}
	e, slot, err := o.cache.lookup(o.log.fs(), indexFile{of: o, suffix: indexSuffix}, offsetEntrySize, -1, target, byValue)
	if o.segment.gone.Load() {
		return e, slot, errSegmentGone // it may have been another's index
	}
	return e, slot, err
}

// walkFrom starts a walk that will come to the batch that holds offset: where the offset
// index says, or, if it is wrong, at the segment's beginning. No batch may be passed over
// because of a damaged index.
func (o *openSegment) walkFrom(scan *batchScanner, offset, end int64) error {
	e, _, err := o.lookupOffset(offset)
	if err != nil {
		return err
	}
	scan.reset(o.file.f, o.path, int64(e.value), end)
	if e.value == 0 {
		return nil
	}
	ok, err := scan.scan()
	if ok && scan.header.baseOffset <= offset {
		scan.next = scan.header.pos
		return nil
	}
	var corrupt *CorruptBatchError
	if err != nil && !errors.As(err, &corrupt) {
		return err
	}
	if !o.doubted.Swap(true) {
		o.log.manager.opts.Logger.Warn("Offset index is wrong and is passed over", "partition", o.log.partition,
			"file", o.segment.path(o.log.Dir(), indexSuffix), "offset", offset, "entry", e.value)
	}
	scan.reset(o.file.f, o.path, 0, end)
	return nil
}

// errSegmentGone says that a segment was deleted or replaced. Readers look again.
var errSegmentGone = fmt.Errorf("the segment is gone: %w", os.ErrNotExist)

// lookupTime finds the last time index entry whose timestamp is not above timestamp.
func (o *openSegment) lookupTime(timestamp int64) (indexEntry, int, error) {
	if x := o.indexes.Load(); x != nil {
		return x.times.lookup(timestamp, false)
	}
	var once indexCache
	e, slot, err := once.lookup(o.log.fs(), indexFile{of: o, suffix: timeIndexSuffix}, timeEntrySize, -1, timestamp, false)
	if o.segment.gone.Load() {
		return e, slot, errSegmentGone
	}
	return e, slot, err
}

// acquire returns the segment opened, with a hold on its file that the caller releases.
// create is for the appender, whose segment may not have a file yet.
func (l *Log) acquire(s *segment, create bool) (*openSegment, error) {
	for {
		if o := s.open.Load(); o != nil {
			if o.file.tryAcquire() {
				if !o.used.Load() {
					o.used.Store(true)
				}
				return o, nil
			}
			s.open.CompareAndSwap(o, nil)
		}
		o, err := l.openSegment(s, create)
		if err != nil {
			return nil, err
		}
		if o != nil {
			l.manager.cache.add(o)
			return o, nil
		}
	}
}

// openSegment opens the segment's file; it returns nil if somebody else just has.
func (l *Log) openSegment(s *segment, create bool) (*openSegment, error) {
	l.openMu.Lock()
	defer l.openMu.Unlock()
	if s.open.Load() != nil {
		return nil, nil
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	if s.gone.Load() {
		return nil, errSegmentGone
	}
	flag := os.O_RDWR
	if create {
		flag |= os.O_CREATE
	}
	path := s.path(l.Dir(), logSuffix)
	f, err := l.fs().OpenFile(path, flag, 0o644)
	if err != nil {
		return nil, err
	}
	o := &openSegment{log: l, segment: s, file: newOpenFile(f), path: path}
	o.used.Store(true)
	o.file.refs.Add(1) // one for the segment, one for the caller
	s.open.Store(o)
	return o, nil
}

// closeSegment lets go of the segment's file and indexes, writing what is not in the
// index files yet. It is called with mu held; readers keep the file as long as they
// need it.
func (l *Log) closeSegmentLocked(s *segment) error {
	o := s.open.Load()
	if o == nil {
		return nil
	}
	err := o.writeIndexes()
	l.openMu.Lock()
	detached := s.open.CompareAndSwap(o, nil)
	l.openMu.Unlock()
	if detached {
		l.manager.cache.remove(o)
		err = errors.Join(err, o.file.release())
	}
	return err
}

// setGone tells readers that the segment's files are about to be renamed.
func (l *Log) setGone(s *segment) {
	l.openMu.Lock()
	defer l.openMu.Unlock()
	s.gone.Store(true)
}

// writeIndexes brings the index files up to date. The log's lock is held.
func (o *openSegment) writeIndexes() error {
	x := o.indexes.Load()
	if x == nil {
		return nil
	}
	return errors.Join(x.times.write(), x.offsets.write())
}
