package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/tests/bench/replay"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// refusalColumns are what issues and auditors ask of every way in.
var refusalColumns = []string{"wrong secret", "expired", "wrong realm", "wrong certificate", "replayed"}

// nothingToRefuse says why a row has nothing in a column; by the beginning of the row's name.
var nothingToRefuse = map[string]map[string]string{
	"wrong secret": {},
	"expired":      {"PLAIN": "passwords have no end", "SCRAM": "passwords have no end"},
	"wrong realm": {"PLAIN": "no realms", "SCRAM": "no realms", "delegation token": "no realms",
		"mTLS": "no realms: the authority is in the next column"},
	"wrong certificate": {},
	"replayed":          {"PLAIN, plaintext": "whoever has heard the password has it: that is what TLS is for"},
}

// refusalCase is one thing that must not get in, and Kafka's own answer to it.
type refusalCase struct {
	row    string // beginning of the names of the rows it belongs to
	column string // of the table of refusals; "" is none
	name   string
	want   string // "TLS" is any alert
	run    func(w *world, r *row) error
	// apache is what Apache's brokers do instead, where we do not follow them.
	apache string
}

// Kafka's words.
const (
	badPassword = "58 Authentication failed: Invalid username or password"
	otherThanI  = "58 Authentication failed: Client requested an authorization id that is different from username"
)

func badCredentials(mechanism string) string {
	return "58 Authentication failed during authentication due to invalid credentials with SASL mechanism " + mechanism
}

