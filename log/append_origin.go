package log

// AppendOrigin says where a batch comes from, and so how much of it is checked.
type AppendOrigin int8

const (
	// OriginClient is a producer's request: duplicates are found, sequences and
	// epochs must fit.
	OriginClient AppendOrigin = iota
	// OriginCoordinator is a group or transaction coordinator of this broker: its
	// batches carry no sequences, only epochs are checked.
	OriginCoordinator
	// OriginReplication is a leader's log, copied, or our own log, read again: the
	// checks were made when it was first written, so nothing is refused.
	OriginReplication
)
