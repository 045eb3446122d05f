package broker_test

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const tokenKey = "delegation.token.secret.key=a secret that all brokers share"

func plainClient(t *testing.T, b *brokertest.Broker, user, password string) *kgo.Client {
	return saslClient(t, b, plain.Auth{User: user, Pass: password}.AsMechanism())
}

// ask sends a request and gives back its answer, whatever it says.
func ask[R kmsg.Response](t *testing.T, c *kgo.Client, req kmsg.Request) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resp, err := c.Request(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(R)
}

func createToken(t *testing.T, c *kgo.Client, owner string, lifetimeMs int64, renewers ...string) *kmsg.CreateDelegationTokenResponse {
	t.Helper()
	req := kmsg.NewPtrCreateDelegationTokenRequest()
	req.MaxLifetimeMillis = lifetimeMs
	if owner != "" {
		kind := "User"
		req.OwnerPrincipalType, req.OwnerPrincipalName = &kind, &owner
	}
	for _, name := range renewers {
		r := kmsg.NewCreateDelegationTokenRequestRenewer()
		r.PrincipalType, r.PrincipalName = "User", name
		req.Renewers = append(req.Renewers, r)
	}
	return ask[*kmsg.CreateDelegationTokenResponse](t, c, req)
}

func renewToken(t *testing.T, c *kgo.Client, hmac []byte, periodMs int64) (int64, protocol.ErrorCode) {
	t.Helper()
	req := kmsg.NewPtrRenewDelegationTokenRequest()
	req.HMAC, req.RenewTimeMillis = hmac, periodMs
	resp := ask[*kmsg.RenewDelegationTokenResponse](t, c, req)
	return resp.ExpiryTimestamp, protocol.ErrorCode(resp.ErrorCode)
}

func expireToken(t *testing.T, c *kgo.Client, hmac []byte, periodMs int64) (int64, protocol.ErrorCode) {
	t.Helper()
	req := kmsg.NewPtrExpireDelegationTokenRequest()
	req.HMAC, req.ExpiryPeriodMillis = hmac, periodMs
	resp := ask[*kmsg.ExpireDelegationTokenResponse](t, c, req)
	return resp.ExpiryTimestamp, protocol.ErrorCode(resp.ErrorCode)
}

// describeTokens returns the tokens that c sees, by id; a nil owners asks for all.
func describeTokens(t *testing.T, c *kgo.Client, owners []string) map[string]kmsg.DescribeDelegationTokenResponseTokenDetail {
	t.Helper()
	req := kmsg.NewPtrDescribeDelegationTokenRequest()
	if owners != nil {
		req.Owners = []kmsg.DescribeDelegationTokenRequestOwner{}
	}
	for _, name := range owners {
		o := kmsg.NewDescribeDelegationTokenRequestOwner()
		o.PrincipalType, o.PrincipalName = "User", name
		req.Owners = append(req.Owners, o)
	}
	resp := ask[*kmsg.DescribeDelegationTokenResponse](t, c, req)
	if resp.ErrorCode != 0 {
		t.Fatal(kerr.ErrorForCode(resp.ErrorCode))
	}
	found := map[string]kmsg.DescribeDelegationTokenResponseTokenDetail{}
	for _, d := range resp.TokenDetails {
		found[d.TokenID] = d
	}
	return found
}

func tokenClient(t *testing.T, b *brokertest.Broker, id string, hmac []byte, sha512 bool) *kgo.Client {
	login := scram.Auth{User: id, Pass: base64.StdEncoding.EncodeToString(hmac), IsToken: true}
	if sha512 {
		return saslClient(t, b, login.AsSha512Mechanism())
	}
	return saslClient(t, b, login.AsSha256Mechanism())
}

