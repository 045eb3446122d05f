package broker_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/broker/loggers"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/server"
	"github.com/barnabas-broker/barnabas/protocol"
)

// loggedBroker is a broker that logs all there is to log.
type loggedBroker struct {
	*server.Server
	address string
	log     *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startLogged starts a broker whose loggers are all at TRACE, and whose log begins with what
// the program says at its start.
func startLogged(t *testing.T, options ...string) *loggedBroker {
	t.Helper()
	c, err := config.Load(config.Options{SecureListeners: true, Overrides: append([]string{"log.dirs=" + t.TempDir(), "barnabas.admin.listener=", "group.initial.rebalance.delay.ms=0"}, options...)})
	if err != nil {
		t.Fatal(err)
	}
	b := &loggedBroker{log: new(lockedBuffer)}
	registry := loggers.New(loggers.LevelTrace)
	logger := registry.Logger(loggers.Root, slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: loggers.LevelTrace}))
	for _, note := range server.Notes(c) {
		logger.Info(note.String())
	}
	for _, w := range c.Weaknesses() {
		logger.Warn(w.Text, "key", w.Key)
	}
	logger.Info(server.EffectiveConfig(c))
	logger.Info(strings.Join(c.Print(true), "\n"))
	if b.Server, err = server.Open(t.Context(), server.Options{Config: c, Logger: logger, Loggers: registry}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	for _, address := range b.Broker().Addresses() {
		b.address = address
	}
	return b
}

