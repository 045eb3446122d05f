package log

import (
	"cmp"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/barnabas-broker/barnabas/protocol"
)

// producerBatchesKept is the number of batches remembered of each producer: as many as an
// idempotent producer may have in flight, so that every retry is recognised.
const producerBatchesKept = 5

// lateTransactionBufferMs is how long past transaction.max.timeout.ms a transaction may
// stay open before it counts as late (KIP-664).
const lateTransactionBufferMs = 5 * 60 * 1000

// ProducerStateConfig holds what the producer states of all partitions of a broker share.
// The values change while the broker runs.
type ProducerStateConfig struct {
	ExpirationMs            atomic.Int64 // producer.id.expiration.ms
	MaxTransactionTimeoutMs atomic.Int64 // transaction.max.timeout.ms, for late transactions
}

// CompletedTxn is a transaction whose marker has been appended.
type CompletedTxn struct {
	ProducerID  int64
	FirstOffset int64 // of its first data batch
	LastOffset  int64 // of its marker
	Aborted     bool
}

// DuplicateBatch is what the log remembers of a batch that its producer sent again.
type DuplicateBatch struct {
	FirstOffset int64
	LastOffset  int64
	Timestamp   int64
}

// ActiveProducer is one producer that the partition remembers, as DescribeProducers
// shows it.
type ActiveProducer struct {
	ProducerID       int64
	ProducerEpoch    int16
	LastSequence     int32 // -1 if no data batch is known
	LastTimestamp    int64
	CoordinatorEpoch int32 // -1 if no marker was seen
	TxnStartOffset   int64 // first offset of its open transaction, or -1
}

// LastRecord is what compaction must keep of an active producer: the batch that ends at
// LastDataOffset or, where that is -1, the marker with ProducerEpoch.
type LastRecord struct {
	LastDataOffset int64
	ProducerEpoch  int16
}

// AbortedTxnAppender takes the aborted transactions that an append completes; the active
// segment, with its transaction index, is one.
type AbortedTxnAppender interface {
	AppendAbortedTxn(AbortedTxn) error
}

// ProducerStateManager remembers the idempotent and transactional producers of one
// partition: their epochs, their last batches, their open transactions.
//
// A batch is checked before it is written and takes effect after: call
// [ProducerStateManager.Prepare] for each batch of an append, write, then call
// [ProducerStateManager.Commit], or [ProducerStateManager.Discard] if the write failed.
//
// A manager is not safe for concurrent use; the lock of its log guards it. A partition
// that never saw a producer costs this struct and no more.
type ProducerStateManager struct {
	partition protocol.TopicPartition
	dir       string
	fs        FS
	config    *ProducerStateConfig
	logger    *slog.Logger

	table              *producerTable // nil until the first producer is seen
	snapshots          []int64        // offsets of the snapshot files, ascending
	endOffset          int64          // one past the last offset that the state reflects
	lastSnapshotOffset int64
}

// producerTable is apart from the manager so that partitions without producers lack it.
type producerTable struct {
	producers map[int64]*producer

	// Both in order of first offset.
	ongoing      []openTxn
	unreplicated []openTxn // completed by a marker that is not yet below the high watermark

	// What Prepare found and Commit will apply; the arrays serve append after append.
	pending   []pendingProducer
	started   []openTxn
	completed []CompletedTxn
}

type openTxn struct {
	producerID  int64
	firstOffset int64
	lastOffset  int64 // of the marker, or -1 while the transaction is ongoing
}

// batchMetadata is what is remembered of one batch: 24 bytes.
type batchMetadata struct {
	lastOffset   int64
	timestamp    int64
	lastSequence int32
	offsetDelta  int32
}

func (b batchMetadata) firstOffset() int64 { return b.lastOffset - int64(b.offsetDelta) }

func (b batchMetadata) firstSequence() int32 {
	return decrementSequence(b.lastSequence, b.offsetDelta)
}

