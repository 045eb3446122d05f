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
	var out [][]*Topic
	if len(s.leaves) == 0 {
		return sortedTopics{appendLeaves(out, mergeLeaf(nil, edits))}
	}
	for i, leaf := range s.leaves {
		mine := edits
		if i+1 < len(s.leaves) {
			next := s.leaves[i+1][0].Name
			mine = edits[:sort.Search(len(edits), func(j int) bool { return edits[j].name >= next })]
			edits = edits[len(mine):]
		}
		if len(mine) == 0 {
			out = append(out, leaf)
			continue
		}
		out = appendLeaves(out, mergeLeaf(leaf, mine))
	}
	return sortedTopics{out}
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

// appendLeaves adds topics as leaves of even size, none longer than sortedLeafSize. A leaf
// that is short joins the one before it if there is room.
func appendLeaves(out [][]*Topic, topics []*Topic) [][]*Topic {
	if len(topics) == 0 {
		return out
	}
	if n := len(out); n > 0 && len(topics) < sortedLeafSize/4 && len(out[n-1])+len(topics) <= sortedLeafSize {
		out[n-1] = slices.Concat(out[n-1], topics)
		return out
	}
	parts := (len(topics) + sortedLeafSize - 1) / sortedLeafSize
	for parts > 0 {
		n := (len(topics) + parts - 1) / parts
		out = append(out, slices.Clone(topics[:n]))
		topics = topics[n:]
		parts--
	}
	return out
}
