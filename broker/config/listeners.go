package config

// SecurityProtocol is what runs on a listener's connections. The numbers are Kafka's.
type SecurityProtocol int16

// The security protocols.
const (
	Plaintext     SecurityProtocol = 0
	SSL           SecurityProtocol = 1
	SaslPlaintext SecurityProtocol = 2
	SaslSSL       SecurityProtocol = 3
)

// String returns Kafka's name of the protocol.
func (p SecurityProtocol) String() string {
	return [...]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}[p]
}

// TLS says whether connections are encrypted.
func (p SecurityProtocol) TLS() bool { return p == SSL || p == SaslSSL }

// SASL says whether clients log in by SASL.
func (p SecurityProtocol) SASL() bool { return p == SaslPlaintext || p == SaslSSL }

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