// decrementSequence is the reverse of protocol.IncrementSequence: before 0 comes 2147483647.
func decrementSequence(sequence, by int32) int32 {
	if sequence < by {
		return 1<<31 - 1 - (by - sequence) + 1
	}
	return sequence - by
}

// producer is the state of one producer id: 144 bytes, one allocation.
type producer struct {
	lastTimestamp    int64
	txnFirstOffset   int64 // of its open transaction, or -1
	coordinatorEpoch int32 // -1 if no marker was seen
	epoch            int16 // -1 if nothing was seen
	batchCount       uint8
	oldestBatch      uint8 // place in batches; the others follow, around its end
	batches          [producerBatchesKept]batchMetadata
}

func newProducer() producer {
	return producer{lastTimestamp: -1, txnFirstOffset: -1, coordinatorEpoch: -1, epoch: -1}
}

func (p *producer) batch(i int) batchMetadata {
	return p.batches[(int(p.oldestBatch)+i)%producerBatchesKept]
}

func (p *producer) lastBatch() (batchMetadata, bool) {
	if p.batchCount == 0 {
		return batchMetadata{}, false
	}
	return p.batch(int(p.batchCount) - 1), true
}

// lastSequence is that of the newest batch, or -1.
func (p *producer) lastSequence() int32 {
	if b, ok := p.lastBatch(); ok {
		return b.lastSequence
	}
	return -1
}

// lastDataOffset is that of the newest batch, or -1.
func (p *producer) lastDataOffset() int64 {
	if b, ok := p.lastBatch(); ok {
		return b.lastOffset
	}
	return -1
}

func (p *producer) addBatch(b batchMetadata) {
	if p.batchCount == producerBatchesKept {
		p.batches[p.oldestBatch] = b
		p.oldestBatch = (p.oldestBatch + 1) % producerBatchesKept
		return
	}
	p.batches[(int(p.oldestBatch)+int(p.batchCount))%producerBatchesKept] = b
	p.batchCount++
}

// setEpoch takes on an epoch; a new one forgets the batches of the old.
func (p *producer) setEpoch(epoch int16) {
	if p.epoch != epoch {
		p.epoch, p.batchCount, p.oldestBatch = epoch, 0, 0
	}
}

// update takes on what an append has added.
func (p *producer) update(next *producer) {
	p.setEpoch(next.epoch)
	for i := range int(next.batchCount) {
		p.addBatch(next.batch(i))
	}
	p.coordinatorEpoch, p.txnFirstOffset, p.lastTimestamp = next.coordinatorEpoch, next.txnFirstOffset, next.lastTimestamp
}

// pendingProducer is a producer as it will be once the append is written: the fields of
// its current state, but of the batches only the new ones.
type pendingProducer struct {
	producerID   int64
	known        *producer // its current state, nil if new
	knownEpoch   int16     // of known, or -1
	lastSequence int32     // of known, or -1
	next         producer
}

// NewProducerStateManager returns the manager of a partition whose directory is dir. It
// reads nothing; [ProducerStateManager.SetSnapshots] or
// [ProducerStateManager.ListSnapshots] tells it which snapshots there are.
func NewProducerStateManager(partition protocol.TopicPartition, dir string, fsys FS, config *ProducerStateConfig, logger *slog.Logger) *ProducerStateManager {
	return &ProducerStateManager{partition: partition, dir: dir, fs: fsys, config: config, logger: logger}
}

// EndOffset is one past the last offset that the state reflects.
func (m *ProducerStateManager) EndOffset() int64 { return m.endOffset }

// SetEndOffset says that the state reflects the log up to offset.
func (m *ProducerStateManager) SetEndOffset(offset int64) { m.endOffset = offset }

// SetDir tells the manager that its directory was renamed.
func (m *ProducerStateManager) SetDir(dir string) { m.dir = dir }