// onWire runs on a connection of our own, and then proves that who was not let in is not
// served.
func onWire(f func(w *world, c *wire) error) func(*world, *row) error {
	return func(w *world, r *row) error {
		c, err := w.dial(r.listener, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		err = f(w, c)
		switch served := c.served(); {
		case err != nil && served == nil:
			return fmt.Errorf("refused (%w) but served", err)
		case err == nil && served != nil:
			return fmt.Errorf("let in and not served: %s", outcome(served))
		}
		return err
	}
}

func refusalCases(principals []*principal) []refusalCase {
	var all []refusalCase
	add := func(row, name, want string, f func(w *world, c *wire) error) {
		all = append(all, refusalCase{row: row, column: columnOf[name], name: name, want: want, run: onWire(f)})
	}
	who := map[string]*principal{}
	for _, p := range principals {
		who[p.name] = p
	}
	add("PLAIN", "no login at all", "closed", func(w *world, c *wire) error { return c.served() })
	add("PLAIN", "mechanism that is not enabled", "33 handshake", func(w *world, c *wire) error { return c.handshake("CRAM-MD5") })
	add("PLAIN", "wrong password", badPassword, func(w *world, c *wire) error { return c.plain("", "plain-user", "wrong") })
	add("PLAIN", "unknown user", badPassword, func(w *world, c *wire) error { return c.plain("", "nobody", "wrong") })
	add("PLAIN", "acts for another", otherThanI, func(w *world, c *wire) error { return c.plain("admin", "plain-user", "plain secret") })
	add("PLAIN", "empty password", "58 Authentication failed: password not specified", func(w *world, c *wire) error { return c.plain("", "plain-user", "") })
	for _, name := range []string{"scram-256", "scram-512"} {
		mechanism, p := map[string]string{"scram-256": "SCRAM-SHA-256", "scram-512": "SCRAM-SHA-512"}[name], who[name]
		wrong := badCredentials(mechanism)
		try := func(name, want string, change func(s *scramTry)) {
			add(mechanism, name, want, func(w *world, c *wire) error {
				s := &scramTry{mechanism: mechanism, user: p.name, password: p.password}
				change(s)
				return c.scram(s)
			})
		}
		try("wrong password", wrong, func(s *scramTry) { s.password = "wrong" })
		try("unknown user", wrong, func(s *scramTry) { s.user = "nobody" })
		try("user of the other mechanism", wrong, func(s *scramTry) {
			s.user = map[string]string{"scram-256": "scram-512", "scram-512": "scram-256"}[name]
		})
		try("tampered proof", wrong, func(s *scramTry) { s.proof = func(b []byte) { b[0] ^= 1 } })
		try("nonce of its own", wrong, func(s *scramTry) { s.nonce = func(n string) string { return "x" + n } })
		try("nonce cut short", wrong, func(s *scramTry) { s.nonce = func(n string) string { return n[:len(n)-1] } })
		try("only the broker's nonce", wrong, func(s *scramTry) { s.nonce = func(n string) string { return n[24:] } })
		try("acts for another", otherThanI, func(s *scramTry) { s.authzid = "admin" })
		add(mechanism, "replayed login", wrong, func(w *world, c *wire) error {
			return replayed(w, c, scramTry{mechanism: mechanism, user: p.name, password: p.password})
		})
	}
	token := func(name string, change func(s *scramTry)) {
		add("delegation token", name, badCredentials("SCRAM-SHA-256"), func(w *world, c *wire) error {
			life := time.Hour
			if name == "expired token" {
				life = 2 * time.Second
			}
			id, hmac, err := w.delegationToken(who["token-owner"], life)
			if err != nil {
				return err
			}
			if name == "expired token" {
				time.Sleep(life)
			}
			s := &scramTry{mechanism: "SCRAM-SHA-256", user: id, password: hmac, token: true}
			change(s)
			return c.scram(s)
		})
	}
	token("wrong HMAC", func(s *scramTry) { s.password = "wrong" })
	token("expired token", func(*scramTry) {})
	token("unknown token", func(s *scramTry) { s.user = "AAAAAAAAAAAAAAAAAAAAAA" })
	token("token as a user", func(s *scramTry) { s.token = false })
	token("user as a token", func(s *scramTry) { s.user, s.password = "token-owner", "owner secret" })

	add("delegation token", "replayed login", badCredentials("SCRAM-SHA-256"), func(w *world, c *wire) error {
		id, hmac, err := w.delegationToken(who["token-owner"], time.Hour)
		if err != nil {
			return err
		}
		return replayed(w, c, scramTry{mechanism: "SCRAM-SHA-256", user: id, password: hmac, token: true})
	})

	krb := func(name, want string, first func(w *world, c *wire) (*ticket, error), authzid string) {
		add("GSSAPI", name, want, func(w *world, c *wire) error {
			t, err := first(w, c)
			if err != nil {
				return err
			}
			b, err := t.firstToken()
			if err != nil {
				return err
			}
			return c.kerberos(b, t, authzid)
		})
	}
	wrong := badCredentials("GSSAPI")
	krb("expired ticket", wrong, func(w *world, _ *wire) (*ticket, error) {
		return w.kdc.forge("krb-user", realm, time.Now().Add(-3*time.Hour), time.Now().Add(-time.Hour))
	}, "")
	krb("ticket of another realm's KDC", wrong, func(w *world, _ *wire) (*ticket, error) { return w.kdc.ask("krb-user", otherRealm, service) }, "")
	krb("user of another realm, vouched for by ours", wrong, func(w *world, _ *wire) (*ticket, error) {
		return w.kdc.forge("krb-user", otherRealm, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	}, "")
	krb("ticket for another service", wrong, func(w *world, _ *wire) (*ticket, error) { return w.kdc.ask("krb-user", realm, "http/localhost") }, "")
	krb("session key that is not the ticket's", wrong, func(w *world, _ *wire) (*ticket, error) {
		t, err := w.kdc.ask("krb-user", realm, service)
		if err == nil {
			t.key.KeyValue = append([]byte(nil), t.key.KeyValue...)
			t.key.KeyValue[0] ^= 1
		}
		return t, err
	}, "")
	add("GSSAPI", "replayed ticket", "closed", func(w *world, c *wire) error {
		t, err := w.kdc.ask("krb-user", realm, service)
		if err != nil {
			return err
		}
		first, err := t.firstToken()
		if err != nil {
			return err
		}
		before, err := w.dial(listenerClear, nil)
		if err != nil {
			return err
		}
		defer before.Close()
		if err := before.kerberos(first, t, ""); err != nil {
			return fmt.Errorf("the login to replay failed: %w", err)
		}
		return c.kerberos(first, t, "")
	})
	add("GSSAPI", "garbage", wrong, func(w *world, c *wire) error { return c.kerberos([]byte("`\x03abc"), nil, "") })

	const bad = `58 {"status":"invalid_token"}` // Apache's brokers say no more either
	jwt := func(name string, token func(i *issuer) string) {
		add("OAUTHBEARER", name, bad, func(w *world, c *wire) error { return c.bearer("", token(w.issuer)) })
	}
	changed := func(changes map[string]any) func(*issuer) string {
		return func(i *issuer) string { return i.token("oauth-user", changes) }
	}
	jwt("expired", changed(map[string]any{"iat": time.Now().Add(-2 * time.Hour).Unix(), "exp": time.Now().Add(-time.Hour).Unix()}))
	jwt("without an end", changed(map[string]any{"exp": nil}))
	jwt("not good yet", changed(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}))
	jwt("of another issuer", changed(map[string]any{"iss": "https://elsewhere"}))
	jwt("for another audience", changed(map[string]any{"aud": "elsewhere"}))
	jwt("without a subject", changed(map[string]any{"sub": nil}))
	jwt("signed by another key", func(i *issuer) string { return sign(i.stranger, "RS256", i.claims("oauth-user", nil)) })
	jwt("algorithm none", func(i *issuer) string { return sign(nil, "none", i.claims("oauth-user", nil)) })
	jwt("signature cut off", func(i *issuer) string {
		t := i.token("oauth-user", nil)
		return t[:strings.LastIndexByte(t, '.')+1]
	})
	jwt("claims exchanged under a signature", func(i *issuer) string {
		mine, admin := strings.Split(i.token("oauth-user", nil), "."), strings.Split(i.token("admin", nil), ".")
		return mine[0] + "." + admin[1] + "." + mine[2]
	})
	add("OAUTHBEARER", "acts for another", "58 Authentication failed: Client requested an authorization id (admin) that is different from the token's principal name (oauth-user)",
		func(w *world, c *wire) error { return c.bearer("admin", w.issuer.token("oauth-user", nil)) })

	add("OAUTHBEARER", "token replayed after its end", bad, func(w *world, c *wire) error {
		// Brokers allow for clocks that are 30 s apart: it is good for a last moment.
		token := w.issuer.token("oauth-user", map[string]any{"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(-27 * time.Second).Unix()})
		before, err := w.dial(listenerClear, nil)
		if err != nil {
			return err
		}
		defer before.Close()
		if err := before.bearer("", token); err != nil {
			return fmt.Errorf("the login to replay failed: %w", err)
		}
		time.Sleep(4 * time.Second)
		return c.bearer("", token)
	})

	certificate := func(name, want string, files string, plaintext bool) {
		all = append(all, refusalCase{row: "mTLS", column: columnOf[name], name: name, want: want, run: func(w *world, r *row) error {
			listener := r.listener
			var shown *tls.Certificate
			if files != "" {
				pair, err := tls.LoadX509KeyPair(w.keys.path(files+".crt"), w.keys.path(files+".key"))
				if err != nil {
					return err
				}
				if name == "certificate without its key" {
					own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
					if err != nil {
						return err
					}
					pair.PrivateKey = own
				}
				shown = &pair
			}
			c, err := w.dial(listener, shown)
			if plaintext {
				var raw *replay.Conn
				if raw, err = replay.Dial(w.addr[listener], patience); err == nil {
					c = &wire{raw}
				}
			}
			if err != nil {
				return err
			}
			defer c.Close()
			return c.served()
		}})
	}
	certificate("no certificate", "TLS", "", false)
	certificate("certificate of another CA", "TLS", "stranger", false)
	certificate("expired certificate", "TLS", "expired", false)
	certificate("certificate without its key", "TLS", "mtls-pem", false)
	certificate("without TLS", "closed", "", true)
	// Whoever logs in may show a certificate on the TLS listener, and it must be a good one.
	all = append(all, refusalCase{row: "", column: "wrong certificate", name: "certificate of another CA before the login", want: "TLS", run: func(w *world, r *row) error {
		pair, err := tls.LoadX509KeyPair(w.keys.path("stranger.crt"), w.keys.path("stranger.key"))
		if err != nil {
			return err
		}
		c, err := w.dial(r.listener, &pair)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.handshake(r.mechanism)
	}})
	all = append(all, refusalCase{row: "", column: "replayed", name: "recorded connection, sent again", want: "closed", run: (*world).replay})
	for i := range all {
		all[i].apache = apacheDiffers[all[i].name]
	}
	return all
}

// of says whether a case belongs to a row.
func (c *refusalCase) of(r *row) bool {
	switch {
	case c.row != "":
		return strings.HasPrefix(r.name, c.row)
	case r.listener == listenerClear:
		return false // the rest is of TLS
	}
	return c.column != "wrong certificate" || r.mechanism != ""
}

// columnOf are the cases that stand in the table of refusals.
var columnOf = map[string]string{
	"wrong password": "wrong secret", "wrong HMAC": "wrong secret", "session key that is not the ticket's": "wrong secret",
	"signed by another key": "wrong secret", "certificate without its key": "wrong secret",
	"expired ticket": "expired", "expired": "expired", "expired token": "expired", "expired certificate": "expired",
	"ticket of another realm's KDC": "wrong realm", "of another issuer": "wrong realm",
	"certificate of another CA": "wrong certificate",
	"replayed login":            "replayed", "replayed ticket": "replayed", "token replayed after its end": "replayed",
}

// replayed logs in, and sends the last message of that again on another connection.
func replayed(w *world, c *wire, s scramTry) error {
	before, err := w.dial(listenerClear, nil)
	if err != nil {
		return err
	}
	defer before.Close()
	first := s
	if err := before.scram(&first); err != nil {
		return fmt.Errorf("the login to replay failed: %w", err)
	}
	s.final = first.sent
	return c.scram(&s)
}

const notLeader = 6

// replay records all that a client sends from the first byte of TLS to a record that it
// writes, and sends it again. It must come to nothing.
func (w *world) replay(r *row) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	topic := r.who.name + "-recorded"
	if err := w.createTopic(ctx, topic); err != nil {
		return err
	}
	var sent bytes.Buffer
	c, err := w.loginRecorded(r, &sent)
	if err != nil {
		return err
	}
	defer c.Close()
	produce := kmsg.NewPtrProduceRequest()
	produce.Version, produce.Acks, produce.TimeoutMillis = 9, -1, 10_000
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: replay.Batch(1, 100)}}}}
	for code := int16(notLeader); code != 0; {
		answer, err := c.Ask(produce, patience)
		if err != nil {
			return err
		}
		// Apache's brokers show a topic a little before they lead it.
		if code = answer.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; code != 0 && code != notLeader {
			return fmt.Errorf("the record to replay: error %d", code)
		}
	}
	before, err := w.endOffsets(topic)
	if err != nil || before == 0 {
		return fmt.Errorf("%d records before the replay, %w", before, err)
	}
	again, err := net.Dial("tcp", w.addr[r.listener])
	if err != nil {
		return err
	}
	defer again.Close()
	again.SetDeadline(time.Now().Add(patience))
	if _, err := again.Write(sent.Bytes()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, again)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	after, offsetErr := w.endOffsets(topic)
	if offsetErr != nil {
		return offsetErr
	}
	if after != before {
		return fmt.Errorf("the replay wrote %d records", after-before)
	}
	if err == nil {
		err = io.EOF
	}
	return err
}

