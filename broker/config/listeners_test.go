package config

import (
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// kraft is what every KRaft case below has.
const kraft = "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@h:9093\ncontroller.listener.names=CONTROLLER\n"

// TestWhatApacheRefusesToStartWith has one case for each start-up rule of Kafka's on
// listeners, identity and limits; the text must name the key at fault first.
func TestWhatApacheRefusesToStartWith(t *testing.T) {
	for _, tt := range []struct{ name, text, key, says string }{
		{"unparseable entry", "listeners=PLAINTEXT:9092", "listeners", "unable to parse"},
		{"text behind the port", "listeners=PLAINTEXT://h:9092/x", "listeners", "unable to parse"},
		{"port too large", "listeners=PLAINTEXT://h:99999", "listeners", "65535"},
		{"blank name", "listeners=://h:9092", "listeners", "empty"},
		{"empty list", "listeners=", "listeners", "no listener"},
		{"name not in the map", "listeners=FOO://:9092", "listeners", "no security protocol defined for listener FOO"},
		{"map value no protocol", "listener.security.protocol.map=A:B", "listener.security.protocol.map", "no security protocol"},
		{"map entry without colon", "listener.security.protocol.map=A", "listener.security.protocol.map", "listenerName:securityProtocol"},
		{"map name twice", "listener.security.protocol.map=A:SSL,A:PLAINTEXT", "listener.security.protocol.map", "twice"},
		{"same name twice", "listeners=PLAINTEXT://:1,PLAINTEXT://:2", "listeners", "different name"},
		{"same port twice", "listeners=PLAINTEXT://:1,A://:1\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,A:PLAINTEXT", "listeners", "different port"},
		{"two inter-broker choices", "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT", "inter.broker.listener.name", "only one"},
		{"inter-broker name not in the map", "inter.broker.listener.name=FOO", "inter.broker.listener.name", "no security protocol defined"},
		{"inter-broker name not advertised", "inter.broker.listener.name=SSL", "inter.broker.listener.name", "must be among the advertised"},
		{"inter-broker protocol not bound", "security.inter.broker.protocol=SSL", "security.inter.broker.protocol", "must be among the advertised"},
		{"only controller listeners", kraft + "listeners=CONTROLLER://:9093", "listeners", "at least one broker advertised"},
		{"advertised not bound", "advertised.listeners=SSL://h:1", "advertised.listeners", "subset"},
		{"advertised to all interfaces", "advertised.listeners=PLAINTEXT://0.0.0.0:9092", "advertised.listeners", "0.0.0.0"},
		{"bound to 0.0.0.0 and not advertised otherwise", "listeners=PLAINTEXT://0.0.0.0:9092", "listeners", "0.0.0.0"},
		{"early start of an unknown listener", "early.start.listeners=FOO", "early.start.listeners", "not among"},
		{"no connections per address", "max.connections.per.ip=0", "max.connections.per.ip", "only if"},
		{"bad override", "max.connections.per.ip.overrides=host", "max.connections.per.ip.overrides", "hostOrAddress:count"},
		{"queue smaller than a request", "queued.max.request.bytes=5", "queued.max.request.bytes", "socket.request.max.bytes"},
		{"login delay past idle time", "connections.max.idle.ms=50", "connection.failed.authentication.delay.ms", "less than"},
		{"two ids", "node.id=1\nbroker.id=2", "node.id", "same as broker.id"},
		{"unknown role", "process.roles=king", "process.roles", "broker, controller"},
		{"role twice", "process.roles=broker,broker\nnode.id=1\ncontroller.quorum.voters=2@h:1", "process.roles", "twice"},
		{"roles without id", "process.roles=broker,controller\ncontroller.quorum.voters=1@h:1\ncontroller.listener.names=CONTROLLER\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093", "node.id", "required"},
		{"roles without voters", "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093", "controller.quorum.voters", "must be set"},
		{"control plane in KRaft", kraft + "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontrol.plane.listener.name=PLAINTEXT", "control.plane.listener.name", ""},
		{"controller not among its voters", strings.Replace(kraft, "1@h", "2@h", 1) + "listeners=PLAINTEXT://:9092,CONTROLLER://:9093", "controller.quorum.voters", "must be among"},
		{"controller without names", "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@h:1", "controller.listener.names", "at least one"},
		{"controller name not bound", kraft, "controller.listener.names", "not among"},
		{"voters unparseable", strings.Replace(kraft, "1@h:9093", "h:9093", 1), "controller.quorum.voters", "{id}@{host}:{port}"},
		{"retention of nothing", "log.retention.hours=0", "log.retention.hours", "unlimited"},
		{"roll at once", "log.roll.ms=0", "log.roll.ms", "at least 1"},
		{"session timeouts crossed", "group.min.session.timeout.ms=9000\ngroup.max.session.timeout.ms=8000", "group.min.session.timeout.ms", "less than or equal"},
		{"fetch wait past lag", "replica.lag.time.max.ms=400", "replica.fetch.wait.max.ms", "replica.lag.time.max.ms"},
		{"no classic groups", "group.coordinator.rebalance.protocols=consumer", "group.coordinator.rebalance.protocols", "classic"},
		{"several voters, for now", strings.Replace(kraft, "1@h:9093", "1@h:9093,2@i:9093", 1) + "listeners=PLAINTEXT://:9092,CONTROLLER://:9093", "controller.quorum.voters", "single node"},
		{"TLS, for now", "listeners=SSL://:9093\nsecurity.inter.broker.protocol=SSL", "listeners", "will not be opened without"},
		{"somebody's authorizer", "authorizer.class.name=io.strimzi.kafka.oauth.server.authorizer.KeycloakAuthorizer", "authorizer.class.name", "cannot run the class"},
		{"tiered storage", "remote.log.storage.system.enable=true", "remote.log.storage.system.enable", "cannot do this yet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadText(t, tt.text)
			ps, ok := err.(Problems)
			if !ok || len(ps) == 0 {
				t.Fatalf("got %v, want a problem with %s", err, tt.key)
			}
			for _, p := range ps {
				if p.Name == tt.key && strings.Contains(p.Error(), tt.says) {
					return
				}
			}
			t.Errorf("got %v, want %s %q", err, tt.key, tt.says)
		})
	}
}

