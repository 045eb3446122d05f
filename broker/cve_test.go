package broker_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/protocol"
)

// cveBroker has a topic t with one record of alice, who may do everything; bob may read and
// write it.
func cveBroker(t *testing.T, more ...string) (b *brokertest.Broker, alice *kgo.Client) {
	t.Helper()
	b = brokertest.Start(t, saslOptions("SASL_PLAINTEXT", more...)...)
	alice = saslClient(t, b, plain.Auth{User: "alice", Pass: "secret"}.AsMechanism(), kgo.RequestRetries(3))
	if err := creates(t, alice, "t"); err != nil {
		t.Fatal(err)
	}
	if err := alice.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("one")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	acls := kadm.NewACLs().Allow("User:bob").AllowHosts("*").Topics("t").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead, kadm.OpWrite)
	results, err := kadm.NewClient(alice).CreateACLs(t.Context(), acls)
	for _, r := range results {
		err = errors.Join(err, r.Err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b, alice
}

func endOffset(t *testing.T, c *kgo.Client) int64 {
	t.Helper()
	ends, err := kadm.NewClient(c).ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	o, _ := ends.Lookup("t", 0)
	return o.Offset
}

// A fetch that says that it is a broker's moved the replication state for anybody who may
// read. It needs CLUSTER_ACTION, by the old field and by the new one.
func TestCVE_2018_1288_AReaderCannotFetchAsABroker(t *testing.T) {
	b, alice := cveBroker(t)
	bob := dial(t, b)
	bob.authenticate("bob", "other")
	for _, replica := range []int32{-1, 0, 1, 2, math.MaxInt32} {
		for _, version := range []int16{11, 12} {
			req := kmsg.NewPtrFetchRequest()
			req.SetVersion(version)
			req.ReplicaID, req.MaxBytes = replica, 1<<20
			p := kmsg.NewFetchRequestTopicPartition()
			p.FetchOffset, p.PartitionMaxBytes = 1, 1<<20
			req.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{p}}}
			resp := bob.call(req).(*kmsg.FetchResponse)
			code := protocol.ErrorCode(resp.ErrorCode)
			if code == 0 {
				code = protocol.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode)
			}
			if (replica < 0) != (code == 0) || replica >= 0 && code != protocol.ErrTopicAuthorizationFailed {
				t.Errorf("version %d as replica %d: %v", version, replica, code)
			}
		}
	}
	if end := endOffset(t, alice); end != 1 {
		t.Errorf("the high watermark is %d", end)
	}
}

// Transactional batches were taken without the right to the transactional id.
func TestCVE_2018_17196_ATransactionNeedsItsOwnRight(t *testing.T) {
	b, alice := cveBroker(t)
	bob := dial(t, b)
	bob.authenticate("bob", "other")
	for name, id := range map[string]*string{"no id": nil, "an id without rights": kmsg.StringPtr("somebody-elses"), "an empty id": kmsg.StringPtr("")} {
		batch, err := protocol.AppendBatch(nil, protocol.BatchOptions{Transactional: true, Producer: &protocol.Producer{ID: 1}}, protocol.Record{Value: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		req := kmsg.NewPtrProduceRequest()
		req.SetVersion(9)
		req.TransactionID, req.Acks, req.TimeoutMillis = id, -1, 5000
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch}}}}
		resp := bob.call(req).(*kmsg.ProduceResponse)
		if code := protocol.ErrorCode(resp.Topics[0].Partitions[0].ErrorCode); code != protocol.ErrTransactionalIDAuthorizationFailed {
			t.Errorf("%s: %v", name, code)
		}
	}
	if end := endOffset(t, alice); end != 1 {
		t.Errorf("something was appended: the end is %d", end)
	}
}

// Connect showed secrets of configurations to whoever asked.
func TestCVE_2019_12399_NoConfigurationIsReadBackWithItsSecrets(t *testing.T) {
	_, alice := cveBroker(t, "delegation.token.secret.key=token-secret", "ssl.key.password=key-secret")
	adm := kadm.NewClient(alice)
	brokers, err := adm.ListBrokers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	resp, err := adm.DescribeBrokerConfigs(t.Context(), brokers.NodeIDs()...)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, r := range resp {
		for _, c := range r.Configs {
			for _, synonym := range append(c.Synonyms, kadm.ConfigSynonym{Key: c.Key, Value: c.Value}) {
				if synonym.Value != nil && (strings.Contains(*synonym.Value, "secret") || strings.Contains(*synonym.Value, "user_")) {
					t.Errorf("%s shows %q", c.Key, *synonym.Value)
				}
			}
			if c.Sensitive {
				seen++
			}
		}
	}
	if seen == 0 {
		t.Error("no key is sensitive")
	}
}

