package config

import (
	"errors"
	"fmt"
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
	// Security says what is wrong with the TLS and SASL settings of a configuration that
	// this broker would have; nil if nobody is there to ask.
	Security func(next *Config) error
	// Node is the id of this broker.
	Node int32
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
		if err := c.ValidateBroker(values, true); err != nil {
			return err
		}
		return s.validateSecurity(c, int32(id), values)
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

// validateSecurity has key stores, JAAS texts and the like of this broker looked at before
// they are stored. Other brokers' files are not here.
func (s *Schema) validateSecurity(c *Config, id int32, values map[string]string) error {
	if s.Security == nil || id != s.Node {
		return nil
	}
	next := *c
	next.perBroker = trimmed(values)
	if err := s.Security(&next); err != nil {
		return protocol.Errorf(protocol.ErrInvalidRequest, "Validation of dynamic config update failed: %s", err)
	}
	return nil
}

func trimmed(values map[string]string) map[string]string {
	m := make(map[string]string, len(values))
	for k, v := range values {
		m[k] = trim(v)
	}
	return m
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
	for _, name := range sortedKeys(values) {
		kind, what, _ := strings.Cut(name, ".")
		what = strings.TrimPrefix(what, "num.")
		low, high := "group."+kind+".min."+what, "group."+kind+".max."+what
		n, _ := strconv.ParseInt(trim(values[name]), 10, 64)
		if Lookup(ScopeBroker, low) != nil && n < c.long(low) {
			return bad("%s must be greater than or equal to %s", name, low)
		}
		if Lookup(ScopeBroker, high) != nil && n > c.long(high) {
			return bad("%s must be less than or equal to %s", name, high)
		}
	}
	for _, kind := range []string{"consumer", "share", "streams"} {
		session, heartbeat := kind+".session.timeout.ms", kind+".heartbeat.interval.ms"
		if c.groupLong(values, session) <= c.groupLong(values, heartbeat) {
			return bad("%s must be greater than %s", session, heartbeat)
		}
	}
	return nil
}

// groupLong is a number of a group with these own settings, all valid.
func (c *Config) groupLong(own map[string]string, name string) int64 {
	v, ok := own[name]
	if !ok {
		v = c.GroupDefault(name)
	}
	n, _ := strconv.ParseInt(trim(v), 10, 64)
	return n
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
