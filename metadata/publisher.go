package metadata

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Publisher holds the current image of a store and its subscribers, in the order that
// [Store] promises. The zero value is not usable; see [NewPublisher].
type Publisher struct {
	image atomic.Pointer[Image]

	// mu makes calls of subscribers one run: it is held while they are called.
	mu          sync.Mutex
	subscribers []*subscriber
}

type subscriber struct{ fn func(*Delta, *Image) }

// NewPublisher returns a Publisher of image.
func NewPublisher(image *Image) *Publisher {
	p := &Publisher{}
	p.image.Store(image)
	return p
}

// Image returns the current image.
func (p *Publisher) Image() *Image { return p.image.Load() }

// Publish tells every subscriber of delta, then makes image the current one. delta must be
// the difference between Image() and image.
func (p *Publisher) Publish(delta *Delta, image *Image) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.subscribers {
		s.fn(delta, image)
	}
	p.image.Store(image)
}

// Subscribe does what Store's method of that name says.
func (p *Publisher) Subscribe(fn func(*Delta, *Image)) (cancel func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	image := p.image.Load()
	fn(Diff(EmptyImage(), image), image)
	s := &subscriber{fn}
	p.subscribers = append(p.subscribers, s)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.subscribers = slices.DeleteFunc(p.subscribers, func(other *subscriber) bool { return other == s })
	}
}
