package broker_test

import (
	"net"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
)

// A client that does not read its answers holds up nobody else's authentication.
func TestAnAnswerThatWaitsForItsSocketTakesNoTurn(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT")...)
	client, server := net.Pipe()
	client.SetDeadline(time.Now().Add(30 * time.Second))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.Broker().ServeFullConn(server)
	}()
	w := &wire{t: t, conn: client}
	w.send(handshake("PLAIN", 1))
	if _, err := client.Read(make([]byte, 1)); err != nil { // the rest is being written
		t.Fatal(err)
	}
	if _, turns := b.Broker().Strangers(); turns != 0 {
		t.Errorf("the answer to a handshake waits with %d turns", turns)
	}
	client.Close()
	<-ended
}
