package metadata

import "github.com/barnabas-broker/barnabas/protocol"

// Broker is one registered broker. It is immutable.
type Broker struct {
	ID int32
	// Epoch is the number of the registration; it fences what an earlier life of the same
	// broker still sends.
	Epoch int64
	// Incarnation is chosen anew by each start of the process.
	Incarnation protocol.UUID
	Endpoints   []Endpoint
	// Rack is empty if the broker has none.
	Rack string
	// Features are the versions the broker supports.
	Features []FeatureRange
	// LogDirs are the ids of the online log directories, sorted.
	LogDirs []protocol.UUID
	// Fenced brokers lead nothing and are in no ISR.
	Fenced bool
	// InControlledShutdown brokers get no new leadership.
	InControlledShutdown bool
}

// Endpoint returns the endpoint of the listener called name.
func (b *Broker) Endpoint(name string) (Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Name == name {
			return e, true
		}
	}
	return Endpoint{}, false
}

// SecurityProtocol is Kafka's number of a listener's security protocol.
type SecurityProtocol int16

// Kafka's security protocols.
const (
	Plaintext     SecurityProtocol = 0
	SSL           SecurityProtocol = 1
	SASLPlaintext SecurityProtocol = 2
	SASLSSL       SecurityProtocol = 3
)

// String returns Kafka's name of the protocol.
func (p SecurityProtocol) String() string {
	switch p {
	case Plaintext:
		return "PLAINTEXT"
	case SSL:
		return "SSL"
	case SASLPlaintext:
		return "SASL_PLAINTEXT"
	case SASLSSL:
		return "SASL_SSL"
	}
	return "UNKNOWN"
}

// Endpoint is one advertised listener of a broker.
type Endpoint struct {
	Name             string // listener name, as in advertised.listeners
	Host             string
	Port             int32
	SecurityProtocol SecurityProtocol
}

// FeatureRange is the span of levels of one feature that a broker supports.
type FeatureRange struct {
	Name     string
	Min, Max int16
}

// BrokerRegistration is what a broker says of itself when it starts.
type BrokerRegistration struct {
	ID          int32
	ClusterID   string // must be the store's, or empty
	Incarnation protocol.UUID
	Endpoints   []Endpoint
	Rack        string
	Features    []FeatureRange
	LogDirs     []protocol.UUID
	// Fenced registers the broker without letting it lead; a Heartbeat unfences it. A
	// broker that is alone may register unfenced and spare itself a round.
	Fenced bool
	// PreviousEpoch is the epoch of the last registration if the broker knows that it stopped
	// cleanly since, -1 if not (KIP-966). After an unclean stop the partitions that only
	// this broker can lead get a new leader epoch.
	PreviousEpoch int64
}

// BrokerHeartbeat keeps a registration alive and asks for changes of its state.
type BrokerHeartbeat struct {
	ID           int32
	Epoch        int64
	ImageVersion int64 // the version of the image that the broker serves
	WantFence    bool
	WantShutDown bool
	OfflineDirs  []protocol.UUID
}

// BrokerHeartbeatResult is the controller's view of the broker that sent a heartbeat.
type BrokerHeartbeatResult struct {
	IsCaughtUp     bool
	IsFenced       bool
	ShouldShutDown bool
}
