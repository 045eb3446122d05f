package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/auth/tlsconf"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/probe"
)

// healthy is a machine without troubles.
func healthy() System {
	return System{
		Listen: func(context.Context, string) error { return nil },
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		},
		Probe:    func(context.Context, string) (probe.Result, error) { return probe.Result{}, errors.New("refused") },
		Free:     func(string) (uint64, uint64, error) { return 1 << 40, 1 << 41, nil },
		MaxFiles: func() (uint64, error) { return 1 << 20, nil },
		HostName: func() (string, error) { return "broker.example.com", nil },
	}
}

// patient is a good configuration, as overrides.
type patient struct {
	dir       string
	overrides []string
}

func newPatient(t *testing.T, hosts ...string) *patient {
	t.Helper()
	p := &patient{dir: t.TempDir()}
	ca, err := tlsconf.NewDevCA("CA", nil)
	if err != nil {
		t.Fatal(err)
	}
	if hosts == nil {
		hosts = []string{"broker.example.com"}
	}
	pair, err := ca.Issue(tlsconf.DevCertificate{CommonName: "broker", Hosts: hosts, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"broker.pem": pair.Joined(), "ca.pem": ca.Certificate()} {
		if err := os.WriteFile(filepath.Join(p.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.overrides = []string{
		"listeners=SSL://:9093,SASL_SSL://:9094", "security.inter.broker.protocol=SSL", "log.dirs=" + filepath.Join(p.dir, "data"),
		"ssl.keystore.type=PEM", "ssl.keystore.location=" + filepath.Join(p.dir, "broker.pem"),
		"ssl.truststore.type=PEM", "ssl.truststore.location=" + filepath.Join(p.dir, "ca.pem"), "ssl.client.auth=required",
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
		`listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="hush-hush";`,
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:admin",
	}
	return p
}

func (p *patient) examine(t *testing.T, s System, more ...string) *Report {
	t.Helper()
	return Examine(t.Context(), Options{System: s, Load: config.Options{SecureListeners: true, Overrides: append(p.overrides, more...)}})
}

func (r *Report) find(status Status, text string) bool {
	for _, c := range r.Checks {
		if c.Status == status && strings.Contains(c.Text, text) {
			return true
		}
	}
	return false
}

func TestAHealthyBrokerHasNeitherProblemsNorWarnings(t *testing.T) {
	p := newPatient(t)
	r := p.examine(t, healthy(), "security.profile=strict")
	if r.Count(Problem)+r.Count(Warning) > 0 {
		t.Errorf("%+v", r.Checks)
	}
	var text bytes.Buffer
	if _, err := r.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{text.String(), string(asJSON)} {
		if strings.Contains(out, "hush-hush") {
			t.Errorf("a secret is shown: %s", out)
		}
	}
	for _, want := range []string{"bootstrap.servers=broker.example.com:9094", "security.protocol=SASL_SSL", "sasl.mechanism=SCRAM-SHA-512", "0 problems, 0 warnings"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s is not in\n%s", want, text.String())
		}
	}
	if len(r.Clients) != 2 || r.Clients[0].Certificate != "required" || r.Clients[1].Certificate != "none" {
		t.Errorf("%+v", r.Clients)
	}
}

func TestEachAilmentIsFound(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status Status
		text   string
		more   []string
		system func(*System)
		do     func(*testing.T, *patient)
	}{
		{name: "invalid key", status: Problem, text: "num.partitions", more: []string{"num.partitions=none"}},
		{name: "unknown key", status: Warning, text: "super.user", more: []string{"super.user=User:admin"}},
		{name: "weakness", status: Warning, text: "allow.everyone", more: []string{"allow.everyone.if.no.acl.found=true"}},
		{name: "port taken by a stranger", status: Problem, text: "something that is no broker", system: func(s *System) {
			s.Listen = func(context.Context, string) error { return errors.New("in use") }
			s.Probe = func(context.Context, string) (probe.Result, error) { return probe.Result{}, nil }
		}},
		{name: "already running", status: Warning, text: "a broker runs", system: func(s *System) {
			s.Listen = func(context.Context, string) error { return errors.New("in use") }
			s.Probe = func(context.Context, string) (probe.Result, error) { return probe.Result{Kafka: true}, nil }
		}},
		{name: "no such address", status: Problem, text: "cannot bind", system: func(s *System) {
			s.Listen = func(context.Context, string) error { return errors.New("cannot assign requested address") }
		}},
		{name: "unresolvable", status: Problem, text: "cannot be resolved", system: func(s *System) {
			s.Resolve = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
		}},
		{name: "resolves to loopback", status: Warning, text: "127.0.1.1", system: func(s *System) {
			s.Resolve = func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("127.0.1.1")}, nil
			}
		}},
		{name: "loopback advertised", status: Warning, text: "each client's own machine", more: []string{"advertised.listeners=SSL://127.0.0.1:9093,SASL_SSL://127.0.0.1:9094"}},
		{name: "another host", status: Problem, text: "the certificate is not for it", more: []string{"advertised.listeners=SSL://other.example.com:9093,SASL_SSL://broker.example.com:9094"}},
		{name: "expired", status: Problem, text: "has run out", system: func(s *System) {
			s.Now = func() time.Time { return time.Now().AddDate(2, 0, 0) }
		}},
		{name: "expires soon", status: Warning, text: "runs out on", system: func(s *System) {
			s.Now = func() time.Time { return time.Now().AddDate(0, 0, 350) }
		}},
		{name: "clock", status: Problem, text: "good only from", system: func(s *System) {
			s.Now = func() time.Time { return time.Now().AddDate(0, 0, -2) }
		}},
		{name: "missing store", status: Problem, text: "nowhere.pem", more: []string{"ssl.keystore.location=/nowhere.pem"}},
		{name: "key of another certificate", status: Problem, text: "does not belong to its certificate", do: func(t *testing.T, p *patient) {
			other, _ := tlsconf.NewDevCA("other", nil)
			pair, _ := other.Issue(tlsconf.DevCertificate{CommonName: "x", Server: true})
			mine, err := os.ReadFile(filepath.Join(p.dir, "broker.pem"))
			if err != nil {
				t.Fatal(err)
			}
			_, chain, _ := bytes.Cut(mine, []byte("-----END PRIVATE KEY-----\n"))
			if err := os.WriteFile(filepath.Join(p.dir, "broker.pem"), append(pair.Key, chain...), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "no JAAS", status: Problem, text: "SCRAM-SHA-256", more: []string{"sasl.enabled.mechanisms=SCRAM-SHA-256"}},
		{name: "no users", status: Warning, text: "PLAIN has no users", more: []string{"listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required;"}},
		{name: "no key table", status: Problem, text: "GSSAPI", more: []string{"sasl.enabled.mechanisms=GSSAPI",
			`listener.name.sasl_ssl.gssapi.sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required keyTab="/nowhere.keytab" principal="kafka/x@Y";`}},
		{name: "no issuer", status: Problem, text: "OAUTHBEARER", more: []string{"sasl.enabled.mechanisms=OAUTHBEARER",
			"sasl.oauthbearer.jwks.endpoint.url=https://127.0.0.1:1/keys", "sasl.oauthbearer.expected.issuer=a", "sasl.oauthbearer.expected.audience=b",
			`listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;`}},
		{name: "an address that is none", status: Problem, text: "barnabas.address.principals", more: []string{"barnabas.address.principals=10.1.2.3/8=User:a"}},
		{name: "nobody's name", status: Problem, text: "barnabas.anonymous.principal", more: []string{"listener.name.ssl.barnabas.anonymous.principal=nobody"}},
		{name: "a certificate that may be left out", status: Problem, text: "barnabas.tls.optional.enable", more: []string{"listener.name.ssl.barnabas.tls.optional.enable=true", "ssl.client.auth=required"}},
		{name: "SCRAM users", status: Problem, text: "barnabas.scram.users: ", more: []string{"barnabas.scram.users=carl=secret"}},
		{name: "no file of SCRAM users", status: Problem, text: "barnabas.scram.users.file", more: []string{"barnabas.scram.users.file=/nowhere"}},
		{name: "nowhere to record to", status: Problem, text: "barnabas.audit.log.file", more: []string{"barnabas.audit.log.file=/nowhere/audit.log"}, system: func(s *System) {
			s.Writable = func(dir string) bool { return dir != "/nowhere" }
		}},
		{name: "no super user", status: Problem, text: "nobody can create the first ACL", more: []string{"super.users="}},
		{name: "commas", status: Warning, text: "is one principal", more: []string{"super.users=User:a,User:b"}},
		{name: "bad super user", status: Problem, text: "super.users", more: []string{"super.users=admin"}},
		{name: "directory not writable", status: Problem, text: "cannot be made", system: func(s *System) { s.Writable = func(string) bool { return false } }},
		{name: "little room", status: Warning, text: "MiB are free", system: func(s *System) {
			s.Free = func(string) (uint64, uint64, error) { return 100 << 20, 1 << 40, nil }
		}},
		{name: "few files", status: Warning, text: "at most 1024", system: func(s *System) { s.MaxFiles = func() (uint64, error) { return 1024, nil } }},
		{name: "another node's directory", status: Problem, text: "belongs to node 7", more: []string{"node.id=1"}, do: func(t *testing.T, p *patient) {
			if err := os.Mkdir(filepath.Join(p.dir, "data"), 0o700); err != nil {
				t.Fatal(err)
			}
			text := "version=1\ncluster.id=x\nnode.id=7\n"
			if err := os.WriteFile(filepath.Join(p.dir, "data", "meta.properties"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, s := newPatient(t), healthy()
			if tt.system != nil {
				tt.system(&s)
			}
			if tt.do != nil {
				tt.do(t, p)
			}
			if r := p.examine(t, s, tt.more...); !r.find(tt.status, tt.text) {
				t.Errorf("no %s with %q in %+v", tt.status, tt.text, r.Checks)
			}
		})
	}
}

func TestOfflineAsksNobody(t *testing.T) {
	s := healthy()
	s.Resolve = func(context.Context, string) ([]netip.Addr, error) {
		t.Error("a name server is asked")
		return nil, nil
	}
	p := newPatient(t)
	r := Examine(t.Context(), Options{System: s, Offline: true, Load: config.Options{SecureListeners: true, Overrides: append(p.overrides, "sasl.enabled.mechanisms=OAUTHBEARER,PLAIN",
		"sasl.oauthbearer.jwks.endpoint.url=https://127.0.0.1:1/keys", "sasl.oauthbearer.expected.issuer=a", "sasl.oauthbearer.expected.audience=b",
		`listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;`)}})
	if !r.find(Skipped, "OAUTHBEARER") || !r.find(OK, "PLAIN") {
		t.Errorf("%+v", r.Checks)
	}
}

func TestAFileWithSecretsThatOthersMayReadIsNamed(t *testing.T) {
	p := newPatient(t)
	path := filepath.Join(p.dir, "server.properties")
	if err := os.WriteFile(path, []byte("ssl.key.password=hush-hush\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := Examine(t.Context(), Options{System: healthy(), Load: config.Options{SecureListeners: true, File: path, Overrides: p.overrides}})
	if !r.find(Warning, "others may read it") {
		t.Errorf("%+v", r.Checks)
	}
}
