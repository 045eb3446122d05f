package broker

import (
	"sync/atomic"
	"time"
)

// paceWindow is how long the rest of a request may come too slowly. It is longer than
// clients wait for an answer, which most count from the request's first byte.
const paceWindow = time.Minute

// pace judges how fast the rest of a request comes whose beginning is here. What counts is
// the time in which the broker waits for it, not that in which it does something else, as
// when it holds the connection back. Times are those of Broker.coarseNow.
type pace struct {
	// Of the window, while the rest is waited for; else 0. Read by the sweep.
	since atomic.Int64

	// Used by the reading goroutine alone.
	start int64 // of the window without the time in which nothing was waited for; 0: none
	left  int64 // when the waiting ended last
	bytes int   // that came in the window
}

// wait says that the rest of a request is waited for.
func (p *pace) wait(now int64) {
	if p.start == 0 {
		p.start, p.bytes = now, 0
	} else {
		p.start += now - p.left
	}
	p.since.Store(p.start)
}

// came says that n bytes have come. It reports whether enough have for a window, which
// then begins anew.
func (p *pace) came(now int64, n, enough int) bool {
	p.since.Store(0)
	p.left = now
	p.bytes += n
	if p.bytes < enough {
		return false
	}
	p.start = 0
	return true
}

// whole says that the request is here.
func (p *pace) whole() { p.start = 0 }

// tooSlow says whether a window has passed without enough having come.
func (p *pace) tooSlow(now int64) bool {
	since := p.since.Load()
	return since != 0 && now-since > int64(paceWindow/time.Second)
}

// sweepConnections closes connections on which nothing has moved for
// connections.max.idle.ms, whose request comes too slowly, and whose client takes no
// answer.
func (b *Broker) sweepConnections(now int64) {
	network := &b.config().Broker().Network
	idle, stall := int64(network.ConnectionsMaxIdle/time.Second), int64(network.MaxAnswerStall/time.Second)
	judged := network.MinRequestRate > 0
	var idlers, slow, stalled []*conn
	b.mu.Lock()
	for c := range b.conns {
		switch {
		case judged && c.pace.tooSlow(now):
			slow = append(slow, c)
		case stall > 0 && c.stalledFor(now) > stall:
			stalled = append(stalled, c)
		case network.ConnectionsMaxIdle >= 0 && c.lastActive.Load() < now-idle:
			idlers = append(idlers, c)
		}
	}
	b.mu.Unlock()
	for _, c := range idlers {
		c.logger().Debug("closing an idle connection")
		c.close()
	}
	for _, c := range slow {
		b.metrics.slowRequests.Add(1)
		c.logger().Info("closing a connection: a request comes more slowly than barnabas.request.min.bytes.per.second allows")
		c.close()
	}
	for _, c := range stalled {
		b.metrics.stalledAnswers.Add(1)
		c.logger().Info("closing a connection: its client has taken nothing of an answer for barnabas.answer.max.stall.ms")
		c.close()
	}
}

// stalledFor is for how many seconds the client has taken nothing of what is being sent.
func (c *conn) stalledFor(now int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.writing {
		return 0
	}
	return now - c.sent
}

// took says that the client has taken some of what is being sent.
func (c *conn) took() {
	c.mu.Lock()
	c.sent = c.b.coarseNow.Load()
	c.mu.Unlock()
	c.touch() // a slow reader is no idle one
}
