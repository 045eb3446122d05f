package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/auth/tlsconf"
	"github.com/barnabas-broker/barnabas/broker"
	"github.com/barnabas-broker/barnabas/broker/config"
)

// listener looks at one listener: its socket, what clients are told of it, its certificate,
// its mechanisms.
func (x *examination) listener(ctx context.Context, l config.Listener) {
	running := x.socket(ctx, l)
	if l.Advertised {
		x.advertisement(ctx, l, running)
	}
	check := broker.CheckListener(ctx, x.c, l, x.o.Offline)
	switch {
	case check.TLSErr != nil:
		x.add("certificate", Problem, "", "listener %s: %v", l.Name, check.TLSErr)
	case check.TLS != nil:
		x.certificate(l, check.TLS)
	}
	if check.StrangersErr != nil {
		x.add("security", Problem, "", "listener %s: %v", l.Name, check.StrangersErr)
	}
	if check.SASLErr != nil {
		x.add("sasl", Problem, "", "listener %s: %v", l.Name, check.SASLErr)
	}
	for _, m := range check.Mechanisms {
		switch {
		case m.Skipped:
			x.add("sasl", Skipped, "", "listener %s: %s needs other machines", l.Name, m.Name)
		case m.Err != nil:
			x.add("sasl", Problem, "", "listener %s: %s: %v", l.Name, m.Name, m.Err)
		case m.Name == "PLAIN" && x.noUsers(l):
			x.add("sasl", Warning, `user_NAME="password" in the options of its PlainLoginModule.`, "listener %s: PLAIN has no users: nobody can log in by it", l.Name)
		default:
			x.add("sasl", OK, "", "listener %s: %s", l.Name, m.Name)
		}
	}
	if l.Advertised {
		x.client(l)
	}
}

// noUsers says whether the listener's PlainLoginModule, if it stands in the configuration,
// names no user.
func (x *examination) noUsers(l config.Listener) bool {
	entries, err := x.c.JAASOf(l.Name, "PLAIN", nil)
	if err != nil {
		return false // it stands in a file
	}
	for _, e := range entries {
		for _, o := range e.Options {
			if strings.HasPrefix(o.Name, "user_") {
				return false
			}
		}
	}
	return true
}

// socket says whether the listener's port is free, or a broker has it already.
func (x *examination) socket(ctx context.Context, l config.Listener) (running bool) {
	if l.Port == 0 {
		x.add("listener", OK, "", "listener %s takes any free port", l.Name)
		return false
	}
	err := x.s.Listen(ctx, address(l))
	if err == nil {
		x.add("listener", OK, "", "listener %s can bind %s", l.Name, address(l))
		return false
	}
	host := l.Host
	if a, e := netip.ParseAddr(host); host == "" || e == nil && a.IsUnspecified() {
		host = "localhost"
	}
	r, probeErr := x.s.Probe(ctx, net.JoinHostPort(host, fmt.Sprint(l.Port)))
	switch {
	case probeErr == nil && r.Kafka:
		x.add("listener", Warning, "If that is this broker, all is well.", "listener %s: a broker runs on %s already; it %s", l.Name, address(l), r.String())
		return true
	case probeErr == nil:
		x.add("listener", Problem, "Stop it, or take another port.", "listener %s: something that is no broker has %s", l.Name, address(l))
	default:
		x.add("listener", Problem, "", "listener %s cannot bind %s: %v", l.Name, address(l), err)
	}
	return false
}

// advertisement says whether clients can make anything of what they are told.
func (x *examination) advertisement(ctx context.Context, l config.Listener, running bool) {
	host, port := x.advertised(l)
	told := net.JoinHostPort(host, port)
	if a, err := netip.ParseAddr(host); err == nil {
		if a.IsLoopback() && !isLoopback(l.Host) {
			x.add("listener", Warning, "advertised.listeners names the address that clients use.", "listener %s tells clients %s, which is each client's own machine", l.Name, told)
		}
		return
	}
	if x.o.Offline {
		return
	}
	addresses, err := x.s.Resolve(ctx, host)
	switch {
	case err != nil:
		status, do := Problem, "advertised.listeners names a host that clients can resolve."
		if l.AdvertisedHost == "" {
			do = "It is this machine's own name. " + do
		}
		x.add("listener", status, do, "listener %s tells clients %s, and the name cannot be resolved here: %v", l.Name, told, err)
		return
	case len(addresses) > 0 && addresses[0].Unmap().IsLoopback() && host != "localhost" && !isLoopback(l.Host):
		x.add("listener", Warning, "Other machines may resolve it to another address; /etc/hosts is the usual reason.", "listener %s tells clients %s, which is %v here", l.Name, told, addresses[0].Unmap())
		return
	}
	if running {
		if _, err := x.s.Probe(ctx, told); err != nil {
			x.add("listener", Problem, "A firewall, or the wrong port in advertised.listeners.", "listener %s tells clients %s, and nobody answers there: %v", l.Name, told, err)
			return
		}
	}
	x.add("listener", OK, "", "listener %s tells clients %s", l.Name, told)
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback() || host == "localhost"
}

// soon is how long before its end a certificate is complained of.
const soon = 30 * 24 * time.Hour

