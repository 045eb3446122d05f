package broker

import (
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// handleAPIVersions, key 18, v0-v4 (KIP-35, KIP-511, KIP-584): what this broker serves. A
// version that we do not have is answered in the form of v0, with our own range, so that
// the client can come again. Needs nothing.
func (b *Broker) handleAPIVersions(r *request) {
	var resp protocol.APIVersionsResponse
	if !r.api.serves(r.version) {
		resp.ErrorCode = protocol.ErrUnsupportedVersion
		resp.APIs = []protocol.APIVersionRange{{Key: r.key, Min: r.api.min, Max: r.api.max}}
		r.encoded = resp.AppendFrame(r.encoded[:0], 0, r.corrID)
		r.replyEncoded()
		return
	}
	var req protocol.APIVersionsRequest
	if err := req.Decode(r.version, r.body); err != nil {
		r.hangUp(err.Error())
		return
	}
	image := b.store.Image()
	resp.FinalizedFeaturesEpoch = -1
	if r.version >= 3 && (!protocol.ValidSoftware(req.ClientSoftwareName) || !protocol.ValidSoftware(req.ClientSoftwareVersion)) {
		resp.ErrorCode = protocol.ErrInvalidRequest
	} else {
		if r.version >= 3 {
			r.conn.softwareName, r.conn.softwareVersion = string(req.ClientSoftwareName), string(req.ClientSoftwareVersion)
		}
		resp.APIs = make([]protocol.APIVersionRange, 0, len(b.table))
		for i := range b.table {
			a := &b.table[i]
			if a.key == protocol.KeyGetTelemetrySubscriptions || a.key == protocol.KeyPushTelemetry {
				if !b.telemetry.enabled() {
					continue
				}
			}
			resp.APIs = append(resp.APIs, protocol.APIVersionRange{Key: a.key, Min: a.min, Max: a.max})
		}
		for _, f := range SupportedFeatures() {
			resp.SupportedFeatures = append(resp.SupportedFeatures, protocol.SupportedFeature{Name: f.Name, Min: f.Min, Max: f.Max})
		}
		resp.FinalizedFeaturesEpoch = image.Version()
		for _, name := range image.Features() {
			level := image.Feature(name)
			resp.FinalizedFeatures = append(resp.FinalizedFeatures, protocol.FinalizedFeature{Name: name, Min: level, Max: level})
		}
	}
	r.encoded = resp.AppendFrame(r.encoded[:0], r.version, r.corrID)
	r.replyEncoded()
}

// SupportedFeatures are the features of Kafka that this broker implements, with levels.
// The levels of metadata.version are Apache's: 7 is 3.3-IV3, 25 is 4.0-IV3.
func SupportedFeatures() []metadata.FeatureRange {
	return []metadata.FeatureRange{{Name: "metadata.version", Min: 7, Max: 21}}
}

// handleSASLHandshake, key 17, v0-v1. What belongs to an authentication does not come here,
// see conn.pass; to the rest Kafka answers ILLEGAL_SASL_STATE and keeps the connection.
func (b *Broker) handleSASLHandshake(r *request) {
	var req protocol.SASLHandshakeRequest
	if err := req.Decode(r.version, r.body); err != nil {
		r.hangUp(err.Error())
		return
	}
	resp := protocol.SASLHandshakeResponse{ErrorCode: protocol.ErrIllegalSASLState}
	r.encoded = resp.AppendFrame(r.encoded[:0], r.version, r.corrID)
	r.replyEncoded()
}

// handleSASLAuthenticate, key 36, v0-v2; see handleSASLHandshake.
func (b *Broker) handleSASLAuthenticate(r *request) {
	var req protocol.SASLAuthenticateRequest
	if err := req.Decode(r.version, r.body); err != nil {
		r.hangUp(err.Error())
		return
	}
	resp := protocol.SASLAuthenticateResponse{
		ErrorCode:    protocol.ErrIllegalSASLState,
		ErrorMessage: "SaslAuthenticate request received after successful authentication",
	}
	r.encoded = resp.AppendFrame(r.encoded[:0], r.version, r.corrID)
	r.replyEncoded()
}
