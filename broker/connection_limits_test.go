package broker

import (
	"context"
	"log/slog"
	"math"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-broker/barnabas/broker/config"
)

func limitsOf(network config.Network, listeners ...config.Listener) *connectionLimits {
	if network.MaxConnections == 0 {
		network.MaxConnections = math.MaxInt32
	}
	if network.MaxConnectionsPerIP == 0 {
		network.MaxConnectionsPerIP = math.MaxInt32
	}
	if network.MaxConnectionCreationRate == 0 {
		network.MaxConnectionCreationRate = math.MaxInt32
	}
	c := &config.Broker{Network: network, Listeners: listeners, Quota: config.Quota{WindowSize: time.Second, WindowCount: 11}}
	l := newConnectionLimits(c, slog.New(slog.DiscardHandler))
	l.configure(context.Background(), c)
	return l
}

func oneListener(name string) config.Listener {
	return config.Listener{Name: name, MaxConnections: -1, MaxCreateRate: -1}
}

var here = netip.MustParseAddr("10.0.0.1")

func TestTheAcceptorWaitsForAPlaceAndForNothingElse(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func() *connectionLimits
	}{
		{"max.connections", func() *connectionLimits { return limitsOf(config.Network{MaxConnections: 2}, oneListener("A")) }},
		{"listener's max.connections", func() *connectionLimits {
			l := oneListener("A")
			l.MaxConnections = 2
			return limitsOf(config.Network{}, l, oneListener("B"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := tt.make()
				l.admit("A", here)
				l.admit("A", here)
				admitted := make(chan connectionVerdict, 1)
				go func() {
					v, _ := l.admit("A", here)
					admitted <- v
				}()
				synctest.Wait()
				if len(admitted) != 0 {
					t.Fatal("a third connection was admitted")
				}
				if l.listeners["B"] != nil {
					if v, _ := l.admit("B", here); v != connectionServed {
						t.Fatal("another listener waits too")
					}
				}
				l.gone("A", here)
				if v := <-admitted; v != connectionServed {
					t.Fatal(v)
				}
				go func() {
					v, _ := l.admit("A", here)
					admitted <- v
				}()
				synctest.Wait()
				l.close()
				if v := <-admitted; v != connectionsClosed {
					t.Fatal(v)
				}
			})
		})
	}
}

func TestTheInterBrokerListenerIsExemptWhereItIsNotTheOnlyOne(t *testing.T) {
	internal := oneListener("INTERNAL")
	internal.InterBroker = true
	l := limitsOf(config.Network{MaxConnections: 1, MaxConnectionCreationRate: 1}, internal, oneListener("CLIENT"))
	l.admit("CLIENT", here)
	for range 100 {
		if v, evict := l.admit("INTERNAL", here); v != connectionServed || !evict {
			t.Fatal(v, evict)
		}
	}
	if l.excess() != 100 {
		t.Error(l.excess())
	}
}

func TestConnectionsPerAddressAreRefusedAtOnce(t *testing.T) {
	l := limitsOf(config.Network{MaxConnectionsPerIP: 1, MaxConnectionsPerIPOverrides: map[string]int{"10.0.0.1": 3, "[::1]": 0}}, oneListener("A"))
	for i, tt := range []struct {
		ip   string
		want connectionVerdict
	}{
		{"10.0.0.1", connectionServed}, {"10.0.0.1", connectionServed}, {"10.0.0.1", connectionServed}, {"10.0.0.1", connectionRefused},
		{"10.0.0.2", connectionServed}, {"10.0.0.2", connectionRefused}, {"::1", connectionRefused},
	} {
		if v, _ := l.admit("A", netip.MustParseAddr(tt.ip)); v != tt.want {
			t.Errorf("%d: %s: %v, want %v", i, tt.ip, v, tt.want)
		}
	}
	if l.total != 4 || l.listeners["A"].count != 4 {
		t.Error("refused connections are counted", l.total)
	}
}

func TestHostNamesOfOverridesAreResolved(t *testing.T) {
	l := limitsOf(config.Network{MaxConnectionsPerIP: 100, MaxConnectionsPerIPOverrides: map[string]int{"localhost": 1, "10.0.0.1": 2}}, oneListener("A"))
	for range 1000 {
		l.mu.Lock()
		n, found := l.overrides[netip.MustParseAddr("127.0.0.1")]
		other := l.overrides[here]
		l.mu.Unlock()
		if found {
			if n != 1 || other != 2 {
				t.Error(n, other)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Skip("localhost does not resolve to 127.0.0.1 here")
}

// After the burst that Kafka's rate lets through, each connection comes as its rate says.
func TestConnectionsAreCreatedAtTheirRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limitsOf(config.Network{MaxConnectionCreationRate: 10}, oneListener("A"))
		began := time.Now()
		for range 100 {
			l.admit("A", here)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("a burst of ten seconds' worth took %v", took)
		}
		for range 400 {
			l.admit("A", here)
		}
		if took := time.Since(began); took < 30*time.Second || took > 60*time.Second {
			t.Errorf("500 connections at 10 a second took %v", took)
		}
	})
}

func TestNoConnectionSleepsLongerThanOneWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := oneListener("A")
		l.MaxCreateRate = 0
		limits := limitsOf(config.Network{}, l)
		began := time.Now()
		limits.admit("A", here)
		if took := time.Since(began); took != time.Second {
			t.Errorf("%v", took)
		}
	})
}

func TestChangedLimitsLetWaitersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limitsOf(config.Network{MaxConnections: 1}, oneListener("A"))
		l.admit("A", here)
		done := make(chan struct{})
		go func() {
			l.admit("A", here)
			close(done)
		}()
		synctest.Wait()
		l.configure(t.Context(), &config.Broker{
			Network:   config.Network{MaxConnections: 2, MaxConnectionsPerIP: 10, MaxConnectionCreationRate: math.MaxInt32},
			Listeners: config.Listeners{oneListener("A")},
		})
		<-done
	})
}
