package log

import (
	"errors"
	"fmt"
	"math"

	"github.com/barnabas-broker/barnabas/protocol"
)

// batchFilter decides what compaction keeps of a batch and writes that. The rules are
// those of Apache Kafka 3.9.2.
type batchFilter struct {
	offsets           *offsetMap
	txns              *cleanedTransactions
	lastRecords       map[int64]LastRecord // of active producers
	nowMs             int64
	deleteRetentionMs int64
	keepLegacyDeletes bool  // keep tombstones of magic 0 and 1
	upperBound        int64 // where the part begins that is not compacted yet

	records protocol.RecordsBuffer
	builder protocol.BatchBuilder
	kept    []uint64 // a bit for each record of the batch at hand
	legacy  legacyWriter
	stats   *CleanStats
}

// keptBatch says what a batch has become.
type keptBatch struct {
	lastOffset   int64
	maxTimestamp int64
	recordCount  int
}

// filter appends to dst what is to be kept of the batch, whose header is h, if anything.
func (f *batchFilter) filter(dst []byte, h *protocol.RecordBatch, batch []byte) ([]byte, keptBatch, bool, error) {
	canDiscard, err := f.txns.onBatch(h, batch)
	if err != nil {
		return dst, keptBatch{}, false, err
	}
	// A marker outlives the last batch of its transaction by delete.retention.ms, like a
	// tombstone: a consumer in the middle of the transaction must still meet it.
	discardRecords := canDiscard
	if h.IsControl() {
		horizonMs, set := h.DeleteHorizon()
		discardRecords = canDiscard && set && horizonMs <= f.nowMs
	}
	// The batch before the uncompacted part stays, so that the log has no gap there.
	keepEmpty := h.Magic >= 2 && (f.isLastOfProducer(h) || h.NextOffset() == f.upperBound)
	if discardRecords && !keepEmpty {
		f.stats.RecordsRead += int64(max(h.RecordCount, 0))
		return dst, keptBatch{}, false, nil
	}
	chosen, err := f.choose(h, batch, discardRecords)
	if err != nil {
		return dst, keptBatch{}, false, err
	}
	switch {
	case chosen.count > 0:
		return f.write(dst, h, batch, &chosen, canDiscard && h.IsControl())
	case keepEmpty:
		empty := emptiedHeader(h)
		return append(dst, empty...), keptBatch{lastOffset: h.LastOffset(), maxTimestamp: h.MaxTimestamp}, true, nil
	}
	return dst, keptBatch{}, false, nil
}

// isLastOfProducer says that the batch, though all its records may go, must stay as an
// empty one: it holds the last sequence of a producer that may go on, or the marker that
// holds its epoch.
func (f *batchFilter) isLastOfProducer(h *protocol.RecordBatch) bool {
	if !h.HasProducerID() {
		return false
	}
	last, ok := f.lastRecords[h.ProducerID]
	if !ok {
		return false
	}
	if last.LastDataOffset >= 0 {
		return h.LastOffset() == last.LastDataOffset
	}
	return h.IsControl() && h.ProducerEpoch == last.ProducerEpoch
}

// chosenRecords is what choose found; the records themselves are the bits in kept.
type chosenRecords struct {
	total, count int
	tombstones   bool // among the kept ones
	maxOffset    int64
	maxTimestamp int64
	oddMagic     bool // a record's magic is not its wrapper's (KAFKA-4298)
}

func (f *batchFilter) choose(h *protocol.RecordBatch, batch []byte, discardRecords bool) (chosenRecords, error) {
	c := chosenRecords{maxOffset: -1, maxTimestamp: -1}
	f.kept = f.kept[:0]
	if discardRecords {
		f.stats.RecordsRead += int64(max(h.RecordCount, 0))
		return c, nil
	}
	if h.Magic >= 2 && h.RecordCount <= 0 {
		return c, nil
	}
	err := protocol.WalkRecords(batch, h, &f.records, func(r *protocol.Record) error {
		if c.total%64 == 0 {
			f.kept = append(f.kept, 0)
		}
		if h.IsControl() || f.isKept(h, r) {
			f.kept[c.total/64] |= 1 << (c.total % 64)
			c.count++
			c.tombstones = c.tombstones || r.Value == nil
			c.oddMagic = c.oddMagic || r.Magic != h.Magic
			c.maxOffset, c.maxTimestamp = max(c.maxOffset, r.Offset), max(c.maxTimestamp, r.Timestamp)
		}
		c.total++
		return nil
	})
	f.stats.RecordsRead += int64(c.total)
	if err != nil {
		return c, fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
	}
	return c, nil
}

