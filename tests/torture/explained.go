package main

// explain says why what ours makes of a damage is right though Apache makes something else
// of it, or "".
func explain(p pair, verdict string) string {
	for _, e := range explained {
		if e.pair == p && e.verdict == verdict {
			return e.why
		}
	}
	return ""
}

const lastDelta = "after a clean stop nobody looks at the batches. To a fetch at its first offset, Apache passes over a batch whose header says that it " +
	"ends before it begins, and goes on behind it: its records are missing, and no consumer is told. Ours serves the batch, whose checksum does not match"

var explained = []struct {
	pair    pair
	verdict string
	why     string
}{
	{pair{"active .log", "last delta"}, "less", lastDelta},
	{pair{"older .log", "last delta"}, "less", lastDelta},
}
