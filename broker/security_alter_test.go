package broker_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/broker/exposition"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
)

// alterBroker sets a key of broker 1, or says why it may not be.
func alterBroker(t *testing.T, c *kgo.Client, key, value string) (protocol.ErrorCode, string) {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeBroker, "1"
	set := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	set.Name, set.Value = key, &value
	res.Configs = append(res.Configs, set)
	req.Resources = append(req.Resources, res)
	resp := ask[*kmsg.IncrementalAlterConfigsResponse](t, c, req)
	message := ""
	if m := resp.Resources[0].ErrorMessage; m != nil {
		message = *m
	}
	return protocol.ErrorCode(resp.Resources[0].ErrorCode), message
}

func TestPasswordsChangeWithoutARestart(t *testing.T) {
	const key = "listener.name.sasl_plaintext.plain.sasl.jaas.config"
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT")...)
	alice := plainClient(t, b, "alice", "secret")
	if err := creates(t, alice, "before"); err != nil {
		t.Fatal(err)
	}
	if code, message := alterBroker(t, alice, key, strings.Replace(plainLogin, "secret", "sesame", 1)); code != protocol.None {
		t.Fatal(code, message)
	}
	eventually(t, func() bool { return creates(t, plainClient(t, b, "alice", "sesame"), "new-password") == nil })
	if err := creates(t, plainClient(t, b, "alice", "secret"), "old-password"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("the old password: %v", err)
	}
	if err := creates(t, alice, "still-there"); err != nil {
		t.Errorf("a connection from before: %v", err)
	}
	for _, bad := range []string{
		`com.sun.security.auth.module.JndiLoginModule required user.provider.url="ldap://127.0.0.1:1/hush";`,
		`org.example.SomeLoginModule required user_alice="hush";`,
		`org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="hush"`,
		`org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="{pbkdf2-sha512}1$hush$hush";`,
	} {
		if code, message := alterBroker(t, alice, key, bad); code != protocol.ErrInvalidRequest || strings.Contains(message, "hush") {
			t.Errorf("%s: %v %s", bad, code, message)
		}
	}
	if err := creates(t, plainClient(t, b, "alice", "sesame"), "after-all"); err != nil {
		t.Error(err)
	}
	b.Restart()
	if err := creates(t, plainClient(t, b, "alice", "sesame"), "after-a-restart"); err != nil {
		t.Error(err)
	}
}

func TestABadKeyStoreIsRefusedWhereItIsSet(t *testing.T) {
	f := newTLSFiles(t)
	b := brokertest.Start(t, sslOptions(f, "requested")...)
	alice := saslClient(t, b, nil, kgo.DialTLSConfig(f.client(t, "alice")))
	if err := creates(t, alice, "before"); err != nil {
		t.Fatal(err)
	}
	nonsense := f.write(t, "nonsense.pem", []byte("nonsense"))
	for _, location := range []string{nonsense, filepath.Join(f.dir, "not-there.pem")} {
		if code, message := alterBroker(t, alice, "listener.name.ssl.ssl.keystore.location", location); code != protocol.ErrInvalidRequest {
			t.Errorf("%s: %v %s", location, code, message)
		}
	}
	if err := creates(t, saslClient(t, b, nil, kgo.DialTLSConfig(f.client(t, "alice"))), "after"); err != nil {
		t.Error(err)
	}
	var w exposition.Writer
	b.Broker().WriteMetrics(&w, false)
	for _, role := range []string{"key", "trusted"} {
		if want := `barnabas_tls_certificate_expiry_timestamp_seconds{listener="SSL",role="` + role + `"} `; !strings.Contains(string(w.Bytes()), want) {
			t.Errorf("no %s in the metrics", want)
		}
	}

	// What is no better than it was does not stand in the way of something else.
	f.write(t, "server.pem", []byte("nonsense"))
	if code, message := alterBroker(t, alice, "log.cleaner.backoff.ms", "14000"); code != protocol.None {
		t.Error(code, message)
	}
}

