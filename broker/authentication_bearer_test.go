package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/auth/tlsconf"
	"github.com/barnabas-broker/barnabas/broker/audit"
	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
)

// issuer signs access tokens.
type issuer struct {
	t   *testing.T
	key *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{t, key}
}

func base64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// keys is the issuer's key set as a file's URL.
func (i *issuer) keys() string {
	public, err := i.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		i.t.Fatal(err)
	}
	path := filepath.Join(i.t.TempDir(), "jwks.json")
	set := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"k","x":%q,"y":%q}]}`,
		base64URL(public[1:33]), base64URL(public[33:]))
	if err := os.WriteFile(path, []byte(set), 0o600); err != nil {
		i.t.Fatal(err)
	}
	return "file://" + path
}

func (i *issuer) token(subject, audience string, lifetime time.Duration) string {
	claims, err := json.Marshal(map[string]any{"sub": subject, "iss": "https://issuer", "aud": audience,
		"iat": time.Now().Add(-2 * time.Hour).Unix(), "exp": time.Now().Add(lifetime).Unix()})
	if err != nil {
		i.t.Fatal(err)
	}
	text := base64URL([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + base64URL(claims)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, digest[:])
	if err != nil {
		i.t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64URL(signature)
}

var errRefused = errors.New("authentication failed")

func TestAnAccessTokenIsAPrincipal(t *testing.T) {
	i := newIssuer(t)
	bearer := func(keys string) []string {
		return saslOptions("SASL_PLAINTEXT", "sasl.enabled.mechanisms=PLAIN,OAUTHBEARER",
			"listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
			"listener.name.sasl_plaintext.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
			"sasl.oauthbearer.expected.issuer=https://issuer", "sasl.oauthbearer.expected.audience=kafka", "sasl.oauthbearer.jwks.endpoint.url="+keys)
	}
	b := brokertest.Start(t, bearer(i.keys())...)
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"alice", i.token("alice", "kafka", time.Hour), nil},
		{"bob", i.token("bob", "kafka", time.Hour), kerr.TopicAuthorizationFailed},
		{"another-audience", i.token("alice", "other", time.Hour), errRefused},
		{"expired", i.token("alice", "kafka", -time.Hour), errRefused},
		{"another-issuers-key", newIssuer(t).token("alice", "kafka", time.Hour), errRefused},
		{"unsigned", base64URL([]byte(`{"alg":"none"}`)) + "." + base64URL([]byte(`{"sub":"alice"}`)) + ".", errRefused},
	} {
		c := saslClient(t, b, oauth.Auth{Token: tt.token}.AsMechanism())
		err := creates(t, c, tt.name)
		if tt.want == errRefused && err != nil && !errors.Is(err, kerr.TopicAuthorizationFailed) {
			continue // in words of the client's own
		}
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	for name, options := range map[string][]string{
		"no keys":     bearer(""),
		"no file":     bearer("file:///nowhere"),
		"no issuer":   append(bearer(i.keys()), "sasl.oauthbearer.expected.issuer="),
		"no audience": append(bearer(i.keys()), "sasl.oauthbearer.expected.audience="),
	} {
		if startError(t, options) == nil {
			t.Errorf("%s: the broker started", name)
		}
	}
}

// The client of a refused token is to answer once more, which many do not. It has shown the
// token all the same.
func TestARefusedTokenIsRecordedThoughItsClientLeaves(t *testing.T) {
	i := newIssuer(t)
	for _, answers := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "audit.log")
		b := brokertest.Start(t, append(saslOptions("SASL_PLAINTEXT", "sasl.enabled.mechanisms=PLAIN,OAUTHBEARER",
			"listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
			"listener.name.sasl_plaintext.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler",
			"sasl.oauthbearer.expected.issuer=https://issuer", "sasl.oauthbearer.expected.audience=kafka", "sasl.oauthbearer.jwks.endpoint.url="+i.keys()),
			"barnabas.audit.log.file="+path)...)
		w := dial(t, b)
		w.call(handshake("OAUTHBEARER", 1))
		show := kmsg.NewPtrSASLAuthenticateRequest()
		show.SetVersion(1)
		show.SASLAuthBytes = []byte("n,,\x01auth=Bearer " + newIssuer(t).token("alice", "kafka", time.Hour) + "\x01\x01")
		if told := w.call(show).(*kmsg.SASLAuthenticateResponse); told.ErrorCode != 0 || !strings.Contains(string(told.SASLAuthBytes), "invalid_token") {
			t.Fatalf("%+v", told)
		}
		if answers {
			show.SASLAuthBytes = []byte{1}
			if told := w.call(show).(*kmsg.SASLAuthenticateResponse); told.ErrorCode != int16(protocol.ErrSASLAuthenticationFailed) {
				t.Fatalf("%+v", told)
			}
		}
		w.conn.Close()
		if e := events(t, path); len(e) != 1 || e[0].Outcome != audit.Failed || e[0].Mechanism != "OAUTHBEARER" || !strings.Contains(e[0].Reason, "signature") {
			t.Errorf("answers %v: %+v", answers, e)
		}
	}
}

func TestTheIssuersCertificateIsJudgedByTheLoginModulesTrustStore(t *testing.T) {
	i := newIssuer(t)
	keys, err := os.ReadFile(strings.TrimPrefix(i.keys(), "file://"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(keys) }))
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "trust.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	options := func(trust string) []string {
		return saslOptions("SASL_PLAINTEXT", "sasl.enabled.mechanisms=PLAIN,OAUTHBEARER",
			"listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "+trust+";",
			"sasl.oauthbearer.expected.issuer=https://issuer", "sasl.oauthbearer.expected.audience=kafka", "sasl.oauthbearer.jwks.endpoint.url="+s.URL)
	}
	if startError(t, options("")) == nil {
		t.Error("without a trust store: the broker started")
	}
	other := newTLSFiles(t).caFile
	if startError(t, options(`ssl.truststore.type="PEM" ssl.truststore.location="`+other+`"`)) == nil {
		t.Error("with another authority: the broker started")
	}
	b := brokertest.Start(t, options(`ssl.truststore.type="PEM" ssl.truststore.location="`+path+`"`)...)
	if err := creates(t, saslClient(t, b, oauth.Auth{Token: i.token("alice", "kafka", time.Hour)}.AsMechanism()), "by-alice"); err != nil {
		t.Error(err)
	}
}

func TestWhoSaysNothingIsDisconnected(t *testing.T) {
	f := newTLSFiles(t)
	for name, options := range map[string][]string{
		"SASL": saslOptions("SASL_PLAINTEXT"),
		"TLS":  sslOptions(f, "none"),
	} {
		b := brokertest.Start(t, options...)
		b.Broker().SetAuthTimeout(50 * time.Millisecond)
		if _, _, err := dial(t, b).receive(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: got %v, want the end of the connection", name, err)
		}
	}
}

func TestChangedCertificatesAreShownToNewConnections(t *testing.T) {
	f := newTLSFiles(t)
	b := brokertest.Start(t, sslOptions(f, "requested")...)
	before := saslClient(t, b, nil, kgo.DialTLSConfig(f.client(t, "alice")))
	if err := creates(t, before, "before"); err != nil {
		t.Fatal(err)
	}
	old := f.client(t, "alice")
	next, err := tlsconf.NewDevCA("next CA", nil)
	if err != nil {
		t.Fatal(err)
	}
	f.ca = next
	f.issueServer(t)
	f.write(t, "ca.pem", next.Certificate())
	if err := b.Broker().ReloadTLS(); err != nil {
		t.Fatal(err)
	}
	if err := creates(t, saslClient(t, b, nil, kgo.DialTLSConfig(f.client(t, "alice"))), "after"); err != nil {
		t.Errorf("new certificates: %v", err)
	}
	if err := creates(t, saslClient(t, b, nil, kgo.DialTLSConfig(old)), "old"); err == nil {
		t.Error("the old certificate still works")
	}
	if err := creates(t, before, "still"); err != nil {
		t.Errorf("a connection from before: %v", err)
	}
	f.write(t, "server.pem", []byte("nonsense"))
	if err := b.Broker().ReloadTLS(); err == nil {
		t.Error("nonsense was taken for a key store")
	}
	if err := creates(t, saslClient(t, b, nil, kgo.DialTLSConfig(f.client(t, "alice"))), "after-nonsense"); err != nil {
		t.Errorf("after a bad file: %v", err)
	}
}
