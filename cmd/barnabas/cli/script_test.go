package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/auth/tlsconf"
	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/cli"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"barnabas": func() {
			os.Exit(cli.Run(os.Args[1:], cli.Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}))
		},
	})
}

// TestScripts runs each script of testdata against a broker of its own, whose address is
// in BARNABAS_BOOTSTRAP and $BROKER.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			b := brokertest.Start(env.T().(testing.TB), "num.partitions=1")
			env.Setenv("BARNABAS_BOOTSTRAP", b.Address())
			env.Setenv("BROKER", b.Address())
			// The race detector has every program it is in sleep for a second at its end.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: scriptCommands(),
	})
}

// TestSecureScripts runs each script of testdata/secure against a broker with a listener of
// every kind, where User:admin may do everything and others what ACLs say. The addresses are
// in $PLAINTEXT, $SSL, $SASL_PLAINTEXT and $SASL_SSL; ca.pem, admin.properties and
// alice.properties are there.
func TestSecureScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/secure",
		Setup: func(env *testscript.Env) error {
			write := func(name, text string) string {
				path := filepath.Join(env.WorkDir, name)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					env.T().Fatal(err)
				}
				return path
			}
			ca, err := tlsconf.NewDevCA("test CA", nil)
			if err != nil {
				return err
			}
			server, err := ca.Issue(tlsconf.DevCertificate{CommonName: "broker", Hosts: []string{"127.0.0.1"}, Server: true})
			if err != nil {
				return err
			}
			client, err := ca.Issue(tlsconf.DevCertificate{CommonName: "carol", Client: true})
			if err != nil {
				return err
			}
			trust := write("ca.pem", string(ca.Certificate()))
			write("carol.pem", string(client.Joined()))
			options := []string{"num.partitions=1", "super.users=User:admin", "delegation.token.secret.key=a key of the test",
				"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
				"listeners=PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0,SASL_SSL://127.0.0.1:0",
				"ssl.keystore.type=PEM", "ssl.keystore.location=" + write("broker.pem", string(server.Joined())),
				"ssl.truststore.type=PEM", "ssl.truststore.location=" + trust, "ssl.client.auth=required",
				"ssl.principal.mapping.rules=RULE:^CN=([^,]*).*$/$1/",
				"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512", "connection.failed.authentication.delay.ms=0",
			}
			for _, listener := range []string{"sasl_plaintext", "sasl_ssl"} {
				options = append(options,
					"listener.name."+listener+`.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="admin-secret" user_alice="alice-secret";`,
					"listener.name."+listener+".scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
					"listener.name."+listener+".scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;")
			}
			b := brokertest.Start(env.T().(testing.TB), options...)
			for name, address := range b.Broker().Addresses() {
				env.Setenv(name, address)
			}
			properties := func(user string) string {
				return "bootstrap.servers=" + b.Broker().Addresses()["SASL_SSL"] + "\nsecurity.protocol=SASL_SSL\nssl.truststore.type=PEM\n" +
					"ssl.truststore.location=" + trust + "\nsasl.mechanism=PLAIN\nsasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule " +
					"required \\\n username=\"" + user + "\" password=\"" + user + "-secret\";\n"
			}
			write("admin.properties", properties("admin"))
			write("alice.properties", properties("alice"))
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: scriptCommands(),
	})
}

func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		// exits runs a command and checks its exit code: exits 3 barnabas consume ...
		"exits": func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) < 2 {
				ts.Fatalf("usage: exits code command...")
			}
			err := ts.Exec(args[1], args[2:]...)
			code := "0"
			if err != nil {
				code = strings.TrimPrefix(err.Error(), "exit status ")
			}
			if code != args[0] {
				ts.Fatalf("%s exited with %s, not %s", args[1], code, args[0])
			}
		},
	}
}
