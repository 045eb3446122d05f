package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// SecurityProtocol is what runs on a listener's connections. The numbers are Kafka's.
type SecurityProtocol int16

// The security protocols.
const (
	Plaintext     SecurityProtocol = 0
	SSL           SecurityProtocol = 1
	SaslPlaintext SecurityProtocol = 2
	SaslSSL       SecurityProtocol = 3
)

var protocolNames = [...]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}

// String returns Kafka's name of the protocol.
func (p SecurityProtocol) String() string { return protocolNames[p] }

// TLS says whether connections are encrypted.
func (p SecurityProtocol) TLS() bool { return p == SSL || p == SaslSSL }

// SASL says whether clients log in by SASL.
func (p SecurityProtocol) SASL() bool { return p == SaslPlaintext || p == SaslSSL }

func parseSecurityProtocol(s string) (SecurityProtocol, bool) {
	for i, name := range protocolNames {
		if strings.EqualFold(name, s) {
			return SecurityProtocol(i), true
		}
	}
	return 0, false
}

// Listener is one socket to bind.
type Listener struct {
	Name     string // upper case
	Host     string // empty: all interfaces; an IPv6 address has no brackets
	Port     int    // 0: any free one
	Protocol SecurityProtocol

	// AdvertisedHost and AdvertisedPort are what Metadata answers. An empty host stands for
	// the machine's own name and port 0 for the port that was bound.
	AdvertisedHost string
	AdvertisedPort int
	Advertised     bool // false: not for clients (a controller listener)

	Controller     bool // in controller.listener.names
	InterBroker    bool // the one that brokers talk through
	MaxConnections int  // listener.name.<l>.max.connections; -1: only the broker's limit
	MaxCreateRate  int  // listener.name.<l>.max.connection.creation.rate; -1: only the broker's limit
	NetworkThreads int  // listener.name.<l>.num.network.threads or the broker's
}

// Listeners is all sockets of a broker in the order written.
type Listeners []Listener

// Find returns the listener of a name, or nil.
func (ls Listeners) Find(name string) *Listener {
	for i := range ls {
		if ls[i].Name == name {
			return &ls[i]
		}
	}
	return nil
}

// InterBroker returns the listener that brokers talk through, or nil.
func (ls Listeners) InterBroker() *Listener {
	for i := range ls {
		if ls[i].InterBroker {
			return &ls[i]
		}
	}
	return nil
}

// endpoint is one parsed entry of listeners or advertised.listeners.
type endpoint struct {
	name string
	host string
	port int
}

// A host that is neither name nor number nor bracketed address does not match.
var endpointPattern = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

// parseEndpoints reads the value of listeners or advertised.listeners.
func parseEndpoints(value string) ([]endpoint, error) {
	var list []endpoint
	for _, entry := range splitCSV(value) {
		m := endpointPattern.FindStringSubmatch(entry)
		if m == nil {
			return nil, fmt.Errorf("unable to parse %s to a broker endpoint", entry)
		}
		port, err := strconv.Atoi(m[3])
		if err != nil || port > 65535 {
			return nil, fmt.Errorf("port %s of %s is not between 0 and 65535", m[3], entry)
		}
		if port < 0 {
			return nil, fmt.Errorf("port of %s is negative", entry)
		}
		name := strings.ToUpper(trim(m[1]))
		if name == "" {
			return nil, fmt.Errorf("listener name of %s is empty", entry)
		}
		list = append(list, endpoint{name: name, host: m[2], port: port})
	}
	for i, e := range list {
		for _, other := range list[:i] {
			if e.name == other.name {
				return nil, fmt.Errorf("each listener must have a different name, %s is there twice", e.name)
			}
		}
	}
	return list, nil
}

// samePortTwice names a port other than 0 that two entries bind. One IPv4 and one IPv6
// literal may share one.
func samePortTwice(list []endpoint) (port int, twice bool) {
	byPort := make(map[int][]endpoint)
	for _, e := range list {
		if e.port != 0 {
			byPort[e.port] = append(byPort[e.port], e)
		}
	}
	for _, e := range list {
		same := byPort[e.port]
		if len(same) < 2 {
			continue
		}
		if len(same) == 2 && oneOfEachFamily(same[0].host, same[1].host) {
			continue
		}
		return e.port, true
	}
	return 0, false
}

func oneOfEachFamily(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return errX == nil && errY == nil && x.Is4() != y.Is4()
}

