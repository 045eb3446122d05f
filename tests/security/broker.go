package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

// world is a broker with every listener, and all that its clients need.
type world struct {
	cache  *peers.Cache
	dir    string
	kind   peers.Kind
	keys   *keys
	kdc    *kdc
	issuer *issuer
	broker *peers.Broker
	addr   map[string]string // of a listener, with localhost

	metrics string // URL of our broker's

	clientTLS *tls.Config // trusts the broker and shows nothing
	admin     *kgo.Client
}

// Listeners. CLEAR and CRYPT are SASL_PLAINTEXT and SASL_SSL; the others ask for a
// client's certificate, and are named after the type of their stores.
const (
	listenerClear = "CLEAR"
	listenerCrypt = "CRYPT"
)

const adminPassword = "admin secret"

// open makes the keys, starts the KDC, the issuer and the broker, and gives every
// principal its own topics and groups: those that begin with its name and a dash.
func openWorld(cache *peers.Cache, dir string, kind peers.Kind, principals []*principal) (_ *world, err error) {
	w := &world{cache: cache, dir: dir, kind: kind, addr: map[string]string{}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := errors.Join(cache.KeyTools(), cache.Kerberos()); err != nil {
		return nil, err
	}
	if w.keys, err = newKeys(filepath.Join(dir, "keys")); err != nil {
		return nil, err
	}
	if err := w.keys.materials([]string{"mtls-jks", "mtls-pkcs12", "mtls-pem"}); err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(w.keys.path("ca.pem"))
	if err != nil {
		return nil, err
	}
	w.clientTLS = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	w.clientTLS.RootCAs.AppendCertsFromPEM(ca)
	if w.issuer, err = startIssuer(w.keys.path("broker.crt"), w.keys.path("broker.key")); err != nil {
		return nil, err
	}
	if w.kdc, err = startKDC(filepath.Join(dir, "kdc")); err != nil {
		return nil, err
	}
	for _, p := range [][3]string{{service, realm, ""}, {"krb-user", realm, "krb-secret"}, {"krb-user", otherRealm, "krb-secret"}, {"krb-admin", realm, "krb-secret"}, {service, otherRealm, ""}, {"http/localhost", realm, ""}} {
		if err := w.kdc.add(p[0], p[1], p[2]); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.kdc.kinit("krb-user", realm), w.kdc.kinit("krb-user", otherRealm), w.kdc.kinit("krb-admin", realm)); err != nil {
		return nil, err
	}
	if err := w.startBroker(); err != nil {
		return nil, err
	}
	w.admin, err = kgo.NewClient(kgo.SeedBrokers(w.addr[listenerClear]), kgo.SASL(plain.Auth{User: "admin", Pass: adminPassword}.AsMechanism()))
	if err != nil {
		return nil, err
	}
	return w, w.prepare(principals)
}

// Counters of our broker's metrics.
const (
	refusedLogins   = "barnabas_broker_authentications_failed_total"
	refusedRequests = "barnabas_broker_authorizations_refused_total"
)

// counter reads one of them; Apache's brokers have none, which is -1.
func (w *world) counter(name string) int64 {
	if w.kind.IsApache() {
		return -1
	}
	answer, err := http.Get(w.metrics)
	if err != nil {
		return -1
	}
	defer answer.Body.Close()
	for in := bufio.NewScanner(answer.Body); in.Scan(); {
		if value, ok := strings.CutPrefix(in.Text(), name+" "); ok {
			n, err := strconv.ParseInt(value, 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return -1
}

// grown waits until a counter is above what it was: what did not work was refused by the
// broker, and not given up by the client.
func (w *world) grown(name string, before int64) error {
	if w.kind.IsApache() {
		return nil
	}
	now := w.counter(name)
	for end := time.Now().Add(3 * time.Second); now <= before && time.Now().Before(end); now = w.counter(name) {
		time.Sleep(50 * time.Millisecond)
	}
	if now <= before {
		return fmt.Errorf("the broker has refused nothing: %s is %d", name, now)
	}
	return nil
}

func (w *world) close() {
	if w.admin != nil {
		w.admin.Close()
	}
	if w.broker != nil {
		w.broker.Close()
	}
	if w.kdc != nil {
		w.kdc.stop()
	}
	if w.issuer != nil {
		w.issuer.stop()
	}
}

const (
	plainModule  = "org.apache.kafka.common.security.plain.PlainLoginModule"
	scramModule  = "org.apache.kafka.common.security.scram.ScramLoginModule"
	bearerModule = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
	krbModule    = "com.sun.security.auth.module.Krb5LoginModule"
)

func (w *world) startBroker() error {
	names := append([]string{listenerClear, listenerCrypt}, storeTypes...)
	ports, err := peers.FreePorts(len(names) + 1)
	if err != nil {
		return err
	}
	c := map[string]string{
		"security.inter.broker.protocol": "SASL_PLAINTEXT", "sasl.mechanism.inter.broker.protocol": "PLAIN",
		"sasl.enabled.mechanisms":                   "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,GSSAPI,OAUTHBEARER",
		"sasl.kerberos.service.name":                "kafka",
		"authorizer.class.name":                     "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                               "User:admin;User:krb-admin;User:oauth-admin",
		"delegation.token.secret.key":               "the brokers' own secret",
		"sasl.oauthbearer.jwks.endpoint.url":        w.issuer.url + "/keys",
		"sasl.oauthbearer.expected.issuer":          w.issuer.url,
		"sasl.oauthbearer.expected.audience":        audience,
		"connection.failed.authentication.delay.ms": "0",
		"auto.create.topics.enable":                 "false",
		"ssl.principal.mapping.rules":               "RULE:^CN=([^,]*),.*$/$1/,DEFAULT",
	}
	var listeners, advertised, protocols []string
	for i, name := range names {
		protocol := "SSL"
		switch name {
		case listenerClear:
			protocol = "SASL_PLAINTEXT"
		case listenerCrypt:
			protocol = "SASL_SSL"
		}
		w.addr[name] = fmt.Sprintf("localhost:%d", ports[i])
		listeners = append(listeners, fmt.Sprintf("%s://127.0.0.1:%d", name, ports[i]))
		advertised = append(advertised, name+"://"+w.addr[name])
		protocols = append(protocols, name+":"+protocol)
		prefix := "listener.name." + strings.ToLower(name) + "."
		if name != listenerClear {
			storeType := name
			if name == listenerCrypt {
				storeType = "PKCS12"
			}
			c[prefix+"ssl.keystore.type"], c[prefix+"ssl.keystore.location"] = storeType, w.keys.path(storeFile("broker", storeType))
			c[prefix+"ssl.truststore.type"], c[prefix+"ssl.truststore.location"] = storeType, w.keys.path(storeFile("trust", storeType))
			if storeType != "PEM" {
				c[prefix+"ssl.keystore.password"], c[prefix+"ssl.key.password"], c[prefix+"ssl.truststore.password"] = storePassword, storePassword, storePassword
			}
		}
		if protocol == "SSL" {
			c[prefix+"ssl.client.auth"] = "required"
			continue
		}
		if protocol == "SASL_SSL" {
			c[prefix+"ssl.client.auth"] = "requested" // who shows a certificate must have a good one
		}
		c[prefix+"plain.sasl.jaas.config"] = plainModule + fmt.Sprintf(` required username="admin" password=%q user_admin=%[1]q user_plain-user="plain secret";`, adminPassword)
		for _, m := range []string{"scram-sha-256", "scram-sha-512"} {
			c[prefix+m+".sasl.jaas.config"] = scramModule + " required;"
		}
		c[prefix+"gssapi.sasl.jaas.config"] = krbModule + fmt.Sprintf(` required useKeyTab=true storeKey=true keyTab=%q principal="%s@%s";`,
			w.kdc.keytab(service, realm), service, realm)
		c[prefix+"oauthbearer.sasl.jaas.config"] = bearerModule + fmt.Sprintf(` required unsecuredLoginStringClaim_sub="broker" ssl.truststore.type="PEM" ssl.truststore.location=%q;`, w.keys.path("ca.pem"))
		c[prefix+"oauthbearer.sasl.server.callback.handler.class"] = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler"
	}
	options := peers.BrokerOptions{Dir: filepath.Join(w.dir, "broker"), Port: ports[0], Config: c}
	c["inter.broker.listener.name"] = listenerClear
	delete(c, "security.inter.broker.protocol")
	if w.kind.IsApache() {
		last := ports[len(ports)-1]
		listeners = append(listeners, fmt.Sprintf("CONTROLLER://127.0.0.1:%d", last))
		protocols = append(protocols, "CONTROLLER:PLAINTEXT")
		c["controller.quorum.voters"] = fmt.Sprintf("1@127.0.0.1:%d", last)
		c["super.users"] += ";User:ANONYMOUS" // the controller's listener; no other is plaintext
		// Without the export, Java 17 keeps from Apache's KerberosError which error it was, and all are one.
		options.JVM = append([]string{"-Djava.security.krb5.conf=" + w.kdc.conf(), "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
			"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=" + w.issuer.url + "/keys"}, peers.ApacheJVM...)
	} else {
		c["barnabas.audit.log.file"] = filepath.Join(w.dir, "audit.log")
		c["barnabas.admin.listener"] = fmt.Sprintf("127.0.0.1:%d", ports[len(ports)-1])
		w.metrics = fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[len(ports)-1])
		options.Env = []string{"KAFKA_OPTS=-Djava.security.krb5.conf=" + w.kdc.conf()}
	}
	c["listeners"], c["advertised.listeners"] = strings.Join(listeners, ","), strings.Join(advertised, ",")
	c["listener.security.protocol.map"] = strings.Join(protocols, ",")
	w.broker, err = w.cache.StartBroker(w.kind, options)
	return err
}

// prepare makes the SCRAM users, the delegation token, and the ACLs.
func (w *world) prepare(principals []*principal) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	adm := kadm.NewClient(w.admin)
	for _, p := range principals {
		for _, m := range p.scram {
			if _, err := adm.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: p.name, Mechanism: m, Iterations: 4096, Password: p.password}}); err != nil {
				return fmt.Errorf("SCRAM user %s: %w", p.name, err)
			}
		}
		if err := w.allow(ctx, p.name); err != nil {
			return err
		}
	}
	return errors.Join(w.allow(ctx, "somebody-else"), w.createTopic(ctx, "somebody-else-topic"))
}

