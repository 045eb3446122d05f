package tlsconf

import (
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parseChain(t testing.TB, text []byte) []*x509.Certificate {
	t.Helper()
	c, err := parsePEM(text, Passwords{})
	if err != nil {
		t.Fatal(err)
	}
	return c.certs
}

func passwords(store, key string) Passwords {
	return Passwords{Store: auth.NewSecret(store), Key: auth.NewSecret(key)}
}

// shown lists a store's content: keys with the names in their chains, then the trusted.
func shown(s *Store) string {
	var out []string
	for _, k := range s.Keys {
		text := k.Alias + ":"
		for _, c := range k.Chain {
			text += " " + c.Subject.CommonName
		}
		out = append(out, text)
	}
	for _, c := range s.Trusted {
		out = append(out, c.Alias+"! "+c.Certificate.Subject.CommonName)
	}
	return string(s.Format) + " " + strings.Join(out, ", ")
}

func TestStoresOfKeytoolAndOpenSSL(t *testing.T) {
	for _, tt := range []struct {
		file      string
		passwords Passwords
		want      string // "" is a refusal
	}{
		{"true.jks", passwords("password", "keypassword"), "JKS another: another, broker: broker, trusted! broker"},
		{"true.jks", passwords("password", ""), ""},
		{"true.jks", passwords("wrong", "keypassword"), ""},
		{"trust.jks", passwords("password", ""), "JKS broker! broker"},
		{"trust.jks", passwords("", ""), "JKS broker! broker"},
		{"trust.jks", passwords("wrong", ""), ""},
		{"default.jks", passwords("password", ""), "PKCS12 broker: default, zweiter: zweiter, trusted! broker"},
		{"default.jks", passwords("wrong", ""), ""},
		{"default.jks", passwords("", ""), ""},
		{"trust.p12", passwords("password", ""), "PKCS12 bröker! broker"},
		{"oldjava.p12", passwords("password", ""), "PKCS12 broker: oldjava"},
		{"openssl.p12", passwords("password", ""), "PKCS12 client: client test ca"},
		{"openssl.p12", passwords("wrong", ""), ""},
		{"legacy.p12", passwords("password", ""), "PKCS12 client: client test ca"},
		{"legacy2.p12", passwords("password", ""), "PKCS12 : client"},
		{"legacy.p12", passwords("wrong", ""), ""},
		{"bare.p12", passwords("", ""), "PKCS12 : client"},
		{"certsonly.p12", passwords("password", ""), ""},
		{"joined.pem", passwords("", "keypassword"), "PEM kafka: client test ca"},
		{"joined.pem", passwords("", "wrong"), ""},
		{"joined.pem", passwords("", ""), ""},
		{"chain.pem", passwords("", ""), "PEM kafka0! client, kafka1! test ca"},
		{"rsa.key.pem", passwords("", ""), ""},
		{"make.sh", passwords("", ""), ""},
	} {
		s, err := ParseStore(read(t, tt.file), tt.passwords)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%s was accepted: %s", tt.file, shown(s))
		case tt.want != "" && err != nil:
			t.Errorf("%s: %v", tt.file, err)
		case tt.want != "" && shown(s) != tt.want:
			t.Errorf("%s: %s %v, want %s", tt.file, shown(s), s.Skipped, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "password\"") {
			t.Errorf("%s: %v", tt.file, err)
		}
	}
}

func TestKeysInPEM(t *testing.T) {
	chain := read(t, "chain.pem")
	for _, tt := range []struct {
		file     string
		password string
		ok       bool
	}{
		{"rsa.key.pem", "", true},
		{"pkcs1.key.pem", "", true},
		{"encrypted.key.pem", "keypassword", true},
		{"des3.key.pem", "keypassword", true},
		{"v1.key.pem", "keypassword", true},
		{"encrypted.key.pem", "wrong", false},
		{"v1.key.pem", "wrong", false},
		{"oldway.key.pem", "keypassword", false},
	} {
		s, err := pemStore(slices.Concat(read(t, tt.file), chain), passwords("", tt.password))
		if (err == nil) != tt.ok || tt.ok && len(s.Keys) != 1 {
			t.Errorf("%s: %+v, %v", tt.file, s, err)
		}
	}
	// As it is after a properties file took its lines together.
	flat := strings.ReplaceAll(string(slices.Concat(read(t, "rsa.key.pem"), chain)), "\n", " ")
	if s, err := pemStore([]byte(flat), Passwords{}); err != nil || len(s.Keys) != 1 || len(s.Keys[0].Chain) != 2 {
		t.Errorf("flat: %+v, %v", s, err)
	}
	// With what openssl pkcs12 writes around.
	attributes := "Bag Attributes\n    friendlyName: client\nsubject=CN = x\n" + string(read(t, "rsa.key.pem")) + "Bag Attributes\n" + string(chain)
	if s, err := pemStore([]byte(attributes), Passwords{}); err != nil || len(s.Keys) != 1 {
		t.Errorf("with attributes: %+v, %v", s, err)
	}
	if _, err := pemStore(slices.Concat(read(t, "rsa.key.pem"), read(t, "rsa.key.pem"), chain), Passwords{}); err == nil {
		t.Error("two keys were accepted")
	}
	if s, err := pemStore(slices.Concat(read(t, "rsa.key.pem"), read(t, "broker.cert.pem")), Passwords{}); err == nil && len(s.Keys) > 0 {
		t.Error("a key was accepted with somebody else's certificate")
	}
}

func TestJCEKSIsNamed(t *testing.T) {
	if _, err := ParseStore([]byte{0xce, 0xce, 0xce, 0xce, 0, 0, 0, 2}, Passwords{}); err == nil || !strings.Contains(err.Error(), "JCEKS") {
		t.Fatal(err)
	}
}

func FuzzParseStore(f *testing.F) {
	for _, name := range []string{"true.jks", "trust.jks", "default.jks", "openssl.p12", "legacy.p12", "bare.p12", "joined.pem", "oldway.key.pem"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		defer fuzzcost.Bound(t, len(data), 64)()
		for _, p := range []Passwords{{}, passwords("password", "keypassword")} {
			if s, err := ParseStore(data, p); err == nil {
				for _, k := range s.Keys {
					if len(k.Chain) == 0 || k.Key == nil {
						t.Fatalf("%+v", k)
					}
				}
			}
		}
	})
}
