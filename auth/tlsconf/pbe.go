package tlsconf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"math/big"
)

// maxIterations is what Java allows for the derivation of a key, too.
const maxIterations = 5_000_000

// errPassword cannot tell a wrong password from a damaged store.
var errPassword = errors.New("the password is wrong, or the store is damaged")

// encryptedPrivateKeyInfo is that of PKCS#8 (RFC 5958).
type encryptedPrivateKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBMAC1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}

	oidPBE3DES3Key = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	oidPBE3DES2Key = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 4}
	oidPBERC2128   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 5}
	oidPBERC240    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 6}
)

// blockCipher is one of the ciphers that PBES2 may name.
type blockCipher struct {
	oid     asn1.ObjectIdentifier
	keySize int
	new     func(key []byte) (cipher.Block, error)
}

var blockCiphers = []blockCipher{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, 16, aes.NewCipher},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, 24, aes.NewCipher},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 32, aes.NewCipher},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, 24, des.NewTripleDESCipher},
}

// hashes are those of digests, and of HMACs under other numbers.
var hashes = []struct {
	digest, mac asn1.ObjectIdentifier
	new         func() hash.Hash
}{
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}, sha1.New},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 8}, sha256.New224},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}, sha256.New},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}, sha512.New384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}, sha512.New},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 5}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 12}, sha512.New512_224},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 6}, asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 13}, sha512.New512_256},
}

func macHash(oid asn1.ObjectIdentifier) func() hash.Hash {
	for _, h := range hashes {
		if h.mac.Equal(oid) {
			return h.new
		}
	}
	return nil
}

func digestHash(oid asn1.ObjectIdentifier) func() hash.Hash {
	for _, h := range hashes {
		if h.digest.Equal(oid) {
			return h.new
		}
	}
	return nil
}

// decryptPBE decrypts what a password encrypts: PBES2 of PKCS#5 (RFC 8018), or one of the
// schemes of PKCS#12 (RFC 7292).
func decryptPBE(algorithm pkix.AlgorithmIdentifier, data []byte, password string) ([]byte, error) {
	oid := algorithm.Algorithm
	switch {
	case oid.Equal(oidPBES2):
		return decryptPBES2(algorithm.Parameters.FullBytes, data, password)
	case oid.Equal(oidPBE3DES3Key):
		return decryptPKCS12(algorithm.Parameters.FullBytes, data, password, 24, des.NewTripleDESCipher)
	case oid.Equal(oidPBE3DES2Key):
		return decryptPKCS12(algorithm.Parameters.FullBytes, data, password, 16, func(key []byte) (cipher.Block, error) {
			return des.NewTripleDESCipher(append(key, key[:8]...))
		})
	case oid.Equal(oidPBERC2128):
		return decryptPKCS12(algorithm.Parameters.FullBytes, data, password, 16, newRC2)
	case oid.Equal(oidPBERC240):
		return decryptPKCS12(algorithm.Parameters.FullBytes, data, password, 5, newRC2)
	}
	return nil, fmt.Errorf("encryption %v is not supported", oid)
}

func decryptPBES2(parameters, data []byte, password string) ([]byte, error) {
	var p struct{ KDF, Scheme pkix.AlgorithmIdentifier }
	if rest, err := asn1.Unmarshal(parameters, &p); err != nil || len(rest) > 0 {
		return nil, errors.New("the parameters of PBES2 are malformed")
	}
	for _, c := range blockCiphers {
		if !c.oid.Equal(p.Scheme.Algorithm) {
			continue
		}
		var iv []byte
		if rest, err := asn1.Unmarshal(p.Scheme.Parameters.FullBytes, &iv); err != nil || len(rest) > 0 {
			return nil, errors.New("the initialization vector is malformed")
		}
		key, err := derivePBKDF2(p.KDF, password, c.keySize)
		if err != nil {
			return nil, err
		}
		return decryptCBC(c.new, key, iv, data)
	}
	return nil, fmt.Errorf("encryption %v is not supported", p.Scheme.Algorithm)
}

