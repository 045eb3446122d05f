package tlsconf

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
)

// files is what Options.ReadFile reads.
type files struct {
	mu      sync.Mutex
	content map[string][]byte
}

func (f *files) set(name string, content []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.content == nil {
		f.content = make(map[string][]byte)
	}
	f.content[name] = content
}

func (f *files) read(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, ok := f.content[name]; ok {
		return b, nil
	}
	return nil, os.ErrNotExist
}

func mustCA(t testing.TB, name string) *DevCA {
	t.Helper()
	ca, err := NewDevCA(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func mustIssue(t testing.TB, ca *DevCA, want DevCertificate) PEMPair {
	t.Helper()
	pair, err := ca.Issue(want)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

var testServer = DevCertificate{CommonName: "broker", Organization: "Barnabas", Hosts: []string{"localhost", "127.0.0.1"}, Server: true}

// pemFiles are a key store and a trust store of one authority, and the options of a server
// of them that wants to see certificates.
func pemFiles(t testing.TB, ca *DevCA) (*files, Options) {
	t.Helper()
	f := new(files)
	f.set("key", mustIssue(t, ca, testServer).Joined())
	f.set("trust", ca.Certificate())
	return f, Options{KeystoreType: "PEM", KeystoreLocation: "key", TruststoreType: "PEM", TruststoreLocation: "trust", ClientAuth: "required", ReadFile: f.read}
}

func mustServer(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// listen serves TLS; what a client is, or why it was refused, comes on the channel.
func listen(t *testing.T, s *Server, m *Mapper) (addr string, who chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	who = make(chan string, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				tc := tls.Server(c, s.Config())
				if err := tc.Handshake(); err != nil {
					who <- "refused: " + err.Error()
					return
				}
				p, err := m.Principal(tc.ConnectionState())
				if err != nil {
					who <- "refused: " + err.Error()
					return
				}
				tc.Write([]byte("hello"))
				who <- p.String()
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String(), who
}

// dial returns the error of a client, nil if it was greeted.
func dial(addr string, c *tls.Config) error {
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.ReadFull(conn, make([]byte, 5))
	return err
}

func pool(certs ...[]byte) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AppendCertsFromPEM(c)
	}
	return p
}

func clientPair(t testing.TB, pair PEMPair) []tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair(pair.Chain, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{c}
}

func TestClientAuthModes(t *testing.T) {
	ca, foreign := mustCA(t, "ca"), mustCA(t, "foreign")
	alice := clientPair(t, mustIssue(t, ca, DevCertificate{CommonName: "alice", Organization: "Acme", Client: true}))
	mallory := clientPair(t, mustIssue(t, foreign, DevCertificate{CommonName: "alice", Client: true}))
	serverOnly := clientPair(t, mustIssue(t, ca, DevCertificate{CommonName: "alice", Server: true}))
	_, o := pemFiles(t, ca)
	mapper, err := ParseMapper("RULE:CN=([^,]*).*/$1/")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		mode    string
		version uint16
		certs   []tls.Certificate
		want    string // "" is a refusal
	}{
		{"none", 0, nil, "User:ANONYMOUS"},
		{"none", 0, alice, "User:ANONYMOUS"},
		{"requested", 0, nil, "User:ANONYMOUS"},
		{"requested", 0, alice, "User:alice"},
		{"requested", 0, mallory, ""},
		{"required", tls.VersionTLS12, alice, "User:alice"},
		{"required", tls.VersionTLS13, alice, "User:alice"},
		{"required", tls.VersionTLS12, nil, ""},
		{"required", tls.VersionTLS13, nil, ""},
		{"required", 0, mallory, ""},
		{"required", 0, serverOnly, ""},
	} {
		o.ClientAuth = tt.mode
		s := mustServer(t, o)
		addr, who := listen(t, s, mapper)
		err = dial(addr, &tls.Config{RootCAs: pool(ca.Certificate()), ServerName: "localhost", MaxVersion: tt.version, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(tt.certs) == 0 {
				return new(tls.Certificate), nil
			}
			return &tt.certs[0], nil
		}})
		got := <-who
		if tt.want == "" {
			if err == nil || !strings.HasPrefix(got, "refused") {
				t.Errorf("%s: got in as %s", tt.mode, got)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.mode, got, err, tt.want)
		}
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	ca := mustCA(t, "ca")
	pair := mustIssue(t, ca, testServer)
	secret := auth.NewSecret
	f := new(files)
	f.set("pem", pair.Joined())
	f.set("jks", read(t, "true.jks"))
	f.set("p12", read(t, "default.jks"))
	f.set("onlykey", pair.Key)
	f.set("trust", ca.Certificate())
	good := Options{KeystoreType: "PEM", KeystoreLocation: "pem", ReadFile: f.read}
	for _, tt := range []struct {
		name   string
		change func(*Options)
		part   string // of the error; "" is none
	}{
		{"good", func(o *Options) {}, ""},
		{"inline", func(o *Options) {
			o.KeystoreLocation, o.KeystoreKey, o.KeystoreCertificateChain = "", secret(string(pair.Key)), secret(string(pair.Chain))
		}, ""},
		{"JKS by content", func(o *Options) {
			o.KeystoreType, o.KeystoreLocation, o.KeystorePassword, o.KeyPassword = "PKCS12", "jks", secret("password"), secret("keypassword")
		}, ""},
		{"PKCS12 by content", func(o *Options) {
			o.KeystoreType, o.KeystoreLocation, o.KeystorePassword = "JKS", "p12", secret("password")
		}, ""},
		{"no key store", func(o *Options) { o.KeystoreLocation = "" }, "ssl.keystore.location is not set"},
		{"no such file", func(o *Options) { o.KeystoreLocation = "x" }, "not exist"},
		{"a password with PEM", func(o *Options) { o.KeystorePassword = secret("x") }, "PEM"},
		{"a password without location", func(o *Options) { o.KeystoreType, o.KeystoreLocation, o.KeystorePassword = "", "", secret("x") }, "without ssl.keystore.location"},
		{"JKS without password", func(o *Options) { o.KeystoreType, o.KeystoreLocation = "JKS", "jks" }, "ssl.keystore.location"},
		{"inline without type", func(o *Options) { o.KeystoreType, o.KeystoreKey = "", secret("x") }, "PEM"},
		{"inline and file", func(o *Options) { o.KeystoreKey = secret("x") }, "together"},
		{"key without chain", func(o *Options) { o.KeystoreLocation, o.KeystoreKey = "", secret("x") }, "without ssl.keystore.certificate.chain"},
		{"chain without key", func(o *Options) { o.KeystoreLocation, o.KeystoreCertificateChain = "", secret("x") }, "without ssl.keystore.key"},
		{"only a key in the file", func(o *Options) { o.KeystoreLocation = "onlykey" }, "no certificate"},
		{"no key in the file", func(o *Options) { o.KeystoreLocation = "trust" }, "no usable key"},
		{"a trust store of a key", func(o *Options) { o.TruststoreType, o.TruststoreLocation = "PEM", "pem" }, "no trusted certificate"},
		{"a trust store inline", func(o *Options) { o.TruststoreType, o.TruststoreCertificates = "PEM", secret(string(ca.Certificate())) }, ""},
		{"a trust store inline without type", func(o *Options) { o.TruststoreCertificates = secret("x") }, "PEM"},
		{"two trust stores", func(o *Options) {
			o.TruststoreType, o.TruststoreLocation, o.TruststoreCertificates = "PEM", "trust", secret("x")
		}, "together"},
		{"a trust store's password with PEM", func(o *Options) { o.TruststoreType, o.TruststorePassword = "PEM", secret("x") }, "PEM"},
		{"client auth in capitals", func(o *Options) { o.ClientAuth = "REQUIRED" }, "ssl.client.auth"},
		{"SSLv3", func(o *Options) { o.EnabledProtocols = []string{"SSLv3"} }, "SSLv3"},
		{"a gap", func(o *Options) { o.EnabledProtocols = []string{"TLSv1.1", "TLSv1.3"} }, "TLSv1.2"},
		{"the bound takes all", func(o *Options) { o.EnabledProtocols, o.Protocol = []string{"TLSv1.3"}, "TLSv1.2" }, "ssl.protocol"},
		{"an unknown bound", func(o *Options) { o.Protocol = "X" }, "ssl.protocol"},
		{"an unknown cipher suite", func(o *Options) { o.CipherSuites = []string{"TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"} }, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
		{"RC4", func(o *Options) { o.CipherSuites = []string{"TLS_ECDHE_RSA_WITH_RC4_128_SHA"} }, "not known"},
		{"suites of 1.3 with 1.2", func(o *Options) {
			o.EnabledProtocols, o.CipherSuites = []string{"TLSv1.2"}, []string{"TLS_AES_128_GCM_SHA256"}
		}, "no suite"},
	} {
		o := good
		tt.change(&o)
		_, err := NewServer(o)
		if tt.part == "" && err != nil || tt.part != "" && (err == nil || !strings.Contains(err.Error(), tt.part)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestVersionsAndSuites(t *testing.T) {
	const gcm, old, modern = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "SSL_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "TLS_AES_256_GCM_SHA384"
	for _, tt := range []struct {
		enabled         []string
		protocol        string
		suites          []string
		lowest, highest uint16
		ids, warnings   int
	}{
		{nil, "", nil, tls.VersionTLS12, tls.VersionTLS13, 0, 0},
		{[]string{"TLSv1.3", "TLSv1.2"}, "TLSv1.3", nil, tls.VersionTLS12, tls.VersionTLS13, 0, 0},
		{[]string{"TLSv1.2", "TLSv1.3"}, "TLSv1.2", nil, tls.VersionTLS12, tls.VersionTLS12, 0, 0},
		{[]string{"TLSv1.2", "TLSv1.3"}, "TLS", nil, tls.VersionTLS12, tls.VersionTLS13, 0, 0},
		{[]string{"TLSv1", "TLSv1.1", "TLSv1.2"}, "", nil, tls.VersionTLS10, tls.VersionTLS12, 0, 0},
		{nil, "", []string{gcm}, tls.VersionTLS12, tls.VersionTLS12, 1, 0},
		{nil, "", []string{modern}, tls.VersionTLS13, tls.VersionTLS13, 0, 0},
		{nil, "", []string{modern, gcm}, tls.VersionTLS12, tls.VersionTLS13, 1, 1},
		{nil, "", []string{old}, tls.VersionTLS12, tls.VersionTLS12, 1, 0},
		{nil, "", []string{"TLS_RSA_WITH_AES_128_GCM_SHA256"}, tls.VersionTLS12, tls.VersionTLS12, 1, 1},
	} {
		lowest, highest, err := versionsOf(tt.enabled, tt.protocol)
		if err != nil {
			t.Errorf("%v: %v", tt, err)
			continue
		}
		ids, lowest, highest, warnings, err := suitesOf(tt.suites, lowest, highest)
		if err != nil || lowest != tt.lowest || highest != tt.highest || len(ids) != tt.ids || len(warnings) != tt.warnings {
			t.Errorf("%v: %x %x %v %v %v", tt, lowest, highest, ids, warnings, err)
		}
	}
}

func TestReload(t *testing.T) {
	ca, next := mustCA(t, "ca"), mustCA(t, "next")
	f, o := pemFiles(t, ca)
	s := mustServer(t, o)
	mapper, _ := ParseMapper("")
	addr, who := listen(t, s, mapper)
	connect := func(server *DevCA, client *DevCA) error {
		t.Helper()
		cert := clientPair(t, mustIssue(t, client, DevCertificate{CommonName: "c", Client: true}))
		err := dial(addr, &tls.Config{RootCAs: pool(server.Certificate()), ServerName: "localhost", Certificates: cert})
		<-who
		return err
	}
	reload := func(wantChanged, wantErr bool) {
		t.Helper()
		if changed, err := s.Reload(); changed != wantChanged || (err != nil) != wantErr {
			t.Fatalf("changed %v, %v", changed, err)
		}
	}
	if err := connect(ca, ca); err != nil {
		t.Fatal(err)
	}
	reload(false, false)

	f.set("trust", []byte("nonsense"))
	reload(false, true)
	reload(false, false) // said once
	if err := connect(ca, ca); err != nil {
		t.Fatalf("a bad file took effect: %v", err)
	}

	f.set("trust", next.Certificate())
	reload(true, false)
	if err := connect(ca, ca); err == nil {
		t.Fatal("a client of the removed authority got in")
	}
	if err := connect(ca, next); err != nil {
		t.Fatal(err)
	}

	f.set("key", mustIssue(t, next, testServer).Joined())
	reload(true, false)
	if err := connect(next, next); err != nil {
		t.Fatal(err)
	}

	other := testServer
	other.CommonName = "other"
	f.set("key", mustIssue(t, next, other).Joined())
	reload(false, true)
	other = testServer
	other.Hosts = []string{"elsewhere"}
	f.set("key", mustIssue(t, next, other).Joined())
	reload(false, true)
	if err := connect(next, next); err != nil {
		t.Fatal(err)
	}

	o.ClientAuth, o.AllowSANChanges = "", true
	if err := s.Alter(o); err != nil {
		t.Fatal(err)
	}
	o.TruststoreLocation, o.TruststoreType = "", ""
	if err := s.Alter(o); err == nil {
		t.Fatal("the trust store vanished")
	}
}

func TestWatchTakesWhatHasSettled(t *testing.T) {
	ca := mustCA(t, "ca")
	f := new(files)
	short, long := testServer, testServer
	short.Validity, long.Validity = time.Hour, 1000*time.Hour
	shortPair, longPair := mustIssue(t, ca, short), mustIssue(t, ca, long)
	f.set("key", shortPair.Joined())
	synctest.Test(t, func(t *testing.T) {
		s, err := NewServer(Options{KeystoreType: "PEM", KeystoreLocation: "key", TruststoreType: "PEM", TruststoreCertificates: auth.NewSecret(string(ca.Certificate())), ReadFile: f.read})
		if err != nil {
			t.Fatal(err)
		}
		before := s.NextExpiry()
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Watch(ctx, 10*time.Second, slog.New(slog.NewTextHandler(&log, nil)))
		}()
		look := func() { time.Sleep(10 * time.Second); synctest.Wait() }
		time.Sleep(time.Second)

		f.set("key", longPair.Joined()[:100])
		look()
		look()
		if !s.NextExpiry().Equal(before) || strings.Count(log.String(), "not good") != 1 {
			t.Fatalf("%v\n%s", s.NextExpiry(), log.String())
		}
		f.set("key", longPair.Joined())
		look()
		if !s.NextExpiry().Equal(before) {
			t.Fatal("it was taken at first sight")
		}
		look()
		if s.NextExpiry().Sub(before) < 900*time.Hour || !strings.Contains(log.String(), "reloaded") {
			t.Fatalf("%v\n%s", s.NextExpiry(), log.String())
		}
		cancel()
		<-done
	})
}

func TestExpiries(t *testing.T) {
	ca := mustCA(t, "ca")
	_, o := pemFiles(t, ca)
	s := mustServer(t, o)
	var got []string
	for _, e := range s.Expiries() {
		got = append(got, e.Role+" "+e.Alias+" "+e.Subject)
	}
	if want := []string{"key kafka CN=broker,O=Barnabas", "chain kafka CN=ca", "trusted kafka0 CN=ca"}; !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
}

func TestOpenSSLClient(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := mustCA(t, "ca")
	caFile := write("ca.pem", ca.Certificate())
	client := write("client.pem", mustIssue(t, ca, DevCertificate{CommonName: "alice", Client: true}).Joined())
	key := write("key.pem", mustIssue(t, ca, testServer).Joined())
	s := mustServer(t, Options{KeystoreType: "PEM", KeystoreLocation: key, TruststoreType: "PEM", TruststoreLocation: caFile, ClientAuth: "required"})
	mapper, _ := ParseMapper("")
	addr, who := listen(t, s, mapper)
	for _, tt := range []struct {
		args []string
		ok   bool
	}{
		{[]string{"-tls1_3", "-cert", client, "-key", client}, true},
		{[]string{"-tls1_2", "-cert", client, "-key", client}, true},
		{[]string{"-tls1_1", "-cert", client, "-key", client, "-cipher", "DEFAULT@SECLEVEL=0"}, false},
		{[]string{"-tls1_2"}, false},
		{[]string{"-tls1_3"}, false},
	} {
		args := append([]string{"s_client", "-connect", addr, "-CAfile", caFile, "-verify_return_error", "-servername", "localhost", "-quiet"}, tt.args...)
		cmd := exec.Command("openssl", args...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.CombinedOutput()
		in.Close()
		got := <-who
		if greeted := bytes.Contains(out, []byte("hello")); greeted != tt.ok || (got == "User:CN=alice") != tt.ok {
			t.Errorf("%v: %s %v\n%s", tt.args, got, err, out)
		}
	}
}

func TestDevCAsCanBeTakenUpAgain(t *testing.T) {
	ca := mustCA(t, "ca")
	pair, err := ca.Pair()
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadDevCA(pair, nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf := parseChain(t, mustIssue(t, again, testServer).Chain)[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool(ca.Certificate()), DNSName: "localhost"}); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadDevCA(mustIssue(t, ca, testServer), nil); err == nil {
		t.Fatal("a server's certificate is an authority")
	}
	if got := ServerEndPoint(leaf); len(got) != 32 {
		t.Fatalf("%x", got)
	}
}

// Files may change while they are read at start or for an alteration: the next look takes
// up what came behind the reading.
func TestAChangeBehindTheReadingIsSeenByTheNextLook(t *testing.T) {
	ca, next := mustCA(t, "ca"), mustCA(t, "next")
	f, o := pemFiles(t, ca)
	changeAt, reads := 0, 0
	o.ReadFile = func(name string) ([]byte, error) {
		data, err := f.read(name)
		if name == "trust" {
			if reads++; reads == changeAt {
				f.set("trust", next.Certificate())
			}
		}
		return data, err
	}
	if _, err := NewServer(o); err != nil {
		t.Fatal(err)
	}
	perLoad := reads
	for changeAt = 1; changeAt <= perLoad; changeAt++ {
		for _, altered := range []bool{false, true} {
			f.set("trust", ca.Certificate())
			reads = perLoad // the change waits
			s, err := NewServer(o)
			if err != nil {
				t.Fatal(err)
			}
			reads = 0
			if altered {
				err = s.Alter(o)
			} else {
				s, err = NewServer(o)
			}
			if err != nil {
				t.Fatal(err)
			}
			reads = perLoad
			if _, err := s.Reload(); err != nil {
				t.Fatal(err)
			}
			if got := s.current.Load().trusted[0].Certificate.Subject.CommonName; got != "next" {
				t.Errorf("altered %v, changed behind reading %d: %q is trusted", altered, changeAt, got)
			}
		}
	}
}

// A session that could be resumed would outlive the trust that it was given under.
func TestNoSessionIsResumed(t *testing.T) {
	ca, next := mustCA(t, "ca"), mustCA(t, "next")
	f, o := pemFiles(t, ca)
	s := mustServer(t, o)
	mapper, _ := ParseMapper("")
	addr, who := listen(t, s, mapper)
	client := clientPair(t, mustIssue(t, ca, DevCertificate{CommonName: "c", Client: true}))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := &tls.Config{RootCAs: pool(ca.Certificate()), ServerName: "localhost", Certificates: client,
			MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(10)}
		c.VerifyConnection = func(state tls.ConnectionState) error {
			if state.DidResume {
				t.Errorf("%s: a session was resumed", tls.VersionName(version))
			}
			return nil
		}
		for range 3 {
			if err := dial(addr, c); err != nil {
				t.Fatal(err)
			}
			<-who
		}
		f.set("trust", next.Certificate())
		if _, err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		if err := dial(addr, c); err == nil {
			t.Errorf("%s: a client of the removed authority got in", tls.VersionName(version))
		}
		<-who
		f.set("trust", ca.Certificate())
		if _, err := s.Reload(); err != nil {
			t.Fatal(err)
		}
	}
}
