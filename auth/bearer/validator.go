package bearer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/barnabas-broker/barnabas/auth"
)

// Keys is where a Validator finds the issuer's keys. A KeySource is one.
type Keys interface {
	// KeySet returns the keys, nil if there are none yet.
	KeySet() *KeySet
	// Missing tells that a token names a key that is not among them.
	Missing(keyID string)
}

// Options are what a token must hold to be good.
type Options struct {
	Keys Keys
	// Issuer is sasl.oauthbearer.expected.issuer. Kafka takes any where it is not set; here
	// that has to be said by AnyIssuer.
	Issuer    string
	AnyIssuer bool
	// Audience is sasl.oauthbearer.expected.audience: a token must be for one of them. With
	// AnyAudience and none here, only tokens that are for nobody in particular are good.
	Audience    []string
	AnyAudience bool
	// ClockSkew is sasl.oauthbearer.clock.skew.seconds; nil is 30 seconds.
	ClockSkew *time.Duration
	// ScopeClaim and SubClaim are the names of claims; "scope" and "sub".
	ScopeClaim, SubClaim string
	// Now is time.Now.
	Now func() time.Time
}

// Validator judges signed tokens.
type Validator struct {
	o    Options
	skew time.Duration
}

// New makes a validator. What would leave tokens unchecked has to be allowed: a listener
// that forgot its issuer must not start (CVE-2026-33557, CVE-2026-110985).
func New(o Options) (*Validator, error) {
	switch {
	case o.Keys == nil:
		return nil, errors.New("sasl.oauthbearer.jwks.endpoint.url is not set: nothing could verify a token")
	case o.Issuer == "" && !o.AnyIssuer:
		return nil, errors.New("sasl.oauthbearer.expected.issuer is not set")
	case len(o.Audience) == 0 && !o.AnyAudience:
		return nil, errors.New("sasl.oauthbearer.expected.audience is not set")
	}
	v := &Validator{o: o, skew: 30 * time.Second}
	if o.ClockSkew != nil {
		v.skew = *o.ClockSkew
	}
	if v.o.ScopeClaim == "" {
		v.o.ScopeClaim = "scope"
	}
	if v.o.SubClaim == "" {
		v.o.SubClaim = "sub"
	}
	if v.o.Now == nil {
		v.o.Now = time.Now
	}
	return v, nil
}

// ValidateBearer judges a token: the signature first, then what it says.
func (v *Validator) ValidateBearer(text string) (auth.BearerToken, error) {
	t, err := parseToken(text)
	if err != nil {
		return auth.BearerToken{}, err
	}
	if err := v.verify(t); err != nil {
		return auth.BearerToken{}, err
	}
	if err := v.checkParties(t.claims); err != nil {
		return auth.BearerToken{}, err
	}
	return judge(t.claims, v.o.SubClaim, v.o.ScopeClaim, v.o.Now(), v.skew, true)
}

func (v *Validator) verify(t *token) error {
	a, ok := algorithms[t.algorithm]
	if !ok {
		return fmt.Errorf("algorithm %.20q is not accepted", t.algorithm)
	}
	set := v.o.Keys.KeySet()
	if set == nil {
		v.o.Keys.Missing(t.keyID)
		return errors.New("the issuer's keys have not been fetched yet")
	}
	if t.keyID != "" && !set.hasKey(t.keyID) {
		v.o.Keys.Missing(t.keyID)
		return fmt.Errorf("the issuer has no key %.100q", t.keyID)
	}
	for _, k := range set.candidates(t, a) {
		if a.isValid(a, k.key, t.signed, t.signature) {
			return nil
		}
	}
	return errors.New("no key of the issuer's made the signature")
}

func (v *Validator) checkParties(claims map[string]any) error {
	if issuer, _ := claims["iss"].(string); v.o.Issuer != "" && issuer != v.o.Issuer {
		return fmt.Errorf("the token is of issuer %.200q", issuer)
	}
	audience, err := texts(claims["aud"])
	switch {
	case err != nil:
		return errors.New("the token's audience is malformed")
	case len(v.o.Audience) == 0 && len(audience) > 0:
		return fmt.Errorf("the token is for %.200q and nothing says that this is us", audience)
	case len(v.o.Audience) > 0 && !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(v.o.Audience, a) }):
		return fmt.Errorf("the token is for %.200q", audience)
	}
	return nil
}

// judge reads the claims about time and subject.
func judge(claims map[string]any, subClaim, scopeClaim string, now time.Time, skew time.Duration, needIssuedAt bool) (auth.BearerToken, error) {
	expires, hasExpires, err := moment(claims, "exp")
	if err != nil || !hasExpires {
		return auth.BearerToken{}, errors.New("the token has no good exp")
	}
	issued, hasIssued, err := moment(claims, "iat")
	if err != nil || needIssuedAt && !hasIssued {
		return auth.BearerToken{}, errors.New("the token has no good iat")
	}
	notBefore, hasNotBefore, err := moment(claims, "nbf")
	switch {
	case err != nil:
		return auth.BearerToken{}, errors.New("the token has no good nbf")
	case !now.Add(-skew).Before(expires):
		return auth.BearerToken{}, fmt.Errorf("the token expired at %v", expires)
	case hasIssued && issued.After(expires), hasNotBefore && notBefore.After(expires):
		return auth.BearerToken{}, errors.New("the token ends before it begins")
	case hasNotBefore && now.Add(skew).Before(notBefore):
		return auth.BearerToken{}, fmt.Errorf("the token is good from %v on", notBefore)
	}
	sub, ok := claims[subClaim].(string)
	sub = strings.TrimFunc(sub, func(c rune) bool { return c <= ' ' }) // String.trim: no other blanks
	if !ok || sub == "" || strings.ContainsFunc(sub, unicode.IsControl) {
		return auth.BearerToken{}, fmt.Errorf("the token has no good %s", subClaim)
	}
	scope, err := texts(claims[scopeClaim])
	if err != nil {
		return auth.BearerToken{}, fmt.Errorf("the token has no good %s", scopeClaim)
	}
	var scopes []string
	for _, s := range scope {
		scopes = append(scopes, strings.Fields(s)...)
	}
	return auth.BearerToken{Principal: sub, ExpiresAt: expires, Scope: scopes, Claims: claims}, nil
}

// moment reads a NumericDate: seconds since 1970, whose fraction is dropped as Kafka does.
func moment(claims map[string]any, name string) (time.Time, bool, error) {
	value, ok := claims[name]
	if !ok {
		return time.Time{}, false, nil
	}
	number, ok := value.(json.Number)
	if !ok {
		return time.Time{}, false, errors.New("not a number")
	}
	seconds, err := number.Float64()
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > 253_402_300_799 { // the year 9999
		return time.Time{}, false, errors.New("out of range")
	}
	return time.Unix(int64(seconds), 0), true, nil
}

// texts reads a claim that is a string, a list of strings, or absent.
func texts(value any) ([]string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		var out []string
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, errors.New("not a string")
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, errors.New("neither string nor list")
}
