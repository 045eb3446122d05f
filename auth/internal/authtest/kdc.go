package authtest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Realm is the realm of every KDC.
const Realm = "TEST.BARNABAS"

// KDC is MIT Kerberos' key distribution center on a port of the loopback.
type KDC struct {
	t   testing.TB
	Dir string
	env []string
}

// StartKDC starts one for the test. Without Debian's krb5-kdc, krb5-admin-server and
// krb5-user the test is skipped.
func StartKDC(t testing.TB) *KDC {
	t.Helper()
	for _, program := range []string{"krb5kdc", "kdb5_util", "kadmin.local", "kinit"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED, NOT TESTED: %s is not installed (packages krb5-kdc, krb5-admin-server, krb5-user)", program)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	k := &KDC{t: t, Dir: t.TempDir()}
	k.env = append(os.Environ(), "KRB5_CONFIG="+k.path("krb5.conf"), "KRB5_KDC_PROFILE="+k.path("kdc.conf"), "KRB5CCNAME=FILE:"+k.path("cc"))
	k.write("krb5.conf", fmt.Sprintf(`[libdefaults]
 default_realm = %[1]s
 dns_lookup_kdc = false
 dns_lookup_realm = false
 rdns = false
 dns_canonicalize_hostname = false
 udp_preference_limit = 1
[realms]
 %[1]s = {
  kdc = %[2]s
 }
[domain_realm]
 localhost = %[1]s
`, Realm, address))
	k.write("kdc.conf", fmt.Sprintf(`[kdcdefaults]
 kdc_listen = ""
 kdc_tcp_listen = %[2]s
[realms]
 %[1]s = {
  database_name = %[3]s/principal
  key_stash_file = %[3]s/stash
  supported_enctypes = aes256-cts:normal aes128-cts:normal aes256-sha2:normal aes128-sha2:normal
 }
`, Realm, address, k.Dir))
	k.Run("kdb5_util", "create", "-s", "-r", Realm, "-P", "master")
	var log bytes.Buffer
	cmd := exec.Command("krb5kdc", "-n", "-r", Realm)
	cmd.Env, cmd.Stdout, cmd.Stderr = k.env, &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return k
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("krb5kdc does not listen: %s", log.String())
	return nil
}

func (k *KDC) path(name string) string { return filepath.Join(k.Dir, name) }

func (k *KDC) write(name, text string) {
	if err := os.WriteFile(k.path(name), []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// Conf is the path of krb5.conf.
func (k *KDC) Conf() string { return k.path("krb5.conf") }

// Env is the environment in which clients find the KDC and a ticket cache.
func (k *KDC) Env() []string { return k.env }

// Run runs a program to its end, with the input lines on its standard input.
func (k *KDC) Run(program string, args ...string) string {
	k.t.Helper()
	return k.RunInput("", program, args...)
}

// RunInput is Run with a standard input.
func (k *KDC) RunInput(input, program string, args ...string) string {
	k.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stdin = k.env, strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		k.t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// AddUser adds a principal with a password; options are those of addprinc.
func (k *KDC) AddUser(principal, password string, options ...string) {
	k.t.Helper()
	k.Run("kadmin.local", "-r", Realm, "-q", fmt.Sprintf("addprinc %s -pw %s %s", strings.Join(options, " "), password, principal))
}

// AddService adds a principal with a random key and returns its key table.
func (k *KDC) AddService(principal string, options ...string) []byte {
	k.t.Helper()
	k.Run("kadmin.local", "-r", Realm, "-q", fmt.Sprintf("addprinc -randkey %s %s", strings.Join(options, " "), principal))
	return k.Keytab(principal)
}

// Keytab makes new keys for a principal and returns a key table of all that it has had.
func (k *KDC) Keytab(principal string) []byte {
	k.t.Helper()
	path := k.path(strings.NewReplacer("/", "_", "@", "_").Replace(principal) + ".keytab")
	k.Run("kadmin.local", "-r", Realm, "-q", fmt.Sprintf("ktadd -k %s %s", path, principal))
	data, err := os.ReadFile(path)
	if err != nil {
		k.t.Fatal(err)
	}
	return data
}

// Kinit puts a ticket of the user into the cache of Env.
func (k *KDC) Kinit(principal, password string) {
	k.t.Helper()
	k.RunInput(password+"\n", "kinit", principal)
}
