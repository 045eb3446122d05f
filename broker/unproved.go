package broker

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-broker/barnabas/broker/config"
)

// stalledAge is how long a client must have been at its authentication before it is closed
// to make room for another. Who comes in a burst of honest clients is in before.
const stalledAge = time.Second

// unproved keeps within bounds what clients cost before they have proved who they are: how
// many they are, what they take in memory, how many processors work for them.
//
// Lock order: mu is a leaf.
type unproved struct {
	network func() *config.Network // the settings in force
	now     func() time.Time
	turns   chan struct{} // holds a token for each turn taken

	memory atomic.Int64

	shed    atomic.Int64 // closed to make room
	refused atomic.Int64 // closed as they came

	mu        sync.Mutex
	listeners map[*listener]*list.List  // of *conn, those at it longest first
	addresses map[netip.Addr]*list.List // the same connections
}

func newUnproved(concurrency int, network func() *config.Network) *unproved {
	if concurrency == 0 {
		concurrency = max(1, runtime.GOMAXPROCS(0)/2)
	}
	return &unproved{network: network, now: time.Now, turns: make(chan struct{}, concurrency),
		listeners: map[*listener]*list.List{}, addresses: map[netip.Addr]*list.List{}}
}

// waitingProof is a connection's place in the lists of unproved; zero when it is in none.
type waitingProof struct {
	since             time.Time
	listener, address *list.Element
}

// admit says whether the listener may take another connection of an address. An address
// that has too many loses the one that has been at it longest, if that is stalled, else
// the new one. A listener that has too many is not accepted from until a place is free or
// somebody is stalled.
func (u *unproved) admit(ctx context.Context, l *listener, ip netip.Addr) bool {
	for ctx.Err() == nil {
		n := u.network()
		u.mu.Lock()
		if of := u.addresses[ip]; of != nil && of.Len() >= n.MaxUnauthenticatedPerIP {
			oldest := of.Front().Value.(*conn)
			stalled := u.stalledLocked(oldest)
			u.mu.Unlock()
			if stalled > 0 {
				u.refused.Add(1)
				return false
			}
			u.close(oldest)
			continue
		}
		of := u.listeners[l]
		if of == nil || of.Len() < n.MaxUnauthenticated {
			u.mu.Unlock()
			return true
		}
		oldest := of.Front().Value.(*conn)
		wait := u.stalledLocked(oldest)
		u.mu.Unlock()
		if wait <= 0 {
			u.close(oldest)
			continue
		}
		time.Sleep(min(wait, 10*time.Millisecond))
	}
	return false
}

// stalledLocked is how long until the connection counts as stalled.
func (u *unproved) stalledLocked(c *conn) time.Duration {
	return stalledAge - u.now().Sub(c.waiting.since)
}

func (u *unproved) close(c *conn) {
	u.shed.Add(1)
	u.leave(c)
	c.close()
}

// enter counts a connection that is yet to prove who it is.
func (u *unproved) enter(c *conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	c.waiting.since = u.now()
	of := u.listeners[c.listener]
	if of == nil {
		of = list.New()
		u.listeners[c.listener] = of
	}
	c.waiting.listener = of.PushBack(c)
	ip := c.address()
	if of = u.addresses[ip]; of == nil {
		of = list.New()
		u.addresses[ip] = of
	}
	c.waiting.address = of.PushBack(c)
}

// leave takes a connection out of the count that has proved who it is, or is gone.
func (u *unproved) leave(c *conn) {
	if !c.listener.security.asks() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if c.waiting.listener == nil {
		return
	}
	u.listeners[c.listener].Remove(c.waiting.listener)
	ip := c.address()
	of := u.addresses[ip]
	of.Remove(c.waiting.address)
	if of.Len() == 0 {
		delete(u.addresses, ip)
	}
	c.waiting = waitingProof{}
}

// count is how many connections there are that have yet to prove who they are.
func (u *unproved) count() (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, of := range u.listeners {
		n += of.Len()
	}
	return n
}

// takeMemory reports whether another n bytes may be held, and counts them.
func (u *unproved) takeMemory(n int) bool {
	if u.memory.Add(int64(n)) <= u.network().MaxUnauthenticatedBytes {
		return true
	}
	u.memory.Add(-int64(n))
	return false
}

func (u *unproved) giveMemory(n int) { u.memory.Add(-int64(n)) }

// takeTurn waits until a processor may work for somebody who has not proved who they are.
func (u *unproved) takeTurn() { u.turns <- struct{}{} }

func (u *unproved) endTurn() { <-u.turns }

// handshakeConn is the socket under a TLS connection. During the handshake, whoever waits
// for bytes of the client lets others have its turn.
type handshakeConn struct {
	net.Conn
	unproved *unproved
	over     bool // the handshake is; used by the reading goroutine alone
}

// Read implements net.Conn.
func (h *handshakeConn) Read(b []byte) (int, error) {
	if h.over {
		return h.Conn.Read(b)
	}
	h.unproved.endTurn()
	n, err := h.Conn.Read(b)
	h.unproved.takeTurn()
	return n, err
}
