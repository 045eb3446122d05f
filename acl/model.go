package acl

import "github.com/barnabas-broker/barnabas/protocol"

// ResourceType is the kind of a resource, with Kafka's codes.
type ResourceType int8

// The resource types.
const (
	UnknownResource         ResourceType = 0
	AnyResource             ResourceType = 1 // in filters
	TopicResource           ResourceType = 2
	GroupResource           ResourceType = 3
	ClusterResource         ResourceType = 4
	TransactionalIDResource ResourceType = 5
	DelegationTokenResource ResourceType = 6
	UserResource            ResourceType = 7

	resourceTypeCount = 8
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

// PatternType says how the name in an ACL covers the names of resources.
type PatternType int8

// The pattern types. Any and Match stand in filters only.
const (
	UnknownPattern PatternType = 0
	AnyPattern     PatternType = 1 // literal or prefixed
	MatchPattern   PatternType = 2 // whatever covers the name
	Literal        PatternType = 3 // the very name; the literal name * covers every name
	Prefixed       PatternType = 4 // names that begin so; * is a character like others
)

// Operation is what somebody wants to do to a resource, with Kafka's codes.
type Operation int8

// The operations.
const (
	UnknownOperation Operation = 0
	AnyOperation     Operation = 1 // in filters
	All              Operation = 2 // in ACLs: every operation
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

	operationCount = 16
)

// implied are the operations that an ALLOW of op also allows. A DENY implies nothing.
func (op Operation) implied() uint32 {
	switch op {
	case Read, Write, Delete, Alter:
		return 1 << Describe
	case AlterConfigs:
		return 1 << DescribeConfigs
	default:
		return 0
	}
}

// exact is the set of the operations that an ACL for op names: itself, or all.
func (op Operation) exact() uint32 {
	switch {
	case op == All:
		return 1<<32 - 1
	case op < 0 || op >= operationCount:
		return 0
	default:
		return 1 << op
	}
}

// Permission is what an ACL does, with Kafka's codes.
type Permission int8

// The permissions.
const (
	UnknownPermission Permission = 0
	AnyPermission     Permission = 1 // in filters
	Deny              Permission = 2
	Allow             Permission = 3
)

// ClusterName is the only name a cluster resource has.
const ClusterName = "kafka-cluster"

// Wildcard is the literal name that covers every name, and the host that is every host.
const Wildcard = "*"

// WildcardPrincipal is the principal of an ACL that is for everybody.
const WildcardPrincipal = "User:*"

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

// DelegationToken names a delegation token.
func DelegationToken(id string) Resource { return Resource{DelegationTokenResource, id} }

// User names a user by its principal, e.g. User:alice.
func User(principal string) Resource { return Resource{UserResource, principal} }