// apacheDiffers is what Apache Kafka 3.9.2 on Java 17 was seen to do.
var apacheDiffers = map[string]string{
	// It looks only at the end of the nonce, which is what CVE-2024-56128 was mended with.
	"nonce of its own": "let in",
	// It sweeps tokens once an hour, and ends the session of one that has ended at once.
	"expired token": "let in and not served: closed",
	// It makes the principal after the login.
	"user of another realm, vouched for by ours": "let in and not served: closed",
}

// fits says whether what came is what was wanted.
func (r *refusalCase) fits(kind peers.Kind, got string) bool {
	if kind.IsApache() && r.apache != "" {
		return got == r.apache
	}
	if r.want == "TLS" {
		return strings.HasPrefix(got, "TLS alert: ")
	}
	return got == r.want
}

// login lets the principal of a row in, on a connection of our own.
func (w *world) login(r *row) (*wire, error) { return w.loginRecorded(r, nil) }

// loginRecorded is login, and keeps what goes over the wire if there is a buffer for it.
func (w *world) loginRecorded(r *row, sent *bytes.Buffer) (*wire, error) {
	if r.mechanism == "" {
		pair, err := tls.LoadX509KeyPair(w.keys.path(r.who.name+".crt"), w.keys.path(r.who.name+".key"))
		if err != nil {
			return nil, err
		}
		return w.dialRecorded(r.listener, &pair, sent)
	}
	c, err := w.dialRecorded(r.listener, nil, sent)
	if err != nil {
		return nil, err
	}
	switch {
	case r.mechanism == "PLAIN":
		err = c.plain("", r.who.name, r.who.password)
	case r.mechanism == "GSSAPI":
		var t *ticket
		var first []byte
		if t, err = w.kdc.ask(r.who.name, realm, service); err == nil {
			if first, err = t.firstToken(); err == nil {
				err = c.kerberos(first, t, "")
			}
		}
	case r.mechanism == "OAUTHBEARER":
		err = c.bearer("", w.issuer.token(r.who.name, nil))
	case r.who.name == "token-owner":
		var id, hmac string
		if id, hmac, err = w.delegationToken(r.who, time.Hour); err == nil {
			err = c.scram(&scramTry{mechanism: r.mechanism, user: id, password: hmac, token: true})
		}
	default:
		err = c.scram(&scramTry{mechanism: r.mechanism, user: r.who.name, password: r.who.password})
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("log in: %w", err)
	}
	return c, nil
}
