package config

import (
	"sort"
	"strings"
)

// Type is the type of a key's value; the numbers are those of DescribeConfigs v3.
type Type int8

// The types of values.
const (
	TypeUnknown  Type = 0
	TypeBoolean  Type = 1
	TypeString   Type = 2
	TypeInt      Type = 3
	TypeShort    Type = 4
	TypeLong     Type = 5
	TypeDouble   Type = 6
	TypeList     Type = 7
	TypeClass    Type = 8
	TypePassword Type = 9
)

var typeNames = [...]string{"UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"}

// String returns Kafka's name of the type, e.g. "LONG".
func (t Type) String() string {
	if t < 0 || int(t) >= len(typeNames) {
		return typeNames[0]
	}
	return typeNames[t]
}

// Dynamic says whether a broker key may change while the broker runs.
type Dynamic int8

// The dynamic modes of a broker key.
const (
	ReadOnly    Dynamic = iota // needs a restart
	PerBroker                  // may be altered for one broker
	ClusterWide                // may be altered for one broker, and as default of all
)

// String returns Kafka's words for the mode.
func (d Dynamic) String() string {
	return [...]string{"read-only", "per-broker", "cluster-wide"}[d]
}

// Tier says what Barnabas does with a key.
type Tier int8

// The tiers.
const (
	TierHonoured  Tier = iota // takes effect
	TierNotYet                // accepted and shown; will take effect in a later release
	TierNoEffect              // accepted and shown; speaks of something that only Apache's broker has
	TierRefused               // a value other than the harmless one stops the start
	TierAbandoned             // removed from Kafka before 3.9; accepted with a warning
)

// String returns one word for the tier.
func (t Tier) String() string {
	return [...]string{"honoured", "not yet", "no effect", "refused", "removed"}[t]
}

// Importance is Kafka's own grading of keys.
type Importance int8

// The importances.
const (
	ImportanceHigh Importance = iota
	ImportanceMedium
	ImportanceLow
)

// String returns Kafka's name of the importance.
func (i Importance) String() string { return [...]string{"HIGH", "MEDIUM", "LOW"}[i] }

// Release says which Kafka knows a key.
type Release int8

// The releases.
const (
	ReleaseAll   Release = iota // 3.9 and 4.x
	Release39                   // gone in 4.x
	Release4                    // new in 4.x
	ReleaseOld                  // gone before 3.9
	ReleaseOwned                // Barnabas's own
)

// Key is one row of the table: what is known of one configuration key.
type Key struct {
	Name       string
	Type       Type
	Default    string // textual form; meaningless if NoDefault
	NoDefault  bool   // the default is null: unset
	Valid      Valid
	Importance Importance
	Dynamic    Dynamic // of broker keys; topic, group and client metrics keys are always alterable
	Internal   bool    // hidden from DescribeConfigs unless set in the file
	Release    Release

	Tier Tier
	// Known are the values that are honoured although others are refused (class names).
	Known []string
	// RefuseSet refuses any value that is neither empty nor in Known; RefuseTrue refuses true.
	RefuseSet, RefuseTrue bool

	Section string // heading in docs/config.md
	Doc     string // one sentence or two, ours
	Note    string // what differs from Apache here, if anything
}

// Sensitive says whether the value is a secret, never shown nor logged.
func (k *Key) Sensitive() bool { return k.Type == TypePassword }

// Scope is the kind of resource that a table of keys belongs to.
type Scope int8

// The scopes; each has its own table.
const (
	ScopeBroker Scope = iota
	ScopeTopic
	ScopeGroup
	ScopeClientMetrics
)

// Keys returns the table of a scope, sorted by name. It must not be written to.
func Keys(s Scope) []Key {
	switch s {
	case ScopeTopic:
		return topicKeys
	case ScopeGroup:
		return groupKeys
	case ScopeClientMetrics:
		return clientMetricsKeys
	default:
		return brokerKeys
	}
}

// Lookup finds a key of a scope by its exact name, or returns nil.
func Lookup(s Scope, name string) *Key {
	keys := Keys(s)
	i := sort.Search(len(keys), func(i int) bool { return keys[i].Name >= name })
	if i < len(keys) && keys[i].Name == name {
		return &keys[i]
	}
	return nil
}

// LookupBroker finds a broker key by name, with listener.name.<listener>. and, behind that,
// <mechanism>. prefixes allowed. It returns the key and the name without prefix.
func LookupBroker(name string) *Key {
	k, _, _ := lookupPrefixed(name)
	return k
}

// lookupPrefixed is LookupBroker that also returns the listener (as written) and the name
// behind the listener prefix, which keeps a mechanism: "scram-sha-256.sasl.jaas.config".
func lookupPrefixed(name string) (k *Key, listener, rest string) {
	if k := Lookup(ScopeBroker, name); k != nil {
		return k, "", name
	}
	after, ok := strings.CutPrefix(name, listenerPrefix)
	if !ok {
		return nil, "", name
	}
	// A listener name may itself contain dots, so every split is tried.
	for i := 0; i < len(after); i++ {
		if after[i] != '.' {
			continue
		}
		rest := after[i+1:]
		if k := Lookup(ScopeBroker, rest); k != nil {
			return k, after[:i], rest
		}
		if _, key, ok := strings.Cut(rest, "."); ok && mechanismKey(key) {
			return Lookup(ScopeBroker, key), after[:i], rest
		}
	}
	return nil, "", name
}

const listenerPrefix = "listener.name."

// mechanismKey says whether a key is looked up under listener.name.<l>.<mechanism>. too.
func mechanismKey(name string) bool {
	switch name {
	case "sasl.jaas.config", "sasl.server.callback.handler.class", "sasl.login.callback.handler.class",
		"sasl.login.class", "connections.max.reauth.ms":
		return true
	}
	return false
}

// sectionOutside is the section of keys that Kafka reads outside of its definition; it
// tells nobody their type or value.
const sectionOutside = "Read outside the definition"
