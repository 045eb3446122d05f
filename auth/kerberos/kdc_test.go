package kerberos_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/internal/authtest"
	"github.com/barnabas-broker/barnabas/auth/kerberos"
)

const service = "kafka/localhost"

// kdcServer is a KDC, and a Gate whose service it knows.
func kdcServer(t *testing.T, ruleTexts ...string) (*authtest.KDC, *kerberos.Mechanism, *authtest.Server) {
	t.Helper()
	kdc := authtest.StartKDC(t)
	keytab := kdc.AddService(service)
	rules, err := kerberos.ParseRules(authtest.Realm, ruleTexts)
	if err != nil {
		t.Fatal(err)
	}
	m, err := kerberos.New(kerberos.Options{Principal: service + "@" + authtest.Realm, Keytab: keytab, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return kdc, m, authtest.Serve(t, &auth.GateOptions{Mechanisms: []auth.Mechanism{m}})
}

func wantLast(t *testing.T, s *authtest.Server, user string) {
	t.Helper()
	ids := s.Identities()
	if len(ids) == 0 || ids[len(ids)-1].Principal != auth.User(user) {
		t.Fatalf("got in: %v, refused: %v; want %s", ids, s.Errors(), user)
	}
}

func TestRealKDCAndClients(t *testing.T) {
	kdc, m, server := kdcServer(t, "RULE:[2:$1](admin)s/admin/boss/", "DEFAULT")
	kdc.AddUser("alice", "secret")
	kdc.AddUser("admin/host", "secret2")

	t.Run("gokrb5, one-way and without subkey, as franz-go has it", func(t *testing.T) {
		if err := metadata(t, server.Addr, &gokrb5Client{kdc: kdc, user: "alice", password: "secret"}); err != nil {
			t.Fatal(err)
		}
		wantLast(t, server, "alice")
	})
	t.Run("a name of two components", func(t *testing.T) {
		if err := metadata(t, server.Addr, &gokrb5Client{kdc: kdc, user: "admin/host", password: "secret2"}); err != nil {
			t.Fatal(err)
		}
		wantLast(t, server, "boss")
	})
	t.Run("cyrus in kcat, mutual", func(t *testing.T) {
		kdc.Kinit("alice", "secret")
		kcat(t, kdc, server)
		wantLast(t, server, "alice")
	})
	t.Run("new keys beside the old ones", func(t *testing.T) {
		before := m.KeyVersion()
		keytab := kdc.Keytab(service)
		if err := m.SetKeytab(keytab); err != nil {
			t.Fatal(err)
		}
		if m.KeyVersion() <= before {
			t.Fatalf("key version %d, then %d", before, m.KeyVersion())
		}
		kcat(t, kdc, server) // its ticket is still under the old key
		kdc.Kinit("alice", "secret")
		kcat(t, kdc, server)
		wantLast(t, server, "alice")
	})
	t.Run("Java without a handshake, as 0.9", func(t *testing.T) {
		java(t, kdc, server, "alice", "secret", "false")
		wantLast(t, server, "alice")
	})
	t.Run("Java, mutual", func(t *testing.T) {
		java(t, kdc, server, "alice", "secret", "true")
		wantLast(t, server, "alice")
	})
	for _, etype := range []string{"aes256-sha2", "aes128-sha2", "aes128-cts"} {
		t.Run("kcat with "+etype, func(t *testing.T) {
			kdc.Run("kadmin.local", "-r", authtest.Realm, "-q", "cpw -randkey -e "+etype+":normal "+service)
			path := filepath.Join(t.TempDir(), "keytab")
			kdc.Run("kadmin.local", "-r", authtest.Realm, "-q", "ktadd -e "+etype+":normal -k "+path+" "+service)
			keytab, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.SetKeytab(keytab); err != nil {
				t.Fatal(err)
			}
			kdc.Kinit("alice", "secret")
			kcat(t, kdc, server)
			wantLast(t, server, "alice")
		})
	}
}

func TestTicketsOfOtherServicesAndUsersWithoutARuleAreRefused(t *testing.T) {
	kdc, _, server := kdcServer(t, "RULE:[2:$1]")
	kdc.AddUser("alice", "secret")
	kdc.AddUser("someone/else", "secret")
	kdc.AddService("http/localhost")
	if err := metadata(t, server.Addr, &gokrb5Client{kdc: kdc, user: "someone/else", password: "secret", service: "http/localhost"}); err == nil {
		t.Fatal("a ticket for http got in")
	}
	if err := metadata(t, server.Addr, &gokrb5Client{kdc: kdc, user: "alice", password: "secret"}); err == nil {
		t.Fatal("a name without a rule got in")
	}
	if ids := server.Identities(); len(ids) > 0 {
		t.Fatalf("got in: %v", ids)
	}
	if err := metadata(t, server.Addr, &gokrb5Client{kdc: kdc, user: "someone/else", password: "secret"}); err != nil {
		t.Fatal(err)
	}
}

// metadata asks for metadata through franz-go.
func metadata(t *testing.T, addr string, m sasl.Mechanism) error {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.SASL(m), kgo.RequestRetries(0), kgo.DialTimeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err = kmsg.NewPtrMetadataRequest().RequestWith(ctx, c)
	return err
}

// gokrb5Client does what franz-go's own Kerberos mechanism does, which is a module apart.
type gokrb5Client struct {
	kdc                     *authtest.KDC
	user, password, service string
}

func (*gokrb5Client) Name() string { return "GSSAPI" }

func (g *gokrb5Client) Authenticate(context.Context, string) (sasl.Session, []byte, error) {
	conf, err := config.Load(g.kdc.Conf())
	if err != nil {
		return nil, nil, err
	}
	c := client.NewWithPassword(g.user, authtest.Realm, g.password, conf, client.DisablePAFXFAST(true))
	if err := c.Login(); err != nil {
		return nil, nil, err
	}
	if g.service == "" {
		g.service = service
	}
	ticket, key, err := c.GetServiceTicket(g.service)
	if err != nil {
		return nil, nil, err
	}
	authenticator, err := types.NewAuthenticator(authtest.Realm, c.Credentials.CName())
	if err != nil {
		return nil, nil, err
	}
	sum := make([]byte, 24)
	sum[0], sum[20] = 16, gssapi.ContextFlagInteg|gssapi.ContextFlagConf
	authenticator.Cksum = types.Checksum{CksumType: 0x8003, Checksum: sum}
	request, err := messages.NewAPReq(ticket, key, authenticator)
	if err != nil {
		return nil, nil, err
	}
	b, err := request.Marshal()
	if err != nil {
		return nil, nil, err
	}
	b = slices.Concat([]byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 1, 0}, b)
	b = slices.Concat([]byte{0x60, 0x82, byte(len(b) >> 8), byte(len(b))}, b)
	return &gokrb5Session{key: key}, b, nil
}

type gokrb5Session struct {
	key  types.EncryptionKey
	done bool
}

func (s *gokrb5Session) Challenge(token []byte) (bool, []byte, error) {
	if s.done {
		return true, nil, nil
	}
	var offer gssapi.WrapToken
	if err := offer.Unmarshal(token, true); err != nil {
		return false, nil, err
	}
	if _, err := offer.Verify(s.key, keyusage.GSSAPI_ACCEPTOR_SEAL); err != nil {
		return false, nil, err
	}
	choice, err := gssapi.NewInitiatorWrapToken(offer.Payload, s.key)
	if err != nil {
		return false, nil, err
	}
	s.done = true
	b, err := choice.Marshal()
	return false, b, err
}

func kcat(t *testing.T, kdc *authtest.KDC, server *authtest.Server) {
	t.Helper()
	if _, err := exec.LookPath("kcat"); err != nil {
		t.Skip("SKIPPED, NOT TESTED: kcat is not installed")
	}
	before := len(server.Identities())
	_, port, _ := net.SplitHostPort(server.Addr)
	cmd := exec.Command("kcat", "-L", "-b", "localhost:"+port, "-m", "10", "-X", "security.protocol=SASL_PLAINTEXT",
		"-X", "sasl.mechanisms=GSSAPI", "-X", "sasl.kerberos.service.name=kafka", "-X", "sasl.kerberos.kinit.cmd=true",
		"-X", "broker.address.family=v4")
	cmd.Env = kdc.Env()
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "No worthy mechs found") {
		t.Skip("SKIPPED, NOT TESTED: libsasl2-modules-gssapi-mit is not installed")
	}
	if err != nil || len(server.Identities()) == before {
		t.Fatalf("kcat: %v\n%s\nrefused: %v", err, out, server.Errors())
	}
}

