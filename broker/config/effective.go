package config

import (
	"fmt"
	"sort"
)

// ClampReplicationFactors says what the replication factors of the internal topics come to
// on a cluster of so many brokers, with a note for each one lowered.
func (c *Config) ClampReplicationFactors(brokers int) (offsets, transactions int16, transactionMinISR int32, notes []Note) {
	lowered := func(key string, most int64) int64 {
		s, _ := c.lookup(key)
		n := c.long(key)
		if n <= most {
			return n
		}
		notes = append(notes, Note{Kind: NoteClamped, Setting: s,
			Message: fmt.Sprintf("is %d, but there are only %d brokers: the topic is created with %d. With more brokers, raise it by a reassignment", n, brokers, most)})
		return most
	}
	most := int64(max(brokers, 1))
	offsets = int16(lowered("offsets.topic.replication.factor", most))
	factor := lowered("transaction.state.log.replication.factor", most)
	return offsets, int16(factor), int32(lowered("transaction.state.log.min.isr", factor)), notes
}

// Print returns one line key=value per effective value that somebody set, or of all keys,
// by name, secrets hidden. It is what a broker prints at start.
func (c *Config) Print(all bool) []string {
	seen := make(map[string]bool)
	for name := range c.static {
		seen[name] = true
	}
	for name := range c.perBroker {
		seen[name] = true
	}
	for name := range c.clusterDefault {
		seen[name] = true
	}
	if all {
		for i := range brokerKeys {
			if k := &brokerKeys[i]; !k.Internal && k.Release != ReleaseOld {
				seen[k.Name] = true
			}
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		s, ok := c.lookup(name)
		switch {
		case sensitiveName(name) && ok:
			s.Value = Redacted
		case !ok:
			s.Value = "null"
		}
		names[i] = name + " = " + s.Value
	}
	return names
}
