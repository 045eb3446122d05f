// Package brokertest runs a real broker inside a Go test, in one line:
//
//	address := brokertest.Start(t).Address()
//
// It listens on loopback, on a port of the system's choice, keeps its data in a directory
// of the test, and ends with the test.
package brokertest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/server"
)

// Broker is a running broker of a test.
type Broker struct {
	t       testing.TB
	options []string
	server  *server.Server
}

// Start starts a broker. Each option is a Kafka configuration, "key=value".
func Start(t testing.TB, options ...string) *Broker {
	t.Helper()
	b := &Broker{t: t, options: append([]string{
		"listeners=PLAINTEXT://127.0.0.1:0",
		"log.dirs=" + t.TempDir(),
		"group.initial.rebalance.delay.ms=0",
		"barnabas.admin.listener=",
	}, options...)}
	b.start()
	t.Cleanup(func() { b.Stop() })
	return b
}

func (b *Broker) start() {
	b.t.Helper()
	c, err := config.Load(config.Options{Overrides: b.options, SecureListeners: true})
	if err != nil {
		b.t.Fatalf("configuration of the broker: %v", err)
	}
	b.server, err = server.Open(context.Background(), server.Options{Config: c, PanicsEnd: true, Logger: slog.New(slog.NewTextHandler(testWriter{b.t}, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		b.t.Fatalf("start the broker: %v", err)
	}
}

// Address is host:port of the broker's first listener, to give to any Kafka client.
func (b *Broker) Address() string {
	for _, address := range b.server.Broker().Addresses() {
		return address
	}
	return ""
}

// Broker is the broker itself.
func (b *Broker) Broker() *broker.Broker { return b.server.Broker() }

// Restart stops the broker cleanly and starts it again over the same data, on another port.
func (b *Broker) Restart() {
	b.t.Helper()
	b.Stop()
	b.start()
}

// Stop stops the broker cleanly. The end of the test does too.
func (b *Broker) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.server.Close(ctx); err != nil {
		b.t.Errorf("stop the broker: %v", err)
	}
}

// testWriter puts the broker's warnings into the test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("broker: %s", p)
	return len(p), nil
}
