package log

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// logLoad is the loading of one log from its directory.
type logLoad struct {
	log           *Log
	dir           string
	clean         bool // the broker was shut down cleanly
	recoveryPoint int64
	logStart      int64 // by the checkpoint, -1 if it is not there
	highWatermark int64 // the same
	note          *progressNote

	segments  segmentList
	indexed   map[int64]bool // segments that have an offset index
	snapshots []int64
	epochs    *LeaderEpochCache
	hasEpochs bool
	noEpochs  bool // they must be taken from the batches
	recovered bool // segments were checked or changed

	overlapped bool // the segment checked last reached into the next one
}

// run finds out what there is in the directory, repairs what a crash or a compaction cut
// short left, and makes the log ready.
func (r *logLoad) run() error {
	l := r.log
	if id, err := ReadPartitionMetadata(l.fs(), r.dir); err == nil {
		l.storeTopicID(id)
	} else if !isNotExist(err) && !errors.Is(err, ErrPartitionMetadata) {
		return err
	} else if errors.Is(err, ErrPartitionMetadata) {
		l.manager.opts.Logger.Warn("partition.metadata cannot be read, the topic id is unknown", "partition", l.partition, "err", err)
	}
	if err := r.finishSwaps(); err != nil {
		return err
	}
	if err := r.listFiles(); err != nil {
		return err
	}
	if err := r.readEpochs(); err != nil {
		return err
	}
	end, err := r.recoverSegments()
	if err != nil {
		return err
	}
	return r.finish(end)
}

// finishSwaps removes what was to be deleted, and finishes or undoes what compaction was
// about: files ending in .cleaned were not complete, files ending in .swap replace the
// segments that they cover.
func (r *logLoad) finishSwaps() error {
	fsys := r.log.fs()
	files, err := fsys.ReadDir(r.dir)
	if err != nil {
		return err
	}
	var swaps []string
	minCleaned := int64(1<<63 - 1)
	for _, f := range files {
		name := f.Name()
		base, _, numbered := parseSegmentName(name)
		if f.IsDir() {
			continue
		}
		switch {
		case strings.HasSuffix(name, deletedSuffix), strings.HasSuffix(name, ".tmp"):
			err = removeIfExists(fsys, filepath.Join(r.dir, name))
		case strings.HasSuffix(name, cleanedSuffix):
			if numbered {
				minCleaned = min(minCleaned, base)
			}
			err = removeIfExists(fsys, filepath.Join(r.dir, name))
		case strings.HasSuffix(name, swapSuffix) && numbered:
			swaps = append(swaps, name)
		}
		if err != nil {
			return err
		}
	}
	if len(swaps) == 0 {
		return nil
	}
	r.recovered = true
	low, high := int64(1<<63-1), int64(-1)
	kept := swaps[:0]
	for _, name := range swaps {
		base, suffix, _ := parseSegmentName(name)
		if base >= minCleaned {
			// Part of a split of a segment that was not finished.
			if err := removeIfExists(fsys, filepath.Join(r.dir, name)); err != nil {
				return err
			}
			continue
		}
		kept = append(kept, name)
		if suffix != logSuffix+swapSuffix {
			continue
		}
		end, err := r.endOfSwap(name, base)
		if err != nil {
			return err
		}
		low, high = min(low, base), max(high, end)
	}
	for _, f := range files {
		base, _, ok := parseSegmentName(f.Name())
		if ok && base >= low && base < high && !strings.HasSuffix(f.Name(), swapSuffix) {
			if err := removeIfExists(fsys, filepath.Join(r.dir, f.Name())); err != nil {
				return err
			}
		}
	}
	for _, name := range kept {
		r.log.manager.opts.Logger.Info("Finishing an interrupted compaction", "partition", r.log.partition, "file", name)
		if err := fsys.Rename(filepath.Join(r.dir, name), filepath.Join(r.dir, strings.TrimSuffix(name, swapSuffix))); err != nil {
			return err
		}
	}
	return nil
}

// endOfSwap is the offset after the last batch of a .log.swap file.
func (r *logLoad) endOfSwap(name string, base int64) (int64, error) {
	path := filepath.Join(r.dir, name)
	f, err := r.log.fs().OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	scan := r.log.manager.scanner()
	defer r.log.manager.scanners.Put(scan)
	scan.reset(f, path, 0, info.Size())
	end := base
	for {
		ok, err := scan.scan()
		if err != nil || !ok {
			var corrupt *CorruptBatchError
			if errors.As(err, &corrupt) {
				err = nil
			}
			return end, err
		}
		end = scan.header.lastOffset + 1
	}
}

