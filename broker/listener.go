package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barnabas-broker/barnabas/broker/config"
)

// listener is one bound socket.
type listener struct {
	b    *Broker
	name string
	cfg  config.Listener
	net  net.Listener
	port int // really bound

	advertisedHost string
	advertisedPort int

	security listenerSecurity
}

// listen binds the socket of a configured listener.
func (b *Broker) listen(ctx context.Context, cfg config.Listener) (*listener, error) {
	security, err := b.secure(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", cfg.Name, err)
	}
	network := &net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			// Kafka's default of 100 KB would switch the kernel's own sizing off, which costs a
			// request of 1 MB a wake-up per 100 KB. So it counts only where somebody set it.
			if n := b.config().Broker().Network.SocketReceiveBufferBytes; n > 0 && b.config().IsSet("socket.receive.buffer.bytes") {
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, n)
			}
		})
	}}
	nl, err := network.Listen(ctx, "tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)))
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", cfg.Name, err)
	}
	// The system's own largest backlog is Go's default, so that no burst is turned away;
	// a number that somebody chose is kept to.
	if c := b.config(); c.IsSet("socket.listen.backlog.size") {
		if raw, err := nl.(*net.TCPListener).SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) { unix.Listen(int(fd), c.Broker().Network.SocketListenBacklogSize) })
		}
	}
	l := &listener{b: b, name: cfg.Name, cfg: cfg, security: security, net: nl, port: nl.Addr().(*net.TCPAddr).Port}
	l.advertisedHost, l.advertisedPort = cfg.AdvertisedHost, cfg.AdvertisedPort
	if l.advertisedHost == "" {
		l.advertisedHost = b.opts.HostName
	}
	if l.advertisedPort == 0 {
		l.advertisedPort = l.port
	}
	return l, nil
}

// accept serves connections until the listener is closed. Running out of descriptors
// pauses it, nothing else ends it.
func (l *listener) accept() {
	defer l.b.wg.Done()
	for {
		nc, err := l.net.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			l.b.logger.Warn("cannot accept a connection", "listener", l.name, "err", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		switch verdict, evict := l.b.connections.admit(l.name, peerAddr(nc)); verdict {
		case connectionsClosed:
			nc.Close()
			return
		case connectionRefused:
			l.b.metrics.refused.Add(1)
			l.b.logger.Info("rejected a connection: its address has the most that max.connections.per.ip allows",
				"listener", l.name, "peer", nc.RemoteAddr().String())
			nc.Close()
		default:
			if l.b.tooManyFrom(nc) {
				l.b.connections.gone(l.name, peerAddr(nc))
				l.b.metrics.refused.Add(1)
				continue
			}
			if l.security.asks() && !l.b.unproved.admit(l.b.ctx, l, peerAddr(nc)) {
				l.b.connections.gone(l.name, peerAddr(nc))
				l.b.metrics.refused.Add(1)
				nc.Close()
				continue
			}
			l.b.serve(l, nc)
			if evict {
				l.b.closeExcess()
			}
		}
	}
}

// serve starts a connection's goroutine.
func (b *Broker) serve(l *listener, nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		network := b.config().Broker().Network
		tcp.SetKeepAlive(true)
		if network.SocketSendBufferBytes > 0 && b.config().IsSet("socket.send.buffer.bytes") {
			tcp.SetWriteBuffer(network.SocketSendBufferBytes)
		}
	}
	b.mu.Lock()
	if b.closing {
		b.mu.Unlock()
		b.connections.gone(l.name, peerAddr(nc))
		nc.Close()
		return
	}
	b.connSeq++
	c := newConn(b, l, nc, b.connSeq)
	b.conns[c] = struct{}{}
	b.wg.Add(1)
	b.mu.Unlock()
	if l.security.asks() {
		b.unproved.enter(c)
	}
	b.metrics.connections.Add(1)
	go func() {
		defer b.wg.Done()
		c.serve()
	}()
}

// peerAddr is the address of the other end, an IPv4 one as such.
func peerAddr(nc net.Conn) netip.Addr {
	if addr, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		return addr.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// forget takes a closed connection out.
func (b *Broker) forget(c *conn) {
	b.mu.Lock()
	_, known := b.conns[c]
	delete(b.conns, c)
	b.mu.Unlock()
	if known {
		b.unproved.leave(c)
		b.connections.gone(c.listener.name, c.address())
	}
}

// closeExcess closes connections beyond max.connections, those first on which nothing has
// moved for longest, and none of the inter-broker listener where there are others.
func (b *Broker) closeExcess() {
	excess := b.connections.excess()
	if excess <= 0 {
		return
	}
	var candidates []*conn
	b.mu.Lock()
	for c := range b.conns {
		if !c.listener.cfg.InterBroker || len(b.listeners) == 1 {
			candidates = append(candidates, c)
		}
	}
	b.mu.Unlock()
	slices.SortFunc(candidates, func(x, y *conn) int { return cmp.Compare(x.lastActive.Load(), y.lastActive.Load()) })
	for _, c := range candidates[:min(excess, len(candidates))] {
		c.logger().Info("closing a connection to come down to max.connections")
		c.close()
	}
}

// tick sets the coarse clock, whatever becomes of the wall clock.
func (b *Broker) tick() { b.coarseNow.Store(1 + int64(time.Since(b.started)/time.Second)) }

// sweep keeps the coarse clock, and looks at the connections now and then.
func (b *Broker) sweep(ctx context.Context) {
	defer b.wg.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			b.tick()
		}
		most := b.config().Broker().Network.ConnectionsMaxIdle
		if most < 0 {
			most = time.Minute
		}
		if n%max(1, min(10, int(most/(4*time.Second)))) == 0 {
			b.sweepConnections(b.coarseNow.Load())
		}
	}
}