// allow lets a principal do what a client does with topics and groups that begin with its name.
func (w *world) allow(ctx context.Context, name string) error {
	b := kadm.NewACLs().Allow("User:"+name).AllowHosts("*").ResourcePatternType(kadm.ACLPatternPrefixed).
		Operations(kadm.OpRead, kadm.OpWrite, kadm.OpDescribe, kadm.OpCreate).Topics(name + "-").Groups(name + "-")
	results, err := kadm.NewClient(w.admin).CreateACLs(ctx, b)
	for _, r := range results {
		err = errors.Join(err, r.Err)
	}
	return err
}

// createTopic makes a topic and returns when the broker shows it.
func (w *world) createTopic(ctx context.Context, name string) error {
	adm := kadm.NewClient(w.admin)
	if _, err := adm.CreateTopic(ctx, 2, 1, nil, name); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	for {
		if d, err := adm.ListTopics(ctx, name); err == nil && d[name].Err == nil && len(d[name].Partitions) == 2 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// endOffsets counts the records of the topics that begin with a name.
func (w *world) endOffsets(prefix string) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	adm := kadm.NewClient(w.admin)
	topics, err := adm.ListTopics(ctx)
	if err != nil {
		return 0, err
	}
	var names []string
	for name := range topics {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return 0, nil
	}
	ends, err := adm.ListEndOffsets(ctx, names...)
	count := int64(0)
	ends.Each(func(o kadm.ListedOffset) { count += o.Offset })
	return count, errors.Join(err, ends.Error())
}
