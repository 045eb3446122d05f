package acl

import (
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/barnabas-broker/barnabas/auth"
)

// edit is one change of a snapshot, while it is made. What carries it is seen by nobody
// else yet and may be changed in place; everything else is copied first.
type edit struct{ _ byte }

// rule is an ACL in the index.
type rule struct {
	Binding
	used atomic.Bool // it has decided something
}

// cell is all ACLs of one pattern, principal and host. It is immutable.
type cell struct {
	allow uint32 // bit n: operation n is allowed, implied ones included
	exact uint32 // the same without implied ones
	deny  uint32
	rules []*rule
}

func newCell(rules []*rule) cell {
	c := cell{rules: rules}
	for _, r := range rules {
		if r.Permission == Deny {
			c.deny |= r.Operation.exact()
		} else {
			c.exact |= r.Operation.exact()
			c.allow |= r.Operation.exact() | r.Operation.implied()
		}
	}
	return c
}

// deciding returns the first ACL of the cell with the permission for the operation.
func (c *cell) deciding(p Permission, op Operation) *rule {
	for _, r := range c.rules {
		if r.Permission == p && (r.Operation.exact()|r.Operation.impliedBy(p))&(1<<op) != 0 {
			return r
		}
	}
	return nil
}

func (op Operation) impliedBy(p Permission) uint32 {
	if p == Allow {
		return op.implied()
	}
	return 0
}

// grants is what one principal has on one pattern.
type grants struct {
	edit  *edit
	who   auth.Principal
	any   cell                 // host *
	hosts map[netip.Addr]*cell // nil if there is none
	inert []*rule              // with a host that is no address: they match nobody, and cover
}

func (g *grants) empty() bool {
	return len(g.any.rules) == 0 && len(g.hosts) == 0 && len(g.inert) == 0
}

// with returns g with r added, or removed.
func (g *grants) with(ed *edit, r *rule, remove bool) *grants {
	if g.edit != ed {
		copied := *g
		copied.edit, copied.hosts = ed, maps.Clone(g.hosts)
		g = &copied
	}
	addr, any, ok := parseHost(r.Host)
	switch {
	case !ok:
		g.inert = changed(g.inert, r, remove)
	case any:
		g.any = newCell(changed(g.any.rules, r, remove))
	default:
		var old []*rule
		if c := g.hosts[addr]; c != nil {
			old = c.rules
		}
		c := newCell(changed(old, r, remove))
		switch {
		case len(c.rules) == 0:
			delete(g.hosts, addr)
		case g.hosts == nil:
			g.hosts = map[netip.Addr]*cell{addr: &c}
		default:
			g.hosts[addr] = &c
		}
	}
	return g
}

// has says whether the ACL is among those of g.
func (g *grants) has(b Binding) bool {
	if g == nil {
		return false
	}
	rules := g.inert
	if addr, any, ok := parseHost(b.Host); any {
		rules = g.any.rules
	} else if ok {
		rules = nil
		if c := g.hosts[addr]; c != nil {
			rules = c.rules
		}
	}
	return slices.ContainsFunc(rules, func(have *rule) bool { return have.Binding == b })
}

func changed(rules []*rule, r *rule, remove bool) []*rule {
	if !remove {
		return append(slices.Clip(rules), r)
	}
	return slices.DeleteFunc(slices.Clone(rules), func(have *rule) bool { return have.Binding == r.Binding })
}

// all appends every ACL of g.
func (g *grants) all(dst []*rule) []*rule {
	dst = append(dst, g.any.rules...)
	for _, c := range g.hosts {
		dst = append(dst, c.rules...)
	}
	return append(dst, g.inert...)
}

// fewPrincipals is how many principals of one pattern are looked through one by one.
const fewPrincipals = 8

// entries is all ACLs of one pattern, by principal; never empty once in an index.
type entries struct {
	edit *edit
	few  []*grants
	many map[auth.Principal]*grants // instead of few, past fewPrincipals
}

func (e *entries) get(who auth.Principal) *grants {
	if e == nil {
		return nil
	}
	if e.many != nil {
		return e.many[who]
	}
	for _, g := range e.few {
		if g.who.Name == who.Name && g.who.Type == who.Type {
			return g
		}
	}
	return nil
}

func (e *entries) empty() bool { return len(e.few) == 0 && len(e.many) == 0 }

// with returns e, which may be nil, with r added or removed; nil when nothing is left.
func (e *entries) with(ed *edit, r *rule, remove bool) *entries {
	switch {
	case e == nil && remove:
		return nil
	case e == nil:
		e = &entries{edit: ed}
	case e.edit != ed:
		e = &entries{edit: ed, few: slices.Clone(e.few), many: maps.Clone(e.many)}
	}
	who, _ := parsePrincipal(r.Principal)
	g := e.get(who)
	if g == nil {
		if remove {
			return e
		}
		g = &grants{edit: ed, who: who}
	}
	e.put(g.with(ed, r, remove))
	if e.empty() {
		return nil
	}
	return e
}

func (e *entries) put(g *grants) {
	if e.many != nil {
		if g.empty() {
			delete(e.many, g.who)
		} else {
			e.many[g.who] = g
		}
		return
	}
	at := slices.IndexFunc(e.few, func(have *grants) bool { return have.who == g.who })
	switch {
	case at >= 0 && g.empty():
		e.few = slices.Delete(e.few, at, at+1)
	case at >= 0:
		e.few[at] = g
	case g.empty():
	case len(e.few) < fewPrincipals:
		e.few = append(e.few, g)
	default:
		e.many = make(map[auth.Principal]*grants, 2*fewPrincipals)
		for _, have := range e.few {
			e.many[have.who] = have
		}
		e.many[g.who], e.few = g, nil
	}
}

// all appends every ACL of e.
func (e *entries) all(dst []*rule) []*rule {
	if e == nil {
		return dst
	}
	for _, g := range e.few {
		dst = g.all(dst)
	}
	for _, g := range e.many {
		dst = g.all(dst)
	}
	return dst
}
