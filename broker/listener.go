package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
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
}

// listen binds the socket of a configured listener.
func (b *Broker) listen(ctx context.Context, cfg config.Listener) (*listener, error) {
	network := &net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			if n := b.config().Broker().Network.SocketReceiveBufferBytes; n > 0 {
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, n)
			}
		})
	}}
	nl, err := network.Listen(ctx, "tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)))
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", cfg.Name, err)
	}
	l := &listener{b: b, name: cfg.Name, cfg: cfg, net: nl, port: nl.Addr().(*net.TCPAddr).Port}
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
		l.b.serve(l, nc)
	}
}

// serve starts a connection's goroutine.
func (b *Broker) serve(l *listener, nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		network := b.config().Broker().Network
		tcp.SetKeepAlive(true)
		if network.SocketSendBufferBytes > 0 {
			tcp.SetWriteBuffer(network.SocketSendBufferBytes)
		}
	}
	b.mu.Lock()
	if b.closing {
		b.mu.Unlock()
		nc.Close()
		return
	}
	b.connSeq++
	c := newConn(b, l, nc, b.connSeq)
	if !b.admitConnLocked(c) {
		b.mu.Unlock()
		b.metrics.refused.Add(1)
		nc.Close()
		return
	}
	b.conns[c] = struct{}{}
	b.wg.Add(1)
	b.mu.Unlock()
	b.metrics.connections.Add(1)
	go func() {
		defer b.wg.Done()
		c.serve()
	}()
}

// admitConnLocked applies max.connections, of the broker and the listener, and
// max.connections.per.ip with its overrides.
func (b *Broker) admitConnLocked(c *conn) bool {
	network := b.config().Broker().Network
	ip := c.peer.Addr()
	perIP := network.MaxConnectionsPerIP
	if n, ok := network.MaxConnectionsPerIPOverrides[ip.String()]; ok {
		perIP = n
	}
	if b.perIP[ip] >= perIP || len(b.conns) >= network.MaxConnections {
		return false
	}
	if most := c.listener.cfg.MaxConnections; most >= 0 && b.perListener[c.listener] >= most {
		return false
	}
	b.perIP[ip]++
	b.perListener[c.listener]++
	return true
}

// forget takes a closed connection out.
func (b *Broker) forget(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.conns[c]; !ok {
		return
	}
	delete(b.conns, c)
	ip := c.peer.Addr()
	if b.perIP[ip]--; b.perIP[ip] == 0 {
		delete(b.perIP, ip)
	}
	b.perListener[c.listener]--
}

// sweepIdle closes connections on which nothing has moved for connections.max.idle.ms,
// and keeps the coarse clock.
func (b *Broker) sweepIdle(ctx context.Context) {
	defer b.wg.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			b.coarseNow.Store(now.Unix())
		}
		most := b.config().Broker().Network.ConnectionsMaxIdle
		if most < 0 || n%max(1, min(10, int(most/(4*time.Second)))) != 0 {
			continue
		}
		var idle []*conn
		limit := b.coarseNow.Load() - int64(most/time.Second)
		b.mu.Lock()
		for c := range b.conns {
			if c.lastActive.Load() < limit {
				idle = append(idle, c)
			}
		}
		b.mu.Unlock()
		for _, c := range idle {
			c.logger().Debug("closing an idle connection")
			c.close()
		}
	}
}
