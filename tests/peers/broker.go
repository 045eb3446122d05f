package peers

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Kind names a broker program: "barnabas", "apache-3.9.2", "apache-4.3.1", or
// "apache-3.9.2-zk" for the same in ZooKeeper mode.
type Kind string

// The brokers that tests run against.
const (
	Barnabas        Kind = "barnabas"
	Apache39        Kind = "apache-3.9.2"
	Apache43        Kind = "apache-4.3.1"
	Apache39OverZK  Kind = "apache-3.9.2-zk"
	clusterIDForAll      = "bWVzc2VuZ2VyQmFybmFiYX" // 22 characters of URL-safe base 64: 16 bytes
)

// IsApache says whether the broker is Apache Kafka.
func (k Kind) IsApache() bool { return strings.HasPrefix(string(k), "apache-") }

// Version is Apache Kafka's version, or "" for ours.
func (k Kind) Version() string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(string(k), "barnabas"), "apache-"), "-zk")
}

// BrokerOptions says how to start a broker. The zero value means free ports.
type BrokerOptions struct {
	Dir    string            // holds data, configuration and log; made if missing, kept at the end
	Port   int               // of 127.0.0.1; 0 takes a free one
	Config map[string]string // keys of server.properties beyond the defaults of the tests
	Unset  []string          // keys of those defaults that are to be left out
	JVM    []string          // JVM options instead of those of Apache's own scripts
	Env    []string          // more environment, for example GODEBUG
	Wrap   []string          // a program to run the broker under, for example taskset -c 0
	// SASLPort, if not 0, is the port of a second listener, AnyPort for a free one: SASL_PLAINTEXT, with PLAIN for User:adminplain, whose password is
	// admin-secret, and SCRAM for those whose credentials a test creates.
	SASLPort int
}

// AnyPort stands for a free port; Broker.Options has the one that was taken.
const AnyPort = -1

// Broker is one broker process with its data directory.
type Broker struct {
	*Process
	Kind    Kind
	Addr    string // host:port of the plaintext listener
	DataDir string // log.dirs
	Options BrokerOptions
	// Started is when the process was started: just before exec.
	Started time.Time

	cache     *Cache
	program   string
	args      []string
	zookeeper *Process
	ports     []*heldPort // that the broker listens on, or will again
}

// StartBroker starts a broker of any kind and returns when it listens. What lies in the
// directory from an earlier start is taken over.
func (c *Cache) StartBroker(kind Kind, options BrokerOptions) (*Broker, error) {
	if options.Dir == "" {
		return nil, errors.New("a broker needs a directory")
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, err
	}
	options.Dir = dir
	b := &Broker{Kind: kind, Options: options, DataDir: filepath.Join(dir, "data"), cache: c}
	if err := mkdirs(dir, b.DataDir); err != nil {
		return nil, err
	}
	if b.ports, err = holdPorts(4); err != nil {
		return nil, err
	}
	if options.Port == 0 {
		b.Options.Port = b.ports[0].number
	}
	if options.SASLPort == AnyPort {
		b.Options.SASLPort = b.ports[3].number
	}
	b.Addr = fmt.Sprintf("127.0.0.1:%d", b.Options.Port)
	if kind.IsApache() {
		err = b.prepareApache(b.ports[1].number, b.ports[2].number)
	} else {
		err = b.prepareBarnabas()
	}
	if err != nil {
		b.stopZooKeeper()
		b.releasePorts()
		return nil, err
	}
	return b, b.Start()
}

// Start starts the broker again after Stop or Kill, on the same port and data. It returns
// when the broker listens.
func (b *Broker) Start() error {
	if err := b.StartOnly(); err != nil {
		return err
	}
	if err := b.waitForPort(b.Addr, 180*time.Second); err != nil {
		b.Close()
		return err
	}
	return nil
}