// java runs testdata/GSSAPIClient.java, and checks on its behalf that the connection is
// one: it sends bare tokens, and Metadata afterwards.
func java(t *testing.T, kdc *authtest.KDC, server *authtest.Server, user, password, mutual string) {
	t.Helper()
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("SKIPPED, NOT TESTED: java is not installed")
	}
	kdc.Kinit(user, password)
	cache := ""
	for _, e := range kdc.Env() {
		if c, ok := strings.CutPrefix(e, "KRB5CCNAME=FILE:"); ok {
			cache = c
		}
	}
	_, port, _ := net.SplitHostPort(server.Addr)
	request := kmsg.NewRequestFormatter(kmsg.FormatterClientID("java")).AppendRequest(nil, kmsg.NewPtrMetadataRequest(), 1)
	before := len(server.Identities())
	cmd := exec.Command("java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Djava.security.krb5.conf="+kdc.Conf(),
		"-Djava.security.auth.login.config="+writeJAAS(t, cache), "testdata/GSSAPIClient.java", port, mutual, hexOf(request))
	cmd.Env = kdc.Env()
	out, err := cmd.CombinedOutput()
	if err != nil || len(server.Identities()) == before {
		t.Fatalf("java: %v\n%s\nrefused: %v", err, out, server.Errors())
	}
}

