package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
)

// failure is an error told to a person: what did not work, why, and what to do about it.
type failure struct {
	what string
	why  string
	do   string
	err  error
}

func (f *failure) Error() string {
	if f.why == "" {
		return f.what
	}
	return f.what + ": " + f.why
}

func (f *failure) Unwrap() error { return f.err }

// incompleteError says that waiting ended before everything asked for had come.
type incompleteError struct{ message string }

func (e *incompleteError) Error() string { return e.message }

// failed makes a failure of err; what names the attempt: "cannot create topic orders".
// It returns nil for nil.
func failed(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &failure{what: fmt.Sprintf(format, args...), err: err}
}

// refused is failed for an error code of an answer, with the broker's message if it sent
// one. It returns nil for code 0.
func refused(code int16, message *string, format string, args ...any) error {
	if code == 0 {
		return nil
	}
	f := &failure{what: fmt.Sprintf(format, args...), err: kerr.ErrorForCode(code)}
	if message != nil && *message != "" {
		f.why = strings.TrimSuffix(*message, ".")
		if e := kerr.TypedErrorForCode(code); e != nil {
			f.why += " (" + e.Message + ")"
		}
	}
	return f
}

// explain completes a failure: the reason in words, and the remedy where there is one.
func (e *env) explain(err error) *failure {
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{what: err.Error(), err: err}
		if e.isUnreachable(err) || errors.As(err, new(*kerr.Error)) {
			f.what = "the request failed"
		} else {
			return f
		}
	}
	if f.err == nil {
		return f
	}
	why, do := e.reason(f.err)
	if f.why == "" {
		f.why = why
	}
	if f.do == "" {
		f.do = do
	}
	return f
}

func (e *env) isUnreachable(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded)
}

// reason puts an error of the client library or the network in words.
func (e *env) reason(err error) (why, do string) {
	var code *kerr.Error
	var dns *net.DNSError
	var network net.Error
	elsewhere := "Is the broker running there? --bootstrap-server or BARNABAS_BOOTSTRAP names another one."
	switch {
	case errors.As(err, &code):
		return wording(code) + " (" + code.Message + ")", remedy(code)
	case errors.As(err, &dns):
		return "the host name " + dns.Name + " is not known", "If it is the broker's own name, its advertised.listeners may need an address that this machine knows."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens on " + addressOf(err, e.bootstrap), elsewhere
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "the broker at " + e.bootstrap + " closed the connection", "The listener may expect TLS or SASL, or it may not be Kafka's; the broker's log tells."
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer from %s within %v", e.bootstrap, e.timeout), "--timeout waits longer. " + elsewhere
	case errors.As(err, &network):
		return network.Error(), elsewhere
	}
	return err.Error(), ""
}

// wording says what an error code means, for those whose description speaks of protocols.
func wording(code *kerr.Error) string {
	switch code.Code {
	case kerr.UnknownTopicOrPartition.Code, kerr.UnknownTopicID.Code:
		return "there is no such topic or partition, or you may not see it"
	case kerr.GroupIDNotFound.Code:
		return "there is no such group"
	case kerr.NonEmptyGroup.Code:
		return "the group has members"
	}
	return lowerFirst(strings.TrimSuffix(code.Description, "."))
}

func addressOf(err error, otherwise string) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return op.Addr.String()
	}
	return otherwise
}

// remedy is what usually helps against an error code.
func remedy(code *kerr.Error) string {
	switch code.Code {
	case kerr.UnknownTopicOrPartition.Code, kerr.UnknownTopicID.Code:
		return "`barnabas topic list` shows the topics that you may see."
	case kerr.TopicAlreadyExists.Code:
		return "--if-not-exists makes this no error; `barnabas topic alter` changes a topic."
	case kerr.InvalidReplicationFactor.Code:
		return "`barnabas cluster brokers` shows how many brokers there are."
	case kerr.NonEmptyGroup.Code, kerr.UnknownMemberID.Code:
		return "Stop the group's consumers first; `barnabas group describe` shows them."
	case kerr.GroupIDNotFound.Code:
		return "`barnabas group list` shows the groups there are."
	case kerr.GroupSubscribedToTopic.Code:
		return "Stop the consumers that read the topic first; `barnabas group describe` shows them."
	case kerr.TopicAuthorizationFailed.Code, kerr.GroupAuthorizationFailed.Code, kerr.ClusterAuthorizationFailed.Code:
		return "Ask for an ACL that allows it; the broker's log names the operation that was refused."
	case kerr.UnsupportedVersion.Code:
		return "`barnabas cluster api-versions` shows what the broker supports."
	case kerr.NotEnoughReplicas.Code, kerr.NotEnoughReplicasAfterAppend.Code:
		return "min.insync.replicas asks for more brokers than are in sync; `barnabas topic describe` shows them."
	}
	return ""
}

func lowerFirst(s string) string {
	if len(s) > 1 && s[0] >= 'A' && s[0] <= 'Z' && (s[1] < 'A' || s[1] > 'Z') {
		return string(s[0]|0x20) + s[1:]
	}
	return s
}
