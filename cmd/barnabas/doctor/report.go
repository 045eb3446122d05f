package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Status is how a check came out.
type Status string

// The statuses.
const (
	OK      Status = "ok"
	Warning Status = "warning" // the broker runs, and something is unsafe or unwise
	Problem Status = "problem" // the broker does not start, or clients cannot use it
	Skipped Status = "skipped" // not looked at
)

// Check is one thing that was looked at.
type Check struct {
	Area   string `json:"area"` // configuration, listener, certificate, sasl, acl, storage, limits
	Status Status `json:"status"`
	Text   string `json:"text"`
	Do     string `json:"do,omitempty"` // what to do about it
}

// Client is what a client of one listener needs.
type Client struct {
	Listener         string   `json:"listener"`
	Address          string   `json:"address"` // what clients are told
	SecurityProtocol string   `json:"securityProtocol"`
	Mechanisms       []string `json:"mechanisms,omitempty"`
	Certificate      string   `json:"clientCertificate,omitempty"` // none, requested or required
	Properties       string   `json:"properties"`                  // for Java's clients
}

// Report is all that was found.
type Report struct {
	Checks  []Check  `json:"checks"`
	Clients []Client `json:"clients"`
}

func (r *Report) add(area string, status Status, do, format string, args ...any) {
	r.Checks = append(r.Checks, Check{area, status, fmt.Sprintf(format, args...), do})
}

// Count is how many checks came out so.
func (r *Report) Count(s Status) (n int) {
	for _, c := range r.Checks {
		if c.Status == s {
			n++
		}
	}
	return n
}

// WriteTo writes the report for a person.
func (r *Report) WriteTo(out io.Writer) (int64, error) {
	var b strings.Builder
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "%-8s %-13s %s\n", c.Status, c.Area, oneLine(c.Text))
		if c.Do != "" && c.Status != OK {
			fmt.Fprintf(&b, "%-22s %s\n", "", oneLine(c.Do))
		}
	}
	for _, c := range r.Clients {
		fmt.Fprintf(&b, "\nclients of listener %s, %s:\n", c.Listener, c.Address)
		for _, line := range strings.Split(strings.TrimSuffix(c.Properties, "\n"), "\n") {
			fmt.Fprintln(&b, "    "+line)
		}
	}
	fmt.Fprintf(&b, "\n%d problems, %d warnings\n", r.Count(Problem), r.Count(Warning))
	n, err := io.WriteString(out, b.String())
	return int64(n), err
}

// oneLine keeps texts of others from looking like lines of ours.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}
