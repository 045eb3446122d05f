package broker

import "github.com/barnabas-broker/barnabas/protocol"

// defaultMessage is the sentence that goes with a code where the answer carries one and
// the error had none of its own.
func defaultMessage(code protocol.ErrorCode) *string {
	text, ok := defaultMessages[code]
	if !ok {
		text = code.Error()
	}
	return &text
}

var defaultMessages = map[protocol.ErrorCode]string{
	protocol.ErrUnknownServerError:         "The server experienced an unexpected error when processing the request.",
	protocol.ErrUnknownTopicOrPartition:    "This server does not host this topic-partition.",
	protocol.ErrUnknownTopicID:             "This server does not host this topic ID.",
	protocol.ErrTopicAuthorizationFailed:   "Topic authorization failed.",
	protocol.ErrGroupAuthorizationFailed:   "Group authorization failed.",
	protocol.ErrClusterAuthorizationFailed: "Cluster authorization failed.",
	protocol.ErrTopicDeletionDisabled:      "Topic deletion is disabled.",
	protocol.ErrRequestTimedOut:            "The request timed out.",
	protocol.ErrInvalidRequest:             "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.",
	protocol.ErrReplicaNotAvailable:        "The replica is not available for the requested topic-partition.",
	protocol.ErrKafkaStorageError:          "Disk error when trying to access log file on the disk.",
	protocol.ErrElectionNotNeeded:          "Leader election not needed for topic partition.",
	protocol.ErrLogDirNotFound:             "The user-specified log directory is not found in the broker config.",
}
