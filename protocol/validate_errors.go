package protocol

import (
	"errors"
	"fmt"
	"strings"
)

// RecordError says what is wrong with one record of a refused batch.
type RecordError struct {
	BatchIndex int32 // place of the record in the batch
	Message    string
}

// InvalidRecordsError refuses a batch for some of its records. Unwrap yields the *Error
// for the partition, so errors.As finds that and the code; Produce v8 and later send the
// records too.
type InvalidRecordsError struct {
	Err     *Error
	Records []RecordError // the first maxRecordErrors of them
}

// maxRecordErrors bounds how many bad records one refusal names. Apache names all; a
// hostile batch can hold a million.
const maxRecordErrors = 1000

func (e *InvalidRecordsError) Error() string { return e.Err.Error() }

// Unwrap returns the partition's error.
func (e *InvalidRecordsError) Unwrap() error { return e.Err }

// recordErrors collects what is wrong with records, once there is anything.
type recordErrors struct {
	list      []RecordError
	total     int
	timestamp bool // one of them is a bad timestamp
}

func (v *Validator) refuse(index int32, code ErrorCode, message string) {
	if v.errs == nil {
		v.errs = new(recordErrors)
	}
	v.errs.total++
	v.errs.timestamp = v.errs.timestamp || code == ErrInvalidTimestamp
	if len(v.errs.list) < maxRecordErrors {
		v.errs.list = append(v.errs.list, RecordError{BatchIndex: index, Message: message})
	}
}

func (e *recordErrors) err() error {
	if e == nil {
		return nil
	}
	if e.timestamp {
		return &InvalidRecordsError{
			Err:     Errorf(ErrInvalidTimestamp, "One or more records have been rejected due to invalid timestamp"),
			Records: e.list,
		}
	}
	var first strings.Builder
	for i, one := range e.list[:min(len(e.list), 3)] {
		if i > 0 {
			first.WriteString(", ")
		}
		fmt.Fprintf(&first, "RecordError(batchIndex=%d, message='%s')", one.BatchIndex, one.Message)
	}
	return &InvalidRecordsError{
		Err: Errorf(ErrInvalidRecord, "One or more records have been rejected due to %d record errors in total, "+
			"and only showing the first three errors at most: [%s]", e.total, first.String()),
		Records: e.list,
	}
}

// batchError gives an error of the outer format its code.
func batchError(err error) error { return Errorf(ErrCorruptMessage, "%v", err) }

// recordsError gives an error of reading or rebuilding records the code that Apache
// answers with.
func recordsError(err error, s *ValidateSettings) error {
	code := ErrInvalidRecord
	switch {
	case errors.Is(err, ErrDecompress):
		code = ErrUnknownServerError
	case errors.Is(err, ErrDecompressedSize):
		code = ErrMessageTooLarge
	case errors.Is(err, ErrBatchCRC), errors.Is(err, ErrBatchLength), errors.Is(err, ErrBatchMagic):
		code = ErrCorruptMessage
	case errors.Is(err, ErrBuildTimestamp):
		code = ErrInvalidTimestamp
	case errors.Is(err, ErrUnsupportedCompressionType):
		code = ErrUnsupportedCompressionType
	}
	return Errorf(code, "%v in topic partition %v", err, s.Partition)
}
