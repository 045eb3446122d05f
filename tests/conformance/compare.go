package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// difference is one field, or one event, in which two brokers differ.
type difference struct {
	Peer   peers.Kind
	Script string
	Event  int
	Label  string
	Asked  string
	Key    int16
	Path   string
	Theirs string
	Ours   string

	as peers.Kind // the other Apache, if it answers as we do
}

func (d difference) String() string {
	if d.Asked != "" {
		d.Label += "\n    asked: " + d.Asked
	}
	if d.as != "" {
		d.Ours += fmt.Sprintf("\n      (as %s)", d.as)
	}
	return fmt.Sprintf("%s, event %d, %s\n    %s\n      %-12s %s\n      barnabas     %s", d.Script, d.Event, d.Label, d.Path, d.Peer, d.Theirs, d.Ours)
}

// compare returns where two transcripts differ.
func compare(peer peers.Kind, script string, theirs, ours []event) []difference {
	var all []difference
	for i := range max(len(theirs), len(ours)) {
		d := difference{Peer: peer, Script: script, Event: i, Path: "event", Theirs: "nothing", Ours: "nothing"}
		switch {
		case i >= len(theirs):
			d.Label, d.Key, d.Ours = ours[i].Label, ours[i].Key, wire.Text(ours[i].Answer)
			return append(all, d)
		case i >= len(ours):
			d.Label, d.Key, d.Theirs = theirs[i].Label, theirs[i].Key, wire.Text(theirs[i].Answer)
			return append(all, d)
		}
		a, b := theirs[i], ours[i]
		d.Label, d.Asked, d.Key = a.Label, a.Asked, a.Key
		if a.Label != b.Label {
			d.Theirs, d.Ours = a.Label, b.Label
			return append(all, d)
		}
		diffTrees("", withoutTails(a, b), b.Answer, func(path, theirs, ours string) {
			d := d
			d.Path, d.Theirs, d.Ours = path, theirs, ours
			all = append(all, d)
		})
	}
	return all
}

func diffTrees(path string, a, b any, report func(path, a, b string)) {
	ta, tb := wire.Text(a), wire.Text(b)
	if ta == tb {
		return
	}
	if sa, ok := a.(*wire.Struct); ok {
		if sb, ok := b.(*wire.Struct); ok {
			for _, f := range sa.Fields {
				at := strings.TrimPrefix(path+"."+f.Name, ".")
				if !sb.Has(f.Name) {
					report(at, wire.Text(f.Value), "not there")
					continue
				}
				diffTrees(at, f.Value, sb.Get(f.Name), report)
			}
			for _, f := range sb.Fields {
				if !sa.Has(f.Name) {
					report(strings.TrimPrefix(path+"."+f.Name, "."), "not there", wire.Text(f.Value))
				}
			}
			return
		}
	}
	if la, ok := a.(wire.List); ok {
		if lb, ok := b.(wire.List); ok {
			diffLists(path, la, lb, report)
			return
		}
	}
	report(path, ta, tb)
}

// diffLists pairs elements up in order. Two lists that have the same elements differ in
// their order only.
func diffLists(path string, a, b wire.List, report func(path, a, b string)) {
	ta, tb := texts(a), texts(b)
	if slices.Equal(slices.Sorted(slices.Values(ta)), slices.Sorted(slices.Values(tb))) {
		report(path+" order", "["+strings.Join(ta, ", ")+"]", "["+strings.Join(tb, ", ")+"]")
		return
	}
	if namesA, namesB := names(a), names(b); namesA != nil && namesB != nil {
		both := func(in, other []string) (list []string) {
			for _, name := range in {
				if slices.Contains(other, name) {
					list = append(list, name)
				}
			}
			return list
		}
		if inA, inB := both(namesA, namesB), both(namesB, namesA); !slices.Equal(inA, inB) {
			report(path+" order", strings.Join(inA, ", "), strings.Join(inB, ", "))
		}
		for i, name := range namesA {
			at := fmt.Sprintf("%s[%d]", path, i)
			if j := slices.Index(namesB, name); j >= 0 {
				diffTrees(at, a[i], b[j], report)
			} else {
				report(at, ta[i], "not there")
			}
		}
		for j, name := range namesB {
			if !slices.Contains(namesA, name) {
				report(fmt.Sprintf("%s[%d]", path, j), "not there", tb[j])
			}
		}
		return
	}
	for i := range max(len(a), len(b)) {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case i >= len(a):
			report(at, "not there", tb[i])
		case i >= len(b):
			report(at, ta[i], "not there")
		default:
			diffTrees(at, a[i], b[i], report)
		}
	}
}

// names returns what every element of a list is about, nil if that is not told, or not
// different for each.
func names(list wire.List) []string {
	var out []string
	for _, v := range list {
		s, _ := v.(*wire.Struct)
		name := identity(s)
		if name == "" || slices.Contains(out, name) {
			return nil
		}
		out = append(out, name)
	}
	return out
}

// identity is what an element of a list is about.
func identity(s *wire.Struct) string {
	if s == nil {
		return ""
	}
	var parts []string
	for _, name := range []string{"Name", "Topic", "TopicName", "TopicId", "PartitionIndex", "PartitionId", "Index", "GroupId", "User", "ResourceType", "ResourceName", "Entity"} {
		if s.Has(name) {
			parts = append(parts, wire.Text(s.Get(name)))
		}
	}
	return strings.Join(parts, " ")
}

func texts(list wire.List) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = wire.Text(list[i])
	}
	return out
}

// withoutTails returns the answer of a, a Fetch below v4, with its records as b has them,
// where they differ in this only: Apache gives a converted set the size of the stored one,
// by padding or by cutting the last message, and we send it as it is.
func withoutTails(a, b event) any {
	if a.Key != 1 || !oldFetch.MatchString(a.Label) {
		return a.Answer
	}
	tree := wire.Clone(a.Answer)
	topics, _ := wire.At(tree, "Responses").(wire.List)
	for t := range topics {
		partitions, _ := wire.At(topics[t], "Partitions").(wire.List)
		for i := range partitions {
			path := fmt.Sprintf("Responses[%d].Partitions[%d].Records", t, i)
			theirs, _ := wire.At(tree, path).(wire.List)
			ours, _ := wire.At(b.Answer, path).(wire.List)
			whole := len(theirs)
			if whole == 0 {
				continue
			}
			if last, _ := theirs[whole-1].(*wire.Struct); !last.Has("padding") && !last.Has("cut") {
				continue
			}
			whole--
			if len(ours) >= whole && slices.Equal(texts(theirs[:whole]), texts(ours[:whole])) {
				partitions[i].(*wire.Struct).Set("Records", ours)
			}
		}
	}
	return tree
}

var oldFetch = regexp.MustCompile("Fetch v[0-3]$")
