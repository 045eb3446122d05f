package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options of Load. Every field may be left out.
type Options struct {
	File           string   // path of server.properties; empty: none
	Overrides      []string // key=value, from --override; the last wins, and over the file
	Environ        []string // name=value of the process; nil: empty
	MapEnvironment bool     // take keys from KAFKA_* variables too, as container images do; they beat the file

	DefaultDataDir string // data directory if no key names one; empty: DefaultDataDir of Environ

	// ZooKeeper allows zookeeper.connect. Without it that key is a *ZooKeeperError.
	ZooKeeper bool
	// SecureListeners allows listeners with TLS or SASL. Without it they are a problem: a
	// listener is never opened with less protection than was asked for.
	SecureListeners bool
	// Cluster allows roles and voters that need more than this one node.
	Cluster bool

	ReadFile func(string) ([]byte, error)        // os.ReadFile
	ReadDir  func(string) ([]os.DirEntry, error) // os.ReadDir, for the directory config provider
	Geteuid  func() int                          // os.Geteuid
}

func (o Options) withDefaults() Options {
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	if o.ReadDir == nil {
		o.ReadDir = os.ReadDir
	}
	if o.Geteuid == nil {
		o.Geteuid = os.Geteuid
	}
	if o.DefaultDataDir == "" {
		o.DefaultDataDir = defaultDataDir(o.getenv, o.Geteuid())
	}
	return o
}

func (o Options) getenv(name string) string {
	v, _ := lookupEnv(o.Environ, name)
	return v
}

func lookupEnv(environ []string, name string) (string, bool) {
	for i := len(environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(environ[i], name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// defaultDataDir is where data goes if nobody says: /var/lib/barnabas for root, else the
// user's data directory ($XDG_DATA_HOME/barnabas, ~/.local/share/barnabas). Never Apache's
// /tmp/kafka-logs, which the system may empty at any restart.
func defaultDataDir(getenv func(string) string, euid int) string {
	if euid == 0 {
		return "/var/lib/barnabas"
	}
	if dir := getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "barnabas")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "barnabas")
	}
	return "/var/lib/barnabas"
}

// Load reads a broker's configuration and checks it whole. The error is Problems with
// everything that is wrong, or a *ZooKeeperError, or that of reading the file. What is odd
// but no reason to stop is in the Config's Notes.
func Load(o Options) (*Config, error) {
	o = o.withDefaults()
	l := &loader{o: o, c: &Config{
		static:        make(map[string]Setting),
		defaultLogDir: o.DefaultDataDir,
		jvm:           ParseJVMOptions(o.getenv("KAFKA_OPTS")),
		environ:       o.Environ,
	}}
	if err := l.collect(); err != nil {
		return nil, err
	}
	if err := l.c.resolveProviders(o); err != nil {
		l.problems = append(l.problems, err...)
	}
	for _, s := range l.c.inFileOrder() {
		l.check(s)
	}
	l.c.mirrorID()
	if zk, ok := l.c.static["zookeeper.connect"]; ok && zk.Value != "" && !o.ZooKeeper {
		return nil, &ZooKeeperError{zk}
	}
	if len(l.problems) == 0 {
		l.crossCheck()
	}
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	l.c.notes = l.notes
	return l.c, nil
}

// loader collects what Load finds.
type loader struct {
	o        Options
	c        *Config
	problems Problems
	notes    []Note
}

// Names of the places that settings come from beside files.
const (
	FromCommandLine = "command line"
	FromEnvironment = "environment"
)

func (l *loader) collect() error {
	if l.o.File != "" {
		data, err := l.o.ReadFile(l.o.File)
		if err != nil {
			return fmt.Errorf("read configuration: %w", err)
		}
		props, err := ParseProperties(data)
		if err != nil {
			return fmt.Errorf("%s: %w", l.o.File, err)
		}
		for _, p := range props {
			l.set(Setting{Name: p.Name, Value: p.Value, File: l.o.File, Line: p.Line})
		}
	}
	if l.o.MapEnvironment {
		for _, p := range EnvironmentProperties(l.o.Environ) {
			l.set(Setting{Name: p.Name, Value: p.Value, File: FromEnvironment})
		}
	}
	for _, over := range l.o.Overrides {
		name, value, ok := strings.Cut(over, "=")
		if !ok || trim(name) == "" {
			return fmt.Errorf("--override %s: want key=value", over)
		}
		l.set(Setting{Name: trim(name), Value: value, File: FromCommandLine})
	}
	return nil
}

func (l *loader) set(s Setting) {
	s.Value, s.Source = trim(s.Value), SourceStaticBroker
	if old, ok := l.c.static[s.Name]; ok && old.Line > 0 && s.Line > 0 && old.Value != s.Value {
		l.note(NoteDuplicate, s, "line %d sets it too; this later line counts", old.Line)
	}
	l.c.static[s.Name] = s
}

// mirrorID makes node.id and broker.id stand for each other where only one is set.
func (c *Config) mirrorID() {
	node, hasNode := c.static["node.id"]
	broker, hasBroker := c.static["broker.id"]
	switch {
	case hasNode && !hasBroker:
		node.Name = "broker.id"
		c.static["broker.id"] = node
	case hasBroker && !hasNode:
		broker.Name = "node.id"
		c.static["node.id"] = broker
	}
}