// IsEmpty says that no producer is known and no marker waits for the high watermark.
func (m *ProducerStateManager) IsEmpty() bool {
	return m.table == nil || len(m.table.producers) == 0 && len(m.table.unreplicated) == 0
}

// ProducerCount is the number of producer ids remembered.
func (m *ProducerStateManager) ProducerCount() int {
	if m.table == nil {
		return 0
	}
	return len(m.table.producers)
}

// FindDuplicate looks for a remembered batch of the same producer, epoch and sequences.
func (m *ProducerStateManager) FindDuplicate(h *protocol.RecordBatch) (DuplicateBatch, bool) {
	if m.table == nil {
		return DuplicateBatch{}, false
	}
	p := m.table.producers[h.ProducerID]
	if p == nil || p.epoch != h.ProducerEpoch {
		return DuplicateBatch{}, false
	}
	for i := range int(p.batchCount) {
		b := p.batch(i)
		if b.lastSequence == h.LastSequence() && b.firstSequence() == h.BaseSequence {
			return DuplicateBatch{FirstOffset: b.firstOffset(), LastOffset: b.lastOffset, Timestamp: b.timestamp}, true
		}
	}
	return DuplicateBatch{}, false
}

// Prepare checks one batch of an append against the producer's state and the batches
// prepared before it, and keeps what it will change for Commit. h is the batch's header
// with the offset and timestamps that it will be written with; batch is the whole batch
// and is looked at only if h is a control batch. A batch without producer id is nothing
// to it.
//
// A duplicate of a client's earlier batch is found, not an error: the append must not be
// written and is answered with what the first one got. After an error or a duplicate
// nothing is left prepared. The errors are the Kafka codes for the producer.
func (m *ProducerStateManager) Prepare(origin AppendOrigin, h *protocol.RecordBatch, batch []byte) (DuplicateBatch, bool, error) {
	if !h.HasProducerID() {
		return DuplicateBatch{}, false, nil
	}
	if origin == OriginClient {
		if d, ok := m.FindDuplicate(h); ok {
			m.Discard()
			return d, true, nil
		}
	}
	if err := m.prepare(origin, h, batch); err != nil {
		m.Discard()
		return DuplicateBatch{}, false, err
	}
	return DuplicateBatch{}, false, nil
}

func (m *ProducerStateManager) prepare(origin AppendOrigin, h *protocol.RecordBatch, batch []byte) error {
	if !h.IsControl() {
		return m.prepareData(origin, h, m.pendingFor(h.ProducerID))
	}
	if h.RecordCount <= 0 {
		return nil // compaction has emptied it: the whole transaction is gone from the log
	}
	marker, err := parseEndTxnMarker(h, batch)
	if err != nil {
		return err
	}
	return m.prepareMarker(origin, h, marker, m.pendingFor(h.ProducerID))
}

func (m *ProducerStateManager) pendingFor(producerID int64) *pendingProducer {
	if m.table == nil {
		m.table = &producerTable{producers: make(map[int64]*producer, 1)}
	}
	t := m.table
	for i := range t.pending {
		if t.pending[i].producerID == producerID {
			return &t.pending[i]
		}
	}
	t.pending = append(t.pending, pendingProducer{producerID: producerID, knownEpoch: -1, lastSequence: -1})
	p := &t.pending[len(t.pending)-1]
	if p.known = t.producers[producerID]; p.known == nil {
		p.next = newProducer()
		return p
	}
	p.knownEpoch, p.lastSequence = p.known.epoch, p.known.lastSequence()
	p.next = *p.known
	p.next.batchCount, p.next.oldestBatch = 0, 0
	return p
}

