package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

// result is what one check of one peer came to.
type result struct {
	Peer    string `json:"peer"`
	Check   string `json:"check"`
	Status  string `json:"status"` // ok, FAIL, - for not applicable, apache for a known failure of Apache's broker
	Detail  string `json:"detail,omitempty"`
	Seconds float64
}

// check runs one check and notes how it ended.
func (s *suite) check(peer, name string, f func() error) bool {
	start := time.Now()
	err := f()
	r := result{Peer: peer, Check: name, Status: "ok", Seconds: time.Since(start).Seconds()}
	if err != nil {
		r.Status, r.Detail = "FAIL", err.Error()
		if reason := s.knownOnApache(peer, name); reason != "" {
			r.Status, r.Detail = "apache", reason+"; here: "+err.Error()
		}
	}
	s.results = append(s.results, r)
	fmt.Fprintf(os.Stderr, "%-18s %-22s %-6s %5.1f s %s\n", r.Peer, r.Check, r.Status, r.Seconds, r.Detail)
	return err == nil
}

// knownOnApache says why Apache's own broker is known to fail a check that ours has to
// pass, or "".
func (s *suite) knownOnApache(peer, check string) string {
	if !s.kind.IsApache() {
		return ""
	}
	for _, p := range s.peers() {
		if p.Name == peer && s.dropped(p) {
			return "Apache 4 dropped what this client speaks"
		}
	}
	kraft := !strings.HasSuffix(string(s.kind), "-zk")
	switch {
	case peer == "2015":
		return "the first Metadata for a new topic answers an error, on which the program dies"
	case peer == "kafka-python-0.9.4" && check == "auto-create":
		return "the first Metadata for a new topic answers an error, on which the client dies"
	case peer == "kafka-python-0.9.4" && check == "reads all":
		// The client asks for 4,096 bytes and for more only after a message cut short.
		return "a Fetch v0 that is too small for the first batch is answered with nothing at all"
	case peer == "kafka-python-0.9.4" && kraft:
		return "KRaft has no offsets v0"
	case check == "new-groups" && s.kind != "apache-4.3.1":
		return "the consumer protocol is not on by default"
	}
	return ""
}

// dropped says whether the broker is one of Apache's that no longer speaks the versions
// of this client.
func (s *suite) dropped(p *peers.Peer) bool {
	return p.Before > 0 && s.kind.IsApache() && strings.HasPrefix(s.kind.Version(), fmt.Sprint(p.Before))
}

func (s *suite) count(status string) int {
	count := 0
	for _, r := range s.results {
		if r.Status == status {
			count++
		}
	}
	return count
}

// print writes one line per peer, one column per check, and the details of failures.
func (s *suite) print(w io.Writer) {
	var rows, columns []string
	cells := map[string]string{}
	for _, r := range s.results {
		if !slices.Contains(rows, r.Peer) {
			rows = append(rows, r.Peer)
		}
		if !isExtra(r.Peer) && !slices.Contains(columns, r.Check) {
			columns = append(columns, r.Check)
		}
		cells[r.Peer+" "+r.Check] = r.Status
	}
	fmt.Fprintf(w, "\n%s\n%-20s", s.kind, "peer")
	for _, c := range columns {
		fmt.Fprintf(w, " %-*s", max(6, len(c)), c)
	}
	fmt.Fprintln(w)
	for _, peer := range rows {
		if isExtra(peer) {
			continue
		}
		fmt.Fprintf(w, "%-20s", peer)
		for _, c := range columns {
			status := cells[peer+" "+c]
			if status == "" {
				status = "-"
			}
			fmt.Fprintf(w, " %-*s", max(6, len(c)), status)
		}
		fmt.Fprintln(w)
	}
	for _, peer := range rows {
		if !isExtra(peer) {
			continue
		}
		fmt.Fprintf(w, "%-20s", peer)
		for _, r := range s.results {
			if r.Peer == peer {
				fmt.Fprintf(w, " %s:%s", r.Check, r.Status)
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
	for _, r := range s.results {
		if r.Detail != "" {
			fmt.Fprintf(w, "%s %s %s: %s\n", r.Status, r.Peer, r.Check, r.Detail)
		}
	}
}

func isExtra(peer string) bool { return slices.Contains(extras, peer) }
