package broker

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/broker/audit"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// noTimestamp is what answers hold in place of a time where the request was turned away at
// the door.
const noTimestamp = -1

// mayUseTokens says whether the request comes over a connection on which secrets may
// travel, from somebody known who is not there by a token himself.
func mayUseTokens(r *request) bool {
	return r.session.tokenID == "" && r.session.proved
}

// parsePrincipal is the inverse of Principal.String.
func parsePrincipal(text string) auth.Principal {
	kind, name, _ := strings.Cut(text, ":")
	return auth.Principal{Type: kind, Name: name}
}

// handleCreateDelegationToken, key 38, v0-v3 (KIP-48, KIP-373): makes a token for oneself,
// or with CreateTokens on its owner for somebody else.
func (b *Broker) handleCreateDelegationToken(r *request) {
	req := r.msg.(*kmsg.CreateDelegationTokenRequest)
	resp := kmsg.NewPtrCreateDelegationTokenResponse()
	requester := r.session.principal
	owner := requester
	if name := deref(req.OwnerPrincipalName); name != "" {
		owner = auth.Principal{Type: deref(req.OwnerPrincipalType), Name: name}
	}
	resp.PrincipalType, resp.PrincipalName = owner.Type, owner.Name
	resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName = requester.Type, requester.Name
	resp.HMAC = []byte{}
	fail := func(err error, timestamp int64) {
		resp.ErrorCode = r.errorCode(err)
		resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = timestamp, timestamp, timestamp
		r.reply(resp)
	}
	if !mayUseTokens(r) {
		fail(protocol.ErrDelegationTokenRequestNotAllowed, noTimestamp)
		return
	}
	if owner != requester && !b.authorize(r, acl.CreateTokens, acl.User(owner.String())) {
		fail(protocol.ErrDelegationTokenAuthorizationFailed, noTimestamp)
		return
	}
	renewers := []string{}
	for _, p := range req.Renewers {
		if p.PrincipalType != "User" {
			fail(protocol.ErrInvalidPrincipalType, noTimestamp)
			return
		}
		renewers = append(renewers, p.PrincipalType+":"+p.PrincipalName)
	}
	// A type that is not one word would be read back as another principal.
	if owner.Type == "" || strings.Contains(owner.Type, ":") {
		fail(protocol.ErrInvalidPrincipalType, noTimestamp)
		return
	}
	if !b.tokens.enabled() {
		fail(protocol.ErrDelegationTokenAuthDisabled, 0)
		return
	}
	lifetime := b.tokens.maxLifetime.Milliseconds()
	if req.MaxLifetimeMillis > 0 {
		lifetime = min(lifetime, req.MaxLifetimeMillis)
	}
	now := time.Now().UnixMilli()
	t := metadata.DelegationToken{ID: auth.NewDelegationTokenID(), Owner: owner.String(), Requester: requester.String(), Renewers: renewers,
		IssueTimestampMs: now, MaxTimestampMs: addMs(now, lifetime)}
	t.ExpiryTimestampMs = min(t.MaxTimestampMs, addMs(now, b.tokens.expiryTime.Milliseconds()))
	if err := b.store.CreateDelegationToken(r.ctx(), t); err != nil {
		fail(err, 0)
		return
	}
	b.tokens.know(t.ID) // whoever renews it next need not wait for the metadata to come round
	if b.store.Image().DelegationToken(t.ID) == nil {
		b.tokens.forget(t.ID)
	}
	resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = t.IssueTimestampMs, t.ExpiryTimestampMs, t.MaxTimestampMs
	resp.TokenID, resp.HMAC = t.ID, b.tokens.secrets.HMAC(t.ID)
	b.logger.Info("created a delegation token", "token", t.ID, "owner", t.Owner, "requester", t.Requester)
	r.reply(resp)
}

// addMs adds a duration to a time; what does not fit is the end of time.
func addMs(ms, duration int64) int64 {
	if ms > math.MaxInt64-duration {
		return math.MaxInt64
	}
	return ms + duration
}

