package tlsconf

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
)

func TestStoresOfTheDevCAAreReadByUsKeytoolAndOpenSSL(t *testing.T) {
	ca, err := NewDevCA("a CA", nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(DevCertificate{CommonName: "alice", Client: true})
	if err != nil {
		t.Fatal(err)
	}
	const password = "pass wörd"
	keys, err := pair.PKCS12("alice", password)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := TruststorePKCS12(ca.Certificate(), "ca", password)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseStore(keys, Passwords{Store: auth.NewSecret(password)})
	if err != nil || len(s.Keys) != 1 || s.Keys[0].Alias != "alice" || len(s.Keys[0].Chain) != 2 {
		t.Errorf("key store: %+v, %v", s, err)
	}
	s, err = ParseStore(trust, Passwords{Store: auth.NewSecret(password)})
	if err != nil || len(s.Trusted) != 1 || s.Trusted[0].Alias != "ca" {
		t.Errorf("trust store: %+v, %v", s, err)
	}
	if _, err := ParseStore(keys, Passwords{Store: auth.NewSecret("guess")}); err == nil {
		t.Error("a wrong password opens the store")
	}
	const plain = "changeit" // keytool's environment may not know the other letters
	if keys, err = pair.PKCS12("alice", plain); err != nil {
		t.Fatal(err)
	}
	if trust, err = TruststorePKCS12(ca.Certificate(), "ca", plain); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"keys.p12": keys, "trust.p12": trust, "alice.pem": pair.Joined(), "ca.pem": ca.Certificate()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ command, want string }{
		{"keytool -list -keystore keys.p12 -storepass changeit", "alice, "},
		{"keytool -list -keystore keys.p12 -storepass changeit", "PrivateKeyEntry"},
		{"keytool -list -keystore trust.p12 -storepass changeit", "trustedCertEntry"},
		{"keytool -printcert -file ca.pem", "CN=a CA"},
		{"openssl pkcs12 -in keys.p12 -passin pass:changeit -nodes", "BEGIN PRIVATE KEY"},
		{"openssl pkey -in alice.pem -noout -text", "256 bit"},
		{"openssl verify -CAfile ca.pem alice.pem", "alice.pem: OK"},
	} {
		words := strings.Fields(tt.command)
		if _, err := exec.LookPath(words[0]); err != nil {
			t.Logf("SKIPPED, NOT TESTED: %s is not installed", words[0])
			continue
		}
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v\n%s", tt.command, err, out)
		}
	}
}