func TestATokenLogsInAsItsOwner(t *testing.T) {
	dir := t.TempDir()
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", tokenKey, "barnabas.audit.log.file="+filepath.Join(dir, "audit"))...)
	alice, bob := plainClient(t, b, "alice", "secret"), plainClient(t, b, "bob", "other")
	token := createToken(t, alice, "", -1, "bob")
	if token.ErrorCode != 0 || token.PrincipalName != "alice" || token.TokenRequesterPrincipalName != "alice" || len(token.HMAC) != 64 ||
		token.ExpiryTimestamp != token.IssueTimestamp+86400000 || token.MaxTimestamp != token.IssueTimestamp+604800000 {
		t.Fatalf("%+v", token)
	}
	for _, sha512 := range []bool{false, true} {
		byToken := tokenClient(t, b, token.TokenID, token.HMAC, sha512)
		if err := creates(t, byToken, "by-token-"+map[bool]string{false: "256", true: "512"}[sha512]); err != nil {
			t.Fatal(err) // alice is a super user
		}
		// Who is there by a token may not touch tokens.
		if got := createToken(t, byToken, "", -1); got.ErrorCode != int16(protocol.ErrDelegationTokenRequestNotAllowed) || got.MaxTimestamp != -1 {
			t.Errorf("%+v", got)
		}
		if at, code := renewToken(t, byToken, token.HMAC, -1); code != protocol.ErrDelegationTokenRequestNotAllowed || at != -1 {
			t.Errorf("%d %v", at, code)
		}
		if at, code := expireToken(t, byToken, token.HMAC, -1); code != protocol.ErrDelegationTokenRequestNotAllowed || at != -1 {
			t.Errorf("%d %v", at, code)
		}
	}
	wrong := append([]byte(nil), token.HMAC...)
	wrong[0] ^= 1
	for _, c := range []*kgo.Client{tokenClient(t, b, token.TokenID, wrong, true), tokenClient(t, b, "no-such-token", token.HMAC, true),
		saslClient(t, b, scram.Auth{User: token.TokenID, Pass: base64.StdEncoding.EncodeToString(token.HMAC)}.AsSha512Mechanism())} {
		if err := creates(t, c, "by-nobody"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("got %v", err)
		}
	}

	// Renewal: the shorter of what is asked and what is configured, never past the maximum.
	if at, code := renewToken(t, bob, token.HMAC, 3600000); code != protocol.None || at < token.IssueTimestamp+3600000 || at > token.IssueTimestamp+3700000 {
		t.Errorf("%d %v", at, code)
	}
	if at, code := renewToken(t, alice, token.HMAC, 1<<60); code != protocol.None || at < token.ExpiryTimestamp || at > token.ExpiryTimestamp+100000 {
		t.Errorf("%d %v", at, code)
	}
	if _, code := renewToken(t, alice, wrong, -1); code != protocol.ErrDelegationTokenNotFound {
		t.Errorf("%v", code)
	}
	if at, code := expireToken(t, bob, token.HMAC, 1<<62); code != protocol.None || at != token.MaxTimestamp {
		t.Errorf("%d %v", at, code)
	}

	// Its end is the end of whoever is on a connection by it.
	byToken := tokenClient(t, b, token.TokenID, token.HMAC, true)
	if err := creates(t, byToken, "before-the-end"); err != nil {
		t.Fatal(err)
	}
	if _, code := expireToken(t, alice, token.HMAC, -1); code != protocol.None {
		t.Fatal(code)
	}
	if err := creates(t, byToken, "after-the-end"); err == nil {
		t.Error("a token that is no more can be used")
	}
	if _, code := expireToken(t, alice, token.HMAC, -1); code != protocol.ErrDelegationTokenNotFound {
		t.Errorf("%v", code)
	}
	b.Stop()
	text, err := os.ReadFile(filepath.Join(dir, "audit"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"create for oneself, max.lifetime.ms=-1", "renew for 3600000 ms", "expire in -1 ms"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the audit record has no %q", want)
		}
	}
	if strings.Contains(string(text), base64.StdEncoding.EncodeToString(token.HMAC)) {
		t.Error("the audit record holds an HMAC")
	}
}

