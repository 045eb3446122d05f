package broker

import (
	"context"
	"crypto/rand"
	"crypto/sha512"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/metadata"
)

// delegationTokens is what this broker knows of delegation tokens (KIP-48) beside what the
// metadata says of them: the secret that signs them, and which HMAC is whose.
type delegationTokens struct {
	secrets       *auth.TokenSecrets // nil where delegation.token.secret.key is not set
	maxLifetime   time.Duration
	expiryTime    time.Duration
	checkInterval time.Duration
	hideHMAC      bool

	mu     sync.Mutex        // a leaf
	byHMAC map[string]string // ids; may be behind the metadata, so that an id found must be looked up there
}

func newDelegationTokens(c *config.Config) *delegationTokens {
	t := &delegationTokens{byHMAC: map[string]string{}}
	o := c.Broker().DelegationTokens
	t.maxLifetime, t.expiryTime, t.checkInterval, t.hideHMAC = o.MaxLifetime, o.ExpiryTime, o.ExpiryCheckInterval, o.HideHMAC
	for _, key := range []string{"delegation.token.secret.key", "delegation.token.master.key"} {
		if v, ok := c.Value(key); ok && v != "" {
			t.secrets = auth.NewTokenSecrets(auth.NewSecret(v))
			break
		}
	}
	return t
}

// scramPepper is what the salts of users that do not exist are made of, on all listeners. All
// brokers with the same delegation.token.secret.key have the same, before and after a
// restart; without the key each has its own, or else one for as long as it runs.
func (t *delegationTokens) scramPepper(own auth.Secret) auth.Secret {
	if t.secrets != nil {
		return auth.NewSecret(string(t.secrets.HMAC("salts of users that do not exist"))) // no token has such an id
	}
	if !own.IsEmpty() {
		return own
	}
	random := make([]byte, sha512.Size)
	rand.Read(random)
	return auth.NewSecret(string(random))
}

// enabled says whether there can be tokens.
func (t *delegationTokens) enabled() bool { return t.secrets != nil }

// know makes a token findable by its HMAC.
func (t *delegationTokens) know(id string) {
	mac := string(t.secrets.HMAC(id))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byHMAC[mac] = id
}

// known says whether a token is there. It follows the metadata before the sessions of tokens
// that are gone are closed.
func (t *delegationTokens) known(id string) bool {
	mac := t.secrets.HMAC(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.byHMAC[string(mac)]
	return ok
}

// forget is the end of know.
func (t *delegationTokens) forget(id string) {
	mac := string(t.secrets.HMAC(id))
	t.mu.Lock()
	delete(t.byHMAC, mac)
	t.mu.Unlock()
	t.secrets.Forget(id)
}

// find returns the token of an HMAC, nil if there is none.
func (t *delegationTokens) find(image *metadata.Image, mac []byte) *metadata.DelegationToken {
	t.mu.Lock()
	id, ok := t.byHMAC[string(mac)]
	t.mu.Unlock()
	if !ok || !t.secrets.Matches(id, mac) {
		return nil
	}
	return image.DelegationToken(id)
}

// applyToTokens follows the tokens of the metadata. Whoever is on a connection by a token
// that is no more is cut off, which Apache does not do.
func (b *Broker) applyToTokens(d *metadata.Delta, image *metadata.Image) {
	if !b.tokens.enabled() || len(d.DelegationTokens) == 0 {
		return
	}
	var gone map[string]bool
	for _, id := range d.DelegationTokens {
		if image.DelegationToken(id) != nil {
			b.tokens.know(id)
			continue
		}
		b.tokens.forget(id)
		if gone == nil {
			gone = map[string]bool{}
		}
		gone[id] = true
	}
	if gone != nil {
		b.closeTokenSessions(gone)
	}
}

// closeTokenSessions closes the connections that were authenticated by one of the tokens.
func (b *Broker) closeTokenSessions(tokens map[string]bool) {
	var theirs []*conn
	b.mu.Lock()
	for c := range b.conns {
		if id := c.session.Load().tokenID; id != "" && tokens[id] {
			theirs = append(theirs, c)
		}
	}
	b.mu.Unlock()
	for _, c := range theirs {
		s := c.session.Load()
		c.logger().Info("closing a connection whose delegation token is no more", "principal", s.principal.String(), "token", s.tokenID)
		c.close()
	}
}

// tokenLogin finds a token for a SCRAM exchange that names it as its user.
func (b *Broker) tokenLogin(id string, h auth.ScramHash) (auth.DelegationTokenLogin, bool) {
	t := b.store.Image().DelegationToken(id)
	if t == nil {
		return auth.DelegationTokenLogin{}, false
	}
	return auth.DelegationTokenLogin{Owner: parsePrincipal(t.Owner), ExpiresAt: time.UnixMilli(min(t.ExpiryTimestampMs, t.MaxTimestampMs)),
		Credential: b.tokens.secrets.Credential(id, h)}, true
}

// tokenExpired says whether a token's time is over.
func tokenExpired(t *metadata.DelegationToken, nowMs int64) bool {
	return t.MaxTimestampMs < nowMs || t.ExpiryTimestampMs < nowMs
}

// sweepTokens removes tokens that have run out. The broker that is the controller does it.
func (b *Broker) sweepTokens(ctx context.Context) {
	defer b.wg.Done()
	tick := time.NewTicker(b.tokens.checkInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			b.removeExpiredTokens(ctx, now)
		}
	}
}

func (b *Broker) removeExpiredTokens(ctx context.Context, now time.Time) {
	image := b.store.Image()
	if image.ControllerID() != b.opts.NodeID {
		return
	}
	for t := range image.DelegationTokens() {
		if !tokenExpired(t, now.UnixMilli()) {
			continue
		}
		b.logger.Info("removing a delegation token that has expired", "token", t.ID, "owner", t.Owner)
		if err := b.store.RemoveDelegationToken(ctx, t.ID); err != nil {
			b.logger.Warn("cannot remove a delegation token", "token", t.ID, "err", err)
			if ctx.Err() != nil {
				return
			}
		}
	}
}
