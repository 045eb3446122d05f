package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/barnabas-broker/barnabas/protocol/schema"
)

// ErrUnknownAPI says that a request header carries an API key that Kafka does not have.
// Apache closes the connection.
var ErrUnknownAPI = errors.New("api key is unknown")

// RequestHeader is what stands before the body of every request.
type RequestHeader struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      []byte // a view into the frame; empty if null or absent
	BodyPos       int    // place in the frame at which the body begins
}

// ParseRequestHeader reads the header at the start of a frame (without the four bytes of
// its size). It knows the header version of every key: 0, without a client id, for
// ControlledShutdown v0; 2, with tagged fields, for flexible versions, those of which we
// have never heard included; 1 otherwise.
//
// It does not check that the version is one we serve: an ApiVersions request of any
// version gets an answer. After ErrUnknownAPI key, version and correlation id are set.
func ParseRequestHeader(frame []byte) (RequestHeader, error) {
	r := NewReader(frame)
	h := RequestHeader{Key: r.Int16(), Version: r.Int16(), CorrelationID: r.Int32()}
	if r.err != nil {
		return h, fmt.Errorf("request header: %w", r.err)
	}
	api := schema.Lookup(h.Key)
	if api == nil {
		return h, ErrUnknownAPI
	}
	headerVersion := api.RequestHeaderVersion(h.Version)
	if headerVersion >= 1 {
		h.ClientID = r.NullableString(false) // never compact, not even in header version 2
	}
	if headerVersion >= 2 {
		r.SkipTags()
	}
	if r.err != nil {
		return h, fmt.Errorf("header of %s v%d request: %w", api.Name, h.Version, r.err)
	}
	h.BodyPos = r.pos
	return h, nil
}

// AppendRequestHeader appends the header that ParseRequestHeader reads; an absent client id
// is written as the empty string. For our own requests to other brokers.
func AppendRequestHeader(dst []byte, h *RequestHeader) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Key))
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Version))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.CorrelationID))
	headerVersion := int16(1)
	if api := schema.Lookup(h.Key); api != nil {
		headerVersion = api.RequestHeaderVersion(h.Version)
	}
	if headerVersion >= 1 {
		dst = AppendString(dst, false, h.ClientID)
	}
	if headerVersion >= 2 {
		dst = append(dst, 0)
	}
	return dst
}

// AppendResponseHeader appends the header of a response to a request of that key and
// version: the correlation id, and an empty tag section if the version is flexible. The
// ApiVersions response never has one, so that a client can read it before it knows us.
func AppendResponseHeader(dst []byte, key, version int16, correlationID int32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if responseHeaderSize(key, version) > 4 {
		dst = append(dst, 0)
	}
	return dst
}

func responseHeaderSize(key, version int16) int {
	if api := schema.Lookup(key); api != nil && api.ResponseHeaderVersion(version) >= 1 {
		return 5
	}
	return 4
}
