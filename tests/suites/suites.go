package main

import (
	"context"
	"fmt"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// suite is the test suite of one client.
type suite struct {
	name     string
	version  string
	apache39 string // its scores against Apache Kafka: pass/fail/skip
	apache43 string
	port     int               // that the suite insists on; 0: any
	saslPort int               // of a listener with SASL, beside it; peers.AnyPort if the suite takes any
	config   map[string]string // of the broker, beside that of all tests
	unset    []string          // keys of that of all tests that its broker does not have
	lanes    int               // how many brokers the suite runs against, side by side; one by default
	install  func(*peers.Cache) (program, error)
	run      func(*job) ([]result, error)
}

// program is an installed suite.
type program struct {
	dir  string // to run it in
	path string // the program, or the module path of an interpreter
}

func allSuites() []*suite {
	return []*suite{
		{
			name: "kgo", version: "1.22.2", apache39: "145/0/7", apache43: "151/0/1",
			saslPort: peers.AnyPort,
			config:   map[string]string{"num.partitions": "4", "group.initial.rebalance.delay.ms": "3000"},
			install:  func(c *peers.Cache) (p program, err error) { p.dir, p.path, err = c.KgoTests(); return p, err },
			run:      runKgo,
		},
		{
			name: "kafka-go", version: "0.4.51", apache39: "151/3/6", apache43: "150/4/6",
			port: 9092, saslPort: 9093,
			config: map[string]string{
				"num.partitions": "1", "group.initial.rebalance.delay.ms": "3000", "message.max.bytes": "200000000",
				"advertised.listeners":           "PLAINTEXT://localhost:9092,SASL_PLAINTEXT://localhost:9093",
				"authorizer.class.name":          "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
				"allow.everyone.if.no.acl.found": "true",
				"super.users":                    "User:ANONYMOUS;User:adminplain",
			},
			install: func(c *peers.Cache) (p program, err error) { p.dir, p.path, err = c.KafkaGoTests(); return p, err },
			run:     runKafkaGo,
		},
		{
			name: "kafka-python", version: "3.0.12", apache39: "50/3/14", apache43: "55/2/10",
			config: map[string]string{
				"num.partitions": "2", "group.initial.rebalance.delay.ms": "0", "group.min.session.timeout.ms": "1000", "node.id": "0",
				"authorizer.class.name":          "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
				"allow.everyone.if.no.acl.found": "true",
				"super.users":                    "User:ANONYMOUS",
			},
			// One test looks what the broker says of advertised.listeners by default. Apache's in KRaft mode has them set.
			unset: []string{"advertised.listeners"},
			install: func(c *peers.Cache) (p program, err error) {
				p.dir, p.path, err = c.KafkaPythonTests("tests/suites/kafka-python/service.py")
				return p, err
			},
			run: runKafkaPython,
		},
		{
			name: "librdkafka", version: "2.15.1", lanes: 3, apache39: "not counted", apache43: "98/0/5, 1 needs > 300 s",
			config: map[string]string{
				"num.partitions": "4", "group.initial.rebalance.delay.ms": "3000",
				"authorizer.class.name":          "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
				"allow.everyone.if.no.acl.found": "true",
			},
			install: func(c *peers.Cache) (p program, err error) {
				if _, err = c.Jars(toolVersion); err == nil {
					p.dir, err = c.LibrdkafkaTests()
				}
				return p, err
			},
			run: runLibrdkafka,
		},
	}
}

// runKgo runs franz-go's tests in one process: they run beside each other.
func runKgo(j *job) ([]result, error) {
	names, err := j.testNames()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	if err := j.createSCRAMUser("adminscram", "admin-secret-256"); err != nil {
		return nil, err
	}
	records := 50_000
	if j.short {
		records = 5_000
	}
	return j.testProgram("kgo.log", 15*time.Minute, []string{
		fmt.Sprintf("KGO_TEST_SCRAM_SEEDS=127.0.0.1:%d", j.saslPort), "KGO_TEST_SCRAM=adminscram:admin-secret-256:256",
		"KGO_SEEDS=" + j.addr, "KGO_TEST_RF=1", fmt.Sprint("KGO_TEST_RECORDS=", records), "KGO_TEST_STABLE_FETCH=true",
	}, "-test.run", exactly(names))
}

// createSCRAMUser creates a user of SCRAM-SHA-256 by the plaintext listener.
func (j *job) createSCRAMUser(name, password string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(j.addr))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	altered, err := kadm.NewClient(client).AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{
		{User: name, Mechanism: kadm.ScramSha256, Iterations: 4096, Password: password},
	})
	if err != nil {
		return err
	}
	return altered.Error()
}

// runKafkaGo runs each test of kafka-go in a process of its own: one of them takes its
// process down.
func runKafkaGo(j *job) ([]result, error) {
	names, err := j.testNames()
	if err != nil {
		return nil, err
	}
	var results []result
	for _, name := range names {
		r, err := j.testProgram(name+".log", 3*time.Minute, []string{"KAFKA_SKIP_NETTEST=1", "KAFKA_VERSION=3.9.2"},
			"-test.run", exactly([]string{name}))
		if err != nil {
			return nil, err
		}
		results = append(results, r...)
	}
	return results, nil
}
