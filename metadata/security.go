package metadata

import (
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// QuotaName is one part of a quota's entity: not set, the default (set, no name), or a name.
type QuotaName struct {
	Set  bool
	Name string
}

// QuotaEntity names to whom a quota applies. It is comparable.
type QuotaEntity struct {
	User, ClientID, IP QuotaName
}

// QuotaChange sets or removes one quota of an entity.
type QuotaChange struct {
	Key    string
	Value  float64
	Remove bool
}

// QuotaComponent is one part of an entity as a client sent it: unchecked.
type QuotaComponent struct {
	Type string  // "user", "client-id" or "ip"
	Name *string // nil is the default
}

// QuotaAlteration is all changes that one entity asks for.
type QuotaAlteration struct {
	Entity  []QuotaComponent
	Changes []QuotaChange
}

// QuotaResult is the outcome for one entity, in the order asked.
type QuotaResult struct {
	Entity []QuotaComponent
	Err    error
}

// ScramMechanism is Kafka's number of a SCRAM mechanism.
type ScramMechanism int8

// Kafka's SCRAM mechanisms.
const (
	ScramSHA256 ScramMechanism = 1
	ScramSHA512 ScramMechanism = 2
)

// ScramCredential is what a broker keeps of a user's password. Salt and keys are secret.
type ScramCredential struct {
	User       string
	Mechanism  ScramMechanism
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
	Iterations int32
}

// ScramDeletion removes one credential.
type ScramDeletion struct {
	User      string
	Mechanism ScramMechanism
}

// ScramUpsertion makes or replaces a credential from a salted password.
type ScramUpsertion struct {
	User           string
	Mechanism      ScramMechanism
	Iterations     int32
	Salt           []byte
	SaltedPassword []byte
}

// UserResult is the outcome for one user.
type UserResult struct {
	User string
	Err  error
}

// ACL is one access control entry, in Kafka's numbers.
type ACL struct {
	ID           protocol.UUID
	ResourceType int8
	ResourceName string
	PatternType  int8
	Principal    string
	Host         string
	Operation    int8
	Permission   int8
}

// ACLFilter selects ACLs. Number 1 is any, nil is any; pattern type 2 is match.
type ACLFilter struct {
	ResourceType int8
	ResourceName *string
	PatternType  int8
	Principal    *string
	Host         *string
	Operation    int8
	Permission   int8
}

// ACLDeletion is what one filter removed.
type ACLDeletion struct {
	Deleted []ACL
	Err     error
}

// DelegationToken is one token without its HMAC, which every broker computes from the
// shared secret and the id.
type DelegationToken struct {
	ID                string
	Owner             string   // principal, e.g. "User:alice"
	Requester         string   // principal
	Renewers          []string // principals
	IssueTimestampMs  int64
	ExpiryTimestampMs int64
	MaxTimestampMs    int64
}

// FeatureUpgrade says which way a feature level may move.
type FeatureUpgrade int8

// Kafka's kinds of feature change.
const (
	FeatureUpgradeOnly     FeatureUpgrade = 1
	FeatureSafeDowngrade   FeatureUpgrade = 2
	FeatureUnsafeDowngrade FeatureUpgrade = 3
)

// FeatureUpdate finalizes a feature at a level; level 0 removes it.
type FeatureUpdate struct {
	Name    string
	Level   int16
	Upgrade FeatureUpgrade
}

// FeatureResult is the outcome for one feature.
type FeatureResult struct {
	Name string
	Err  error
}

// Matches says whether the filter selects a.
func (f *ACLFilter) Matches(a *ACL) bool {
	const (
		filterAny = 1

		patternMatch    = 2
		patternLiteral  = 3
		patternPrefixed = 4
	)
	if f.ResourceType != filterAny && f.ResourceType != a.ResourceType ||
		f.Principal != nil && *f.Principal != a.Principal || f.Host != nil && *f.Host != a.Host ||
		f.Operation != filterAny && f.Operation != a.Operation || f.Permission != filterAny && f.Permission != a.Permission {
		return false
	}
	if f.PatternType != filterAny && f.PatternType != patternMatch && f.PatternType != a.PatternType {
		return false
	}
	switch {
	case f.ResourceName == nil:
		return true
	case f.PatternType != patternMatch:
		return *f.ResourceName == a.ResourceName
	case a.PatternType == patternLiteral:
		return *f.ResourceName == a.ResourceName || a.ResourceName == "*"
	case a.PatternType == patternPrefixed:
		return strings.HasPrefix(*f.ResourceName, a.ResourceName)
	}
	return false
}
