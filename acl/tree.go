package acl

import (
	"slices"
	"strings"
)

// node is one node of a radix tree of resource names. The names on the way from the root
// to a node are its path; a resource's name is looked up in one walk, which passes all
// prefixes of it. Nodes are immutable once their edit is over: a change copies the way
// from the root to the place of the change, and shares the rest.
type node struct {
	edit     *edit
	label    string   // from the parent's path to this one's
	index    string   // the first byte of each child's label
	children []*node  // in the order of index, which is no order
	literal  *entries // ACLs for the very path
	prefixed *entries // ACLs for names that begin with the path
}

// with returns n with r added to, or removed from, the pattern at name, which is what is
// left of the ACL's name below n. It returns nil when nothing is left.
func (n *node) with(ed *edit, name string, r *rule, remove bool) *node {
	if n.edit != ed {
		copied := *n
		copied.edit, copied.children = ed, slices.Clone(n.children)
		n = &copied
	}
	if name == "" {
		if r.PatternType == Prefixed {
			n.prefixed = n.prefixed.with(ed, r, remove)
		} else {
			n.literal = n.literal.with(ed, r, remove)
		}
		return n.tidy(ed)
	}
	at := strings.IndexByte(n.index, name[0])
	if at < 0 {
		if remove {
			return n
		}
		leaf := &node{edit: ed, label: name}
		n.index += name[:1]
		n.children = append(n.children, leaf.with(ed, "", r, false))
		return n
	}
	child := n.children[at]
	common := commonPrefix(child.label, name)
	if common < len(child.label) {
		if remove {
			return n
		}
		lower := *child
		lower.edit, lower.label, lower.children = ed, child.label[common:], slices.Clone(child.children)
		child = &node{edit: ed, label: child.label[:common], index: lower.label[:1], children: []*node{&lower}}
	}
	child = child.with(ed, name[common:], r, remove)
	if child != nil {
		n.children[at] = child
		return n
	}
	n.index = n.index[:at] + n.index[at+1:]
	n.children = slices.Delete(n.children, at, at+1)
	return n.tidy(ed)
}

// tidy takes a node out that stands for nothing: nil for one without children, the only
// child, with the longer label, for one with one. The root stays; its label is empty.
func (n *node) tidy(ed *edit) *node {
	if n.label == "" || n.literal != nil || n.prefixed != nil || len(n.children) > 1 {
		return n
	}
	if len(n.children) == 0 {
		return nil
	}
	child := *n.children[0]
	child.edit, child.label, child.children = ed, n.label+child.label, slices.Clone(child.children)
	return &child
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
