package protocol

import (
	"encoding/binary"
	"fmt"
)

// SASLHandshakeRequest, key 17, v0-v1 (KIP-12, KIP-152). After v0 the tokens follow as bare
// frames, after v1 in SASLAuthenticateRequests. It comes before authentication, hence a
// decoder of our own, which allocates nothing; the string is a view into the body.
type SASLHandshakeRequest struct {
	Mechanism []byte
}

// Decode reads a request body into r.
func (r *SASLHandshakeRequest) Decode(version int16, body []byte) error {
	*r = SASLHandshakeRequest{}
	if version < 0 || version > 1 {
		return fmt.Errorf("decode SaslHandshake v%d request: %w", version, ErrUnsupportedVersion)
	}
	b := NewReader(body)
	if r.Mechanism = b.String(false); b.err != nil {
		return fmt.Errorf("decode SaslHandshake v%d request at byte %d: %w", version, b.at, b.err)
	}
	return nil
}

// SASLHandshakeResponse, key 17, v0-v1.
type SASLHandshakeResponse struct {
	ErrorCode  ErrorCode
	Mechanisms []string // those enabled on the listener
}

// AppendFrame appends the whole answer: frame size, response header, body.
func (r *SASLHandshakeResponse) AppendFrame(dst []byte, version int16, correlationID int32) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = AppendResponseHeader(dst, KeySASLHandshake, version, correlationID)
	dst = r.AppendTo(dst, version)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// AppendTo appends the body, which is the same in both versions.
func (r *SASLHandshakeResponse) AppendTo(dst []byte, version int16) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.ErrorCode))
	dst = AppendArrayLength(dst, false, len(r.Mechanisms))
	for _, m := range r.Mechanisms {
		dst = AppendString(dst, false, m)
	}
	return dst
}

// SASLAuthenticateRequest, key 36, v0-v2 (KIP-152, KIP-368). Before authentication, like
// SASLHandshakeRequest; the token is a view into the body.
type SASLAuthenticateRequest struct {
	AuthBytes []byte
}

// Decode reads a request body into r.
func (r *SASLAuthenticateRequest) Decode(version int16, body []byte) error {
	*r = SASLAuthenticateRequest{}
	if version < 0 || version > 2 {
		return fmt.Errorf("decode SaslAuthenticate v%d request: %w", version, ErrUnsupportedVersion)
	}
	b := NewReader(body)
	r.AuthBytes = b.Bytes(version >= 2)
	if version >= 2 {
		b.SkipTags()
	}
	if b.err != nil {
		r.AuthBytes = nil
		return fmt.Errorf("decode SaslAuthenticate v%d request at byte %d: %w", version, b.at, b.err)
	}
	return nil
}

// SASLAuthenticateResponse, key 36, v0-v2.
type SASLAuthenticateResponse struct {
	ErrorCode         ErrorCode
	ErrorMessage      string // never null: Kafka sends "" with a success
	AuthBytes         []byte // never null: nil is sent as empty
	SessionLifetimeMs int64  // v1+, 0 for no limit
}

// AppendFrame appends the whole answer: frame size, response header, body.
func (r *SASLAuthenticateResponse) AppendFrame(dst []byte, version int16, correlationID int32) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = AppendResponseHeader(dst, KeySASLAuthenticate, version, correlationID)
	dst = r.AppendTo(dst, version)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// AppendTo appends the body.
func (r *SASLAuthenticateResponse) AppendTo(dst []byte, version int16) []byte {
	flexible := version >= 2
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.ErrorCode))
	dst = AppendString(dst, flexible, r.ErrorMessage)
	dst = AppendBytesLength(dst, flexible, len(r.AuthBytes))
	dst = append(dst, r.AuthBytes...)
	if version >= 1 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(r.SessionLifetimeMs))
	}
	if flexible {
		dst = append(dst, 0)
	}
	return dst
}