// handleRenewDelegationToken, key 39, v0-v2 (KIP-48): moves a token's expiry, as far as its
// maximum. For its owner and its renewers; no ACL allows it.
func (b *Broker) handleRenewDelegationToken(r *request) {
	req := r.msg.(*kmsg.RenewDelegationTokenRequest)
	resp := kmsg.NewPtrRenewDelegationTokenResponse()
	if !mayUseTokens(r) {
		resp.ErrorCode, resp.ExpiryTimestamp = r.errorCode(protocol.ErrDelegationTokenRequestNotAllowed), noTimestamp
		r.reply(resp)
		return
	}
	now := time.Now().UnixMilli()
	t, err := b.ownToken(r, req.HMAC)
	if t != nil && tokenExpired(t, now) {
		err = protocol.ErrDelegationTokenExpired
	}
	if err == nil {
		period := b.tokens.expiryTime.Milliseconds()
		if req.RenewTimeMillis > 0 {
			period = min(period, req.RenewTimeMillis)
		}
		resp.ExpiryTimestamp, err = b.setTokenExpiry(r, t, addMs(now, period))
	}
	resp.ErrorCode = r.errorCode(err)
	r.reply(resp)
}

// handleExpireDelegationToken, key 40, v0-v2 (KIP-48): shortens the time of a token, or
// with a negative period removes it. For its owner and its renewers; no ACL allows it.
func (b *Broker) handleExpireDelegationToken(r *request) {
	req := r.msg.(*kmsg.ExpireDelegationTokenRequest)
	resp := kmsg.NewPtrExpireDelegationTokenResponse()
	if !mayUseTokens(r) {
		resp.ErrorCode, resp.ExpiryTimestamp = r.errorCode(protocol.ErrDelegationTokenRequestNotAllowed), noTimestamp
		r.reply(resp)
		return
	}
	now := time.Now().UnixMilli()
	t, err := b.ownToken(r, req.HMAC)
	switch {
	case err != nil:
	case req.ExpiryPeriodMillis < 0:
		if err = b.store.RemoveDelegationToken(r.ctx(), t.ID); err == nil {
			resp.ExpiryTimestamp = now
			b.logger.Info("removed a delegation token", "token", t.ID, "owner", t.Owner, "principal", r.session.principal.String())
		}
	case tokenExpired(t, now):
		err = protocol.ErrDelegationTokenExpired
	default:
		resp.ExpiryTimestamp, err = b.setTokenExpiry(r, t, addMs(now, req.ExpiryPeriodMillis))
	}
	resp.ErrorCode = r.errorCode(err)
	r.reply(resp)
}

// ownToken finds the token of an HMAC that the request's principal may change. With
// DELEGATION_TOKEN_OWNER_MISMATCH comes the token of others too: one that has expired is
// told to whoever holds its HMAC.
func (b *Broker) ownToken(r *request, mac []byte) (*metadata.DelegationToken, error) {
	if !b.tokens.enabled() {
		return nil, protocol.ErrDelegationTokenAuthDisabled
	}
	t := b.tokens.find(b.store.Image(), mac)
	if t == nil {
		return nil, protocol.ErrDelegationTokenNotFound
	}
	if !ownsOrRenews(t, r.session.principal) {
		return t, protocol.ErrDelegationTokenOwnerMismatch
	}
	return t, nil
}

func ownsOrRenews(t *metadata.DelegationToken, p auth.Principal) bool {
	who := p.String()
	return t.Owner == who || slices.Contains(t.Renewers, who)
}

func (b *Broker) setTokenExpiry(r *request, t *metadata.DelegationToken, expiryMs int64) (int64, error) {
	expiryMs = min(expiryMs, t.MaxTimestampMs)
	if err := b.store.SetDelegationTokenExpiry(r.ctx(), t.ID, expiryMs); err != nil {
		return 0, err
	}
	return expiryMs, nil
}