// parseProtocolMap reads listener.security.protocol.map.
func parseProtocolMap(value string) (map[string]SecurityProtocol, error) {
	m := make(map[string]SecurityProtocol)
	for _, e := range splitCSV(value) {
		name, protocol, ok := cutLast(e, ':')
		name = strings.ToUpper(trim(name))
		if !ok || name == "" {
			return nil, fmt.Errorf("%s is not of the form listenerName:securityProtocol", e)
		}
		p, ok := parseSecurityProtocol(trim(protocol))
		if !ok {
			return nil, fmt.Errorf("%s is no security protocol", trim(protocol))
		}
		if _, twice := m[name]; twice {
			return nil, fmt.Errorf("listener %s is there twice", name)
		}
		m[name] = p
	}
	return m, nil
}

// listenerRules works the listeners out of the effective values and reports each rule of
// Kafka's that they break against the key at fault.
type listenerRules struct {
	c    *Config
	fail func(key, format string, args ...any)

	protocols   map[string]SecurityProtocol
	controllers []string // controller.listener.names
}

func (c *Config) listeners(fail func(key, format string, args ...any)) Listeners {
	r := listenerRules{c: c, fail: fail}
	r.controllers = append(r.controllers, splitCSV(c.text("controller.listener.names"))...)
	bound, err := parseEndpoints(c.listenersValue())
	if err != nil {
		fail("listeners", "%v", err)
		return nil
	}
	if len(bound) == 0 {
		fail("listeners", "there is no listener to bind")
		return nil
	}
	if port, twice := samePortTwice(bound); twice {
		fail("listeners", "each listener must have a different port unless exactly one listener has an IPv4 address and the other IPv6 address, %d is there twice", port)
	}
	if !r.readProtocols(bound) {
		return nil
	}
	list := r.build(bound)
	r.advertise(list)
	r.pickInterBroker(list)
	r.checkNames(list)
	return list
}

// listenersValue is listeners, or what the keys removed in Kafka 3.0 say if only they are set.
func (c *Config) listenersValue() string {
	if c.IsSet("listeners") {
		return c.text("listeners")
	}
	port, portSet := c.static["port"]
	host, hostSet := c.static["host.name"]
	if !portSet && !hostSet {
		return c.text("listeners")
	}
	if !portSet {
		port.Value = "9092"
	}
	return "PLAINTEXT://" + bracketed(host.Value) + ":" + port.Value
}

// advertisedValue is advertised.listeners, else what its removed predecessors say, else "".
func (c *Config) advertisedValue() string {
	if v, ok := c.Value("advertised.listeners"); ok {
		return v
	}
	host, hostSet := c.static["advertised.host.name"]
	port, portSet := c.static["advertised.port"]
	if c.IsSet("listeners") || (!hostSet && !portSet) {
		return ""
	}
	if !hostSet {
		host.Value = c.static["host.name"].Value
	}
	if !portSet {
		port.Value = "9092"
		if p, ok := c.static["port"]; ok {
			port.Value = p.Value
		}
	}
	return "PLAINTEXT://" + bracketed(host.Value) + ":" + port.Value
}

func bracketed(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}

// readProtocols reads the map, with Kafka's implicit entries for controller listeners.
func (r *listenerRules) readProtocols(bound []endpoint) bool {
	protocols, err := parseProtocolMap(r.c.text("listener.security.protocol.map"))
	if err != nil {
		r.fail("listener.security.protocol.map", "%v", err)
		return false
	}
	r.protocols = protocols
	if r.c.IsSet("listener.security.protocol.map") {
		return true
	}
	secure := func(name string) bool {
		p, ok := parseSecurityProtocol(name)
		return ok && p != Plaintext
	}
	for _, e := range bound {
		if secure(e.name) {
			return true
		}
	}
	for _, name := range r.controllers {
		if secure(name) {
			return true
		}
	}
	for _, name := range r.controllers {
		if _, ok := protocols[name]; !ok {
			protocols[name] = Plaintext
		}
	}
	return true
}

func (r *listenerRules) build(bound []endpoint) Listeners {
	list := make(Listeners, 0, len(bound))
	for _, e := range bound {
		p, ok := r.protocols[e.name]
		if !ok {
			r.fail("listeners", "no security protocol defined for listener %s in listener.security.protocol.map", e.name)
			continue
		}
		l := Listener{Name: e.name, Host: e.host, Port: e.port, Protocol: p,
			Controller: contains(r.controllers, e.name)}
		l.MaxConnections = r.limit(e.name, "max.connections", -1)
		l.MaxCreateRate = r.limit(e.name, "max.connection.creation.rate", -1)
		l.NetworkThreads = r.limit(e.name, "num.network.threads", r.c.integer("num.network.threads"))
		list = append(list, l)
	}
	return list
}

