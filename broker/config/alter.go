package config

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// Schema is the table of keys as the controller sees it: it says whether an alteration of
// dynamic settings is allowed, in Apache's error codes and words. It satisfies
// metadata.ConfigSchema.
type Schema struct {
	// Current returns the configuration in effect on this broker.
	Current func() *Config
}

var _ metadata.ConfigSchema = (*Schema)(nil)

func scopeOf(t metadata.ResourceType) (Scope, bool) {
	switch t {
	case metadata.TopicResource:
		return ScopeTopic, true
	case metadata.BrokerResource:
		return ScopeBroker, true
	case metadata.GroupResource:
		return ScopeGroup, true
	case metadata.ClientMetricsResource:
		return ScopeClientMetrics, true
	}
	return 0, false
}

func lookupIn(s Scope, name string) *Key {
	if s == ScopeBroker {
		return LookupBroker(name)
	}
	return Lookup(s, name)
}

// IsList says whether the key's type is list.
func (s *Schema) IsList(t metadata.ResourceType, key string) bool {
	scope, ok := scopeOf(t)
	if !ok {
		return false
	}
	k := lookupIn(scope, key)
	return k != nil && k.Type == TypeList
}

// DefaultValue is what the key is worth for a resource that has not set it.
func (s *Schema) DefaultValue(t metadata.ResourceType, key string) (string, bool) {
	c := s.Current()
	switch t {
	case metadata.TopicResource:
		return c.TopicDefault(key)
	case metadata.BrokerResource:
		if st, ok := c.static[key]; ok {
			return st.Value, true
		}
		return c.defaultOf(key)
	}
	scope, ok := scopeOf(t)
	if !ok {
		return "", false
	}
	k := Lookup(scope, key)
	if k == nil || k.NoDefault {
		return "", false
	}
	return k.Default, true
}

// Validate checks the whole set of values that a resource would have.
func (s *Schema) Validate(r metadata.ConfigResource, values, old map[string]string) error {
	c := s.Current()
	switch r.Type {
	case metadata.TopicResource:
		if r.Name == "" {
			return protocol.Errorf(protocol.ErrInvalidRequest, "Default topic resources are not allowed.")
		}
		return c.ValidateTopic(values)
	case metadata.BrokerResource:
		if r.Name == "" {
			return c.ValidateBroker(values, false)
		}
		id, err := strconv.ParseInt(r.Name, 10, 32)
		switch {
		case err != nil:
			return protocol.Errorf(protocol.ErrInvalidRequest, "Unable to parse broker name as a base 10 number.")
		case id < 0:
			return protocol.Errorf(protocol.ErrInvalidRequest, "Invalid negative broker ID.")
		}
		return c.ValidateBroker(values, true)
	case metadata.GroupResource:
		if r.Name == "" {
			return protocol.Errorf(protocol.ErrInvalidRequest, "Default group resources are not allowed.")
		}
		return c.ValidateGroup(values)
	case metadata.ClientMetricsResource:
		return ValidateClientMetrics(r.Name, values)
	}
	return protocol.Errorf(protocol.ErrInvalidRequest, "Unknown resource type %s", r.Type)
}

// invalid words a broken rule as Apache's ConfigException does.
func invalid(name, value string, err error) string {
	var ve *valueError
	if errors.As(err, &ve) {
		value = ve.shown
	}
	return fmt.Sprintf("Invalid value %s for configuration %s: %s", value, name, err)
}

// ValidateTopic checks all own settings of a topic. Its errors are INVALID_CONFIG.
func (c *Config) ValidateTopic(values map[string]string) error {
	for _, name := range sortedKeys(values) {
		if Lookup(ScopeTopic, name) == nil {
			return protocol.Errorf(protocol.ErrInvalidConfig, "Unknown topic config name: %s", name)
		}
	}
	for _, name := range sortedKeys(values) {
		k := Lookup(ScopeTopic, name)
		if err := k.Check(values[name]); err != nil {
			return protocol.Errorf(protocol.ErrInvalidConfig, "%s", invalid(name, values[name], err))
		}
	}
	t := topicView{c, values}
	low, high := t.long("min.compaction.lag.ms"), t.long("max.compaction.lag.ms")
	if low > high {
		return protocol.Errorf(protocol.ErrInvalidConfig,
			"conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)", low, high)
	}
	if t.boolean("remote.storage.enable") {
		return protocol.Errorf(protocol.ErrInvalidConfig,
			"Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.")
	}
	return nil
}

// ValidateBroker checks all dynamic settings of a broker, or of the cluster-wide default.
// Its errors are INVALID_REQUEST.
func (c *Config) ValidateBroker(values map[string]string, perBroker bool) error {
	bad := func(format string, args ...any) error {
		return protocol.Errorf(protocol.ErrInvalidRequest, format, args...)
	}
	names := sortedKeys(values)
	for _, rule := range dynamicRules {
		if rule.clusterDefaultOnly && perBroker {
			continue
		}
		var broken []string
		for _, name := range names {
			if rule.breaks(name) {
				broken = append(broken, name)
			}
		}
		if len(broken) > 0 {
			return bad("%s: %s(%s)", rule.message, rule.set, strings.Join(broken, ", "))
		}
		if rule.valuesNext {
			if err := checkValues(values); err != nil {
				return bad("%s", err)
			}
		}
	}
	for _, name := range names {
		if k := LookupBroker(name); k != nil {
			if reason := k.refuses(trim(values[name])); reason != "" {
				return bad("%s", invalid(name, values[name], errors.New(reason)))
			}
		}
	}
	next := *c
	if perBroker {
		next.perBroker = trimmed(values)
	} else {
		next.clusterDefault = trimmed(values)
	}
	return c.validateStep(&next)
}

