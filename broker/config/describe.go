package config

import (
	"strconv"
	"strings"
)

// Entry is one key in the answer of DescribeConfigs.
type Entry struct {
	Name      string
	Value     *string // nil: null, as secrets always are
	Source    Source
	Sensitive bool
	ReadOnly  bool
	Type      Type
	Doc       string // empty: none
	Synonyms  []Synonym
}

// Synonym is one place from which an entry could take its value; the first is the one in
// effect, unless a conversion of units lies between.
type Synonym struct {
	Name   string
	Value  *string
	Source Source
}

// wanted says whether a key was asked for; no names ask for all.
func wanted(names []string, name string) bool { return len(names) == 0 || contains(names, name) }

// DescribeBroker returns the entries of this broker, by name: every key that Kafka 3.9
// shows, keys of 4.x that are honoured or set, our own, and whatever else was set.
func (c *Config) DescribeBroker(names []string) []Entry {
	shown := make(map[string]bool)
	for i := range brokerKeys {
		if k := &brokerKeys[i]; k.shown() {
			shown[k.Name] = true
		}
	}
	for name := range c.static {
		shown[name] = true
	}
	for name := range c.perBroker {
		shown[name] = true
	}
	for name := range c.clusterDefault {
		shown[name] = true
	}
	entries := make([]Entry, 0, len(shown))
	for _, name := range sortedKeys(shown) {
		if wanted(names, name) {
			entries = append(entries, c.brokerEntry(name, true))
		}
	}
	return entries
}

// shown says whether a key is listed although nobody set it.
func (k *Key) shown() bool {
	switch {
	case k.Internal, k.Release == ReleaseOld, k.dynamicOnly(), k.Section == sectionOutside:
		return false
	case k.Release == Release4:
		return k.Tier == TierHonoured
	}
	return true
}

// dynamicOnly says whether a key has no static form: Kafka's replication throttles.
func (k *Key) dynamicOnly() bool {
	switch k.Name {
	case "leader.replication.throttled.rate", "follower.replication.throttled.rate",
		"replica.alter.log.dirs.io.max.bytes.per.second":
		return true
	}
	return false
}

// DescribeBrokerDefault returns the entries of the cluster-wide default: what is stored.
func (c *Config) DescribeBrokerDefault(names []string) []Entry {
	var entries []Entry
	for _, name := range sortedKeys(c.clusterDefault) {
		if wanted(names, name) {
			entries = append(entries, c.brokerEntry(name, false))
		}
	}
	return entries
}

func (c *Config) brokerEntry(name string, perBroker bool) Entry {
	k, listener, _ := lookupPrefixed(name)
	// Kafka does not tell the values of keys read outside its definition, nor that they may
	// be altered; a listener's key counts as read-only there whatever the plain key is.
	e := Entry{Name: name, Sensitive: true, ReadOnly: true, Source: SourceDefault}
	if k != nil && k.Section != sectionOutside && k.Release != ReleaseOld {
		e.Sensitive, e.Type, e.Doc = k.Sensitive(), k.Type, k.Doc
		e.ReadOnly = listener != "" || k.Dynamic == ReadOnly || k.dynamicOnly()
	}
	e.Synonyms = c.synonyms(name, brokerSynonyms(name), e.Sensitive)
	if !perBroker {
		e.Synonyms = onlyFrom(e.Synonyms, SourceDynamicDefaultBroker)
	}
	if len(e.Synonyms) > 0 {
		e.Source = e.Synonyms[0].Source
	}
	if e.Sensitive {
		return e
	}
	s, ok := c.lookup(name)
	switch {
	case !perBroker:
		s.Value = c.clusterDefault[name]
	case c.hidden(name):
		s.Value, ok = c.defaultOf(name)
	}
	if ok {
		e.Value = ptr(k.canonical(s.Value))
	}
	return e
}

// hidden says whether a dynamic value of another spelling has pushed a static one aside.
func (c *Config) hidden(name string) bool {
	for _, other := range brokerSynonyms(name) {
		if other == name {
			continue
		}
		if s, ok := c.lookup(other); ok && other != baseName(name) &&
			(s.Source == SourceDynamicBroker || s.Source == SourceDynamicDefaultBroker) {
			return true
		}
	}
	return false
}

func baseName(name string) string {
	if k, listener, _ := lookupPrefixed(name); listener != "" {
		return k.Name
	}
	return ""
}

func onlyFrom(list []Synonym, source Source) []Synonym {
	var kept []Synonym
	for _, s := range list {
		if s.Source == source {
			kept = append(kept, s)
		}
	}
	return kept
}

