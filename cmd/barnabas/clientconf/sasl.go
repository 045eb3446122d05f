package clientconf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/kerberos"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Login modules, by Java's names.
const (
	plainModule    = "org.apache.kafka.common.security.plain.PlainLoginModule"
	scramModule    = "org.apache.kafka.common.security.scram.ScramLoginModule"
	bearerModule   = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
	kerberosModule = "com.sun.security.auth.module.Krb5LoginModule"
)

// login is one JAAS entry as its mechanism reads it.
type login struct{ config.JAASEntry }

func (l login) text(name string) string {
	v, _ := l.Option(name)
	return v
}

func (l login) is(name string) bool { return strings.EqualFold(l.text(name), "true") }

func (r *reader) mechanism() (sasl.Mechanism, error) {
	name := r.or("sasl.mechanism", auth.MechanismGSSAPI) // Kafka's default
	switch name {
	case auth.MechanismPlain:
		l, err := r.login(plainModule)
		if err != nil {
			return nil, err
		}
		user, password, err := l.credentials()
		if err != nil {
			return nil, err
		}
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case auth.MechanismScramSHA256, auth.MechanismScramSHA512:
		l, err := r.login(scramModule)
		if err != nil {
			return nil, err
		}
		user, password, err := l.credentials()
		if err != nil {
			return nil, err
		}
		a := scram.Auth{User: user, Pass: password, IsToken: l.is("tokenauth")}
		if name == auth.MechanismScramSHA256 {
			return boundedSCRAM{a.AsSha256Mechanism()}, nil
		}
		return boundedSCRAM{a.AsSha512Mechanism()}, nil
	case auth.MechanismGSSAPI:
		return r.kerberos()
	case auth.MechanismOAuthBearer:
		return r.bearer()
	}
	return nil, fmt.Errorf("sasl.mechanism=%s is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, GSSAPI, OAUTHBEARER", name)
}

// login finds the client's login module: in sasl.jaas.config, else in section KafkaClient of
// the file that -Djava.security.auth.login.config in KAFKA_OPTS names.
func (r *reader) login(module string) (login, error) {
	var entries []config.JAASEntry
	if text := r.values["sasl.jaas.config"]; text != "" {
		e, err := config.ParseJAASConfig(text)
		if err != nil {
			return login{}, fmt.Errorf("sasl.jaas.config: %w", err)
		}
		entries = append(entries, e)
	} else if path := r.jvm("java.security.auth.login.config"); path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return login{}, err
		}
		file, err := config.ParseJAASFile(data, func(name string) (string, bool) { v := r.jvm(name); return v, v != "" })
		if err != nil {
			return login{}, fmt.Errorf("%s: %w", path, err)
		}
		entries = file["KafkaClient"]
	}
	if len(entries) == 0 {
		return login{}, errNoJAAS
	}
	for _, e := range entries {
		if e.Module == module {
			return login{e}, nil
		}
	}
	return login{}, fmt.Errorf("sasl.jaas.config names %s, and sasl.mechanism needs %s", entries[0].Module, module)
}

func (r *reader) jvm(name string) string { return config.ParseJVMOptions(r.getenv("KAFKA_OPTS"))[name] }

func (l login) credentials() (user, password string, err error) {
	user, okUser := l.Option("username")
	password, okPassword := l.Option("password")
	if !okUser || !okPassword || user == "" || password == "" {
		return "", "", errors.New("sasl.jaas.config needs username and password")
	}
	return user, password, nil
}

// kerberos makes GSSAPI.
func (r *reader) kerberos() (sasl.Mechanism, error) {
	l, err := r.login(kerberosModule)
	if err != nil {
		return nil, err
	}
	service := cmp.Or(r.values["sasl.kerberos.service.name"], l.text("serviceName"))
	if service == "" {
		return nil, errors.New("sasl.kerberos.service.name is not set; it is the first part of the broker's principal, most often kafka")
	}
	conf := cmp.Or(r.jvm("java.security.krb5.conf"), r.getenv("KRB5_CONFIG"), "/etc/krb5.conf")
	o := kerberos.ClientOptions{Krb5Conf: conf, ServiceName: service, TicketCache: cmp.Or(l.text("ticketCache"), r.getenv("KRB5CCNAME"))}
	switch {
	case l.is("useKeyTab"):
		o.Keytab, o.Principal = strings.TrimPrefix(l.text("keyTab"), "file:"), l.text("principal")
		if o.Keytab == "" || o.Principal == "" {
			return nil, errors.New("the Krb5LoginModule with useKeyTab=true needs keyTab and principal")
		}
	case l.is("useTicketCache"):
	default:
		return nil, errors.New("the Krb5LoginModule needs useKeyTab=true or useTicketCache=true: no password can be asked for here")
	}
	c, err := kerberos.NewClient(o)
	if err != nil {
		return nil, err
	}
	return gssapi{c}, nil
}

// gssapi is GSSAPI as franz-go calls a mechanism.
type gssapi struct{ client *kerberos.Client }

func (gssapi) Name() string { return auth.MechanismGSSAPI }

func (g gssapi) Authenticate(_ context.Context, address string) (sasl.Session, []byte, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	s, token, err := g.client.Begin(host)
	if err != nil {
		return nil, nil, err
	}
	return gssapiSession{s}, token, nil
}

type gssapiSession struct{ s *kerberos.ClientSession }

func (s gssapiSession) Challenge(token []byte) (bool, []byte, error) { return s.s.Step(token) }
