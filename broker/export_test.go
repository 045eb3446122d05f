package broker

import (
	"context"
	"net"
	"time"

	"github.com/barnabas-broker/barnabas/metadata"
)

// Store is the broker's metadata store, for tests.
func (b *Broker) Store() metadata.Store { return b.store }

// RequestsOf is how many requests of an API have been begun, for tests.
func (b *Broker) RequestsOf(key int16) int64 { return b.metrics.apis[key].requests() }

// SetAuthTimeout changes how long clients have for authentication, for tests.
func (b *Broker) SetAuthTimeout(d time.Duration) { b.authTimeout.Store(int64(d)) }

// ReloadTLS looks at the files of all listeners, for tests.
func (b *Broker) ReloadTLS() error {
	for _, l := range b.listeners {
		if _, err := l.security.files.Reload(); err != nil {
			return err
		}
	}
	return nil
}

// RemoveExpiredTokens is what the broker does every delegation.token.expiry.check.interval.ms.
func (b *Broker) RemoveExpiredTokens(ctx context.Context, now time.Time) {
	b.removeExpiredTokens(ctx, now)
}

// ServeConn serves requests from nc, which is no socket, until it ends.
func (b *Broker) ServeConn(nc net.Conn) {
	c := newConn(b, b.listeners[0], nc, 0)
	c.serve()
}

// FailedAuthentications is how many have failed, for tests.
func (b *Broker) FailedAuthentications() int64 { return b.metrics.unauthenticated.Load() }

// StrangersBytes is the memory held for clients that have not proved who they are.
func (b *Broker) StrangersBytes() int64 { return b.unproved.memory.Load() }
