// Package repeats bounds the answers to requests that name the same thing again and again,
// in a few bytes each time.
package repeats

// Max is how much of an answer, in bytes, may be about what its request has named before.
const Max = 1 << 20

// Set is what one request has named. The zero value is ready; it is not safe for concurrent use.
type Set[K comparable] struct {
	size int // of the answer so far, as far as a request could repeat it for little
	seen map[K]struct{}
}

// Spend notes that the answer has grown.
func (s *Set[K]) Spend(bytes int) { s.size += bytes }

// Full says whether the answer has grown past [Max].
func (s *Set[K]) Full() bool { return s.size > Max }

// Refuses says whether a thing is to be refused, as it has been named before and the answer
// is past [Max], and notes it.
func (s *Set[K]) Refuses(k K) bool {
	if _, again := s.seen[k]; again {
		return s.Full()
	}
	if s.seen == nil {
		s.seen = make(map[K]struct{})
	}
	s.seen[k] = struct{}{}
	return false
}
