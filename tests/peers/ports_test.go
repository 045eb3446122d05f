package peers

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFreePortsAreDistinct(t *testing.T) {
	ports, err := FreePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, p := range ports {
		if seen[p] {
			t.Errorf("port %d twice", p)
		}
		seen[p] = true
	}
}

func TestAHeldPortIsForTheHoldersBrokerOnly(t *testing.T) {
	held, err := holdPorts(1)
	if err != nil {
		t.Fatal(err)
	}
	port := held[0]
	defer port.release()
	for range 2 { // a broker, and that broker started again
		if other, err := holdPort(port.number); !errors.Is(err, unix.EADDRINUSE) {
			if err == nil {
				other.release()
			}
			t.Errorf("held twice: %v", err)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port.number))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		served, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		served.Close() // before the client does: what is left of the connection lingers on our side
		conn.Close()
		l.Close()
	}
}