// Strangers made brokers allocate what their length prefixes declared.
func TestCVE_2022_34917_StrangersAllocateNothing(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT")...)
	for range 300 {
		c, err := net.Dial("tcp", b.Address())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(30 * time.Second))
		c.Write(append(binary.BigEndian.AppendUint32(nil, 100<<20), make([]byte, 1000)...))
		n, err := c.Read(make([]byte, 1))
		if n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a stranger's 100 MiB are waited for: %d, %v", n, err)
		}
		c.Close()
	}
}

// JAAS lines named classes that looked up objects over the network, on load (25194, 27819)
// and through AlterConfigs (27818). Here the line is data, and a name that is not a known
// login module is refused.
func TestCVE_2023_25194_CVE_2025_27818_CVE_2025_27819_LoginModulesAreNames(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var dials atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			c.Close()
		}
	}()
	const key = "listener.name.sasl_plaintext.plain.sasl.jaas.config"
	_, alice := cveBroker(t)
	for _, module := range []string{"com.sun.security.auth.module.JndiLoginModule", "com.sun.security.auth.module.LdapLoginModule", "com.sun.security.auth.module.KeyStoreLoginModule", "x.Y"} {
		line := module + ` required user.provider.url="ldap://` + l.Addr().String() + `/x" group.provider.url="rmi://` + l.Addr().String() + `/y" userProvider="ldap://` + l.Addr().String() + `/z";`
		if startError(t, saslOptions("SASL_PLAINTEXT", key+"="+line)) == nil {
			t.Errorf("%s: the broker started", module)
		}
		if _, err := kadm.NewClient(alice).AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Name: key, Value: &line}}); err == nil {
			resp, err := kadm.NewClient(alice).AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Name: key, Value: &line}})
			if err != nil || len(resp) == 0 || resp[0].Err == nil {
				t.Errorf("%s: AlterConfigs took it: %+v, %v", module, resp, err)
			}
		}
	}
	if n := dials.Load(); n > 0 {
		t.Errorf("%d connections were made", n)
	}
	if err := creates(t, alice, "still-here"); err != nil {
		t.Error(err)
	}
}

// Configuration providers read the files and the environment of whoever expanded them.
func TestCVE_2024_31141_VariablesFromTheWireAreText(t *testing.T) {
	t.Setenv("BARNABAS_TEST_SECRET", "do-not-show")
	_, alice := cveBroker(t, "config.providers=env,file", "config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider",
		"config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider")
	adm := kadm.NewClient(alice)
	for _, value := range []string{"${env:BARNABAS_TEST_SECRET}", "${file:/etc/passwd:root}", "${dir:/etc:passwd}"} {
		for _, key := range []string{"compression.type", "follower.replication.throttled.replicas"} {
			resp, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: key, Value: &value}}, "t")
			if err != nil {
				t.Fatal(err)
			}
			if resp[0].Err != nil && strings.Contains(resp[0].ErrMessage, "do-not-show") {
				t.Errorf("%s=%s: %s", key, value, resp[0].ErrMessage)
			}
			all, err := adm.DescribeTopicConfigs(t.Context(), "t")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all[0].Configs {
				if c.Value != nil && (strings.Contains(*c.Value, "do-not-show") || strings.Contains(*c.Value, "root:")) {
					t.Errorf("%s=%s: is %s", key, value, *c.Value)
				}
			}
		}
	}
}

// Extreme timestamps made a loop of Streams endless. Nothing here may loop over time.
func TestCVE_2026_111496_ExtremeTimestampsEnd(t *testing.T) {
	_, alice := cveBroker(t)
	for _, at := range []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, math.MaxInt64 - 1, math.MaxInt64} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		alice.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("x"), Timestamp: time.UnixMilli(at)}) // may be refused
		req := kmsg.NewPtrListOffsetsRequest()
		req.SetVersion(5)
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp = at
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
		_, err := req.RequestWith(ctx, alice.SeedBrokers()[0])
		cancel()
		if err != nil {
			t.Errorf("timestamp %d: %v", at, err)
		}
	}
}

// Redpanda's transaction APIs had been left out of authorization. Here what an API needs is
// a column of the table that dispatches it, and the sweep (see refusals) knows every API
// that is advertised.
func TestCVE_2023_50976_EveryAPIIsInTheSweep(t *testing.T) {
	w := dial(t, brokertest.Start(t))
	for _, k := range w.call(kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse).ApiKeys {
		if _, ok := refusals[k.ApiKey]; !ok {
			t.Errorf("%s is served and not in the sweep of principals without ACLs", protocol.APIName(k.ApiKey))
		}
	}
}

// Redpanda's administration API listened on all addresses, for anybody.
func TestCVE_2026_82266_TheAdministrationPortIsTheLoopbacks(t *testing.T) {
	c, err := config.Load(config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	listener, ok := c.Value("barnabas.admin.listener")
	at, err := netip.ParseAddrPort(listener)
	if !ok || err != nil || !at.Addr().IsLoopback() {
		t.Errorf("by default the administration port is %q (%v)", listener, err)
	}
}