func trimmed(values map[string]string) map[string]string {
	m := make(map[string]string, len(values))
	for k, v := range values {
		m[k] = trim(v)
	}
	return m
}

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
	for _, key := range []string{"listeners", "advertised.listeners", "listener.security.protocol.map"} {
		was, _ := c.Value(key)
		if want, _ := next.Value(key); was != want {
			return bad("%s cannot be altered while the broker runs: listeners are fixed at start", key)
		}
	}
	return nil
}

// checkConnectionOverride is the form of one entry of max.connections.per.ip.overrides.
func checkConnectionOverride(entry string) error {
	host, count, ok := cutLast(entry, ':')
	if n, err := strconv.ParseInt(trim(count), 10, 32); !ok || trim(host) == "" || err != nil || n < 0 {
		return fmt.Errorf("%s is not of the form hostOrAddress:count", entry)
	}
	return nil
}

// ValidateGroup checks all own settings of a group. Its errors are INVALID_CONFIG.
func (c *Config) ValidateGroup(values map[string]string) error {
	bad := func(format string, args ...any) error {
		return protocol.Errorf(protocol.ErrInvalidConfig, format, args...)
	}
	for _, name := range sortedKeys(values) {
		k := Lookup(ScopeGroup, name)
		if k == nil {
			return bad("Unknown group config name: %s", name)
		}
		if err := k.Check(values[name]); err != nil {
			return bad("%s", invalid(name, values[name], err))
		}
	}
	for _, kind := range []string{"consumer", "share", "streams"} {
		for _, what := range []string{"session.timeout.ms", "heartbeat.interval.ms"} {
			v, ok := values[kind+"."+what]
			if !ok {
				continue
			}
			n, _ := strconv.ParseInt(trim(v), 10, 64)
			lowKey, highKey := "group."+kind+".min."+what, "group."+kind+".max."+what
			if n < c.long(lowKey) {
				return bad("%s.%s must be greater than or equal to %s", kind, what, lowKey)
			}
			if n > c.long(highKey) {
				return bad("%s.%s must be less than or equal to %s", kind, what, highKey)
			}
		}
		session, hasSession := values[kind+".session.timeout.ms"]
		if !hasSession {
			continue
		}
		heartbeat, ok := values[kind+".heartbeat.interval.ms"]
		if !ok {
			heartbeat = Lookup(ScopeGroup, kind+".heartbeat.interval.ms").Default
		}
		s, _ := strconv.ParseInt(trim(session), 10, 64)
		if h, _ := strconv.ParseInt(trim(heartbeat), 10, 64); s <= h {
			return bad("%s.session.timeout.ms must be greater than %s.heartbeat.interval.ms", kind, kind)
		}
	}
	return nil
}

// ValidateClientMetrics checks all settings of a client metrics subscription (KIP-714).
func ValidateClientMetrics(name string, values map[string]string) error {
	if name == "" {
		return protocol.Errorf(protocol.ErrInvalidRequest, "Subscription name can't be empty")
	}
	for _, key := range sortedKeys(values) {
		k := Lookup(ScopeClientMetrics, key)
		if k == nil {
			return protocol.Errorf(protocol.ErrInvalidRequest, "Unknown client metrics configuration: %s", key)
		}
		parsed, err := k.parse(values[key])
		if err != nil {
			return protocol.Errorf(protocol.ErrInvalidConfig, "%s", invalid(key, values[key], err))
		}
		switch key {
		case "interval.ms":
			if n, _ := parsed.(int64); n < 100 || n > 3600000 {
				return protocol.Errorf(protocol.ErrInvalidRequest,
					"Invalid value %d for interval.ms, interval must be between 100 and 3600000 (1 hour)", n)
			}
		case "match":
			list, _ := parsed.([]string)
			if _, err := ParseClientMatch(list); err != nil {
				return err
			}
		}
	}
	return nil
}

// AppendList returns the value of a list key after an append of more, and SubtractList
// after a subtract, as IncrementalAlterConfigs does it.
func AppendList(value, more string) string {
	list := splitList(value)
	for _, e := range splitList(more) {
		if !contains(list, e) {
			list = append(list, e)
		}
	}
	return strings.Join(list, ",")
}

// SubtractList removes the first of each element of less from the list.
func SubtractList(value, less string) string {
	list := splitList(value)
	for _, e := range splitList(less) {
		for i := range list {
			if list[i] == e {
				list = append(list[:i], list[i+1:]...)
				break
			}
		}
	}
	return strings.Join(list, ",")
}

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
