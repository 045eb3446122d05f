package broker

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/bearer"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/metadata"
)

// liveMechanism is one mechanism of a listener. Which one it is stays; what it goes by,
// such as the passwords in its JAAS configuration, may change while the broker runs, and
// then counts for every authentication that begins later.
type liveMechanism struct {
	listener, name string

	current atomic.Pointer[auth.Mechanism]

	// Read and written at start and then by the goroutine that follows the metadata.
	madeOf [sha256.Size]byte  // of the settings of current, or of those that were no good
	stop   context.CancelFunc // of what current does in the background
}

// Name is the mechanism's name.
func (m *liveMechanism) Name() string { return m.name }

// MaxTokenBytes bounds a token.
func (m *liveMechanism) MaxTokenBytes() int { return (*m.current.Load()).MaxTokenBytes() }

// Start begins an exchange.
func (m *liveMechanism) Start(peer auth.Peer) auth.Exchange { return (*m.current.Load()).Start(peer) }

// madeMechanism is a mechanism as settings describe it.
type madeMechanism struct {
	auth.Mechanism
	// check asks those that the mechanism will depend on: an issuer, a KDC. It may be nil
	// and may take long.
	check func(ctx context.Context) error
	// run does what is to be done while the mechanism is in use; it may be nil.
	run func(ctx context.Context)
}

// open makes the mechanism for the first time.
func (m *liveMechanism) open(ctx context.Context, b *Broker, c *config.Config, file config.JAASFile) error {
	m.madeOf = settingsOf(c, m.listener, m.name, file)
	made, err := b.mechanism(c, m.listener, m.name, file)
	if err != nil {
		return err
	}
	if made.check != nil {
		if err := made.check(ctx); err != nil {
			return err
		}
	}
	m.use(b, made)
	return nil
}

// use puts a mechanism in the place of the one before.
func (m *liveMechanism) use(b *Broker, made madeMechanism) {
	if m.stop != nil {
		m.stop()
	}
	m.current.Store(&made.Mechanism)
	m.stop = nil
	if made.run != nil {
		var ctx context.Context
		ctx, m.stop = context.WithCancel(b.ctx)
		b.wg.Add(1)
		go func() {
			defer b.wg.Done()
			made.run(ctx)
		}()
	}
}

// alterSASL puts changed settings of mechanisms in force. What is not good leaves a
// mechanism as it is. Which mechanisms a listener has does not change, see enabledOn.
func (b *Broker) alterSASL() {
	c := b.config()
	for _, l := range b.listeners {
		if l.security.gate == nil {
			continue
		}
		file, err := readJAASFile(c)
		if err != nil {
			b.logger.Error("changed SASL settings are not good; the old ones stay in use", "listener", l.name, "err", err)
			continue
		}
		for _, m := range l.security.gate.Mechanisms {
			m := m.(*liveMechanism)
			madeOf := settingsOf(c, m.listener, m.name, file)
			if madeOf == m.madeOf {
				continue
			}
			m.madeOf = madeOf
			made, err := b.mechanism(c, m.listener, m.name, file)
			if err != nil {
				b.logger.Error("changed SASL settings are not good; the old ones stay in use", "listener", l.name, "mechanism", m.name, "err", err)
				continue
			}
			// An issuer or a KDC that does not answer now may do so when the first client comes.
			m.use(b, made)
			b.logger.Info("changed SASL settings are in force for new authentications", "listener", l.name, "mechanism", m.name)
		}
	}
}

// CheckSecurity says what is wrong with the TLS and SASL settings that an alteration would
// bring; nil if this broker could go by them. Settings that stay are not looked at: a file
// that has gone bad since is no reason to refuse another change.
func (b *Broker) CheckSecurity(next *config.Config) error {
	if err := next.CheckProfile(); err != nil {
		return err
	}
	for _, l := range b.listeners {
		if l.security.files != nil && tlsSettingsOf(next, l.name) != tlsSettingsOf(b.config(), l.name) {
			if err := l.security.files.Check(b.tlsOptions(next, l.cfg)); err != nil {
				return fmt.Errorf("listener %s: %w", l.name, err)
			}
		}
		if l.security.gate == nil {
			continue
		}
		if enabledOn(next, l.name) != enabledOn(b.config(), l.name) {
			return fmt.Errorf("sasl.enabled.mechanisms of listener %s cannot be updated dynamically: it is read when the listener is opened", l.name)
		}
		file, err := readJAASFile(next)
		if err != nil {
			return err
		}
		for _, m := range l.security.gate.Mechanisms {
			name := m.Name()
			if settingsOf(next, l.name, name, file) == settingsOf(b.config(), l.name, name, file) {
				continue
			}
			if _, err := b.mechanism(next, l.name, name, file); err != nil {
				return fmt.Errorf("listener %s: %w", l.name, err)
			}
		}
	}
	return nil
}

