package protocol

import (
	"fmt"
	"strings"
)

// ErrorCode is a Kafka error code as it stands on the wire. The zero value, None, is
// success. Every other code is an error in Go's sense too, so that a core can return
// ErrUnknownTopicOrPartition and a test can ask errors.Is for it.
type ErrorCode int16

// Error returns Kafka's name of the code, e.g. "UNKNOWN_TOPIC_OR_PARTITION".
func (c ErrorCode) Error() string {
	if name, ok := errorNames[c]; ok {
		return name
	}
	return fmt.Sprintf("ERROR_CODE_%d", int16(c))
}

// Retriable says whether the Java client retries the code by itself.
func (c ErrorCode) Retriable() bool { return retriable[c] }

// Error is a Kafka error code with the message that is sent beside it. Unwrap yields the
// code, so errors.Is(err, ErrInvalidConfig) and errors.As(err, &code) both work.
type Error struct {
	Code    ErrorCode
	Message string
}

// messageMaxBytes bounds the message of an error. Messages quote names as clients sent
// them, which may have 32,767 bytes, and no string of an answer can be longer than that.
const messageMaxBytes = 4096

// Errorf makes an *Error of code with a formatted message, which is cut where it is too
// long for an answer.
func Errorf(code ErrorCode, format string, args ...any) *Error {
	return &Error{Code: code, Message: CutMessage(fmt.Sprintf(format, args...))}
}

// CutMessage returns the message of an error as it may stand in an answer.
func CutMessage(message string) string {
	if len(message) <= messageMaxBytes {
		return message
	}
	return strings.ToValidUTF8(message[:messageMaxBytes], "") + "..."
}

func (e *Error) Error() string { return e.Code.Error() + ": " + e.Message }

// Unwrap returns the code.
func (e *Error) Unwrap() error { return e.Code }