func (m *ProducerStateManager) prepareData(origin AppendOrigin, h *protocol.RecordBatch, p *pendingProducer) error {
	if err := m.checkEpoch(origin, h, p); err != nil {
		return err
	}
	if origin == OriginClient {
		if err := m.checkSequence(h, p); err != nil {
			return err
		}
	}
	p.next.setEpoch(h.ProducerEpoch)
	p.next.addBatch(batchMetadata{
		lastOffset: h.LastOffset(), timestamp: h.MaxTimestamp,
		lastSequence: h.LastSequence(), offsetDelta: h.LastOffsetDelta,
	})
	p.next.lastTimestamp = h.MaxTimestamp
	switch {
	case p.next.txnFirstOffset >= 0 && !h.IsTransactional():
		return protocol.Errorf(protocol.ErrInvalidTxnState,
			"Expected transactional write from producer %d at offset %d in partition %s", p.producerID, h.BaseOffset, m.partition)
	case p.next.txnFirstOffset < 0 && h.IsTransactional():
		p.next.txnFirstOffset = h.BaseOffset
		m.table.started = append(m.table.started, openTxn{producerID: p.producerID, firstOffset: h.BaseOffset, lastOffset: -1})
	}
	return nil
}

// checkEpoch fences an older epoch. Since 2.7 the answer is INVALID_PRODUCER_EPOCH, from
// which a transactional producer recovers by aborting, not the fatal PRODUCER_FENCED.
func (m *ProducerStateManager) checkEpoch(origin AppendOrigin, h *protocol.RecordBatch, p *pendingProducer) error {
	if h.ProducerEpoch >= p.next.epoch || origin == OriginReplication {
		return nil
	}
	return protocol.Errorf(protocol.ErrInvalidProducerEpoch,
		"Epoch of producer %d at offset %d in %s is %d, which is smaller than the last seen epoch %d",
		p.producerID, h.BaseOffset, m.partition, h.ProducerEpoch, p.next.epoch)
}

// checkSequence wants the sequence after the last one, 0 in a new epoch, and anything
// from a producer that is not known: its records may have been deleted meanwhile. The
// lowest sequence seen while a transaction was being verified (KIP-890) belongs here too.
func (m *ProducerStateManager) checkSequence(h *protocol.RecordBatch, p *pendingProducer) error {
	if h.ProducerEpoch != p.next.epoch {
		if h.BaseSequence != 0 && p.next.epoch != -1 {
			return protocol.Errorf(protocol.ErrOutOfOrderSequenceNumber,
				"Invalid sequence number for new epoch of producer %d at offset %d in partition %s: %d (request epoch), %d (seq. number), %d (current producer epoch)",
				p.producerID, h.BaseOffset, m.partition, h.ProducerEpoch, h.BaseSequence, p.next.epoch)
		}
		return nil
	}
	last := int32(-1)
	if p.next.batchCount > 0 {
		last = p.next.lastSequence()
	} else if h.ProducerEpoch == p.knownEpoch {
		last = p.lastSequence
	}
	if p.knownEpoch == -1 || int64(h.BaseSequence) == int64(last)+1 || h.BaseSequence == 0 && last == 1<<31-1 {
		return nil
	}
	return protocol.Errorf(protocol.ErrOutOfOrderSequenceNumber,
		"Out of order sequence number for producer %d at offset %d in partition %s: %d (incoming seq. number), %d (current end sequence number)",
		p.producerID, h.BaseOffset, m.partition, h.BaseSequence, last)
}

func (m *ProducerStateManager) prepareMarker(origin AppendOrigin, h *protocol.RecordBatch, marker endTxnMarker, p *pendingProducer) error {
	if err := m.checkEpoch(origin, h, p); err != nil {
		return err
	}
	if p.next.coordinatorEpoch > marker.coordinatorEpoch && origin != OriginReplication {
		return protocol.Errorf(protocol.ErrTransactionCoordinatorFenced,
			"Invalid coordinator epoch for producerId %d at offset %d in partition %s: %d (zombie), %d (current)",
			p.producerID, h.BaseOffset, m.partition, marker.coordinatorEpoch, p.next.coordinatorEpoch)
	}
	// A marker of a transaction that wrote nothing here does not move the last stable
	// offset and has no place in the transaction index.
	if p.next.txnFirstOffset >= 0 {
		m.table.completed = append(m.table.completed, CompletedTxn{
			ProducerID: p.producerID, FirstOffset: p.next.txnFirstOffset, LastOffset: h.BaseOffset, Aborted: marker.abort,
		})
	}
	p.next.setEpoch(h.ProducerEpoch)
	p.next.coordinatorEpoch, p.next.txnFirstOffset, p.next.lastTimestamp = marker.coordinatorEpoch, -1, marker.timestamp
	return nil
}

