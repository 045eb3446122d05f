package acl

import (
	"slices"
	"strings"
)

// Finding is one thing about an ACL that its author may not want.
type Finding struct {
	Kind    string // one word, of those below
	Binding *Binding
	Other   *Binding // the ACL that makes it so, if one does
	Text    string
}

// The kinds of findings.
const (
	Inert      = "inert"      // it can never match
	Shadowed   = "shadowed"   // it changes nothing, because of another
	TooWide    = "wide"       // it gives more than anybody is likely to mean
	HalfDeny   = "half-deny"  // it leaves what it seems to take
	Misfit     = "misfit"     // the operation means nothing on the resource
	Homeless   = "homeless"   // it is for a topic that does not exist
	Incomplete = "incomplete" // it lacks a second one to be of use
	Idle       = "unused"     // it has decided nothing
)

// LintOptions say what Lint knows besides the ACLs.
type LintOptions struct {
	// TopicExists, if set, is asked for literal topics.
	TopicExists func(name string) bool
	// Unused also reports ACLs that have decided nothing here: of use on a broker that has
	// run for a while.
	Unused bool
}

// Lint looks for ACLs that do nothing, or more than anybody is likely to mean. Findings come
// in the order of [Binding.Compare].
func (s *Snapshot) Lint(o LintOptions) []Finding {
	var found []Finding
	all := s.Matching(&Everything)
	groupReaders := map[string]bool{}
	for _, b := range all {
		if b.ResourceType == GroupResource && b.Permission == Allow && (b.Operation == Read || b.Operation == All) {
			groupReaders[b.Principal] = true
		}
	}
	for _, b := range all {
		add := func(kind string, other *Binding, text string) {
			found = append(found, Finding{kind, b, other, text})
		}
		s.lintShape(b, add)
		if other := s.shadow(b); other != nil {
			add(Shadowed, other, "another ACL already decides all that this one could")
		}
		if b.Permission == Deny && (b.Operation == Read || b.Operation == Write) && !s.deniesDescribe(b) {
			add(HalfDeny, nil, "denies "+b.Operation.Name()+" but not Describe: names and offsets can still be seen where something else allows it")
		}
		if b.ResourceType == TopicResource && b.Permission == Allow && b.Operation == Read && !groupReaders[b.Principal] && !groupReaders[WildcardPrincipal] {
			add(Incomplete, nil, "may read the topic, but no group: a consumer that joins a group or commits offsets is refused")
		}
		if o.TopicExists != nil && b.ResourceType == TopicResource && b.PatternType == Literal && b.ResourceName != Wildcard && !o.TopicExists(b.ResourceName) {
			add(Homeless, nil, "there is no topic of that name")
		}
	}
	if o.Unused {
		for _, b := range s.Unused() {
			found = append(found, Finding{Idle, b, nil, "has decided nothing since this broker knows it"})
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return a.Binding.Compare(b.Binding) })
	return found
}

// lintShape looks at one ACL by itself.
func (s *Snapshot) lintShape(b *Binding, add func(kind string, other *Binding, text string)) {
	if _, _, ok := parseHost(b.Host); !ok {
		add(Inert, nil, "its host is no address: names and ranges match nobody")
	} else if b.Host != Wildcard && strings.Contains(b.Host, ":") {
		if addr, _, _ := parseHost(b.Host); HostText(addr) != b.Host {
			add(Inert, nil, "Apache matches the address only when it is written "+HostText(addr)+"; here every spelling does")
		}
	}
	who, ok := parsePrincipal(b.Principal)
	switch {
	case !ok || who.Name == "" || who.Type == "":
		add(Inert, nil, "its principal is none that a connection can have")
	case who.Name == Wildcard && who.Type != "User":
		add(Inert, nil, "only User:* is everybody")
	case strings.HasSuffix(who.Name, "*") && who != everybody:
		add(Inert, nil, "a * at the end of a principal is a character like others")
	}
	if b.PatternType == Literal && strings.HasSuffix(b.ResourceName, "*") && b.ResourceName != Wildcard && b.ResourceType != UserResource {
		add(Inert, nil, "a * at the end of a literal name is a character like others: a prefixed ACL is meant?")
	}
	if b.PatternType == Prefixed && b.ResourceName == Wildcard {
		add(Inert, nil, "a prefixed * covers only names that begin with a star: a literal * is meant?")
	}
	if b.Operation != All && !slices.Contains(b.ResourceType.Operations(), b.Operation) && b.Operation.implied() == 0 {
		add(Misfit, nil, b.Operation.Name()+" means nothing on a "+b.ResourceType.Name())
	}
	if b.Permission != Allow {
		return
	}
	everything := b.PatternType == Literal && b.ResourceName == Wildcard
	switch {
	case who == everybody && b.Operation != Describe && b.Operation != DescribeConfigs:
		add(TooWide, nil, "allows "+b.Operation.Name()+" to everybody, anonymous connections included")
	case b.ResourceType == ClusterResource && (b.Operation == All || b.Operation == ClusterAction || b.Operation == Alter):
		add(TooWide, nil, b.Operation.Name()+" on the cluster is as much as being a broker or an administrator")
	case everything && (b.Operation == All || b.Operation == Write || b.Operation == Delete || b.Operation == Alter || b.Operation == AlterConfigs):
		add(TooWide, nil, "allows "+b.Operation.Name()+" on every "+b.ResourceType.Name()+", internal ones included")
	case b.PatternType == Prefixed && len(b.ResourceName) < 2:
		add(TooWide, nil, "the prefix is one character")
	}
}

// shadow returns another ACL that makes b change nothing: one of the same permission that
// covers all that b does, or a DENY that does, for an ALLOW.
func (s *Snapshot) shadow(b *Binding) *Binding {
	candidates := s.Covering(Resource{b.ResourceType, b.ResourceName})
	for _, c := range candidates {
		if *c == *b || !c.includes(b) {
			continue
		}
		if c.Permission == Deny && b.Permission == Allow && c.Operation != All && b.Operation.implied() != 0 {
			continue // what b implies is left
		}
		if c.Permission == b.Permission || c.Permission == Deny {
			return c
		}
	}
	return nil
}

// includes says whether c applies wherever b does. Both cover b's name.
func (c *Binding) includes(b *Binding) bool {
	if c.Principal != b.Principal && c.Principal != WildcardPrincipal || c.Host != b.Host && c.Host != Wildcard ||
		c.Operation != b.Operation && c.Operation != All {
		return false
	}
	if b.PatternType == Literal && b.ResourceName == Wildcard {
		return c.PatternType == Literal && c.ResourceName == Wildcard
	}
	if c.PatternType == Prefixed {
		return true // its name is a prefix of b's, whichever kind b is
	}
	return c.ResourceName == Wildcard || b.PatternType == Literal && b.ResourceName == c.ResourceName
}

func (s *Snapshot) deniesDescribe(b *Binding) bool {
	describe := *b
	describe.Operation = Describe
	for _, c := range s.Covering(Resource{b.ResourceType, b.ResourceName}) {
		if c.Permission == Deny && c.includes(&describe) {
			return true
		}
	}
	return false
}