// synonyms lists where a key's value can come from, in Apache's order: by source, within
// one source by spelling, and nothing before the first of the key's own name.
func (c *Config) synonyms(name string, spellings []string, sensitive bool) []Synonym {
	var list []Synonym
	add := func(spelling, value string, source Source) {
		s := Synonym{Name: spelling, Source: source}
		if !sensitive {
			s.Value = ptr(value)
		}
		list = append(list, s)
	}
	for _, s := range spellings {
		if v, ok := c.perBroker[s]; ok {
			add(s, v, SourceDynamicBroker)
		}
	}
	for _, s := range spellings {
		if v, ok := c.clusterDefault[s]; ok {
			add(s, v, SourceDynamicDefaultBroker)
		}
	}
	for _, s := range spellings {
		if v, ok := c.static[s]; ok {
			add(s, v.Value, SourceStaticBroker)
		}
	}
	for _, s := range spellings {
		if k := Lookup(ScopeBroker, s); k != nil && (k.dynamicOnly() || k.Section == sectionOutside) {
			continue
		}
		if v, ok := c.defaultOf(s); ok {
			add(s, v, SourceDefault)
		}
	}
	for i := range list {
		if list[i].Name == name {
			return list[i:]
		}
	}
	return nil
}

// DescribeTopic returns the entries of a topic with these own settings.
func (c *Config) DescribeTopic(own map[string]string, names []string) []Entry {
	entries := make([]Entry, 0, len(topicKeys))
	for i := range topicKeys {
		k := &topicKeys[i]
		_, set := own[k.Name]
		if (k.Internal && !set) || !wanted(names, k.Name) {
			continue
		}
		e := Entry{Name: k.Name, Sensitive: k.Sensitive(), Type: k.Type, Doc: k.Doc, Source: SourceDefault}
		if v, ok := c.topicValue(own, k.Name); ok && !e.Sensitive {
			e.Value = ptr(k.canonical(v))
		}
		if set {
			e.Synonyms = append(e.Synonyms, Synonym{k.Name, e.Value, SourceDynamicTopic})
		}
		if server := topicSynonyms[k.Name]; len(server) > 0 {
			first := server[0].name
			e.Synonyms = append(e.Synonyms, c.synonyms(first, brokerSynonyms(first), e.Sensitive)...)
		}
		if len(e.Synonyms) > 0 {
			e.Source = e.Synonyms[0].Source
		}
		entries = append(entries, e)
	}
	return entries
}

// DescribeGroup returns the entries of a group with these own settings (4.x).
func (c *Config) DescribeGroup(own map[string]string, names []string) []Entry {
	entries := make([]Entry, 0, len(groupKeys))
	for i := range groupKeys {
		k := &groupKeys[i]
		if !wanted(names, k.Name) {
			continue
		}
		e := Entry{Name: k.Name, Type: k.Type, Doc: k.Doc, Source: SourceDefault}
		v, set := own[k.Name]
		if !set {
			v = c.GroupDefault(k.Name)
		}
		e.Value = ptr(k.canonical(v))
		if set {
			e.Synonyms = append(e.Synonyms, Synonym{k.Name, e.Value, SourceGroup})
		}
		if server := "group." + k.Name; Lookup(ScopeBroker, server) != nil {
			e.Synonyms = append(e.Synonyms, c.synonyms(server, brokerSynonyms(server), false)...)
		} else {
			e.Synonyms = append(e.Synonyms, Synonym{k.Name, ptr(k.Default), SourceDefault})
		}
		e.Source = e.Synonyms[0].Source
		entries = append(entries, e)
	}
	return entries
}

// GroupDefault is what a group's key is worth where the group does not set it: the broker
// key group.<key>, else the default.
func (c *Config) GroupDefault(name string) string {
	if v, ok := c.Value("group." + name); ok {
		return v
	}
	if k := Lookup(ScopeGroup, name); k != nil {
		return k.Default
	}
	return ""
}

// DescribeClientMetrics returns the entries of a client metrics subscription: what is
// stored, without types, as Apache answers.
func DescribeClientMetrics(own map[string]string, names []string) []Entry {
	var entries []Entry
	for _, name := range sortedKeys(own) {
		if wanted(names, name) {
			entries = append(entries, Entry{Name: name, Value: ptr(own[name]), Source: SourceClientMetrics})
		}
	}
	return entries
}

// canonical is how Kafka prints a value that it has parsed.
func (k *Key) canonical(value string) string {
	if k == nil {
		return value
	}
	switch k.Type {
	case TypeBoolean, TypeShort, TypeInt, TypeLong, TypeDouble, TypeList:
	default:
		return trim(value)
	}
	p, err := k.parse(value)
	if err != nil && p == nil {
		return value
	}
	switch v := p.(type) {
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return javaDouble(v)
	case []string:
		return strings.Join(v, ",")
	}
	return value
}

func ptr(s string) *string { return &s }
