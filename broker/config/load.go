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

// crossCheck applies the rules that span several keys, builds the typed view, and tells of
// what this release leaves out.
func (l *loader) crossCheck() {
	c := l.c
	l.checkIdentity()
	l.checkLimits()
	if zeroRetention, ok := c.firstOf(retentionSynonyms); ok && zeroRetention == 0 {
		l.failKey(c.firstSet(retentionSynonyms), "log retention must be unlimited (negative) or greater than 0")
	}
	if roll, ok := c.firstOf(rollSynonyms); ok && roll < 1 {
		l.failKey(c.firstSet(rollSynonyms), "must be at least 1 ms")
	}
	l.checkListeners()
	if len(c.logDirs()) == 0 {
		l.failKey("log.dirs", "at least one log directory must be defined via log.dirs or log.dir")
	}
	for _, e := range splitCSV(c.text("max.connections.per.ip.overrides")) {
		if err := checkConnectionOverride(e); err != nil {
			l.failKey("max.connections.per.ip.overrides", "%s", err)
		}
	}
	if len(l.problems) > 0 {
		return
	}
	c.broker = c.view(nil)
	c.parseTopicDefaults()
}

// firstSet names the first spelling that somebody set, else the first.
func (c *Config) firstSet(synonyms []synonym) string {
	for _, s := range synonyms {
		if c.IsSet(s.name) {
			return s.name
		}
	}
	return synonyms[0].name
}

func (l *loader) checkIdentity() {
	c := l.c
	node, broker := c.int32("node.id"), c.int32("broker.id")
	if c.IsSet("node.id") && c.IsSet("broker.id") && node != broker {
		l.failKey("node.id", "must be the same as broker.id, which is %d", broker)
	}
	if node < -1 || broker < -1 {
		l.failKey(map[bool]string{true: "node.id", false: "broker.id"}[node < -1], "an id is 0 or more, or -1 for not given")
	}
	roles := c.list("process.roles")
	if len(roles) == 0 {
		if v, ok := c.Value("zookeeper.connect"); ok && v != "" {
			l.checkZooKeeper()
		}
		return
	}
	l.checkKRaft(roles)
}

func (l *loader) checkZooKeeper() {
	c := l.c
	if c.text("controller.listener.names") != "" {
		l.failKey("controller.listener.names", "must be empty when not running in KRaft mode")
	}
	id, max := c.nodeID(), c.int32("reserved.broker.max.id")
	switch generate := c.boolean("broker.id.generation.enable"); {
	case generate && id > max:
		l.failKey("broker.id", "must be less than or equal to reserved.broker.max.id, which is %d", max)
	case !generate && id < 0:
		l.failKey("broker.id", "must be 0 or more when broker.id.generation.enable is false")
	}
}

func (l *loader) checkKRaft(roles []string) {
	c := l.c
	for i, r := range roles {
		if contains(roles[:i], r) {
			l.failKey("process.roles", "role %s is there twice", r)
		}
	}
	id := c.nodeID()
	if id < 0 {
		l.failKey("node.id", "missing configuration node.id which is required when process.roles is set (i.e. when running in KRaft mode)")
	}
	if c.IsSet("control.plane.listener.name") {
		l.failKey("control.plane.listener.name", "is not supported in KRaft mode")
	}
	var voters []Voter
	for _, v := range c.list("controller.quorum.voters") {
		voter, _ := parseVoter(v)
		voters = append(voters, voter)
	}
	bootstrap := c.list("controller.quorum.bootstrap.servers")
	if len(voters) == 0 && len(bootstrap) == 0 {
		l.failKey("controller.quorum.voters", "either controller.quorum.voters or controller.quorum.bootstrap.servers must be set when process.roles is")
	}
	isController := contains(roles, "controller")
	among := slices.ContainsFunc(voters, func(v Voter) bool { return v.ID == id })
	switch {
	case isController && len(voters) > 0 && !among:
		l.failKey("controller.quorum.voters", "node.id %d must be among the voters when process.roles contains controller", id)
	case !isController && among:
		l.failKey("controller.quorum.voters", "node.id %d must not be among the voters when process.roles is broker", id)
	}
	if l.o.Cluster {
		return
	}
	const alone = "this release runs a single node that is broker and controller at once. "
	switch {
	case !isController:
		l.failKey("process.roles", alone+"Write process.roles=broker,controller")
	case !contains(roles, "broker"):
		l.failKey("process.roles", alone+"Write process.roles=broker,controller")
	case len(voters) > 1:
		l.failKey("controller.quorum.voters", alone+"%d voters are named; name only this node", len(voters))
	case len(bootstrap) > 1:
		l.failKey("controller.quorum.bootstrap.servers", alone+"%d controllers are named; name only this node", len(bootstrap))
	}
}

