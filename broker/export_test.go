package broker

import "github.com/barnabas-broker/barnabas/metadata"

// Store is the broker's metadata store, for tests.
func (b *Broker) Store() metadata.Store { return b.store }
