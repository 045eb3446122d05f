package log

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

func dataBatch(base, producerID int64, epoch int16, sequence, count int32, transactional bool, timestamp int64) *protocol.RecordBatch {
	h := &protocol.RecordBatch{
		BaseOffset: base, Length: 49, Magic: 2, LastOffsetDelta: count - 1, RecordCount: count, ProducerID: producerID,
		ProducerEpoch: epoch, BaseSequence: sequence, BaseTimestamp: timestamp, MaxTimestamp: timestamp,
	}
	if transactional {
		h.Attributes = attributeTransactional
	}
	return h
}

func TestDecrementSequenceReversesIncrement(t *testing.T) {
	for _, sequence := range []int32{0, 1, 5, math.MaxInt32 - 1, math.MaxInt32} {
		for _, by := range []int32{0, 1, 7, math.MaxInt32} {
			if got := decrementSequence(protocol.IncrementSequence(sequence, by), by); got != sequence {
				t.Errorf("%d + %d - %d is %d", sequence, by, by, got)
			}
		}
	}
}

// producerModel is the state of one producer kept the simple way: all its batches.
type producerModel struct {
	epoch   int16
	batches [][3]int64 // first sequence, count, first offset
}

func (p *producerModel) next() int32 {
	if len(p.batches) == 0 {
		return 0
	}
	last := p.batches[len(p.batches)-1]
	return int32((last[0] + last[1]) % (math.MaxInt32 + 1))
}

// TestProducerStateFollowsModel appends what producers may send, in and out of order, and
// compares with a model that forgets nothing.
func TestProducerStateFollowsModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	replay := newProducerReplay(t)
	model := make(map[int64]*producerModel)
	for step := range 5000 {
		id := random.Int64N(8)
		p := model[id]
		epoch, sequence, count := int16(0), int32(math.MaxInt32-random.Int32N(20)), 1+random.Int32N(5)
		if p != nil {
			epoch, sequence = p.epoch, p.next()
			switch random.IntN(10) {
			case 0:
				epoch, sequence = epoch+1, 0
			case 1:
				sequence = random.Int32N(math.MaxInt32)
			case 2:
				epoch--
			case 3, 4:
				if len(p.batches) > 0 {
					b := p.batches[max(0, len(p.batches)-1-random.IntN(8))]
					sequence, count = int32(b[0]), int32(b[1])
				}
			}
		}
		want := fmt.Sprintf("ok %d", replay.end)
		switch {
		case p == nil:
			p = &producerModel{epoch: epoch}
			model[id] = p
		case epoch < p.epoch:
			want = "error INVALID_PRODUCER_EPOCH"
		case epoch > p.epoch:
			p.epoch, p.batches = epoch, nil
		default:
			recent := p.batches[max(0, len(p.batches)-producerBatchesKept):]
			again := slices.IndexFunc(recent, func(b [3]int64) bool { return b[0] == int64(sequence) && b[1] == int64(count) })
			if again >= 0 {
				want = fmt.Sprintf("duplicate %d %d %d", recent[again][2], recent[again][2]+int64(count)-1, recent[again][2])
			} else if sequence != p.next() {
				want = "error OUT_OF_ORDER_SEQUENCE_NUMBER"
			}
		}
		h := dataBatch(replay.end, id, epoch, sequence, count, false, replay.end)
		if got := replay.append(OriginClient, h.AppendHeader(nil)); got != want {
			t.Fatalf("step %d: producer %d epoch %d sequence %d count %d: %s, want %s", step, id, epoch, sequence, count, got, want)
		}
		if want[0] == 'o' {
			p.batches = append(p.batches, [3]int64{int64(sequence), int64(count), h.BaseOffset})
		}
		if random.IntN(200) == 0 {
			// Through a snapshot only the newest batch is remembered.
			replay.reload(t)
			for _, p := range model {
				p.batches = p.batches[max(0, len(p.batches)-1):]
			}
		}
	}
}

// reload takes a snapshot and makes a new manager from it.
func (r *producerReplay) reload(t *testing.T) {
	t.Helper()
	old := r.manager
	if err := old.TakeSnapshot(true); err != nil {
		t.Fatal(err)
	}
	m := NewProducerStateManager(old.partition, old.dir, old.fs, old.config, old.logger)
	if err := m.ListSnapshots(); err != nil {
		t.Fatal(err)
	}
	if err := m.TruncateAndReload(0, r.end, 0); err != nil {
		t.Fatal(err)
	}
	if m.EndOffset() != r.end || !slices.Equal(m.ActiveProducers(), old.ActiveProducers()) {
		t.Fatalf("reloaded up to %d: %+v, want up to %d: %+v", m.EndOffset(), m.ActiveProducers(), r.end, old.ActiveProducers())
	}
	r.manager = m
}

