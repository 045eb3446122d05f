package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/acl"
)

// aclOptions are the flags of kafka-acls, which barnabas acl has too.
type aclOptions struct {
	topics, groups, transactionalIDs, tokens, users []string
	cluster, idempotent, producer, consumer, force  bool
	pattern                                         string
	operations                                      []string
	allowPrincipals, denyPrincipals                 []string
	allowHosts, denyHosts                           []string
	principals                                      []string
}

// resourceFlags are those that name resources.
func (o *aclOptions) resourceFlags(f *flagSet, patterns string) {
	f.strings(&o.topics, "topic", 0, "NAME", "a topic; * is all of them; may be repeated, as the next ones")
	f.completes("topic")
	f.strings(&o.groups, "group", 0, "NAME", "a consumer group")
	f.completes("group")
	f.bool(&o.cluster, "cluster", 0, "the cluster")
	f.strings(&o.transactionalIDs, "transactional-id", 0, "ID", "a transactional id")
	f.strings(&o.tokens, "delegation-token", 0, "ID", "a delegation token")
	f.strings(&o.users, "user-principal", 0, "PRINCIPAL", "a user, as one that tokens may be made for")
	f.string(&o.pattern, "resource-pattern-type", 0, patterns, "how names are meant; literal if not given")
}

// principalFlags are those that say who may do what.
func (o *aclOptions) principalFlags(f *flagSet) {
	f.strings(&o.operations, "operation", 0, "OPERATION", "Read, Write, Create, Delete, Alter, Describe, ...; All if not given; may be repeated, as the next ones")
	f.completes(strings.Join(operationNames(), "|"))
	f.strings(&o.allowPrincipals, "allow-principal", 0, "PRINCIPAL", "who is allowed to: User:alice, User:* for everybody")
	f.strings(&o.denyPrincipals, "deny-principal", 0, "PRINCIPAL", "who is denied to")
	f.strings(&o.allowHosts, "allow-host", 0, "ADDRESS", "from where; * if not given")
	f.strings(&o.denyHosts, "deny-host", 0, "ADDRESS", "from where not; * if not given")
	f.bool(&o.producer, "producer", 0, "what a producer needs: Write, Describe, Create on the topics, Write and Describe on the transactional ids")
	f.bool(&o.consumer, "consumer", 0, "what a consumer needs: Read and Describe on the topics, Read on the groups")
	f.bool(&o.idempotent, "idempotent", 0, "with --producer: IdempotentWrite on the cluster, which only brokers before 2.8 ask for")
}

func operationNames() (names []string) {
	for op := acl.All; op <= acl.TwoPhaseCommit; op++ {
		names = append(names, op.Name())
	}
	return names
}

// aclPattern is a pattern of resources, or of patterns when it selects.
type aclPattern struct {
	kind    acl.ResourceType
	name    *string // nil: any
	pattern acl.PatternType
}

// String is Kafka's way to write it.
func (p aclPattern) String() string {
	name := "<any>"
	if p.name != nil {
		name = *p.name
	}
	return fmt.Sprintf("ResourcePattern(resourceType=%s, name=%s, patternType=%s)", p.kind, name, p.pattern)
}

func (p aclPattern) key() string { return p.String() }

// aclGroup is the ACLs of one pattern. Of an ACL, only who, whence, what and whether count.
type aclGroup struct {
	pattern aclPattern
	entries []acl.Binding
}

// entryText is Kafka's way to write an ACL without its pattern.
func entryText(b *acl.Binding) string {
	return fmt.Sprintf("(principal=%s, host=%s, operation=%s, permissionType=%s)", b.Principal, b.Host, b.Operation, b.Permission)
}

