package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/barnabas-broker/barnabas/cmd/barnabas/probe"
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
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var op *net.OpError // an alert of TLS is a "remote error"
	elsewhere := "Is the broker running there? --bootstrap-server or BARNABAS_BOOTSTRAP names another one."
	switch {
	case errors.As(err, &code):
		return wording(code) + " (" + code.Message + ")", remedy(code)
	case errors.As(err, &dns):
		return "the host name " + dns.Name + " is not known", "If it is the broker's own name, its advertised.listeners may need an address that this machine knows."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens on " + addressOf(err, e.bootstrap), elsewhere
	case errors.As(err, &authority):
		return "the broker's certificate is signed by nobody that this client trusts", "ssl.truststore.location names the authority's certificate (PEM, PKCS12 or JKS) in the client's properties (--command-config)."
	case errors.As(err, &hostname):
		return "the broker's certificate is for another host: " + hostname.Error(), "Ask the broker by a name of its certificate, or give it a certificate with this name (barnabas cert server)."
	case errors.As(err, &invalid):
		return "the broker's certificate is not good: " + invalid.Error(), ""
	case errors.As(err, &op) && op.Op == "remote error":
		return "the broker refused the TLS connection: " + op.Err.Error(), e.mismatch("A listener with ssl.client.auth=required wants a certificate that it trusts: ssl.keystore.location.")
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.As(err, &record):
		return "the broker at " + e.bootstrap + " closed the connection", e.mismatch("It may not be Kafka's; the broker's log tells.")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer from %s within %v", e.bootstrap, e.timeout), "--timeout waits longer. " + elsewhere
	case errors.As(err, &network):
		return network.Error(), elsewhere
	}
	return err.Error(), ""
}

// mismatch asks the broker what it expects and says what the client did instead, if that
// differs; otherwise it is the given text.
func (e *env) mismatch(otherwise string) string {
	c, err := e.client()
	servers := splitList(e.bootstrap)
	if err != nil || len(servers) == 0 {
		return otherwise
	}
	r, err := probe.Ask(e.ctx, servers[0])
	want := c.Protocol.String()
	switch {
	case err != nil:
		return otherwise
	case !r.Kafka && !r.TLS:
		return servers[0] + " does not speak Kafka's protocol."
	case r.Kafka && r.SecurityProtocol() == want && !(r.ClientCertIsRequired && len(c.TLS.Certificates) == 0):
		return otherwise
	case !r.Kafka && c.TLS != nil && len(c.TLS.Certificates) > 0:
		return otherwise
	}
	return servers[0] + " " + r.String() + "; this client came with security.protocol=" + want + ". --command-config names a file of client properties."
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
	case kerr.SaslAuthenticationFailed.Code:
		return "Check user and password, and sasl.mechanism; the broker's log has the reason."
	case kerr.SecurityDisabled.Code:
		return "The broker has no authorizer: authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer turns ACLs on."
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
		return "The broker's log has the command that would allow it; `barnabas acl explain` tells more."
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
