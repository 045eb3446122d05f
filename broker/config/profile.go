package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Weakness is a setting that lets somebody in, read or do more than is safe. The broker
// warns of it at start; security.profile=strict makes it a reason not to start.
type Weakness struct {
	Key  string // the one to change
	Text string // what it means, a sentence without an end
	// Local says that only this machine can make use of it; nobody is warned then.
	Local bool
}

// strictProfile is the value of security.profile that refuses weaknesses.
const strictProfile = "strict"

// Weaknesses returns everything in the settings that is weak, each once. What is in files
// that they name (users, certificates) is not looked at.
func (c *Config) Weaknesses() []Weakness {
	var list []Weakness
	add := func(local bool, key, format string, args ...any) {
		w := Weakness{key, fmt.Sprintf(format, args...), local}
		if !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	anyAuthenticates := false
	allLocal := true
	for i := range c.broker.Listeners {
		l := &c.broker.Listeners[i]
		if l.Controller {
			continue
		}
		local := isLoopback(l.Host)
		allLocal = allLocal && local
		anyAuthenticates = c.weakListener(l, func(key, format string, args ...any) { add(local, key, format, args...) }) || anyAuthenticates
	}
	a := c.broker.Authorization
	if a.ClassName == "" {
		add(allLocal || !anyAuthenticates, "authorizer.class.name", "there is no authorizer: whoever connects may do everything")
	}
	if a.AllowEveryoneIfNoACLFound {
		add(false, "allow.everyone.if.no.acl.found", "everybody may do everything with what no ACL speaks of, topics yet to be made among them")
	}
	if a.DryRun {
		add(false, "barnabas.acl.dry.run", "ACLs ARE NOT IN FORCE: what they refuse is reported and let pass")
	}
	for _, user := range strings.Split(a.SuperUsers, ";") {
		if user = strings.TrimSpace(user); user == "User:ANONYMOUS" || user == "User:*" {
			add(allLocal, "super.users", "%s is a super user, and clients that prove nothing may do everything", user)
		}
	}
	if host, _, err := net.SplitHostPort(c.broker.AdminListener); err == nil && !isLoopback(host) {
		add(false, "barnabas.admin.listener", "the administration port asks for no password and is open to other machines; its profiles show memory")
	}
	return list
}

// weakListener reports what is weak about one listener, and whether it asks its clients who
// they are.
func (c *Config) weakListener(l *Listener, add func(key, format string, args ...any)) (authenticates bool) {
	prefixed := listenerPrefix + lower(l.Name) + "."
	at := l.Name + " (" + net.JoinHostPort(l.Host, strconv.Itoa(l.Port)) + ")"
	value := func(key string) string { v, _ := c.ListenerValue(l.Name, "", key); return v }
	key := func(name string) string {
		if c.IsSet(prefixed + name) {
			return prefixed + name
		}
		return name
	}
	optional := c.ListenerSwitch(l.Name, "barnabas.tls.optional.enable")
	switch l.Protocol {
	case Plaintext:
		add("listeners", "listener %s asks nobody who they are, and what goes over it can be read and changed", at)
		if m, ok := c.ListenerValue(l.Name, "", "barnabas.address.principals"); ok && m != "" {
			add(key("barnabas.address.principals"), "listener %s takes an address for an identity", at)
		}
		return false
	case SSL:
		authenticates = value("ssl.client.auth") == "required"
		if !authenticates {
			add(key("ssl.client.auth"), "listener %s does not require a certificate of its clients", at)
		}
	case SaslPlaintext:
		authenticates = true
		add("listeners", "listener %s does not encrypt: what goes over it can be read and changed", at)
		if contains(splitCSV(value("sasl.enabled.mechanisms")), "PLAIN") {
			add(key("sasl.enabled.mechanisms"), "on listener %s passwords go over the network as they are (PLAIN without TLS)", at)
		}
	case SaslSSL:
		authenticates = true
	}
	if optional {
		add(key("barnabas.tls.optional.enable"), "listener %s also serves clients without TLS", at)
	}
	if l.Protocol.TLS() {
		c.weakTLS(l, at, value, key, add)
	}
	if !l.Protocol.SASL() {
		return authenticates
	}
	if c.ListenerSwitch(l.Name, "barnabas.sasl.anonymous.enable") {
		add(key("barnabas.sasl.anonymous.enable"), "listener %s serves clients that have not logged in", at)
		authenticates = false
	}
	if contains(splitCSV(value("sasl.enabled.mechanisms")), "OAUTHBEARER") {
		c.weakBearer(l, at, add)
	}
	return authenticates
}

// weakCiphers are parts of the names of cipher suites that no client of today needs: static
// RSA keys, and modes that attacks are known on.
var weakCiphers = []string{"_RC4_", "_3DES_", "_CBC_", "TLS_RSA_", "SSL_RSA_"}

func (c *Config) weakTLS(l *Listener, at string, value, key func(string) string, add func(key, format string, args ...any)) {
	for _, version := range splitCSV(value("ssl.enabled.protocols")) {
		if version == "TLSv1" || version == "TLSv1.1" {
			add(key("ssl.enabled.protocols"), "listener %s allows %s", at, version)
		}
	}
	for _, suite := range splitCSV(value("ssl.cipher.suites")) {
		if slices.ContainsFunc(weakCiphers, func(part string) bool { return strings.Contains(suite, part) }) {
			add(key("ssl.cipher.suites"), "listener %s allows the weak cipher suite %s", at, suite)
		}
	}
	auth := value("ssl.client.auth")
	if l.Protocol.SASL() && !c.IsSet(listenerPrefix+lower(l.Name)+".ssl.client.auth") {
		auth = "none"
	}
	if auth != "" && auth != "none" && value("ssl.truststore.location") == "" && value("ssl.truststore.certificates") == "" {
		add(key("ssl.truststore.location"), "listener %s takes client certificates of every authority that this machine trusts, all public ones among them", at)
	}
}

func (c *Config) weakBearer(l *Listener, at string, add func(key, format string, args ...any)) {
	value := func(name string) string {
		v, _ := c.ListenerValue(l.Name, "OAUTHBEARER", "sasl.oauthbearer."+name)
		return v
	}
	if c.ListenerSwitch(l.Name, "barnabas.oauthbearer.unsecured.allowed") {
		add("barnabas.oauthbearer.unsecured.allowed", "listener %s may take tokens that nobody signed: anybody can be anybody", at)
	}
	if url := value("jwks.endpoint.url"); strings.HasPrefix(strings.ToLower(url), "http://") {
		add("sasl.oauthbearer.jwks.endpoint.url", "listener %s fetches the keys that tokens are checked with without TLS", at)
	}
}

// isLoopback says whether only this machine reaches a host.
func isLoopback(host string) bool {
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.Unmap().IsLoopback() || host == "localhost"
}

// CheckProfile says why security.profile=strict does not let the settings be in force; nil
// where it does, and with any other profile.
func (c *Config) CheckProfile() error {
	if c.text("security.profile") != strictProfile {
		return nil
	}
	for _, w := range c.Weaknesses() {
		return fmt.Errorf("%s: security.profile=strict: %s", w.Key, w.Text)
	}
	return nil
}

// checkProfile refuses weaknesses where the profile says so.
func (l *loader) checkProfile() {
	if l.c.text("security.profile") != strictProfile {
		return
	}
	for _, w := range l.c.Weaknesses() {
		l.failKey(w.Key, "security.profile=strict: %s", w.Text)
	}
}
