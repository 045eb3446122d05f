package metadata

import (
	"context"

	"github.com/barnabas-broker/barnabas/protocol"
)

// Store keeps the cluster's metadata and carries out changes to it. tests/metadatatest is
// the executable form of what is written here.
//
// Images. Image never returns nil once the store is open, and never goes back: the
// Version of what it returns only grows.
//
// Subscribers. Subscribe calls fn once, before it returns, with a delta that holds the whole
// current image, then for every later change. Calls come one at a time, in order, never
// two at once for all subscribers together; each gets the delta between the image of the call
// before and the image it is given. A subscriber is called before Image returns the image
// it is told of: what clients can see is what every subscriber has already acted on. So a
// subscriber uses the image it is given, not Image(); and it must neither wait for
// a command of the same store nor call Subscribe or its cancel, because the command waits for it.
// A subscriber that blocks holds up the metadata of this broker.
//
// Commands. A command is decided by the controller on the newest state there is, is
// durable when it returns, and can be read at once: when it returns, on success and on a
// refusal alike, Image() of the store that answered contains everything the decision rested on and all its
// effects, and all subscribers have been called with them. Every item has its own result,
// whose error is nil, a protocol.ErrorCode, or a *protocol.Error with the
// message that Kafka's controller would send; results come in the order asked unless said
// otherwise. Items of one command succeed or fail alone; the effects of all that succeed become
// visible together.
//
// The error beside the results means that nothing is known of any item or nothing was
// begun: ErrRequestTimedOut when ctx was over before the answer (the change may still happen,
// but not if ctx was over at the call), ErrNotController when another broker has to be asked, ErrClosed
// after Close.
//
// What a command is made of (slices, maps, pointers) belongs to the store from the call on:
// a command that timed out may still be looked at.
//
// Authorization, quotas and policies are the caller's: items reach a store only when
// they are allowed.
//
// All methods may be called from any goroutine.
type Store interface {
	// Image returns the current image.
	Image() *Image
	// Subscribe registers fn; see above. After cancel returns fn is not called again.
	Subscribe(fn func(*Delta, *Image)) (cancel func())
	// Close stops the store and waits for its goroutines. The image stays readable.
	Close() error

	TopicCommands
	PartitionCommands
	ConfigCommands
	BrokerCommands
	SecurityCommands
}

// TopicCommands make, grow and remove topics.
type TopicCommands interface {
	// CreateTopics creates topics. Names that come more than once are not
	// created and get one result each, INVALID_REQUEST, after all others.
	CreateTopics(ctx context.Context, c CreateTopics) ([]CreateTopicResult, error)
	// DeleteTopics removes topics by name or by id. Topics named more than
	// once, also once by name and once by id, are not removed and get one result each, INVALID_REQUEST,
	// after all others.
	DeleteTopics(ctx context.Context, topics []TopicRef) ([]DeleteTopicResult, error)
	// CreatePartitions raises the partition count of topics. Topics that come more than
	// once get one result each, INVALID_REQUEST, after all others.
	CreatePartitions(ctx context.Context, c CreatePartitions) ([]TopicResult, error)
}

// PartitionCommands change where partitions live and who leads them.
type PartitionCommands interface {
	// AlterPartition is a leader's wish to change its ISR (KIP-497).
	AlterPartition(ctx context.Context, c AlterPartition) ([]AlterPartitionResult, error)
	// ElectLeaders elects preferred leaders, or uncleanly where no one else is left. With All
	// only partitions where an election was needed or failed have a result.
	ElectLeaders(ctx context.Context, c ElectLeaders) ([]PartitionResult, error)
	// AlterPartitionReassignments starts, replaces and cancels reassignments (KIP-455).
	AlterPartitionReassignments(ctx context.Context, c AlterReassignments) ([]PartitionResult, error)
	// ListPartitionReassignments returns the reassignments in progress of the partitions
	// asked, of all for nil. Partitions without one, and unknown ones, are left out.
	ListPartitionReassignments(ctx context.Context, partitions []protocol.TopicPartition) ([]ReassignmentState, error)
	// AssignReplicasToDirs tells which log directories the replicas of a broker are in (KIP-858).
	AssignReplicasToDirs(ctx context.Context, c AssignReplicasToDirs) ([]AssignDirResult, error)
}