func TestListenersAsKafkaWritesThem(t *testing.T) {
	text := "listeners=internal://10.0.0.1:9092, External://[::]:9093 ,TLS-9094://:0,,\n" +
		"advertised.listeners=INTERNAL://broker-1:9092,EXTERNAL://[2001:db8::1]:19093,TLS-9094://:0\n" +
		"listener.security.protocol.map=internal:plaintext,External:PLAINTEXT,TLS-9094:PLAINTEXT\n" +
		"inter.broker.listener.name=internal\n" +
		"max.connections=7\nlistener.name.external.max.connections=5\n"
	b := mustLoad(t, text).Broker()
	if len(b.Listeners) != 3 {
		t.Fatalf("%+v", b.Listeners)
	}
	for i, want := range []Listener{
		{Name: "INTERNAL", Host: "10.0.0.1", Port: 9092, AdvertisedHost: "broker-1", AdvertisedPort: 9092, Advertised: true, InterBroker: true, MaxConnections: -1, MaxCreateRate: -1, NetworkThreads: 3},
		{Name: "EXTERNAL", Host: "::", Port: 9093, AdvertisedHost: "2001:db8::1", AdvertisedPort: 19093, Advertised: true, MaxConnections: 5, MaxCreateRate: -1, NetworkThreads: 3},
		{Name: "TLS-9094", AdvertisedPort: 0, Advertised: true, MaxConnections: -1, MaxCreateRate: -1, NetworkThreads: 3},
	} {
		if b.Listeners[i] != want {
			t.Errorf("got  %+v\nwant %+v", b.Listeners[i], want)
		}
	}
}

func TestOneIPv4AndOneIPv6ListenerMayShareAPort(t *testing.T) {
	mapped := "\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,A:PLAINTEXT,B:PLAINTEXT"
	mustLoad(t, "listeners=PLAINTEXT://127.0.0.1:1,A://[::1]:1"+mapped)
	for _, bad := range []string{"PLAINTEXT://127.0.0.1:1,A://127.0.0.2:1", "PLAINTEXT://127.0.0.1:1,A://[::1]:1,B://[::1]:1", "PLAINTEXT://a:1,A://[::1]:1"} {
		if _, err := loadText(t, "listeners="+bad+mapped); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestControllerListenersAreMappedButNotAdvertised(t *testing.T) {
	b := mustLoad(t, kraft+"listeners=PLAINTEXT://:9092,CONTROLLER://:9093").Broker()
	c := b.Listeners.Find("CONTROLLER")
	if c == nil || !c.Controller || c.Advertised || c.Protocol != Plaintext {
		t.Errorf("%+v", c)
	}
	if ib := b.Listeners.InterBroker(); ib == nil || ib.Name != "PLAINTEXT" {
		t.Errorf("inter-broker %+v", ib)
	}
}

func TestListenerPrefixes(t *testing.T) {
	c := mustLoad(t, "sasl.enabled.mechanisms=PLAIN\nlistener.name.a.b.sasl.enabled.mechanisms=SCRAM-SHA-256\n"+
		"connections.max.reauth.ms=1\nlistener.name.a.b.plain.connections.max.reauth.ms=2\nlistener.name.UPPER.max.connections=3\n")
	for _, tt := range []struct{ listener, mechanism, key, want string }{
		{"A.B", "", "sasl.enabled.mechanisms", "SCRAM-SHA-256"},
		{"C", "", "sasl.enabled.mechanisms", "PLAIN"},
		{"A.B", "PLAIN", "connections.max.reauth.ms", "2"},
		{"A.B", "SCRAM-SHA-256", "connections.max.reauth.ms", "1"},
		{"UPPER", "", "max.connections", "2147483647"},
	} {
		if got, _ := c.ListenerValue(tt.listener, tt.mechanism, tt.key); got != tt.want {
			t.Errorf("%+v: got %s", tt, got)
		}
	}
	warned := false
	for _, n := range c.Notes() {
		warned = warned || (n.Line == 5 && strings.Contains(n.Message, "lower case"))
	}
	if !warned {
		t.Errorf("no note on the upper-case prefix: %v", c.Notes())
	}
}

func FuzzParseEndpoints(f *testing.F) {
	f.Add("PLAINTEXT://:9092,A://[::1]:1", "A:SSL,B:PLAINTEXT")
	f.Fuzz(func(t *testing.T, listeners, protocols string) {
		defer fuzzcost.Bound(t, len(listeners)+len(protocols), 64)()
		list, err := parseEndpoints(listeners)
		for _, e := range list {
			if err == nil && (e.name == "" || e.port < 0 || e.port > 65535) {
				t.Fatalf("%q gave %+v", listeners, e)
			}
		}
		samePortTwice(list)
		_, _ = parseProtocolMap(protocols)
	})
}
