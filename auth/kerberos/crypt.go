package kerberos

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Key usage numbers (RFC 4120 §7.5.1, RFC 4121 §2).
const (
	usageTicket        = 2
	usageAuthenticator = 11
	usageAPRep         = 12
	usageAcceptorSeal  = 22
	usageInitiatorSeal = 24
)

// decrypt checks and decrypts. gokrb5 slices without looking at lengths and works in
// place: hence the check, and the copy.
func decrypt(ciphertext []byte, key types.EncryptionKey, usage uint32) ([]byte, error) {
	etype, err := crypto.GetEtype(key.KeyType)
	if err != nil {
		return nil, err
	}
	if len(ciphertext) < etype.GetConfounderByteSize()+etype.GetHMACBitLength()/8 {
		return nil, fmt.Errorf("%d bytes are too few to be encrypted with type %d", len(ciphertext), key.KeyType)
	}
	return crypto.DecryptMessage(bytes.Clone(ciphertext), key, usage)
}

// sessionKey refuses keys of types that per-message tokens of RFC 4121 do not have, and of
// lengths that their type does not have.
func sessionKey(key types.EncryptionKey) error {
	if size, ok := keySizes[key.KeyType]; !ok || size != len(key.KeyValue) {
		return fmt.Errorf("a session key of type %d with %d bytes", key.KeyType, len(key.KeyValue))
	}
	return nil
}

const (
	wrapHeaderSize = 16

	wrapSentByAcceptor = 0x01
	wrapSealed         = 0x02
	wrapAcceptorSubkey = 0x04
)

// wrap makes the per-message token of RFC 4121 §4.2.6.2 around a payload, checked but not
// encrypted:
//
//	05 04 | flags | ff | checksum length | rotation 0 | sequence number | payload | checksum
//
// The checksum is over payload and header, with checksum length and rotation zero.
func wrap(payload []byte, key types.EncryptionKey, sequence uint64) ([]byte, error) {
	token := binary.BigEndian.AppendUint64([]byte{5, 4, wrapSentByAcceptor, 0xff, 0, 0, 0, 0}, sequence)
	sum, err := wrapChecksum(payload, token, key, usageAcceptorSeal)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(token[4:], uint16(len(sum)))
	return append(append(token, payload...), sum...), nil
}

func wrapChecksum(payload, header []byte, key types.EncryptionKey, usage uint32) ([]byte, error) {
	etype, err := crypto.GetEtype(key.KeyType)
	if err != nil {
		return nil, err
	}
	checked := append(bytes.Clone(payload), header[:wrapHeaderSize]...)
	clear(checked[len(payload)+4 : len(payload)+8])
	return etype.GetChecksumHash(key.KeyValue, checked, usage)
}

// unwrap takes an initiator's per-message token apart, encrypted or not. The sequence
// number is not looked at: not all clients send the one that they announced, and a token
// is good for its session key only.
func unwrap(token []byte, key types.EncryptionKey) ([]byte, error) {
	if len(token) < wrapHeaderSize || token[0] != 5 || token[1] != 4 || token[3] != 0xff {
		return nil, errors.New("no per-message token of RFC 4121")
	}
	flags := token[2]
	switch {
	case flags&wrapSentByAcceptor != 0:
		return nil, errors.New("the token says it is from an acceptor")
	case flags&wrapAcceptorSubkey != 0:
		return nil, errors.New("the token is under an acceptor's key, and there is none")
	case flags&^wrapSealed != 0:
		return nil, fmt.Errorf("unknown flags %#x", flags)
	}
	extra := int(binary.BigEndian.Uint16(token[4:]))
	body := rotateBack(token[wrapHeaderSize:], int(binary.BigEndian.Uint16(token[6:])))
	if flags&wrapSealed != 0 {
		return unseal(token[:wrapHeaderSize], body, extra, key)
	}
	if extra > len(body) {
		return nil, errors.New("the checksum is longer than the token")
	}
	payload := body[:len(body)-extra]
	sum, err := wrapChecksum(payload, token, key, usageInitiatorSeal)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(sum, body[len(payload):]) {
		return nil, errors.New("the checksum is wrong")
	}
	return payload, nil
}

// unseal decrypts the body of a token, which holds payload, filler, and the header again.
func unseal(header, body []byte, filler int, key types.EncryptionKey) ([]byte, error) {
	plain, err := decrypt(body, key, usageInitiatorSeal)
	if err != nil {
		return nil, err
	}
	if len(plain) < filler+wrapHeaderSize {
		return nil, errors.New("the filler is longer than the token")
	}
	inner := plain[len(plain)-wrapHeaderSize:]
	outer := bytes.Clone(header)
	clear(outer[6:8]) // the rotation came after
	clear(inner[6:8])
	if !bytes.Equal(inner, outer) {
		return nil, errors.New("the header is not the one that was encrypted")
	}
	return plain[:len(plain)-wrapHeaderSize-filler], nil
}

// rotateBack undoes a rotation to the right by count bytes.
func rotateBack(b []byte, count int) []byte {
	if len(b) == 0 {
		return nil
	}
	count %= len(b)
	return append(bytes.Clone(b[count:]), b[:count]...)
}