// handleDescribeDelegationToken, key 41, v0-v3 (KIP-48, KIP-373): the tokens that one owns,
// has asked for or may renew, and those of others that ACLs let one see: Describe on the token, or
// DescribeTokens on its owner. The answer holds the HMACs, so whoever may describe a token
// may log in by it; barnabas.delegation.token.hide.hmac keeps it to owners and renewers, and
// a dry run tells it nobody whom the ACLs would not.
func (b *Broker) handleDescribeDelegationToken(r *request) {
	req := r.msg.(*kmsg.DescribeDelegationTokenRequest)
	resp := kmsg.NewPtrDescribeDelegationTokenResponse()
	resp.TokenDetails = []kmsg.DescribeDelegationTokenResponseTokenDetail{}
	switch {
	case !mayUseTokens(r):
		resp.ErrorCode = r.errorCode(protocol.ErrDelegationTokenRequestNotAllowed)
	case !b.tokens.enabled():
		resp.ErrorCode = r.errorCode(protocol.ErrDelegationTokenAuthDisabled)
	case req.Owners == nil || len(req.Owners) > 0:
		resp.TokenDetails = b.describeTokens(r, req.Owners)
	}
	r.reply(resp)
}

func (b *Broker) describeTokens(r *request, owners []kmsg.DescribeDelegationTokenRequestOwner) []kmsg.DescribeDelegationTokenResponseTokenDetail {
	asked := map[auth.Principal]bool{}
	for _, o := range owners {
		asked[auth.Principal{Type: o.PrincipalType, Name: o.PrincipalName}] = true
	}
	details := []kmsg.DescribeDelegationTokenResponseTokenDetail{}
	for t := range b.store.Image().DelegationTokens() {
		if owners != nil && !asked[parsePrincipal(t.Owner)] && !asked[parsePrincipal(t.Requester)] &&
			!slices.ContainsFunc(t.Renewers, func(p string) bool { return asked[parsePrincipal(p)] }) {
			continue
		}
		own := ownsOrRenews(t, r.session.principal) || t.Requester == r.session.principal.String()
		granted := own || b.isGranted(r, acl.Describe, acl.DelegationToken(t.ID)) || b.isGranted(r, acl.DescribeTokens, acl.User(t.Owner))
		if !granted {
			if !b.mayKnow(r, acl.Describe, acl.DelegationToken(t.ID)) {
				continue
			}
			// A dry run lets pass, and reports. But an HMAC lets one log in as another for as long
			// as the token lasts, which may be after the dry run.
			b.authorize(r, acl.Describe, acl.DelegationToken(t.ID))
		}
		tells := own || granted && !b.tokens.hideHMAC
		if !own && tells && b.audit.Enabled() {
			e := r.event(audit.Administration, audit.Succeeded)
			e.Changes = []audit.Change{{Resource: "DelegationToken:" + t.ID, What: "tell its secret, owner=" + t.Owner}}
			tells = b.audit.Record(e) == nil
		}
		details = append(details, b.describeToken(t, tells))
	}
	slices.SortFunc(details, func(x, y kmsg.DescribeDelegationTokenResponseTokenDetail) int {
		return cmp.Or(cmp.Compare(x.IssueTimestamp, y.IssueTimestamp), cmp.Compare(x.TokenID, y.TokenID))
	})
	return details
}

func (b *Broker) describeToken(t *metadata.DelegationToken, withHMAC bool) kmsg.DescribeDelegationTokenResponseTokenDetail {
	out := kmsg.NewDescribeDelegationTokenResponseTokenDetail()
	owner, requester := parsePrincipal(t.Owner), parsePrincipal(t.Requester)
	out.PrincipalType, out.PrincipalName = owner.Type, owner.Name
	out.TokenRequesterPrincipalType, out.TokenRequesterPrincipalName = requester.Type, requester.Name
	out.IssueTimestamp, out.ExpiryTimestamp, out.MaxTimestamp = t.IssueTimestampMs, t.ExpiryTimestampMs, t.MaxTimestampMs
	out.TokenID, out.HMAC = t.ID, []byte{}
	if withHMAC {
		out.HMAC = b.tokens.secrets.HMAC(t.ID)
	}
	out.Renewers = []kmsg.DescribeDelegationTokenResponseTokenDetailRenewer{}
	for _, renewer := range t.Renewers {
		p := kmsg.NewDescribeDelegationTokenResponseTokenDetailRenewer()
		who := parsePrincipal(renewer)
		p.PrincipalType, p.PrincipalName = who.Type, who.Name
		out.Renewers = append(out.Renewers, p)
	}
	return out
}
