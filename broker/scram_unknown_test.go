package broker_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
)

// saltOf asks a listener for the salt of a user, as anybody may.
func saltOf(t *testing.T, address, mechanism, user string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	exchange := func(frame []byte) []byte {
		t.Helper()
		if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)); err != nil {
			t.Fatal(err)
		}
		var size [4]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c, answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	handshake := []byte{0, 17, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, byte(len(mechanism))}
	exchange(append(handshake, mechanism...))
	_, rest, ok := strings.Cut(string(exchange([]byte("n,,n="+user+",r=nonce"))), ",s=")
	salt, _, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 {
		t.Fatalf("%s has no salt", user)
	}
	return salt
}

// The salt of a user that exists is one on all listeners. If that of others were not, two
// questions would tell who exists.
func TestUsersThatDoNotExistHaveOneSaltOnAllListeners(t *testing.T) {
	scram := func(listener string) string {
		return "listener.name." + listener + ".scram-sha-256.sasl.jaas.config=" + scramLogin
	}
	b := brokertest.Start(t,
		"listeners=ONE://127.0.0.1:0,TWO://127.0.0.1:0", "listener.security.protocol.map=ONE:SASL_PLAINTEXT,TWO:SASL_PLAINTEXT",
		"inter.broker.listener.name=ONE", "sasl.enabled.mechanisms=SCRAM-SHA-256", "sasl.mechanism.inter.broker.protocol=SCRAM-SHA-256",
		scram("one"), scram("two"), "connection.failed.authentication.delay.ms=0",
		"delegation.token.secret.key=of all brokers", "barnabas.scram.users=SCRAM-SHA-256=[name=alice,password=a]")
	for _, user := range []string{"alice", "nobody"} {
		one, two := saltOf(t, b.Broker().Addresses()["ONE"], "SCRAM-SHA-256", user), saltOf(t, b.Broker().Addresses()["TWO"], "SCRAM-SHA-256", user)
		if one != two {
			t.Errorf("%s: %s on one listener, %s on the other", user, one, two)
		}
		b.Restart()
		if again := saltOf(t, b.Broker().Addresses()["ONE"], "SCRAM-SHA-256", user); again != one {
			t.Errorf("%s: %s before a restart, %s after it", user, one, again)
		}
	}
}
