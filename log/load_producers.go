package log

import (
	"math"
	"slices"
)

// loadProducers makes the state of producers as of the end of the log.
func (r *logLoad) loadProducers(end int64) error {
	l := r.log
	if len(r.snapshots) == 0 && (end == 0 || r.clean && !r.recovered) {
		return nil // a log shut down cleanly without a snapshot had no producers, as Apache Kafka sees it
	}
	p := NewProducerStateManager(l.partition, r.dir, l.fs(), l.manager.opts.ProducerState, l.manager.opts.Logger)
	p.SetSnapshots(r.snapshots)
	drop := dropSnapshots
	if r.clean {
		drop = l.removeStraySnapshots
	}
	if err := drop(p, r.segments); err != nil {
		return err
	}
	newest, _ := p.LatestSnapshot()
	if n := r.note; n != nil && n.noProducers && n.base >= 0 && n.logEndOffset <= end && n.logEndOffset >= l.logStartOffset.Load() && newest <= n.logEndOffset {
		// There was no producer when it was noted: nothing before can matter.
		if err := l.replayProducers(p, r.segments, r.note.logEndOffset, end); err != nil {
			return err
		}
		p.SetEndOffset(end)
	} else if err := l.reloadProducersBelowLocked(p, end, r.snapshotsBelow(end)); err != nil {
		return err
	}
	l.producersSeen.Store(!p.IsEmpty())
	if p.IsEmpty() && r.clean && !r.recovered {
		return nil // it is found again if somebody asks
	}
	l.producers = p
	l.updateFirstUnstableLocked()
	return nil
}

// snapshotsBelow is where the producer snapshot must lie below that a start begins with.
// After a kill producers send again what was not answered, up to five batches each, and
// the newest snapshot, of which they may be part, holds one. So it is passed over if the
// batches after the one before are few, as they are if either was not taken by a roll.
func (r *logLoad) snapshotsBelow(end int64) int64 {
	if r.clean {
		return math.MaxInt64
	}
	within := slices.DeleteFunc(slices.Sorted(slices.Values(r.snapshots)), func(offset int64) bool { return offset > end })
	atRoll := func(offset int64) bool {
		i := r.segments.floor(offset)
		return i >= 0 && r.segments[i].baseOffset == offset
	}
	n := len(within)
	if n == 0 || atRoll(within[n-1]) && (n == 1 || atRoll(within[n-2])) {
		return math.MaxInt64
	}
	return within[n-1]
}
