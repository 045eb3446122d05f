package protocol

import (
	"encoding/binary"
	"fmt"
)

// APIVersionsRequest, key 18, v0-v5 (KIP-511). It comes before authentication, hence a
// decoder of our own, which allocates nothing. The strings are views into the body.
type APIVersionsRequest struct {
	ClientSoftwareName    []byte // v3+
	ClientSoftwareVersion []byte // v3+
	ClusterID             []byte // v5+; nil if the client does not say which cluster it means
	NodeID                int32  // v5+; -1 if the client does not say which broker it means
}

// Decode reads a request body into r. A version above 5 is to be answered with
// UNSUPPORTED_VERSION in the form of v0 and its body left alone; Decode refuses it.
func (r *APIVersionsRequest) Decode(version int16, body []byte) error {
	*r = APIVersionsRequest{NodeID: -1}
	if version < 0 || version > 5 {
		return fmt.Errorf("decode ApiVersions v%d request: %w", version, ErrUnsupportedVersion)
	}
	if version < 3 {
		return nil
	}
	b := NewReader(body)
	r.ClientSoftwareName = b.String(true)
	r.ClientSoftwareVersion = b.String(true)
	if version >= 5 {
		r.ClusterID = b.NullableString(true)
		r.NodeID = b.Int32()
	}
	b.SkipTags()
	if b.err != nil {
		at := b.at
		*r = APIVersionsRequest{NodeID: -1}
		return fmt.Errorf("decode ApiVersions v%d request at byte %d: %w", version, at, b.err)
	}
	return nil
}

// ValidSoftware says whether a client software name or version is of the form Apache
// asks for from v3 on: letters and digits, in between also dots and dashes. Others get
// INVALID_REQUEST.
func ValidSoftware(s []byte) bool {
	for i, c := range s {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case (c == '.' || c == '-') && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return len(s) > 0
}

// APIVersionsResponse, key 18, v0-v4.
type APIVersionsResponse struct {
	ErrorCode              ErrorCode
	APIs                   []APIVersionRange
	ThrottleMs             int32              // v1+
	SupportedFeatures      []SupportedFeature // v3+, tagged
	FinalizedFeaturesEpoch int64              // v3+, tagged, -1 if unknown
	FinalizedFeatures      []FinalizedFeature // v3+, tagged
	ZKMigrationReady       bool               // v3+, tagged
}

// APIVersionRange is the range of versions served of one API.
type APIVersionRange struct{ Key, Min, Max int16 }

// SupportedFeature is a range of feature levels that this broker supports. Below v4 a
// feature with a minimum of 0 is not sent, old clients fail on it.
type SupportedFeature struct {
	Name     string
	Min, Max int16
}

// FinalizedFeature is a feature level in force in the whole cluster. Level 0 is not sent.
type FinalizedFeature struct {
	Name     string
	Min, Max int16 // Apache sends the level in both
}

// AppendFrame appends the whole answer: frame size, response header, body.
func (r *APIVersionsResponse) AppendFrame(dst []byte, version int16, correlationID int32) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = AppendResponseHeader(dst, KeyAPIVersions, version, correlationID)
	dst = r.AppendTo(dst, version)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// AppendTo appends the body.
func (r *APIVersionsResponse) AppendTo(dst []byte, version int16) []byte {
	be := binary.BigEndian
	flexible := version >= 3
	dst = be.AppendUint16(dst, uint16(r.ErrorCode))
	dst = AppendArrayLength(dst, flexible, len(r.APIs))
	for _, a := range r.APIs {
		dst = be.AppendUint16(dst, uint16(a.Key))
		dst = be.AppendUint16(dst, uint16(a.Min))
		dst = be.AppendUint16(dst, uint16(a.Max))
		if flexible {
			dst = append(dst, 0)
		}
	}
	if version >= 1 {
		dst = be.AppendUint32(dst, uint32(r.ThrottleMs))
	}
	if flexible {
		dst = r.appendTags(dst, version)
	}
	return dst
}

func (r *APIVersionsResponse) appendTags(dst []byte, version int16) []byte {
	be := binary.BigEndian
	count := len(dst)
	dst = append(dst, 0)
	begin := func(tag byte) { dst[count]++; dst = append(dst, tag) }

	supported, supportedSize := 0, 0
	sent := func(f *SupportedFeature) bool { return version >= 4 || f.Min != 0 }
	for i := range r.SupportedFeatures {
		if f := &r.SupportedFeatures[i]; sent(f) {
			supported++
			supportedSize += stringSize(true, len(f.Name)) + 2 + 2 + 1
		}
	}
	if supported > 0 {
		begin(0)
		dst = AppendUvarint(dst, uint32(lengthSize(true, supported)+supportedSize))
		dst = AppendArrayLength(dst, true, supported)
		for i := range r.SupportedFeatures {
			if f := &r.SupportedFeatures[i]; sent(f) {
				dst = appendFeature(dst, f.Name, f.Min, f.Max)
			}
		}
	}
	if r.FinalizedFeaturesEpoch != -1 {
		begin(1)
		dst = append(dst, 8)
		dst = be.AppendUint64(dst, uint64(r.FinalizedFeaturesEpoch))
	}
	finalized, finalizedSize := 0, 0
	for _, f := range r.FinalizedFeatures {
		if f.Max != 0 {
			finalized++
			finalizedSize += stringSize(true, len(f.Name)) + 2 + 2 + 1
		}
	}
	if finalized > 0 {
		begin(2)
		dst = AppendUvarint(dst, uint32(lengthSize(true, finalized)+finalizedSize))
		dst = AppendArrayLength(dst, true, finalized)
		for _, f := range r.FinalizedFeatures {
			if f.Max != 0 {
				dst = appendFeature(dst, f.Name, f.Max, f.Min)
			}
		}
	}
	if r.ZKMigrationReady {
		begin(3)
		dst = append(dst, 1, 1)
	}
	return dst
}

func appendFeature(dst []byte, name string, a, b int16) []byte {
	dst = AppendString(dst, true, name)
	dst = binary.BigEndian.AppendUint16(dst, uint16(a))
	dst = binary.BigEndian.AppendUint16(dst, uint16(b))
	return append(dst, 0)
}
