package acl

import (
	"strings"

	"github.com/barnabas-broker/barnabas/auth"
)

// names of one kind of number, in order. Kafka has two spellings: TOPIC in requests of
// the Java client and in its log, Topic in its tools and in ZooKeeper.
type names []string

var (
	resourceTypeNames = names{"Unknown", "Any", "Topic", "Group", "Cluster", "TransactionalId", "DelegationToken", "User"}
	patternTypeNames  = names{"Unknown", "Any", "Match", "Literal", "Prefixed"}
	permissionNames   = names{"Unknown", "Any", "Deny", "Allow"}
	operationNames    = names{"Unknown", "Any", "All", "Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction",
		"DescribeConfigs", "AlterConfigs", "IdempotentWrite", "CreateTokens", "DescribeTokens", "TwoPhaseCommit"}
)

func (n names) name(i int8) string {
	if i < 0 || int(i) >= len(n) {
		return n[0]
	}
	return n[i]
}

// parse finds a name in any case, with or without underscores and hyphens; 0 if there is none.
func (n names) parse(text string) int8 {
	text = strings.NewReplacer("_", "", "-", "").Replace(text)
	for i, name := range n {
		if strings.EqualFold(name, text) {
			return int8(i)
		}
	}
	return 0
}

// upper is the spelling with underscores: TRANSACTIONAL_ID.
func upper(name string) string {
	var b strings.Builder
	for i, c := range name {
		if i > 0 && c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(c)
	}
	return strings.ToUpper(b.String())
}

// Name is the spelling of Kafka's tools: TransactionalId.
func (t ResourceType) Name() string { return resourceTypeNames.name(int8(t)) }

// String is the spelling of Kafka's code: TRANSACTIONAL_ID.
func (t ResourceType) String() string { return upper(t.Name()) }

// ParseResourceType finds a resource type by its name, in any case and spelling;
// UnknownResource if there is none.
func ParseResourceType(name string) ResourceType {
	return ResourceType(resourceTypeNames.parse(name))
}

// Name is the spelling of Kafka's tools: Prefixed.
func (t PatternType) Name() string { return patternTypeNames.name(int8(t)) }

// String is the spelling of Kafka's code: PREFIXED.
func (t PatternType) String() string { return upper(t.Name()) }

// ParsePatternType finds a pattern type by its name; UnknownPattern if there is none.
func ParsePatternType(name string) PatternType { return PatternType(patternTypeNames.parse(name)) }

// Name is the spelling of Kafka's tools: DescribeConfigs.
func (op Operation) Name() string { return operationNames.name(int8(op)) }

// String is the spelling of Kafka's code: DESCRIBE_CONFIGS.
func (op Operation) String() string { return upper(op.Name()) }

// ParseOperation finds an operation by its name, in any case and spelling;
// UnknownOperation if there is none.
func ParseOperation(name string) Operation { return Operation(operationNames.parse(name)) }

// Name is the spelling of Kafka's tools: Allow.
func (p Permission) Name() string { return permissionNames.name(int8(p)) }

// String is the spelling of Kafka's code: ALLOW.
func (p Permission) String() string { return upper(p.Name()) }

// ParsePermission finds a permission by its name; UnknownPermission if there is none.
func ParsePermission(name string) Permission { return Permission(permissionNames.parse(name)) }

// String shows the resource as Kafka's authorizer log does: Topic:LITERAL:orders.
func (r Resource) String() string { return r.Type.Name() + ":" + Literal.String() + ":" + r.Name }

// parsePrincipal splits Type:name at the first colon.
func parsePrincipal(text string) (auth.Principal, bool) {
	kind, name, ok := strings.Cut(text, ":")
	if !ok {
		// Keeps apart what never matches: no principal of a connection has no type.
		return auth.Principal{Name: text}, false
	}
	return auth.Principal{Type: kind, Name: name}, true
}
