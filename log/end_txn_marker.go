package log

import (
	"encoding/binary"

	"github.com/barnabas-broker/barnabas/protocol"
)

// endTxnMarker is the one record of a control batch that ends a transaction.
type endTxnMarker struct {
	abort            bool
	coordinatorEpoch int32
	timestamp        int64
}

// Control record types, the second field of a control record's key.
const (
	controlTypeAbort  = 0
	controlTypeCommit = 1
)

// parseEndTxnMarker reads the first record of a control batch, which is never compressed.
// The record: varint length, attributes 1, varint timestamp delta, varint offset delta,
// varint key length, key (version 2, type 2), varint value length, value (version 2,
// coordinator epoch 4), headers.
func parseEndTxnMarker(h *protocol.RecordBatch, batch []byte) (endTxnMarker, error) {
	typ, r, err := parseControlRecord(h, batch)
	if err != nil {
		return endTxnMarker{}, err
	}
	if typ != controlTypeAbort && typ != controlTypeCommit {
		return endTxnMarker{}, protocol.Errorf(protocol.ErrCorruptMessage, "Control record type %d at offset %d does not end a transaction", typ, h.BaseOffset)
	}
	if len(r.value) < 6 {
		return endTxnMarker{}, corruptControl(h)
	}
	m := endTxnMarker{abort: typ == controlTypeAbort, coordinatorEpoch: int32(binary.BigEndian.Uint32(r.value[2:]))}
	m.timestamp = h.BaseTimestamp + r.timestampDelta
	if h.TimestampType() == protocol.LogAppendTime {
		m.timestamp = h.MaxTimestamp
	}
	return m, nil
}

type controlRecord struct {
	timestampDelta int64
	value          []byte
}

// parseControlRecord returns the type and the rest of a control batch's first record.
func parseControlRecord(h *protocol.RecordBatch, batch []byte) (typ int16, r controlRecord, err error) {
	if len(batch) < protocol.BatchOverhead || h.Codec() != protocol.CodecNone {
		return 0, r, corruptControl(h)
	}
	b := batch[protocol.BatchOverhead:min(len(batch), h.Size())]
	length, n := binary.Varint(b)
	if n <= 0 || length < 1 || length > int64(len(b)-n) {
		return 0, r, corruptControl(h)
	}
	b = b[n : n+int(length)][1:] // past the attributes
	delta, n := binary.Varint(b)
	if n <= 0 {
		return 0, r, corruptControl(h)
	}
	b = b[n:]
	if _, n = binary.Varint(b); n <= 0 {
		return 0, r, corruptControl(h)
	}
	key, b, ok := cutVarintBytes(b[n:])
	if !ok || len(key) < 4 {
		return 0, r, corruptControl(h)
	}
	value, _, ok := cutVarintBytes(b)
	if !ok {
		return 0, r, corruptControl(h)
	}
	return int16(binary.BigEndian.Uint16(key[2:])), controlRecord{timestampDelta: delta, value: value}, nil
}

// cutVarintBytes cuts a length, -1 for null, and as many bytes off b.
func cutVarintBytes(b []byte) (cut, rest []byte, ok bool) {
	length, n := binary.Varint(b)
	if n <= 0 || length < -1 || length > int64(len(b)-n) {
		return nil, nil, false
	}
	if length < 0 {
		return nil, b[n:], true
	}
	return b[n : n+int(length)], b[n+int(length):], true
}

func corruptControl(h *protocol.RecordBatch) error {
	return protocol.Errorf(protocol.ErrCorruptMessage, "Control batch at offset %d cannot be read", h.BaseOffset)
}
