package log

import (
	"github.com/barnabas-broker/barnabas/protocol"
)

// GroupAppend is one append of a group: what goes into [Log.Append] and what comes out.
type GroupAppend struct {
	Records []byte
	Options AppendOptions

	Info AppendInfo
	Err  error

	result    protocol.ValidateResult
	appending bool // result is to be appended
}

// maxGroupBytes is how much of a group is written at once.
const maxGroupBytes = 64 << 10

// AppendGroup appends each of a group as [Log.Append] would, one after the other. Nobody
// can tell the difference, but that batches which come to lie side by side are written by
// one pwrite, under one lock: for small ones the call costs several times their bytes.
func (l *Log) AppendGroup(group []GroupAppend) {
	cfg := l.config.Load()
	now := l.manager.nowMs()
	v := l.manager.validators.Get().(*protocol.Validator)
	defer l.manager.validators.Put(v)
	for len(group) > 0 {
		n := l.validateGroup(v, group, cfg, now)
		l.appendValidated(group[:n], cfg, now)
		group = group[n:]
	}
}

// validateGroup validates the first of a group, and returns how many: what v has rewritten
// lies in its own memory until it is used again.
func (l *Log) validateGroup(v *protocol.Validator, group []GroupAppend, cfg *Config, nowMs int64) int {
	for i := range group {
		a := &group[i]
		a.result, a.Err = l.validate(v, a.Records, cfg, a.Options, nowMs)
		a.appending = a.Err == nil && len(a.result.Batches) > 0
		if !a.appending {
			a.Info = l.refused()
		}
		if a.result.Rewritten {
			return i + 1
		}
	}
	return len(group)
}

func (l *Log) appendValidated(group []GroupAppend, cfg *Config, nowMs int64) {
	w := groupWriter{log: l, cfg: cfg, nowMs: nowMs, group: group, scratch: l.manager.groupBuffers.Get().(*[]byte)}
	l.mu.Lock()
	for w.at = range group {
		if a := &group[w.at]; a.appending && w.writeErr == nil {
			a.Err = w.append(a)
		}
	}
	w.at = len(group)
	w.write()
	if w.writeErr != nil {
		// The producers' state counts in what was not written: before anybody else asks it,
		// the log is out of service.
		w.writeErr = l.fail("append to", w.writeErr)
	}
	mustSync := w.appended && w.writeErr == nil && l.mustSyncLocked(cfg)
	l.mu.Unlock()
	l.manager.groupBuffers.Put(w.scratch)
	for i := range group {
		a := &group[i]
		if w.writeErr != nil && i >= w.from && a.appending && a.Err == nil {
			a.Err = w.writeErr
		}
		switch {
		case !a.appending:
		case a.Err != nil:
			a.Err, a.Info = l.fail("append to", a.Err), l.refused()
		case !a.Info.Duplicate:
			a.Info.MustSync = mustSync
		}
	}
}

// groupWriter gathers batches that follow each other in the active segment. What it has
// gathered has its offsets, and the producers' state counts it in already: if it then
// cannot be written the log's directory goes out of service, and with it that state.
type groupWriter struct {
	log      *Log
	cfg      *Config
	nowMs    int64
	group    []GroupAppend
	at       int // in group: the one being appended
	from     int // in group: all before it are answered for, whatever happens to the rest
	segment  *segment
	bytes    []byte // gathered: one batch itself, or several in scratch
	end      int64  // log end offset after them
	gathered int    // batches
	scratch  *[]byte
	appended bool
	writeErr error
}