// listFiles finds the segments and snapshots, and removes indexes without a segment.
func (r *logLoad) listFiles() error {
	l := r.log
	files, err := l.fs().ReadDir(r.dir)
	if err != nil {
		return err
	}
	now := l.manager.nowMs()
	r.indexed = make(map[int64]bool)
	bySegment := make(map[int64]*segment)
	for _, f := range files {
		if f.Name() == LeaderEpochCheckpointName {
			r.hasEpochs = true
		}
		base, suffix, ok := parseSegmentName(f.Name())
		if !ok {
			continue
		}
		switch suffix {
		case logSuffix, indexSuffix, timeIndexSuffix, TxnIndexSuffix:
			if f.IsDir() {
				return fmt.Errorf("%s is a directory", filepath.Join(r.dir, f.Name()))
			}
		}
		if f.Type()&fs.ModeSymlink != 0 {
			if _, err := l.fs().Stat(filepath.Join(r.dir, f.Name())); err != nil {
				return err
			}
		}
		switch suffix {
		case logSuffix:
			info, err := l.fs().Stat(filepath.Join(r.dir, f.Name()))
			if err != nil {
				return err
			}
			s := newSegment(base, now)
			s.jitter = l.manager.jitter(l.config.Load())
			s.size.Store(info.Size())
			r.segments = append(r.segments, s)
			bySegment[base] = s
		case ProducerSnapshotSuffix:
			if !f.IsDir() {
				r.snapshots = append(r.snapshots, base)
			}
		}
	}
	for _, f := range files {
		base, suffix, ok := parseSegmentName(f.Name())
		if !ok || suffix != indexSuffix && suffix != timeIndexSuffix && suffix != TxnIndexSuffix {
			continue
		}
		s := bySegment[base]
		if s == nil {
			l.manager.opts.Logger.Warn("Found an orphaned index file, with no log file, and remove it", "partition", l.partition, "file", f.Name())
			if err := removeIfExists(l.fs(), filepath.Join(r.dir, f.Name())); err != nil {
				return err
			}
			continue
		}
		switch suffix {
		case indexSuffix:
			r.indexed[base] = true
		case TxnIndexSuffix:
			s.txnIndex.Store(OpenTransactionIndex(l.fs(), s.path(r.dir, TxnIndexSuffix)))
		}
	}
	slices.SortFunc(r.segments, func(a, b *segment) int { return compareInt64(a.baseOffset, b.baseOffset) })
	return nil
}

func compareInt64(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (r *logLoad) readEpochs() error {
	if !r.hasEpochs {
		r.epochs = &LeaderEpochCache{}
		return nil
	}
	c, err := OpenLeaderEpochCache(r.log.fs(), r.dir)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			return err
		}
		r.log.manager.opts.Logger.Warn("leader-epoch-checkpoint cannot be read, its epochs are taken from the batches", "partition", r.log.partition, "err", err)
		c, r.noEpochs = &LeaderEpochCache{}, true
	}
	r.epochs = c
	return nil
}

// recoverSegments returns the log end offset, after having checked what must be checked.
func (r *logLoad) recoverSegments() (int64, error) {
	l := r.log
	l.segments.Store(&r.segments) // for the lookups that recovery makes
	end := max(r.logStart, 0)
	if n := len(r.segments); n > 0 {
		end = r.segments[n-1].baseOffset
	}
	for i := 0; i < len(r.segments); i++ {
		s := r.segments[i]
		last := i == len(r.segments)-1
		if !r.mustRecover(i) {
			if !last {
				continue
			}
			next, err := l.endOfSegment(s)
			var corrupt *CorruptBatchError
			if err == nil {
				return next, nil
			}
			if !errors.As(err, &corrupt) {
				return 0, err
			}
			l.manager.opts.Logger.Warn("Found a corrupt segment although the shutdown was clean, checking it", "partition", l.partition, "baseOffset", s.baseOffset, "err", err)
		}
		limit := int64(1<<63 - 1)
		if !last {
			limit = r.segments[i+1].baseOffset
		}
		next, cut, err := r.recoverSegment(s, limit)
		if err != nil {
			return 0, err
		}
		end = next
		if cut > 0 && !last && !r.overlapped {
			l.manager.opts.Logger.Warn("Corruption found in log segment, the segments after it are dropped",
				"partition", l.partition, "baseOffset", s.baseOffset, "offset", next, "segments", len(r.segments)-i-1)
			if err := r.drop(r.segments[i+1:]); err != nil {
				return 0, err
			}
			r.segments = r.segments[: i+1 : i+1]
			l.segments.Store(&r.segments)
		}
	}
	return end, nil
}

// mustRecover says whether the batches of a segment must be looked at.
func (r *logLoad) mustRecover(i int) bool {
	s := r.segments[i]
	last := i == len(r.segments)-1
	switch {
	case s.size.Load() > 0 && !r.indexed[s.baseOffset]:
		return true
	case r.clean:
		return false
	case last:
		return true
	case r.segments[i+1].baseOffset <= r.recoveryPoint:
		return false
	}
	return !r.trusts(s) // complete when the next one was begun
}

