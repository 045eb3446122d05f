//go:build unix

package tlsconf

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
)

// AlterConfigs may name anything; whoever opens a pipe that nobody writes to waits for ever.
func TestAlterDoesNotWaitForPipe(t *testing.T) {
	ca := mustCA(t, "ca")
	pair := mustIssue(t, ca, testServer)
	good := Options{KeystoreType: "PEM", KeystoreKey: auth.NewSecret(string(pair.Key)), KeystoreCertificateChain: auth.NewSecret(string(pair.Chain)),
		TruststoreType: "PEM", TruststoreCertificates: auth.NewSecret(string(ca.Certificate()))}
	s := mustServer(t, good)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{pipe, "/dev/zero"} {
		bad := good
		bad.TruststoreCertificates, bad.TruststoreLocation = auth.Secret{}, path
		if err := s.Check(bad); err == nil {
			t.Errorf("%s passes for a trust store", path)
		}
		if err := s.Alter(bad); err == nil {
			t.Errorf("%s was taken for a trust store", path)
		}
	}
}