// certificate looks at what a listener shows its clients.
func (x *examination) certificate(l config.Listener, s *tlsconf.Server) {
	for _, w := range s.Warnings() {
		x.add("certificate", Warning, "", "listener %s: %s", l.Name, w)
	}
	for _, e := range s.Expiries() {
		left := e.NotAfter.Sub(x.s.Now())
		what := fmt.Sprintf("listener %s: the %s certificate %s", l.Name, e.Role, e.Subject)
		switch {
		case left < 0 && e.Role == "trusted":
			x.add("certificate", Warning, "", "%s has run out on %s: nobody it has signed gets in", what, e.NotAfter.Format(time.DateOnly))
		case left < 0:
			x.add("certificate", Problem, "", "%s has run out on %s: clients refuse it", what, e.NotAfter.Format(time.DateOnly))
		case left < soon:
			x.add("certificate", Warning, "", "%s runs out on %s", what, e.NotAfter.Format(time.DateOnly))
		}
	}
	config, err := s.Config().GetConfigForClient(nil)
	if err != nil || len(config.Certificates) == 0 {
		return
	}
	leaf := config.Certificates[0].Leaf
	if x.s.Now().Before(leaf.NotBefore) {
		x.add("certificate", Problem, "Look at this machine's clock.", "listener %s: the certificate is good only from %s", l.Name, leaf.NotBefore.Format(time.RFC3339))
	}
	x.chain(l, config.Certificates[0].Certificate)
	if host, _ := x.advertised(l); l.Advertised {
		if err := leaf.VerifyHostname(host); err != nil {
			do := "Get a certificate for the host that advertised.listeners names: barnabas cert server, for tests."
			if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
				do = "It has no subject alternative name; its CN counts for Java's clients only. " + do
			}
			x.add("certificate", Problem, do, "listener %s tells clients %s, and the certificate is not for it: %v", l.Name, host, err)
			return
		}
	}
	x.add("certificate", OK, "", "listener %s: %s, good until %s", l.Name, describe(leaf), leaf.NotAfter.Format(time.DateOnly))
}

func describe(c *x509.Certificate) string {
	if dn, err := tlsconf.FormatDN(c.RawSubject); err == nil {
		return dn
	}
	return c.Subject.String()
}

// chain looks whether each certificate is signed by the next, up to an authority.
func (x *examination) chain(l config.Listener, raw [][]byte) {
	var chain []*x509.Certificate
	for _, der := range raw {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		chain = append(chain, c)
	}
	for i, c := range chain {
		switch {
		case string(c.RawIssuer) == string(c.RawSubject): // the root
		case i+1 == len(chain) && i == 0:
			x.add("certificate", Warning, "Where an intermediate authority has signed it, its certificate belongs into the key store too.",
				"listener %s: the key store holds only the broker's own certificate, without that of %s", l.Name, c.Issuer)
		case i+1 < len(chain) && c.CheckSignatureFrom(chain[i+1]) != nil:
			x.add("certificate", Problem, "The chain begins with the broker's certificate, each one signed by the next.", "listener %s: %s is not signed by %s, which comes next in the key store",
				l.Name, describe(c), describe(chain[i+1]))
			return
		}
	}
	usage := chain[0].ExtKeyUsage
	for _, u := range usage {
		if u == x509.ExtKeyUsageServerAuth || u == x509.ExtKeyUsageAny {
			return
		}
	}
	if len(usage) > 0 {
		x.add("certificate", Problem, "", "listener %s: the certificate is not for servers (extended key usage)", l.Name)
	}
}

// client says what a client of the listener needs.
func (x *examination) client(l config.Listener) {
	host, port := x.advertised(l)
	c := Client{Listener: l.Name, Address: net.JoinHostPort(host, port), SecurityProtocol: l.Protocol.String()}
	var p strings.Builder
	fmt.Fprintf(&p, "bootstrap.servers=%s\nsecurity.protocol=%s\n", c.Address, c.SecurityProtocol)
	if l.Protocol.TLS() {
		c.Certificate, _ = x.c.ListenerValue(l.Name, "", "ssl.client.auth")
		if c.Certificate == "" || l.Protocol.SASL() && !x.c.IsSet("listener.name."+strings.ToLower(l.Name)+".ssl.client.auth") {
			c.Certificate = "none"
		}
		p.WriteString("ssl.truststore.type=PEM\nssl.truststore.location=<the authority's certificate>\n")
		if c.Certificate != "none" {
			fmt.Fprintf(&p, "# a certificate of the client is %s:\nssl.keystore.type=PEM\nssl.keystore.location=<key and certificate>\n", c.Certificate)
		}
	}
	if l.Protocol.SASL() {
		text, _ := x.c.ListenerValue(l.Name, "", "sasl.enabled.mechanisms")
		for _, m := range strings.Split(text, ",") {
			c.Mechanisms = append(c.Mechanisms, strings.TrimSpace(m))
		}
		m := best(c.Mechanisms)
		fmt.Fprintf(&p, "sasl.mechanism=%s\n", m)
		switch m {
		case "GSSAPI":
			p.WriteString("sasl.kerberos.service.name=kafka\nsasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true keyTab=\"<file>\" principal=\"<name@REALM>\";\n")
		case "OAUTHBEARER":
			p.WriteString("sasl.oauthbearer.token.endpoint.url=<the issuer's>\nsasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=\"<id>\" clientSecret=\"<secret>\";\n")
		case "PLAIN":
			p.WriteString("sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username=\"<name>\" password=\"<password>\";\n")
		default:
			p.WriteString("sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username=\"<name>\" password=\"<password>\";\n")
		}
	}
	c.Properties = p.String()
	x.Clients = append(x.Clients, c)
}

// best is the mechanism to advise.
func best(mechanisms []string) string {
	for _, m := range []string{"SCRAM-SHA-512", "SCRAM-SHA-256", "GSSAPI", "OAUTHBEARER", "PLAIN"} {
		for _, have := range mechanisms {
			if have == m {
				return m
			}
		}
	}
	return "PLAIN"
}
