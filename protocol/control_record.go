package protocol

import (
	"encoding/binary"
	"fmt"
)

// ControlType is the kind of a control record.
type ControlType int16

// The control records of 4.3. Only abort and commit occur in topics of users; the others
// belong to KRaft's own log and are only recognised.
const (
	ControlAbort          ControlType = 0
	ControlCommit         ControlType = 1
	ControlLeaderChange   ControlType = 2
	ControlSnapshotHeader ControlType = 3
	ControlSnapshotFooter ControlType = 4
	ControlKRaftVersion   ControlType = 5
	ControlKRaftVoters    ControlType = 6
)

// String returns Kafka's name of the type.
func (t ControlType) String() string {
	switch t {
	case ControlAbort:
		return "ABORT"
	case ControlCommit:
		return "COMMIT"
	case ControlLeaderChange:
		return "LEADER_CHANGE"
	case ControlSnapshotHeader:
		return "SNAPSHOT_HEADER"
	case ControlSnapshotFooter:
		return "SNAPSHOT_FOOTER"
	case ControlKRaftVersion:
		return "KRAFT_VERSION"
	case ControlKRaftVoters:
		return "KRAFT_VOTERS"
	}
	return fmt.Sprintf("UNKNOWN(%d)", int16(t))
}

// EndTxnMarker is the control record that ends a transaction.
type EndTxnMarker struct {
	Commit           bool
	CoordinatorEpoch int32
}

// Sizes of the key (version 2, type 2) of control records and of the value (version 2,
// coordinator epoch 4) of end markers, version 0. Later versions may only append.
const (
	controlKeySize   = 4
	endTxnMarkerSize = 6
)

// ParseControlType reads the type from the key of a control record. Versions above 0 are
// read as 0; an unknown type is no error.
func ParseControlType(key []byte) (ControlType, error) {
	if len(key) < controlKeySize {
		return 0, fmt.Errorf("%w: control key of %d bytes", ErrRecord, len(key))
	}
	if version := int16(binary.BigEndian.Uint16(key)); version < 0 {
		return 0, fmt.Errorf("%w: control key version %d", ErrRecord, version)
	}
	return ControlType(binary.BigEndian.Uint16(key[2:])), nil
}

// ParseEndTxnMarker reads an abort or commit marker from the key and value of its record.
func ParseEndTxnMarker(key, value []byte) (EndTxnMarker, error) {
	t, err := ParseControlType(key)
	if err != nil {
		return EndTxnMarker{}, err
	}
	if t != ControlAbort && t != ControlCommit {
		return EndTxnMarker{}, fmt.Errorf("%w: control record %v ends no transaction", ErrRecord, t)
	}
	if len(value) < endTxnMarkerSize {
		return EndTxnMarker{}, fmt.Errorf("%w: end marker of %d bytes", ErrRecord, len(value))
	}
	if version := int16(binary.BigEndian.Uint16(value)); version < 0 {
		return EndTxnMarker{}, fmt.Errorf("%w: end marker version %d", ErrRecord, version)
	}
	return EndTxnMarker{
		Commit:           t == ControlCommit,
		CoordinatorEpoch: int32(binary.BigEndian.Uint32(value[2:])),
	}, nil
}

// AppendEndTxnBatch appends the control batch that ends a transaction of producerID to
// dst. It takes one offset, which the log assigns as it does any batch's.
func AppendEndTxnBatch(dst []byte, producerID int64, producerEpoch int16, timestampMs int64, marker EndTxnMarker) []byte {
	var key [controlKeySize]byte
	var value [endTxnMarkerSize]byte
	if marker.Commit {
		binary.BigEndian.PutUint16(key[2:], uint16(ControlCommit))
	}
	binary.BigEndian.PutUint32(value[2:], uint32(marker.CoordinatorEpoch))

	start := len(dst)
	dst = append(dst, make([]byte, BatchOverhead)...)
	dst = appendRecord(dst, 0, 0, key[:], value[:], nil, nil)
	h := RecordBatch{
		Length:        int32(len(dst) - start - BatchLogOverhead),
		LeaderEpoch:   -1,
		Magic:         2,
		Attributes:    attrTransactional | attrControl,
		BaseTimestamp: timestampMs,
		MaxTimestamp:  timestampMs,
		ProducerID:    producerID,
		ProducerEpoch: producerEpoch,
		BaseSequence:  -1,
		RecordCount:   1,
	}
	h.putHeader(dst[start:])
	return dst
}
