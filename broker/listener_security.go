package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/tlsconf"
	"github.com/barnabas-broker/barnabas/broker/config"
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

	tlsOptional bool           // clients may come without TLS
	anonymous   auth.Principal // who clients are that prove nothing
	addresses   addressMap     // and who they are by their address
}

// asks says whether clients have something to prove, or to shake hands for.
func (s *listenerSecurity) asks() bool { return s.tls != nil || s.gate != nil }

// changes says whether a connection may come to be another principal's than it was.
func (s *listenerSecurity) changes() bool {
	return s.gate != nil && (s.gate.Anonymous || s.gate.ChangePrincipal != nil)
}

// stranger is who a client is that proves nothing, and whether its address says so.
func (s *listenerSecurity) stranger(ip netip.Addr) (p auth.Principal, mapped bool) {
	if p, ok := s.addresses.find(ip); ok {
		return p, true
	}
	return s.anonymous, false
}

// secure makes what a listener's protocol asks for. A listener that asks for what we do not
// have is not opened with less.
func (b *Broker) secure(ctx context.Context, l config.Listener) (s listenerSecurity, err error) {
	if err := b.readStrangers(&s, l); err != nil {
		return s, err
	}
	if l.Protocol.TLS() {
		if s.files, err = tlsconf.NewServer(b.tlsOptions(b.config(), l)); err != nil {
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
func (b *Broker) tlsOptions(c *config.Config, l config.Listener) tlsconf.Options {
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
		AllowDNChanges:  c.ListenerSwitch(l.Name, "ssl.allow.dn.changes"),
		AllowSANChanges: c.ListenerSwitch(l.Name, "ssl.allow.san.changes"),
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
		if err := l.security.files.Alter(b.tlsOptions(b.config(), l.cfg)); err != nil {
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
		m := &liveMechanism{listener: l.Name, name: name}
		if err := m.open(ctx, b, c, file); err != nil {
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
	g.Anonymous = b.config().ListenerSwitch(l.Name, "barnabas.sasl.anonymous.enable")
	if b.config().ListenerSwitch(l.Name, "barnabas.su.enable") {
		if g.ChangePrincipal, err = principalChanges(c.Broker().Authorization.SuperUsers); err != nil {
			return nil, err
		}
	}
	return g, nil
}
