package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

// principal is somebody with topics and groups of their own.
type principal struct {
	name     string
	password string
	scram    []kadm.ScramMechanism // that it may log in with
}

// row is one mechanism on one listener.
type row struct {
	name      string
	short     bool // belongs to the CI sample
	who       *principal
	mechanism string
	listener  string
	// good and bad are what a client connects with: what lets it in, and what must not.
	good, bad func(w *world, client string) (peers.Security, error)
	badIs     string
	// cannot says for which clients the row does not exist, and why; by the beginning of a name.
	cannot map[string]string
	// badWorks says for which of these the refusal can be shown all the same.
	badWorks string
}

func (r *row) reason(client string) string {
	for prefix, why := range r.cannot {
		if strings.HasPrefix(client, prefix) {
			return why
		}
	}
	return ""
}

// tls adds what a client needs for a listener of a store type.
func (w *world) tls(s peers.Security, client, storeType string) peers.Security {
	s.TLS = true
	s.CA = w.keys.path("ca.pem")
	s.StoreType, s.TrustStore, s.StorePassword = storeType, w.keys.path(storeFile("trust", storeType)), storePassword
	return s
}

// certificate adds a client's certificate.
func (w *world) certificate(s peers.Security, name, storeType string) peers.Security {
	s.Certificate, s.Key = w.keys.path(name+".crt"), w.keys.path(name+".key")
	s.KeyStore = w.keys.path(storeFile(name, storeType))
	return s
}

const (
	noOIDC       = "Debian's librdkafka is built without OpenID Connect; it can only make unsigned tokens"
	noSignedJava = "this client can only make unsigned tokens (signed ones since 3.1)"
	noTokens     = "the client does not know delegation tokens"
	noKerberos   = "the client has no GSSAPI"
)

