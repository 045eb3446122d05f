package metadata

import "github.com/barnabas-broker/barnabas/protocol"

// Record is one change of the metadata. Records are decided by a controller, kept by a
// store, and applied by [Draft.Apply]; applying is deterministic: times, ids and placements
// stand in the record. record_codec.go has the encoding.
type Record interface {
	recordType() RecordType
	appendPayload(dst []byte) []byte
}

// RecordType is the number of a kind of record in its encoding.
type RecordType uint8

// The kinds of records. Numbers are on disk: never change or reuse one.
const (
	typeNoOp            RecordType = 0
	typeClusterID       RecordType = 1
	typeController      RecordType = 2
	typeBroker          RecordType = 3
	typeBrokerChange    RecordType = 4
	typeRemoveBroker    RecordType = 5
	typeTopic           RecordType = 6
	typeRemoveTopic     RecordType = 7
	typePartitions      RecordType = 8
	typePartitionChange RecordType = 9
	typeConfig          RecordType = 10
	typeQuota           RecordType = 11
	typeScram           RecordType = 12
	typeRemoveScram     RecordType = 13
	typeToken           RecordType = 14
	typeRemoveToken     RecordType = 15
	typeACL             RecordType = 16
	typeRemoveACL       RecordType = 17
	typeProducerIDs     RecordType = 18
	typeFeature         RecordType = 19
)

// NoOpRecord changes nothing.
type NoOpRecord struct{}

// ClusterIDRecord gives the cluster its id. It is written once.
type ClusterIDRecord struct{ ClusterID string }

// ControllerRecord begins the reign of a controller.
type ControllerRecord struct {
	ID    int32
	Epoch int32
}

// BrokerRecord registers a broker, or replaces its registration.
type BrokerRecord struct{ Broker }

// BrokerChangeRecord changes parts of a registration; nil fields stay as they are.
type BrokerChangeRecord struct {
	ID                   int32
	Epoch                int64
	Fenced               *bool
	InControlledShutdown *bool
	LogDirs              *[]protocol.UUID
}

// RemoveBrokerRecord forgets a broker.
type RemoveBrokerRecord struct {
	ID    int32
	Epoch int64
}

// TopicRecord makes a topic, still without partitions.
type TopicRecord struct {
	Name string
	ID   protocol.UUID
}

// RemoveTopicRecord removes a topic with its partitions and configuration.
type RemoveTopicRecord struct{ ID protocol.UUID }

// PartitionsRecord adds partitions to a topic. First is the number of the first and must
// be the number of partitions that the topic has.
type PartitionsRecord struct {
	TopicID    protocol.UUID
	First      int32
	Partitions []*Partition
}

// PartitionChangeRecord changes parts of a partition; nil fields stay as they are. It
// raises the partition epoch by one, and the leader epoch too if Leader is set, also to the same leader.
type PartitionChangeRecord struct {
	TopicID     protocol.UUID
	Partition   int32
	Leader      *int32
	ISR         []int32
	Replicas    []int32
	Adding      *[]int32
	Removing    *[]int32
	Directories []protocol.UUID
	Recovery    *LeaderRecoveryState
}

// ConfigRecord sets a key of a resource, or removes it if Value is nil.
type ConfigRecord struct {
	Resource ConfigResource
	Name     string
	Value    *string
}

// QuotaRecord sets or removes a quota of an entity.
type QuotaRecord struct {
	Entity QuotaEntity
	Key    string
	Value  float64
	Remove bool
}

// ScramCredentialRecord makes or replaces a credential.
type ScramCredentialRecord struct{ ScramCredential }

// RemoveScramCredentialRecord removes a credential.
type RemoveScramCredentialRecord struct{ ScramDeletion }

// DelegationTokenRecord makes or replaces a token.
type DelegationTokenRecord struct{ DelegationToken }

// RemoveDelegationTokenRecord removes a token.
type RemoveDelegationTokenRecord struct{ ID string }

// ACLRecord makes an ACL.
type ACLRecord struct{ ACL }

// RemoveACLRecord removes an ACL.
type RemoveACLRecord struct{ ID protocol.UUID }

// ProducerIDsRecord reserves all producer ids below Next.
type ProducerIDsRecord struct {
	Broker int32
	Epoch  int64
	Next   int64
}

// FeatureRecord finalizes a feature at a level; level 0 removes it.
type FeatureRecord struct {
	Name  string
	Level int16
}

func (*NoOpRecord) recordType() RecordType                  { return typeNoOp }
func (*ClusterIDRecord) recordType() RecordType             { return typeClusterID }
func (*ControllerRecord) recordType() RecordType            { return typeController }
func (*BrokerRecord) recordType() RecordType                { return typeBroker }
func (*BrokerChangeRecord) recordType() RecordType          { return typeBrokerChange }
func (*RemoveBrokerRecord) recordType() RecordType          { return typeRemoveBroker }
func (*TopicRecord) recordType() RecordType                 { return typeTopic }
func (*RemoveTopicRecord) recordType() RecordType           { return typeRemoveTopic }
func (*PartitionsRecord) recordType() RecordType            { return typePartitions }
func (*PartitionChangeRecord) recordType() RecordType       { return typePartitionChange }
func (*ConfigRecord) recordType() RecordType                { return typeConfig }
func (*QuotaRecord) recordType() RecordType                 { return typeQuota }
func (*ScramCredentialRecord) recordType() RecordType       { return typeScram }
func (*RemoveScramCredentialRecord) recordType() RecordType { return typeRemoveScram }
func (*DelegationTokenRecord) recordType() RecordType       { return typeToken }
func (*RemoveDelegationTokenRecord) recordType() RecordType { return typeRemoveToken }
func (*ACLRecord) recordType() RecordType                   { return typeACL }
func (*RemoveACLRecord) recordType() RecordType             { return typeRemoveACL }
func (*ProducerIDsRecord) recordType() RecordType           { return typeProducerIDs }
func (*FeatureRecord) recordType() RecordType               { return typeFeature }
