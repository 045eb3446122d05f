package broker

import (
	"strconv"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/compress"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// telemetryCodecs are what clients may compress their metrics with, the best first.
var telemetryCodecs = []int8{compress.Zstd, compress.LZ4, compress.Gzip, compress.Snappy}

// clientAttributes says who sent r, as subscriptions select clients. Called by the
// connection's reading goroutine.
func (r *request) clientAttributes() clientAttributes {
	c := r.conn
	a := clientAttributes{
		connection: c.id, clientID: r.clientID, softwareName: c.softwareName, softwareVersion: c.softwareVersion,
		address: c.peer.Addr().String(), port: strconv.Itoa(int(c.peer.Port())),
	}
	if a.softwareName == "" {
		a.softwareName, a.softwareVersion = "unknown", "unknown"
	}
	return a
}

// handleGetTelemetrySubscriptions, key 71, v0 (KIP-714): what the client shall push, and
// how often. Needs nothing.
func (b *Broker) handleGetTelemetrySubscriptions(r *request) {
	req := r.msg.(*kmsg.GetTelemetrySubscriptionsRequest)
	resp := kmsg.NewPtrGetTelemetrySubscriptionsResponse()
	s, err := b.telemetry.get(protocol.UUID(req.ClientInstanceID), r.clientAttributes())
	if err != nil {
		resp.ErrorCode = r.errorCode(err)
		r.reply(resp)
		return
	}
	resp.ClientInstanceID, resp.SubscriptionID = s.clientInstanceID, s.id
	resp.AcceptedCompressionTypes = telemetryCodecs
	resp.PushIntervalMillis = int32(s.interval.Milliseconds())
	resp.TelemetryMaxBytes = int32(b.telemetry.maxBytes)
	resp.DeltaTemporality = true
	resp.RequestedMetrics = s.metrics
	r.reply(resp)
}

// handlePushTelemetry, key 72, v0 (KIP-714): metrics of a client. Needs nothing.
func (b *Broker) handlePushTelemetry(r *request) {
	req := r.msg.(*kmsg.PushTelemetryRequest)
	resp := kmsg.NewPtrPushTelemetryResponse()
	err := b.telemetry.push(telemetryPush{
		clientInstanceID: protocol.UUID(req.ClientInstanceID), subscriptionID: req.SubscriptionID,
		terminating: req.Terminating, codec: req.CompressionType, metrics: req.Metrics,
	}, r.clientAttributes())
	if err != nil {
		b.logger.Debug("metrics of a client refused", "clientId", r.clientID, "err", err)
	}
	resp.ErrorCode = r.errorCode(err)
	r.reply(resp)
}