// Commit applies what has been prepared; endOffset is one past the append's last offset.
// Aborted transactions that it completes go to index, unless that is nil. If index fails
// the state is still complete, and the error is index's.
func (m *ProducerStateManager) Commit(endOffset int64, index AbortedTxnAppender) error {
	m.endOffset = endOffset
	t := m.table
	if t == nil || len(t.pending) == 0 {
		return nil
	}
	for i := range t.pending {
		p := &t.pending[i]
		if p.known != nil {
			p.known.update(&p.next)
		} else {
			next := p.next
			t.producers[p.producerID] = &next
		}
	}
	for _, txn := range t.started {
		insertTxn(&t.ongoing, txn)
	}
	var err error
	for _, txn := range t.completed {
		if txn.Aborted && index != nil {
			err = cmp.Or(err, index.AppendAbortedTxn(AbortedTxn{
				ProducerID: txn.ProducerID, FirstOffset: txn.FirstOffset, LastOffset: txn.LastOffset,
				LastStableOffset: t.lastStableOffset(txn),
			}))
		}
		t.complete(txn)
	}
	m.Discard()
	return err
}

// Discard forgets what has been prepared.
func (m *ProducerStateManager) Discard() {
	t := m.table
	if t == nil {
		return
	}
	if len(t.producers) == 0 && len(t.ongoing) == 0 && len(t.unreplicated) == 0 {
		m.table = nil
		return
	}
	// A follower's append may hold batches of many producers; an idle log keeps little.
	if cap(t.pending) > 4 {
		t.pending, t.started, t.completed = nil, nil, nil
		return
	}
	clear(t.pending)
	t.pending, t.started, t.completed = t.pending[:0], t.started[:0], t.completed[:0]
}

// insertTxn keeps the order of first offsets. New transactions mostly come last.
func insertTxn(txns *[]openTxn, txn openTxn) {
	i := len(*txns)
	for i > 0 && (*txns)[i-1].firstOffset > txn.firstOffset {
		i--
	}
	*txns = slices.Insert(*txns, i, txn)
}

// lastStableOffset is what the last stable offset will be once txn is complete: where the
// next oldest open transaction begins, or else just past the marker.
func (t *producerTable) lastStableOffset(txn CompletedTxn) int64 {
	for i := range t.ongoing {
		if t.ongoing[i].producerID != txn.ProducerID {
			return t.ongoing[i].firstOffset
		}
	}
	return txn.LastOffset + 1
}

// complete moves the transaction to those that wait for the high watermark.
func (t *producerTable) complete(txn CompletedTxn) {
	for i, o := range t.ongoing {
		if o.firstOffset == txn.FirstOffset && o.producerID == txn.ProducerID {
			t.ongoing = slices.Delete(t.ongoing, i, i+1)
			o.lastOffset = txn.LastOffset
			insertTxn(&t.unreplicated, o)
			return
		}
	}
}

// FirstUnstableOffset is the first offset of the oldest transaction that is open, or
// whose marker is not yet below the high watermark.
func (m *ProducerStateManager) FirstUnstableOffset() (int64, bool) {
	t := m.table
	switch {
	case t == nil || len(t.ongoing) == 0 && len(t.unreplicated) == 0:
		return 0, false
	case len(t.ongoing) == 0:
		return t.unreplicated[0].firstOffset, true
	case len(t.unreplicated) == 0:
		return t.ongoing[0].firstOffset, true
	}
	return min(t.ongoing[0].firstOffset, t.unreplicated[0].firstOffset), true
}

