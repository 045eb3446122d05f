package log

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/barnabas-broker/barnabas/protocol"
)

// ErrClosed says that the log has been closed, deleted or moved. To a client it is
// KAFKA_STORAGE_ERROR, upon which it looks for the partition again.
var ErrClosed = fmt.Errorf("%w: the log is closed", protocol.ErrKafkaStorageError)

// ErrTruncated says that records which were to be synced have been cut off the log, as
// happens when another replica leads. To a client it is NOT_LEADER_OR_FOLLOWER.
var ErrTruncated = fmt.Errorf("%w: the records have been cut off", protocol.ErrNotLeaderOrFollower)

// ErrUnknownLog says that there is no such log here.
var ErrUnknownLog = errors.New("no such log")

// OffsetOutOfRangeError says that the log does not reach to the offset asked for. It
// unwraps to OFFSET_OUT_OF_RANGE.
type OffsetOutOfRangeError struct {
	Partition protocol.TopicPartition
	Asked     int64
	LogStart  int64 // the first offset that may be asked for
	End       int64 // the last offset that may be asked for
}

func (e *OffsetOutOfRangeError) Error() string {
	return fmt.Sprintf("%v: offset %d is not within %d and %d", e.Partition, e.Asked, e.LogStart, e.End)
}

// Unwrap returns OFFSET_OUT_OF_RANGE.
func (e *OffsetOutOfRangeError) Unwrap() error { return protocol.ErrOffsetOutOfRange }

// OutOfOrderOffsetsError says that a leader's batches do not continue this follower's
// log. It unwraps to OFFSET_OUT_OF_RANGE.
type OutOfOrderOffsetsError struct {
	Partition protocol.TopicPartition
	First     int64 // base offset of the first batch that came
	LogEnd    int64 // what it should have been at least
}

func (e *OutOfOrderOffsetsError) Error() string {
	return fmt.Sprintf("%v: batch at offset %d is not at or after the log end offset %d", e.Partition, e.First, e.LogEnd)
}

// Unwrap returns OFFSET_OUT_OF_RANGE.
func (e *OutOfOrderOffsetsError) Unwrap() error { return protocol.ErrOffsetOutOfRange }

// StorageError says that a data directory, or one log in it, could not be read or
// written, and is offline since. It unwraps to KAFKA_STORAGE_ERROR and to the cause.
type StorageError struct {
	Dir string // the data directory
	Op  string // what was being done, e.g. "append to my-topic-0"
	Err error
}

func (e *StorageError) Error() string {
	return fmt.Sprintf("data directory %s: %s: %v", e.Dir, e.Op, e.Err)
}

// Unwrap returns KAFKA_STORAGE_ERROR and the cause.
func (e *StorageError) Unwrap() []error { return []error{protocol.ErrKafkaStorageError, e.Err} }

// isDiskError says whether the system reports that a disk or file system does not work,
// rather than that something about one file is wrong.
func isDiskError(err error) bool {
	for _, code := range []error{unix.EIO, unix.EROFS, unix.ENOSPC, unix.EDQUOT, unix.ESTALE, unix.ENODEV, unix.ENXIO, unix.EMFILE, unix.ENFILE} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}