// ConfigCommands change configurations.
type ConfigCommands interface {
	// IncrementalAlterConfigs changes single keys. Every mention of a resource that comes
	// twice is refused.
	IncrementalAlterConfigs(ctx context.Context, c IncrementalAlterConfigs) ([]ConfigResult, error)
	// AlterConfigs replaces all keys of each resource. Every mention of a resource that comes
	// twice is refused.
	AlterConfigs(ctx context.Context, c AlterConfigs) ([]ConfigResult, error)
}

// BrokerCommands are what brokers ask for themselves.
type BrokerCommands interface {
	// RegisterBroker makes the broker known and returns its new epoch.
	RegisterBroker(ctx context.Context, r BrokerRegistration) (epoch int64, err error)
	// Heartbeat keeps the broker alive.
	Heartbeat(ctx context.Context, h BrokerHeartbeat) (BrokerHeartbeatResult, error)
	// UnregisterBroker forgets a broker. Its replicas stay assigned to it.
	UnregisterBroker(ctx context.Context, id int32) error
	// AllocateProducerIDs reserves a block of producer ids for the broker.
	AllocateProducerIDs(ctx context.Context, broker int32, epoch int64) (ProducerIDBlock, error)
	// UpdateFeatures moves finalized feature levels.
	UpdateFeatures(ctx context.Context, updates []FeatureUpdate, validateOnly bool) ([]FeatureResult, error)
}

// SecurityCommands change quotas, credentials, ACLs and tokens.
type SecurityCommands interface {
	AlterClientQuotas(ctx context.Context, alterations []QuotaAlteration, validateOnly bool) ([]QuotaResult, error)
	// AlterUserScramCredentials returns one result per user, in order of first mention.
	AlterUserScramCredentials(ctx context.Context, deletions []ScramDeletion, upsertions []ScramUpsertion) ([]UserResult, error)
	// CreateACLs adds ACLs; one that exists already is a success. IDs are the store's to choose.
	CreateACLs(ctx context.Context, acls []ACL) ([]error, error)
	// DeleteACLs removes what the filters match.
	DeleteACLs(ctx context.Context, filters []ACLFilter) ([]ACLDeletion, error)
	// CreateDelegationToken makes a token. Ids are the caller's to choose; one that is taken
	// is INVALID_REQUEST.
	CreateDelegationToken(ctx context.Context, t DelegationToken) error
	// SetDelegationTokenExpiry moves the moment at which a token runs out, never past its
	// maximum. A token that has gone stays so: DELEGATION_TOKEN_NOT_FOUND.
	SetDelegationTokenExpiry(ctx context.Context, id string, expiryTimestampMs int64) error
	// RemoveDelegationToken removes a token; removing one that is not there is a success.
	RemoveDelegationToken(ctx context.Context, id string) error
}

// ErrClosed is what commands return after Close.
const ErrClosed = protocol.ErrBrokerNotAvailable

// NewTopic asks for one topic. Either Partitions and ReplicationFactor (-1 is the
// default of the cluster), or Assignments with both of them -1.
type NewTopic struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
	Assignments       []ReplicaAssignment
	Configs           []ConfigEntry
}

// ReplicaAssignment places one partition by hand.
type ReplicaAssignment struct {
	Partition int32
	Brokers   []int32
}

// CreateTopics creates topics, or with ValidateOnly only says whether it could.
type CreateTopics struct {
	Topics       []NewTopic
	ValidateOnly bool
}

