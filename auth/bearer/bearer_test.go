package bearer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

var testNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func enc(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signer is an issuer's private key.
type signer struct {
	id  string
	key crypto.Signer
}

var testSigners = sync.OnceValue(func() map[string]signer {
	out := make(map[string]signer)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	out["RSA"] = signer{"rsa-1", r}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err)
		}
		out[name] = signer{name, k}
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	out["Ed25519"] = signer{"ed", e}
	return out
})

// jwks writes the public keys as a key set.
func jwks(signers ...signer) []byte {
	var keys []map[string]string
	for _, s := range signers {
		switch k := s.key.Public().(type) {
		case *rsa.PublicKey:
			keys = append(keys, map[string]string{"kty": "RSA", "kid": s.id, "use": "sig", "n": enc(k.N.Bytes()), "e": enc([]byte{1, 0, 1})})
		case *ecdsa.PublicKey:
			point, err := k.Bytes()
			if err != nil {
				panic(err)
			}
			size := (len(point) - 1) / 2
			keys = append(keys, map[string]string{"kty": "EC", "kid": s.id, "crv": k.Curve.Params().Name, "x": enc(point[1 : 1+size]), "y": enc(point[1+size:])})
		case ed25519.PublicKey:
			keys = append(keys, map[string]string{"kty": "OKP", "kid": s.id, "crv": "Ed25519", "x": enc(k)})
		}
	}
	b, _ := json.Marshal(map[string]any{"keys": keys})
	return b
}

func (s signer) sign(alg string, signed []byte) []byte {
	a := algorithms[alg]
	switch k := s.key.(type) {
	case *rsa.PrivateKey:
		var opts crypto.SignerOpts = a.hash
		if strings.HasPrefix(alg, "PS") {
			opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash}
		}
		b, err := k.Sign(rand.Reader, a.digest(signed), opts)
		if err != nil {
			panic(err)
		}
		return b
	case *ecdsa.PrivateKey:
		r, sig, err := ecdsa.Sign(rand.Reader, k, a.digest(signed))
		if err != nil {
			panic(err)
		}
		size := (k.Curve.Params().BitSize + 7) / 8
		out := make([]byte, 2*size)
		r.FillBytes(out[:size])
		sig.FillBytes(out[size:])
		return out
	case ed25519.PrivateKey:
		return ed25519.Sign(k, signed)
	}
	panic("no such key")
}

// make makes a token; header and claims may be changed.
func (s signer) token(alg string, header, claims map[string]any) string {
	h := map[string]any{"alg": alg, "kid": s.id, "typ": "JWT"}
	maps.Copy(h, header)
	maps.DeleteFunc(h, func(_ string, v any) bool { return v == nil })
	hb, _ := json.Marshal(h)
	cb, _ := json.Marshal(claims)
	signed := enc(hb) + "." + enc(cb)
	return signed + "." + enc(s.sign(alg, []byte(signed)))
}

