package metadata

// ResourceType is Kafka's number of a kind of configured resource.
type ResourceType int8

// Kafka's kinds of configured resources. BrokerLoggerResource is never stored.
const (
	TopicResource         ResourceType = 2
	BrokerResource        ResourceType = 4
	BrokerLoggerResource  ResourceType = 8
	ClientMetricsResource ResourceType = 16
	GroupResource         ResourceType = 32
)

// String returns Kafka's name of the kind.
func (t ResourceType) String() string {
	switch t {
	case TopicResource:
		return "TOPIC"
	case BrokerResource:
		return "BROKER"
	case BrokerLoggerResource:
		return "BROKER_LOGGER"
	case ClientMetricsResource:
		return "CLIENT_METRICS"
	case GroupResource:
		return "GROUP"
	}
	return "UNKNOWN"
}

// ConfigResource names something that has a configuration. The broker resource with the
// empty name is the default of all brokers.
type ConfigResource struct {
	Type ResourceType
	Name string
}

// String shows the resource as Kafka's own messages do.
func (r ConfigResource) String() string {
	return "ConfigResource(type=" + r.Type.String() + ", name='" + r.Name + "')"
}

// ConfigEntry is one key with its value. A nil value is null on the wire.
type ConfigEntry struct {
	Name  string
	Value *string
}

// ConfigOp is what an incremental change does with a key.
type ConfigOp int8

// Kafka's operations. Append and Subtract are for lists only.
const (
	ConfigSet      ConfigOp = 0
	ConfigDelete   ConfigOp = 1
	ConfigAppend   ConfigOp = 2
	ConfigSubtract ConfigOp = 3
)

// ConfigChange is one operation on one key.
type ConfigChange struct {
	Name  string
	Op    ConfigOp
	Value *string
}

// ConfigAlteration changes single keys of a resource and leaves its others alone.
type ConfigAlteration struct {
	Resource ConfigResource
	Changes  []ConfigChange
}

// ConfigReplacement gives a resource a whole new set of keys.
type ConfigReplacement struct {
	Resource ConfigResource
	Entries  []ConfigEntry
}

// ConfigResult is the outcome for one resource.
type ConfigResult struct {
	Resource ConfigResource
	Err      error // nil, protocol.ErrorCode or *protocol.Error
}

// ConfigSchema is all that decisions about configurations ask of the table of keys.
// broker/config provides it. Implementations may be called by several goroutines at once.
type ConfigSchema interface {
	// IsList says whether the key's type is a list, which append and subtract need. Unknown
	// keys are not.
	IsList(t ResourceType, key string) bool
	// DefaultValue is what the key is worth for a resource of type t that has not
	// set it: the static value of this broker, else Kafka's default. Append starts from it.
	DefaultValue(t ResourceType, key string) (string, bool)
	// Validate checks the whole set of values that the resource would have. old is the
	// set it has now. Its error is sent to the client: a *protocol.Error, or a plain
	// error that becomes INVALID_CONFIG with its text.
	Validate(r ConfigResource, values, old map[string]string) error
}
