package clientconf

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/auth/bearer"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
)

const (
	tokenMaxBytes    = 64 << 10
	endpointTimeout  = 15 * time.Second
	unsecuredPrefix  = "unsecuredLoginStringClaim_"
	unsecuredPeriod  = time.Hour
	extensionsPrefix = "extension_"
)

// bearer makes OAUTHBEARER. The token comes, as in Java, from a file (an endpoint URL that
// begins with file:), from an issuer's token endpoint with the login module's clientId and
// clientSecret, or, for brokers that take unsigned tokens, from the login module itself.
func (r *reader) bearer() (sasl.Mechanism, error) {
	l, err := r.login(bearerModule)
	if err != nil {
		return nil, err
	}
	extensions := map[string]string{}
	for _, o := range l.Options {
		if name, ok := strings.CutPrefix(o.Name, extensionsPrefix); ok {
			extensions[name] = o.Value
		}
	}
	var token func(context.Context) (string, error)
	endpoint := r.values["sasl.oauthbearer.token.endpoint.url"]
	switch {
	case strings.HasPrefix(endpoint, "file:"):
		path := strings.TrimPrefix(strings.TrimPrefix(endpoint, "file:"), "//")
		token = func(context.Context) (string, error) { return readToken(path) }
	case endpoint != "":
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return nil, errors.New("sasl.oauthbearer.token.endpoint.url is no URL of https or file")
		}
		e := &tokenEndpoint{url: endpoint, id: l.text("clientId"), secret: l.text("clientSecret"), scope: l.text("scope"),
			encodes: strings.EqualFold(r.values["sasl.oauthbearer.header.urlencode"], "true")}
		if e.scope == "" {
			e.scope = r.values["sasl.oauthbearer.scope"]
		}
		if e.id == "" || e.secret == "" {
			return nil, errors.New("sasl.jaas.config needs clientId and clientSecret for sasl.oauthbearer.token.endpoint.url")
		}
		options := map[string]string{}
		for _, o := range l.Options {
			options[o.Name] = o.Value
		}
		if e.transport, err = bearer.Transport(options); err != nil {
			return nil, err
		}
		token = e.fetch
	default:
		text, err := l.unsecuredToken(time.Now())
		if err != nil {
			return nil, err
		}
		token = func(context.Context) (string, error) { return text, nil }
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		text, err := token(ctx)
		return oauth.Auth{Token: text, Extensions: extensions}, err
	}), nil
}

func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, tokenMaxBytes))
	return strings.TrimSpace(string(data)), err
}

// unsecuredToken is a token that nobody has signed, of the claims in the login module.
func (l login) unsecuredToken(now time.Time) (string, error) {
	claims := map[string]any{"iat": now.Unix(), "exp": now.Add(unsecuredPeriod).Unix()}
	for _, o := range l.Options {
		if name, ok := strings.CutPrefix(o.Name, unsecuredPrefix); ok {
			claims[name] = o.Value
		}
	}
	if claims["sub"] == nil {
		return "", errors.New("there is no token: sasl.oauthbearer.token.endpoint.url is not set, and the login module has no " + unsecuredPrefix + "sub either")
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part(body) + ".", nil
}

// tokenEndpoint asks an issuer for tokens by the client credentials grant (RFC 6749 §4.4).
type tokenEndpoint struct {
	url, id, secret, scope string
	transport              http.RoundTripper // nil is the system's
	encodes                bool              // id and secret, which RFC 6749 asks for and Java does not do by default
}

// fetch asks once. No error shows what the endpoint answered: it may be anything.
func (e *tokenEndpoint) fetch(ctx context.Context) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if e.scope != "" {
		form.Set("scope", e.scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, strings.NewReader(form.Encode()))
	if err != nil {
		return "", errors.New("sasl.oauthbearer.token.endpoint.url cannot be asked")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	id, secret := e.id, e.secret
	if e.encodes {
		id, secret = url.QueryEscape(id), url.QueryEscape(secret)
	}
	req.SetBasicAuth(id, secret)
	client := &http.Client{Transport: e.transport, Timeout: endpointTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("the token endpoint redirects, and the secret goes nowhere else")
	}}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask for a token: the endpoint answered %s", resp.Status)
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, tokenMaxBytes)).Decode(&answer); err != nil || answer.Token == "" {
		return "", errors.New("ask for a token: the answer holds no access_token")
	}
	return answer.Token, nil
}
