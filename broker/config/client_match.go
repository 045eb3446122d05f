package config

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// clientSelectors are the names that match may use (KIP-714).
var clientSelectors = []string{"client_instance_id", "client_id", "client_software_name", "client_software_version",
	"client_source_address", "client_source_port"}

// ParseClientMatch reads the match list of a client metrics subscription: selector=regex.
// A client matches if all of its selected values match their whole pattern.
func ParseClientMatch(list []string) (map[string]*regexp.Regexp, error) {
	m := make(map[string]*regexp.Regexp, len(list))
	for _, e := range list {
		name, pattern, ok := strings.Cut(e, "=")
		name, pattern = trim(name), trim(pattern)
		if !ok || strings.Contains(pattern, "=") {
			return nil, protocol.Errorf(protocol.ErrInvalidConfig, "Illegal client matching pattern: %s", e)
		}
		if !contains(clientSelectors, name) {
			return nil, protocol.Errorf(protocol.ErrInvalidConfig, "Illegal client matching pattern: %s", e)
		}
		re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
		if err != nil {
			return nil, protocol.Errorf(protocol.ErrInvalidConfig, "Illegal client matching pattern: %s", e)
		}
		m[name] = re
	}
	return m, nil
}

// ClientSubscription is a client metrics resource, ready to use.
type ClientSubscription struct {
	Metrics    []string // prefixes of metric names; * is all
	IntervalMs int32
	Match      map[string]*regexp.Regexp // by selector; empty: every client
}

// ParseClientSubscription reads the stored settings of a client metrics resource.
func ParseClientSubscription(own map[string]string) (ClientSubscription, error) {
	s := ClientSubscription{Metrics: splitList(trim(own["metrics"]))}
	interval := own["interval.ms"]
	if interval == "" {
		interval = Lookup(ScopeClientMetrics, "interval.ms").Default
	}
	ms, err := strconv.ParseInt(trim(interval), 10, 32)
	if err != nil {
		return s, err
	}
	s.IntervalMs = int32(ms)
	s.Match, err = ParseClientMatch(splitList(trim(own["match"])))
	return s, err
}
