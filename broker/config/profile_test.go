package config

import (
	"slices"
	"strings"
	"testing"
)

// safe is a configuration without weaknesses.
var safe = []string{
	"listeners=SSL://:9093,SASL_SSL://:9094", "security.inter.broker.protocol=SSL", "ssl.client.auth=required",
	"ssl.truststore.location=/ca.pem", "sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN", "log.dirs=/tmp/x",
	"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:admin",
}

func weaknesses(t *testing.T, overrides ...string) []Weakness {
	t.Helper()
	c, err := Load(Options{Overrides: append(slices.Clone(safe), overrides...), SecureListeners: true})
	if err != nil {
		t.Fatal(err)
	}
	return c.Weaknesses()
}

func TestEachWeaknessNamesItsKeyAndStrictRefusesIt(t *testing.T) {
	if w := weaknesses(t); len(w) > 0 {
		t.Errorf("a safe configuration has %+v", w)
	}
	if _, err := Load(Options{Overrides: append(slices.Clone(safe), "security.profile=strict"), SecureListeners: true}); err != nil {
		t.Errorf("strict refuses a safe configuration: %v", err)
	}
	for _, tt := range []struct {
		override, key, text string
		more                string
	}{
		{"listeners=SSL://:9093,PLAINTEXT://:9092", "listeners", "listener PLAINTEXT (:9092) asks nobody", ""},
		{"listeners=SSL://:9093,SASL_PLAINTEXT://:9092", "listeners", "does not encrypt", "sasl.enabled.mechanisms=SCRAM-SHA-512"},
		{"listeners=SSL://:9093,SASL_PLAINTEXT://:9092", "sasl.enabled.mechanisms", "passwords go over the network", ""},
		{"ssl.client.auth=requested", "ssl.client.auth", "does not require a certificate", ""},
		{"listener.name.ssl.ssl.client.auth=none", "listener.name.ssl.ssl.client.auth", "does not require a certificate", ""},
		{"ssl.truststore.location=", "ssl.truststore.location", "every authority that this machine trusts", ""},
		{"ssl.enabled.protocols=TLSv1.1,TLSv1.2,TLSv1.3", "ssl.enabled.protocols", "allows TLSv1.1", ""},
		{"ssl.cipher.suites=TLS_RSA_WITH_AES_128_GCM_SHA256", "ssl.cipher.suites", "TLS_RSA_WITH", ""},
		{"authorizer.class.name=", "authorizer.class.name", "no authorizer", ""},
		{"allow.everyone.if.no.acl.found=true", "allow.everyone.if.no.acl.found", "no ACL speaks of", ""},
		{"barnabas.acl.dry.run=true", "barnabas.acl.dry.run", "NOT IN FORCE", ""},
		{"super.users=User:admin;User:ANONYMOUS", "super.users", "User:ANONYMOUS", ""},
		{"barnabas.admin.listener=0.0.0.0:9644", "barnabas.admin.listener", "administration port", ""},
		{"sasl.oauthbearer.jwks.endpoint.url=http://issuer/keys", "sasl.oauthbearer.jwks.endpoint.url", "without TLS", "sasl.enabled.mechanisms=OAUTHBEARER"},
		{"barnabas.oauthbearer.unsecured.allowed=true", "barnabas.oauthbearer.unsecured.allowed", "nobody signed", "sasl.enabled.mechanisms=OAUTHBEARER"},
		{"barnabas.sasl.anonymous.enable=true", "barnabas.sasl.anonymous.enable", "not logged in", ""},
		{"listener.name.sasl_ssl.barnabas.tls.optional.enable=true", "listener.name.sasl_ssl.barnabas.tls.optional.enable", "without TLS", ""},
		{"listener.name.sasl_ssl.barnabas.tls.optional.enable=TRUE", "listener.name.sasl_ssl.barnabas.tls.optional.enable", "without TLS", ""},
		{"barnabas.sasl.anonymous.enable=True", "barnabas.sasl.anonymous.enable", "not logged in", ""},
		{"barnabas.oauthbearer.unsecured.allowed= TRUE ", "barnabas.oauthbearer.unsecured.allowed", "nobody signed", "sasl.enabled.mechanisms=OAUTHBEARER"},
	} {
		overrides := []string{tt.override}
		if tt.more != "" {
			overrides = append(overrides, tt.more)
		}
		found := slices.ContainsFunc(weaknesses(t, overrides...), func(w Weakness) bool {
			return w.Key == tt.key && strings.Contains(w.Text, tt.text)
		})
		if !found {
			t.Errorf("%s: %+v, want %s: %s", overrides, weaknesses(t, overrides...), tt.key, tt.text)
		}
		_, err := Load(Options{Overrides: append(append(slices.Clone(safe), overrides...), "security.profile=strict"), SecureListeners: true})
		if err == nil || !strings.Contains(err.Error(), tt.key+"=") || !strings.Contains(err.Error(), "security.profile=strict: ") {
			t.Errorf("%s: strict says %v", overrides, err)
		}
	}
	for _, w := range weaknesses(t, "listeners=PLAINTEXT://127.0.0.1:9092", "security.inter.broker.protocol=PLAINTEXT", "authorizer.class.name=") {
		if !w.Local {
			t.Errorf("on loopback: %+v", w)
		}
	}
}
