package auth

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	// hashedMaxIterations bounds what one login may cost, about half a second.
	hashedMaxIterations = 1_000_000
	hashedMinIterations = 10_000
	hashedSaltBytes     = 16
)

// hashedPassword is a password of which only a hash is written down:
//
//	{pbkdf2-sha512}<iterations>$<salt in base64>$<hash in base64>
//
// or {pbkdf2-sha256}. Kafka knows nothing of the kind: there the whole text is the password.
type hashedPassword struct {
	newHash    func() hash.Hash
	iterations int
	salt, hash []byte
	last       atomic.Pointer[[sha256.Size]byte] // digest of the password that was good, so that its next use is cheap
}

var passwordHashes = map[string]func() hash.Hash{"{pbkdf2-sha256}": sha256.New, "{pbkdf2-sha512}": sha512.New}

// HashPlainPassword returns what stands for a password in the option user_<name> of a
// PlainLoginModule, by PBKDF2 with SHA-512.
func HashPlainPassword(password string, iterations int) (string, error) {
	if iterations < hashedMinIterations || iterations > hashedMaxIterations {
		return "", fmt.Errorf("iterations are from %d to %d", hashedMinIterations, hashedMaxIterations)
	}
	salt := make([]byte, hashedSaltBytes)
	rand.Read(salt)
	sum, err := pbkdf2.Key(sha512.New, password, salt, iterations, sha512.Size)
	if err != nil {
		return "", err
	}
	enc := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("{pbkdf2-sha512}%d$%s$%s", iterations, enc(salt), enc(sum)), nil
}

// ParsePlainUsers is NewPlainUsers for tables that may hold hashed passwords. No error
// shows any part of a password.
func ParsePlainUsers(options map[string]string) (*PlainUsers, error) {
	u := NewPlainUsers(options)
	for user := range u.digests {
		text := options["user_"+user]
		kind, rest, ok := strings.Cut(text, "}")
		newHash := passwordHashes[kind+"}"]
		if !ok || newHash == nil {
			continue
		}
		h, err := parseHashedPassword(newHash, rest)
		if err != nil {
			return nil, fmt.Errorf("the password of user %q begins with %s}: %w", user, kind, err)
		}
		delete(u.digests, user)
		if u.hashed == nil {
			u.hashed = map[string]*hashedPassword{}
			u.slots = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
		}
		u.hashed[user] = h
		if u.costly == nil || h.iterations > u.costly.iterations {
			u.costly = &hashedPassword{newHash: h.newHash, iterations: h.iterations, salt: h.salt, hash: make([]byte, len(h.hash))}
			rand.Read(u.costly.hash)
		}
	}
	return u, nil
}

func parseHashedPassword(newHash func() hash.Hash, text string) (*hashedPassword, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 3 {
		return nil, errors.New("<iterations>$<salt>$<hash> does not follow")
	}
	iterations, err := strconv.Atoi(parts[0])
	if err != nil || iterations < hashedMinIterations || iterations > hashedMaxIterations {
		return nil, fmt.Errorf("iterations are from %d to %d", hashedMinIterations, hashedMaxIterations)
	}
	h := &hashedPassword{newHash: newHash, iterations: iterations}
	var err2 error
	h.salt, err = base64.StdEncoding.DecodeString(parts[1])
	h.hash, err2 = base64.StdEncoding.DecodeString(parts[2])
	if err != nil || err2 != nil || len(h.salt) < 8 || len(h.hash) < 16 || len(h.hash) > 1024 {
		return nil, errors.New("salt or hash is not base64, or too short")
	}
	return h, nil
}

// verifyHashed says whether the password, whose digest is got, has the hash. Few are
// computed at a time: strangers can ask for any number.
func (u *PlainUsers) verifyHashed(h *hashedPassword, got [sha256.Size]byte, password []byte) bool {
	if last := h.last.Load(); last != nil && subtle.ConstantTimeCompare(got[:], last[:]) == 1 {
		return true
	}
	u.slots <- struct{}{}
	sum, err := pbkdf2.Key(h.newHash, string(password), h.salt, h.iterations, len(h.hash))
	<-u.slots
	if err != nil || subtle.ConstantTimeCompare(sum, h.hash) != 1 {
		return false
	}
	h.last.Store(&got)
	return true
}