func writeJAAS(t *testing.T, cache string) string {
	path := filepath.Join(t.TempDir(), "jaas.conf")
	text := "Client { com.sun.security.auth.module.Krb5LoginModule required useTicketCache=true doNotPrompt=true ticketCache=\"" + cache + "\"; };\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, c := range b {
		out.WriteByte(digits[c>>4])
		out.WriteByte(digits[c&15])
	}
	return out.String()
}

// A recorded AP-REQ is good once, even on another connection.
func TestReplayedTicketOfARealClient(t *testing.T) {
	kdc, _, server := kdcServer(t)
	kdc.AddUser("alice", "secret")
	_, token, err := (&gokrb5Client{kdc: kdc, user: "alice", password: "secret"}).Authenticate(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	answers := func() int {
		c, err := net.Dial("tcp", server.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		c.Write(slices.Concat(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token))
		n, _ := io.ReadFull(c, make([]byte, 4))
		return n
	}
	if answers() != 4 {
		t.Fatalf("the first use was refused: %v", server.Errors())
	}
	if answers() != 0 {
		t.Fatal("the second use was answered")
	}
}

func TestSelfTest(t *testing.T) {
	kdc := authtest.StartKDC(t)
	rules, err := kerberos.ParseRules(authtest.Realm, nil)
	if err != nil {
		t.Fatal(err)
	}
	mechanism := func(keytab []byte) *kerberos.Mechanism {
		t.Helper()
		m, err := kerberos.New(kerberos.Options{Principal: service + "@" + authtest.Realm, Keytab: keytab, Rules: rules})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := kdc.AddService(service)
	if err := mechanism(first).SelfTest(kdc.Conf(), first); err != nil {
		t.Fatal(err)
	}
	newer := kdc.Keytab(service)
	if err := mechanism(first).SelfTest(kdc.Conf(), first); err == nil {
		t.Fatal("a key table that the KDC has left behind passed")
	}
	if err := mechanism(newer).SelfTest(kdc.Conf(), newer); err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(kdc.Conf())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	lines := strings.Split(string(conf), "\n")
	for i, line := range lines {
		if strings.Contains(line, "kdc =") {
			lines[i] = "  kdc = " + nobody
		}
	}
	dead := filepath.Join(t.TempDir(), "krb5.conf")
	if err := os.WriteFile(dead, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mechanism(newer).SelfTest(dead, newer); err == nil || !strings.Contains(err.Error(), "KDC") {
		t.Fatalf("without a KDC: %v", err)
	}
}
