package config

// nearest returns the broker key most like a name that is none, or "" if none is close.
func nearest(name string) string {
	if listener, rest, ok := cutListenerPrefix(name); ok {
		if n := nearest(rest); n != "" {
			return listenerPrefix + listener + "." + n
		}
		return ""
	}
	best, bestDistance := "", min(len(name)/4, 6)+1
	for i := range brokerKeys {
		k := &brokerKeys[i]
		if k.Release == ReleaseOld || k.Internal {
			continue
		}
		if d := editDistance(lower(name), lower(k.Name), bestDistance); d < bestDistance {
			best, bestDistance = k.Name, d
		}
	}
	return best
}

func cutListenerPrefix(name string) (listener, rest string, ok bool) {
	if len(name) <= len(listenerPrefix) || name[:len(listenerPrefix)] != listenerPrefix {
		return "", "", false
	}
	after := name[len(listenerPrefix):]
	for i := range len(after) {
		if after[i] == '.' {
			return after[:i], after[i+1:], true
		}
	}
	return "", "", false
}

// editDistance counts insertions, deletions, changes and swaps of neighbours that turn a
// into b, or returns limit if that takes limit or more.
func editDistance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	var before, above, row []int
	above = make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row = make([]int, len(b)+1)
		row[0] = i
		best := row[0]
		for j := 1; j <= len(b); j++ {
			change := above[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, above[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			best = min(best, row[j])
		}
		if best >= limit {
			return limit
		}
		before, above = above, row
	}
	return min(row[len(b)], limit)
}
