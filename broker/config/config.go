package config

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/log"
)

// Source says where an effective value came from; the numbers are those of DescribeConfigs.
type Source int8

// The sources, in no order of precedence.
const (
	SourceUnknown              Source = 0
	SourceDynamicTopic         Source = 1
	SourceDynamicBroker        Source = 2
	SourceDynamicDefaultBroker Source = 3
	SourceStaticBroker         Source = 4
	SourceDefault              Source = 5
	SourceDynamicBrokerLogger  Source = 6
	SourceClientMetrics        Source = 7
	SourceGroup                Source = 8
)

// String returns Kafka's name of the source, e.g. "STATIC_BROKER_CONFIG".
func (s Source) String() string {
	names := [...]string{"UNKNOWN", "DYNAMIC_TOPIC_CONFIG", "DYNAMIC_BROKER_CONFIG", "DYNAMIC_DEFAULT_BROKER_CONFIG",
		"STATIC_BROKER_CONFIG", "DEFAULT_CONFIG", "DYNAMIC_BROKER_LOGGER_CONFIG", "CLIENT_METRICS_CONFIG", "GROUP_CONFIG"}
	if s < 0 || int(s) >= len(names) {
		return names[0]
	}
	return names[s]
}

// Setting is one value that somebody wrote, and where.
type Setting struct {
	Name   string // as written, with any prefix
	Value  string
	Source Source
	File   string // properties file, "command line" or "environment"; empty if dynamic
	Line   int    // 1-based; 0 if not from a file
}

// Config is all effective values of one broker. It is immutable.
type Config struct {
	static         map[string]Setting // what the file, environment and command line set
	perBroker      map[string]string  // dynamic, for this broker only; all valid
	clusterDefault map[string]string  // dynamic, for all brokers; all valid
	unopened       map[string]string  // of fixedAtStart: what is stored for this broker and does not count
	defaultLogDir  string             // the default of log.dir, which depends on who runs us
	jvm            map[string]string  // the -D properties of KAFKA_OPTS
	environ        []string           // name=value of the process
	broker         *Broker
	topicParsed    map[string]any // what topic keys are worth by this broker, parsed
	topicDefault   *log.Config    // the settings of a topic without any of its own
	notes          []Note
}

// Broker returns the typed view. It must not be written to.
func (c *Config) Broker() *Broker { return c.broker }

// Notes returns what the operator should know of the configuration, in file order.
func (c *Config) Notes() []Note { return c.notes }

// JVMProperty returns a -D property of KAFKA_OPTS, such as java.security.auth.login.config.
func (c *Config) JVMProperty(name string) string { return c.jvm[name] }

// Environment returns a variable of the process that is no key, such as KRB5_CONFIG.
func (c *Config) Environment(name string) string {
	v, _ := lookupEnv(c.environ, name)
	return v
}

// Value returns the effective value of a broker key, by its exact name with any listener
// prefix. ok is false if the value is null or the key unknown and unset. Secrets are
// returned as they are.
func (c *Config) Value(name string) (value string, ok bool) {
	s, ok := c.lookup(name)
	return s.Value, ok
}

// Setting is Value with the place that it came from.
func (c *Config) Setting(name string) (Setting, bool) { return c.lookup(name) }

// IsSet says whether anybody set the key, be it to its default.
func (c *Config) IsSet(name string) bool {
	s, ok := c.lookup(name)
	return ok && s.Source != SourceDefault
}

func (c *Config) lookup(name string) (Setting, bool) {
	if v, ok := c.perBroker[name]; ok {
		return Setting{Name: name, Value: v, Source: SourceDynamicBroker}, true
	}
	if v, ok := c.clusterDefault[name]; ok {
		return Setting{Name: name, Value: v, Source: SourceDynamicDefaultBroker}, true
	}
	if s, ok := c.static[name]; ok {
		return s, true
	}
	if v, ok := c.defaultOf(name); ok {
		return Setting{Name: name, Value: v, Source: SourceDefault}, true
	}
	return Setting{Name: name, Source: SourceDefault}, false
}

// staticValue is what the key is worth without dynamic values.
func (c *Config) staticValue(name string) (string, bool) {
	if s, ok := c.static[name]; ok {
		return s.Value, true
	}
	return c.defaultOf(name)
}

func (c *Config) defaultOf(name string) (string, bool) {
	if name == "log.dir" {
		return c.defaultLogDir, true
	}
	k := Lookup(ScopeBroker, name)
	if k == nil || k.NoDefault {
		return "", false
	}
	return k.Default, true
}

// ListenerValue returns the effective value of a key for one listener: the value under
// listener.name.<listener>.<mechanism>., else under listener.name.<listener>., else the
// plain one. An empty mechanism skips the first.
func (c *Config) ListenerValue(listener, mechanism, key string) (value string, ok bool) {
	prefix := listenerPrefix + lower(listener) + "."
	if mechanism != "" {
		if s, ok := c.lookup(prefix + lower(mechanism) + "." + key); ok {
			return s.Value, true
		}
	}
	if s, ok := c.lookup(prefix + key); ok {
		return s.Value, true
	}
	return c.Value(key)
}

