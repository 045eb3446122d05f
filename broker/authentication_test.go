package broker_test

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"hash"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/auth/tlsconf"
	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/server"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const (
	plainLogin = `org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="secret" user_bob="other";`
	scramLogin = `org.apache.kafka.common.security.scram.ScramLoginModule required;`
)

// saslOptions are a broker with one SASL listener where alice may do everything.
func saslOptions(protocol string, more ...string) []string {
	return append([]string{
		"listeners=" + protocol + "://127.0.0.1:0", "security.inter.broker.protocol=" + protocol,
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512", "sasl.mechanism.inter.broker.protocol=PLAIN",
		"listener.name." + strings.ToLower(protocol) + ".plain.sasl.jaas.config=" + plainLogin,
		"listener.name." + strings.ToLower(protocol) + ".scram-sha-256.sasl.jaas.config=" + scramLogin,
		"listener.name." + strings.ToLower(protocol) + ".scram-sha-512.sasl.jaas.config=" + scramLogin,
		authorizerOption, "super.users=User:alice", "connection.failed.authentication.delay.ms=0",
	}, more...)
}

func saslClient(t *testing.T, b *brokertest.Broker, m sasl.Mechanism, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	options := append([]kgo.Opt{kgo.SeedBrokers(b.Address()), kgo.RequestRetries(0)}, more...)
	if m != nil {
		options = append(options, kgo.SASL(m))
	}
	c, err := kgo.NewClient(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// creates returns the error with which the topic is refused: it tells who is asking.
func creates(t *testing.T, c *kgo.Client, name string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, c)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

func setSCRAM(t *testing.T, c *kgo.Client, user, password string) {
	t.Helper()
	set := func(mechanism int8, newHash func() hash.Hash, size int) {
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		u.Name, u.Mechanism, u.Iterations, u.Salt = user, mechanism, 4096, []byte("salt and pepper")
		u.SaltedPassword, _ = pbkdf2.Key(newHash, password, u.Salt, 4096, size)
		req.Upsertions = append(req.Upsertions, u)
		resp, err := req.RequestWith(t.Context(), c)
		if err == nil {
			err = kerr.ErrorForCode(resp.Results[0].ErrorCode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set(1, sha256.New, sha256.Size)
	set(2, sha512.New, sha512.Size)
}

func TestAPrincipalIsWhoItHasProvedToBe(t *testing.T) {
	dir := t.TempDir()
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", "barnabas.audit.log.file="+filepath.Join(dir, "audit"))...)
	alice := saslClient(t, b, plain.Auth{User: "alice", Pass: "secret"}.AsMechanism())
	if err := creates(t, alice, "by-alice"); err != nil {
		t.Fatal(err)
	}
	setSCRAM(t, alice, "alice", "sesame")
	setSCRAM(t, alice, "bob", "other")
	for _, tt := range []struct {
		name      string
		mechanism sasl.Mechanism
		want      error
	}{
		{"plain-bob", plain.Auth{User: "bob", Pass: "other"}.AsMechanism(), kerr.TopicAuthorizationFailed},
		{"plain-wrong", plain.Auth{User: "alice", Pass: "other"}.AsMechanism(), kerr.SaslAuthenticationFailed},
		{"sha256-alice", scram.Auth{User: "alice", Pass: "sesame"}.AsSha256Mechanism(), nil},
		{"sha512-alice", scram.Auth{User: "alice", Pass: "sesame"}.AsSha512Mechanism(), nil},
		{"sha256-bob", scram.Auth{User: "bob", Pass: "other"}.AsSha256Mechanism(), kerr.TopicAuthorizationFailed},
		{"sha512-wrong", scram.Auth{User: "alice", Pass: "secret"}.AsSha512Mechanism(), kerr.SaslAuthenticationFailed},
		{"sha512-nobody", scram.Auth{User: "carol", Pass: "secret"}.AsSha512Mechanism(), kerr.SaslAuthenticationFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := creates(t, saslClient(t, b, tt.mechanism), tt.name); !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
		})
	}
	b.Stop()
	outcomes := map[string]int{}
	text, err := os.ReadFile(filepath.Join(dir, "audit"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e struct{ Kind, Outcome, Principal, Mechanism string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == "authentication" {
			outcomes[e.Outcome+" "+e.Principal+" "+e.Mechanism]++
		}
	}
	for _, want := range []string{"succeeded User:alice PLAIN", "succeeded User:alice SCRAM-SHA-256", "succeeded User:bob SCRAM-SHA-256", "failed  PLAIN"} {
		if outcomes[want] == 0 {
			t.Errorf("the audit record has no %q: %v", want, outcomes)
		}
	}
	if bytes.Contains(text, []byte("secret")) || bytes.Contains(text, []byte("sesame")) {
		t.Error("the audit record holds a password")
	}
}

// authenticate does what a client does, on a raw connection.
func (w *wire) authenticate(user, password string) *kmsg.SASLAuthenticateResponse {
	w.t.Helper()
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.SetVersion(1)
	handshake.Mechanism = "PLAIN"
	if resp := w.call(handshake).(*kmsg.SASLHandshakeResponse); resp.ErrorCode != 0 {
		w.t.Fatalf("handshake: %v", kerr.ErrorForCode(resp.ErrorCode))
	}
	token := kmsg.NewPtrSASLAuthenticateRequest()
	token.SetVersion(2)
	token.SASLAuthBytes = []byte("\x00" + user + "\x00" + password)
	return w.call(token).(*kmsg.SASLAuthenticateResponse)
}

func TestASessionEndsUnlessItIsRenewedInTime(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", "listener.name.sasl_plaintext.plain.connections.max.reauth.ms=3000")...)
	advance := b.Broker().PutSessionsForward()
	w := dial(t, b)
	if resp := w.authenticate("alice", "secret"); resp.ErrorCode != 0 || resp.SessionLifetimeMillis != 3000 {
		t.Fatalf("%+v", resp)
	}
	advance(1500 * time.Millisecond)
	w.call(kmsg.NewPtrMetadataRequest())
	if resp := w.authenticate("alice", "secret"); resp.ErrorCode != 0 {
		t.Fatalf("renewed: %+v", resp)
	}
	advance(1500 * time.Millisecond)
	w.call(kmsg.NewPtrMetadataRequest())
	advance(1600 * time.Millisecond)
	w.send(kmsg.NewPtrMetadataRequest())
	if _, _, err := w.receive(); err == nil {
		t.Fatal("an expired session was served")
	}
	other := dial(t, b)
	other.authenticate("alice", "secret")
	if resp := other.authenticate("bob", "other"); resp.ErrorCode != int16(protocol.ErrSASLAuthenticationFailed) ||
		!strings.Contains(*resp.ErrorMessage, "Cannot change principals") {
		t.Fatalf("another principal: %+v", resp)
	}
	if _, _, err := other.receive(); err == nil {
		t.Fatal("the connection stays open")
	}
}

func TestSASLRequestsAfterAuthenticationAreIllegal(t *testing.T) {
	w := dial(t, brokertest.Start(t, saslOptions("SASL_PLAINTEXT")...))
	if resp := w.authenticate("alice", "secret"); resp.ErrorCode != 0 || resp.SessionLifetimeMillis != 0 {
		t.Fatalf("%+v", resp)
	}
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Mechanism = "PLAIN"
	if resp := w.call(handshake).(*kmsg.SASLHandshakeResponse); resp.ErrorCode != int16(protocol.ErrIllegalSASLState) {
		t.Fatalf("%+v", resp)
	}
	w.call(kmsg.NewPtrMetadataRequest())
}

// tlsFiles are an authority, a server's store and a trust store in PEM files.
type tlsFiles struct {
	ca     *tlsconf.DevCA
	dir    string
	caFile string
}

func newTLSFiles(t *testing.T) *tlsFiles {
	t.Helper()
	ca, err := tlsconf.NewDevCA("test CA", nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &tlsFiles{ca: ca, dir: t.TempDir()}
	f.caFile = f.write(t, "ca.pem", ca.Certificate())
	f.issueServer(t)
	return f
}

func (f *tlsFiles) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (f *tlsFiles) issue(t *testing.T, want tlsconf.DevCertificate) tlsconf.PEMPair {
	t.Helper()
	pair, err := f.ca.Issue(want)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func (f *tlsFiles) issueServer(t *testing.T) {
	pair := f.issue(t, tlsconf.DevCertificate{CommonName: "broker", Hosts: []string{"127.0.0.1"}, Server: true, Validity: time.Hour})
	f.write(t, "server.pem", pair.Joined())
}

func (f *tlsFiles) options() []string {
	return []string{"ssl.keystore.type=PEM", "ssl.keystore.location=" + filepath.Join(f.dir, "server.pem"),
		"ssl.truststore.type=PEM", "ssl.truststore.location=" + f.caFile}
}

// client is the TLS configuration of a client, with a certificate unless name is empty.
func (f *tlsFiles) client(t *testing.T, name string) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(f.ca.Certificate())
	c := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
	if name != "" {
		pair := f.issue(t, tlsconf.DevCertificate{CommonName: name, Client: true, Validity: time.Hour})
		certificate, err := tls.X509KeyPair(pair.Chain, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{certificate}
	}
	return c
}

func sslOptions(f *tlsFiles, clientAuth string, more ...string) []string {
	return append(append(f.options(), "listeners=SSL://127.0.0.1:0", "security.inter.broker.protocol=SSL", "ssl.client.auth="+clientAuth,
		authorizerOption, "super.users=User:alice", "ssl.principal.mapping.rules=RULE:^CN=(.*?)$/$1/"), more...)
}

func TestACertificateIsAPrincipal(t *testing.T) {
	f := newTLSFiles(t)
	b := brokertest.Start(t, sslOptions(f, "requested")...)
	strict := brokertest.Start(t, sslOptions(f, "required")...)
	for _, tt := range []struct {
		name   string
		broker *brokertest.Broker
		cn     string
		want   error
	}{
		{"alice", b, "alice", nil},
		{"bob", b, "bob", kerr.TopicAuthorizationFailed},
		{"nobody", b, "", kerr.TopicAuthorizationFailed},
		{"strict-alice", strict, "alice", nil},
	} {
		c := saslClient(t, tt.broker, nil, kgo.DialTLSConfig(f.client(t, tt.cn)))
		if err := creates(t, c, tt.name); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	if err := creates(t, saslClient(t, strict, nil, kgo.DialTLSConfig(f.client(t, ""))), "strict-nobody"); err == nil {
		t.Error("no certificate: got in")
	}
	stranger := newTLSFiles(t).client(t, "alice")
	stranger.RootCAs = f.client(t, "").RootCAs
	if err := creates(t, saslClient(t, b, nil, kgo.DialTLSConfig(stranger)), "stranger"); err == nil {
		t.Error("certificate of another CA: got in")
	}
	if err := creates(t, saslClient(t, b, nil), "plain"); err == nil {
		t.Error("without TLS: got in")
	}
}

func TestRecordsOverTLSComeBackAsTheyWere(t *testing.T) {
	f := newTLSFiles(t)
	options := append(saslOptions("SASL_SSL"), f.options()...)
	b := brokertest.Start(t, options...)
	c := saslClient(t, b, plain.Auth{User: "alice", Pass: "secret"}.AsMechanism(), kgo.DialTLSConfig(f.client(t, "")),
		kgo.ConsumeTopics("t"), kgo.AllowAutoTopicCreation(), kgo.RequestRetries(5), kgo.ProducerBatchCompression(kgo.NoCompression()))
	r := rand.New(rand.NewPCG(1, 1))
	var want [][]byte
	for i := range 40 {
		value := make([]byte, 1+i*i*400)
		for j := range value {
			value[j] = byte(r.Uint32())
		}
		want = append(want, value)
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for len(want) > 0 {
		fetches := c.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			if !bytes.Equal(rec.Value, want[0]) {
				t.Fatalf("record %d differs", rec.Offset)
			}
			want = want[1:]
		})
	}
}

func TestListenersThatAskForWhatThereIsNotDoNotOpen(t *testing.T) {
	for name, options := range map[string][]string{
		"no such": saslOptions("SASL_PLAINTEXT", "sasl.enabled.mechanisms=PLAIN,DIGEST-MD5"),
		"no key table": saslOptions("SASL_PLAINTEXT", "sasl.enabled.mechanisms=PLAIN,GSSAPI",
			"listener.name.sasl_plaintext.gssapi.sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required keyTab=\"/nowhere\" principal=\"kafka/localhost@R\";"),
		"no JAAS entry":  saslOptions("SASL_PLAINTEXT", "sasl.enabled.mechanisms=PLAIN", "listener.name.sasl_plaintext.plain.sasl.jaas.config="+scramLogin),
		"a Java class":   saslOptions("SASL_PLAINTEXT", "listener.name.sasl_plaintext.plain.sasl.server.callback.handler.class=a.B"),
		"no key store":   {"listeners=SSL://127.0.0.1:0", "security.inter.broker.protocol=SSL"},
		"no TLS version": {"listeners=SSL://127.0.0.1:0", "security.inter.broker.protocol=SSL", "ssl.enabled.protocols=SSLv3"},
	} {
		if err := startError(t, options); err == nil {
			t.Errorf("%s: the broker started", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a password: %v", name, err)
		}
	}
}

func TestKcatLogsIn(t *testing.T) {
	if _, err := exec.LookPath("kcat"); err != nil {
		t.Skip("SKIPPED, NOT TESTED: kcat is not installed")
	}
	f := newTLSFiles(t)
	pair := f.issue(t, tlsconf.DevCertificate{CommonName: "alice", Client: true, Validity: time.Hour})
	key, chain := f.write(t, "alice.key", pair.Key), f.write(t, "alice.pem", pair.Chain)
	plaintext := brokertest.Start(t, saslOptions("SASL_PLAINTEXT")...)
	encrypted := brokertest.Start(t, append(saslOptions("SASL_SSL"), f.options()...)...)
	mutual := brokertest.Start(t, sslOptions(f, "required")...)
	for _, b := range []struct {
		broker *brokertest.Broker
		tls    *tls.Config
	}{{plaintext, nil}, {encrypted, f.client(t, "")}} {
		var more []kgo.Opt
		if b.tls != nil {
			more = append(more, kgo.DialTLSConfig(b.tls))
		}
		setSCRAM(t, saslClient(t, b.broker, plain.Auth{User: "alice", Pass: "secret"}.AsMechanism(), more...), "alice", "sesame")
	}
	password := func(mechanism, password string) []string {
		return []string{"sasl.mechanisms=" + mechanism, "sasl.username=alice", "sasl.password=" + password}
	}
	ssl := []string{"ssl.ca.location=" + f.caFile}
	for _, tt := range []struct {
		name     string
		broker   *brokertest.Broker
		protocol string
		options  []string
		ok       bool
	}{
		{"PLAIN", plaintext, "SASL_PLAINTEXT", password("PLAIN", "secret"), true},
		{"PLAIN, wrong", plaintext, "SASL_PLAINTEXT", password("PLAIN", "x"), false},
		{"SCRAM-SHA-256", plaintext, "SASL_PLAINTEXT", password("SCRAM-SHA-256", "sesame"), true},
		{"SCRAM-SHA-512", plaintext, "SASL_PLAINTEXT", password("SCRAM-SHA-512", "sesame"), true},
		{"PLAIN, TLS", encrypted, "SASL_SSL", append(password("PLAIN", "secret"), ssl...), true},
		{"SCRAM-SHA-512, TLS", encrypted, "SASL_SSL", append(password("SCRAM-SHA-512", "sesame"), ssl...), true},
		{"mutual TLS", mutual, "SSL", append([]string{"ssl.certificate.location=" + chain, "ssl.key.location=" + key}, ssl...), true},
		{"TLS without a certificate", mutual, "SSL", ssl, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			timeout := "15"
			if !tt.ok {
				timeout = "2" // it goes on trying until then
			}
			args := []string{"-L", "-b", tt.broker.Address(), "-m", timeout, "-X", "security.protocol=" + tt.protocol}
			for _, o := range tt.options {
				args = append(args, "-X", o)
			}
			out, err := exec.Command("kcat", args...).CombinedOutput()
			if (err == nil) != tt.ok {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// startError is what keeps a broker from starting.
func startError(t *testing.T, options []string) error {
	t.Helper()
	c, err := config.Load(config.Options{SecureListeners: true, Overrides: append([]string{"log.dirs=" + t.TempDir(), "barnabas.admin.listener="}, options...)})
	if err != nil {
		return err
	}
	s, err := server.Open(t.Context(), server.Options{Config: c})
	if err == nil {
		s.Close(context.Background())
	}
	return err
}