// check refuses flags that do not go together, in Kafka's words.
func (o *aclOptions) check() error {
	bad := func(text string) error { return &usageError{message: text} }
	if o.producer && (len(o.operations) > 0 || len(o.denyPrincipals) > 0 || len(o.denyHosts) > 0) {
		return bad(`Option "[producer]" can't be used with option "[operation]", "[deny-principal]" or "[deny-host]"`)
	}
	if o.consumer && (len(o.operations) > 0 || len(o.denyPrincipals) > 0 || len(o.denyHosts) > 0) {
		return bad(`Option "[consumer]" can't be used with option "[operation]", "[deny-principal]" or "[deny-host]"`)
	}
	switch {
	case o.producer && len(o.topics) == 0:
		return bad("With --producer you must specify a --topic")
	case o.idempotent && !o.producer:
		return bad("The --idempotent option is only available if --producer is set")
	case o.consumer && (len(o.topics) == 0 || len(o.groups) == 0 || !o.producer && (o.cluster || len(o.transactionalIDs) > 0)):
		return bad("With --consumer you must specify a --topic and a --group and no --cluster or --transactional-id option should be specified.")
	}
	return nil
}

// patternType reads --resource-pattern-type. Only a literal or prefixed one can be created.
func (o *aclOptions) patternType(create bool) (acl.PatternType, error) {
	if o.pattern == "" {
		return acl.Literal, nil
	}
	p := acl.ParsePatternType(o.pattern)
	if p == acl.UnknownPattern {
		return 0, &usageError{message: "Unknown resource-pattern-type: " + o.pattern}
	}
	if create && p != acl.Literal && p != acl.Prefixed {
		return 0, &usageError{message: fmt.Sprintf("A '--resource-pattern-type' value of '%s' is not valid when adding acls.", p)}
	}
	return p, nil
}

// patterns are the resources that the flags name. In a filter, User:name and the like are
// names as any.
func (o *aclOptions) patterns(p acl.PatternType) []aclPattern {
	var list []aclPattern
	add := func(kind acl.ResourceType, names []string) {
		for _, name := range names {
			name = strings.TrimSpace(name)
			list = append(list, aclPattern{kind, &name, p})
		}
	}
	add(acl.TopicResource, o.topics)
	if p == acl.Literal && (o.cluster || o.idempotent) {
		list = append(list, clusterPattern())
	}
	add(acl.GroupResource, o.groups)
	add(acl.TransactionalIDResource, o.transactionalIDs)
	add(acl.DelegationTokenResource, o.tokens)
	add(acl.UserResource, o.users)
	return list
}

func clusterPattern() aclPattern {
	name := acl.ClusterName
	return aclPattern{acl.ClusterResource, &name, acl.Literal}
}

// entries are the ACLs for the given operations by the principals and hosts of the flags.
func (o *aclOptions) entries(operations []acl.Operation) ([]acl.Binding, error) {
	var list []acl.Binding
	add := func(permission acl.Permission, principals, hosts []string) error {
		if len(hosts) == 0 {
			hosts = []string{acl.Wildcard}
		}
		for _, principal := range principals {
			principal = strings.TrimSpace(principal)
			if kind, _, ok := strings.Cut(principal, ":"); !ok || kind == "" {
				return badUsage("expected a string in format principalType:principalName but got %s", principal)
			}
			for _, op := range operations {
				for _, host := range hosts {
					list = append(list, acl.Binding{Principal: principal, Host: strings.TrimSpace(host), Operation: op, Permission: permission})
				}
			}
		}
		return nil
	}
	if err := add(acl.Allow, o.allowPrincipals, o.allowHosts); err != nil {
		return nil, err
	}
	return list, add(acl.Deny, o.denyPrincipals, o.denyHosts)
}

// named are the operations of the flags.
func (o *aclOptions) named() ([]acl.Operation, error) {
	if len(o.operations) == 0 {
		return []acl.Operation{acl.All}, nil
	}
	var list []acl.Operation
	for _, name := range o.operations {
		op, err := parseOperation(name)
		if err != nil {
			return nil, err
		}
		list = append(list, op)
	}
	return list, nil
}

