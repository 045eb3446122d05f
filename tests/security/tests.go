package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

const partTests = "go test beside Apache Kafka, kcat and MIT's KDC"

// goTests are the tests that go test skips on a machine without what they need, by package.
var goTests = []struct {
	of   string
	args []string // of the test binary; LIBS, LISTENER stand for Apache's jars and broker
}{
	{"./acl", []string{"-test.run", "^TestDecisionsAreThoseOfApachesClass$", "-acl.apache", "LIBS"}},
	{"./auth", []string{"-test.run", "GetsIn$"}},
	{"./auth/bearer", []string{"-test.run", "^TestKafkaJudgesAlike$"}},
	{"./auth/internal/javaregexp", []string{"-test.run", "^TestReplacementIsJavas$"}},
	{"./auth/kerberos", []string{"-test.run", "^Test(RealKDCAndClients|ReplayedTicketOfARealClient|TicketsOfOtherServices.*|SelfTest|RulesAreKafkas)$"}},
	{"./auth/tlsconf", []string{"-test.run", "^Test(MapperIsKafkas|OpenSSLClient|FormatDNIsJavas|StoresOfTheDevCA.*)$"}},
	{"./broker", []string{"-test.run", "^Test(Apache.*|KcatLogsIn|OnePortForClientsWithAndWithoutTLS|AKerberosTicketIsAPrincipal)$",
		"-broker.apache", "LISTENER", "-broker.apache.tokens", "LISTENER"}},
}

// tests runs them all, beside a broker of Apache Kafka 3.9.2 of their own. One that is
// skipped has failed.
func (m *matrix) tests() {
	libs, err := m.world.cache.Jars(peers.Apache39.Version())
	if err != nil {
		m.check(partTests, "Apache Kafka's jars", err)
		return
	}
	if _, err := m.world.cache.Kcat(); err != nil {
		m.check(partTests, "kcat", err)
		return
	}
	broker, listener, err := m.world.apacheForTests()
	if err != nil {
		m.check(partTests, "Apache Kafka's broker", err)
		return
	}
	defer broker.Close()
	replace := strings.NewReplacer("LIBS", libs, "LISTENER", listener)
	for _, of := range goTests {
		args := []string{"test", "-count=1", "-json", of.of, "-args"}
		for _, a := range of.args {
			args = append(args, replace.Replace(a))
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = m.world.cache.Root
		cmd.Env = append(os.Environ(), "BARNABAS_KAFKA_LIBS="+libs)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := cmd.CombinedOutput()
		cancel()
		results := testResults(out)
		if len(results) == 0 {
			m.check(partTests, of.of, cmp.Or(err, errors.New("no test has run")))
			continue
		}
		for _, r := range results {
			m.check(partTests, of.of+" "+r.name, r.err)
		}
		failed := func(r testResult) bool { return r.err != nil }
		if err != nil && !slices.ContainsFunc(results, failed) {
			m.check(partTests, of.of, err)
		}
	}
}

type testResult struct {
	name string
	err  error
}

// testResults are those of whole tests, and of skipped parts of them.
func testResults(out []byte) (results []testResult) {
	said := map[string]string{}
	for in := bufio.NewScanner(bytes.NewReader(out)); in.Scan(); {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(in.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		switch e.Action {
		case "output":
			said[e.Test] += e.Output
		case "pass":
			switch {
			case strings.Contains(said[e.Test], "SKIPPED"): // a part of it that is no test of its own
				results = append(results, testResult{e.Test, fmt.Errorf("skipped: %s", said[e.Test])})
			case !strings.Contains(e.Test, "/"):
				results = append(results, testResult{name: e.Test})
			}
		case "skip":
			results = append(results, testResult{e.Test, fmt.Errorf("skipped: %s", said[e.Test])})
		case "fail":
			results = append(results, testResult{e.Test, fmt.Errorf("failed: %s", said[e.Test])})
		}
	}
	return results
}

// apacheForTests is a broker as -broker.apache and -broker.apache.tokens want it: alice may
// do everything, bob and nobody have no ACLs.
func (w *world) apacheForTests() (*peers.Broker, string, error) {
	ports, err := peers.FreePorts(2)
	if err != nil {
		return nil, "", err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", ports[0])
	prefix := "listener.name.sasl_plaintext."
	b, err := w.cache.StartBroker(peers.Apache39, peers.BrokerOptions{Dir: filepath.Join(w.dir, "apache-for-tests"), Port: ports[0], Config: map[string]string{
		"listeners":                      fmt.Sprintf("SASL_PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d", addr, ports[1]),
		"advertised.listeners":           "SASL_PLAINTEXT://" + addr,
		"listener.security.protocol.map": "SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
		"controller.quorum.voters":       fmt.Sprintf("1@127.0.0.1:%d", ports[1]),
		"security.inter.broker.protocol": "SASL_PLAINTEXT", "sasl.mechanism.inter.broker.protocol": "PLAIN",
		"sasl.enabled.mechanisms":                   "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		prefix + "plain.sasl.jaas.config":           plainModule + ` required username="alice" password="secret" user_alice="secret" user_bob="other" user_nobody="nobody";`,
		prefix + "scram-sha-256.sasl.jaas.config":   scramModule + " required;",
		prefix + "scram-sha-512.sasl.jaas.config":   scramModule + " required;",
		"authorizer.class.name":                     "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                               "User:alice;User:ANONYMOUS",
		"delegation.token.secret.key":               "the brokers' own secret",
		"connection.failed.authentication.delay.ms": "0",
		"auto.create.topics.enable":                 "true",
	}})
	return b, addr, err
}
