package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// dynamicRule is one of the rules by name that an alteration of a broker must keep, in
// the order in which Apache checks them.
type dynamicRule struct {
	message            string
	breaks             func(name string) bool
	set                string // Scala's word for the collection, which Apache's message shows
	clusterDefaultOnly bool
	valuesNext         bool // after this rule the values are checked
}

var dynamicRules = []dynamicRule{
	{message: "Cannot update these configs dynamically", set: "Set", breaks: func(name string) bool {
		k := Lookup(ScopeBroker, name)
		return k != nil && k.Dynamic == ReadOnly
	}},
	{message: "These security configs can be dynamically updated only per-listener using the listener prefix",
		set: "HashSet", breaks: storeKey, valuesNext: true},
	{message: "Cannot update these configs at default cluster level, broker id must be specified",
		set: "Set", breaks: func(name string) bool {
			k, listener, rest := lookupPrefixed(name)
			if k == nil {
				return false
			}
			if listener != "" {
				return rest != "max.connections" && rest != "max.connection.creation.rate" && rest != "num.network.threads"
			}
			return k.Dynamic == PerBroker
		}, clusterDefaultOnly: true},
}

// storeKey says whether a key names key or trust material.
func storeKey(name string) bool {
	switch name {
	case "ssl.keystore.type", "ssl.keystore.location", "ssl.keystore.password", "ssl.key.password",
		"ssl.keystore.key", "ssl.keystore.certificate.chain",
		"ssl.truststore.type", "ssl.truststore.location", "ssl.truststore.password", "ssl.truststore.certificates":
		return true
	}
	return false
}

func checkValues(values map[string]string) error {
	for _, name := range sortedKeys(values) {
		if k := LookupBroker(name); k != nil {
			if err := k.Check(values[name]); err != nil {
				return errors.New(invalid(k.Name, values[name], err))
			}
		}
	}
	return nil
}

// checkDynamic is the rules for one stored value.
func checkDynamic(name, value string, perBroker bool) error {
	for _, rule := range dynamicRules {
		if (perBroker && rule.clusterDefaultOnly) || !rule.breaks(name) {
			continue
		}
		return errors.New(lowerFirst(rule.message))
	}
	return checkValues(map[string]string{name: value})
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// threadKeys are the sizes of thread pools, which may change by half to double at a time.
var threadKeys = []string{"background.threads", "log.cleaner.threads", "num.io.threads", "num.network.threads",
	"num.recovery.threads.per.data.dir", "num.replica.fetchers"}

// fixedAtStart are dynamic keys of Apache's whose values a broker here has from its start. A
// stored value that is another one, for the file has changed since, does not count.
var fixedAtStart = []string{"listeners", "advertised.listeners", "listener.security.protocol.map"}

// checkThreads is the rule on one of them.
func checkThreads(key string, was, want int64) error {
	bad := func(format string, args ...any) error {
		return protocol.Errorf(protocol.ErrInvalidRequest, format, args...)
	}
	what := fmt.Sprintf("Dynamic thread count update validation failed for %s=%d", key, want)
	cleaner := key == "log.cleaner.threads"
	switch {
	case was == want:
		return nil
	case cleaner && want < 1:
		return bad("Log cleaner threads should be at least 1")
	case cleaner && want < was/2:
		return bad("Log cleaner threads cannot be reduced to less than half the current value %d", was)
	case cleaner && want > was*2:
		return bad("Log cleaner threads cannot be increased to more than double the current value %d", was)
	case want < 1:
		return bad("%s, value should be at least 1", what)
	case want < was/2:
		return bad("%s, value should be at least half the current value %d", what, was)
	case want > was*2:
		return bad("%s, value should not be greater than double the current value %d", what, was)
	}
	return nil
}

// validateStep checks the rules between the configuration in effect and the next one.
func (c *Config) validateStep(next *Config) error {
	bad := func(format string, args ...any) error {
		return protocol.Errorf(protocol.ErrInvalidRequest, format, args...)
	}
	for _, key := range threadKeys {
		if err := checkThreads(key, c.long(key), next.long(key)); err != nil {
			return err
		}
	}
	for _, values := range []map[string]string{next.perBroker, next.clusterDefault} {
		for _, name := range sortedKeys(values) {
			if k, listener, rest := lookupPrefixed(name); k != nil && listener != "" && rest == "num.network.threads" {
				v, _ := c.ListenerValue(listener, "", rest)
				was, _ := strconv.ParseInt(v, 10, 64)
				want, _ := strconv.ParseInt(values[name], 10, 64)
				if err := checkThreads(rest, was, want); err != nil {
					return err
				}
			}
		}
	}
	if retention, ok := next.firstOf(retentionSynonyms); ok && retention == 0 {
		return bad("log.retention.ms must be unlimited (-1) or, greater than or equal to 1")
	}
	if low, high := next.long("log.cleaner.min.compaction.lag.ms"), next.long("log.cleaner.max.compaction.lag.ms"); low > high {
		return bad("conflict topic config setting log.cleaner.min.compaction.lag.ms (%d) > log.cleaner.max.compaction.lag.ms (%d)", low, high)
	}
	if next.long("max.connections.per.ip") == 0 && next.text("max.connections.per.ip.overrides") == "" {
		return bad("max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.")
	}
	if next.long("log.cleaner.dedupe.buffer.size")/max(next.long("log.cleaner.threads"), 1) <= 1<<20 {
		return bad("log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.")
	}
	for _, e := range splitCSV(next.text("max.connections.per.ip.overrides")) {
		if err := checkConnectionOverride(e); err != nil {
			return bad("Error parsing configuration property 'max.connections.per.ip.overrides': %s", err)
		}
	}
	for _, key := range fixedAtStart {
		static, _ := c.staticValue(key)
		want, _ := next.Value(key)
		// What is stored and does not count may stay: other keys must be alterable beside it.
		if stored, ok := c.unopened[key]; want != static && !(ok && want == stored) {
			return bad("%s cannot be altered while the broker runs: listeners are fixed at start", key)
		}
	}
	return nil
}