// StartOnly is Start without the waiting.
func (b *Broker) StartOnly() error {
	command := append(slices.Clone(b.Options.Wrap), b.program)
	command = append(command, b.args...)
	b.Started = time.Now()
	p, err := startProcess(filepath.Join(b.Options.Dir, "broker.log"), b.Options.Dir, b.Options.Env, command[0], command[1:]...)
	b.Process = p
	return err
}

// Close stops the broker and what was started with it. The data stays.
func (b *Broker) Close() error {
	var err error
	if b.Process != nil {
		err = b.Stop(60 * time.Second)
	}
	b.stopZooKeeper()
	b.releasePorts()
	return err
}

func (b *Broker) releasePorts() {
	for _, p := range b.ports {
		p.release()
	}
	b.ports = nil
}

func (b *Broker) stopZooKeeper() {
	if b.zookeeper != nil {
		b.zookeeper.Kill()
		b.zookeeper = nil
	}
}

// testConfig is what every broker of the tests has: internal topics of one replica, three
// partitions by default, no waiting for the first members of a group.
func (b *Broker) testConfig() map[string]string {
	return map[string]string{
		"log.dirs":                                 b.DataDir,
		"num.partitions":                           "3",
		"auto.create.topics.enable":                "true",
		"offsets.topic.replication.factor":         "1",
		"offsets.topic.num.partitions":             "5",
		"transaction.state.log.replication.factor": "1",
		"transaction.state.log.min.isr":            "1",
		"transaction.state.log.num.partitions":     "5",
		"group.initial.rebalance.delay.ms":         "0",
		"delete.topic.enable":                      "true",
	}
}

// applyOptions changes the defaults as the options of the broker say.
func (b *Broker) applyOptions(config map[string]string) {
	for _, key := range b.Options.Unset {
		delete(config, key)
	}
	maps.Copy(config, b.Options.Config)
}

