package broker

import (
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// telemetry is what clients push of themselves (KIP-714). Nothing here receives it yet,
// so the two APIs are not advertised, as on an Apache broker without a receiver.
type telemetry struct{ b *Broker }

func newTelemetry(b *Broker) *telemetry { return &telemetry{b} }

func (t *telemetry) enabled() bool { return false }

// handleGetTelemetrySubscriptions, key 71, v0 (KIP-714). Needs nothing.
func (b *Broker) handleGetTelemetrySubscriptions(r *request) {
	resp := kmsg.NewPtrGetTelemetrySubscriptionsResponse()
	resp.ErrorCode = int16(protocol.ErrUnsupportedVersion)
	r.reply(resp)
}

// handlePushTelemetry, key 72, v0 (KIP-714). Needs nothing.
func (b *Broker) handlePushTelemetry(r *request) {
	resp := kmsg.NewPtrPushTelemetryResponse()
	resp.ErrorCode = int16(protocol.ErrUnsupportedVersion)
	r.reply(resp)
}
