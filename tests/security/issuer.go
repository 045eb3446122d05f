package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"time"
)

const audience = "kafka"

// issuer is an OpenID Connect issuer over HTTPS: its keys, and tokens for client
// credentials.
type issuer struct {
	url      string
	key      *rsa.PrivateKey
	stranger *rsa.PrivateKey // is not among its keys
	server   *http.Server
	secret   string // of every client
}

func startIssuer(certificate, key string) (*issuer, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i := &issuer{url: fmt.Sprintf("https://localhost:%d", l.Addr().(*net.TCPAddr).Port), key: private, stranger: stranger, secret: "client secret"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		exponent := binary.BigEndian.AppendUint32(nil, uint32(private.E))[1:]
		json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "first",
			"n": base64.RawURLEncoding.EncodeToString(private.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(exponent)}}})
	})
	for path, key := range map[string]*rsa.PrivateKey{"/token": private, "/token-of-another-key": stranger} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			id, secret, ok := r.BasicAuth()
			if !ok || secret != i.secret || r.FormValue("grant_type") != "client_credentials" {
				http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			token := sign(key, "RS256", i.claims(id, nil))
			json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600})
		})
	}
	i.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := i.server.ServeTLS(l, certificate, key); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println("issuer:", err)
		}
	}()
	return i, nil
}

func (i *issuer) stop() { i.server.Close() }

// claims are those of a good token, with changes; a nil value takes a claim away.
func (i *issuer) claims(subject string, changes map[string]any) map[string]any {
	now := time.Now()
	c := map[string]any{"iss": i.url, "aud": audience, "sub": subject, "scope": "kafka", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// token is signed by the issuer's key.
func (i *issuer) token(subject string, changes map[string]any) string {
	return sign(i.key, "RS256", i.claims(subject, changes))
}

// sign makes a token; without a key, one without a signature.
func sign(key *rsa.PrivateKey, algorithm string, claims map[string]any) string {
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // maps of strings and numbers
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := part(map[string]string{"alg": algorithm, "kid": "first", "typ": "JWT"}) + "." + part(claims)
	if key == nil {
		return text + "."
	}
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		panic(err) // the key is large enough
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}
