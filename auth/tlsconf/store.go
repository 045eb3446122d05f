package tlsconf

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/auth"
)

// storeMaxBytes is far above any store; a system's whole set of CAs takes 200 KiB.
const storeMaxBytes = 16 << 20

// Format is the format of a store.
type Format string

// The formats, as ssl.keystore.type names them.
const (
	JKS    Format = "JKS"
	PKCS12 Format = "PKCS12"
	PEM    Format = "PEM"
)

// Passwords open a store.
type Passwords struct {
	Store auth.Secret
	Key   auth.Secret // of the keys in it; empty: as the store's
}

func (p Passwords) key() string {
	if p.Key.IsEmpty() {
		return p.Store.Reveal()
	}
	return p.Key.Reveal()
}

// Store is a key store, a trust store, or both.
type Store struct {
	Format  Format
	Keys    []KeyEntry // ordered by alias
	Trusted []TrustedCertificate
	// Skipped says what was in the store and cannot be used.
	Skipped []string
}

// KeyEntry is a private key with its certificates, the key's own first.
type KeyEntry struct {
	Alias string
	Key   crypto.Signer
	Chain []*x509.Certificate
}

// TrustedCertificate is a certificate that others are judged by.
type TrustedCertificate struct {
	Alias       string
	Certificate *x509.Certificate
}

// ReadStore returns the bytes of a store in a file, for ParseStore.
func ReadStore(path string) ([]byte, error) { return auth.ReadFile(path, storeMaxBytes) }

// ParseStore reads a store, recognised by its first bytes.
func ParseStore(data []byte, passwords Passwords) (*Store, error) {
	var s *Store
	var err error
	switch {
	case len(data) > storeMaxBytes:
		return nil, fmt.Errorf("a store of %d bytes", len(data))
	case len(data) >= 4 && binary.BigEndian.Uint32(data) == jksMagic:
		s, err = parseJKS(data, passwords)
	case len(data) >= 4 && binary.BigEndian.Uint32(data) == jceksMagic:
		return nil, errors.New("JCEKS is not supported; convert it with keytool -importkeystore -deststoretype PKCS12")
	case len(data) > 0 && data[0] == 0x30:
		s, err = parsePKCS12(data, passwords)
	case bytes.Contains(data, []byte("-----BEGIN")):
		s, err = pemStore(data, passwords)
	default:
		return nil, errors.New("neither JKS nor PKCS#12 nor PEM")
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(s.Keys, func(a, b KeyEntry) int { return strings.Compare(a.Alias, b.Alias) })
	return s, nil
}

// addKey adds a key if it can be used, and says why if it cannot.
func (s *Store) addKey(alias string, der []byte, chain []*x509.Certificate) {
	key, err := parsePrivateKey(der)
	switch {
	case err != nil:
		s.Skipped = append(s.Skipped, fmt.Sprintf("key %q: %v", alias, err))
	case len(chain) == 0:
		s.Skipped = append(s.Skipped, fmt.Sprintf("key %q has no certificate", alias))
	case !samePublicKey(key, chain[0]):
		s.Skipped = append(s.Skipped, fmt.Sprintf("key %q does not belong to its certificate", alias))
	default:
		s.Keys = append(s.Keys, KeyEntry{alias, key, chain})
	}
}
