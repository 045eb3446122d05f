package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/bearer"
	"github.com/barnabas-broker/barnabas/auth/tlsconf"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// tlsWatchInterval is how often the files of a TLS listener are looked at.
const tlsWatchInterval = 10 * time.Second

// listenerSecurity is what a listener asks of its clients before it serves them. All of it
// is nil on a PLAINTEXT listener.
type listenerSecurity struct {
	gate   *auth.GateOptions // of a SASL listener
	files  *tlsconf.Server   // of a TLS listener
	tls    *tls.Config
	mapper *tlsconf.Mapper // of certificates, where there is no SASL
}

// secure makes what a listener's protocol asks for. A listener that asks for what we do not
// have is not opened with less.
func (b *Broker) secure(ctx context.Context, l config.Listener) (s listenerSecurity, err error) {
	if l.Protocol.TLS() {
		if s.files, err = tlsconf.NewServer(b.tlsOptions(l)); err != nil {
			return s, err
		}
		s.tls = s.files.Config()
		for _, w := range s.files.Warnings() {
			b.logger.Warn(w, "listener", l.Name)
		}
		if !l.Protocol.SASL() {
			rules, _ := b.config().ListenerValue(l.Name, "", "ssl.principal.mapping.rules")
			if s.mapper, err = tlsconf.ParseMapper(rules); err != nil {
				return s, err
			}
		}
	}
	if l.Protocol.SASL() {
		s.gate, err = b.gateOptions(ctx, l)
	}
	return s, err
}

// tlsOptions reads the ssl.* keys of a listener.
func (b *Broker) tlsOptions(l config.Listener) tlsconf.Options {
	c := b.config()
	text := func(key string) string {
		v, _ := c.ListenerValue(l.Name, "", key)
		return v
	}
	secret := func(key string) auth.Secret { return auth.NewSecret(text(key)) }
	o := tlsconf.Options{
		KeystoreType: text("ssl.keystore.type"), KeystoreLocation: text("ssl.keystore.location"),
		KeystorePassword: secret("ssl.keystore.password"), KeyPassword: secret("ssl.key.password"),
		KeystoreKey: secret("ssl.keystore.key"), KeystoreCertificateChain: secret("ssl.keystore.certificate.chain"),
		TruststoreType: text("ssl.truststore.type"), TruststoreLocation: text("ssl.truststore.location"),
		TruststorePassword: secret("ssl.truststore.password"), TruststoreCertificates: secret("ssl.truststore.certificates"),
		ClientAuth: text("ssl.client.auth"), Protocol: text("ssl.protocol"),
		EnabledProtocols: words(text("ssl.enabled.protocols")), CipherSuites: words(text("ssl.cipher.suites")),
		AllowDNChanges: text("ssl.allow.dn.changes") == "true", AllowSANChanges: text("ssl.allow.san.changes") == "true",
	}
	// As on Apache, a SASL listener asks for certificates only where its own key says so.
	if l.Protocol.SASL() && !c.IsSet("listener.name."+strings.ToLower(l.Name)+".ssl.client.auth") {
		o.ClientAuth = "none"
	}
	return o
}

// alterTLS puts the ssl.* keys in force that can change while running. What is not good
// leaves a listener as it is.
func (b *Broker) alterTLS() {
	for _, l := range b.listeners {
		if l.security.files == nil {
			continue
		}
		if err := l.security.files.Alter(b.tlsOptions(l.cfg)); err != nil {
			b.logger.Error("changed TLS settings are not good; the old ones stay in use", "listener", l.name, "err", err)
		}
	}
}

// words are the parts of a list in a setting.
func words(text string) (list []string) {
	for _, w := range strings.Split(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			list = append(list, w)
		}
	}
	return list
}

// gateOptions reads the SASL settings of a listener.
func (b *Broker) gateOptions(ctx context.Context, l config.Listener) (*auth.GateOptions, error) {
	c := b.config()
	file, err := readJAASFile(c)
	if err != nil {
		return nil, err
	}
	enabled, _ := c.ListenerValue(l.Name, "", "sasl.enabled.mechanisms")
	g := &auth.GateOptions{MaxReceiveBytes: int(c.Broker().Network.SaslServerMaxReceiveSize),
		APIVersionsMax: b.apis.lookup(protocol.KeyAPIVersions).max, Now: time.Now}
	reauth := map[string]time.Duration{}
	for _, name := range words(enabled) {
		if class, ok := c.ListenerValue(l.Name, name, "sasl.server.callback.handler.class"); ok && class != "" && !bearerHandlers[class] {
			return nil, fmt.Errorf("sasl.server.callback.handler.class=%s of mechanism %s is a Java class, which cannot run here", class, name)
		}
		m, err := b.mechanism(ctx, l.Name, name, file)
		if err != nil {
			return nil, err
		}
		g.Mechanisms = append(g.Mechanisms, m)
		text, _ := c.ListenerValue(l.Name, name, "connections.max.reauth.ms")
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("connections.max.reauth.ms of mechanism %s: %w", name, err)
		}
		reauth[name] = time.Duration(ms) * time.Millisecond
	}
	if len(g.Mechanisms) == 0 {
		return nil, errors.New("sasl.enabled.mechanisms is empty")
	}
	g.MaxReauth = func(mechanism string) time.Duration { return reauth[mechanism] }
	return g, nil
}

