package broker

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/broker/config"
	"golang.org/x/sys/unix"
)

// waiting puts a connection of an address into the lists.
func waiting(u *unproved, l *listener, ip string) *conn {
	c := &conn{b: &Broker{unproved: u, connections: limitsOf(config.Network{}, oneListener(l.name))}, listener: l,
		peer: netip.AddrPortFrom(netip.MustParseAddr(ip), 1)}
	c.net, _ = net.Pipe()
	c.room.L = &c.mu
	u.enter(c)
	return c
}

func TestAStalledClientGivesItsPlaceAndABurstIsNotTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := &config.Network{MaxUnauthenticated: 4, MaxUnauthenticatedPerIP: 3}
		u := newUnproved(1, func() *config.Network { return network })
		l := &listener{name: "A", security: listenerSecurity{gate: &auth.GateOptions{}}}
		first := waiting(u, l, "10.0.0.1")
		time.Sleep(stalledAge / 2)
		waiting(u, l, "10.0.0.1")
		waiting(u, l, "10.0.0.1")
		here, there := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
		if u.admit(t.Context(), l, here) {
			t.Fatal("a fourth of an address, and none is stalled")
		}
		if !u.admit(t.Context(), l, there) {
			t.Fatal("another address")
		}
		other := waiting(u, l, "10.0.0.2")
		began := time.Now()
		if !u.admit(t.Context(), l, there) || !first.closed || other.closed {
			t.Fatal("the oldest was to go")
		}
		if took := time.Since(began); took < stalledAge/2 || took > stalledAge {
			t.Fatalf("it went after %v", took)
		}
		last := waiting(u, l, "10.0.0.2")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if u.admit(ctx, l, there) {
			t.Fatal("the broker has stopped")
		}
		u.leave(last)
		u.leave(last)
		if u.count() != 3 || !u.admit(t.Context(), l, there) || u.shed.Load() != 1 || u.refused.Load() != 1 {
			t.Fatal("a place was to be free", u.count(), u.shed.Load(), u.refused.Load())
		}
	})
}

func TestAClosedSocketWithUnreadBytesLosesNoAnswer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := server.(*net.TCPConn).SyscallConn()
	ts := newTimers()
	go ts.run(t.Context().Done())
	l := &listener{name: "A"}
	b := &Broker{timers: ts, connections: limitsOf(config.Network{}, oneListener("A")), conns: map[*conn]struct{}{}}
	c := newConn(b, l, server, 1)
	b.conns[c] = struct{}{}
	b.connections.admit("A", c.address())
	client.Write(make([]byte, 10_000))
	raw.Read(func(fd uintptr) bool { // until all of it is here
		n, _, _ := unix.Recvfrom(int(fd), make([]byte, 10_000), unix.MSG_PEEK)
		return n == 10_000
	})
	server.Write([]byte("the answer"))
	c.linger()
	client.Write(make([]byte, 100))
	buf := make([]byte, 100)
	if n, err := client.Read(buf); err != nil || string(buf[:n]) != "the answer" {
		t.Fatal(n, err)
	}
	if n, err := client.Read(buf); n != 0 || err == nil {
		t.Fatal("our side stays open")
	}
	client.Close()
	for {
		c.mu.Lock()
		closed := c.closed
		c.mu.Unlock()
		if closed {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
