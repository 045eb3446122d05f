package broker

import (
	"context"
	"errors"

	"github.com/barnabas-broker/barnabas/protocol"
)

// codeOf turns a Go error into the Kafka error code that a client gets. It alone does.
// Errors of the other rooms unwrap to the code they mean; what carries none is
// UNKNOWN_SERVER_ERROR.
func codeOf(err error) protocol.ErrorCode {
	if err == nil {
		return protocol.None
	}
	if code, ok := err.(protocol.ErrorCode); ok {
		return code
	}
	var code protocol.ErrorCode
	if errors.As(err, &code) {
		return code
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return protocol.ErrRequestTimedOut
	}
	return protocol.ErrUnknownServerError
}

// messageOf is the text that goes beside the code where an answer has room for one: the
// message of a *protocol.Error, else nil. Errors that are not meant for clients say
// nothing.
func messageOf(err error) *string {
	var e *protocol.Error
	if errors.As(err, &e) && e.Message != "" {
		message := protocol.CutMessage(e.Message)
		return &message
	}
	return nil
}
