package broker

// SendfileBytes is how many bytes of records went out by sendfile, for tests.
func (b *Broker) SendfileBytes() int64 { return b.metrics.sendfileBytes.Load() }