// FirstUndecidedOffset is the first offset of the oldest transaction that is open,
// whatever the high watermark.
func (m *ProducerStateManager) FirstUndecidedOffset() (int64, bool) {
	if m.table == nil || len(m.table.ongoing) == 0 {
		return 0, false
	}
	return m.table.ongoing[0].firstOffset, true
}

// HasLateTransaction says whether the oldest open transaction has been without a write
// for so long that its coordinator must have lost it.
func (m *ProducerStateManager) HasLateTransaction(nowMs int64) bool {
	if m.table == nil || len(m.table.ongoing) == 0 {
		return false
	}
	p := m.table.producers[m.table.ongoing[0].producerID]
	return p != nil && p.lastTimestamp > 0 &&
		nowMs-p.lastTimestamp > m.config.MaxTransactionTimeoutMs.Load()+lateTransactionBufferMs
}

// OnHighWatermark lets go of the completed transactions whose markers are now replicated.
func (m *ProducerStateManager) OnHighWatermark(highWatermark int64) {
	if m.table == nil || len(m.table.unreplicated) == 0 {
		return
	}
	m.table.unreplicated = slices.DeleteFunc(m.table.unreplicated, func(txn openTxn) bool { return txn.lastOffset < highWatermark })
}

// OnLogStart tells that the log now starts at logStartOffset. Producers whose records are
// gone stay known until they expire.
func (m *ProducerStateManager) OnLogStart(logStartOffset int64) {
	m.OnHighWatermark(logStartOffset)
	m.endOffset = max(m.endOffset, logStartOffset)
	m.lastSnapshotOffset = logStartOffset
	if n := len(m.snapshots); n > 0 {
		m.lastSnapshotOffset = m.snapshots[n-1]
	}
}

// RemoveExpired forgets the producers that have not written for producer.id.expiration.ms
// and have no open transaction, and returns how many.
func (m *ProducerStateManager) RemoveExpired(nowMs int64) int {
	if m.table == nil {
		return 0
	}
	before := len(m.table.producers)
	for id, p := range m.table.producers {
		if m.isExpired(nowMs, p.lastTimestamp, p.txnFirstOffset) {
			delete(m.table.producers, id)
		}
	}
	removed := before - len(m.table.producers)
	m.Discard() // and with the last producer goes the table
	return removed
}

func (m *ProducerStateManager) isExpired(nowMs, lastTimestamp, txnFirstOffset int64) bool {
	return txnFirstOffset < 0 && nowMs-lastTimestamp >= m.config.ExpirationMs.Load()
}

// ActiveProducers lists the producers remembered, by ascending id.
func (m *ProducerStateManager) ActiveProducers() []ActiveProducer {
	if m.table == nil {
		return nil
	}
	list := make([]ActiveProducer, 0, len(m.table.producers))
	for id, p := range m.table.producers {
		list = append(list, ActiveProducer{
			ProducerID: id, ProducerEpoch: p.epoch, LastSequence: p.lastSequence(), LastTimestamp: p.lastTimestamp,
			CoordinatorEpoch: p.coordinatorEpoch, TxnStartOffset: p.txnFirstOffset,
		})
	}
	slices.SortFunc(list, func(a, b ActiveProducer) int { return cmp.Compare(a.ProducerID, b.ProducerID) })
	return list
}

// LastRecords tells compaction which batch of each active producer it must keep.
func (m *ProducerStateManager) LastRecords() map[int64]LastRecord {
	if m.table == nil {
		return nil
	}
	last := make(map[int64]LastRecord, len(m.table.producers))
	for id, p := range m.table.producers {
		last[id] = LastRecord{LastDataOffset: p.lastDataOffset(), ProducerEpoch: p.epoch}
	}
	return last
}
