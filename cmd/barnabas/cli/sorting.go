package cli

import (
	"cmp"
	"maps"
	"slices"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func comparePartitions(topicA string, a int32, topicB string, b int32) int {
	return cmp.Or(cmp.Compare(topicA, topicB), cmp.Compare(a, b))
}

// bools counts what is true.
func bools(list ...bool) (n int) {
	for _, b := range list {
		if b {
			n++
		}
	}
	return n
}
