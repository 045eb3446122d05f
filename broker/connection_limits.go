package broker

import (
	"context"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/broker/config"
)

// connectionLimits count the connections and say when another may be served:
//
//   - max.connections, of the broker or one listener: the acceptor waits for a free place,
//     and who comes later waits in the system's queue;
//   - max.connection.creation.rate, of the broker or one listener: the acceptor sleeps, at
//     most one window for one connection;
//   - max.connections.per.ip and its overrides: the connection is closed at once.
//
// The inter-broker listener, where it is not the only one, is exempt from what is set for
// the broker as a whole; its connections push out the ones of others that have been idle
// the longest.
//
// Lock order: mu is a leaf.
type connectionLimits struct {
	// Constant after newConnectionLimits.
	window  time.Duration // of a rate
	windows int           // that a rate is averaged over
	now     func() time.Time
	logger  *slog.Logger

	mu          sync.Mutex
	room        sync.Cond // on mu: a place became free, a sleep is over, settings changed, closed
	waiting     int       // acceptors
	closed      bool
	network     config.Network
	perIP       map[netip.Addr]int
	overrides   map[netip.Addr]int // max.connections.per.ip.overrides, by address
	resolutions int                // counts settings, so that a late resolution is not used
	total       int
	rate        connectionRate
	listeners   map[string]*listenerLimit
}

// listenerLimit is one listener's part.
type listenerLimit struct {
	max       int // max.connections
	perSecond int // max.connection.creation.rate
	exempt    bool
	count     int
	rate      connectionRate
}

func newConnectionLimits(c *config.Broker, logger *slog.Logger) *connectionLimits {
	l := &connectionLimits{
		window: c.Quota.WindowSize, windows: c.Quota.WindowCount, now: time.Now, logger: logger,
		perIP: map[netip.Addr]int{}, listeners: map[string]*listenerLimit{},
	}
	l.room.L = &l.mu
	for i := range c.Listeners {
		if cfg := &c.Listeners[i]; !cfg.Controller {
			l.listeners[cfg.Name] = &listenerLimit{exempt: cfg.InterBroker}
		}
	}
	if len(l.listeners) == 1 {
		for _, one := range l.listeners {
			one.exempt = false
		}
	}
	return l
}

