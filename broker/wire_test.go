package broker_test

import (
	"net"
	"testing"
	"time"
)

// dialAddress is dial for a broker that brokertest did not start.
func dialAddress(t *testing.T, address string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &wire{t: t, conn: conn}
}
