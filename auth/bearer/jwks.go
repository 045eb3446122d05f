package bearer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

const (
	keySetMaxBytes = 1 << 20
	keySetMaxKeys  = 100
	rsaMinBits     = 2048
	rsaMaxBits     = 8192
)

// KeySet is an issuer's public keys. It is immutable.
type KeySet struct{ keys []publicKey }

type publicKey struct {
	id        string
	algorithm string // the only one it is for; "" for all of its kind
	kind      string
	curve     string
	key       crypto.PublicKey
}

// jwk is one key as JSON has it.
type jwk struct {
	Kind      string   `json:"kty"`
	ID        string   `json:"kid"`
	Use       *string  `json:"use"`
	Uses      []string `json:"key_ops"`
	Algorithm string   `json:"alg"`
	N, E      string
	Curve     string `json:"crv"`
	X, Y      string
}

// ParseKeySet reads a JWKS document. Keys that are not for signatures, of kinds that are not
// known, or not good, are passed over, as RFC 7517 §5 asks: an issuer may have added one for
// somebody else. That none is left is an error.
func ParseKeySet(data []byte) (*KeySet, error) {
	if len(data) > keySetMaxBytes {
		return nil, fmt.Errorf("a key set of %d bytes", len(data))
	}
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, errors.New("the key set is not JSON") // its error would quote the text
	}
	if len(document.Keys) > keySetMaxKeys {
		return nil, fmt.Errorf("a key set of %d keys", len(document.Keys))
	}
	out := new(KeySet)
	var bad error // the first
	for i, text := range document.Keys {
		var k jwk
		if err := json.Unmarshal(text, &k); err != nil {
			continue
		}
		if !k.verifies() {
			continue
		}
		key, err := k.public()
		if err != nil && bad == nil {
			bad = fmt.Errorf("key %d of the key set: %w", i, err)
		}
		if err == nil && key != nil {
			out.keys = append(out.keys, publicKey{k.ID, k.Algorithm, k.Kind, k.Curve, key})
		}
	}
	switch {
	case len(out.keys) == 0 && bad != nil:
		return nil, bad
	case len(out.keys) == 0:
		return nil, errors.New("the key set holds no key for signatures")
	}
	return out, nil
}

// verifies says whether the key is there to verify signatures. As with Kafka's jose4j, a
// field that is missing does not matter, and one that is empty names nothing.
func (k *jwk) verifies() bool {
	return (k.Use == nil || *k.Use == "sig") && (k.Uses == nil || slices.Contains(k.Uses, "verify"))
}

// public makes the key; nil for kinds that are not known, symmetric ones among them.
func (k *jwk) public() (crypto.PublicKey, error) {
	switch {
	case k.Kind == "RSA":
		return k.rsa()
	case k.Kind == "EC" && k.curve() != nil:
		return k.ecdsa()
	case k.Kind == "OKP" && k.Curve == "Ed25519":
		x, err := decodeNumber(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("an Ed25519 key is malformed")
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, nil
}

func (k *jwk) rsa() (crypto.PublicKey, error) {
	n, err := decodeNumber(k.N)
	if err != nil {
		return nil, err
	}
	e, err := decodeNumber(k.E)
	if err != nil {
		return nil, err
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	if bits := modulus.BitLen(); bits < rsaMinBits || bits > rsaMaxBits {
		return nil, fmt.Errorf("an RSA key of %d bits", bits)
	}
	if exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0 {
		return nil, errors.New("an RSA key with a bad exponent")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func (k *jwk) curve() elliptic.Curve {
	switch k.Curve {
	case "P-256":
		return elliptic.P256()
	case "P-384":
		return elliptic.P384()
	case "P-521":
		return elliptic.P521()
	}
	return nil
}

func (k *jwk) ecdsa() (crypto.PublicKey, error) {
	x, err := decodeNumber(k.X)
	if err != nil {
		return nil, err
	}
	y, err := decodeNumber(k.Y)
	if err != nil {
		return nil, err
	}
	size := (k.curve().Params().BitSize + 7) / 8
	if len(x) > size || len(y) > size {
		return nil, errors.New("an EC key is malformed")
	}
	point := make([]byte, 1+2*size)
	point[0] = 4
	copy(point[1+size-len(x):], x)
	copy(point[1+2*size-len(y):], y)
	key, err := ecdsa.ParseUncompressedPublicKey(k.curve(), point)
	if err != nil {
		return nil, errors.New("an EC key is not on its curve")
	}
	return key, nil
}

func decodeNumber(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil || len(b) == 0 || len(b) > rsaMaxBits/8+1 {
		return nil, errors.New("a number is malformed")
	}
	return b, nil
}

// maxCandidates bounds the signatures that are computed for a token that names no key.
const maxCandidates = 8

// candidates returns the keys that may have signed the token.
func (s *KeySet) candidates(t *token, a algorithm) []publicKey {
	var out []publicKey
	for _, k := range s.keys {
		if k.kind != a.kind || a.curve != "" && k.curve != a.curve || k.algorithm != "" && k.algorithm != t.algorithm {
			continue
		}
		if t.keyID != "" && k.id != t.keyID {
			continue
		}
		if out = append(out, k); len(out) == maxCandidates {
			break
		}
	}
	return out
}

// hasKey says whether there is a key with the id, of whatever kind.
func (s *KeySet) hasKey(id string) bool {
	for _, k := range s.keys {
		if k.id == id {
			return true
		}
	}
	return false
}
