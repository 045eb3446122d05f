package broker_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

var apacheTokens = flag.String("broker.apache.tokens", "",
	"host:port of a SASL_PLAINTEXT listener of Apache Kafka 3.9 that saslOptions and a delegation.token.secret.key describe")

// tokenScript asks for tokens in every way that can be refused, in every version, and
// returns what it was told, with times as lengths from the token's beginning.
func tokenScript(t *testing.T, address string) (told []string) {
	client := func(user, password string) *kgo.Client {
		c, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.RequestRetries(0), kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	alice, bob := client("alice", "secret"), client("bob", "other")
	say := func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }
	// A call in a version of our choice goes to the broker past the client's own choice.
	in := func(c *kgo.Client, version int16, req kmsg.Request) kmsg.Response {
		t.Helper()
		req.SetVersion(version)
		resp, err := c.Broker(1).Request(t.Context(), &pinned{req, version})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	user := "User"
	ptr := func(s string) *string { return &s }
	create := func(c *kgo.Client, version int16, change func(*kmsg.CreateDelegationTokenRequest)) *kmsg.CreateDelegationTokenResponse {
		req := kmsg.NewPtrCreateDelegationTokenRequest()
		req.MaxLifetimeMillis = -1
		if change != nil {
			change(req)
		}
		r := in(c, version, req).(*kmsg.CreateDelegationTokenResponse)
		begun, expiry, most := r.IssueTimestamp > 0, r.ExpiryTimestamp-r.IssueTimestamp, r.MaxTimestamp-r.IssueTimestamp
		if !begun {
			expiry, most = r.ExpiryTimestamp, r.MaxTimestamp
		}
		say("create v%d: %d, %s:%s by %s:%s, begun %v, %d, %d, %d, %d", version, r.ErrorCode, r.PrincipalType, r.PrincipalName,
			r.TokenRequesterPrincipalType, r.TokenRequesterPrincipalName, begun, expiry, most, len(r.TokenID), len(r.HMAC))
		return r
	}
	renewer := func(kind, name string) func(*kmsg.CreateDelegationTokenRequest) {
		return func(req *kmsg.CreateDelegationTokenRequest) {
			r := kmsg.NewCreateDelegationTokenRequestRenewer()
			r.PrincipalType, r.PrincipalName = kind, name
			req.Renewers = append(req.Renewers, r)
		}
	}
	var last *kmsg.CreateDelegationTokenResponse
	for version := int16(1); version <= 3; version++ {
		last = create(alice, version, renewer("User", "bob"))
		create(alice, version, renewer("Group", "bob"))
	}
	for _, lifetime := range []int64{0, -5, 1, 1000, 86400000, 86400001, 604800000, 604800001, 1 << 62} {
		create(alice, 3, func(req *kmsg.CreateDelegationTokenRequest) { req.MaxLifetimeMillis = lifetime })
	}
	for _, owner := range []string{"carol", "", "bob"} {
		create(bob, 3, func(req *kmsg.CreateDelegationTokenRequest) {
			req.OwnerPrincipalType, req.OwnerPrincipalName = &user, &owner
		})
	}
	create(bob, 3, func(req *kmsg.CreateDelegationTokenRequest) {
		req.OwnerPrincipalType, req.OwnerPrincipalName = ptr("Group"), ptr("carol")
		renewer("Group", "x")(req)
	})
	carols := create(alice, 3, func(req *kmsg.CreateDelegationTokenRequest) {
		req.OwnerPrincipalType, req.OwnerPrincipalName = &user, ptr("carol")
	})
	create(alice, 3, func(req *kmsg.CreateDelegationTokenRequest) {
		req.OwnerPrincipalType, req.OwnerPrincipalName = ptr("Group"), ptr("carol")
	})

	for range 60 { // what Apache has just created it does not know everywhere at once
		renew := kmsg.NewPtrRenewDelegationTokenRequest()
		renew.HMAC = carols.HMAC
		if in(alice, 2, renew).(*kmsg.RenewDelegationTokenResponse).ErrorCode != int16(protocol.ErrDelegationTokenNotFound) {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	since := func(at int64) int64 { // in hours, as the machine's speed is not asked for
		if at < 1e9 {
			return at
		}
		return (at - last.IssueTimestamp + 60000) / 3600000
	}
	for version := int16(1); version <= 2; version++ {
		for _, c := range []*kgo.Client{alice, bob} {
			for _, period := range []int64{-1, 0, 7200000, 1 << 61} {
				for _, mac := range [][]byte{last.HMAC, carols.HMAC, []byte("no such token"), {}} {
					renew := kmsg.NewPtrRenewDelegationTokenRequest()
					renew.HMAC, renew.RenewTimeMillis = mac, period
					r := in(c, version, renew).(*kmsg.RenewDelegationTokenResponse)
					say("renew v%d for %d: %d, %d", version, period, r.ErrorCode, since(r.ExpiryTimestamp))
					if period < 1 {
						continue
					}
					expire := kmsg.NewPtrExpireDelegationTokenRequest()
					expire.HMAC, expire.ExpiryPeriodMillis = mac, period
					e := in(c, version, expire).(*kmsg.ExpireDelegationTokenResponse)
					say("expire v%d in %d: %d, %d", version, period, e.ErrorCode, since(e.ExpiryTimestamp))
				}
			}
		}
	}
	for version := int16(1); version <= 3; version++ {
		for _, owners := range [][]string{nil, {}, {"alice"}, {"bob"}, {"carol"}, {"nobody", "carol"}} {
			for i, c := range []*kgo.Client{alice, bob} {
				req := kmsg.NewPtrDescribeDelegationTokenRequest()
				if owners != nil {
					req.Owners = []kmsg.DescribeDelegationTokenRequestOwner{}
				}
				for _, name := range owners {
					o := kmsg.NewDescribeDelegationTokenRequestOwner()
					o.PrincipalType, o.PrincipalName = "User", name
					req.Owners = append(req.Owners, o)
				}
				r := in(c, version, req).(*kmsg.DescribeDelegationTokenResponse)
				var lines []string
				for _, d := range r.TokenDetails {
					if d.MaxTimestamp-d.IssueTimestamp < 10000 {
						continue // swept at a time of the broker's choice
					}
					lines = append(lines, fmt.Sprintf("%s by %s: %d %d %d %v", d.PrincipalName, d.TokenRequesterPrincipalName, d.MaxTimestamp-d.IssueTimestamp,
						len(d.TokenID), len(d.HMAC), d.Renewers))
				}
				slices.Sort(lines)
				say("describe v%d %q as %d: %d\n\t%s", version, owners, i, r.ErrorCode, strings.Join(lines, "\n\t"))
			}
		}
	}
	expire := kmsg.NewPtrExpireDelegationTokenRequest()
	expire.HMAC, expire.ExpiryPeriodMillis = last.HMAC, -1
	e := in(bob, 2, expire).(*kmsg.ExpireDelegationTokenResponse)
	say("expire: %d, %d", e.ErrorCode, since(e.ExpiryTimestamp))
	return told
}

// pinned is a request whose version the client may not choose.
type pinned struct {
	kmsg.Request
	version int16
}

func (p *pinned) SetVersion(int16)  { p.Request.SetVersion(p.version) }
func (p *pinned) MaxVersion() int16 { return p.version }

func TestApacheAnswersForTokensAsWeDo(t *testing.T) {
	if *apacheTokens == "" {
		t.Skip("needs -broker.apache.tokens")
	}
	ours := tokenScript(t, brokertest.Start(t, saslOptions("SASL_PLAINTEXT", tokenKey)...).Address())
	apaches := tokenScript(t, *apacheTokens)
	t.Logf("%d answers", len(ours))
	for i := range ours {
		if ours[i] != apaches[i] {
			t.Errorf("ours:    %s\nApache's: %s", ours[i], apaches[i])
		}
	}
}

// With BARNABAS_KAFKA_LIBS, the folder of the jars of Apache Kafka 3.9, its own tool makes,
// shows, renews and ends tokens, and its client logs in by one.
func TestApachesTokenToolAndClient(t *testing.T) {
	libs := os.Getenv("BARNABAS_KAFKA_LIBS")
	if libs == "" {
		t.Skip("BARNABAS_KAFKA_LIBS does not name a folder with Apache Kafka's jars")
	}
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", tokenKey)...)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	login := func(name, mechanism, jaas string) string {
		return file(name, "security.protocol=SASL_PLAINTEXT\nsasl.mechanism="+mechanism+"\nsasl.jaas.config="+jaas+"\ndefault.api.timeout.ms=20000\nrequest.timeout.ms=20000\n")
	}
	tool := func(class string, args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), "java", append([]string{"-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", libs + "/*", class,
			"--bootstrap-server", b.Address()}, args...)...)
		out, _ := command.CombinedOutput()
		return string(out)
	}
	const tokens, topics = "org.apache.kafka.tools.DelegationTokenCommand", "org.apache.kafka.tools.TopicCommand"
	alice := login("alice", "PLAIN", `org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="secret";`)
	bob := login("bob", "PLAIN", `org.apache.kafka.common.security.plain.PlainLoginModule required username="bob" password="other";`)
	created := tool(tokens, "--command-config", alice, "--create", "--max-life-time-period", "-1", "--renewer-principal", "User:bob", "--owner-principal", "User:carol")
	row := regexp.MustCompile(`(?m)^(\S{22})\s+(\S{88})\s+User:carol\s+User:alice\s+\[User:bob\]`).FindStringSubmatch(created)
	if row == nil {
		t.Fatalf("created:\n%s", created)
	}
	id, hmac := row[1], row[2]
	for _, args := range [][]string{
		{"--command-config", bob, "--describe", "--owner-principal", "User:bob"}, // as a renewer
		{"--command-config", alice, "--describe", "--owner-principal", "User:carol"},
		{"--command-config", bob, "--renew", "--renew-time-period", "-1", "--hmac", hmac},
	} {
		out := tool(tokens, args...)
		if want := map[bool]string{true: id, false: "Completed renew"}[args[2] == "--describe"]; !strings.Contains(out, want) {
			t.Errorf("%q: no %q in\n%s", args, want, out)
		}
	}
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		jaas := fmt.Sprintf(`org.apache.kafka.common.security.scram.ScramLoginModule required username="%s" password="%s" tokenauth="true";`, id, hmac)
		byToken := login("token", mechanism, jaas)
		// carol may do nothing: the error says that she has come in.
		if out := tool(topics, "--command-config", byToken, "--create", "--topic", "carols"); !strings.Contains(out, "Authorization failed") {
			t.Errorf("%s:\n%s", mechanism, out)
		}
		if out := tool(tokens, "--command-config", byToken, "--create", "--max-life-time-period", "-1"); !strings.Contains(out, "DelegationToken") || !strings.Contains(out, "not allowed") {
			t.Errorf("%s:\n%s", mechanism, out)
		}
	}
	if out := tool(tokens, "--command-config", bob, "--expire", "--expiry-time-period", "-1", "--hmac", hmac); !strings.Contains(out, "Completed expire") {
		t.Errorf("expire:\n%s", out)
	}
	if out := tool(topics, "--command-config", filepath.Join(dir, "token"), "--list"); !strings.Contains(out, "invalid credentials") {
		t.Errorf("after the end:\n%s", out)
	}
}