// ListenerSwitch is ListenerValue of a boolean key without mechanisms, in any case as Kafka
// reads them.
func (c *Config) ListenerSwitch(listener, key string) bool {
	v, _ := c.ListenerValue(listener, "", key)
	return strings.EqualFold(v, "true")
}

// WithDynamic returns a configuration with other dynamic values: those stored for this
// broker and those stored as cluster-wide default. Values that are not valid are left out
// and told in the notes, because a stored value never stops a broker.
func (c *Config) WithDynamic(perBroker, clusterDefault map[string]string) (*Config, []Note) {
	n := *c
	var notes []Note
	n.unopened = nil
	keep := func(values map[string]string, source Source) map[string]string {
		kept := make(map[string]string, len(values))
		for _, name := range sortedKeys(values) {
			if err := checkDynamic(name, values[name], source == SourceDynamicBroker); err != nil {
				notes = append(notes, Note{Kind: NoteIgnored,
					Setting: Setting{Name: name, Source: source},
					Message: "stored dynamic value is ignored: " + err.Error()})
				continue
			}
			value := trim(values[name])
			if static, _ := c.staticValue(name); slices.Contains(fixedAtStart, name) && value != static {
				if n.unopened == nil {
					n.unopened = map[string]string{}
				}
				n.unopened[name] = value
				notes = append(notes, Note{Kind: NoteIgnored,
					Setting: Setting{Name: name, Source: source},
					Message: "stored dynamic value is ignored: it is not what the broker was started with"})
				continue
			}
			kept[name] = value
		}
		return kept
	}
	n.perBroker = keep(perBroker, SourceDynamicBroker)
	n.clusterDefault = keep(clusterDefault, SourceDynamicDefaultBroker)
	n.broker = n.view(c.broker)
	n.parseTopicDefaults()
	return &n, notes
}

// Dynamic returns copies of the dynamic values in effect.
func (c *Config) Dynamic() (perBroker, clusterDefault map[string]string) {
	return maps.Clone(c.perBroker), maps.Clone(c.clusterDefault)
}

// The typed getters read values that Load or WithDynamic has checked; a value that does
// not parse here is a mistake in this package.

func (c *Config) parsed(name string) any {
	k := Lookup(ScopeBroker, name)
	if k == nil {
		panic("config: no such key: " + name)
	}
	v, ok := c.Value(name)
	if !ok {
		return nil
	}
	p, err := k.parse(v)
	if err != nil {
		panic("config: unchecked value of " + name + ": " + err.Error())
	}
	return p
}

func (c *Config) boolean(name string) bool { b, _ := c.parsed(name).(bool); return b }

func (c *Config) text(name string) string { s, _ := c.parsed(name).(string); return s }

func (c *Config) list(name string) []string { l, _ := c.parsed(name).([]string); return l }

func (c *Config) long(name string) int64 { n, _ := c.parsed(name).(int64); return n }

func (c *Config) integer(name string) int { return int(c.long(name)) }

func (c *Config) int32(name string) int32 { return int32(c.long(name)) }

func (c *Config) double(name string) float64 { f, _ := c.parsed(name).(float64); return f }

// millis reads a key in milliseconds. What a Duration cannot hold (292 years) is cut.
func (c *Config) millis(name string) time.Duration { return durationOf(c.long(name), time.Millisecond) }

func (c *Config) seconds(name string) time.Duration { return durationOf(c.long(name), time.Second) }

// durationOf multiplies without overflow.
func durationOf(n int64, unit time.Duration) time.Duration {
	const longest = time.Duration(1<<63 - 1)
	switch {
	case n > int64(longest/unit):
		return longest
	case n < -int64(longest/unit):
		return -longest
	}
	return time.Duration(n) * unit
}

// firstOf returns the first of several spellings of one thing that is set, in the unit of
// the first: log.retention.ms, .minutes, .hours.
func (c *Config) firstOf(synonyms []synonym) (int64, bool) {
	for _, s := range synonyms {
		if _, ok := c.Value(s.name); ok {
			return s.convert(c.long(s.name)), true
		}
	}
	return 0, false
}

func (c *Config) logDirs() []string {
	var dirs []string
	if v, ok := c.Value("log.dirs"); ok {
		dirs = splitCSV(v)
	} else {
		dirs = splitCSV(c.text("log.dir"))
	}
	for i, d := range dirs {
		if abs, err := filepath.Abs(d); err == nil {
			dirs[i] = abs
		}
	}
	return dirs
}

func (c *Config) nodeID() int32 {
	for _, name := range []string{"node.id", "broker.id"} {
		if id := c.int32(name); id >= 0 {
			return id
		}
	}
	return -1
}

func (c *Config) connectionOverrides() map[string]int {
	over := make(map[string]int)
	for _, e := range splitCSV(c.text("max.connections.per.ip.overrides")) {
		if host, count, ok := cutLast(e, ':'); ok {
			n, _ := strconv.Atoi(trim(count))
			over[trim(host)] = n
		}
	}
	return over
}