func TestAppendOfKnownProducerAllocatesNothing(t *testing.T) {
	r := newProducerReplay(t)
	r.append(OriginClient, dataBatch(0, 1, 0, 0, 1, false, 1).AppendHeader(nil))
	h := dataBatch(1, 1, 0, 1, 1, false, 1)
	allocs := testing.AllocsPerRun(100, func() {
		if _, duplicate, err := r.manager.Prepare(OriginClient, h, nil); err != nil || duplicate {
			t.Fatal(err, duplicate)
		}
		if err := r.manager.Commit(h.NextOffset(), nil); err != nil {
			t.Fatal(err)
		}
		h.BaseOffset++
		h.BaseSequence++
	})
	if allocs != 0 {
		t.Errorf("%v allocations an append", allocs)
	}
}

func TestDiscardLeavesNoTrace(t *testing.T) {
	r := newProducerReplay(t)
	h := dataBatch(0, 1, 0, 5, 1, true, 1)
	if _, _, err := r.manager.Prepare(OriginClient, h, nil); err != nil {
		t.Fatal(err)
	}
	r.manager.Discard()
	if !r.manager.IsEmpty() || r.manager.table != nil {
		t.Errorf("left behind: %+v", r.manager.table)
	}
	if _, unstable := r.manager.FirstUnstableOffset(); unstable {
		t.Error("a transaction that was not appended is open")
	}
	if got := r.append(OriginClient, h.AppendHeader(nil)); got != "ok 0" {
		t.Error(got)
	}
}

func TestSeveralBatchesOfOneAppendBuildOnEachOther(t *testing.T) {
	r := newProducerReplay(t)
	r.append(OriginClient, dataBatch(0, 1, 0, 0, 1, false, 1).AppendHeader(nil))
	before := r.manager.ActiveProducers()
	for i, h := range []*protocol.RecordBatch{
		dataBatch(1, 1, 0, 1, 2, false, 1), dataBatch(3, 2, 0, 0, 1, false, 1), dataBatch(4, 1, 0, 3, 1, false, 1),
	} {
		if _, _, err := r.manager.Prepare(OriginClient, h, nil); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
	}
	_, _, err := r.manager.Prepare(OriginClient, dataBatch(5, 1, 0, 5, 1, false, 1), nil)
	if !errors.Is(err, protocol.ErrOutOfOrderSequenceNumber) {
		t.Fatalf("a gap behind prepared batches: %v", err)
	}
	if !slices.Equal(r.manager.ActiveProducers(), before) {
		t.Error("an append that was refused has changed the state")
	}
}

func TestProducersExpireUnlessInTransaction(t *testing.T) {
	r := newProducerReplay(t)
	r.append(OriginClient, dataBatch(0, 1, 0, 0, 1, false, 1000).AppendHeader(nil))
	r.append(OriginClient, dataBatch(1, 2, 0, 0, 1, true, 1000).AppendHeader(nil))
	if n := r.manager.RemoveExpired(1000 + 86400000 - 1); n != 0 {
		t.Errorf("%d expired too early", n)
	}
	if n := r.manager.RemoveExpired(1000 + 86400000); n != 1 || r.manager.ProducerCount() != 1 {
		t.Errorf("%d expired, %d left", n, r.manager.ProducerCount())
	}
	r.append(OriginCoordinator, markerBatch(2, 2, 0, 0, true, 1000))
	r.manager.OnHighWatermark(3)
	if n := r.manager.RemoveExpired(1000 + 86400000); n != 1 || r.manager.table != nil {
		t.Errorf("%d expired, table %v", n, r.manager.table)
	}
	// Nobody knows it any more: it may go on where it was.
	if got := r.append(OriginClient, dataBatch(3, 1, 0, 77, 1, false, 1000).AppendHeader(nil)); got != "ok 3" {
		t.Error(got)
	}
}

func TestLateTransaction(t *testing.T) {
	r := newProducerReplay(t)
	r.manager.config.MaxTransactionTimeoutMs.Store(900000)
	r.append(OriginClient, dataBatch(0, 1, 0, 0, 1, true, 5000).AppendHeader(nil))
	const limit = 5000 + 900000 + 300000
	if r.manager.HasLateTransaction(limit) || !r.manager.HasLateTransaction(limit+1) {
		t.Error("late at the wrong time")
	}
}

