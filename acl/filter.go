package acl

import "strings"

// Filter selects ACLs, as DescribeAcls and DeleteAcls do. The Any values, and nil, select
// everything; so does AnyPattern for the type of the pattern.
type Filter struct {
	ResourceType ResourceType
	ResourceName *string
	PatternType  PatternType // MatchPattern: whatever covers the name
	Principal    *string
	Host         *string
	Operation    Operation
	Permission   Permission
}

// Everything selects all ACLs.
var Everything = Filter{ResourceType: AnyResource, PatternType: AnyPattern, Operation: AnyOperation, Permission: AnyPermission}

// Matches says whether the filter selects b. A principal User:* in a filter selects only
// ACLs that are written so.
func (f *Filter) Matches(b *Binding) bool {
	if f.ResourceType != AnyResource && f.ResourceType != b.ResourceType ||
		f.Principal != nil && *f.Principal != b.Principal || f.Host != nil && *f.Host != b.Host ||
		f.Operation != AnyOperation && f.Operation != b.Operation ||
		f.Permission != AnyPermission && f.Permission != b.Permission {
		return false
	}
	if f.PatternType != AnyPattern && f.PatternType != MatchPattern && f.PatternType != b.PatternType {
		return false
	}
	switch {
	case f.ResourceName == nil:
		return true
	case f.PatternType != MatchPattern:
		return *f.ResourceName == b.ResourceName
	case b.PatternType == Literal:
		return *f.ResourceName == b.ResourceName || b.ResourceName == Wildcard
	case b.PatternType == Prefixed:
		return strings.HasPrefix(*f.ResourceName, b.ResourceName)
	default:
		return false
	}
}