// enabledOn is what the listener's own key says of its mechanisms. As on Apache, that of an
// open listener is not altered; the key without the listener's name may be, and counts for
// none that is open.
func enabledOn(c *config.Config, listener string) string {
	v, _ := c.Value("listener.name." + strings.ToLower(listener) + ".sasl.enabled.mechanisms")
	return v
}

// settingsOf is a digest of all that a mechanism is made of.
func settingsOf(c *config.Config, listener, name string, file config.JAASFile) [sha256.Size]byte {
	h := sha256.New()
	entries, err := c.JAASOf(listener, name, file)
	fmt.Fprintf(h, "%q %v\n", entries, err)
	keys := []string{"sasl.server.callback.handler.class", "barnabas.oauthbearer.unsecured.allowed"}
	switch name {
	case auth.MechanismGSSAPI:
		keys = append(keys, "sasl.kerberos.principal.to.local.rules")
	case auth.MechanismOAuthBearer:
		for _, key := range bearerKeys {
			keys = append(keys, "sasl.oauthbearer."+key)
		}
	}
	for _, key := range keys {
		v, ok := c.ListenerValue(listener, name, key)
		fmt.Fprintf(h, "%s %q %t\n", key, v, ok)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// tlsSettingsOf is a digest of a listener's ssl.* keys.
func tlsSettingsOf(c *config.Config, listener string) [sha256.Size]byte {
	h := sha256.New()
	for _, key := range tlsKeys {
		v, ok := c.ListenerValue(listener, "", key)
		fmt.Fprintf(h, "%s %q %t\n", key, v, ok)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

var tlsKeys = []string{"ssl.keystore.type", "ssl.keystore.location", "ssl.keystore.password", "ssl.key.password", "ssl.keystore.key",
	"ssl.keystore.certificate.chain", "ssl.truststore.type", "ssl.truststore.location", "ssl.truststore.password", "ssl.truststore.certificates",
	"ssl.client.auth", "ssl.protocol", "ssl.enabled.protocols", "ssl.cipher.suites", "ssl.allow.dn.changes", "ssl.allow.san.changes"}

// bearerKeys are the sasl.oauthbearer.* keys that a mechanism is made of.
var bearerKeys = []string{"jwks.endpoint.url", "jwks.endpoint.refresh.ms", "jwks.endpoint.retry.backoff.ms", "jwks.endpoint.retry.backoff.max.ms",
	"expected.issuer", "expected.audience", "scope.claim.name", "sub.claim.name", "clock.skew.seconds"}

// readJAASFile reads the file that -Djava.security.auth.login.config in KAFKA_OPTS names.
func readJAASFile(c *config.Config) (config.JAASFile, error) {
	path := c.JVMProperty("java.security.auth.login.config")
	if path == "" {
		return nil, nil
	}
	data, err := auth.ReadFile(path, 1<<20)
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

// unsecuredBearerHandlers are those that take anybody for anybody.
var unsecuredBearerHandlers = map[string]bool{
	"org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler": true,
}

// mechanism makes one mechanism of a listener. It asks nobody over the network.
func (b *Broker) mechanism(c *config.Config, listener, name string, file config.JAASFile) (madeMechanism, error) {
	class, _ := c.ListenerValue(listener, name, "sasl.server.callback.handler.class")
	if class != "" && (name != auth.MechanismOAuthBearer || !bearerHandlers[class] && !unsecuredBearerHandlers[class]) {
		return madeMechanism{}, fmt.Errorf("sasl.server.callback.handler.class=%s of mechanism %s is a Java class, which cannot run here", class, name)
	}
	switch name {
	case auth.MechanismPlain:
		options, err := login(c, listener, name, plainLoginModule, file)
		if err != nil {
			return madeMechanism{}, err
		}
		users, err := auth.ParsePlainUsers(options)
		if err != nil {
			return madeMechanism{}, err
		}
		return madeMechanism{Mechanism: auth.NewPlain(users)}, nil
	case auth.MechanismScramSHA256, auth.MechanismScramSHA512:
		if _, err := login(c, listener, name, scramLoginModule, file); err != nil {
			return madeMechanism{}, err
		}
		hash, number := auth.ScramSHA256, metadata.ScramSHA256
		if name == auth.MechanismScramSHA512 {
			hash, number = auth.ScramSHA512, metadata.ScramSHA512
		}
		o := auth.ScramOptions{Hash: hash, Pepper: b.scramPepper, Iterations: func() int32 { return b.scramIterations.of(b.store.Image(), number) }, Credential: func(user string) (auth.ScramCredential, bool) {
			c := b.store.Image().ScramCredential(user, number)
			if c == nil {
				return auth.ScramCredential{}, false
			}
			return auth.ScramCredential{Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey, Iterations: c.Iterations}, true
		}}
		if b.tokens.enabled() {
			o.Token = func(id string) (auth.DelegationTokenLogin, bool) { return b.tokenLogin(id, hash) }
		}
		return madeMechanism{Mechanism: auth.NewScram(o)}, nil
	case auth.MechanismOAuthBearer:
		return b.bearer(c, listener, class, file)
	case auth.MechanismGSSAPI:
		return b.kerberos(c, listener, file)
	}
	return madeMechanism{}, fmt.Errorf("sasl.enabled.mechanisms: this release has no mechanism %s; it has PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER and GSSAPI", name)
}

// bearer makes OAUTHBEARER. The issuer's keys must be there before the first client is.
func (b *Broker) bearer(c *config.Config, listener, class string, file config.JAASFile) (madeMechanism, error) {
	options, err := login(c, listener, auth.MechanismOAuthBearer, bearerLoginModule, file)
	if err != nil {
		return madeMechanism{}, err
	}
	transport, err := bearer.Transport(options)
	if err != nil {
		return madeMechanism{}, err
	}
	text := func(key string) string {
		v, _ := c.ListenerValue(listener, auth.MechanismOAuthBearer, "sasl.oauthbearer."+key)
		return v
	}
	number := func(key string, unit time.Duration) time.Duration {
		n, _ := strconv.ParseInt(text(key), 10, 64) // the configuration has checked it
		return time.Duration(n) * unit
	}
	url := text("jwks.endpoint.url")
	allowed := c.ListenerSwitch(listener, "barnabas.oauthbearer.unsecured.allowed")
	if unsecuredBearerHandlers[class] && !allowed {
		return madeMechanism{}, fmt.Errorf("sasl.server.callback.handler.class=%s takes tokens that nobody signed: anybody could be anybody. "+
			"Only barnabas.oauthbearer.unsecured.allowed=true lets it", class)
	}
	if unsecuredBearerHandlers[class] || class == "" && url == "" && allowed {
		return b.unsecuredBearer(listener, options)
	}
	o := bearer.Options{Issuer: text("expected.issuer"), Audience: words(text("expected.audience")),
		ScopeClaim: text("scope.claim.name"), SubClaim: text("sub.claim.name")}
	skew := number("clock.skew.seconds", time.Second)
	o.ClockSkew = &skew
	made := madeMechanism{}
	if url != "" {
		keys, err := bearer.NewKeySource(bearer.SourceOptions{URL: url, Refresh: number("jwks.endpoint.refresh.ms", time.Millisecond),
			RetryBackoff:    number("jwks.endpoint.retry.backoff.ms", time.Millisecond),
			RetryBackoffMax: number("jwks.endpoint.retry.backoff.max.ms", time.Millisecond),
			Transport:       transport,
			Logger:          b.logger.With("listener", listener)})
		if err != nil {
			return madeMechanism{}, err
		}
		o.Keys, made.check, made.run = keys, keys.Load, keys.Run
	}
	v, err := bearer.New(o)
	if err != nil {
		return madeMechanism{}, err
	}
	made.Mechanism = auth.NewOAuthBearer(auth.OAuthBearerOptions{Validator: v})
	return made, nil
}

// unsecuredBearer makes OAUTHBEARER as Kafka has it where nothing else is configured: for
// tests and first steps.
func (b *Broker) unsecuredBearer(listener string, options map[string]string) (madeMechanism, error) {
	const prefix = "unsecuredValidator"
	skewMs := int64(0)
	if text := options[prefix+"AllowableClockSkewMs"]; text != "" {
		var err error
		if skewMs, err = strconv.ParseInt(text, 10, 64); err != nil || skewMs < 0 {
			return madeMechanism{}, fmt.Errorf("option %sAllowableClockSkewMs of the OAuthBearerLoginModule is not a number of milliseconds", prefix)
		}
	}
	v := bearer.Unsecured{PrincipalClaim: options[prefix+"PrincipalClaimName"], ScopeClaim: options[prefix+"ScopeClaimName"],
		RequiredScope: strings.Fields(options[prefix+"RequiredScope"]), ClockSkew: time.Duration(skewMs) * time.Millisecond}
	b.logger.Warn("OAUTHBEARER takes tokens that nobody signed: anybody can be anybody", "listener", listener, "key", "barnabas.oauthbearer.unsecured.allowed")
	return madeMechanism{Mechanism: auth.NewOAuthBearer(auth.OAuthBearerOptions{Validator: v})}, nil
}

// login returns the options of a mechanism's login module.
func login(c *config.Config, listener, mechanism, module string, file config.JAASFile) (map[string]string, error) {
	entries, err := c.JAASOf(listener, mechanism, file)
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
