package quota

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-broker/barnabas/metadata"
)

// Options of a Manager. The zero value of each field means Kafka's default.
type Options struct {
	Windows              int           // quota.window.num; 11
	WindowSize           time.Duration // quota.window.size.seconds; 1 s
	ControllerWindows    int           // controller.quota.window.num; 11
	ControllerWindowSize time.Duration // controller.quota.window.size.seconds; 1 s
	// MaxSensors bounds how many clients are measured apart; 10,000. Client ids are the
	// clients' to choose: those past the bound share one measure for each user and, when
	// there are as many of these, one for all.
	MaxSensors int
	// IdleAfter is how long one that uses nothing is remembered; an hour.
	IdleAfter time.Duration
}

// Manager measures what clients use.
type Manager struct {
	opts   Options
	began  time.Time
	limits atomic.Pointer[Limits]

	mu      sync.Mutex
	sensors map[sensorKey]*sensor
	lookMs  int64 // when the idle may be looked for again
}

type sensorKey struct {
	kind   Kind
	entity metadata.QuotaEntity
}

// sensor is the measure of one kind for those who share it.
type sensor struct {
	key sensorKey

	mu        sync.Mutex
	window    window
	bucket    bucket
	bound     float64
	lastMs    int64
	throttled int64 // times that somebody had to wait
	waitedMs  int64 // how long, in all
	dead      bool  // forgotten by the manager
}

// NewManager returns a manager without limits.
func NewManager(opts Options) *Manager {
	opts.Windows = cmp.Or(opts.Windows, 11)
	opts.WindowSize = cmp.Or(opts.WindowSize, time.Second)
	opts.ControllerWindows = cmp.Or(opts.ControllerWindows, 11)
	opts.ControllerWindowSize = cmp.Or(opts.ControllerWindowSize, time.Second)
	opts.MaxSensors = cmp.Or(opts.MaxSensors, 10_000)
	opts.IdleAfter = cmp.Or(opts.IdleAfter, time.Hour)
	m := &Manager{opts: opts, began: time.Now(), lookMs: math.MinInt64, sensors: map[sensorKey]*sensor{}}
	m.limits.Store(&Limits{})
	return m
}

// SetLimits puts other limits in force. What was measured so far still counts.
func (m *Manager) SetLimits(l *Limits) { m.limits.Store(l) }

// Limits are those in force.
func (m *Manager) Limits() *Limits { return m.limits.Load() }

// sensorOf returns the measure for the key, made if there is none yet. user is who asks,
// also where the key does not say so.
func (m *Manager) sensorOf(key sensorKey, user string, now time.Time) *sensor {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sensors[key]; s != nil {
		return s
	}
	if nowMs := m.ms(now); len(m.sensors) >= m.opts.MaxSensors && nowMs >= m.lookMs {
		m.expireLocked(now)
		m.lookMs = nowMs + 1000 // or every new client id would cost a look at all
	}
	if len(m.sensors) >= m.opts.MaxSensors {
		key.entity = metadata.QuotaEntity{}
		if user != "" {
			key.entity.User = named(user)
		}
		if s := m.sensors[key]; s == nil && len(m.sensors) >= 2*m.opts.MaxSensors {
			key.entity = metadata.QuotaEntity{}
		}
		if s := m.sensors[key]; s != nil {
			return s
		}
	}
	s := m.newSensor(key, now)
	m.sensors[key] = s
	return s
}

func (m *Manager) newSensor(key sensorKey, now time.Time) *sensor {
	return &sensor{key: key, window: newWindow(m.opts.Windows, m.opts.WindowSize.Milliseconds()), lastMs: m.ms(now)}
}

// ms is now in milliseconds, by a clock that goes on at its pace when the wall clock is
// set: a client would be silenced until one that was set back has caught up.
func (m *Manager) ms(now time.Time) int64 { return now.Sub(m.began).Milliseconds() }

// Expire forgets who has used nothing for long. Call it now and then.
func (m *Manager) Expire(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expireLocked(now)
}

func (m *Manager) expireLocked(now time.Time) {
	limit := m.ms(now) - m.opts.IdleAfter.Milliseconds()
	for key, s := range m.sensors {
		s.mu.Lock()
		if s.lastMs <= limit {
			s.dead = true
			delete(m.sensors, key)
		}
		s.mu.Unlock()
	}
}

// Record notes that a client has used amount of kind, and returns how long it has to be
// silent. It is [Client.Record] for those who keep no Client.
func (m *Manager) Record(kind Kind, user, clientID string, amount float64, now time.Time) time.Duration {
	var c Client
	return c.Record(m, kind, user, clientID, amount, now)
}

// RecordConnection notes a new connection of an address. If that is one too many it
// returns how long to wait before the connection is closed, at most one window, and has
// not counted it.
func (m *Manager) RecordConnection(ip string, now time.Time) time.Duration {
	bound, ok := m.limits.Load().FindIP(ip)
	if !ok {
		return 0
	}
	s := m.sensorOf(sensorKey{ConnectionCreation, metadata.QuotaEntity{IP: named(ip)}}, "", now)
	s.mu.Lock()
	defer s.mu.Unlock()
	nowMs := m.ms(now)
	s.bound, s.lastMs = bound, nowMs
	s.window.record(nowMs, 1)
	ms := s.window.throttle(nowMs, bound)
	if ms == 0 {
		return 0
	}
	s.window.record(nowMs, -1)
	return s.waits(min(ms, s.window.sizeMs))
}

// waits counts a wait. The caller holds s.mu.
func (s *sensor) waits(ms int64) time.Duration {
	if ms > 0 {
		s.throttled++
		s.waitedMs += ms
	}
	return time.Duration(ms) * time.Millisecond
}

// Usage is what was measured of one quota.
type Usage struct {
	Kind      Kind
	Entity    metadata.QuotaEntity // of those past Options.MaxSensors the user or, past twice as many, nothing
	Bound     float64
	Rate      float64       // per second; for ControllerMutation the tokens left
	Throttled int64         // times that somebody had to wait
	Waited    time.Duration // in all
}

// Usages returns what is measured now, those who wait most first.
func (m *Manager) Usages(now time.Time) []Usage {
	m.mu.Lock()
	all := make([]*sensor, 0, len(m.sensors))
	for _, s := range m.sensors {
		all = append(all, s)
	}
	m.mu.Unlock()
	usages := make([]Usage, len(all))
	for i, s := range all {
		s.mu.Lock()
		u := Usage{Kind: s.key.kind, Entity: s.key.entity, Bound: s.bound, Throttled: s.throttled, Waited: time.Duration(s.waitedMs) * time.Millisecond}
		if u.Kind == ControllerMutation {
			u.Rate = s.bucket.tokens
		} else {
			u.Rate, _ = s.window.rate(m.ms(now))
		}
		s.mu.Unlock()
		usages[i] = u
	}
	slices.SortFunc(usages, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(b.Waited, a.Waited), cmp.Compare(a.Kind, b.Kind), cmp.Compare(entityText(a.Entity), entityText(b.Entity)))
	})
	return usages
}

func entityText(e metadata.QuotaEntity) string {
	return e.User.Name + "\x00" + e.ClientID.Name + "\x00" + e.IP.Name
}
