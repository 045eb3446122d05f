package auth

import (
	"container/list"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"sync"
)

// tokenCredentials bounds how many derived credentials TokenSecrets keeps.
const tokenCredentials = 10_000

// NewDelegationTokenID returns a random id, made as Apache makes its ids: a UUID in
// URL-safe base64, 22 characters.
func NewDelegationTokenID() string {
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// TokenSecrets derives what proves a delegation token from its id and
// delegation.token.secret.key, which all brokers share. It may be used by any number of
// goroutines.
type TokenSecrets struct {
	key Secret

	mu     sync.Mutex // never held while deriving
	byID   map[tokenCredentialKey]*list.Element
	recent *list.List // of tokenCredential, the latest used in front
}

type tokenCredentialKey struct {
	id   string
	hash ScramHash
}

type tokenCredential struct {
	key        tokenCredentialKey
	credential ScramCredential
}

// NewTokenSecrets takes the secret key.
func NewTokenSecrets(key Secret) *TokenSecrets {
	return &TokenSecrets{key: key, byID: make(map[tokenCredentialKey]*list.Element), recent: list.New()}
}

// HMAC returns the secret half of a token: HMAC-SHA-512 of its id.
func (t *TokenSecrets) HMAC(id string) []byte {
	mac := hmac.New(sha512.New, []byte(t.key.Reveal()))
	mac.Write([]byte(id))
	return mac.Sum(nil)
}

// Matches says in constant time whether mac is the HMAC of a token's id.
func (t *TokenSecrets) Matches(id string, mac []byte) bool { return hmac.Equal(t.HMAC(id), mac) }

// Credential returns the SCRAM credential of a token: that of the password base64(HMAC), at
// 4,096 iterations. Deriving one takes about a millisecond, so the results of the last
// 10,000 tokens are kept; ask only for ids that exist.
func (t *TokenSecrets) Credential(id string, h ScramHash) ScramCredential {
	key := tokenCredentialKey{id, h}
	t.mu.Lock()
	if e := t.byID[key]; e != nil {
		t.recent.MoveToFront(e)
		t.mu.Unlock()
		return e.Value.(*tokenCredential).credential
	}
	t.mu.Unlock()

	mac := t.HMAC(id)
	salting := hmac.New(sha512.New, mac)
	salting.Write([]byte("salt"))
	c := DeriveScram(h, base64.StdEncoding.EncodeToString(mac), scramSalt(salting.Sum(nil)), scramMinIterations)

	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[key] == nil {
		t.byID[key] = t.recent.PushFront(&tokenCredential{key, c})
		if t.recent.Len() > tokenCredentials {
			oldest := t.recent.Remove(t.recent.Back()).(*tokenCredential)
			delete(t.byID, oldest.key)
		}
	}
	return c
}

// Forget drops what is kept of a token that is no more.
func (t *TokenSecrets) Forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range []ScramHash{ScramSHA256, ScramSHA512} {
		if e := t.byID[tokenCredentialKey{id, h}]; e != nil {
			t.recent.Remove(e)
			delete(t.byID, tokenCredentialKey{id, h})
		}
	}
}

// DeriveScram makes the credential of a password. The password is taken as it is: Kafka's
// clients do not prepare it (RFC 4013) either.
func DeriveScram(h ScramHash, password string, salt []byte, iterations int32) ScramCredential {
	return ScramFromSalted(h, saltPassword(h, password, salt, iterations), salt, iterations)
}

func saltPassword(h ScramHash, password string, salt []byte, iterations int32) []byte {
	salted, err := pbkdf2.Key(h.new, password, salt, int(iterations), h.Size())
	if err != nil {
		panic("auth: " + err.Error()) // only for a length or a count that we do not ask for
	}
	return salted
}

// ScramFromSalted makes the credential from a salted password, as AlterUserScramCredentials
// carries it.
func ScramFromSalted(h ScramHash, salted, salt []byte, iterations int32) ScramCredential {
	return ScramCredential{
		Salt:       salt,
		StoredKey:  digestOf(h, macOf(h, salted, []byte("Client Key"))),
		ServerKey:  macOf(h, salted, []byte("Server Key")),
		Iterations: iterations,
	}
}