func (l *loader) checkLimits() {
	c := l.c
	if c.long("max.connections.per.ip") == 0 && c.text("max.connections.per.ip.overrides") == "" {
		l.failKey("max.connections.per.ip", "can be set to zero only if max.connections.per.ip.overrides is set")
	}
	if q, s := c.long("queued.max.request.bytes"), c.long("socket.request.max.bytes"); q > 0 && q < s {
		l.failKey("queued.max.request.bytes", "must be larger or equal to socket.request.max.bytes, which is %d", s)
	}
	if idle, delay := c.long("connections.max.idle.ms"), c.long("connection.failed.authentication.delay.ms"); idle >= 0 && delay >= idle {
		l.failKey("connection.failed.authentication.delay.ms", "must be less than connections.max.idle.ms, which is %d", idle)
	}
	atMost := func(low, high string) {
		if a, b := c.long(low), c.long(high); a > b {
			l.failKey(low, "must be less than or equal to %s, which is %d", high, b)
		}
	}
	atMost("replica.fetch.wait.max.ms", "replica.socket.timeout.ms")
	atMost("replica.fetch.wait.max.ms", "replica.lag.time.max.ms")
	atMost("group.min.session.timeout.ms", "group.max.session.timeout.ms")
	for _, kind := range []string{"consumer", "share", "streams"} {
		for _, what := range []string{"session.timeout.ms", "heartbeat.interval.ms"} {
			atMost("group."+kind+".min."+what, "group."+kind+"."+what)
			atMost("group."+kind+"."+what, "group."+kind+".max."+what)
		}
	}
	if p := c.list("group.coordinator.rebalance.protocols"); !contains(p, "classic") {
		l.failKey("group.coordinator.rebalance.protocols", "the classic rebalance protocol must be enabled")
	}
	if codec := c.long("offsets.topic.compression.codec"); codec < 0 || codec > 4 {
		l.failKey("offsets.topic.compression.codec", "unknown codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd")
	}
	if lifetime, threads := c.long("log.cleaner.dedupe.buffer.size"), c.long("log.cleaner.threads"); threads > 0 && lifetime/threads <= 1<<20 {
		l.failKey("log.cleaner.dedupe.buffer.size", "must be at least 1 MiB per cleaner thread")
	}
	if lag := c.long("log.cleaner.min.compaction.lag.ms"); lag > c.long("log.cleaner.max.compaction.lag.ms") {
		l.failKey("log.cleaner.min.compaction.lag.ms", "must not be above log.cleaner.max.compaction.lag.ms")
	}
}

func (l *loader) checkListeners() {
	list := l.c.listeners(l.failKey)
	if l.o.SecureListeners {
		return
	}
	for _, s := range list {
		if s.Protocol != Plaintext {
			l.failKey("listeners", "listener %s asks for %s, which this release does not have; it will not be opened without", s.Name, s.Protocol)
		}
	}
}

// sensitiveName says whether a key's value must not be shown: it is a password, or nobody
// knows what it is and its name sounds like one.
func sensitiveName(name string) bool {
	if k := LookupBroker(name); k != nil {
		return k.Sensitive()
	}
	name = lower(name)
	for _, word := range []string{"password", "secret", "credential", "jaas", "token", "private.key", "passphrase"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// errNotFound says that a config provider does not have a key; the text stays as it is.
var errNotFound = errors.New("not found")