// configure puts settings in force. Host names among the overrides are looked up apart
// from it, and count once they are found.
func (l *connectionLimits) configure(ctx context.Context, c *config.Broker) {
	overrides, names := map[netip.Addr]int{}, map[string]int{}
	for host, n := range c.Network.MaxConnectionsPerIPOverrides {
		if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
			overrides[ip.Unmap().WithZone("")] = n
		} else {
			names[host] = n
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.network = c.Network
	for i := range c.Listeners {
		if own := l.listeners[c.Listeners[i].Name]; own != nil {
			own.max, own.perSecond = c.Listeners[i].MaxConnections, c.Listeners[i].MaxCreateRate
			if own.max < 0 {
				own.max = math.MaxInt32
			}
			if own.perSecond < 0 {
				own.perSecond = math.MaxInt32
			}
		}
	}
	l.resolutions++
	if len(names) == 0 {
		l.overrides = overrides
	} else {
		for ip, n := range l.overrides { // until the names are resolved again
			if _, ok := overrides[ip]; !ok {
				overrides[ip] = n
			}
		}
		l.overrides = overrides
		go l.resolve(ctx, names, l.resolutions)
	}
	l.room.Broadcast()
}

func (l *connectionLimits) resolve(ctx context.Context, names map[string]int, resolution int) {
	found := map[netip.Addr]int{}
	for host, n := range names {
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			l.logger.Warn("a host of max.connections.per.ip.overrides cannot be resolved", "host", host, "err", err)
			continue
		}
		for _, ip := range ips {
			found[ip.Unmap().WithZone("")] = n
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resolutions != resolution {
		return
	}
	for host, n := range l.network.MaxConnectionsPerIPOverrides {
		if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
			found[ip.Unmap().WithZone("")] = n
		}
	}
	l.overrides = found
}

// admission of a connection.
type connectionVerdict int8

const (
	connectionServed  connectionVerdict = iota
	connectionRefused                   // its address has too many
	connectionsClosed                   // the broker stops
)

// admit waits until the listener may serve another connection and counts it, unless it
// is refused. evict says that another listener's connection has to go for it.
func (l *connectionLimits) admit(listener string, ip netip.Addr) (verdict connectionVerdict, evict bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.listeners[listener]
	now := l.now()
	delay := l.record(&own.rate, own.perSecond, now)
	if !own.exempt {
		delay = max(delay, l.record(&l.rate, l.network.MaxConnectionCreationRate, now))
	}
	end := now.Add(delay)
	l.waiting++
	for !l.closed {
		if left := end.Sub(l.now()); left > 0 {
			wake := time.AfterFunc(left, func() {
				l.mu.Lock()
				l.room.Broadcast()
				l.mu.Unlock()
			})
			l.room.Wait()
			wake.Stop()
			continue
		}
		if own.count < own.max && (own.exempt || l.total < l.network.MaxConnections) {
			break
		}
		l.room.Wait()
	}
	l.waiting--
	if l.closed {
		return connectionsClosed, false
	}
	most, ok := l.overrides[ip]
	if !ok {
		most = l.network.MaxConnectionsPerIP
	}
	if l.perIP[ip] >= most {
		return connectionRefused, false
	}
	l.perIP[ip]++
	own.count++
	l.total++
	return connectionServed, l.total > l.network.MaxConnections
}

// gone takes back what admit counted.
func (l *connectionLimits) gone(listener string, ip netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.perIP[ip]--; l.perIP[ip] == 0 {
		delete(l.perIP, ip)
	}
	l.listeners[listener].count--
	l.total--
	if l.waiting > 0 {
		l.room.Broadcast()
	}
}

// open is how many connections a listener has.
func (l *connectionLimits) open(listener string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listeners[listener].count
}

// excess is how many connections there are beyond max.connections, as when it was lowered.
func (l *connectionLimits) excess() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total - l.network.MaxConnections
}

// close lets waiting acceptors go.
func (l *connectionLimits) close() {
	l.mu.Lock()
	l.closed = true
	l.room.Broadcast()
	l.mu.Unlock()
}

// record counts a connection and returns how long to wait to come down to the limit.
func (l *connectionLimits) record(r *connectionRate, perSecond int, now time.Time) time.Duration {
	if perSecond >= math.MaxInt32 {
		return 0
	}
	rate := r.record(now, l.window, l.windows)
	if rate <= float64(perSecond) {
		return 0
	}
	if perSecond == 0 {
		return l.window
	}
	span := r.span(now, l.window, l.windows)
	over := (rate - float64(perSecond)) / float64(perSecond) * float64(span)
	return time.Duration(min(over, float64(l.window)))
}

// connectionRate is connections per second over the last windows, as Kafka's Rate with
// its samples: the windows before the first connection count as empty ones, so that a
// burst is let through.
type connectionRate struct {
	counts []int64 // a ring by number of window
	newest int64   // number of the newest window; 0: none yet
}

// record counts one and returns the rate with it.
func (r *connectionRate) record(now time.Time, window time.Duration, windows int) float64 {
	n := now.UnixNano() / int64(window)
	if r.counts == nil {
		r.counts = make([]int64, windows)
	}
	for w := max(r.newest+1, n-int64(windows)+1); w <= n; w++ {
		r.counts[w%int64(windows)] = 0
	}
	r.newest = max(r.newest, n)
	r.counts[r.newest%int64(windows)]++
	sum := int64(0)
	for _, c := range r.counts {
		sum += c
	}
	return float64(sum) / r.span(now, window, windows).Seconds()
}

// span is the time that the rate is taken over: all windows before the running one, and
// what has passed of that.
func (r *connectionRate) span(now time.Time, window time.Duration, windows int) time.Duration {
	return max(time.Duration(windows-1)*window+time.Duration(now.UnixNano()%int64(window)), window)
}
