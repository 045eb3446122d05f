package metadata

import (
	"iter"
	"slices"
	"sort"
	"strings"
)

// sortedTopics is all topics in the order of their names, in leaves that generations of
// an image share.
type sortedTopics struct {
	leaves [][]*Topic // none empty
}

const sortedLeafSize = 128

// topicEdit sets the topic of a name, or removes it if topic is nil.
type topicEdit struct {
	name  string
	topic *Topic
}

func (s sortedTopics) all() iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		for _, leaf := range s.leaves {
			for _, t := range leaf {
				if !yield(t) {
					return
				}
			}
		}
	}
}

func (s sortedTopics) from(name string) iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		at := max(0, sort.Search(len(s.leaves), func(i int) bool { return s.leaves[i][0].Name > name })-1)
		for _, leaf := range s.leaves[min(at, len(s.leaves)):] {
			skip := sort.Search(len(leaf), func(i int) bool { return leaf[i].Name >= name })
			for _, t := range leaf[skip:] {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// apply returns the list after edits, which are in the order of their names, one per name.
func (s sortedTopics) apply(edits []topicEdit) sortedTopics {
	if len(edits) == 0 {
		return s
	}
	if len(s.leaves) == 0 {
		return sortedTopics{splitLeaf(mergeLeaf(nil, edits))}
	}
	leaves := slices.Clone(s.leaves)
	// From the last leaf that changes to the first, so that places found stay right.
	for len(edits) > 0 {
		last := edits[len(edits)-1].name
		at := max(0, sort.Search(len(leaves), func(i int) bool { return leaves[i][0].Name > last })-1)
		from := 0
		if at > 0 {
			first := leaves[at][0].Name
			from = sort.Search(len(edits), func(i int) bool { return edits[i].name >= first })
		}
		merged := mergeLeaf(leaves[at], edits[from:])
		edits = edits[:from]
		if at > 0 && len(merged) < sortedLeafSize/4 && len(leaves[at-1])+len(merged) <= sortedLeafSize {
			merged = slices.Concat(leaves[at-1], merged)
			leaves = slices.Delete(leaves, at, at+1)
			at--
		}
		if 0 < len(merged) && len(merged) <= sortedLeafSize {
			leaves[at] = merged
		} else {
			leaves = slices.Replace(leaves, at, at+1, splitLeaf(merged)...)
		}
	}
	return sortedTopics{leaves}
}

// mergeLeaf returns a new leaf of any size.
func mergeLeaf(leaf []*Topic, edits []topicEdit) []*Topic {
	merged := make([]*Topic, 0, len(leaf)+len(edits))
	for len(leaf) > 0 || len(edits) > 0 {
		order := -1
		switch {
		case len(leaf) == 0:
			order = 1
		case len(edits) > 0:
			order = strings.Compare(leaf[0].Name, edits[0].name)
		}
		if order < 0 {
			merged = append(merged, leaf[0])
			leaf = leaf[1:]
			continue
		}
		if edits[0].topic != nil {
			merged = append(merged, edits[0].topic)
		}
		if order == 0 {
			leaf = leaf[1:]
		}
		edits = edits[1:]
	}
	return merged
}

// splitLeaf cuts topics into leaves of even size, none longer than sortedLeafSize.
func splitLeaf(topics []*Topic) [][]*Topic {
	parts := (len(topics) + sortedLeafSize - 1) / sortedLeafSize
	out := make([][]*Topic, 0, parts)
	for ; parts > 0; parts-- {
		n := (len(topics) + parts - 1) / parts
		out = append(out, slices.Clone(topics[:n]))
		topics = topics[n:]
	}
	return out
}