// addSASL adds the listener of BrokerOptions.SASLPort.
func (b *Broker) addSASL(config map[string]string) {
	if b.Options.SASLPort == 0 {
		return
	}
	for _, key := range []string{"listeners", "advertised.listeners"} {
		if config[key] == "" {
			config[key] = "PLAINTEXT://" + b.Addr // ZooKeeper mode advertises what it listens on
		}
		config[key] += fmt.Sprintf(",SASL_PLAINTEXT://127.0.0.1:%d", b.Options.SASLPort)
	}
	if config["listener.security.protocol.map"] != "" {
		config["listener.security.protocol.map"] += ",SASL_PLAINTEXT:SASL_PLAINTEXT"
	}
	config["sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
	for mechanism, module := range map[string]string{
		"plain":         `plain.PlainLoginModule required user_adminplain="admin-secret"`,
		"scram-sha-256": `scram.ScramLoginModule required`,
		"scram-sha-512": `scram.ScramLoginModule required`,
	} {
		config["listener.name.sasl_plaintext."+mechanism+".sasl.jaas.config"] = "org.apache.kafka.common.security." + module + ";"
	}
}

func (b *Broker) prepareBarnabas() error {
	program, err := b.cache.Barnabas()
	if err != nil {
		return err
	}
	config := b.testConfig()
	config["listeners"] = "PLAINTEXT://" + b.Addr
	config["advertised.listeners"] = "PLAINTEXT://" + b.Addr
	config["node.id"] = "1"
	b.addSASL(config)
	b.applyOptions(config)
	path := filepath.Join(b.Options.Dir, "server.properties")
	if err := writeProperties(path, config); err != nil {
		return err
	}
	b.program, b.args = program, []string{"start", path}
	return nil
}

func (b *Broker) prepareApache(controllerPort, zookeeperPort int) error {
	libs, err := b.cache.Jars(b.Kind.Version())
	if err != nil {
		return err
	}
	config := b.testConfig()
	overZK := b.Kind == Apache39OverZK
	if overZK {
		config["listeners"] = "PLAINTEXT://" + b.Addr
		config["broker.id"] = "1"
		config["zookeeper.connect"] = fmt.Sprintf("127.0.0.1:%d", zookeeperPort)
	} else {
		config["process.roles"] = "broker,controller"
		nodeID := cmp.Or(b.Options.Config["node.id"], "1")
		config["node.id"] = nodeID
		config["listeners"] = fmt.Sprintf("PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d", b.Addr, controllerPort)
		config["advertised.listeners"] = "PLAINTEXT://" + b.Addr
		config["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
		config["controller.listener.names"] = "CONTROLLER"
		config["controller.quorum.voters"] = fmt.Sprintf("%s@127.0.0.1:%d", nodeID, controllerPort)
	}
	b.addSASL(config)
	b.applyOptions(config)
	path := filepath.Join(b.Options.Dir, "server.properties")
	if err := writeProperties(path, config); err != nil {
		return err
	}
	logging, err := b.cache.quietLogging()
	if err != nil {
		return err
	}
	classPath := logging + ":" + filepath.Join(libs, "*")
	if overZK {
		if err := b.startZooKeeper(classPath, zookeeperPort); err != nil {
			return err
		}
	} else if _, err := os.Stat(filepath.Join(b.DataDir, "meta.properties")); err != nil {
		if err := run(b.Options.Dir, "java", slices.Concat(ToolJVM, []string{"-cp", classPath,
			"kafka.tools.StorageTool", "format", "-t", clusterIDForAll, "-c", path})...); err != nil {
			return err
		}
	}
	jvm := b.Options.JVM
	if jvm == nil {
		jvm = ApacheJVM
	}
	b.program = "java"
	b.args = slices.Concat(jvm, []string{"-cp", classPath, "kafka.Kafka", path})
	return nil
}

// ApacheJVM are the JVM options of Apache's own start script.
var ApacheJVM = []string{"-Xms1G", "-Xmx1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
	"-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"}

// ToolJVM are JVM options for short runs.
var ToolJVM = []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx384m"}

func (b *Broker) startZooKeeper(classPath string, port int) error {
	data := filepath.Join(b.Options.Dir, "zookeeper")
	if err := mkdirs(data); err != nil {
		return err
	}
	path := filepath.Join(b.Options.Dir, "zoo.cfg")
	if err := writeProperties(path, map[string]string{"tickTime": "2000", "dataDir": data,
		"clientPort": fmt.Sprint(port), "admin.enableServer": "false"}); err != nil {
		return err
	}
	p, err := startProcess(filepath.Join(b.Options.Dir, "zookeeper.log"), b.Options.Dir, nil, "java",
		slices.Concat(ToolJVM, []string{"-cp", classPath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", path})...)
	if err != nil {
		return err
	}
	b.zookeeper = p
	return p.waitForPort(fmt.Sprintf("127.0.0.1:%d", port), time.Minute)
}

// quietLogging returns a folder for the front of the class path that makes Apache's
// programs log warnings only, on standard error.
func (c *Cache) quietLogging() (string, error) {
	const reload4j = `log4j.rootLogger=WARN, err
log4j.appender.err=org.apache.log4j.ConsoleAppender
log4j.appender.err.target=System.err
log4j.appender.err.layout=org.apache.log4j.PatternLayout
log4j.appender.err.layout.ConversionPattern=[%d] %p %m (%c)%n
`
	return c.install("logging", "1", func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "log4j.properties"), []byte(reload4j), 0o644)
	})
}

// ToolClassPath is the class path that Apache's command line tools run with.
func (c *Cache) ToolClassPath(libs string) (string, error) {
	logging, err := c.quietLogging()
	return logging + ":" + filepath.Join(libs, "*"), err
}

func writeProperties(path string, config map[string]string) error {
	var out bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(config)) {
		fmt.Fprintf(&out, "%s=%s\n", key, config[key])
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}