// limit is a listener's own value of a number, or else the given one.
func (r *listenerRules) limit(listener, key string, otherwise int) int {
	s, ok := r.c.lookup(listenerPrefix + lower(listener) + "." + key)
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(s.Value)
	if err != nil {
		return otherwise
	}
	return n
}

func (r *listenerRules) advertise(list Listeners) {
	value := r.c.advertisedValue()
	explicit := value != ""
	if !explicit {
		for i := range list {
			if l := &list[i]; !l.Controller {
				l.Advertised, l.AdvertisedHost, l.AdvertisedPort = true, l.Host, l.Port
			}
		}
		r.checkAdvertisedHosts(list, "listeners")
		return
	}
	advertised, err := parseEndpoints(value)
	if err != nil {
		r.fail("advertised.listeners", "%v", err)
		return
	}
	for _, e := range advertised {
		if _, ok := r.protocols[e.name]; !ok {
			r.fail("advertised.listeners", "no security protocol defined for listener %s in listener.security.protocol.map", e.name)
			continue
		}
		l := list.Find(e.name)
		if l == nil {
			if !contains(r.controllers, e.name) {
				r.fail("advertised.listeners", "advertised listener names must be equal to or a subset of the ones defined in listeners, %s is not among them", e.name)
			}
			continue
		}
		l.AdvertisedHost, l.AdvertisedPort = e.host, e.port
		l.Advertised = !l.Controller
	}
	r.checkAdvertisedHosts(list, "advertised.listeners")
}

func (r *listenerRules) checkAdvertisedHosts(list Listeners, key string) {
	some := false
	for i := range list {
		l := &list[i]
		if !l.Advertised {
			continue
		}
		some = true
		if l.AdvertisedHost != "0.0.0.0" {
			continue
		}
		if key == "listeners" {
			r.fail(key, "%s binds 0.0.0.0, which clients cannot connect to: write the host as nothing (%s://:%d) to bind all interfaces, or set advertised.listeners to a routable address",
				l.Name, l.Name, l.Port)
		} else {
			r.fail(key, "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address")
		}
	}
	if !some && len(list) > 0 {
		r.fail(key, "there must be at least one broker advertised listener; all of them are named in controller.listener.names or missing from advertised.listeners")
	}
}

func (r *listenerRules) pickInterBroker(list Listeners) {
	name, key := "", "inter.broker.listener.name"
	if v, ok := r.c.Value(key); ok {
		name = strings.ToUpper(v)
		if r.c.IsSet("security.inter.broker.protocol") {
			r.fail(key, "only one of inter.broker.listener.name and security.inter.broker.protocol should be set")
		}
		if _, ok := r.protocols[name]; !ok {
			r.fail(key, "no security protocol defined for listener %s in listener.security.protocol.map", name)
			return
		}
	} else {
		key = "security.inter.broker.protocol"
		name = r.c.text(key)
	}
	l := list.Find(name)
	if l == nil || !l.Advertised {
		// A default that fits none of one broker's listeners hurts nobody until a second
		// broker is there; Apache refuses it and so do we where somebody chose it.
		r.fail(key, "inter-broker listener %s must be among the advertised listeners", name)
		return
	}
	l.InterBroker = true
	if !l.Protocol.SASL() {
		return
	}
	mechanism := r.c.text("sasl.mechanism.inter.broker.protocol")
	enabled, _ := r.c.ListenerValue(name, "", "sasl.enabled.mechanisms")
	if !contains(splitList(enabled), mechanism) {
		r.fail("sasl.mechanism.inter.broker.protocol", "%s is not enabled on inter-broker listener %s, whose sasl.enabled.mechanisms is %s", mechanism, name, enabled)
	}
}

// checkNames holds early.start.listeners and controller.listener.names against the listeners.
func (r *listenerRules) checkNames(list Listeners) {
	for _, name := range splitCSV(r.c.text("early.start.listeners")) {
		if list.Find(strings.ToUpper(name)) == nil && !contains(r.controllers, strings.ToUpper(name)) {
			r.fail("early.start.listeners", "%s is not among the listeners", name)
		}
	}
	if len(r.c.list("process.roles")) == 0 {
		return
	}
	if contains(r.c.list("process.roles"), "controller") {
		if len(r.controllers) == 0 {
			r.fail("controller.listener.names", "must contain at least one value when process.roles contains controller")
		}
		for _, name := range r.controllers {
			if list.Find(name) == nil {
				r.fail("controller.listener.names", "%s is not among the listeners, as it must be on a controller (names are compared as written, in upper case)", name)
			}
		}
	}
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func lower(s string) string { return strings.ToLower(s) }