func goodClaims(change map[string]any) map[string]any {
	c := map[string]any{
		"iss": "https://issuer", "aud": "kafka", "sub": "alice", "scope": "read write",
		"iat": testNow.Unix() - 60, "exp": testNow.Unix() + 3600,
	}
	maps.Copy(c, change)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// fixedKeys is a Keys that never changes.
type fixedKeys struct {
	set    *KeySet
	missed []string
}

func (f *fixedKeys) KeySet() *KeySet      { return f.set }
func (f *fixedKeys) Missing(keyID string) { f.missed = append(f.missed, keyID) }

func testValidator(t testing.TB, change func(*Options)) (*Validator, *fixedKeys) {
	t.Helper()
	set, err := ParseKeySet(jwks(slices.Collect(maps.Values(testSigners()))...))
	if err != nil {
		t.Fatal(err)
	}
	keys := &fixedKeys{set: set}
	o := Options{Keys: keys, Issuer: "https://issuer", Audience: []string{"other", "kafka"}, Now: func() time.Time { return testNow }}
	if change != nil {
		change(&o)
	}
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v, keys
}

func TestEveryAlgorithm(t *testing.T) {
	v, _ := testValidator(t, nil)
	for alg, a := range algorithms {
		s := testSigners()["RSA"]
		if a.kind != "RSA" {
			s = testSigners()[a.curve]
		}
		token := s.token(alg, nil, goodClaims(nil))
		got, err := v.ValidateBearer(token)
		if err != nil || got.Principal != "alice" || got.ExpiresAt.Unix() != testNow.Unix()+3600 || !slices.Equal(got.Scope, []string{"read", "write"}) {
			t.Errorf("%s: %+v, %v", alg, got, err)
		}
		// Neither another key of the same kind, nor a changed token.
		other := s
		other.id = "another"
		if _, err := v.ValidateBearer(other.token(alg, nil, goodClaims(nil))); err == nil {
			t.Errorf("%s: an unknown key id was accepted", alg)
		}
		for _, at := range []int{strings.IndexByte(token, '.') + 5, len(token) - 5} {
			bad := []byte(token)
			bad[at] ^= 1
			if _, err := v.ValidateBearer(string(bad)); err == nil {
				t.Errorf("%s: a changed token was accepted", alg)
			}
		}
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	rsaSigner, p256 := testSigners()["RSA"], testSigners()["P-256"]
	foreignKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	foreign := signer{"rsa-1", foreignKey}
	v, _ := testValidator(t, nil)
	now := testNow.Unix()
	good := rsaSigner.token("RS256", nil, goodClaims(nil))
	claims := func(change map[string]any) string { return rsaSigner.token("RS256", nil, goodClaims(change)) }
	parts := strings.Split(good, ".")
	unsigned := enc([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."

	// A public key as the secret of an HMAC, the oldest trick of all.
	hs := enc([]byte(`{"alg":"HS256","kid":"rsa-1"}`)) + "." + parts[1]
	mac := hmac.New(sha256.New, rsaSigner.key.Public().(*rsa.PublicKey).N.Bytes())
	mac.Write([]byte(hs))
	hs += "." + enc(mac.Sum(nil))

	for name, token := range map[string]string{
		"by somebody else's key (CVE-2026-33557)": foreign.token("RS256", nil, goodClaims(nil)),
		"unsigned":                    unsigned,
		"unsigned, in capitals":       enc([]byte(`{"alg":"NONE"}`)) + "." + parts[1] + ".",
		"unsigned with a signature":   unsigned + parts[2],
		"signature left out":          parts[0] + "." + parts[1] + ".",
		"HMAC with the public key":    hs,
		"key of another kind":         p256.token("ES256", map[string]any{"kid": "rsa-1"}, goodClaims(nil)),
		"algorithm of another curve":  p256.token("ES384", nil, goodClaims(nil)),
		"critical extension":          rsaSigner.token("RS256", map[string]any{"crit": []string{"x"}}, goodClaims(nil)),
		"no exp":                      claims(map[string]any{"exp": nil}),
		"exp in words":                claims(map[string]any{"exp": "tomorrow"}),
		"exp as text":                 claims(map[string]any{"exp": fmt.Sprint(now + 60)}),
		"exp negative":                claims(map[string]any{"exp": -1}),
		"exp huge":                    claims(map[string]any{"exp": 1e300}),
		"expired":                     claims(map[string]any{"exp": now - 30}),
		"no iat":                      claims(map[string]any{"iat": nil}),
		"iat behind exp":              claims(map[string]any{"iat": now + 7200}),
		"nbf in the future":           claims(map[string]any{"nbf": now + 31}),
		"nbf in words":                claims(map[string]any{"nbf": "x"}),
		"no sub":                      claims(map[string]any{"sub": nil}),
		"blank sub":                   claims(map[string]any{"sub": "  "}),
		"sub with a line end":         claims(map[string]any{"sub": "a\nb"}),
		"sub of a number":             claims(map[string]any{"sub": 7}),
		"another issuer":              claims(map[string]any{"iss": "https://issuer/"}),
		"no issuer":                   claims(map[string]any{"iss": nil}),
		"issuer in a list":            claims(map[string]any{"iss": []string{"https://issuer"}}),
		"another audience":            claims(map[string]any{"aud": "kafkaesque"}),
		"no audience":                 claims(map[string]any{"aud": nil}),
		"audience of numbers":         claims(map[string]any{"aud": []int{1}}),
		"scope of numbers":            claims(map[string]any{"scope": 5}),
		"nothing":                     "",
		"dots":                        strings.Repeat(".", 10_000),
		"four parts":                  good + ".x",
		"five parts, as if encrypted": good + ".x.y",
		"padding":                     good + "=",
		"a line end":                  good + "\n",
		"too long":                    good + strings.Repeat("a", tokenMaxBytes),
		"a header of garbage":         "x" + good,
		"two values in the payload":   enc([]byte(`{"alg":"RS256"}`)) + "." + enc([]byte(`{}{}`)) + "." + parts[2],
		"a payload that is null":      enc([]byte(`{"alg":"RS256"}`)) + "." + enc([]byte(`null`)) + "." + parts[2],
	} {
		if got, err := v.ValidateBearer(token); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestTokensThatAreGood(t *testing.T) {
	s := testSigners()["RSA"]
	now := testNow.Unix()
	v, _ := testValidator(t, nil)
	for name, token := range map[string]string{
		"without key id":            s.token("RS256", map[string]any{"kid": nil}, goodClaims(nil)),
		"just expired":              s.token("RS256", nil, goodClaims(map[string]any{"exp": now - 29})),
		"about to begin":            s.token("RS256", nil, goodClaims(map[string]any{"nbf": now + 30})),
		"with a fraction":           s.token("RS256", nil, goodClaims(map[string]any{"exp": float64(now) + 10.5})),
		"for several":               s.token("RS256", nil, goodClaims(map[string]any{"aud": []string{"x", "kafka"}})),
		"without scope":             s.token("RS256", nil, goodClaims(map[string]any{"scope": nil})),
		"with scopes in a list":     s.token("RS256", nil, goodClaims(map[string]any{"scope": []string{"a", "b c"}})),
		"with unknown header names": s.token("RS256", map[string]any{"jku": "https://evil", "x5c": []string{"x"}}, goodClaims(nil)),
	} {
		if _, err := v.ValidateBearer(token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	v, _ = testValidator(t, func(o *Options) { o.SubClaim, o.ScopeClaim = "azp", "scp" })
	got, err := v.ValidateBearer(s.token("RS256", nil, goodClaims(map[string]any{"azp": "app", "scp": []string{"a"}})))
	if err != nil || got.Principal != "app" || !slices.Equal(got.Scope, []string{"a"}) {
		t.Errorf("%+v, %v", got, err)
	}
	v, _ = testValidator(t, func(o *Options) { o.Issuer, o.AnyIssuer, o.Audience, o.AnyAudience = "", true, nil, true })
	if _, err := v.ValidateBearer(s.token("RS256", nil, goodClaims(map[string]any{"aud": nil, "iss": nil}))); err != nil {
		t.Error(err)
	}
	if _, err := v.ValidateBearer(s.token("RS256", nil, goodClaims(nil))); err == nil {
		t.Error("a token for somebody was accepted where nobody says who we are")
	}
}

// A subject loses the blanks at its ends that it loses on Kafka, and no others: somebody who
// could register with a no-break space behind another's name would be that other.
func TestOnlyBlanksOfASCIIAreTakenOffASubject(t *testing.T) {
	s := testSigners()["RSA"]
	v, _ := testValidator(t, nil)
	for sub, want := range map[string]string{
		" alice ": "alice", "alice\u00a0": "alice\u00a0", "\u2003alice": "\u2003alice", "\u3000alice": "\u3000alice", "\u2028alice": "\u2028alice",
	} {
		got, err := v.ValidateBearer(s.token("RS256", nil, goodClaims(map[string]any{"sub": sub})))
		if err == nil && got.Principal != want {
			t.Errorf("%q is %q", sub, got.Principal)
		}
		if err != nil {
			t.Errorf("%q: %v", sub, err)
		}
	}
}

func TestWhatWouldLeaveTokensUncheckedHasToBeAllowed(t *testing.T) {
	keys := &fixedKeys{}
	for _, o := range []Options{
		{Issuer: "i", Audience: []string{"a"}},
		{Keys: keys, Audience: []string{"a"}},
		{Keys: keys, Issuer: "i"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	v, err := New(Options{Keys: keys, Issuer: "i", Audience: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.ValidateBearer(testSigners()["RSA"].token("RS256", nil, goodClaims(nil))); err == nil || len(keys.missed) != 1 {
		t.Errorf("without keys: %v, asked for %v", err, keys.missed)
	}
}

func TestParseKeySet(t *testing.T) {
	all := slices.Collect(maps.Values(testSigners()))
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	for _, tt := range []struct {
		name string
		text string
		keys int // -1: refused
	}{
		{"all kinds", string(jwks(all...)), 5},
		{"none", `{"keys":[]}`, -1},
		{"no JSON", `<html>`, -1},
		{"a list", `[]`, -1},
		{"only a symmetric one", `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, -1},
		{"a symmetric one beside", `{"keys":[{"kty":"oct","k":"c2VjcmV0"},` + string(jwks(testSigners()["Ed25519"])[9:]), 1},
		{"only for encryption", strings.ReplaceAll(string(jwks(testSigners()["RSA"])), `"sig"`, `"enc"`), -1},
		{"for nothing", strings.ReplaceAll(string(jwks(testSigners()["RSA"])), `"sig"`, `""`), -1},
		{"only to sign", strings.ReplaceAll(string(jwks(testSigners()["RSA"])), `"use":"sig"`, `"key_ops":["sign","encrypt"]`), -1},
		{"for no operation", strings.ReplaceAll(string(jwks(testSigners()["RSA"])), `"use":"sig"`, `"key_ops":[]`), -1},
		{"operations that are no list", strings.ReplaceAll(string(jwks(testSigners()["RSA"])), `"use":"sig"`, `"key_ops":"verify"`), -1},
		{"to verify, too", strings.ReplaceAll(string(jwks(testSigners()["RSA"])), `"use":"sig"`, `"key_ops":["sign","verify"]`), 1},
		{"to verify, but for encryption", strings.ReplaceAll(string(jwks(testSigners()["RSA"])), `"use":"sig"`, `"use":"enc","key_ops":["verify"]`), -1},
		{"for a use that is not told", strings.ReplaceAll(string(jwks(testSigners()["RSA"])), `"use":"sig"`, `"use":null,"key_ops":null`), 1},
		{"an unknown curve", `{"keys":[{"kty":"EC","crv":"secp256k1","x":"AQ","y":"AQ"}]}`, -1},
		{"a point off the curve", `{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}]}`, -1},
		{"1024 bits", string(jwks(signer{"small", small})), -1},
		{"1024 bits beside", string(jwks(signer{"small", small}, testSigners()["RSA"])), 1},
		{"an exponent out of range beside", `{"keys":[{"kty":"RSA","n":"AQ","e":"____________"},` + string(jwks(testSigners()["RSA"])[9:]), 1},
		{"a point off the curve beside", `{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"},` + string(jwks(testSigners()["RSA"])[9:]), 1},
		{"too many", `{"keys":[` + strings.Repeat(`{},`, 100) + `{}]}`, -1},
		{"too long", string(jwks(all...)) + strings.Repeat(" ", keySetMaxBytes), -1},
	} {
		set, err := ParseKeySet([]byte(tt.text))
		if tt.keys < 0 && err == nil || tt.keys >= 0 && (err != nil || len(set.keys) != tt.keys) {
			t.Errorf("%s: %+v, %v", tt.name, set, err)
		}
	}
}

func TestUnsecured(t *testing.T) {
	now := testNow.Unix()
	make := func(header, claims string) string { return enc([]byte(header)) + "." + enc([]byte(claims)) + "." }
	u := Unsecured{Now: func() time.Time { return testNow }}
	for _, tt := range []struct {
		token string
		ok    bool
	}{
		{make(`{"alg":"none"}`, fmt.Sprintf(`{"sub":"alice","exp":%d}`, now+1)), true},
		{make(`{"alg":"none"}`, fmt.Sprintf(`{"sub":"alice","exp":%d.5,"iat":%d}`, now+1, now)), true},
		{make(`{"alg":"none"}`, fmt.Sprintf(`{"sub":"alice","exp":%d}`, now)), false},
		{make(`{"alg":"none"}`, `{"sub":"alice"}`), false},
		{make(`{"alg":"none"}`, fmt.Sprintf(`{"sub":"alice","exp":%d,"iat":%d}`, now+9, now+1)), false},
		{make(`{"alg":"none"}`, fmt.Sprintf(`{"exp":%d}`, now+1)), false},
		{make(`{"alg":"RS256"}`, fmt.Sprintf(`{"sub":"alice","exp":%d}`, now+1)), false},
		{make(`{"alg":"none"}`, fmt.Sprintf(`{"sub":"alice","exp":%d}`, now+1)) + "eA", false},
	} {
		got, err := u.ValidateBearer(tt.token)
		if (err == nil) != tt.ok || tt.ok && got.Principal != "alice" {
			t.Errorf("%s: %+v, %v", tt.token, got, err)
		}
	}
	u.RequiredScope = []string{"a", "b"}
	_, err := u.ValidateBearer(make(`{"alg":"none"}`, fmt.Sprintf(`{"sub":"alice","scope":"a c","exp":%d}`, now+1)))
	var told *auth.BearerError
	if !errors.As(err, &told) || told.Status != "insufficient_scope" || told.Scope != "a b" {
		t.Errorf("%v", err)
	}
}

// transport answers without a network.
type transport struct {
	mu    sync.Mutex
	calls int
	body  []byte
	err   error
}

func (tr *transport) set(body []byte, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.body, tr.err = body, err
}

func (tr *transport) count() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.calls
}

func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.calls++
	if tr.err != nil {
		return nil, tr.err
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(tr.body)), Request: r}, nil
}

func TestKeysOutliveOutages(t *testing.T) {
	rsaSigner, ed := testSigners()["RSA"], testSigners()["Ed25519"]
	synctest.Test(t, func(t *testing.T) {
		tr := &transport{}
		var log bytes.Buffer
		s, err := NewKeySource(SourceOptions{URL: "https://issuer/jwks", Transport: tr, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		tr.set(nil, errors.New("down"))
		if err := s.Load(t.Context()); err == nil || s.KeySet() != nil || !s.Fetched().IsZero() {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		// 0.1 + 0.2 + ... + 6.4 s, then every 10 s.
		if n := tr.count(); n < 10 || n > 15 {
			t.Fatalf("%d tries in a minute", n)
		}
		tr.set(jwks(rsaSigner), nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s.KeySet() == nil || !s.KeySet().hasKey("rsa-1") {
			t.Fatal("no keys after the outage")
		}

		before := tr.count()
		tr.set(nil, errors.New("down again"))
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if !s.KeySet().hasKey("rsa-1") || tr.count() == before {
			t.Fatal("the keys did not outlive the outage, or nobody tried")
		}
		tr.set([]byte("<html>sorry</html>"), nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !s.KeySet().hasKey("rsa-1") {
			t.Fatal("nonsense replaced the keys")
		}
		tr.set(jwks(ed), nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s.KeySet().hasKey("rsa-1") || !s.KeySet().hasKey("ed") {
			t.Fatal("the new keys did not come")
		}
		if strings.Contains(log.String(), "sorry") {
			t.Fatalf("what the endpoint said is in the log:\n%s", log.String())
		}
		cancel()
		<-done
	})
}

func TestUnknownKeyIDsRefreshSeldom(t *testing.T) {
	rsaSigner, ed := testSigners()["RSA"], testSigners()["Ed25519"]
	synctest.Test(t, func(t *testing.T) {
		tr := &transport{body: jwks(rsaSigner)}
		s, err := NewKeySource(SourceOptions{URL: "https://issuer/jwks", Transport: tr})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.Run(ctx) }()
		v, err := New(Options{Keys: s, AnyIssuer: true, Audience: []string{"kafka"}})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().Unix()
		claims := goodClaims(map[string]any{"iat": now, "exp": now + 100_000})
		// The issuer rolls its key over.
		tr.set(jwks(rsaSigner, ed), nil)
		if _, err := v.ValidateBearer(ed.token("EdDSA", nil, claims)); err == nil {
			t.Fatal("the key is there already")
		}
		synctest.Wait()
		if _, err := v.ValidateBearer(ed.token("EdDSA", nil, claims)); err != nil {
			t.Fatal(err)
		}
		// Somebody makes ids up.
		before := tr.count()
		for i := range 10_000 {
			s.Missing(fmt.Sprint(i))
			s.Missing("same")
			s.Missing(strings.Repeat("x", 2000))
			time.Sleep(12 * time.Millisecond) // two minutes in all
		}
		synctest.Wait()
		if n := tr.count() - before; n < 1 || n > 12 {
			t.Fatalf("%d refreshes", n)
		}
		cancel()
		<-done
	})
}

func TestKeySourcesOfFilesAndServers(t *testing.T) {
	set := jwks(testSigners()["RSA"])
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		t.Fatal(err)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(set) }))
	defer other.Close()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/jwks":
			w.Write(set)
		case "/moved":
			http.Redirect(w, r, "/jwks", http.StatusFound)
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/large":
			w.Write(append(set, bytes.Repeat([]byte(" "), 2<<20)...))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	for _, tt := range []struct {
		url string
		ok  bool
	}{
		{"file://" + path, true},
		{"file://" + path + "x", false},
		{server.URL + "/jwks", true},
		{server.URL + "/moved", true},
		{server.URL + "/away", false},
		{server.URL + "/large", false},
		{server.URL + "/none", false},
		{other.URL, true}, // http, but on the loopback
		{"http://example.com/jwks", false},
		{"ftp://example.com/jwks", false},
		{"file://elsewhere/etc/passwd", false},
		{"jwks.json", false},
		{"", false},
		{"https:///x", false},
	} {
		s, err := NewKeySource(SourceOptions{URL: tt.url, Transport: server.Client().Transport})
		if err == nil {
			err = s.Load(t.Context())
		}
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.url, err)
		}
	}
}

func FuzzValidateBearer(f *testing.F) {
	v, _ := testValidator(f, nil)
	f.Add(testSigners()["P-256"].token("ES256", nil, goodClaims(nil)))
	f.Add("a.b.c")
	f.Add(enc([]byte(`{"alg":"none"}`)) + "." + enc([]byte(`{"sub":"a","exp":99999999999}`)) + ".")
	f.Fuzz(func(t *testing.T, text string) {
		defer fuzzcost.Bound(t, len(text), 64)()
		if got, err := v.ValidateBearer(text); err == nil && got.Principal != "alice" {
			t.Fatalf("%+v", got)
		}
		Unsecured{}.ValidateBearer(text)
	})
}

func FuzzParseKeySet(f *testing.F) {
	f.Add(jwks(slices.Collect(maps.Values(testSigners()))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		defer fuzzcost.Bound(t, len(data), 64)()
		if set, err := ParseKeySet(data); err == nil && len(set.keys) == 0 {
			t.Fatal("no keys and no error")
		}
	})
}
