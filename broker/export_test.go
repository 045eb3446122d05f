package broker

import "github.com/barnabas-broker/barnabas/metadata"

// Store is the broker's metadata store, for tests.
func (b *Broker) Store() metadata.Store { return b.store }

// RequestsOf is how many requests of an API have been begun, for tests.
func (b *Broker) RequestsOf(key int16) int64 { return b.metrics.apis[key].requests() }