// derivePBKDF2 derives a key of size bytes, or of the size that the parameters ask for if
// size is 0.
func derivePBKDF2(kdf pkix.AlgorithmIdentifier, password string, size int) ([]byte, error) {
	if !kdf.Algorithm.Equal(oidPBKDF2) {
		return nil, fmt.Errorf("key derivation %v is not supported; PBKDF2 is", kdf.Algorithm)
	}
	var p struct {
		Salt       []byte
		Iterations int
		KeySize    int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	if rest, err := asn1.Unmarshal(kdf.Parameters.FullBytes, &p); err != nil || len(rest) > 0 {
		return nil, errors.New("the parameters of PBKDF2 are malformed")
	}
	prf := sha1.New
	if len(p.PRF.Algorithm) > 0 {
		if prf = macHash(p.PRF.Algorithm); prf == nil {
			return nil, fmt.Errorf("PBKDF2 with %v is not supported", p.PRF.Algorithm)
		}
	}
	if size == 0 {
		size = p.KeySize
	}
	if p.Iterations < 1 || p.Iterations > maxIterations || size < 1 || size > 1024 || p.KeySize != 0 && p.KeySize != size {
		return nil, errors.New("PBKDF2 asks for too much, or for nothing")
	}
	return pbkdf2.Key(prf, password, p.Salt, p.Iterations, size)
}

// pkcs12Parameters are those of the schemes of PKCS#12.
type pkcs12Parameters struct {
	Salt       []byte
	Iterations int
}

func decryptPKCS12(parameters, data []byte, password string, keySize int, newCipher func([]byte) (cipher.Block, error)) ([]byte, error) {
	var p pkcs12Parameters
	if rest, err := asn1.Unmarshal(parameters, &p); err != nil || len(rest) > 0 {
		return nil, errors.New("the parameters of the encryption are malformed")
	}
	key, err := pkcs12Derive(sha1.New, 1, password, p.Salt, p.Iterations, keySize)
	if err != nil {
		return nil, err
	}
	iv, err := pkcs12Derive(sha1.New, 2, password, p.Salt, p.Iterations, 8)
	if err != nil {
		return nil, err
	}
	return decryptCBC(newCipher, key, iv, data)
}

// decryptCBC decrypts and takes the padding off. Wrong padding is what a wrong password
// looks like.
func decryptCBC(newCipher func([]byte) (cipher.Block, error), key, iv, data []byte) ([]byte, error) {
	block, err := newCipher(key)
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errors.New("the encrypted data is malformed")
	}
	plain := bytes.Clone(data)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, plain)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > size || !bytes.HasSuffix(plain, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errPassword
	}
	return plain[:len(plain)-pad], nil
}

// pkcs12Derive is the key derivation of RFC 7292, appendix B.2; id 1 is for keys, 2 for
// initialization vectors, 3 for MACs.
func pkcs12Derive(newHash func() hash.Hash, id byte, password string, salt []byte, iterations, size int) ([]byte, error) {
	if iterations < 1 || iterations > maxIterations || len(salt) > 4096 {
		return nil, errors.New("the key derivation asks for too much, or for nothing")
	}
	h := newHash()
	v, u := h.BlockSize(), h.Size()
	fill := func(b []byte) []byte {
		if len(b) == 0 {
			return nil
		}
		n := v * ((len(b) + v - 1) / v)
		return bytes.Repeat(b, n/len(b)+1)[:n]
	}
	d := bytes.Repeat([]byte{id}, v)
	in := append(fill(salt), fill(append(utf16Password(password), 0, 0))...)
	var out []byte
	for {
		h.Reset()
		h.Write(d)
		h.Write(in)
		a := h.Sum(nil)
		for range iterations - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		out = append(out, a...)
		if len(out) >= size {
			return out[:size], nil
		}
		b := new(big.Int).SetBytes(bytes.Repeat(a, v/u+1)[:v])
		b.Add(b, big.NewInt(1))
		limit := new(big.Int).Lsh(big.NewInt(1), uint(8*v))
		for at := 0; at < len(in); at += v {
			piece := new(big.Int).SetBytes(in[at : at+v])
			piece.Add(piece, b)
			piece.Mod(piece, limit)
			piece.FillBytes(in[at : at+v])
		}
	}
}

// checkMAC says whether mac is that of data under the password.
func checkMAC(newHash func() hash.Hash, key, data, mac []byte) error {
	h := hmac.New(newHash, key)
	h.Write(data)
	if subtle.ConstantTimeCompare(h.Sum(nil), mac) != 1 {
		return errPassword
	}
	return nil
}
