package config

import "slices"

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
	l.checkProfile()
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
