package bearer

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.Hash
	_ "crypto/sha512" // for crypto.Hash
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
)

// tokenMaxBytes bounds a token.
const tokenMaxBytes = 64 << 10

// token is a JWS in compact form, taken apart and not verified.
type token struct {
	algorithm string
	keyID     string
	signed    []byte // header "." payload, as they came
	signature []byte
	claims    map[string]any
}

// parseToken takes header.payload.signature apart. Each is base64 without padding, header
// and payload are JSON objects.
func parseToken(text string) (*token, error) {
	if len(text) > tokenMaxBytes {
		return nil, fmt.Errorf("a token of %d bytes", len(text))
	}
	if strings.Count(text, ".") != 2 {
		return nil, errors.New("the token has not three parts")
	}
	parts := strings.Split(text, ".")
	header, err := decodePart(parts[0])
	if err != nil {
		return nil, err
	}
	var h struct {
		Algorithm string          `json:"alg"`
		KeyID     string          `json:"kid"`
		Critical  json.RawMessage `json:"crit"`
	}
	if err := decodeObject(header, &h); err != nil {
		return nil, errors.New("the token's header is malformed")
	}
	if h.Critical != nil {
		return nil, errors.New("the token's header has critical extensions")
	}
	payload, err := decodePart(parts[1])
	if err != nil {
		return nil, err
	}
	t := &token{algorithm: h.Algorithm, keyID: h.KeyID, signed: []byte(text[:len(parts[0])+1+len(parts[1])])}
	if err := decodeObject(payload, &t.claims); err != nil || t.claims == nil {
		return nil, errors.New("the token's claims are malformed")
	}
	if t.signature, err = decodePart(parts[2]); err != nil {
		return nil, err
	}
	return t, nil
}

func decodePart(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("a part of the token has line ends")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("a part of the token is not base64")
	}
	return b, nil
}

// decodeObject reads one JSON value and nothing behind it. Numbers keep their text.
func decodeObject(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// algorithm is a way to sign. Neither "none" nor a symmetric one is among them: a key that
// everybody can fetch proves nothing with those.
type algorithm struct {
	kind    string // the key's kty
	curve   string // the key's crv, if it has one
	hash    crypto.Hash
	isValid func(a algorithm, key crypto.PublicKey, signed, signature []byte) bool
}

var algorithms = map[string]algorithm{
	"RS256": {"RSA", "", crypto.SHA256, verifyPKCS1},
	"RS384": {"RSA", "", crypto.SHA384, verifyPKCS1},
	"RS512": {"RSA", "", crypto.SHA512, verifyPKCS1},
	"PS256": {"RSA", "", crypto.SHA256, verifyPSS},
	"PS384": {"RSA", "", crypto.SHA384, verifyPSS},
	"PS512": {"RSA", "", crypto.SHA512, verifyPSS},
	"ES256": {"EC", "P-256", crypto.SHA256, verifyECDSA},
	"ES384": {"EC", "P-384", crypto.SHA384, verifyECDSA},
	"ES512": {"EC", "P-521", crypto.SHA512, verifyECDSA},
	"EdDSA": {"OKP", "Ed25519", 0, verifyEd25519},
}

func (a algorithm) digest(b []byte) []byte {
	h := a.hash.New()
	h.Write(b)
	return h.Sum(nil)
}

func verifyPKCS1(a algorithm, key crypto.PublicKey, signed, signature []byte) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && rsa.VerifyPKCS1v15(k, a.hash, a.digest(signed), signature) == nil
}

func verifyPSS(a algorithm, key crypto.PublicKey, signed, signature []byte) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && rsa.VerifyPSS(k, a.hash, a.digest(signed), signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
}

func verifyECDSA(a algorithm, key crypto.PublicKey, signed, signature []byte) bool {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return false
	}
	size := (k.Curve.Params().BitSize + 7) / 8
	if len(signature) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	return ecdsa.Verify(k, a.digest(signed), r, s)
}

func verifyEd25519(_ algorithm, key crypto.PublicKey, signed, signature []byte) bool {
	k, ok := key.(ed25519.PublicKey)
	return ok && ed25519.Verify(k, signed, signature)
}
