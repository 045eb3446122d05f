package log

import (
	"errors"
	"slices"

	"github.com/barnabas-broker/barnabas/protocol"
)

// recallSize is how many bytes before a producer snapshot are looked at for batches that it
// does not tell of: five of a producer's usual size, of a dozen producers.
const recallSize = 1 << 20

// recallBatches adds to the state just loaded from a snapshot what that leaves out: it holds
// the last batch of each producer, and a producer may send the last five again. They are
// taken from the end of the log below the snapshot's offset. Who wrote them longer ago than
// recallSize keeps one, as all do in Apache Kafka.
func (l *Log) recallBatches(p *ProducerStateManager, segments segmentList, below int64) error {
	r := p.newRecall()
	if r == nil {
		return nil
	}
	err := l.scanTail(segments, below, recallSize, r.see)
	var corrupt *CorruptBatchError
	if errors.As(err, &corrupt) {
		return nil // readers will be told
	}
	if err == nil {
		r.finish()
	}
	return err
}

// scanTail calls see for the batches of about size bytes below an offset, oldest first.
func (l *Log) scanTail(segments segmentList, below, size int64, see func(h *protocol.RecordBatch)) error {
	i := segments.floor(below - 1)
	if i < 0 {
		return nil
	}
	end, err := l.positionOf(segments[i], below, segments[i].size.Load(), -1)
	if err != nil {
		return err
	}
	type span struct {
		segment    *segment
		start, end int64
	}
	var spans []span
	for {
		start := max(0, end-size)
		if start > 0 {
			if start, err = l.batchBefore(segments[i], start); err != nil {
				return err
			}
		}
		spans = append(spans, span{segments[i], start, end})
		if size -= end - start; size <= 0 || i == 0 {
			break
		}
		i--
		end = segments[i].size.Load()
	}
	for _, s := range slices.Backward(spans) {
		if err := l.scanSpan(s.segment, s.start, s.end, see); err != nil {
			return err
		}
	}
	return nil
}

// batchBefore is a place not after pos where a batch begins, by the offset index.
func (l *Log) batchBefore(s *segment, pos int64) (int64, error) {
	o, err := l.acquire(s, false)
	if err != nil {
		return 0, err
	}
	defer o.file.release()
	e, _, err := o.lookupPosition(pos)
	return int64(e.value), err
}

func (l *Log) scanSpan(s *segment, start, end int64, see func(h *protocol.RecordBatch)) error {
	if start >= end {
		return nil
	}
	o, err := l.acquire(s, false)
	if err != nil {
		return err
	}
	defer o.file.release()
	scan := l.manager.longScanners.Get().(*batchScanner)
	defer l.manager.longScanners.Put(scan)
	scan.reset(o.file.f, o.path, start, end)
	for {
		ok, err := scan.scan()
		if err != nil || !ok {
			return err
		}
		if scan.header.magic >= 2 {
			see(&scan.batch)
		}
	}
}

// producerRecall gathers the last batches of the producers that a snapshot told of.
type producerRecall struct {
	of   *producerTable
	seen map[int64]*producer
}

// newRecall returns nil if there is no producer to recall batches of.
func (m *ProducerStateManager) newRecall() *producerRecall {
	if m.table == nil || len(m.table.producers) == 0 {
		return nil
	}
	return &producerRecall{of: m.table, seen: make(map[int64]*producer)}
}

// see takes in a batch. The batches of a producer are in the order of their sequences; what
// comes before a gap is not its last.
func (r *producerRecall) see(h *protocol.RecordBatch) {
	if !h.HasProducerID() || h.IsControl() {
		return
	}
	known := r.of.producers[h.ProducerID]
	if known == nil || known.epoch != h.ProducerEpoch || known.batchCount != 1 || h.LastOffset() > known.lastDataOffset() {
		return
	}
	p := r.seen[h.ProducerID]
	if p == nil {
		p = new(producer)
		r.seen[h.ProducerID] = p
	}
	if p.batchCount > 0 && protocol.IncrementSequence(p.lastSequence(), 1) != h.BaseSequence {
		p.batchCount, p.oldestBatch = 0, 0
	}
	p.addBatch(batchMetadata{
		lastOffset: h.LastOffset(), timestamp: h.MaxTimestamp,
		lastSequence: h.LastSequence(), offsetDelta: h.LastOffsetDelta,
	})
}

// finish gives the producers what has been seen of them, where it leads up to the batch
// that is known.
func (r *producerRecall) finish() {
	for id, p := range r.seen {
		known := r.of.producers[id]
		last, _ := p.lastBatch()
		is, _ := known.lastBatch()
		if last.lastOffset == is.lastOffset && last.lastSequence == is.lastSequence && last.offsetDelta == is.offsetDelta {
			known.batches, known.batchCount, known.oldestBatch = p.batches, p.batchCount, p.oldestBatch
		}
	}
}
