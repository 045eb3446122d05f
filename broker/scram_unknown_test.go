package broker_test

import (
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/metadata"
)

// saltOf asks a listener for the salt of a user, as anybody may.
func saltOf(t *testing.T, address, mechanism, user string) string {
	t.Helper()
	salt, _ := saltAndIterationsOf(t, address, mechanism, user)
	return salt
}

func saltAndIterationsOf(t *testing.T, address, mechanism, user string) (salt, iterations string) {
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
	salt, iterations, ok2 := strings.Cut(rest, ",i=")
	if !ok || !ok2 {
		t.Fatalf("%s has no salt", user)
	}
	return salt, iterations
}

// The salt of a user that exists is one on all listeners. If that of others were not, two
// questions would tell who exists.
func TestUsersThatDoNotExistHaveOneSaltOnAllListeners(t *testing.T) {
	scram := func(listener string) string {
		return "listener.name." + listener + ".scram-sha-256.sasl.jaas.config=" + scramLogin
	}
	for _, key := range []string{"", "of all brokers"} {
		t.Run("key="+key, func(t *testing.T) {
			b := brokertest.Start(t,
				"listeners=ONE://127.0.0.1:0,TWO://127.0.0.1:0", "listener.security.protocol.map=ONE:SASL_PLAINTEXT,TWO:SASL_PLAINTEXT",
				"inter.broker.listener.name=ONE", "sasl.enabled.mechanisms=SCRAM-SHA-256", "sasl.mechanism.inter.broker.protocol=SCRAM-SHA-256",
				scram("one"), scram("two"), "connection.failed.authentication.delay.ms=0",
				"delegation.token.secret.key="+key, "barnabas.scram.users=SCRAM-SHA-256=[name=alice,password=a]")
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
		})
	}
}

// The salt of a user that does not exist has the form of those that exist, and it pretends to
// as many iterations as most of them have.
func TestUsersThatDoNotExistLookLikeThoseThatDo(t *testing.T) {
	b := brokertest.Start(t, "listeners=SASL_PLAINTEXT://127.0.0.1:0", "inter.broker.listener.name=SASL_PLAINTEXT",
		"sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512", "sasl.mechanism.inter.broker.protocol=SCRAM-SHA-256", "connection.failed.authentication.delay.ms=0",
		"listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config="+scramLogin, "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config="+scramLogin,
		"barnabas.scram.users=SCRAM-SHA-256=[name=alice,password=a,iterations=8192];SCRAM-SHA-256=[name=bob,password=b,iterations=8192];SCRAM-SHA-256=[name=carol,password=c]")
	check := func(mechanism, user, want string) {
		t.Helper()
		salt, iterations := saltAndIterationsOf(t, b.Address(), mechanism, user)
		text, err := base64.StdEncoding.DecodeString(salt)
		if err != nil || len(text) < 20 || len(text) > 26 || strings.Trim(string(text), "0123456789abcdefghijklmnopqrstuvwxyz") != "" || iterations != want {
			t.Errorf("%s has the salt %q and %s iterations, %v; want %s", user, text, iterations, err, want)
		}
	}
	check("SCRAM-SHA-256", "alice", "8192")
	check("SCRAM-SHA-256", "carol", "4096")
	check("SCRAM-SHA-256", "nobody", "8192")
	check("SCRAM-SHA-512", "nobody", "4096")
	results, err := b.Broker().Store().AlterUserScramCredentials(t.Context(), nil, []metadata.ScramUpsertion{{User: "dave", Mechanism: metadata.ScramSHA512,
		Iterations: 16384, Salt: auth.NewScramSalt(), SaltedPassword: make([]byte, 64)}})
	if err != nil || results[0].Err != nil {
		t.Fatal(err, results)
	}
	check("SCRAM-SHA-512", "nobody", "16384")
}