// append gathers a batch, or writes it if it must not wait for others.
func (w *groupWriter) append(a *GroupAppend) error {
	l, r := w.log, &a.result
	if err := l.Err(); err != nil {
		return err
	}
	producers, err := l.producersLocked()
	if err != nil {
		return err
	}
	w.assign(r, a.Options.LeaderEpoch)
	if w.gathered > 0 && !w.joins(r) {
		if err := w.write(); err != nil {
			return err
		}
	}
	first := r.FirstOffset
	if err := l.noteEpochLocked(r.Header.LeaderEpoch, first); err != nil {
		return err
	}
	if w.gathered == 0 {
		if w.segment, err = l.segmentForLocked(w.cfg, int64(len(r.Batches)), first, r.LastOffset, r.MaxTimestamp, w.nowMs); err != nil {
			return err
		}
	}
	a.Info = AppendInfo{
		FirstOffset: first, LastOffset: r.LastOffset, LogAppendTime: r.LogAppendTimeMs, LogStartOffset: l.logStartOffset.Load(),
		MaxTimestamp: r.MaxTimestamp, RecordCount: int(r.RecordCount), Size: len(r.Batches), LeaderEpoch: a.Options.LeaderEpoch,
	}
	duplicate, isDuplicate, err := producers.Prepare(a.Options.Origin, &r.Header, r.Batches)
	if err != nil {
		return err
	}
	if isDuplicate {
		a.Info.setDuplicate(duplicate)
		a.Info.MustSync = w.cfg.DurableAcks && l.durableOffset.Load() <= duplicate.LastOffset
		return nil
	}
	if r.Header.HasProducerID() && !l.producersSeen.Load() {
		l.producersSeen.Store(true)
	}
	w.appended = true
	if w.exclusive(r) {
		if err := l.writeLocked(w.segment, w.cfg, r.Batches, r.LastOffset); err != nil {
			producers.Discard()
			return err
		}
		return l.commitLocked(producers, r.LastOffset+1)
	}
	w.gather(r)
	return l.commitLocked(producers, r.LastOffset+1)
}

func (w *groupWriter) assign(r *protocol.ValidateResult, leaderEpoch int32) {
	first := w.log.logEndOffset.Load()
	if w.gathered > 0 {
		first = w.end
	}
	r.Assign(first, leaderEpoch)
}

// exclusive says whether a batch is written by itself: what it changes beyond the log must
// not be seen before it is in it.
func (w *groupWriter) exclusive(r *protocol.ValidateResult) bool {
	return r.Header.IsTransactional() || r.Header.IsControl()
}

// joins says whether a batch may be written together with those gathered. If it is not
// sure it says no.
func (w *groupWriter) joins(r *protocol.ValidateResult) bool {
	s, size := w.segment, int64(len(w.bytes)+len(r.Batches))
	if size > maxGroupBytes || w.exclusive(r) || s.size.Load() == 0 {
		return false
	}
	_, x, err := w.log.openForAppendLocked(s)
	if err != nil || int64(max(x.offsets.count(), x.times.count())+w.gathered+1) >= w.cfg.MaxIndexSize/timeEntrySize-1 {
		return false
	}
	roll, err := w.log.shouldRollLocked(s, w.cfg, size, r.LastOffset, r.MaxTimestamp, w.nowMs)
	return err == nil && !roll
}

func (w *groupWriter) gather(r *protocol.ValidateResult) {
	switch w.gathered {
	case 0:
		w.bytes = r.Batches
	case 1:
		*w.scratch = append(append((*w.scratch)[:0], w.bytes...), r.Batches...)
		w.bytes = *w.scratch
	default:
		*w.scratch = append(*w.scratch, r.Batches...)
		w.bytes = *w.scratch
	}
	w.gathered++
	w.end = r.LastOffset + 1
}

// write writes what is gathered.
func (w *groupWriter) write() error {
	if w.gathered == 0 || w.writeErr != nil {
		return w.writeErr
	}
	w.writeErr = w.log.writeLocked(w.segment, w.cfg, w.bytes, w.end-1)
	w.bytes, w.gathered = nil, 0
	if w.writeErr == nil {
		w.from = w.at
	}
	return w.writeErr
}

// setDuplicate says that a batch was there already.
func (i *AppendInfo) setDuplicate(d DuplicateBatch) {
	i.Duplicate, i.Size, i.RecordCount = true, 0, 0
	i.FirstOffset, i.LastOffset, i.LogAppendTime = d.FirstOffset, d.LastOffset, d.Timestamp
}
