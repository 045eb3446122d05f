package broker_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/server"
)

const krb5Conf = `[libdefaults]
 default_realm = TEST.BARNABAS
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 TEST.BARNABAS = {
  kdc = %s
 }
[domain_realm]
 localhost = TEST.BARNABAS
`

const kdcConf = `[kdcdefaults]
 kdc_listen = ""
 kdc_tcp_listen = %s
[realms]
 TEST.BARNABAS = {
  database_name = %s/principal
  key_stash_file = %[2]s/stash
  supported_enctypes = aes256-cts:normal
 }
`

// MIT's KDC, librdkafka with cyrus-sasl, and a principal that a rule has made.
func TestAKerberosTicketIsAPrincipal(t *testing.T) {
	for _, program := range []string{"krb5kdc", "kdb5_util", "kadmin.local", "kinit", "kcat"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED, NOT TESTED: %s is not installed", program)
		}
	}
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	conf := filepath.Join(dir, "krb5.conf")
	for path, text := range map[string]string{conf: fmt.Sprintf(krb5Conf, address), filepath.Join(dir, "kdc.conf"): fmt.Sprintf(kdcConf, address, dir)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := append(os.Environ(), "KRB5_CONFIG="+conf, "KRB5_KDC_PROFILE="+filepath.Join(dir, "kdc.conf"), "KRB5CCNAME=FILE:"+filepath.Join(dir, "cc"))
	run := func(input, program string, args ...string) (string, error) {
		cmd := exec.Command(program, args...)
		cmd.Env, cmd.Stdin = env, strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(input, program string, args ...string) {
		t.Helper()
		if out, err := run(input, program, args...); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
	}
	must("", "kdb5_util", "create", "-s", "-r", "TEST.BARNABAS", "-P", "master")
	kdc := exec.Command("krb5kdc", "-n", "-r", "TEST.BARNABAS")
	kdc.Env = env
	if err := kdc.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kdc.Process.Kill(); kdc.Wait() })
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	keytab := filepath.Join(dir, "keytab")
	must("", "kadmin.local", "-r", "TEST.BARNABAS", "addprinc", "-randkey", "kafka/localhost")
	must("", "kadmin.local", "-r", "TEST.BARNABAS", "addprinc", "-pw", "secret", "alice")
	must("", "kadmin.local", "-r", "TEST.BARNABAS", "ktadd", "-k", keytab, "kafka/localhost")

	c, err := config.Load(config.Options{SecureListeners: true, Environ: []string{"KAFKA_OPTS=-Djava.security.krb5.conf=" + conf},
		Overrides: saslOptions("SASL_PLAINTEXT", "sasl.enabled.mechanisms=GSSAPI,PLAIN", "log.dirs="+t.TempDir(), "barnabas.admin.listener=",
			"listeners=SASL_PLAINTEXT://localhost:0", "listener.name.sasl_plaintext.gssapi.sasl.jaas.config="+
				`com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab="`+keytab+`" principal="kafka/localhost@TEST.BARNABAS";`)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(t.Context(), server.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	_, port, _ := net.SplitHostPort(s.Broker().Addresses()["SASL_PLAINTEXT"])
	kcat := func(input string, args ...string) (string, error) {
		return run(input, "kcat", append([]string{"-b", "localhost:" + port, "-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanisms=GSSAPI",
			"-X", "sasl.kerberos.service.name=kafka", "-X", "sasl.kerberos.kinit.cmd=true"}, args...)...)
	}
	if out, err := kcat("", "-L", "-m", "2"); err == nil {
		t.Fatalf("without a ticket: got in\n%s", out)
	}
	must("secret\n", "kinit", "alice")
	if out, err := kcat("one record\n", "-P", "-t", "by-alice", "-X", "message.timeout.ms=15000"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := kcat("", "-C", "-t", "by-alice", "-e", "-o", "beginning"); err != nil || !strings.Contains(out, "one record") {
		t.Fatalf("%v\n%s", err, out)
	}
}
