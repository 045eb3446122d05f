package raftstore

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/segment"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/metadata/controller"
	"github.com/barnabas-broker/barnabas/protocol"
)

// request is one command on its way through the deciding goroutine.
type request struct {
	ctx context.Context
	// decide asks the controller. The result stays in the closure; err is for the whole
	// command. version is what the image's version will at least be with the records in it.
	decide func(c *controller.Controller, m *metadata.Image, version int64) ([]metadata.Record, error)
	err    error         // read after done is closed
	done   chan struct{} // closed when the command is over
}

func (r *request) finish(err error) {
	r.err = err
	close(r.done)
}

// run carries out one command.
func (s *Store) run(ctx context.Context, decide func(*controller.Controller, *metadata.Image, int64) ([]metadata.Record, error)) error {
	if ctx.Err() != nil {
		return protocol.ErrRequestTimedOut
	}
	r := &request{ctx: ctx, decide: decide, done: make(chan struct{})}
	select {
	case <-s.closing:
		return metadata.ErrClosed
	default:
	}
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return protocol.ErrRequestTimedOut
	case <-s.closing:
		return metadata.ErrClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return protocol.ErrRequestTimedOut
	case <-s.decided:
	}
	select {
	case <-r.done:
		return r.err
	default:
		return metadata.ErrClosed // it came behind drain
	}
}

const (
	maxBatchCommands = 256
	maxBatchRecords  = 20_000 // a batch takes no further command past this
	maxBatchBytes    = 8 << 20
	maxCommandBytes  = 32 << 20
	// maxEntryBytes is what raft-wal reads back, less room for what it adds. It writes more,
	// and the next start would fail.
	maxEntryBytes = segment.MaxEntrySize - 1<<20
)

var errTooLarge = &protocol.Error{Code: protocol.ErrPolicyViolation, Message: "The change is larger than the metadata log takes."}

// decide is the deciding goroutine.
func (s *Store) decide() {
	defer close(s.decided)
	defer s.drain()
	ticker := &alarm{timer: time.NewTimer(time.Hour)}
	ticker.timer.Stop()
	defer ticker.timer.Stop()
	nextBalance := time.Time{}
	for {
		ticker.arm(s.leading && len(s.Image().Brokers()) > 1)
		select {
		case <-s.closing:
			return
		case leader := <-s.raft.LeaderCh():
			s.leading = false
			if leader {
				s.activate()
				nextBalance = s.now().Add(s.opts.RebalanceInterval)
			}
		case r := <-s.requests:
			s.decideBatch(r)
		case <-ticker.timer.C:
			ticker.set = false
			balance := !s.now().Before(nextBalance)
			if balance {
				nextBalance = s.now().Add(s.opts.RebalanceInterval)
			}
			s.tick(balance)
		}
	}
}

func (s *Store) now() time.Time {
	if s.opts.Controller.Now != nil {
		return s.opts.Controller.Now()
	}
	return time.Now()
}

// alarm wakes the deciding goroutine every second, but only where there are brokers to look
// after: a node alone has nobody to wait for, and an idle one should sleep.
type alarm struct {
	timer *time.Timer
	set   bool
}

func (a *alarm) arm(wanted bool) {
	switch {
	case wanted && !a.set:
		a.timer.Reset(time.Second)
	case !wanted && a.set:
		a.timer.Stop()
	}
	a.set = wanted
}

// drain refuses what is still waiting when the store closes.
func (s *Store) drain() {
	for {
		select {
		case r := <-s.requests:
			r.finish(metadata.ErrClosed)
		default:
			return
		}
	}
}

// activate begins a reign, once all earlier entries are applied.
func (s *Store) activate() {
	if err := s.raft.Barrier(0).Error(); err != nil {
		return // no longer leader, or closing
	}
	if err := s.machine.err(); err != nil {
		s.start(err)
		return
	}
	image := s.Image()
	if image.ClusterID() != "" {
		if err := s.checkClusterID(image); err != nil {
			s.start(err)
			return
		}
	}
	records := []metadata.Record{&metadata.ControllerRecord{ID: s.opts.NodeID, Epoch: image.ControllerEpoch() + 1}}
	if image.ClusterID() == "" {
		id := s.opts.ClusterID
		if id == "" {
			id = s.newUUID().String()
		}
		records = append(records, &metadata.ClusterIDRecord{ClusterID: id})
		if s.opts.Initial != nil {
			initial, err := s.opts.Initial()
			if err != nil {
				s.start(err)
				return
			}
			records = append(records, initial...)
		}
	}
	draft := metadata.NewDraft(image)
	for _, r := range records {
		if err := draft.Apply(r); err != nil {
			s.start(err)
			return
		}
	}
	if err := s.propose(image, draft, records); err != nil {
		if s.isAlone() {
			s.start(err)
		}
		return
	}
	s.leading = true
	s.controller.Activate(s.Image())
	s.wg.Go(func() { // nobody needs to wait for the disk
		if err := s.noteLastIndex(); err != nil {
			s.opts.Logger.Warn("cannot note the end of the metadata log", "dir", s.opts.Dir, "err", err)
		}
	})
	s.start(nil)
}

func (s *Store) newUUID() protocol.UUID {
	if s.opts.Controller.NewUUID != nil {
		return s.opts.Controller.NewUUID()
	}
	return protocol.NewUUID()
}

// batch is commands decided one on top of the other, not yet proposed.
type batch struct {
	base *metadata.Image
	// head is base with all decided so far, except what is still in draft.
	head    *metadata.Image
	draft   *metadata.Draft // one command's records on top of head; nil without
	single  bool            // draft is on top of base
	count   int             // of records
	encoded []byte          // the records, one behind the other
	decided []*request
}

