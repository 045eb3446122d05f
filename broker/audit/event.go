package audit

import "time"

// Kind is what an event is about.
type Kind string

// The kinds of events.
const (
	Authentication Kind = "authentication" // somebody proved, or failed to prove, who they are
	Authorization  Kind = "authorization"  // somebody was refused
	Administration Kind = "administration" // somebody changed the cluster, or tried to
)

// Outcome is how it went.
type Outcome string

// The outcomes.
const (
	Begun     Outcome = "begun" // about to be done; written where nothing may go unrecorded
	Succeeded Outcome = "succeeded"
	Failed    Outcome = "failed"
	Denied    Outcome = "denied"
)

// Event is one entry. Empty fields are left out.
type Event struct {
	Time    time.Time `json:"time"`
	Node    int32     `json:"node"`
	Kind    Kind      `json:"kind"`
	Outcome Outcome   `json:"outcome"`

	// Who, and on which connection.
	Principal  string `json:"principal,omitempty"`
	Previous   string `json:"previous,omitempty"` // principal of the connection until then
	Peer       string `json:"peer,omitempty"`
	Listener   string `json:"listener,omitempty"`
	Connection uint64 `json:"connection,omitempty"`
	ClientID   string `json:"clientId,omitempty"`
	Mechanism  string `json:"mechanism,omitempty"`

	// What was asked.
	API           string `json:"api,omitempty"`
	Version       int16  `json:"version,omitempty"`
	CorrelationID int32  `json:"correlationId,omitempty"`
	Operation     string `json:"operation,omitempty"`
	Resource      string `json:"resource,omitempty"`

	// What decided.
	Rule   string `json:"rule,omitempty"`
	Grant  string `json:"grant,omitempty"` // the command that would allow it
	DryRun bool   `json:"dryRun,omitempty"`
	Reason string `json:"reason,omitempty"`

	Changes []Change `json:"changes,omitempty"`
	// Repeated is how many events like this one were not written since the last that was.
	Repeated int64 `json:"repeated,omitempty"`
}

// Change is one thing that an administrative request names.
type Change struct {
	Resource string `json:"resource"`
	What     string `json:"what,omitempty"` // e.g. retention.ms=1000; secrets as [redacted]
	Error    string `json:"error,omitempty"`
}