func (f *batchFilter) isKept(h *protocol.RecordBatch, r *protocol.Record) bool {
	if r.Offset > f.offsets.latestOffset {
		return true // the map does not reach so far
	}
	if r.Key == nil {
		f.stats.InvalidRecords++
		return false
	}
	if r.Offset < f.offsets.get(r.Key) {
		return false
	}
	if r.Value != nil {
		return true
	}
	if h.Magic < 2 {
		return f.keepLegacyDeletes
	}
	horizonMs, set := h.DeleteHorizon()
	return !set || f.nowMs < horizonMs
}

// write appends the batch with the chosen records; the bytes as they are if that is all
// of them and no delete horizon has to be set.
func (f *batchFilter) write(dst []byte, h *protocol.RecordBatch, batch []byte, c *chosenRecords, endsNothing bool) ([]byte, keptBatch, bool, error) {
	f.stats.RecordsKept += int64(c.count)
	horizonMs, horizonSet := h.DeleteHorizon()
	setHorizon := h.Magic >= 2 && (c.tombstones || endsNothing) && !horizonSet
	if c.count == c.total && !setHorizon && !c.oddMagic {
		return append(dst, batch...), keptBatch{h.LastOffset(), h.MaxTimestamp, c.count}, true, nil
	}
	// What is about to get a new checksum must have been right under the old one.
	if err := protocol.CheckCRC(batch); err != nil {
		return dst, keptBatch{}, false, fmt.Errorf("batch at offset %d: %w", h.BaseOffset, err)
	}
	if h.Magic < 2 {
		dst, err := f.writeLegacy(dst, h, batch)
		return dst, keptBatch{c.maxOffset, c.maxTimestamp, c.count}, true, err
	}
	if setHorizon {
		horizonMs = saturatingAdd(f.nowMs, f.deleteRetentionMs)
	} else if !horizonSet {
		horizonMs = 0
	}
	dst, err := f.rebuild(dst, h, batch, horizonMs)
	maxTimestamp := c.maxTimestamp
	if h.TimestampType() == protocol.LogAppendTime {
		maxTimestamp = h.MaxTimestamp
	}
	return dst, keptBatch{h.LastOffset(), maxTimestamp, c.count}, true, err
}

// rebuild writes a batch that keeps the base and last offset of the original, and with
// them the sequences, whatever records are left.
func (f *batchFilter) rebuild(dst []byte, h *protocol.RecordBatch, batch []byte, horizonMs int64) ([]byte, error) {
	opts := protocol.BatchOptions{
		BaseOffset:      h.BaseOffset,
		LeaderEpoch:     h.LeaderEpoch,
		Codec:           h.Codec(),
		TimestampType:   h.TimestampType(),
		LogAppendTimeMs: h.MaxTimestamp,
		Transactional:   h.IsTransactional(),
		Control:         h.IsControl(),
		DeleteHorizonMs: horizonMs,
	}
	if h.HasProducerID() {
		opts.Producer = &protocol.Producer{ID: h.ProducerID, Epoch: h.ProducerEpoch, BaseSequence: h.BaseSequence}
	}
	f.builder.Reset(dst, opts)
	err := f.eachKept(h, batch, func(r *protocol.Record) error {
		return f.builder.AppendWalked(r.Offset, r)
	})
	if err != nil {
		return dst, err
	}
	f.builder.SetLastOffset(h.LastOffset())
	return f.builder.Finish()
}

// eachKept walks the batch again and calls fn for the chosen records.
func (f *batchFilter) eachKept(h *protocol.RecordBatch, batch []byte, fn func(*protocol.Record) error) error {
	i := 0
	return protocol.WalkRecords(batch, h, &f.records, func(r *protocol.Record) error {
		kept := f.kept[i/64]&(1<<(i%64)) != 0
		i++
		if !kept {
			return nil
		}
		return fn(r)
	})
}

// emptiedHeader is the batch without its records: no codec, no delete horizon, no base
// timestamp, and a checksum of its own.
func emptiedHeader(h *protocol.RecordBatch) []byte {
	empty := protocol.RecordBatch{
		BaseOffset:      h.BaseOffset,
		Length:          protocol.BatchOverhead - protocol.BatchLogOverhead,
		LeaderEpoch:     h.LeaderEpoch,
		Magic:           h.Magic,
		Attributes:      h.Attributes & (attributeLogAppendTime | attributeTransactional | attributeControl),
		LastOffsetDelta: h.LastOffsetDelta,
		BaseTimestamp:   -1,
		MaxTimestamp:    h.MaxTimestamp,
		ProducerID:      h.ProducerID,
		ProducerEpoch:   h.ProducerEpoch,
		BaseSequence:    h.BaseSequence,
	}
	b := empty.AppendHeader(make([]byte, 0, protocol.BatchOverhead))
	empty.CRC = protocol.BatchCRC(b)
	return empty.AppendHeader(b[:0])
}

// Attribute bits that survive in an emptied batch.
const (
	attributeLogAppendTime = 0x08
	attributeTransactional = 0x10
	attributeControl       = 0x20
)

func saturatingAdd(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

var errCleaningAborted = errors.New("compaction was stopped")