// readJAASFile reads the file that -Djava.security.auth.login.config in KAFKA_OPTS names.
func readJAASFile(c *config.Config) (config.JAASFile, error) {
	path := c.JVMProperty("java.security.auth.login.config")
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("java.security.auth.login.config: %w", err)
	}
	file, err := config.ParseJAASFile(data, func(name string) (string, bool) {
		v := c.JVMProperty(name)
		return v, v != ""
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

// Login modules, by Apache's names.
const (
	plainLoginModule = "org.apache.kafka.common.security.plain.PlainLoginModule"
	scramLoginModule = "org.apache.kafka.common.security.scram.ScramLoginModule"

	bearerLoginModule = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
)

// bearerHandlers are the classes of Apache's that check signed access tokens: what
// OAUTHBEARER does here in any case.
var bearerHandlers = map[string]bool{
	"org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler":         true,
	"org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerValidatorCallbackHandler": true,
}

// mechanism makes one mechanism of a listener.
func (b *Broker) mechanism(ctx context.Context, listener, name string, file config.JAASFile) (auth.Mechanism, error) {
	switch name {
	case auth.MechanismPlain:
		options, err := b.login(listener, name, plainLoginModule, file)
		if err != nil {
			return nil, err
		}
		return auth.NewPlain(auth.NewPlainUsers(options)), nil
	case auth.MechanismScramSHA256, auth.MechanismScramSHA512:
		if _, err := b.login(listener, name, scramLoginModule, file); err != nil {
			return nil, err
		}
		hash, number := auth.ScramSHA256, metadata.ScramSHA256
		if name == auth.MechanismScramSHA512 {
			hash, number = auth.ScramSHA512, metadata.ScramSHA512
		}
		o := auth.ScramOptions{Hash: hash, Credential: func(user string) (auth.ScramCredential, bool) {
			c := b.store.Image().ScramCredential(user, number)
			if c == nil {
				return auth.ScramCredential{}, false
			}
			return auth.ScramCredential{Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey, Iterations: c.Iterations}, true
		}}
		if b.tokens.enabled() {
			o.Token = func(id string) (auth.DelegationTokenLogin, bool) { return b.tokenLogin(id, hash) }
		}
		return auth.NewScram(o), nil
	case auth.MechanismOAuthBearer:
		return b.bearer(ctx, listener, file)
	case auth.MechanismGSSAPI:
		return b.kerberos(listener, file)
	}
	return nil, fmt.Errorf("sasl.enabled.mechanisms: this release has no mechanism %s; it has PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER and GSSAPI", name)
}

// bearer makes OAUTHBEARER. The issuer's keys must be there before the first client is.
func (b *Broker) bearer(ctx context.Context, listener string, file config.JAASFile) (auth.Mechanism, error) {
	login, err := b.login(listener, auth.MechanismOAuthBearer, bearerLoginModule, file)
	if err != nil {
		return nil, err
	}
	transport, err := issuerTransport(login)
	if err != nil {
		return nil, err
	}
	text := func(key string) string {
		v, _ := b.config().ListenerValue(listener, auth.MechanismOAuthBearer, "sasl.oauthbearer."+key)
		return v
	}
	number := func(key string, unit time.Duration) time.Duration {
		n, _ := strconv.ParseInt(text(key), 10, 64) // the configuration has checked it
		return time.Duration(n) * unit
	}
	o := bearer.Options{Issuer: text("expected.issuer"), Audience: words(text("expected.audience")),
		ScopeClaim: text("scope.claim.name"), SubClaim: text("sub.claim.name")}
	skew := number("clock.skew.seconds", time.Second)
	o.ClockSkew = &skew
	if url := text("jwks.endpoint.url"); url != "" {
		keys, err := bearer.NewKeySource(bearer.SourceOptions{URL: url, Refresh: number("jwks.endpoint.refresh.ms", time.Millisecond),
			RetryBackoff:    number("jwks.endpoint.retry.backoff.ms", time.Millisecond),
			RetryBackoffMax: number("jwks.endpoint.retry.backoff.max.ms", time.Millisecond),
			Transport:       transport,
			Logger:          b.logger.With("listener", listener)})
		if err != nil {
			return nil, err
		}
		if err := keys.Load(ctx); err != nil {
			return nil, err
		}
		o.Keys = keys
		b.wg.Add(1)
		go func() {
			defer b.wg.Done()
			keys.Run(b.ctx)
		}()
	}
	v, err := bearer.New(o)
	if err != nil {
		return nil, err
	}
	return auth.NewOAuthBearer(auth.OAuthBearerOptions{Validator: v}), nil
}

// login returns the options of a mechanism's login module.
func (b *Broker) login(listener, mechanism, module string, file config.JAASFile) (map[string]string, error) {
	entries, err := b.config().JAASOf(listener, mechanism, file)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Module != module {
			continue
		}
		options := map[string]string{}
		for _, o := range e.Options {
			options[o.Name] = o.Value
		}
		return options, nil
	}
	return nil, fmt.Errorf("the JAAS configuration of mechanism %s has no %s", mechanism, module)
}
