package broker

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// request is one request from its first byte to the last byte of its answer, and its
// place in the order of its connection. It is reused once its answer is on the wire.
//
// A handler calls exactly one of reply, replyEncoded, replyNothing or hangUp, at once or
// later, from any goroutine, and does not touch the request afterwards.
type request struct {
	conn     *conn
	api      *api
	session  *session // who asks, as of the moment the request was begun
	key      int16
	version  int16
	corrID   int32
	clientID string
	received time.Time
	throttle time.Duration // how long the connection is silenced after the answer

	// body is the request after its header. It lies in a buffer that is reused when the
	// handler returns: what is needed later must be copied, or taken with keepBody.
	body []byte
	msg  kmsg.Request // the decoded body, for APIs that kmsg decodes

	// The answer. encoded holds the frame with its size; the attachments stand in it at
	// their places and count into the size.
	encoded     []byte
	attachments []attachment
	scratch     []byte // bytes of attachments

	// onClose, if set, is called when the connection closes before the answer, with no
	// lock held; it runs at most once. Guarded by conn.mu.
	onClose func()

	uncounted bool // stands in the queue for bytes that are no request

	next     *request // in the connection's queue; guarded by conn.mu
	done     bool     // answered; guarded by conn.mu
	lost     bool     // never answered, see conn.abandon; guarded by conn.mu
	admitted int64    // bytes of memory this request holds; guarded by conn.mu once it is in the queue
}

// attachment is a run of bytes inside an answer that was not encoded into it: a region of
// a log file, or a part of the request's scratch buffer.
type attachment struct {
	at       int // place in encoded before which it goes
	region   log.Region
	from, to int // in scratch, if the region is empty
}

func (a *attachment) size() int { return int(a.region.Size()) + a.to - a.from }

var requests = sync.Pool{New: func() any { return new(request) }}

// ctx is the context of work done for the request: it ends with the broker.
func (r *request) ctx() context.Context { return r.conn.b.ctx }

// reply answers with resp, whose version is set here.
func (r *request) reply(resp kmsg.Response) {
	resp.SetVersion(r.version)
	r.setThrottle(resp)
	r.conn.b.auditEnd(r, resp)
	r.encoded = r.beginResponse(resp.IsFlexible())
	r.encoded = resp.AppendTo(r.encoded)
	r.replyEncoded()
}

// beginResponse returns the answer's buffer with room for the size and the response
// header written.
func (r *request) beginResponse(flexible bool) []byte {
	b := append(r.encoded[:0], 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(r.corrID))
	if flexible && r.key != int16(kmsg.ApiVersions) {
		b = append(b, 0) // no tagged fields
	}
	return b
}

// replyEncoded answers with r.encoded and r.attachments, begun with beginResponse.
func (r *request) replyEncoded() {
	size := len(r.encoded) - 4
	for i := range r.attachments {
		size += r.attachments[i].size()
	}
	binary.BigEndian.PutUint32(r.encoded, uint32(size))
	r.conn.complete(r)
}

// replyNothing ends a request that has no answer, a produce with acks=0.
func (r *request) replyNothing() {
	r.encoded = r.encoded[:0]
	r.conn.complete(r)
}

// hangUp ends the request by closing its connection, as Kafka does where no answer can
// carry the error.
func (r *request) hangUp(reason string) {
	r.encoded = r.encoded[:0]
	r.conn.logger().Warn("closing the connection", "api", r.apiName(), "version", r.version,
		"correlationId", r.corrID, "clientId", r.clientID, "reason", reason)
	r.conn.hangUpAfter(r)
}

func (r *request) apiName() string {
	if r.api != nil {
		return r.api.name
	}
	return protocol.APIName(r.key)
}

// errorCode is the code of err as this request's answer carries it.
func (r *request) errorCode(err error) int16 { return int16(codeOf(err)) }

// letGo drops the decoded message and returns the memory that r was admitted with, for the
// handler to release when it is done with the message: one that may wait long for other
// clients' requests must not keep these from being admitted.
func (r *request) letGo() (admitted int64) {
	r.conn.mu.Lock()
	defer r.conn.mu.Unlock()
	admitted, r.admitted, r.msg = r.admitted, 0, nil
	return admitted
}

// reset makes the request ready for its next use. Small answer buffers are kept.
func (r *request) reset() {
	encoded, scratch := r.encoded, r.scratch
	if cap(encoded) > 16<<10 {
		encoded = nil
	}
	if cap(scratch) > 64<<10 {
		scratch = nil
	}
	attachments := r.attachments[:0]
	clear(r.attachments)
	*r = request{encoded: encoded[:0], scratch: scratch[:0], attachments: attachments}
}
