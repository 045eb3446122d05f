package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

const partTools = "Commands for ACLs, users and tokens, with each mechanism"

// toolClasses are Apache's commands, by the classes of 3.9 and of 4.x.
var toolClasses = map[string]string{
	"kafka-acls":              "kafka.admin.AclCommand",
	"kafka-configs":           "kafka.admin.ConfigCommand",
	"kafka-delegation-tokens": "org.apache.kafka.tools.DelegationTokenCommand",
}

var toolClasses4 = map[string]string{
	"kafka-acls":    "org.apache.kafka.tools.AclCommand",
	"kafka-configs": "kafka.admin.ConfigCommand",
}

// step is one command, and what it must print. ID and HMAC are those of the token that was
// made last.
type toolStep struct {
	tool string
	args []string
	want string // a regular expression
}

var ourSteps = []toolStep{
	{"acl", []string{"create", "--allow-principal", "User:tool-user", "--operation", "Read", "--topic", "tool-topic"}, `tool-topic +Literal +User:tool-user +Allow +Read`},
	{"acl", []string{"list", "--topic", "tool-topic"}, `User:tool-user +Allow +Read`},
	{"acl", []string{"explain", "User:tool-user", "Read", "topic:tool-topic"}, `allowed`},
	{"acl", []string{"delete", "--topic", "tool-topic", "--force"}, `User:tool-user`},
	{"user", []string{"create", "tool-user", "--generate"}, `created user tool-user`},
	{"user", []string{"password", "tool-user", "--generate"}, `password: `},
	{"user", []string{"list", "tool-user"}, `tool-user +SCRAM-SHA-512`},
	{"user", []string{"delete", "tool-user"}, `tool-user`},
	{"token", []string{"create", "--renewer", "User:tool-user"}, `created token (?P<id>\S+) of User:\S+\nhmac: (?P<hmac>\S+)`},
	{"token", []string{"list"}, `ID`},
	{"token", []string{"renew", "ID"}, `expires at`},
	{"token", []string{"expire", "ID"}, `gone`},
}

var apacheSteps = []toolStep{
	{"kafka-acls", []string{"--add", "--allow-principal", "User:tool-user", "--operation", "Read", "--topic", "tool-topic"}, `principal=User:tool-user, host=\*, operation=READ, permissionType=ALLOW`},
	{"kafka-acls", []string{"--remove", "--force", "--topic", "tool-topic"}, ``},
	{"kafka-configs", []string{"--alter", "--entity-type", "users", "--entity-name", "tool-user", "--add-config", "SCRAM-SHA-256=[iterations=4096,password=secret]"}, `Completed updating config for user tool-user`},
	{"kafka-configs", []string{"--alter", "--entity-type", "users", "--entity-name", "tool-user", "--delete-config", "SCRAM-SHA-256"}, `Completed updating config for user tool-user`},
	{"kafka-delegation-tokens", []string{"--create", "--max-life-time-period", "-1", "--renewer-principal", "User:tool-user"}, `(?m)^(?P<id>\S{22})\s+(?P<hmac>\S{88})\s+User:`},
	{"kafka-delegation-tokens", []string{"--renew", "--renew-time-period", "-1", "--hmac", "HMAC"}, `Completed renew`},
	{"kafka-delegation-tokens", []string{"--expire", "--expiry-time-period", "-1", "--hmac", "HMAC"}, `Completed expire`},
}

// login is who runs the commands: somebody who may.
type login struct {
	name     string
	listener string
	as       peers.Security
	apache   bool // its mechanism is tried with Apache's commands too
}

func (w *world) logins() []login {
	ticket := peers.Security{Mechanism: "GSSAPI", Krb5Conf: w.kdc.conf(), Principal: "krb-admin", Realm: realm}
	keytab, cache := ticket, ticket
	keytab.Keytab, cache.Tickets = w.kdc.keytab("krb-admin", realm), w.kdc.tickets("krb-admin", realm)
	bearer := peers.Security{Mechanism: "OAUTHBEARER", CA: w.keys.path("ca.pem"), User: "oauth-admin", Password: w.issuer.secret, TokenURL: w.issuer.url + "/token"}
	file := bearer
	file.TokenURL = "file://" + filepath.Join(w.dir, "token.jwt")
	var all []login
	for _, listener := range []string{listenerClear, listenerCrypt} {
		for _, l := range []login{
			{"PLAIN", listener, peers.Security{Mechanism: "PLAIN", User: "admin", Password: adminPassword}, false},
			{"GSSAPI, key table", listener, keytab, listener == listenerCrypt},
			{"GSSAPI, ticket cache", listener, cache, false},
			{"OAUTHBEARER, token endpoint", listener, bearer, listener == listenerCrypt},
			{"OAUTHBEARER, file", listener, file, false},
		} {
			if listener == listenerCrypt {
				l.as = w.tls(l.as, "", "PKCS12")
			}
			all = append(all, l)
		}
	}
	return all
}