func (b *loggedBroker) client(t *testing.T, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.address), kgo.RequestRetries(0)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Clients wrote whole requests to their log at DEBUG, with the credentials in them; ZooKeeper
// wrote secrets at INFO (2026-24308), Redpanda's tool its own (2023-24619). With every logger
// at TRACE no secret that a broker is configured with, is told or makes up stands in its
// log, in its record of who did what, or in an answer but the one it is meant for; nor in
// what it says when such a value is not good.
func TestGHSA_wf66_mphr_4c4r_CVE_2026_24308_CVE_2023_24619_NoSecretIsInALog(t *testing.T) {
	secrets := map[string][]byte{}
	secret := func(what string) string {
		s := "hush-" + strings.ReplaceAll(what, " ", "-") + "-hush"
		secrets[what] = []byte(s)
		return s
	}
	const jaas = "listener.name.sasl_plaintext.plain.sasl.jaas.config"
	login := func(password string) string {
		return `org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="` + password + `" user_bob="other";`
	}
	auditFile := filepath.Join(t.TempDir(), "audit")
	options := saslOptions("SASL_PLAINTEXT", "delegation.token.secret.key="+secret("token key"), "ssl.key.password="+secret("key password"), "ssl.truststore.password="+secret("trust store"),
		"some.plugin.password="+secret("unknown key"), "barnabas.audit.log.file="+auditFile, "delegation.token.expiry.check.interval.ms=100")
	for i, o := range options {
		if strings.HasPrefix(o, jaas+"=") {
			options[i] = jaas + "=" + login(secret("password of alice"))
		}
	}
	b := startLogged(t, options...)
	var answers strings.Builder
	told := func(resp kmsg.Response, err error) {
		text, _ := json.Marshal(resp)
		fmt.Fprintf(&answers, "%s %v\n", text, err)
	}

	// Logins that fail at each step, and what is no login at all. A name that was tried is on
	// record whatever it is, so it is no secret here.
	for _, token := range []string{"\x00alice\x00" + secret("wrong password"), "\x00a password for a name\x00x", secret("no PLAIN"), "x\x00alice\x00" + secret("for another")} {
		w := dialAddress(t, b.address)
		told(w.call(handshake("PLAIN", 1)), nil)
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SetVersion(2)
		req.SASLAuthBytes = []byte(token)
		told(w.call(req), nil)
	}
	for _, bytes := range [][]byte{
		append([]byte{0, 17, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 60}, secret("mechanism that is none")...),
		append([]byte{0, 36, 0, 2, 0, 0, 0, 1, 0xff, 0xff}, secret("token without handshake")...),
		append([]byte{0x60, 0x82}, secret("ticket")...),
		append([]byte{0x7f, 0x7f, 0, 0, 0, 0, 0, 1, 0xff, 0xff}, secret("unknown API")...),
		[]byte(secret("no request")),
		[]byte("GET /" + secret("a path") + " HTTP/1.1\r\nAuthorization: Bearer " + secret("a header") + "\r\n\r\n"),
	} {
		w := dialAddress(t, b.address)
		w.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(bytes))), bytes...))
		w.receive()
		w = dialAddress(t, b.address)
		w.conn.Write(bytes)
		w.conn.(interface{ CloseWrite() error }).CloseWrite()
		w.receive()
	}

	alice := b.client(t, kgo.SASL(plain.Auth{User: "alice", Pass: string(secrets["password of alice"])}.AsMechanism()))
	setSCRAM(t, alice, "alice", secret("scram password"))
	for _, password := range []string{string(secrets["scram password"]), secret("wrong scram password")} {
		c := b.client(t, kgo.SASL(scram.Auth{User: "alice", Pass: password}.AsSha256Mechanism()))
		told(kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), c))
	}
	for _, mechanism := range []int8{1, 2, 9} { // good, good, and no mechanism
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = "carol", mechanism, 4096, []byte(secret("salt")), []byte(secret("salted password"))
		req.Upsertions = append(req.Upsertions, u)
		told(req.RequestWith(t.Context(), alice))
	}
	told(kmsg.NewPtrDescribeUserSCRAMCredentialsRequest().RequestWith(t.Context(), alice))

	// The same in a request that ends too early, or does not end, by somebody who may.
	for _, cut := range []int{-3, 5} {
		w := dialAddress(t, b.address)
		w.authenticate("alice", string(secrets["password of alice"]))
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = "carol", 1, 4096, []byte("salt"), []byte(secret("in a broken request"))
		req.Upsertions = append(req.Upsertions, u)
		frame := w.frame(req)
		if cut < 0 {
			frame = frame[:len(frame)+cut]
		} else {
			frame = append(frame, make([]byte, cut)...)
		}
		binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
		w.conn.Write(frame)
		w.receive()
	}

	// Delegation tokens: the answer that makes one, or lists it, is the one place for its HMAC.
	token := createToken(t, alice, "", -1, "bob")
	if token.ErrorCode != 0 {
		t.Fatal(protocol.ErrorCode(token.ErrorCode))
	}
	secrets["HMAC"] = token.HMAC
	renewToken(t, alice, token.HMAC, 60_000)
	renewToken(t, alice, []byte(secret("no HMAC")), 60_000)
	byToken := b.client(t, kgo.SASL(scram.Auth{User: token.TokenID, Pass: base64.StdEncoding.EncodeToString(token.HMAC), IsToken: true}.AsSha256Mechanism()))
	told(kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), byToken))
	expireToken(t, alice, token.HMAC, -1)
	expireToken(t, alice, []byte(secret("expired HMAC")), -1)

	// Settings that are secrets, good and bad, and secrets where they do not belong.
	set := func(t kmsg.ConfigResourceType, name, key, value string) {
		old := kmsg.NewPtrAlterConfigsRequest()
		o := kmsg.NewAlterConfigsRequestResource()
		o.ResourceType, o.ResourceName = t, name
		oc := kmsg.NewAlterConfigsRequestResourceConfig()
		oc.Name, oc.Value = key, &value
		o.Configs = append(o.Configs, oc)
		old.Resources = append(old.Resources, o)
		old.ValidateOnly = true
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		told(old.RequestWith(ctx, alice))
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = t, name
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = key, &value
		r.Configs = append(r.Configs, c)
		req.Resources = append(req.Resources, r)
		told(req.RequestWith(ctx, alice))
	}
	const brokers = kmsg.ConfigResourceTypeBroker
	set(brokers, "1", jaas, login(string(secrets["password of alice"]))+" ")
	set(brokers, "1", jaas, secret("no JAAS line"))
	set(brokers, "1", jaas, `x.Y required password="`+secret("unknown module")+`";`)
	set(brokers, "1", jaas, `x.Y required password="`+secret("unended")+``)
	set(brokers, "1", "ssl.keystore.password", secret("dynamic key store password"))
	set(brokers, "1", "ssl.keystore.key", secret("no key"))
	set(brokers, "1", "listener.name.sasl_plaintext.ssl.key.password", secret("key password of a listener"))
	set(brokers, "1", "some.other.password", secret("dynamic unknown key"))
	set(brokers, "", "ssl.truststore.password", secret("password for all brokers"))
	set(brokers, "7", "ssl.key.password", secret("password for nobody"))
	set(kmsg.ConfigResourceTypeTopic, "nowhere", "ssl.key.password", secret("password of a topic"))
	for _, c := range []struct {
		kind kmsg.ConfigResourceType
		name string
	}{{brokers, "1"}, {brokers, ""}} {
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.IncludeSynonyms, req.IncludeDocumentation = true, true
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = c.kind, c.name
		req.Resources = append(req.Resources, r)
		told(req.RequestWith(t.Context(), alice))
	}
	eventually(t, func() bool { // the expired token goes
		for range b.Broker().Store().Image().DelegationTokens() {
			return false
		}
		return true
	})
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}

	// What does not start says why, and not with what.
	for _, bad := range []string{jaas + "=" + secret("bad JAAS at start"), jaas + `=x.Y required user_a="` + secret("module at start") + `";`, "ssl.keystore.key=" + secret("key at start"),
		"listeners=SSL://127.0.0.1:0", "num.partitions=none", "delegation.token.master.key=" + secret("old key")} {
		err := startError(t, append(append([]string{}, options...), bad))
		fmt.Fprintf(&answers, "%s: %v\n", bad[:strings.IndexByte(bad, '=')], err)
	}

	auditText, err := os.ReadFile(auditFile)
	if err != nil {
		t.Fatal(err)
	}
	log := b.log.String()
	if !strings.Contains(log, "failed authentication") || !strings.Contains(log, `"level":"DEBUG"`) || len(auditText) == 0 || !strings.Contains(log, "created a delegation token") {
		t.Fatalf("the log says less than it should:\n%s", log)
	}
	for what, value := range secrets {
		for form, text := range map[string]string{"as it is": string(value), "in base 64": base64.StdEncoding.EncodeToString(value), "in hexadecimal": hex.EncodeToString(value),
			"as numbers": strings.Trim(fmt.Sprint(value), "[]")} {
			for where, place := range map[string]string{"the log": log, "the record": string(auditText), "an answer": answers.String()} {
				if i := strings.Index(place, text); i >= 0 {
					t.Errorf("the %s is in %s %s: ...%s", what, where, form, place[max(0, i-300):min(len(place), i+200)])
				}
			}
		}
	}
}
