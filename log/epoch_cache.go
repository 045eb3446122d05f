package log

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// LeaderEpochCheckpointName is the file in a log's directory that holds its leader epochs.
const LeaderEpochCheckpointName = "leader-epoch-checkpoint"

// EpochEntry says at which offset a leader epoch began.
type EpochEntry struct {
	Epoch       int32
	StartOffset int64
}

// LeaderEpochCache knows at which offset each leader epoch of a partition began: both
// epochs and offsets ascend strictly. From it a follower finds where its log and its
// leader's part (KIP-101).
//
// Reading takes no lock. The log's lock guards the changing methods but for
// [LeaderEpochCache.Flush], which writes the file and must be called without it. Nothing
// is written before that: recovery finds the epochs of batches above the recovery point
// in the batches, so the file need only be as new as the recovery point is.
type LeaderEpochCache struct {
	entries atomic.Pointer[[]EpochEntry] // never changed in place; nil if there are none
	flushMu sync.Mutex                   // held while the file is written
	flushed *[]EpochEntry                // what the file holds; guarded by flushMu
	retired bool                         // the file's place is another's; guarded by flushMu
}

// OpenLeaderEpochCache reads the file in dir; without one the cache is empty.
func OpenLeaderEpochCache(fsys FS, dir string) (*LeaderEpochCache, error) {
	path := filepath.Join(dir, LeaderEpochCheckpointName)
	b, err := readCheckpointFile(fsys, path)
	if err != nil {
		return nil, err
	}
	read, err := parseEpochs(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	c := &LeaderEpochCache{}
	for _, e := range read {
		c.assign(e)
	}
	c.flushed = c.entries.Load()
	return c, nil
}

func parseEpochs(b []byte) ([]EpochEntry, error) {
	var entries []EpochEntry
	err := parseCheckpoint(b, 2, func(fields [][]byte) error {
		epoch, err := parseInt(fields[0], 32)
		if err != nil || epoch < 0 {
			return fmt.Errorf("%q is not a leader epoch", fields[0])
		}
		offset, err := parseInt(fields[1], 64)
		if err != nil || offset < 0 {
			return fmt.Errorf("%q is not an offset", fields[1])
		}
		entries = append(entries, EpochEntry{Epoch: int32(epoch), StartOffset: offset})
		return nil
	})
	return entries, err
}

func appendEpochs(dst []byte, entries []EpochEntry) []byte {
	dst = appendCheckpointHeader(dst, len(entries))
	for _, e := range entries {
		dst = strconv.AppendInt(dst, int64(e.Epoch), 10)
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, e.StartOffset, 10)
		dst = append(dst, '\n')
	}
	return dst
}

// Flush writes the file in dir if it is not up to date, and waits for the disk.
func (c *LeaderEpochCache) Flush(fsys FS, dir string) error { return c.write(fsys, dir, true) }

// write is Flush; without sync it leaves the waiting to the caller, who syncs the whole
// file system.
func (c *LeaderEpochCache) write(fsys FS, dir string, sync bool) error {
	c.flushMu.Lock()
	defer c.flushMu.Unlock()
	entries := c.entries.Load()
	if entries == c.flushed || c.retired {
		return nil
	}
	path, b := filepath.Join(dir, LeaderEpochCheckpointName), appendEpochs(nil, c.Entries())
	var err error
	if sync {
		err = writeFileAtomically(fsys, path, b)
	} else if err = writeWholeFile(fsys, path+".tmp", b, false); err == nil {
		err = fsys.Rename(path+".tmp", path)
	}
	if err != nil {
		return fmt.Errorf("write leader epochs: %w", err)
	}
	c.flushed = entries
	return nil
}

// retire has the file written no more, and waits for whoever is writing it.
func (c *LeaderEpochCache) retire() {
	c.flushMu.Lock()
	defer c.flushMu.Unlock()
	c.retired = true
}

// Entries returns all entries, oldest first. They must not be changed.
func (c *LeaderEpochCache) Entries() []EpochEntry {
	if e := c.entries.Load(); e != nil {
		return *e
	}
	return nil
}

