package acl

import (
	"hash/maphash"
	"net/netip"
	"sync"

	"github.com/barnabas-broker/barnabas/auth"
)

const (
	// cacheMin and cacheMax bound the decisions that a Cache keeps. It grows while the
	// connection uses more resources than it has room for.
	cacheMin, cacheMax = 16, 1024
	// cacheWays is how many places a question may stand in.
	cacheWays = 4
	// cacheNameMax is the longest name that is kept: no topic's is longer, and what clients
	// choose must not fill memory.
	cacheNameMax = 249
)

// Cache keeps decisions of one connection. Its zero value is empty and ready. A change of
// ACLs, of the connection's principal or of its address empties it.
type Cache struct {
	mu       sync.Mutex
	snapshot *Snapshot
	who      auth.Principal
	host     netip.Addr
	slots    []cached
	missed   int // since the last growth or reset
	hand     int
}

type cached struct {
	name     string
	t        ResourceType
	op       Operation
	decision Decision
}

// Authorize is a.Authorize, from the cache if it can.
func (c *Cache) Authorize(a *StandardAuthorizer, who auth.Principal, host netip.Addr, op Operation, resource Resource) Decision {
	s := a.snapshot.Load()
	if len(resource.Name) > cacheNameMax {
		return a.decide(s, who, host, op, resource)
	}
	hash := maphash.String(seed, resource.Name) + uint64(op)<<8 + uint64(resource.Type)
	c.mu.Lock()
	if c.snapshot != s || c.who != who || c.host != host {
		c.reset(s, who, host)
	}
	set := c.set(hash)
	for i := range set {
		if e := &set[i]; e.op == op && e.t == resource.Type && e.name == resource.Name {
			d := e.decision
			c.mu.Unlock()
			return d
		}
	}
	c.mu.Unlock()
	d := a.decide(s, who, host, op, resource)
	c.mu.Lock()
	if c.snapshot == s && c.who == who && c.host == host {
		c.put(hash, cached{resource.Name, resource.Type, op, d})
	}
	c.mu.Unlock()
	return d
}

// set is the places of a question; none before the first decision is kept.
func (c *Cache) set(hash uint64) []cached {
	if len(c.slots) == 0 {
		return nil
	}
	at := int(hash%uint64(len(c.slots)/cacheWays)) * cacheWays
	return c.slots[at : at+cacheWays]
}

func (c *Cache) put(hash uint64, e cached) {
	if len(c.slots) == 0 || c.missed >= len(c.slots) && len(c.slots) < cacheMax {
		c.slots = make([]cached, max(cacheMin, 2*len(c.slots)))
		c.missed = 0
	}
	c.missed++
	set := c.set(hash)
	for i := range set {
		if set[i].t == UnknownResource {
			set[i] = e
			return
		}
	}
	c.hand++
	set[c.hand%cacheWays] = e
}

// reset empties the cache and keeps its room.
func (c *Cache) reset(s *Snapshot, who auth.Principal, host netip.Addr) {
	c.snapshot, c.who, c.host, c.missed = s, who, host, 0
	clear(c.slots)
}
