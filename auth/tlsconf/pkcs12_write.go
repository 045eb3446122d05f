package tlsconf

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"unicode/utf16"
)

// pkcs12Iterations is what keytool and openssl use today.
const pkcs12Iterations = 10_000

var (
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidSHA256     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidAnyUsage   = asn1.ObjectIdentifier{2, 5, 29, 37, 0}
)

// PKCS12 returns the key with its chain as a key store that Java (8u301 and later) and
// OpenSSL 1.1 and later read: the key under AES-256, the certificates readable, all under a
// MAC with SHA-256.
func (p PEMPair) PKCS12(alias, password string) ([]byte, error) {
	content, err := parsePEM(p.Joined(), Passwords{})
	if err != nil {
		return nil, err
	}
	if len(content.keys) != 1 || len(content.certs) == 0 {
		return nil, errors.New("not one key with its certificates")
	}
	id := tlv(asn1.TagOctetString, sum(content.certs[0].Raw))
	attributes := tlv(setTag, bagAttributeOf(oidFriendlyName, bmpString(alias)), bagAttributeOf(oidLocalKeyID, id))
	shrouded, err := encryptPKCS8(content.keys[0], password)
	if err != nil {
		return nil, err
	}
	certs := []byte(nil)
	for i, c := range content.certs {
		if i == 0 {
			certs = append(certs, certBag(c.Raw, attributes)...)
		} else {
			certs = append(certs, certBag(c.Raw, nil)...)
		}
	}
	keys := tlv(sequenceTag, tlv(sequenceTag, oid(oidShroudedKeyBag), tlv(explicitTag, shrouded), attributes))
	return sealPKCS12(password, keys, tlv(sequenceTag, certs))
}

// TruststorePKCS12 returns certificates in PEM as a trust store for Java.
func TruststorePKCS12(certificates []byte, alias, password string) ([]byte, error) {
	content, err := parsePEM(certificates, Passwords{})
	if err != nil {
		return nil, err
	}
	if len(content.certs) != 1 || len(content.keys) != 0 {
		return nil, errors.New("not one certificate")
	}
	attributes := tlv(setTag, bagAttributeOf(oidFriendlyName, bmpString(alias)), bagAttributeOf(oidTrustedKeyUsage, oid(oidAnyUsage)))
	return sealPKCS12(password, tlv(sequenceTag, certBag(content.certs[0].Raw, attributes)))
}

// Tags of DER that are built up of parts.
const (
	sequenceTag = 0x30
	setTag      = 0x31
	explicitTag = 0xa0
)

// tlv writes one element of DER.
func tlv(tag byte, parts ...[]byte) []byte {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	b := []byte{tag}
	switch {
	case size < 0x80:
		b = append(b, byte(size))
	case size < 0x100:
		b = append(b, 0x81, byte(size))
	case size < 0x10000:
		b = append(b, 0x82, byte(size>>8), byte(size))
	default:
		b = append(b, 0x83, byte(size>>16), byte(size>>8), byte(size))
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func oid(id asn1.ObjectIdentifier) []byte {
	b, err := asn1.Marshal(id)
	if err != nil {
		panic("tlsconf: " + err.Error()) // all of them stand in this package
	}
	return b
}

func integer(n int) []byte {
	b, _ := asn1.Marshal(n)
	return b
}

// algorithm is an AlgorithmIdentifier.
func algorithm(id asn1.ObjectIdentifier, parameters []byte) []byte {
	return tlv(sequenceTag, oid(id), parameters)
}

func bagAttributeOf(id asn1.ObjectIdentifier, value []byte) []byte {
	return tlv(sequenceTag, oid(id), tlv(setTag, value))
}

func bmpString(s string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, unit)
	}
	return tlv(asn1.TagBMPString, b)
}

func certBag(raw, attributes []byte) []byte {
	value := tlv(sequenceTag, oid(oidX509Certificate), tlv(explicitTag, tlv(asn1.TagOctetString, raw)))
	return tlv(sequenceTag, oid(oidCertBag), tlv(explicitTag, value), attributes)
}

func sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:20]
}

// encryptPKCS8 is PBES2 with PBKDF2, HMAC-SHA-256 and AES-256 in CBC.
func encryptPKCS8(der []byte, password string) ([]byte, error) {
	salt, iv := make([]byte, 16), make([]byte, aes.BlockSize)
	rand.Read(salt)
	rand.Read(iv)
	key, err := pbkdf2.Key(sha256.New, password, salt, pkcs12Iterations, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	padding := aes.BlockSize - len(der)%aes.BlockSize
	data := append([]byte{}, der...)
	for range padding {
		data = append(data, byte(padding))
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	kdf := algorithm(oidPBKDF2, tlv(sequenceTag, tlv(asn1.TagOctetString, salt), integer(pkcs12Iterations), integer(32),
		algorithm(oidHMACSHA256, tlv(asn1.TagNull))))
	scheme := algorithm(oidAES256CBC, tlv(asn1.TagOctetString, iv))
	return tlv(sequenceTag, algorithm(oidPBES2, tlv(sequenceTag, kdf, scheme)), tlv(asn1.TagOctetString, data)), nil
}

// sealPKCS12 puts contents, each a sequence of bags, into a store with a MAC.
func sealPKCS12(password string, contents ...[]byte) ([]byte, error) {
	data := func(b []byte) []byte {
		return tlv(sequenceTag, oid(oidData), tlv(explicitTag, tlv(asn1.TagOctetString, b)))
	}
	var list []byte
	for _, c := range contents {
		list = append(list, data(c)...)
	}
	safe := tlv(sequenceTag, list)
	salt := make([]byte, 20)
	rand.Read(salt)
	key, err := pkcs12Derive(sha256.New, 3, password, salt, pkcs12Iterations, sha256.Size)
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, key)
	h.Write(safe)
	mac := tlv(sequenceTag, tlv(sequenceTag, algorithm(oidSHA256, tlv(asn1.TagNull)), tlv(asn1.TagOctetString, h.Sum(nil))),
		tlv(asn1.TagOctetString, salt), integer(pkcs12Iterations))
	return tlv(sequenceTag, integer(3), data(safe), mac), nil
}