func (c *LeaderEpochCache) set(entries []EpochEntry) {
	if len(entries) == 0 {
		c.entries.Store(nil)
		return
	}
	c.entries.Store(&entries)
}

// Assign notes that an epoch begins at an offset. Entries that contradict it, with an
// epoch or offset not below it, go. It says whether anything changed; most calls repeat
// the newest epoch and cost one load.
func (c *LeaderEpochCache) Assign(epoch int32, startOffset int64) (bool, error) {
	if epoch < 0 || startOffset < 0 {
		return false, fmt.Errorf("leader epoch %d at offset %d is invalid", epoch, startOffset)
	}
	return c.assign(EpochEntry{Epoch: epoch, StartOffset: startOffset}), nil
}

func (c *LeaderEpochCache) assign(e EpochEntry) bool {
	entries := c.Entries()
	if n := len(entries); n > 0 && entries[n-1].Epoch == e.Epoch && e.StartOffset >= entries[n-1].StartOffset {
		return false
	}
	keep := len(entries)
	for keep > 0 && (entries[keep-1].Epoch >= e.Epoch || entries[keep-1].StartOffset >= e.StartOffset) {
		keep--
	}
	c.set(append(slices.Clone(entries[:keep]), e))
	return true
}

// Latest is the newest entry.
func (c *LeaderEpochCache) Latest() (EpochEntry, bool) {
	entries := c.Entries()
	if len(entries) == 0 {
		return EpochEntry{}, false
	}
	return entries[len(entries)-1], true
}

// LatestEpoch is the newest epoch, or -1.
func (c *LeaderEpochCache) LatestEpoch() int32 {
	if e, ok := c.Latest(); ok {
		return e.Epoch
	}
	return -1
}

// EndOffsetFor answers where the requested epoch ended, in a log that ends at
// logEndOffset: the largest epoch known that is not above it, and where the next one
// begins. An epoch older than all known is answered with itself and where the oldest
// begins, for the records of that time are gone; one newer than all known, and -1, with
// -1 and -1.
func (c *LeaderEpochCache) EndOffsetFor(epoch int32, logEndOffset int64) (foundEpoch int32, endOffset int64) {
	entries := c.Entries()
	n := len(entries)
	if epoch == -1 || n == 0 || epoch > entries[n-1].Epoch {
		return -1, -1
	}
	if epoch == entries[n-1].Epoch {
		return epoch, logEndOffset
	}
	next, _ := slices.BinarySearchFunc(entries, epoch+1, func(e EpochEntry, epoch int32) int { return int(e.Epoch) - int(epoch) })
	if next == 0 {
		return epoch, entries[0].StartOffset
	}
	return entries[next-1].Epoch, entries[next].StartOffset
}

// EpochForOffset is the epoch in which the record at offset was written, or -1.
func (c *LeaderEpochCache) EpochForOffset(offset int64) int32 {
	epoch := int32(-1)
	for _, e := range c.Entries() {
		if e.StartOffset > offset {
			break
		}
		epoch = e.Epoch
	}
	return epoch
}

// TruncateFromEnd removes the epochs that begin at or after endOffset.
func (c *LeaderEpochCache) TruncateFromEnd(endOffset int64) bool {
	entries := c.Entries()
	keep := len(entries)
	for keep > 0 && endOffset >= 0 && entries[keep-1].StartOffset >= endOffset {
		keep--
	}
	if keep == len(entries) {
		return false
	}
	c.set(slices.Clone(entries[:keep]))
	return true
}

// TruncateFromStart removes the epochs that ended before startOffset, and makes the one
// it lies in begin there.
func (c *LeaderEpochCache) TruncateFromStart(startOffset int64) bool {
	entries := c.Entries()
	below := 0
	for below < len(entries) && entries[below].StartOffset <= startOffset {
		below++
	}
	if below == 0 || below == 1 && entries[0].StartOffset == startOffset {
		return false
	}
	kept := slices.Clone(entries[below-1:])
	kept[0].StartOffset = startOffset
	c.set(kept)
	return true
}

// Clear removes all epochs.
func (c *LeaderEpochCache) Clear() { c.set(nil) }
