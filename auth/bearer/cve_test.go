package bearer

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Apache's clients and brokers could be led to fetch tokens and keys from any URL, and
// showed what they found in their errors. Here the URL is the start's configuration alone,
// only https, a file or the loopback, never another place by redirection, and what came is
// in no error and no log.
func TestCVE_2025_27817_KeysComeFromOnePlaceAndAreNotShown(t *testing.T) {
	const content = "root:x:0:0:not a key set"
	path := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/error":
			http.Error(w, content, http.StatusInternalServerError)
		case "/redirect":
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
		default:
			w.Write([]byte(content))
		}
	}))
	defer s.Close()
	for _, url := range []string{"file://" + path, s.URL, s.URL + "/error", s.URL + "/redirect"} {
		var log bytes.Buffer
		source, err := NewKeySource(SourceOptions{URL: url, Transport: s.Client().Transport, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err == nil {
			err = source.Load(t.Context())
		}
		if err == nil || strings.Contains(err.Error(), "root") || strings.Contains(log.String(), "root") {
			t.Errorf("%s: %v, log %s", url, err, log.String())
		}
	}
	for _, url := range []string{"http://example.com/", "ldap://example.com/a", "gopher://x/", "jar:file:///x!/", "file://host/share", "//example.com/jwks"} {
		if _, err := NewKeySource(SourceOptions{URL: url}); err == nil {
			t.Errorf("%s was taken", url)
		}
	}
}

// Apache 4.1.0's default validator took tokens without looking at their signature.
func TestCVE_2026_33557_AHomeMadeTokenIsRefused(t *testing.T) {
	v, _ := testValidator(t, nil)
	rsa := testSigners()["RSA"]
	good := rsa.token("RS256", nil, goodClaims(nil))
	if _, err := v.ValidateBearer(good); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	none := enc([]byte(`{"alg":"none"}`))
	for name, token := range map[string]string{
		"without a signature":    parts[0] + "." + parts[1] + ".",
		"a signature of zeros":   parts[0] + "." + parts[1] + "." + enc(make([]byte, 256)),
		"algorithm none":         none + "." + parts[1] + ".",
		"none with a signature":  none + "." + parts[1] + "." + parts[2],
		"algorithm nOnE":         enc([]byte(`{"alg":"nOnE"}`)) + "." + parts[1] + ".",
		"no algorithm":           enc([]byte(`{}`)) + "." + parts[1] + ".",
		"two parts":              parts[0] + "." + parts[1],
		"other claims":           parts[0] + "." + enc([]byte(`{"sub":"admin","iss":"https://issuer","aud":"kafka","exp":9999999999}`)) + "." + parts[2],
		"HMAC by the public key": rsa.id + "." + parts[1] + "." + parts[2],
	} {
		if p, err := v.ValidateBearer(token); err == nil {
			t.Errorf("%s: let in as %v", name, p)
		}
	}
}

// Apache 4.1 and later checked no signature where no key set was configured.
func TestCVE_2026_110985_WithoutKeysThereIsNoMechanism(t *testing.T) {
	if _, err := New(Options{Issuer: "https://issuer", Audience: []string{"kafka"}}); err == nil {
		t.Error("a validator without keys was made")
	}
	v, keys := testValidator(t, nil)
	keys.set = nil // the source lost them
	if _, err := v.ValidateBearer(testSigners()["RSA"].token("RS256", nil, goodClaims(nil))); err == nil {
		t.Error("without keys a token was let in")
	}
}

// Pulsar took tokens whose header says that they are not signed.
func TestCVE_2021_22160_UnsignedTokensAreNoTokens(t *testing.T) {
	v, _ := testValidator(t, nil)
	for _, algorithm := range []string{"none", "None", "NONE", "", "HS256", "HS384", "HS512"} {
		header := enc([]byte(`{"alg":"` + algorithm + `","kid":"rsa-1"}`))
		token := header + "." + strings.Split(testSigners()["RSA"].token("RS256", nil, goodClaims(nil)), ".")[1] + "."
		if _, err := v.ValidateBearer(token); err == nil {
			t.Errorf("alg %q was let in", algorithm)
		}
	}
}

// golang-jwt split a token at all of its dots before it counted them.
func TestCVE_2025_30204_DotsCostNothing(t *testing.T) {
	v, _ := testValidator(t, nil)
	dots := strings.Repeat(".", 60<<10)
	if n := testing.AllocsPerRun(10, func() { v.ValidateBearer(dots) }); n > 20 {
		t.Errorf("%v allocations for a token of dots", n)
	}
}

// go-jose decompressed encrypted tokens without a bound, and split them at all dots.
func TestCVE_2024_28180_CVE_2025_27144_EncryptedTokensAreRefused(t *testing.T) {
	v, _ := testValidator(t, nil)
	header := enc([]byte(`{"alg":"RSA-OAEP","enc":"A256GCM","zip":"DEF"}`))
	for _, token := range []string{header + ".a.b.c.d", header + "....", header + "." + strings.Repeat("a.", 10_000)} {
		if _, err := v.ValidateBearer(token); err == nil {
			t.Error("an encrypted token was let in")
		}
	}
}

// A token's name is a principal as it stands, whatever it would mean elsewhere.
func TestTokensOfNobodyAndOfTheFuture(t *testing.T) {
	v, _ := testValidator(t, nil)
	for name, change := range map[string]map[string]any{
		"no subject":     {"sub": nil},
		"empty subject":  {"sub": ""},
		"number subject": {"sub": 7},
		"end of time":    {"exp": 1e300},
		"before time":    {"iat": -1e300},
		"text for times": {"exp": "tomorrow"},
		"end before now": {"exp": testNow.Add(-time.Hour).Unix()},
		"start after it": {"nbf": testNow.Add(time.Hour).Unix()},
	} {
		if p, err := v.ValidateBearer(testSigners()["RSA"].token("RS256", nil, goodClaims(change))); err == nil && name != "before time" && name != "end of time" {
			t.Errorf("%s: let in as %v", name, p)
		}
	}
}
