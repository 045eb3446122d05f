package bearer

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
)

// Unsecured accepts tokens that nobody signed (algorithm "none"), as Kafka does where
// nothing else is configured: anybody can be anybody. Only an explicit key may lead to it.
type Unsecured struct {
	// Options of the OAuthBearerLoginModule; "sub", "scope", none, 0.
	PrincipalClaim string
	ScopeClaim     string
	RequiredScope  []string
	ClockSkew      time.Duration
	// Now is time.Now.
	Now func() time.Time
}

// ValidateBearer reads a token.
func (u Unsecured) ValidateBearer(text string) (auth.BearerToken, error) {
	t, err := parseToken(text)
	if err != nil {
		return auth.BearerToken{}, err
	}
	if t.algorithm != "none" || len(t.signature) > 0 {
		return auth.BearerToken{}, errors.New("the token is signed, and nothing can verify it")
	}
	if u.PrincipalClaim == "" {
		u.PrincipalClaim = "sub"
	}
	if u.ScopeClaim == "" {
		u.ScopeClaim = "scope"
	}
	if u.Now == nil {
		u.Now = time.Now
	}
	now := u.Now()
	if issued, ok, err := moment(t.claims, "iat"); err != nil || ok && issued.After(now.Add(u.ClockSkew)) {
		return auth.BearerToken{}, errors.New("the token is from the future")
	}
	token, err := judge(t.claims, u.PrincipalClaim, u.ScopeClaim, now, u.ClockSkew, false)
	if err != nil {
		return auth.BearerToken{}, err
	}
	for _, scope := range u.RequiredScope {
		if !slices.Contains(token.Scope, scope) {
			return auth.BearerToken{}, &auth.BearerError{
				Status: "insufficient_scope", Scope: strings.Join(u.RequiredScope, " "), Reason: errors.New("a required scope is missing"),
			}
		}
	}
	return token, nil
}
