package protocol

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

// EndTxnMarker is the control record that ends a transaction.
type EndTxnMarker struct {
	Commit           bool
	CoordinatorEpoch int32
}

// ParseControlType reads the type from the key of a control record.
func ParseControlType(key []byte) (ControlType, error) { panic("not written yet") }

// ParseEndTxnMarker reads an abort or commit marker from the key and value of its record.
func ParseEndTxnMarker(key, value []byte) (EndTxnMarker, error) { panic("not written yet") }

// AppendEndTxnBatch appends the control batch that ends a transaction of producerID to
// dst. It takes one offset, which the log assigns as it does any batch's.
func AppendEndTxnBatch(dst []byte, producerID int64, producerEpoch int16, timestampMs int64, marker EndTxnMarker) []byte {
	panic("not written yet")
}
