package bearer

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// With BARNABAS_KAFKA_LIBS, the folder of the jars of Apache Kafka 3.9, Kafka's own
// validator judges the same tokens.
func TestKafkaJudgesAlike(t *testing.T) {
	libs := os.Getenv("BARNABAS_KAFKA_LIBS")
	if libs == "" {
		t.Skip("BARNABAS_KAFKA_LIBS does not name a folder with Apache Kafka's jars")
	}
	now := time.Now().Unix() // Kafka's clock is not ours to set
	claims := func(change map[string]any) map[string]any {
		c := goodClaims(map[string]any{"iat": now - 60, "exp": now + 3600})
		maps.Copy(c, change)
		maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
		return c
	}
	r := testSigners()["RSA"]
	rs := func(change map[string]any) string { return r.token("RS256", nil, claims(change)) }
	type tokenCase struct{ name, token string }
	cases := []tokenCase{
		{"good", rs(nil)},
		{"exp with a fraction", rs(map[string]any{"exp": float64(now) + 100.5})},
		{"no iat", rs(map[string]any{"iat": nil})},
		{"iat ahead", rs(map[string]any{"iat": now + 600})},
		{"iat behind exp", rs(map[string]any{"iat": now + 7200})},
		{"no exp", rs(map[string]any{"exp": nil})},
		{"just expired", rs(map[string]any{"exp": now - 20})},
		{"expired", rs(map[string]any{"exp": now - 40})},
		{"nbf near", rs(map[string]any{"nbf": now + 20})},
		{"nbf ahead", rs(map[string]any{"nbf": now + 60})},
		{"nbf behind exp", rs(map[string]any{"nbf": now + 9000})},
		{"no sub", rs(map[string]any{"sub": nil})},
		{"blank sub", rs(map[string]any{"sub": " "})},
		{"padded sub", rs(map[string]any{"sub": " alice "})},
		{"sub of a number", rs(map[string]any{"sub": 7})},
		{"no scope", rs(map[string]any{"scope": nil})},
		{"scopes in a list", rs(map[string]any{"scope": []string{"a", "b"}})},
		{"another issuer", rs(map[string]any{"iss": "x"})},
		{"no issuer", rs(map[string]any{"iss": nil})},
		{"another audience", rs(map[string]any{"aud": "x"})},
		{"no audience", rs(map[string]any{"aud": nil})},
		{"several audiences", rs(map[string]any{"aud": []string{"x", "kafka"}})},
		{"no key id", r.token("RS256", map[string]any{"kid": nil}, claims(nil))},
		{"unknown key id", signer{"x", r.key}.token("RS256", nil, claims(nil))},
		{"critical extension", r.token("RS256", map[string]any{"crit": []string{"x"}, "x": 1}, claims(nil))},
		{"unsigned", enc([]byte(`{"alg":"none"}`)) + "." + strings.Split(rs(nil), ".")[1] + "."},
		{"changed", strings.Replace(rs(nil), ".", ".e30", 1)},
	}
	for _, alg := range slices.Sorted(maps.Keys(algorithms)) {
		s := r
		if algorithms[alg].kind != "RSA" {
			s = testSigners()[algorithms[alg].curve]
		}
		cases = append(cases, tokenCase{alg, s.token(alg, nil, claims(nil))})
	}
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, jwks(slices.Collect(maps.Values(testSigners()))...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, configured := range []struct{ audience, issuer string }{{"other,kafka", "https://issuer"}, {"", ""}} {
		args := []string{"-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", libs + "/*", "testdata/Validate.java", path, configured.audience, configured.issuer}
		for _, c := range cases {
			args = append(args, c.token)
		}
		out, err := exec.Command("java", args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		v, _ := testValidator(t, func(o *Options) {
			o.Now = time.Now
			if configured.issuer == "" {
				o.Issuer, o.Audience, o.AnyIssuer, o.AnyAudience = "", nil, true, true
			}
		})
		for i, c := range cases {
			ours := "bad"
			got, err := v.ValidateBearer(c.token)
			if err == nil {
				ours = fmt.Sprintf("good %s %d", got.Principal, got.ExpiresAt.UnixMilli())
			}
			if kafkas := lines[i]; ours != kafkas && !(ours == "bad" && strings.HasPrefix(kafkas, "bad")) {
				t.Errorf("issuer %q, %s: ours is %s (%v), Kafka's %.300s", configured.issuer, c.name, ours, err, kafkas)
			}
		}
	}
}