// rows is the whole table, from top to bottom.
func rows() ([]*row, []*principal) {
	plainUser := &principal{name: "plain-user", password: "plain secret"}
	scram256 := &principal{name: "scram-256", password: "pass=word, with \"quotes\" é", scram: []kadm.ScramMechanism{kadm.ScramSha256}}
	scram512 := &principal{name: "scram-512", password: "scram 512 secret", scram: []kadm.ScramMechanism{kadm.ScramSha512}}
	krbUser := &principal{name: "krb-user"}
	oauthUser := &principal{name: "oauth-user"}
	tokenOwner := &principal{name: "token-owner", password: "owner secret", scram: []kadm.ScramMechanism{kadm.ScramSha256}}
	var all []*row
	for _, listener := range []string{listenerClear, listenerCrypt} {
		over := ", plaintext"
		if listener == listenerCrypt {
			over = ", TLS"
		}
		add := func(r row, good, bad func(w *world, client string) (peers.Security, error)) {
			wrap := func(f func(*world, string) (peers.Security, error)) func(*world, string) (peers.Security, error) {
				return func(w *world, client string) (peers.Security, error) {
					s, err := f(w, client)
					if listener == listenerCrypt {
						s = w.tls(s, client, "PKCS12")
						if strings.HasPrefix(client, "java-2.8") || strings.HasPrefix(client, "java-0") {
							s = w.tls(s, client, "JKS")
						}
					}
					return s, err
				}
			}
			r.name += over
			r.listener, r.good, r.bad = listener, wrap(good), wrap(bad)
			all = append(all, &r)
		}
		password := func(name, mechanism string, who *principal, short bool) {
			login := func(password string) func(*world, string) (peers.Security, error) {
				return func(*world, string) (peers.Security, error) {
					return peers.Security{Mechanism: mechanism, User: who.name, Password: password}, nil
				}
			}
			add(row{name: name, who: who, mechanism: mechanism, badIs: "wrong password", short: short}, login(who.password), login("wrong"))
		}
		password("PLAIN", "PLAIN", plainUser, false)
		password("SCRAM-SHA-256", "SCRAM-SHA-256", scram256, false)
		password("SCRAM-SHA-512", "SCRAM-SHA-512", scram512, listener == listenerCrypt)
		kerberos := func(of string) func(*world, string) (peers.Security, error) {
			return func(w *world, client string) (peers.Security, error) {
				s := peers.Security{Mechanism: "GSSAPI", Krb5Conf: w.kdc.confOf(of), Keytab: w.kdc.keytab("krb-user", of), Principal: "krb-user",
					Realm: of, Tickets: w.kdc.tickets("krb-user", of)}
				return s, nil
			}
		}
		add(row{name: "GSSAPI", who: krbUser, mechanism: "GSSAPI", badIs: "ticket of another realm",
			cannot: map[string]string{"kafkajs": noKerberos}}, kerberos(realm), kerberos(otherRealm))
		bearer := func(path string, token func(i *issuer) string) func(*world, string) (peers.Security, error) {
			return func(w *world, client string) (peers.Security, error) {
				// The authority is the issuer's too.
				return peers.Security{Mechanism: "OAUTHBEARER", CA: w.keys.path("ca.pem"), User: "oauth-user", Password: w.issuer.secret,
					Token: token(w.issuer), TokenURL: w.issuer.url + path}, nil
			}
		}
		add(row{name: "OAUTHBEARER", who: oauthUser, mechanism: "OAUTHBEARER", badIs: "token of another key",
			cannot: map[string]string{"kcat": noOIDC, "java-2.8": noSignedJava, "java-0": "the client does not know OAUTHBEARER"}, badWorks: "kcat"},
			bearer("/token", func(i *issuer) string { return i.token("oauth-user", nil) }),
			bearer("/token-of-another-key", func(i *issuer) string { return sign(i.stranger, "RS256", i.claims("oauth-user", nil)) }))
		token := func(spoil bool) func(*world, string) (peers.Security, error) {
			return func(w *world, client string) (peers.Security, error) {
				id, hmac, err := w.delegationToken(tokenOwner, time.Hour)
				if spoil {
					hmac = base64Text([]byte("another key, as long as a good one is"))
				}
				return peers.Security{Mechanism: "SCRAM-SHA-256", User: id, Password: hmac, TokenAuth: true}, err
			}
		}
		add(row{name: "delegation token", who: tokenOwner, mechanism: "SCRAM-SHA-256", badIs: "wrong HMAC", cannot: map[string]string{
			"kcat": noTokens, "sarama": noTokens, "kafkajs": noTokens, "kafka-python": noTokens, "java-0": noTokens}}, token(false), token(true))
	}
	principals := []*principal{plainUser, scram256, scram512, krbUser, oauthUser, tokenOwner}
	for _, storeType := range storeTypes {
		who := &principal{name: "mtls-" + strings.ToLower(storeType)}
		principals = append(principals, who)
		shows := func(name string) func(*world, string) (peers.Security, error) {
			return func(w *world, client string) (peers.Security, error) {
				s := w.certificate(w.tls(peers.Security{}, client, storeType), name, storeType)
				if storeType == "PEM" && strings.HasPrefix(client, "java-2.8") {
					// It reads no key from a PEM file that has no password.
					s.KeyStore, s.KeyPassword = w.keys.path(name+".locked.pem"), storePassword
				}
				return s, nil
			}
		}
		r := &row{name: "mTLS, " + storeType + " stores", who: who, listener: storeType, good: shows(who.name), bad: shows("stranger"), badIs: "certificate of another CA"}
		if storeType == "PEM" {
			r.cannot = map[string]string{"java-0": "the client does not read PEM (since 2.7)"}
		}
		all = append(all, r)
	}
	return all, principals
}

// delegationToken asks for a token as its owner.
func (w *world) delegationToken(owner *principal, life time.Duration) (id, hmac string, err error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(w.addr[listenerCrypt]), kgo.DialTLSConfig(w.clientTLS), kgo.RequestRetries(1),
		kgo.SASL(scram.Auth{User: owner.name, Pass: owner.password}.AsSha256Mechanism()))
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	adm := kadm.NewClient(c)
	token, err := adm.CreateDelegationToken(ctx, kadm.CreateDelegationToken{MaxLifetime: life})
	if err != nil {
		return "", "", fmt.Errorf("create a delegation token: %w", err)
	}
	for { // Apache's brokers learn of it a little later
		all, err := adm.DescribeDelegationTokens(ctx)
		if err != nil {
			return "", "", fmt.Errorf("describe delegation tokens: %w", err)
		}
		for _, t := range all {
			if t.TokenID == token.TokenID {
				return token.TokenID, base64Text(token.HMAC), nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}