func TestUnsignedTokensNeedTheirKey(t *testing.T) {
	const handler = "listener.name.sasl_plaintext.oauthbearer.sasl.server.callback.handler.class=" +
		"org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
	options := func(more ...string) []string {
		return saslOptions("SASL_PLAINTEXT", append([]string{"sasl.enabled.mechanisms=PLAIN,OAUTHBEARER",
			"listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredValidatorRequiredScope=\"kafka\";"}, more...)...)
	}
	if startError(t, options()) == nil || startError(t, options(handler)) == nil {
		t.Error("the broker started")
	}
	token := func(claims string) string {
		return base64URL([]byte(`{"alg":"none"}`)) + "." + base64URL([]byte(claims)) + "."
	}
	for _, class := range []string{"", handler} {
		more := []string{"barnabas.oauthbearer.unsecured.allowed=true"}
		if class != "" {
			more = append(more, class)
		}
		b := brokertest.Start(t, options(more...)...)
		if err := creates(t, saslClient(t, b, oauth.Auth{Token: token(`{"sub":"alice","scope":"kafka","exp":9999999999}`)}.AsMechanism()), "good"); err != nil {
			t.Error(err)
		}
		for _, bad := range []string{`{"sub":"alice","exp":9999999999}`, `{"sub":"alice","scope":"kafka","exp":1}`, `{"scope":"kafka","exp":9999999999}`} {
			if err := creates(t, saslClient(t, b, oauth.Auth{Token: token(bad)}.AsMechanism()), "bad"); err == nil {
				t.Errorf("%s got in", bad)
			}
		}
	}
}

// eventually waits until something holds.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to hold")
		}
	}
}

// Apache refuses it too: DynamicListenerConfig takes new listeners' keys only.
func TestTheMechanismsOfAnOpenListenerAreNotAltered(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT")...)
	alice := plainClient(t, b, "alice", "secret")
	if code, message := alterBroker(t, alice, "listener.name.sasl_plaintext.sasl.enabled.mechanisms", "SCRAM-SHA-512"); code != protocol.ErrInvalidRequest ||
		!strings.Contains(message, "sasl.enabled.mechanisms") {
		t.Errorf("for the listener: %v %s", code, message)
	}
	if code, message := alterBroker(t, alice, "sasl.enabled.mechanisms", "SCRAM-SHA-512"); code != protocol.None {
		t.Errorf("for the broker: %v %s", code, message)
	}
	if err := creates(t, plainClient(t, b, "alice", "secret"), "still-plain"); err != nil {
		t.Error(err)
	}
}

// security.profile=strict holds for what is altered while the broker runs, and for what is
// stored when it starts.
func TestTheStrictProfileRefusesWeakSettingsThatAreAltered(t *testing.T) {
	const key = "listener.name.ssl.ssl.client.auth"
	f, data := newTLSFiles(t), "log.dirs="+t.TempDir()
	b := brokertest.Start(t, sslOptions(f, "required", "security.profile=strict", data)...)
	alice := saslClient(t, b, nil, kgo.DialTLSConfig(f.client(t, "alice")))
	if code, message := alterBroker(t, alice, key, "none"); code != protocol.ErrInvalidRequest || !strings.Contains(message, "security.profile=strict") {
		t.Errorf("%v %s", code, message)
	}
	if err := creates(t, saslClient(t, b, nil, kgo.DialTLSConfig(f.client(t, ""))), "by-nobody"); err == nil {
		t.Error("a client without a certificate is served")
	}
	if code, message := alterBroker(t, alice, key, "required"); code != protocol.None {
		t.Errorf("%v %s", code, message)
	}
	b.Stop()

	loose := brokertest.Start(t, sslOptions(f, "required", data)...)
	alice = saslClient(t, loose, nil, kgo.DialTLSConfig(f.client(t, "alice")))
	if code, message := alterBroker(t, alice, key, "none"); code != protocol.None {
		t.Fatal(code, message)
	}
	loose.Stop()
	if err := startError(t, sslOptions(f, "required", "security.profile=strict", data)); err == nil || !strings.Contains(err.Error(), key) {
		t.Errorf("with a stored setting that is weak: %v", err)
	}
}
