package log

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
)

// producerReplay appends batches to nothing but the producer state, as a log would.
type producerReplay struct {
	manager       *ProducerStateManager
	end           int64
	highWatermark int64
	aborted       []AbortedTxn
}

func newProducerReplay(t *testing.T) *producerReplay {
	config := &ProducerStateConfig{}
	config.ExpirationMs.Store(86400000)
	tp := protocol.TopicPartition{Topic: "t", Partition: 0}
	return &producerReplay{manager: NewProducerStateManager(tp, t.TempDir(), OS{}, config, slog.New(slog.DiscardHandler))}
}

func (r *producerReplay) AppendAbortedTxn(txn AbortedTxn) error {
	r.aborted = append(r.aborted, txn)
	return nil
}

func (r *producerReplay) lastStableOffset() int64 {
	if offset, ok := r.manager.FirstUnstableOffset(); ok {
		return min(offset, r.highWatermark)
	}
	return r.highWatermark
}

// do runs one line of a trace and returns what became of it.
func (r *producerReplay) do(f []string) string {
	n := func(i int) int64 {
		v, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			panic(err)
		}
		return v
	}
	var result string
	switch f[0] {
	case "watermark":
		r.highWatermark = n(1)
		r.manager.OnHighWatermark(r.highWatermark)
		return fmt.Sprintf("lso %d", r.lastStableOffset())
	case "marker":
		batch := markerBatch(r.end, n(1), int16(n(2)), int32(n(3)), f[4] == "commit", n(5))
		result = r.append(OriginCoordinator, batch)
	case "data":
		h := protocol.RecordBatch{
			BaseOffset: r.end, Magic: 2, ProducerID: n(1), ProducerEpoch: int16(n(2)), BaseSequence: int32(n(3)),
			LastOffsetDelta: int32(n(4)) - 1, RecordCount: int32(n(4)), BaseTimestamp: n(6), MaxTimestamp: n(6), Length: 49,
		}
		if f[5] == "true" {
			h.Attributes |= attributeTransactional
		}
		origin := OriginClient
		if f[7] == "coordinator" {
			origin = OriginCoordinator
		}
		result = r.append(origin, h.AppendHeader(nil))
	}
	return fmt.Sprintf("%s lso %d", result, r.lastStableOffset())
}

func (r *producerReplay) append(origin AppendOrigin, batch []byte) string {
	h, err := protocol.ParseRecordBatch(batch)
	if err != nil {
		panic(err)
	}
	duplicate, found, err := r.manager.Prepare(origin, &h, batch)
	var code protocol.ErrorCode
	switch {
	case errors.As(err, &code):
		return "error " + code.Error()
	case err != nil:
		return err.Error()
	case found:
		return fmt.Sprintf("duplicate %d %d %d", duplicate.FirstOffset, duplicate.LastOffset, duplicate.Timestamp)
	}
	r.end = h.NextOffset()
	if err := r.manager.Commit(r.end, r); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("ok %d", h.BaseOffset)
}

// markerBatch is a control batch that ends a transaction.
func markerBatch(offset, producerID int64, producerEpoch int16, coordinatorEpoch int32, commit bool, timestamp int64) []byte {
	control := byte(controlTypeAbort)
	if commit {
		control = controlTypeCommit
	}
	record := []byte{0, 0, 0, 8, 0, 0, 0, control, 12, 0, 0,
		byte(coordinatorEpoch >> 24), byte(coordinatorEpoch >> 16), byte(coordinatorEpoch >> 8), byte(coordinatorEpoch), 0}
	record = append([]byte{byte(len(record) * 2)}, record...)
	h := protocol.RecordBatch{
		BaseOffset: offset, Magic: 2, ProducerID: producerID, ProducerEpoch: producerEpoch, BaseSequence: -1, RecordCount: 1,
		Attributes: attributeControl | attributeTransactional, BaseTimestamp: timestamp, MaxTimestamp: timestamp,
		Length: int32(protocol.BatchOverhead - protocol.BatchLogOverhead + len(record)),
	}
	b := append(h.AppendHeader(nil), record...)
	resetChecksum(b)
	return b
}