func parseOperation(name string) (acl.Operation, error) {
	op := acl.ParseOperation(strings.TrimSpace(name))
	if op < acl.All {
		return 0, badUsage("%q is no operation; there are %s", name, strings.Join(operationNames(), ", "))
	}
	return op, nil
}

// grouped works out what the flags ask for: ACLs by pattern, in order. Without principals
// the groups are empty: all ACLs of the pattern.
func (o *aclOptions) grouped(create bool) ([]aclGroup, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	p, err := o.patternType(create)
	if err != nil {
		return nil, err
	}
	patterns := o.patterns(p)
	if len(patterns) == 0 {
		return nil, &usageError{message: "You must provide at least one resource: --topic <topic> or --cluster or --group <group> or --delegation-token <Delegation Token ID>"}
	}
	var groups []aclGroup
	add := func(pattern aclPattern, operations ...acl.Operation) error {
		entries, err := o.entries(operations)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(groups, func(g aclGroup) bool { return g.pattern.key() == pattern.key() })
		if i < 0 {
			i = len(groups)
			groups = append(groups, aclGroup{pattern: pattern})
		}
		groups[i].entries = append(groups[i].entries, entries...)
		return nil
	}
	if !o.producer && !o.consumer {
		operations, err := o.named()
		if err != nil {
			return nil, err
		}
		for _, pattern := range patterns {
			if err := add(pattern, operations...); err != nil {
				return nil, err
			}
		}
	}
	for _, pattern := range patterns {
		var operations []acl.Operation
		switch {
		case o.producer && pattern.kind == acl.TopicResource:
			operations = []acl.Operation{acl.Write, acl.Describe, acl.Create}
		case o.producer && pattern.kind == acl.TransactionalIDResource:
			operations = []acl.Operation{acl.Write, acl.Describe}
		case o.producer && o.idempotent && pattern.kind == acl.ClusterResource:
			operations = []acl.Operation{acl.IdempotentWrite}
		}
		switch {
		case o.consumer && pattern.kind == acl.TopicResource:
			operations = append(operations, acl.Read, acl.Describe)
		case o.consumer && pattern.kind == acl.GroupResource:
			operations = append(operations, acl.Read)
		}
		if len(operations) > 0 {
			if err := add(pattern, operations...); err != nil {
				return nil, err
			}
		}
	}
	for i := range groups {
		if err := groups[i].tidy(); err != nil {
			return nil, err
		}
		if create && len(groups[i].entries) == 0 {
			return nil, &usageError{message: "You must specify one of: --allow-principal, --deny-principal when trying to add ACLs."}
		}
	}
	return groups, nil
}

// tidy sorts the ACLs, drops what is there twice, and refuses operations that mean nothing
// on the resource.
func (g *aclGroup) tidy() error {
	slices.SortFunc(g.entries, func(a, b acl.Binding) int {
		return cmp.Or(cmp.Compare(b.Permission, a.Permission), strings.Compare(a.Principal, b.Principal), cmp.Compare(a.Operation, b.Operation), strings.Compare(a.Host, b.Host))
	})
	g.entries = slices.Compact(g.entries)
	supported := g.pattern.kind.Operations()
	for i := range g.entries {
		if op := g.entries[i].Operation; op != acl.All && !slices.Contains(supported, op) {
			names := []string{acl.All.Name()}
			for _, s := range supported {
				names = append(names, s.Name())
			}
			return &usageError{message: fmt.Sprintf("ResourceType %s only supports operations %s", g.pattern.kind, strings.Join(names, ", "))}
		}
	}
	return nil
}

// bindings are whole ACLs.
func (g *aclGroup) bindings() []acl.Binding {
	list := slices.Clone(g.entries)
	for i := range list {
		list[i].ResourceType, list[i].ResourceName, list[i].PatternType = g.pattern.kind, *g.pattern.name, g.pattern.pattern
	}
	return list
}
