package broker

import (
	"sync/atomic"

	"github.com/barnabas-broker/barnabas/metadata"
)

// scramIterations knows how often most SCRAM users' passwords are hashed. Whoever asks for a
// user that does not exist is told the same. Whoever has another number can still be told
// from those that do not exist.
type scramIterations struct {
	changed atomic.Int64 // version of the image in which a credential changed last
	counted atomic.Pointer[countedIterations]
}

// countedIterations are of one version of the image.
type countedIterations struct {
	version int64
	most    map[metadata.ScramMechanism]int32
}

// of returns the number of a mechanism; 0 if nobody has a credential for it.
func (s *scramIterations) of(image *metadata.Image, mechanism metadata.ScramMechanism) int32 {
	c := s.counted.Load()
	if c == nil || c.version < s.changed.Load() {
		c = countIterations(image)
		s.counted.Store(c)
	}
	return c.most[mechanism]
}

func countIterations(image *metadata.Image) *countedIterations {
	type kind struct {
		mechanism  metadata.ScramMechanism
		iterations int32
	}
	users := map[kind]int{}
	for c := range image.ScramCredentials() {
		users[kind{c.Mechanism, c.Iterations}]++
	}
	out := &countedIterations{version: image.Version(), most: map[metadata.ScramMechanism]int32{}}
	for k, n := range users {
		best := kind{k.mechanism, out.most[k.mechanism]}
		if n > users[best] || n == users[best] && k.iterations > best.iterations {
			out.most[k.mechanism] = k.iterations
		}
	}
	return out
}
