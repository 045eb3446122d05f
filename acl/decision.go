package acl

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/auth"
)

// Reason is what decided.
type Reason uint8

// The reasons. The zero value is the one that refuses.
const (
	// DefaultDeny: ACLs cover the resource and none of them lets the principal; or nothing
	// covers it and allow.everyone.if.no.acl.found is false.
	DefaultDeny Reason = iota
	// DefaultAllow: no ACL covers the resource, and allow.everyone.if.no.acl.found is true.
	DefaultAllow
	// MatchingACL: the ACL in Decision.Binding.
	MatchingACL
	// SuperUser: the principal is in super.users.
	SuperUser
	// NoAuthorizer: none is configured, and everything is allowed.
	NoAuthorizer
)

// Decision is the answer to one question of authorization. Its zero value refuses.
type Decision struct {
	Allowed bool
	// DryRun says that the rule refuses, and that it was let pass because the authorizer
	// only reports.
	DryRun  bool
	Reason  Reason
	Binding *Binding // what matched, for MatchingACL
	// Covered is how the resource stood when no ACL matched: whether any covers it.
	Covered bool
}

// Refused says whether the rule refuses, in dry run mode too.
func (d Decision) Refused() bool { return !d.Allowed || d.DryRun }

// Rule names what decided, as Apache's log does.
func (d Decision) Rule() string {
	switch d.Reason {
	case DefaultAllow:
		return "DefaultAllow"
	case MatchingACL:
		return "MatchingAcl(acl=" + d.Binding.String() + ")"
	case SuperUser:
		return "SuperUser"
	case NoAuthorizer:
		return "NoAuthorizer"
	default:
		return "DefaultDeny"
	}
}

// Why says in a sentence what decided.
func (d Decision) Why() string {
	switch {
	case d.Reason == DefaultAllow:
		return "no ACL covers the resource, and allow.everyone.if.no.acl.found is true"
	case d.Reason == MatchingACL && d.Binding.Permission == Deny:
		return "an ACL denies it, and a denial outweighs every permission"
	case d.Reason == MatchingACL:
		return "an ACL allows it"
	case d.Reason == SuperUser:
		return "the principal is in super.users"
	case d.Reason == NoAuthorizer:
		return "no authorizer is configured"
	case d.Covered:
		return "ACLs cover the resource, but none allows this principal this operation from this host"
	default:
		return "no ACL covers the resource"
	}
}

// Action is one question of authorization, for those who write about it.
type Action struct {
	Principal auth.Principal
	Host      netip.Addr
	Operation Operation
	Resource  Resource
	API       string // Kafka's name of the request: ListOffsets
	RefCount  int    // how many items of the request stand behind the question
}

// AppendLog appends the line that Apache's kafka.authorizer.logger writes about a decision.
// Names are escaped, so that none can forge a line.
func (a *Action) AppendLog(dst []byte, d Decision) []byte {
	dst = append(dst, "Principal = "...)
	dst = appendEscaped(dst, a.Principal.String())
	if d.Refused() {
		dst = append(dst, " is Denied operation = "...)
	} else {
		dst = append(dst, " is Allowed operation = "...)
	}
	dst = append(dst, a.Operation.String()...)
	dst = append(dst, " from host = "...)
	dst = append(dst, HostText(a.Host)...)
	dst = append(dst, " on resource = "...)
	dst = appendEscaped(dst, a.Resource.String())
	dst = append(dst, " for request = "...)
	dst = append(dst, a.API...)
	dst = append(dst, " with resourceRefCount = "...)
	dst = strconv.AppendInt(dst, int64(a.RefCount), 10)
	dst = append(dst, " based on rule "...)
	return appendEscaped(dst, d.Rule())
}

// appendEscaped appends text with what is not printable, and what is not UTF-8, as escapes.
func appendEscaped(dst []byte, text string) []byte {
	for _, c := range text {
		if !strconv.IsPrint(c) || c == '\ufffd' {
			quoted := strconv.QuoteRuneToASCII(c)
			dst = append(dst, quoted[1:len(quoted)-1]...)
			continue
		}
		dst = append(dst, string(c)...)
	}
	return dst
}

// GrantCommand is the command that would allow what d refuses: the ACL to add, or the
// denial to remove. It is empty when nothing is refused.
func (a *Action) GrantCommand(d Decision) string {
	if !d.Refused() {
		return ""
	}
	if d.Reason == MatchingACL {
		return d.Binding.command("delete", "--force")
	}
	b := Binding{ResourceType: a.Resource.Type, ResourceName: a.Resource.Name, PatternType: Literal,
		Principal: a.Principal.String(), Host: Wildcard, Operation: a.Operation, Permission: Allow}
	return b.command("create", "")
}

// CreateCommand is the command that makes the ACL.
func (b *Binding) CreateCommand() string { return b.command("create", "") }

// DeleteCommand is the command that removes the ACL, without asking.
func (b *Binding) DeleteCommand() string { return b.command("delete", "--force") }

// command writes a command of barnabas acl, whose flags are those of kafka-acls.sh.
func (b *Binding) command(verb, more string) string {
	var s strings.Builder
	s.WriteString("barnabas acl " + verb)
	flag := func(name, value string) {
		s.WriteString(" --" + name)
		if value != "" {
			s.WriteString(" " + shellQuote(value))
		}
	}
	kind := "allow"
	if b.Permission == Deny {
		kind = "deny"
	}
	flag(kind+"-principal", b.Principal)
	if b.Host != Wildcard {
		flag(kind+"-host", b.Host)
	}
	flag("operation", b.Operation.Name())
	switch b.ResourceType {
	case ClusterResource:
		flag("cluster", "")
	case UserResource:
		flag("user-principal", b.ResourceName)
	case TransactionalIDResource:
		flag("transactional-id", b.ResourceName)
	case DelegationTokenResource:
		flag("delegation-token", b.ResourceName)
	default:
		flag(strings.ToLower(b.ResourceType.Name()), b.ResourceName)
	}
	if b.PatternType == Prefixed {
		flag("resource-pattern-type", "prefixed")
	}
	if more != "" {
		s.WriteString(" " + more)
	}
	return s.String()
}

// shellQuote writes a word of a POSIX shell's command line; one that is not all printable in
// the $'…' form that bash and POSIX 2024 read.
func shellQuote(word string) string {
	plain, control := word != "", false
	for _, c := range word {
		switch {
		case !strconv.IsPrint(c) || c == '\ufffd':
			control = true
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-:/=,@+", c):
		default:
			plain = false
		}
	}
	switch {
	case control:
		b := []byte("$'")
		for i := range len(word) {
			c := word[i]
			switch {
			case c == '\'' || c == '\\':
				b = append(b, '\\', c)
			case c < ' ' || c >= 0x7f:
				b = append(b, '\\', 'x', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
			default:
				b = append(b, c)
			}
		}
		return string(append(b, '\''))
	case plain:
		return word
	default:
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
}
