package auth

import "github.com/barnabas-broker/barnabas/protocol"

// Action is what a connection has to do with a frame.
type Action int8

// The actions. The zero value closes.
const (
	// CloseNow ends the connection without an answer.
	CloseNow Action = iota
	// CloseDelayed ends it after connection.failed.authentication.delay.ms, sending
	// Verdict.Answer, if there is one, right before. Nothing is read meanwhile.
	CloseDelayed
	// Reply sends Verdict.Answer; then the next frame is read.
	Reply
	// ServeAPIVersions has the ApiVersions handler answer the frame, as it answers
	// anybody.
	ServeAPIVersions
	// Serve takes the frame for a request of the Gate's present identity.
	Serve
)

var actionNames = [...]string{"close now", "close delayed", "reply", "serve ApiVersions", "serve"}

func (a Action) String() string { return actionNames[a] }

// Verdict is a Gate's answer to one frame.
type Verdict struct {
	Do Action
	// Answer is a whole frame with its size, for Reply and CloseDelayed. It may be nil with
	// Reply: some tokens get no answer.
	Answer []byte
	// Authenticated is set by the frame that completed an authentication or a
	// re-authentication; it is what Gate.Identity returns from now on. Answers go out in
	// order, so nothing of the new identity can come before this verdict's Answer.
	Authenticated *Identity
	// Previous is, after a re-authentication, the identity before it.
	Previous *Identity
	// Expired says that the connection is closed because its session ran out: Kafka's
	// expired-connections-killed-count.
	Expired bool
	// Code is, on CloseDelayed without an Answer, the error that a handler who can build
	// the refused API's answer may send in it (Header is then set); else None.
	Code   protocol.ErrorCode
	Header protocol.RequestHeader
	// Refused says why, on a Reply that tells the client so: it will not get in any more.
	Refused error
	// Mechanism is, on a verdict that closes or refuses, the mechanism whose exchange was under
	// way.
	Mechanism string
	// Err says why the connection is closed, for log, audit and metrics. Never sent.
	Err error
}
