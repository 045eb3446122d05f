package quota

import (
	"sync"
	"time"
)

// Client is one connection's way to its measures: it finds them once and keeps them until
// limits, user or client id change. Its zero value is ready.
type Client struct {
	mu       sync.Mutex
	limits   *Limits
	user     string
	clientID string
	found    [kindCount]found
}

type found struct {
	sensor *sensor
	bound  float64
	known  bool
}

// find returns the measure of the client's quota of a kind, nil if it has none.
func (c *Client) find(m *Manager, kind Kind, user, clientID string, now time.Time) (*sensor, float64) {
	l := m.limits.Load()
	if !l.Any(kind) {
		return nil, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limits != l || c.user != user || c.clientID != clientID {
		c.limits, c.user, c.clientID = l, user, clientID
		c.found = [kindCount]found{}
	}
	f := &c.found[kind]
	if !f.known {
		f.known = true
		if bound, shared, ok := l.Find(kind, user, clientID); ok {
			f.bound, f.sensor = bound, m.sensorOf(sensorKey{kind, shared}, user, now)
		}
	}
	return f.sensor, f.bound
}

// forget drops a measure that the manager has forgotten.
func (c *Client) forget(kind Kind) {
	c.mu.Lock()
	c.found[kind] = found{}
	c.mu.Unlock()
}

// locked returns the client's measure with its lock held, nil if it has none.
func (c *Client) locked(m *Manager, kind Kind, user, clientID string, now time.Time) *sensor {
	for {
		s, bound := c.find(m, kind, user, clientID, now)
		if s == nil {
			return nil
		}
		s.mu.Lock()
		if !s.dead {
			s.bound, s.lastMs = bound, m.ms(now)
			return s
		}
		s.mu.Unlock()
		c.forget(kind)
	}
}

// Record notes that the client has used amount of kind, and returns how long it has to be
// silent: for Request at most one window. ControllerMutation is let into debt; see
// [Client.Admit] for the strict way.
func (c *Client) Record(m *Manager, kind Kind, user, clientID string, amount float64, now time.Time) time.Duration {
	s := c.locked(m, kind, user, clientID, now)
	if s == nil {
		return 0
	}
	defer s.mu.Unlock()
	if kind == ControllerMutation {
		s.spend(m, amount, now)
		return s.waits(s.bucket.throttle(s.bound))
	}
	nowMs := m.ms(now)
	s.window.record(nowMs, amount)
	ms := s.window.throttle(nowMs, s.bound)
	if kind == Request {
		ms = min(ms, s.window.sizeMs)
	}
	return s.waits(ms)
}

// Take is Record, but if the client has to wait nothing is counted. For a fetch over its
// quota, whose answer is then left empty.
func (c *Client) Take(m *Manager, kind Kind, user, clientID string, amount float64, now time.Time) time.Duration {
	s := c.locked(m, kind, user, clientID, now)
	if s == nil {
		return 0
	}
	defer s.mu.Unlock()
	nowMs := m.ms(now)
	s.window.record(nowMs, amount)
	ms := s.window.throttle(nowMs, s.bound)
	if ms > 0 {
		s.window.record(nowMs, -amount)
	}
	return s.waits(ms)
}

// Admit spends amount of ControllerMutation unless the client is in debt; then it returns
// how long that takes to pay, and false.
func (c *Client) Admit(m *Manager, user, clientID string, amount float64, now time.Time) (time.Duration, bool) {
	s := c.locked(m, ControllerMutation, user, clientID, now)
	if s == nil {
		return 0, true
	}
	defer s.mu.Unlock()
	s.spend(m, 0, now)
	if s.bucket.tokens < 0 {
		return s.waits(s.bucket.throttle(s.bound)), false
	}
	s.spend(m, amount, now)
	return s.waits(s.bucket.throttle(s.bound)), true
}

func (s *sensor) spend(m *Manager, amount float64, now time.Time) {
	burst := float64(m.opts.ControllerWindows) * m.opts.ControllerWindowSize.Seconds() * s.bound
	s.bucket.refill(m.ms(now), s.bound, burst)
	s.bucket.tokens = min(burst, s.bucket.tokens-amount)
}

// Most is how many bytes a fetch may carry at once: what the quota gives in one whole
// window. False means that there is no quota.
func (c *Client) Most(m *Manager, user, clientID string, now time.Time) (int64, bool) {
	s, bound := c.find(m, Fetch, user, clientID, now)
	if s == nil {
		return 0, false
	}
	return int64(bound * float64(m.opts.Windows-1) * m.opts.WindowSize.Seconds()), true
}
