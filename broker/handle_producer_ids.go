package broker

import (
	"context"
	"sync"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producerIDs hands out producer ids from blocks that the store reserves for this broker.
type producerIDs struct {
	b *Broker

	mu   sync.Mutex
	next int64
	end  int64
}

func newProducerIDs(b *Broker) *producerIDs { return &producerIDs{b: b} }

// take returns an id that nobody has had.
func (p *producerIDs) take(ctx context.Context) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == p.end {
		block, err := p.b.store.AllocateProducerIDs(ctx, p.b.opts.NodeID, p.b.epoch)
		if err != nil {
			return -1, err
		}
		p.next, p.end = block.First, block.First+int64(block.Count)
	}
	id := p.next
	p.next++
	return id, nil
}

// handleInitProducerID, key 22, v0-v5 (KIP-98, KIP-360): a producer id. Needs
// IdempotentWrite on the cluster or Write on some topic; with a transactional id Write on
// that. There is no transaction coordinator yet: a transactional id is refused.
func (b *Broker) handleInitProducerID(r *request) {
	req := r.msg.(*kmsg.InitProducerIDRequest)
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	id, epoch, err := b.initProducerID(r, req)
	if err != nil {
		resp.ErrorCode = r.errorCode(err)
	} else {
		resp.ProducerID, resp.ProducerEpoch = id, epoch
	}
	r.reply(resp)
}

func (b *Broker) initProducerID(r *request, req *kmsg.InitProducerIDRequest) (int64, int16, error) {
	if req.TransactionalID != nil {
		if !b.authorize(r, acl.Write, acl.TransactionalID(*req.TransactionalID)) {
			return -1, -1, protocol.ErrTransactionalIDAuthorizationFailed
		}
		if *req.TransactionalID == "" {
			return -1, -1, protocol.ErrInvalidRequest
		}
		return -1, -1, protocol.ErrCoordinatorNotAvailable
	}
	if !b.isGranted(r, acl.IdempotentWrite, acl.Cluster()) && !b.isGrantedAny(r, acl.Write, acl.TopicResource) &&
		!b.authorize(r, acl.IdempotentWrite, acl.Cluster()) { // which tells of it
		return -1, -1, protocol.ErrClusterAuthorizationFailed
	}
	if (req.ProducerID == -1) != (req.ProducerEpoch == -1) {
		return -1, -1, protocol.ErrInvalidRequest
	}
	// An epoch to go on from is for transactional producers only; for others Apache hands
	// out a new id.
	id, err := b.producers.take(r.ctx())
	return id, 0, err
}