// inFileOrder returns the static settings: those of the file by line, then the others by name.
func (c *Config) inFileOrder() []Setting {
	list := make([]Setting, 0, len(c.static))
	for _, name := range sortedKeys(c.static) {
		list = append(list, c.static[name])
	}
	slices.SortStableFunc(list, func(a, b Setting) int {
		if (a.Line == 0) != (b.Line == 0) {
			return b.Line - a.Line
		}
		return a.Line - b.Line
	})
	return list
}

func (l *loader) note(kind NoteKind, s Setting, format string, args ...any) {
	l.notes = append(l.notes, Note{Kind: kind, Setting: s, Message: fmt.Sprintf(format, args...)})
}

func (l *loader) fail(s Setting, allowed, format string, args ...any) {
	l.problems = append(l.problems, &Problem{Setting: s, Reason: fmt.Sprintf(format, args...), Allowed: allowed,
		secret: sensitiveName(s.Name)})
}

// failKey is fail for a rule over effective values: the place is where the key was set.
func (l *loader) failKey(key, format string, args ...any) {
	s, _ := l.c.lookup(key)
	l.fail(s, "", format, args...)
}

// check holds one setting against its row of the table.
func (l *loader) check(s Setting) {
	k, listener, _ := lookupPrefixed(s.Name)
	if k == nil {
		l.unknown(s)
		return
	}
	if k.NoDefault && s.Value == "" && !k.Sensitive() && k.Type != TypeList && k.Type != TypeString && k.Type != TypeClass {
		l.fail(s, k.Valid.String(), "Not a number of type %s", k.Type)
		return
	}
	if listener != "" && listener != lower(listener) {
		l.note(NoteOther, s, "has no effect: the listener name in a prefix is written in lower case, %s%s.", listenerPrefix, lower(listener))
	}
	if k.unsets(s.Value) {
		// Apache takes an empty string for "not set" in these keys, or fails in odd ways.
		delete(l.c.static, s.Name)
		return
	}
	if _, err := k.parse(s.Value); err != nil {
		shown := s
		l.fail(shown, k.Valid.String(), "%s", err)
		return
	}
	if reason := k.refuses(s.Value); reason != "" {
		l.fail(s, strings.Join(k.Known, ", "), "%s", reason)
		return
	}
	l.tell(k, s)
}

// unsets says whether an empty value means that the key is not set.
func (k *Key) unsets(value string) bool {
	return value == "" && k.NoDefault && (k.Type == TypeString || k.Type == TypeClass) && k.Valid.Kind == ValidAny
}

// refuses returns why a value that is well formed cannot be had, or "".
func (k *Key) refuses(value string) string {
	switch {
	case k.RefuseTrue && strings.EqualFold(value, "true"):
		return "Barnabas cannot do this yet, and starting without it would mislead"
	case k.RefuseSet && value != "":
		for _, v := range splitCSV(value) {
			if !contains(k.Known, v) {
				if k.Type == TypeClass || strings.Contains(v, ".") {
					return "Barnabas cannot run the class " + v + ", and starting without it would change what is allowed or enforced"
				}
				return "Barnabas cannot do this yet"
			}
		}
	}
	return ""
}

// tell notes keys that will not do what their owner may expect.
func (l *loader) tell(k *Key, s Setting) {
	if !k.NoDefault && s.Value == k.Default {
		return
	}
	switch {
	case k.Release == ReleaseOld && k.Tier == TierHonoured && l.c.IsSet("listeners"):
		l.note(NoteRemoved, s, "Kafka 3.0 removed this key; it has no effect beside listeners")
	case k.Release == ReleaseOld && k.Tier == TierHonoured:
		l.note(NoteRemoved, s, "Kafka 3.0 removed this key; it is honoured here because listeners is not set. Write listeners and advertised.listeners instead")
	case k.Tier == TierAbandoned:
		l.note(NoteRemoved, s, "Kafka removed this key; it has no effect")
	case k.Tier == TierNotYet:
		l.note(NoteNotYet, s, "not yet effective")
	case k.Tier == TierNoEffect:
		l.note(NoteNoEffect, s, "no effect here")
	}
}

// unknown reports a key that the table does not have, unless it belongs to a plug-in of
// Apache's or to a helper variable of a container image.
func (l *loader) unknown(s Setting) {
	if pluginKey(s.Name) || s.File == FromEnvironment {
		return
	}
	n := Note{Kind: NoteUnknownKey, Setting: s, Message: "unknown key"}
	if n.Nearest = nearest(s.Name); n.Nearest != "" {
		n.Message += "; did you mean " + n.Nearest + "?"
	}
	l.notes = append(l.notes, n)
}

// pluginKey says whether a key is of a family that plug-ins read and the table does not list.
func pluginKey(name string) bool {
	for _, prefix := range []string{"config.providers.", "authorizer.zookeeper.", "metrics.jmx.", "metrics.context.",
		"kafka.csv.metrics.", "rsm.config.", "rlmm.config.", "cruise.control.metrics.", "prometheus.metrics.reporter.",
		"client.quota.callback.static.", "strimzi.", "opa.authorizer.", "confluent.", "remote.log.metadata."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// sensitiveName says whether a key's value must not be shown: it is a password, or nobody
// knows what it is, as that of a key which is not spelt right.
func sensitiveName(name string) bool {
	k := LookupBroker(name)
	return k == nil || k.Sensitive()
}

// errNotFound says that a config provider does not have a key; the text stays as it is.
var errNotFound = errors.New("not found")
