package tlsconf

import (
	"crypto/sha1"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

const (
	jksMagic   = 0xfeedfeed
	jceksMagic = 0xcececece

	jksKeyEntry     = 1
	jksTrustedEntry = 2
)

// oidJavaKeyProtector names the encryption of keys in JKS.
var oidJavaKeyProtector = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 42, 2, 17, 1, 1}

var errTruncated = errors.New("the store ends too early")

// parseJKS reads Java's own format. All numbers are big-endian:
//
//	feedfeed | version 1 or 2 | count | entries | SHA-1
//
// where an entry is tag, alias, time, and for tag 1 a key with its chain, for tag 2 one
// trusted certificate. The SHA-1 is over the password, "Mighty Aphrodite" and all before
// it; without a password it is not checked, as in Java.
func parseJKS(data []byte, passwords Passwords) (*Store, error) {
	if err := checkJKS(data, passwords.Store.Reveal()); err != nil {
		return nil, err
	}
	r := &jksReader{rest: data[4 : len(data)-sha1.Size]}
	r.version = r.uint32()
	if r.version != 1 && r.version != 2 {
		return nil, fmt.Errorf("JKS version %d", r.version)
	}
	out := &Store{Format: JKS}
	for range r.uint32() {
		tag, alias := r.uint32(), r.text()
		r.bytes(8) // when it was made
		if r.err != nil {
			return nil, r.err
		}
		switch tag {
		case jksKeyEntry:
			sealed := r.bytes(int(r.uint32()))
			chain := r.chain()
			if r.err != nil {
				return nil, r.err
			}
			key, err := openJKSKey(sealed, passwords.key())
			if err != nil {
				return nil, fmt.Errorf("key %q: %w", alias, err)
			}
			out.addKey(alias, key, chain)
		case jksTrustedEntry:
			c := r.certificate()
			if r.err != nil {
				return nil, r.err
			}
			out.Trusted = append(out.Trusted, TrustedCertificate{alias, c})
		default:
			return nil, fmt.Errorf("entry of kind %d", tag)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(r.rest) > 0 {
		return nil, errors.New("there is something behind the last entry")
	}
	return out, nil
}

func checkJKS(data []byte, password string) error {
	if len(data) < 12+sha1.Size {
		return errTruncated
	}
	if password == "" {
		return nil
	}
	body, want := data[:len(data)-sha1.Size], data[len(data)-sha1.Size:]
	h := sha1.New()
	h.Write(utf16Password(password))
	h.Write([]byte("Mighty Aphrodite"))
	h.Write(body)
	if subtle.ConstantTimeCompare(h.Sum(nil), want) != 1 {
		return errPassword
	}
	return nil
}

// utf16Password is a password as Java's stores hash it: UTF-16, big-endian.
func utf16Password(password string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(password)) {
		b = binary.BigEndian.AppendUint16(b, u)
	}
	return b
}

// openJKSKey decrypts a key: the data is a salt, the key under a stream of chained SHA-1,
// and the SHA-1 of password and key.
func openJKSKey(sealed []byte, password string) ([]byte, error) {
	var info encryptedPrivateKeyInfo
	if rest, err := asn1.Unmarshal(sealed, &info); err != nil || len(rest) > 0 {
		return nil, errors.New("the key is malformed")
	}
	if !info.Algorithm.Algorithm.Equal(oidJavaKeyProtector) {
		return nil, fmt.Errorf("the key is encrypted by %v", info.Algorithm.Algorithm)
	}
	data := info.Data
	if len(data) < 2*sha1.Size {
		return nil, errors.New("the key is too short")
	}
	secret := utf16Password(password)
	salt, check := data[:sha1.Size], data[len(data)-sha1.Size:]
	key := append([]byte(nil), data[sha1.Size:len(data)-sha1.Size]...)
	block := salt
	for at := 0; at < len(key); at += sha1.Size {
		sum := sha1.Sum(append(secret[:len(secret):len(secret)], block...))
		block = sum[:]
		subtle.XORBytes(key[at:], key[at:], block[:min(sha1.Size, len(key)-at)])
	}
	if sum := sha1.Sum(append(secret[:len(secret):len(secret)], key...)); subtle.ConstantTimeCompare(sum[:], check) != 1 {
		return nil, errPassword
	}
	return key, nil
}

// jksReader reads a store piece by piece; its first error stays.
type jksReader struct {
	rest    []byte
	version uint32
	err     error
}

func (r *jksReader) bytes(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.rest) {
		if r.err == nil {
			r.err = errTruncated
		}
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *jksReader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *jksReader) text() string {
	b := r.bytes(2)
	if b == nil {
		return ""
	}
	return string(r.bytes(int(binary.BigEndian.Uint16(b))))
}

func (r *jksReader) certificate() *x509.Certificate {
	if r.version == 2 {
		if kind := r.text(); r.err == nil && kind != "X.509" {
			r.err = fmt.Errorf("a certificate of type %.40q", kind)
		}
	}
	der := r.bytes(int(r.uint32()))
	if r.err != nil {
		return nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		r.err = err
	}
	return c
}

func (r *jksReader) chain() []*x509.Certificate {
	var out []*x509.Certificate
	for range r.uint32() {
		c := r.certificate()
		if r.err != nil {
			return nil
		}
		out = append(out, c)
	}
	return out
}
