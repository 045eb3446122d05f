package auth_test

import (
	"context"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/internal/authtest"
)

type noneTokens struct{}

// ValidateBearer reads the unsecured tokens that librdkafka and Java make for tests.
func (noneTokens) ValidateBearer(token string) (auth.BearerToken, error) {
	_, rest, _ := strings.Cut(token, ".")
	claims, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(claims)
	if err != nil || !strings.Contains(string(text), `"sub":"alice"`) {
		return auth.BearerToken{}, os.ErrPermission
	}
	return auth.BearerToken{Principal: "alice", ExpiresAt: time.Now().Add(time.Hour)}, nil
}

func clientServer(t *testing.T) *authtest.Server {
	t.Helper()
	mechanisms := []auth.Mechanism{
		auth.NewPlain(auth.NewPlainUsers(map[string]string{"user_alice": "secret"})),
		auth.NewOAuthBearer(auth.OAuthBearerOptions{Validator: noneTokens{}}),
	}
	for _, h := range []auth.ScramHash{auth.ScramSHA256, auth.ScramSHA512} {
		credential := auth.DeriveScram(h, "secret", []byte("pepper and salt"), 4096)
		mechanisms = append(mechanisms, auth.NewScram(auth.ScramOptions{
			Hash: h, Credential: func(user string) (auth.ScramCredential, bool) { return credential, user == "alice" },
		}))
	}
	return authtest.Serve(t, &auth.GateOptions{Mechanisms: mechanisms})
}

func jwtNone() string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"none"}`)) + "." + enc([]byte(`{"sub":"alice"}`)) + "."
}

func TestFranzGoGetsIn(t *testing.T) {
	for _, tt := range []struct {
		name      string
		mechanism sasl.Mechanism
		ok        bool
	}{
		{"PLAIN", plain.Auth{User: "alice", Pass: "secret"}.AsMechanism(), true},
		{"PLAIN, wrong password", plain.Auth{User: "alice", Pass: "x"}.AsMechanism(), false},
		{"SCRAM-SHA-256", scram.Auth{User: "alice", Pass: "secret"}.AsSha256Mechanism(), true},
		{"SCRAM-SHA-256, wrong password", scram.Auth{User: "alice", Pass: "x"}.AsSha256Mechanism(), false},
		{"SCRAM-SHA-512", scram.Auth{User: "alice", Pass: "secret"}.AsSha512Mechanism(), true},
		{"SCRAM-SHA-512, unknown user", scram.Auth{User: "bob", Pass: "secret"}.AsSha512Mechanism(), false},
		{"OAUTHBEARER", oauth.Auth{Token: jwtNone()}.AsMechanism(), true},
		{"OAUTHBEARER, bad token", oauth.Auth{Token: "x.y.z"}.AsMechanism(), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := clientServer(t)
			c, err := kgo.NewClient(kgo.SeedBrokers(server.Addr), kgo.SASL(tt.mechanism), kgo.RequestRetries(0))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err = kmsg.NewPtrMetadataRequest().RequestWith(ctx, c)
			if (err == nil) != tt.ok || (len(server.Identities()) > 0) != tt.ok {
				t.Fatalf("%v; got in: %v, refused: %v", err, server.Identities(), server.Errors())
			}
		})
	}
}

func TestKcatGetsIn(t *testing.T) {
	if _, err := exec.LookPath("kcat"); err != nil {
		t.Skip("SKIPPED, NOT TESTED: kcat is not installed")
	}
	for _, tt := range []struct {
		name    string
		options []string
		ok      bool
	}{
		{"PLAIN", []string{"sasl.mechanisms=PLAIN", "sasl.username=alice", "sasl.password=secret"}, true},
		{"PLAIN, wrong password", []string{"sasl.mechanisms=PLAIN", "sasl.username=alice", "sasl.password=x"}, false},
		{"SCRAM-SHA-256", []string{"sasl.mechanisms=SCRAM-SHA-256", "sasl.username=alice", "sasl.password=secret"}, true},
		{"SCRAM-SHA-512", []string{"sasl.mechanisms=SCRAM-SHA-512", "sasl.username=alice", "sasl.password=secret"}, true},
		{"SCRAM-SHA-512, wrong password", []string{"sasl.mechanisms=SCRAM-SHA-512", "sasl.username=alice", "sasl.password=x"}, false},
		{"OAUTHBEARER", []string{"sasl.mechanisms=OAUTHBEARER", "enable.sasl.oauthbearer.unsecure.jwt=true", "sasl.oauthbearer.config=principal=alice"}, true},
		{"OAUTHBEARER, another", []string{"sasl.mechanisms=OAUTHBEARER", "enable.sasl.oauthbearer.unsecure.jwt=true", "sasl.oauthbearer.config=principal=bob"}, false},
		{"PLAIN with handshake v0", []string{"sasl.mechanisms=PLAIN", "sasl.username=alice", "sasl.password=secret", "api.version.request=false", "broker.version.fallback=0.10.0.0"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := clientServer(t)
			timeout := "10"
			if !tt.ok {
				timeout = "2" // it goes on trying until then
			}
			args := []string{"-L", "-b", server.Addr, "-m", timeout, "-X", "security.protocol=SASL_PLAINTEXT"}
			for _, o := range tt.options {
				args = append(args, "-X", o)
			}
			out, err := exec.Command("kcat", args...).CombinedOutput()
			if (err == nil) != tt.ok || (len(server.Identities()) > 0) != tt.ok {
				t.Fatalf("%v\n%s\ngot in: %v, refused: %v", err, out, server.Identities(), server.Errors())
			}
		})
	}
}

// With BARNABAS_KAFKA_LIBS, the folder of Apache Kafka's jars, Kafka's own client logs in.
func TestJavaGetsIn(t *testing.T) {
	libs := os.Getenv("BARNABAS_KAFKA_LIBS")
	if libs == "" {
		t.Skip("BARNABAS_KAFKA_LIBS does not name a folder with Apache Kafka's jars")
	}
	server := clientServer(t)
	security := "org.apache.kafka.common.security."
	var args []string
	for _, mechanism := range [][2]string{
		{"PLAIN", security + `plain.PlainLoginModule required username="alice" password="secret";`},
		{"SCRAM-SHA-256", security + `scram.ScramLoginModule required username="alice" password="secret";`},
		{"SCRAM-SHA-512", security + `scram.ScramLoginModule required username="alice" password="secret";`},
		{"OAUTHBEARER", security + `oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="alice";`},
		{"SCRAM-SHA-512", security + `scram.ScramLoginModule required username="alice" password="wrong";`},
		{"PLAIN", security + `plain.PlainLoginModule required username="alice" password="wrong";`},
	} {
		args = append(args, mechanism[0], mechanism[1])
	}
	source, err := filepath.Abs("testdata/Login.java")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("java", append([]string{"-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", libs + "/*", source, server.Addr}, args...)...)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"PLAIN in", "SCRAM-SHA-256 in", "SCRAM-SHA-512 in", "OAUTHBEARER in",
		"SCRAM-SHA-512 Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512",
		"PLAIN Authentication failed: Invalid username or password",
	}
	if got := strings.TrimSpace(string(out)); got != strings.Join(want, "\n") {
		t.Fatalf("got\n%s\nwant\n%s\nrefused: %v", got, strings.Join(want, "\n"), server.Errors())
	}
}
