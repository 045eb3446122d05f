package peers

import (
	"path/filepath"
	"slices"
	"strings"
)

// Peer is one client of one version and what it can do.
type Peer struct {
	Name   string
	Short  bool     // belongs to the sample that CI runs
	Codecs []string // can produce and read these

	NoProduce   bool // cannot produce
	NoConsume   bool // cannot consume
	NoGroup     bool // its groups are not Kafka's
	NoCreate    bool // cannot create topics itself
	OwnOffsets  bool // its committed offsets are kept apart (OffsetCommit v0)
	Headers     bool // knows headers
	SameHeaders bool // can give only the same headers to all records of a call
	Timestamps  bool // gives records their timestamps
	Text        bool // cannot produce all bytes
	NoNullValue bool // cannot produce null values
	NoEmpty     bool // cannot produce empty keys and values apart from null ones
	BlurNull    bool // does not tell null and empty apart when reading
	Idempotent  bool // has an option for it
	NewGroups   bool // knows the consumer protocol of KIP-848
	Before      int  // speaks only versions that Apache dropped in this major version; 0 is none

	open opener
}

type opener func(c *Cache, addr, logPath string, as Security) (Client, error)

// Open installs what the peer needs and starts it against a broker.
func (p *Peer) Open(c *Cache, addr, logPath string) (Client, error) {
	return p.open(c, addr, logPath, Security{})
}

// OpenAs is Open for a listener that asks who it is.
func (p *Peer) OpenAs(c *Cache, addr, logPath string, as Security) (Client, error) {
	return p.open(c, addr, logPath, as)
}

// CanRead says whether the peer reads batches of a codec.
func (p *Peer) CanRead(codec string) bool { return slices.Contains(p.Codecs, codec) }

var (
	allCodecs  = []string{"none", "gzip", "snappy", "lz4", "zstd"}
	noZstd     = []string{"none", "gzip", "snappy", "lz4"}
	codecs2015 = []string{"none", "gzip", "snappy"}
)

// All lists every peer, in the order they are run in.
func All() []*Peer {
	return []*Peer{
		{Name: "kcat", Short: true, Codecs: allCodecs, NoCreate: true, Headers: true, SameHeaders: true, Text: true,
			NoEmpty: true, Idempotent: true,
			open: func(c *Cache, addr, _ string, as Security) (Client, error) {
				program, err := c.Kcat()
				return kcatClient{program, addr, as}, err
			}},
		{Name: "kafka-python-0.9.4", Short: true, Codecs: codecs2015, NoCreate: true, NoNullValue: true, OwnOffsets: true, Before: 4,
			open: python("kafka_python_094.py", (*Cache).KafkaPythonOld)},
		{Name: "kafka-python-3.0", Short: true, Codecs: allCodecs, Headers: true, Timestamps: true, Idempotent: true,
			open: python("kafka_python.py", (*Cache).KafkaPython)},
		{Name: "franz-go", Short: true, Codecs: allCodecs, Headers: true, Timestamps: true, Idempotent: true,
			NewGroups: true, open: goClient("franz-go")},
		{Name: "sarama", Codecs: allCodecs, Headers: true, Timestamps: true, Idempotent: true, open: goClient("sarama")},
		{Name: "sarama-as-0.8.2", Codecs: codecs2015, NoGroup: true, NoCreate: true, Before: 4, open: goClient("sarama@0.8.2.2")},
		{Name: "sarama-as-0.10.2", Codecs: noZstd, Timestamps: true, Before: 4, open: goClient("sarama@0.10.2.0")},
		{Name: "kafka-go", Codecs: allCodecs, Headers: true, Timestamps: true, BlurNull: true, open: goClient("kafka-go")},
		{Name: "kafkajs", Codecs: allCodecs, Headers: true, Timestamps: true, Idempotent: true,
			open: func(c *Cache, addr, logPath string, as Security) (Client, error) {
				dir, err := c.KafkaJS()
				if err != nil {
					return nil, err
				}
				env, err := as.json(logPath)
				if err != nil {
					return nil, err
				}
				return startLineClient(logPath, append(env, "NODE_PATH="+filepath.Join(dir, "node_modules")), "node",
					filepath.Join(c.Root, "tests/interop/adapters/node/kafkajs.js"), addr)
			}},
		{Name: "java-0.8.2.2", Codecs: noZstd, NoConsume: true, NoCreate: true, Before: 4, open: java("0.8.2.2")},
		{Name: "java-0.9.0.1", Codecs: noZstd, NoCreate: true, Before: 4, open: java("0.9.0.1")},
		{Name: "java-0.10.2.2", Codecs: noZstd, NoCreate: true, Timestamps: true, Before: 4, open: java("0.10.2.2")},
		{Name: "java-1.1.1", Codecs: noZstd, Headers: true, Timestamps: true, Idempotent: true, open: java("1.1.1")},
		{Name: "java-2.0.1", Codecs: noZstd, Headers: true, Timestamps: true, Idempotent: true, open: java("2.0.1")},
		{Name: "java-2.8.2", Codecs: allCodecs, Headers: true, Timestamps: true, Idempotent: true, open: java("2.8.2")},
		{Name: "java-3.9.2", Short: true, Codecs: allCodecs, Headers: true, Timestamps: true, Idempotent: true, open: java("3.9.2")},
		{Name: "java-4.3.1", Short: true, Codecs: allCodecs, Headers: true, Timestamps: true, Idempotent: true,
			NewGroups: true, open: java("4.3.1")},
	}
}

func java(version string) opener {
	return func(c *Cache, addr, logPath string, as Security) (Client, error) {
		classPath, err := c.JavaAdapter(version)
		if err != nil {
			return nil, err
		}
		if as.Mechanism == "OAUTHBEARER" {
			libs, err := c.Jars(version)
			if err != nil {
				return nil, err
			}
			classPath = strings.Join(append([]string{classPath}, javaSecurityJars(libs)...), ":")
		}
		env, err := as.properties(logPath)
		if err != nil {
			return nil, err
		}
		return startLineClient(logPath, env, "java", slices.Concat(ToolJVM, as.JVM(), []string{"-cp", classPath, "Adapter", addr})...)
	}
}

func python(script string, install func(*Cache) (string, error)) opener {
	return func(c *Cache, addr, logPath string, as Security) (Client, error) {
		dir, err := install(c)
		if err != nil {
			return nil, err
		}
		if as.Mechanism == "GSSAPI" {
			gssapi, err := c.PythonGSSAPI()
			if err != nil {
				return nil, err
			}
			dir += ":" + gssapi
		}
		env, err := as.json(logPath)
		if err != nil {
			return nil, err
		}
		return startLineClient(logPath, append(env, "PYTHONPATH="+dir, "PYTHONDONTWRITEBYTECODE=1"), "python3",
			filepath.Join(c.Root, "tests/interop/adapters/python", script), addr)
	}
}

func goClient(name string) opener {
	return func(c *Cache, addr, logPath string, as Security) (Client, error) {
		program, err := c.GoClients()
		if err != nil {
			return nil, err
		}
		env, err := as.json(logPath)
		if err != nil {
			return nil, err
		}
		return startLineClient(logPath, env, program, name, addr)
	}
}