// decideBatch decides on first and on what else is waiting, and answers them together.
func (s *Store) decideBatch(first *request) {
	if !s.leading {
		first.finish(protocol.ErrNotController)
		return
	}
	if err := s.machine.err(); err != nil {
		first.finish(protocol.ErrUnknownServerError)
		return
	}
	image := s.Image()
	b := &batch{base: image, head: image, single: true, encoded: s.scratch[:0]}
	s.decideOne(b, first)
	for more := true; more && len(b.decided) < maxBatchCommands && b.count < maxBatchRecords && len(b.encoded) < maxBatchBytes; {
		select {
		case r := <-s.requests:
			s.decideOne(b, r)
		default:
			more = false
		}
	}
	var err error
	if b.count > 0 {
		draft := b.draft
		if !b.single {
			draft = nil
		}
		err = s.proposeEncoded(b.base, draft, b.count, b.encoded)
	}
	s.keepScratch(b.encoded)
	for _, r := range b.decided {
		if err != nil {
			r.err = err
		}
		r.finish(r.err)
	}
}

// decideOne adds one command to the batch, or answers it at once if its caller has gone.
func (s *Store) decideOne(b *batch, r *request) {
	if r.ctx.Err() != nil {
		r.finish(protocol.ErrRequestTimedOut)
		return
	}
	if b.draft != nil {
		b.head, _ = b.draft.Finish(b.head.Version())
		b.draft, b.single = nil, false
	}
	b.decided = append(b.decided, r)
	records, err := r.decide(s.controller, b.head, b.base.Version()+1)
	r.err = err
	if err != nil || len(records) == 0 {
		return
	}
	before := len(b.encoded)
	for _, record := range records {
		if b.encoded = metadata.AppendRecord(b.encoded, record); len(b.encoded)-before > maxCommandBytes {
			b.encoded = b.encoded[:before]
			r.err = errTooLarge
			return
		}
	}
	// What is proposed must apply, on every node and for ever: try it.
	draft := metadata.NewDraft(b.head)
	for _, record := range records {
		if err := draft.Apply(record); err != nil {
			s.opts.Logger.Error("A decision does not fit the metadata it was taken on", "err", err)
			b.encoded = b.encoded[:before]
			r.err = protocol.ErrUnknownServerError
			return
		}
	}
	b.draft = draft
	b.count += len(records)
}

// keepScratch keeps a buffer for the next records to be encoded, unless it has become large.
func (s *Store) keepScratch(buffer []byte) {
	if s.scratch = buffer; cap(buffer) > 1<<20 {
		s.scratch = nil
	}
}

// propose commits records decided on base and waits until they are applied. draft, if not nil, is
// base with exactly these records applied.
func (s *Store) propose(base *metadata.Image, draft *metadata.Draft, records []metadata.Record) error {
	encoded := s.scratch[:0]
	for _, r := range records {
		encoded = metadata.AppendRecord(encoded, r)
	}
	s.keepScratch(encoded)
	return s.proposeEncoded(base, draft, len(records), encoded)
}

// proposeEncoded is propose of count records that are encoded.
func (s *Store) proposeEncoded(base *metadata.Image, draft *metadata.Draft, count int, encoded []byte) error {
	s.request.sequence++
	e := entry{controllerEpoch: base.ControllerEpoch(), request: s.request}
	// Raft keeps the bytes, so they are not from a buffer that is used again.
	data := binary.AppendUvarint(e.appendHeader(make([]byte, 0, 64+len(encoded))), uint64(count))
	if data = append(data, encoded...); len(data) > maxEntryBytes {
		return errTooLarge
	}
	if draft != nil {
		s.machine.prepare(prepared{request: s.request, base: base, draft: draft})
	}
	future := s.raft.Apply(data, 0)
	if err := future.Error(); err != nil {
		return s.proposalError(err)
	}
	if err, ok := future.Response().(error); ok && err != nil {
		var code protocol.ErrorCode
		if errors.As(err, &code) {
			return code
		}
		return protocol.ErrUnknownServerError
	}
	return nil
}

// proposalError says what became of a proposal that Raft did not carry through.
func (s *Store) proposalError(err error) error {
	switch {
	case errors.Is(err, raft.ErrRaftShutdown):
		return metadata.ErrClosed
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		s.leading = false
		return protocol.ErrNotController // nothing happened
	case errors.Is(err, raft.ErrLeadershipLost):
		s.leading = false
		return protocol.ErrRequestTimedOut // it may have happened, or yet happen
	}
	s.opts.Logger.Error("The metadata log cannot be written", "err", err)
	return protocol.ErrUnknownServerError
}

// tick does what a controller does by itself.
func (s *Store) tick(balance bool) {
	if !s.leading || s.machine.err() != nil {
		return
	}
	for s.proposeOwn(s.controller.FenceStale(s.Image())) {
		// One at a time, until no session is over.
	}
	if !balance {
		return
	}
	records, _ := s.controller.ElectUnclean(s.Image())
	s.proposeOwn(records)
	if !s.opts.NoRebalance {
		records, _ = s.controller.BalanceLeaders(s.Image())
		s.proposeOwn(records)
	}
}

// proposeOwn proposes records that nobody asked for and says whether they were applied.
func (s *Store) proposeOwn(records []metadata.Record) bool {
	return len(records) > 0 && s.leading && s.propose(s.Image(), nil, records) == nil
}