// CreateTopicResult is the outcome for one topic. Without an error it also
// says what was made; a topic that was only validated has an id that nobody will see again.
type CreateTopicResult struct {
	Name              string
	ID                protocol.UUID
	Partitions        int32
	ReplicationFactor int16
	Configs           map[string]string // set explicitly
	Err               error
}

// TopicRef names a topic by name or by id, not both.
type TopicRef struct {
	Name string
	ID   protocol.UUID
}

// DeleteTopicResult is the outcome for one topic, with name and id as far as known.
type DeleteTopicResult struct {
	Name string
	ID   protocol.UUID
	Err  error
}

// NewPartitions asks for Count partitions in all. Assignments, if not nil, has one list
// of brokers for each partition that is new.
type NewPartitions struct {
	Topic       string
	Count       int32
	Assignments [][]int32
}

// CreatePartitions grows topics, or with ValidateOnly only says whether it could.
type CreatePartitions struct {
	Topics       []NewPartitions
	ValidateOnly bool
}

// TopicResult is the outcome for one topic.
type TopicResult struct {
	Topic string
	Err   error
}

// PartitionResult is the outcome for one partition.
type PartitionResult struct {
	protocol.TopicPartition
	Err error
}

// AlterPartition is the ISR changes that the leader Broker asks for.
type AlterPartition struct {
	Broker     int32
	Epoch      int64 // broker epoch
	Partitions []ISRChange
}

// ISRChange is the ISR that the leader of one partition wants.
type ISRChange struct {
	TopicID        protocol.UUID
	Partition      int32
	LeaderEpoch    int32
	PartitionEpoch int32
	ISR            []ISRMember
	Recovery       LeaderRecoveryState
}

// ISRMember is one broker of a proposed ISR. Epoch is its broker epoch, -1 if not known.
type ISRMember struct {
	Broker int32
	Epoch  int64
}

// AlterPartitionResult is the state of one partition after the change, or why there was none.
type AlterPartitionResult struct {
	TopicID   protocol.UUID
	Partition int32
	State     *Partition // nil with an error
	Err       error
}

// ElectionType is Kafka's number of a kind of election.
type ElectionType int8

// Kafka's elections.
const (
	ElectPreferred ElectionType = 0
	ElectUnclean   ElectionType = 1
)

// ElectLeaders asks for elections of Partitions, or of all with All.
type ElectLeaders struct {
	Type       ElectionType
	Partitions []protocol.TopicPartition
	All        bool
}

// Reassignment is the target of one partition; nil Replicas cancels what is in progress.
type Reassignment struct {
	protocol.TopicPartition
	Replicas []int32
}

// AlterReassignments starts, replaces and cancels reassignments.
type AlterReassignments struct {
	Reassignments []Reassignment
	// KeepReplicationFactor refuses targets of another size than the present one
	// (AllowReplicationFactorChange=false of request version 1).
	KeepReplicationFactor bool
}

// ReassignmentState is a reassignment in progress.
type ReassignmentState struct {
	protocol.TopicPartition
	Replicas, Adding, Removing []int32
}

// AssignReplicasToDirs tells where the replicas of Broker are.
type AssignReplicasToDirs struct {
	Broker      int32
	Epoch       int64
	Assignments []DirAssignment
}

// DirAssignment puts one replica in a directory.
type DirAssignment struct {
	Directory protocol.UUID
	TopicID   protocol.UUID
	Partition int32
}

// AssignDirResult is the outcome for one replica.
type AssignDirResult struct {
	DirAssignment
	Err error
}

// IncrementalAlterConfigs changes single keys of resources.
type IncrementalAlterConfigs struct {
	Alterations  []ConfigAlteration
	ValidateOnly bool
}

// AlterConfigs replaces all keys of resources.
type AlterConfigs struct {
	Replacements []ConfigReplacement
	ValidateOnly bool
}

// ProducerIDBlockSize is how many producer ids one allocation reserves.
const ProducerIDBlockSize = 1000

// ProducerIDBlock is Count producer ids from First on.
type ProducerIDBlock struct {
	First int64
	Count int32
}
