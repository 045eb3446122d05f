package clientconf

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/config"
)

func parse(t testing.TB, text string) (*Client, error) {
	t.Helper()
	props, err := config.ParseProperties([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Parse(props, Options{Getenv: func(string) string { return "" }})
}

const (
	plainLogin  = `sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="a" password="hush-hush";`
	scramLogin  = `sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="a" password="hush-hush" tokenauth=true;`
	bearerLogin = `sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required `
)

func TestPropertiesOfAJavaClientAreTaken(t *testing.T) {
	for _, tt := range []struct{ properties, protocol, mechanism string }{
		{"", "PLAINTEXT", ""},
		{"acks=all\nkey.serializer=x", "PLAINTEXT", ""},
		{"security.protocol=ssl", "SSL", ""},
		{"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n" + plainLogin, "SASL_PLAINTEXT", "PLAIN"},
		{"security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n" + scramLogin, "SASL_SSL", "SCRAM-SHA-512"},
		{"security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER\n" + bearerLogin + `unsecuredLoginStringClaim_sub="a";`, "SASL_SSL", "OAUTHBEARER"},
	} {
		c, err := parse(t, tt.properties)
		if err != nil {
			t.Errorf("%s: %v", tt.properties, err)
			continue
		}
		mechanism := ""
		if c.Mechanism != nil {
			mechanism = c.Mechanism.Name()
		}
		if c.Protocol.String() != tt.protocol || mechanism != tt.mechanism || (c.TLS != nil) != c.Protocol.TLS() {
			t.Errorf("%s: %v %s", tt.properties, c.Protocol, mechanism)
		}
	}
}

func TestWhatWouldConnectLessSafelyThanAskedIsRefused(t *testing.T) {
	for _, tt := range []struct{ properties, want string }{
		{"security.protocol=TLS", "none of PLAINTEXT"},
		{"sasl.mechanism=PLAIN\n" + plainLogin, "has no SASL"},
		{"security.protocol=SASL_SSL\nsasl.mechanism=PLAIN", "sasl.jaas.config is not set"},
		{"security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-1\n" + scramLogin, "none of PLAIN, SCRAM"},
		{"security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-256\n" + plainLogin, "needs org.apache.kafka.common.security.scram"},
		{"security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n" + strings.TrimSuffix(plainLogin, ";"), "sasl.jaas.config"},
		{"security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER\n" + bearerLogin + ";", "there is no token"},
		{"security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER\nsasl.oauthbearer.token.endpoint.url=ftp://x\n" + bearerLogin + ";", "no URL"},
		{"security.protocol=SSL\nssl.truststore.location=/nowhere/ca.pem", "/nowhere/ca.pem"},
		{"security.protocol=SSL\nssl.endpoint.identification.algorithm=ldaps", "neither https nor empty"},
		{"security.protocol=SASL_SSL\nsasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required;", "sasl.kerberos.service.name"},
		{"security.protocol=SASL_SSL\nsasl.kerberos.service.name=kafka\nsasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required;", "useTicketCache"},
		{"request.timeout.ms=soon", "no number"},
	} {
		_, err := parse(t, tt.properties)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.properties, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "hush-hush") {
			t.Errorf("%v shows a secret", err)
		}
	}
}

func TestBearerTokensComeFromFileOrEndpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("from.file.x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// As it stands by default, by form encoding where the properties ask for RFC 6749's way.
		if id, secret, _ := r.BasicAuth(); id == "you+me" && secret == "=/" || id == "you%2Bme" && secret == "%3D%2F" {
			fmt.Fprintf(w, `{"access_token":"for.%s.x"}`, id)
			return
		} else if id != "me" || secret != "hush-hush" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "kafka" {
			http.Error(w, "the secret is hush-hush", http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"access_token":"from.endpoint.x","token_type":"bearer"}`)
	}))
	defer server.Close()
	first := func(properties string) (string, error) {
		c, err := parse(t, "security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER\n"+properties)
		if err != nil {
			t.Fatal(err)
		}
		_, token, err := c.Mechanism.Authenticate(context.Background(), "localhost:9092")
		return string(token), err
	}
	got, err := first("sasl.oauthbearer.token.endpoint.url=file://" + path + "\n" + bearerLogin + `extension_tenant="blue";`)
	if err != nil || !strings.Contains(got, "auth=Bearer from.file.x\x01") || !strings.Contains(got, "tenant=blue") {
		t.Errorf("%q, %v", got, err)
	}
	got, err = first("sasl.oauthbearer.token.endpoint.url=" + server.URL + "\n" + bearerLogin + `clientId="me" clientSecret="hush-hush" scope="kafka";`)
	if err != nil || !strings.Contains(got, "auth=Bearer from.endpoint.x\x01") {
		t.Errorf("%q, %v", got, err)
	}
	_, err = first("sasl.oauthbearer.token.endpoint.url=" + server.URL + "\n" + bearerLogin + `clientId="you" clientSecret="hush-hush";`)
	if err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "hush-hush") {
		t.Errorf("%v", err)
	}
	for encode, want := range map[string]string{"": "for.you+me.x", "sasl.oauthbearer.header.urlencode=true\n": "for.you%2Bme.x"} {
		got, err = first(encode + "sasl.oauthbearer.token.endpoint.url=" + server.URL + "\n" + bearerLogin + `clientId="you+me" clientSecret="=/";`)
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v", encode, got, err)
		}
	}
	// An issuer whose certificate only the login module's trust store vouches for.
	private := httptest.NewTLSServer(server.Config.Handler)
	defer private.Close()
	trust := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trust, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: private.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := "sasl.oauthbearer.token.endpoint.url=" + private.URL + "\n" + bearerLogin + `clientId="me" clientSecret="hush-hush" scope="kafka"`
	got, err = first(ask + ` ssl.truststore.type="PEM" ssl.truststore.location="` + trust + `";`)
	if err != nil || !strings.Contains(got, "auth=Bearer from.endpoint.x\x01") {
		t.Errorf("%q, %v", got, err)
	}
	if _, err = first(ask + ";"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an issuer that nobody vouches for: %v", err)
	}
	got, err = first(bearerLogin + `unsecuredLoginStringClaim_sub="alice";`)
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(got+"..", ".")[1])
	if err != nil || !strings.Contains(string(payload), `"sub":"alice"`) {
		t.Errorf("%q, %v", got, err)
	}
}