func TestATokenThatHasExpiredIsRefusedAndSwept(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", tokenKey)...)
	alice := plainClient(t, b, "alice", "secret")
	token := createToken(t, alice, "", -1)
	store := b.Broker().Store()
	if err := store.SetDelegationTokenExpiry(t.Context(), token.TokenID, time.Now().Add(-time.Second).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	if err := creates(t, tokenClient(t, b, token.TokenID, token.HMAC, false), "too-late"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("got %v", err)
	}
	if at, code := renewToken(t, alice, token.HMAC, -1); code != protocol.ErrDelegationTokenExpired || at != 0 {
		t.Errorf("%d %v", at, code)
	}
	if at, code := expireToken(t, alice, token.HMAC, 1000); code != protocol.ErrDelegationTokenExpired || at != 0 {
		t.Errorf("%d %v", at, code)
	}
	kept := createToken(t, alice, "", 1000000)
	b.Broker().RemoveExpiredTokens(t.Context(), time.Now())
	if store.Image().DelegationToken(token.TokenID) != nil || store.Image().DelegationToken(kept.TokenID) == nil {
		t.Error("the sweep took the wrong one")
	}
	if _, code := renewToken(t, alice, token.HMAC, -1); code != protocol.ErrDelegationTokenNotFound {
		t.Errorf("%v", code)
	}
}

// A session ends when its token would have, though somebody renewed the token meanwhile.
func TestASessionByTokenLastsAsLongAsTheTokenDid(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", tokenKey)...)
	token := createToken(t, plainClient(t, b, "alice", "secret"), "", 600000)
	w := dial(t, b)
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.SetVersion(1)
	handshake.Mechanism = "SCRAM-SHA-256"
	w.call(handshake)
	session, next, err := scram.Auth{User: token.TokenID, Pass: base64.StdEncoding.EncodeToString(token.HMAC), IsToken: true}.
		AsSha256Mechanism().Authenticate(t.Context(), "")
	for done := false; err == nil && !done; {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SetVersion(2)
		req.SASLAuthBytes = next
		resp := w.call(req).(*kmsg.SASLAuthenticateResponse)
		if resp.ErrorCode != 0 {
			t.Fatalf("%+v", resp)
		}
		if resp.SessionLifetimeMillis > 600000 || len(resp.SASLAuthBytes) < 60 && resp.SessionLifetimeMillis < 500000 {
			t.Errorf("the session lasts %d ms", resp.SessionLifetimeMillis)
		}
		done, next, err = session.Challenge(resp.SASLAuthBytes)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestTokensOfOthersNeedACLs(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", tokenKey)...)
	alice, bob := plainClient(t, b, "alice", "secret"), plainClient(t, b, "bob", "other")
	if got := createToken(t, bob, "carol", -1); got.ErrorCode != int16(protocol.ErrDelegationTokenAuthorizationFailed) ||
		got.PrincipalName != "carol" || got.TokenRequesterPrincipalName != "bob" || got.IssueTimestamp != -1 {
		t.Errorf("%+v", got)
	}
	allow := func(kind int8, name string, operation int8) {
		t.Helper()
		errs, err := b.Broker().Store().CreateACLs(t.Context(), []metadata.ACL{{ResourceType: kind, ResourceName: name, PatternType: 3,
			Principal: "User:bob", Host: "*", Operation: operation, Permission: 3}})
		if err != nil || errs[0] != nil {
			t.Fatal(err, errs)
		}
	}
	const user, delegationToken, describe, create, describeThem = 7, 6, 8, 13, 14
	allow(user, "User:carol", create)
	carols := createToken(t, bob, "carol", -1, "dave")
	if carols.ErrorCode != 0 || carols.PrincipalName != "carol" || carols.TokenRequesterPrincipalName != "bob" {
		t.Fatalf("%+v", carols)
	}
	alices, bobs := createToken(t, alice, "", -1), createToken(t, bob, "", -1)
	sees := func(c *kgo.Client, owners []string, want ...string) {
		t.Helper()
		found := describeTokens(t, c, owners)
		if len(found) != len(want) {
			t.Errorf("%d tokens, want %d", len(found), len(want))
		}
		for _, id := range want {
			if _, ok := found[id]; !ok {
				t.Errorf("%s is not there", id)
			}
		}
	}
	// The requester is neither owner nor renewer.
	if _, code := renewToken(t, bob, carols.HMAC, -1); code != protocol.ErrDelegationTokenOwnerMismatch {
		t.Errorf("%v", code)
	}
	if _, code := expireToken(t, bob, carols.HMAC, -1); code != protocol.ErrDelegationTokenOwnerMismatch {
		t.Errorf("%v", code)
	}
	sees(bob, nil, bobs.TokenID, carols.TokenID) // he asked for it
	sees(bob, []string{})
	sees(bob, []string{"carol"}, carols.TokenID)
	frank := createToken(t, alice, "frank", -1)
	sees(bob, []string{"frank"})
	sees(alice, nil, alices.TokenID, bobs.TokenID, carols.TokenID, frank.TokenID) // a super user
	sees(alice, []string{"dave"}, carols.TokenID)                                 // a renewer counts as one
	allow(user, "User:frank", describeThem)
	sees(bob, nil, bobs.TokenID, carols.TokenID, frank.TokenID)
	allow(delegationToken, alices.TokenID, describe)
	sees(bob, nil, bobs.TokenID, carols.TokenID, frank.TokenID, alices.TokenID)
	sees(bob, []string{"carol"}, carols.TokenID)
	d := describeTokens(t, bob, nil)[carols.TokenID]
	if d.PrincipalName != "carol" || d.TokenRequesterPrincipalName != "bob" || len(d.Renewers) != 1 || d.Renewers[0].PrincipalName != "dave" ||
		string(d.HMAC) != string(carols.HMAC) || d.MaxTimestamp != carols.MaxTimestamp {
		t.Errorf("%+v", d)
	}

	group := kmsg.NewPtrCreateDelegationTokenRequest()
	renewer := kmsg.NewCreateDelegationTokenRequestRenewer()
	renewer.PrincipalType, renewer.PrincipalName = "Group", "g"
	group.Renewers = append(group.Renewers, renewer)
	if got := ask[*kmsg.CreateDelegationTokenResponse](t, alice, group); got.ErrorCode != int16(protocol.ErrInvalidPrincipalType) {
		t.Errorf("%+v", got)
	}
}

// A dry run shows the tokens of others, reports that, and does not give away what would
// log somebody in as them when it is over.
func TestADryRunTellsNoSecretsOfTokens(t *testing.T) {
	record := filepath.Join(t.TempDir(), "audit")
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", tokenKey, "barnabas.acl.dry.run=true", "barnabas.audit.log.file="+record)...)
	alice, bob := plainClient(t, b, "alice", "secret"), plainClient(t, b, "bob", "other")
	alices, bobs := createToken(t, alice, "", -1), createToken(t, bob, "", -1)
	found := describeTokens(t, bob, nil)
	if len(found) != 2 || len(found[alices.TokenID].HMAC) != 0 || string(found[bobs.TokenID].HMAC) != string(bobs.HMAC) {
		t.Errorf("bob sees %+v", found)
	}
	lines, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	var refused int
	for line := range strings.Lines(string(lines)) {
		if strings.Contains(line, alices.TokenID) && strings.Contains(line, `"dryRun":true`) && strings.Contains(line, `"grant":`) {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("%d refusals on record, want 1: %s", refused, lines)
	}
	errs, err := b.Broker().Store().CreateACLs(t.Context(), []metadata.ACL{{ResourceType: 7, ResourceName: "User:alice", PatternType: 3,
		Principal: "User:bob", Host: "*", Operation: 14, Permission: 3}})
	if err != nil || errs[0] != nil {
		t.Fatal(err, errs)
	}
	if d := describeTokens(t, bob, nil)[alices.TokenID]; string(d.HMAC) != string(alices.HMAC) {
		t.Errorf("with an ACL bob sees %+v", d)
	}
}

func TestTokensOutliveTheBroker(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", tokenKey, "barnabas.delegation.token.hide.hmac=true")...)
	token := createToken(t, plainClient(t, b, "bob", "other"), "", -1)
	b.Restart()
	if err := creates(t, tokenClient(t, b, token.TokenID, token.HMAC, true), "restarted"); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("got %v", err)
	}
	bob, alice := plainClient(t, b, "bob", "other"), plainClient(t, b, "alice", "secret")
	if _, code := renewToken(t, bob, token.HMAC, -1); code != protocol.None {
		t.Errorf("%v", code)
	}
	if d := describeTokens(t, bob, nil)[token.TokenID]; len(d.HMAC) != 64 {
		t.Errorf("%+v", d)
	}
	if d, ok := describeTokens(t, alice, nil)[token.TokenID]; !ok || len(d.HMAC) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestWithoutASecretKeyThereAreNoTokens(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT")...)
	alice := plainClient(t, b, "alice", "secret")
	if got := createToken(t, alice, "", -1); got.ErrorCode != int16(protocol.ErrDelegationTokenAuthDisabled) || got.MaxTimestamp != 0 || got.PrincipalName != "alice" {
		t.Errorf("%+v", got)
	}
	if at, code := renewToken(t, alice, []byte("x"), -1); code != protocol.ErrDelegationTokenAuthDisabled || at != 0 {
		t.Errorf("%d %v", at, code)
	}
	if at, code := expireToken(t, alice, []byte("x"), -1); code != protocol.ErrDelegationTokenAuthDisabled || at != 0 {
		t.Errorf("%d %v", at, code)
	}
	req := kmsg.NewPtrDescribeDelegationTokenRequest()
	if got := ask[*kmsg.DescribeDelegationTokenResponse](t, alice, req); got.ErrorCode != int16(protocol.ErrDelegationTokenAuthDisabled) {
		t.Errorf("%+v", got)
	}
	if err := creates(t, tokenClient(t, b, "some-id", []byte("x"), true), "by-nobody"); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("got %v", err)
	}
}

func TestTheOldNameOfTheSecretKeyServes(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", "delegation.token.master.key=old")...)
	if got := createToken(t, plainClient(t, b, "alice", "secret"), "", -1); got.ErrorCode != 0 {
		t.Errorf("%+v", got)
	}
}

// A token that is removed between the two messages of a login is no way in.
func TestATokenRemovedDuringALoginLogsNobodyIn(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", tokenKey)...)
	alice := plainClient(t, b, "alice", "secret")
	made := createToken(t, alice, "", -1)
	w := dial(t, b)
	w.call(handshake("SCRAM-SHA-256", 1))
	session, first, err := scram.Auth{User: made.TokenID, Pass: base64.StdEncoding.EncodeToString(made.HMAC), IsToken: true}.
		AsSha256Mechanism().Authenticate(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	step := kmsg.NewPtrSASLAuthenticateRequest()
	step.SetVersion(2)
	step.SASLAuthBytes = first
	_, final, err := session.Challenge(w.call(step).(*kmsg.SASLAuthenticateResponse).SASLAuthBytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, code := expireToken(t, alice, made.HMAC, -1); code != protocol.None {
		t.Fatal(code)
	}
	step.SASLAuthBytes = final
	w.send(step)
	if _, _, err := w.receive(); err == nil {
		t.Errorf("logged in; a topic: %v", w.creates("by-a-token-that-is-gone"))
	}
}
