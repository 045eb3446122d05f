package acl

import "github.com/barnabas-broker/barnabas/protocol"

// ResourceType is the kind of a resource, with Kafka's codes.
type ResourceType int8

// The resource types.
const (
	UnknownResource         ResourceType = 0
	AnyResource             ResourceType = 1
	TopicResource           ResourceType = 2
	GroupResource           ResourceType = 3
	ClusterResource         ResourceType = 4
	TransactionalIDResource ResourceType = 5
	DelegationTokenResource ResourceType = 6
	UserResource            ResourceType = 7
)

// Denied is the error code that a refused request for a resource of this type carries.
func (t ResourceType) Denied() protocol.ErrorCode {
	switch t {
	case TopicResource:
		return protocol.ErrTopicAuthorizationFailed
	case GroupResource:
		return protocol.ErrGroupAuthorizationFailed
	case TransactionalIDResource:
		return protocol.ErrTransactionalIDAuthorizationFailed
	case DelegationTokenResource, UserResource:
		return protocol.ErrDelegationTokenAuthorizationFailed
	default:
		return protocol.ErrClusterAuthorizationFailed
	}
}

// Operations returns the operations that make sense on the type, which are those that
// an authorized-operations field reports (as 4.x has them).
func (t ResourceType) Operations() []Operation {
	switch t {
	case TopicResource:
		return []Operation{Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs}
	case GroupResource:
		return []Operation{Read, Delete, Describe, DescribeConfigs, AlterConfigs}
	case ClusterResource:
		return []Operation{Create, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite}
	case TransactionalIDResource:
		return []Operation{Write, Describe, TwoPhaseCommit}
	case DelegationTokenResource:
		return []Operation{Describe}
	case UserResource:
		return []Operation{CreateTokens, DescribeTokens}
	default:
		return nil
	}
}

// Operation is what somebody wants to do to a resource, with Kafka's codes.
type Operation int8

// The operations.
const (
	UnknownOperation Operation = 0
	AnyOperation     Operation = 1
	All              Operation = 2
	Read             Operation = 3
	Write            Operation = 4
	Create           Operation = 5
	Delete           Operation = 6
	Alter            Operation = 7
	Describe         Operation = 8
	ClusterAction    Operation = 9
	DescribeConfigs  Operation = 10
	AlterConfigs     Operation = 11
	IdempotentWrite  Operation = 12
	CreateTokens     Operation = 13
	DescribeTokens   Operation = 14
	TwoPhaseCommit   Operation = 15
)

// ClusterName is the only name a cluster resource has.
const ClusterName = "kafka-cluster"

// Resource is one literal resource that a request touches.
type Resource struct {
	Type ResourceType
	Name string
}

// Topic names a topic.
func Topic(name string) Resource { return Resource{TopicResource, name} }

// Group names a group.
func Group(id string) Resource { return Resource{GroupResource, id} }

// Cluster is the cluster itself.
func Cluster() Resource { return Resource{ClusterResource, ClusterName} }

// TransactionalID names a transactional id.
func TransactionalID(id string) Resource { return Resource{TransactionalIDResource, id} }
