package acl

import (
	"fmt"
	"strings"
)

// Explanation says why a question is answered as it is.
type Explanation struct {
	Action   Action
	Decision Decision
	ACLs     []Considered // every ACL that covers the resource, in the order of Binding.Compare
	Grant    string       // the command that would allow it, if it is refused
}

// Considered is one ACL that covers the resource.
type Considered struct {
	Binding *Binding
	Applies bool
	Why     string // why not, if it does not apply
}

// Explain answers a question and tells what it was answered from.
func (a *StandardAuthorizer) Explain(q Action) Explanation {
	s := a.Snapshot()
	x := Explanation{Action: q, Decision: a.decide(s, q.Principal, q.Host, q.Operation, q.Resource)}
	x.Grant = q.GrantCommand(x.Decision)
	for _, b := range s.Covering(q.Resource) {
		c := Considered{Binding: b}
		c.Why = a.whyNot(b, &q)
		c.Applies = c.Why == ""
		x.ACLs = append(x.ACLs, c)
	}
	return x
}

// whyNot says why an ACL that covers the resource does not apply; empty if it does.
func (a *StandardAuthorizer) whyNot(b *Binding, q *Action) string {
	who, ok := parsePrincipal(b.Principal)
	mine := ok && (who == q.Principal || who == everybody)
	for _, group := range a.opts.Groups[q.Principal] {
		mine = mine || who == group
	}
	if !mine {
		return "it is for " + b.Principal
	}
	addr, any, ok := parseHost(b.Host)
	switch {
	case !ok:
		return "its host " + b.Host + " is no address, and matches nobody"
	case !any && addr != q.Host.Unmap():
		return "it is for host " + b.Host
	case (b.Operation.exact()|b.Operation.impliedBy(b.Permission))&(1<<q.Operation) != 0:
		return ""
	case b.Permission == Deny && b.Operation.implied()&(1<<q.Operation) != 0:
		return "a denial of " + b.Operation.Name() + " does not deny " + q.Operation.Name()
	default:
		return "it is for " + b.Operation.Name()
	}
}

// String is the explanation for a person, several lines.
func (x Explanation) String() string {
	var s strings.Builder
	verdict := "allowed"
	if x.Decision.Refused() {
		verdict = "denied"
	}
	fmt.Fprintf(&s, "%s %s on %s from host %s is %s: %s.\n", escaped(x.Action.Principal.String()), x.Action.Operation.Name(),
		escaped(x.Action.Resource.String()), HostText(x.Action.Host), verdict, x.Decision.Why())
	for _, c := range x.ACLs {
		mark, why := "  ", ""
		switch {
		case !c.Applies:
			why = " - does not apply: " + c.Why
		case x.Decision.Binding == c.Binding:
			mark = "* "
		}
		fmt.Fprintf(&s, "%s%s %s from host %s: %s on %s:%s:%s%s\n", mark, c.Binding.Permission.Name(), escaped(c.Binding.Principal),
			escaped(c.Binding.Host), c.Binding.Operation.Name(), c.Binding.ResourceType.Name(), c.Binding.PatternType,
			escaped(c.Binding.ResourceName), escaped(why))
	}
	if len(x.ACLs) == 0 {
		s.WriteString("No ACL covers the resource.\n")
	}
	if x.Grant != "" {
		fmt.Fprintf(&s, "To allow it: %s\n", x.Grant)
	}
	return s.String()
}

func escaped(text string) string { return string(appendEscaped(nil, text)) }