func TestUnreadableSnapshotsGiveWayToOlderOnes(t *testing.T) {
	dir := t.TempDir()
	config := &ProducerStateConfig{}
	config.ExpirationMs.Store(1 << 40)
	good := AppendProducerSnapshot(nil, []ProducerSnapshotEntry{{ProducerID: 7, LastSequence: 3, LastOffset: 9, Timestamp: 1, CoordinatorEpoch: -1, TxnFirstOffset: -1}})
	bad := slices.Clone(good)
	bad[20] ^= 1
	for offset, b := range map[int64][]byte{5: good, 10: good, 20: bad, 30: good[:8], 99: good} {
		if err := os.WriteFile(filepath.Join(dir, ProducerSnapshotName(offset)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := NewProducerStateManager(protocol.TopicPartition{Topic: "t"}, dir, OS{}, config, slog.New(slog.DiscardHandler))
	if err := m.ListSnapshots(); err != nil {
		t.Fatal(err)
	}
	if err := m.TruncateAndReload(5, 40, 1); err != nil {
		t.Fatal(err)
	}
	if m.EndOffset() != 10 || m.ProducerCount() != 1 {
		t.Errorf("loaded up to %d with %d producers", m.EndOffset(), m.ProducerCount())
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 1 || files[0].Name() != "00000000000000000010.snapshot" || !slices.Equal(m.Snapshots(), []int64{10}) {
		t.Errorf("left are %v, known %v", files, m.Snapshots())
	}
}

func TestStraySnapshotsGoButTheOneOfACleanShutdown(t *testing.T) {
	for _, tt := range []struct {
		snapshots, bases, left []int64
	}{
		{[]int64{0, 3, 5, 8, 9}, []int64{0, 5}, []int64{0, 5, 9}},
		{[]int64{0, 3, 5}, []int64{0, 5}, []int64{0, 5}},
		{[]int64{1, 3}, []int64{5}, nil},
		{[]int64{1, 7}, nil, []int64{7}},
	} {
		dir := t.TempDir()
		for _, offset := range tt.snapshots {
			if err := os.WriteFile(filepath.Join(dir, ProducerSnapshotName(offset)), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		m := NewProducerStateManager(protocol.TopicPartition{}, dir, OS{}, &ProducerStateConfig{}, slog.New(slog.DiscardHandler))
		if err := m.ListSnapshots(); err != nil {
			t.Fatal(err)
		}
		if err := m.RemoveStraySnapshots(tt.bases); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(m.Snapshots(), tt.left) {
			t.Errorf("of %v with segments %v are left %v", tt.snapshots, tt.bases, m.Snapshots())
		}
	}
}

func FuzzProducerSnapshot(f *testing.F) {
	f.Add(AppendProducerSnapshot(nil, nil))
	f.Add(AppendProducerSnapshot(nil, []ProducerSnapshotEntry{{ProducerID: 1, LastOffset: 5, OffsetDelta: 2}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		entries, err := ParseProducerSnapshot(b)
		if err != nil {
			return
		}
		if again := AppendProducerSnapshot(nil, entries); string(again) != string(b) {
			t.Fatalf("% x came back as % x", b, again)
		}
		// No state in a snapshot may break the manager.
		config := &ProducerStateConfig{}
		config.ExpirationMs.Store(math.MaxInt64)
		m := NewProducerStateManager(protocol.TopicPartition{}, "", OS{}, config, slog.New(slog.DiscardHandler))
		m.load(entries, 0)
		for _, e := range entries {
			for _, origin := range []AppendOrigin{OriginClient, OriginReplication} {
				m.Prepare(origin, dataBatch(100, e.ProducerID, e.ProducerEpoch, 0, 3, true, 0), nil)
				m.Commit(103, nil)
				b := markerBatch(103, e.ProducerID, e.ProducerEpoch, 1, false, 0)
				h, _ := protocol.ParseRecordBatch(b)
				m.Prepare(origin, &h, b)
				m.Commit(104, nil)
			}
		}
		m.FirstUnstableOffset()
		m.HasLateTransaction(0)
		m.OnHighWatermark(1000)
		m.RemoveExpired(0)
	})
}

func FuzzEndTxnMarker(f *testing.F) {
	f.Add(markerBatch(5, 1, 0, 3, true, 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		h, err := protocol.ParseRecordBatch(b)
		if err != nil {
			return
		}
		marker, err := parseEndTxnMarker(&h, b)
		again, err2 := parseEndTxnMarker(&h, b)
		if marker != again || (err == nil) != (err2 == nil) {
			t.Fatal("changed its mind")
		}
	})
}