// tools runs all commands, and each login once with what must not get in.
func (m *matrix) tools() {
	w := m.world
	if err := os.WriteFile(filepath.Join(w.dir, "token.jwt"), []byte(w.issuer.token("oauth-admin", nil)), 0o600); err != nil {
		m.check(partTools, "an access token", err)
		return
	}
	program, err := w.cache.Barnabas()
	if err != nil {
		m.check(partTools, "barnabas", err)
		return
	}
	for i, l := range w.logins() {
		over := l.name + map[string]string{listenerClear: ", plaintext", listenerCrypt: ", TLS"}[l.listener]
		file := filepath.Join(w.dir, fmt.Sprintf("tools-%d.properties", i))
		if err := writeProperties(file, l.as.JavaProperties()); err != nil {
			m.check(partTools, over, err)
			continue
		}
		env := append(l.env(), "BARNABAS_BOOTSTRAP="+w.addr[l.listener], "BARNABAS_COMMAND_CONFIG="+file)
		m.check(partTools, "barnabas acl, user, token: "+over, runSteps(ourSteps, func(s toolStep, args []string) (string, error) {
			return command(env, "", program, append([]string{s.tool}, args...)...)
		}))
		m.check(partTools, "barnabas topic list: "+over+", wrong: refused", w.wrongTool(l, program, file))
		if !l.apache {
			continue
		}
		for _, version := range []string{"3.9.2", "4.3.1"} {
			m.check(partTools, "kafka-acls, kafka-configs, kafka-delegation-tokens "+version+": "+over, w.apacheTools(version, l, file))
		}
	}
}

// env is what our commands read as Java's programs do.
func (l *login) env() []string {
	if l.as.Krb5Conf == "" {
		return nil
	}
	return []string{"KAFKA_OPTS=-Djava.security.krb5.conf=" + l.as.Krb5Conf}
}

// wrongTool is a command with what does not let it in.
func (w *world) wrongTool(l login, program, file string) error {
	as := l.as
	switch as.Mechanism {
	case "PLAIN":
		as.Password = "wrong"
	case "GSSAPI":
		as.Krb5Conf, as.Realm = w.kdc.confOf(otherRealm), otherRealm
		as.Principal = "krb-user"
		if as.Keytab != "" {
			as.Keytab = w.kdc.keytab("krb-user", otherRealm)
		} else {
			as.Tickets = w.kdc.tickets("krb-user", otherRealm)
		}
	case "OAUTHBEARER":
		if strings.HasPrefix(as.TokenURL, "file:") {
			path := filepath.Join(w.dir, "wrong-token.jwt")
			if err := os.WriteFile(path, []byte(sign(w.issuer.stranger, "RS256", w.issuer.claims("oauth-admin", nil))), 0o600); err != nil {
				return err
			}
			as.TokenURL = "file://" + path
		} else {
			as.TokenURL = w.issuer.url + "/token-of-another-key"
		}
	}
	l.as = as
	if err := writeProperties(file+".wrong", as.JavaProperties()); err != nil {
		return err
	}
	refusals := w.counter(refusedLogins)
	out, err := command(append(l.env(), "BARNABAS_BOOTSTRAP="+w.addr[l.listener], "BARNABAS_COMMAND_CONFIG="+file+".wrong"), "", program, "topic", "list")
	if err == nil {
		return fmt.Errorf("got in: %s", out)
	}
	if err := w.grown(refusedLogins, refusals); err != nil {
		return fmt.Errorf("%w; it said %s", err, out)
	}
	return nil
}

func (w *world) apacheTools(version string, l login, file string) error {
	libs, err := w.cache.Jars(version)
	if err != nil {
		return err
	}
	classPath, err := w.cache.ToolClassPath(libs)
	if err != nil {
		return err
	}
	return runSteps(apacheSteps, func(s toolStep, args []string) (string, error) {
		class := toolClasses[s.tool]
		if strings.HasPrefix(version, "4") {
			class = cmp.Or(toolClasses4[s.tool], class)
		}
		return command(nil, "", "java", slices.Concat(peers.ToolJVM, l.as.JVM(),
			[]string{"-cp", classPath, class, "--bootstrap-server", w.addr[l.listener], "--command-config", file}, args)...)
	})
}

// runSteps runs them in order, and stops at the first that prints something else.
func runSteps(steps []toolStep, run func(s toolStep, args []string) (string, error)) error {
	id, hmac := "", ""
	for _, s := range steps {
		args := slices.Clone(s.args)
		for i := range args {
			args[i] = strings.NewReplacer("ID", id, "HMAC", hmac).Replace(args[i])
		}
		out, err := run(s, args)
		if err != nil {
			return err
		}
		want := regexp.MustCompile(strings.ReplaceAll(s.want, "ID", regexp.QuoteMeta(id)))
		found := want.FindStringSubmatch(out)
		if found == nil {
			return fmt.Errorf("%s %s printed %q, not %s", s.tool, strings.Join(args, " "), out, want)
		}
		if i := want.SubexpIndex("id"); i >= 0 {
			id, hmac = found[i], found[want.SubexpIndex("hmac")]
		}
	}
	return nil
}

// writeProperties writes a client's configuration.
func writeProperties(path string, properties map[string]string) error {
	var out strings.Builder
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&out, "%s=%s\n", key, strings.ReplaceAll(properties[key], `\`, `\\`))
	}
	return os.WriteFile(path, []byte(out.String()), 0o600)
}