// trusts says whether the note tells that the segment was complete.
func (r *logLoad) trusts(s *segment) bool { return r.note != nil && s.baseOffset < r.note.base }

func (r *logLoad) recoverSegment(s *segment, limit int64) (next, cut int64, err error) {
	r.recovered = true
	rec := segmentRecovery{log: r.log, segment: s, dir: r.dir, trustedOffset: r.recoveryPoint, limit: limit}
	switch {
	case r.note == nil:
	case s.baseOffset < r.note.base:
		rec.trustedPos = s.size.Load()
	case s.baseOffset == r.note.base && r.note.size <= s.size.Load():
		rec.trustedPos = r.note.size
	}
	next, cut, err = rec.run(r.epochs)
	r.overlapped = rec.overlapped
	if err != nil {
		return 0, 0, fmt.Errorf("recover segment %d: %w", s.baseOffset, err)
	}
	if x := s.txnIndex.Load(); x != nil {
		err := x.SanityCheck(s.baseOffset)
		if errors.Is(err, ErrCorruptTxnIndex) {
			err = x.Reset()
		} else if err == nil {
			err = x.TruncateTo(next)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return next, cut, nil
}

// drop renames the files of segments so that they are deleted.
func (r *logLoad) drop(segments segmentList) error {
	l := r.log
	for _, s := range segments {
		if err := l.closeSegmentLocked(s); err != nil {
			return err
		}
		for _, suffix := range []string{logSuffix, indexSuffix, timeIndexSuffix, TxnIndexSuffix} {
			if err := l.deleteLater(s.path(r.dir, suffix), l.config.Load().FileDeleteDelay); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish sets the log's offsets, and loads the producers' state if there is any.
func (r *logLoad) finish(end int64) error {
	l := r.log
	if len(r.segments) > 0 && end < r.logStart {
		l.manager.opts.Logger.Warn("Deleting all segments because the log ends before its start, segment files must have been removed",
			"partition", l.partition, "logEndOffset", end, "logStartOffset", r.logStart)
		if err := r.drop(r.segments); err != nil {
			return err
		}
		r.segments, r.recovered = nil, true
		r.epochs.Clear()
	}
	if len(r.segments) == 0 {
		end = max(r.logStart, 0)
		s := newSegment(end, l.manager.nowMs())
		s.jitter = l.manager.jitter(l.config.Load())
		r.segments = segmentList{s}
	}
	had := max(r.recoveryPoint, r.highWatermark)
	if r.note != nil {
		had = max(had, r.note.logEndOffset)
	}
	if end < had {
		l.manager.opts.Logger.Warn("The log ends earlier than it is known to have ended: records are missing",
			"partition", l.partition, "dir", r.dir, "logEndOffset", end, "was", had)
	}
	start := max(r.logStart, r.segments[0].baseOffset)
	recoveryPoint := min(max(r.recoveryPoint, 0), end)
	if r.clean && !r.recovered {
		recoveryPoint = end
	}
	if r.noEpochs {
		c, err := l.epochsInBatches(r.segments)
		if err != nil {
			return err
		}
		r.epochs = c
	}
	l.segments.Store(&r.segments)
	l.logEndOffset.Store(end)
	l.logStartOffset.Store(start)
	l.highWatermark.Store(min(max(r.highWatermark, start), end))
	l.recoveryPoint.Store(recoveryPoint)
	l.durableOffset.Store(recoveryPoint)
	l.firstUnstable.Store(-1)
	l.lastFlushMs.Store(l.manager.nowMs())
	if r.note != nil {
		for _, e := range r.note.epochs {
			if e.StartOffset < end && e.Epoch > r.epochs.LatestEpoch() {
				if _, err := r.epochs.Assign(e.Epoch, e.StartOffset); err != nil {
					return err
				}
			}
		}
	}
	r.epochs.TruncateFromEnd(end)
	r.epochs.TruncateFromStart(start)
	l.epochs.Store(r.epochs)
	return r.loadProducers(end)
}

// parseLogDirName splits the name of a log's directory: topic-partition, or that with a
// dot, a unique id and one of the suffixes.
func parseLogDirName(name string) (tp protocol.TopicPartition, suffix string, ok bool) {
	for _, s := range []string{deleteSuffix, futureSuffix, straySuffix} {
		if strings.HasSuffix(name, s) {
			// Without the dot it is an ordinary topic's: my-delete... has a partition.
			dot := strings.LastIndexByte(name, '.')
			if dot < 0 {
				return tp, "", false
			}
			name, suffix = name[:dot], s
			break
		}
	}
	dash := strings.LastIndexByte(name, '-')
	if dash <= 0 {
		return tp, "", false
	}
	partition, err := strconv.ParseInt(name[dash+1:], 10, 32)
	if err != nil || partition < 0 {
		return tp, "", false
	}
	return protocol.TopicPartition{Topic: name[:dash], Partition: int32(partition)}, suffix, true
}
