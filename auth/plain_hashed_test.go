package auth_test

import (
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
)

// pythonHash is what Python's hashlib.pbkdf2_hmac('sha256', b'open', b'salt salt', 10000) gives.
const pythonHash = "xd1BYd4kczBkNvuLOcWM47iq5Tsj9DWbtBLEJ/6hXFw="

func TestHashedPasswords(t *testing.T) {
	hashed, err := auth.HashPlainPassword("sesame", 10_000)
	if err != nil || !strings.HasPrefix(hashed, "{pbkdf2-sha512}10000$") {
		t.Fatal(hashed, err)
	}
	users, err := auth.ParsePlainUsers(map[string]string{"user_alice": hashed, "user_bob": "{plain", "user_carol": "{pbkdf2-sha256}10000$c2FsdCBzYWx0$" + pythonHash, "username": "{pbkdf2-sha512}"})
	if err != nil || users.Len() != 3 {
		t.Fatal(users, err)
	}
	for _, tt := range []struct {
		user, password string
		want           bool
	}{
		{"alice", "sesame", true}, {"alice", "sesame", true}, {"alice", "other", false}, {"alice", hashed, false},
		{"bob", "{plain", true}, {"bob", "sesame", false}, {"carol", "open", true}, {"dave", "sesame", false},
	} {
		if got := users.VerifyPlain(tt.user, []byte(tt.password)); got != tt.want {
			t.Errorf("%s with %q: %v", tt.user, tt.password, got)
		}
	}
	for _, text := range []string{"", "hush", "1$c2FsdCBzYWx0$" + pythonHash, "9999999$c2FsdCBzYWx0$" + pythonHash, "10000$hush!$" + pythonHash, "10000$c2FsdCBzYWx0$hush", "10000$$"} {
		if _, err := auth.ParsePlainUsers(map[string]string{"user_alice": "{pbkdf2-sha512}" + text}); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParsePlainUsers(f *testing.F) {
	f.Add("{pbkdf2-sha256}10000$c2FsdCBzYWx0$" + pythonHash)
	f.Add("{pbkdf2-sha512}10000$$")
	f.Fuzz(func(t *testing.T, text string) {
		if users, err := auth.ParsePlainUsers(map[string]string{"user_a": text}); err == nil && users.Len() != 1 && text != "" {
			t.Fatal(users.Len())
		}
	})
}
