package raftstore

import (
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// machine is the replicated state: the image, and which proposals went into it. Raft calls
// its methods from one goroutine.
type machine struct {
	publisher *metadata.Publisher
	logger    *slog.Logger

	// Used by Raft's goroutine alone.
	image    *metadata.Image // the newest; published, or about to be
	requests map[int32]requestID

	mu       sync.Mutex
	prepared prepared
	broken   error // why nothing can be applied any more
}

// prepared is what the decider expects the next entry to make of the image. If it is
// right, the entry need not be decoded and applied again.
type prepared struct {
	request requestID
	base    *metadata.Image
	draft   *metadata.Draft
}

func newMachine(logger *slog.Logger) *machine {
	image := metadata.EmptyImage()
	return &machine{publisher: metadata.NewPublisher(image), logger: logger, image: image, requests: map[int32]requestID{}}
}

// prepare leaves a draft for the entry of request.
func (m *machine) prepare(p prepared) {
	m.mu.Lock()
	m.prepared = p
	m.mu.Unlock()
}

func (m *machine) takePrepared() prepared {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.prepared
	m.prepared = prepared{}
	return p
}

// err returns why the machine stopped, nil while it runs.
func (m *machine) err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.broken
}

// Apply implements raft.FSM.
func (m *machine) Apply(log *raft.Log) any { return m.ApplyBatch([]*raft.Log{log})[0] }

// ApplyBatch implements raft.BatchingFSM. The responses are nil or an error; the whole batch
// becomes one image.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	responses := make([]any, len(logs))
	if err := m.err(); err != nil {
		for i := range responses {
			responses[i] = err
		}
		return responses
	}
	if m.applyPrepared(logs) {
		return responses
	}
	draft := metadata.NewDraft(m.image)
	version := m.image.Version()
	for i, log := range logs {
		if log.Type != raft.LogCommand {
			continue
		}
		applied, err := m.applyEntry(draft, log)
		if applied {
			version = int64(log.Index)
		}
		if err != nil {
			responses[i] = err
		}
		if m.err() != nil {
			for ; i < len(logs); i++ {
				responses[i] = m.err()
			}
			return responses // the draft is half an entry: nobody may see it
		}
	}
	if version != m.image.Version() {
		image, delta := draft.Finish(version)
		m.publish(delta, image)
	}
	return responses
}

// applyPrepared applies a single entry that the decider has worked out already.
func (m *machine) applyPrepared(logs []*raft.Log) bool {
	p := m.takePrepared()
	if len(logs) != 1 || logs[0].Type != raft.LogCommand || p.draft == nil || p.base != m.image {
		return false
	}
	e, _, err := parseEntryHeader(logs[0].Data)
	if err != nil || e.request != p.request || e.controllerEpoch != m.image.ControllerEpoch() {
		return false
	}
	m.requests[e.request.node] = e.request
	image, delta := p.draft.Finish(int64(logs[0].Index))
	m.publish(delta, image)
	return true
}

func (m *machine) publish(delta *metadata.Delta, image *metadata.Image) {
	m.image = image
	m.publisher.Publish(delta, image)
}

// applyEntry applies one entry to the draft, or refuses it without having touched it. If it
// cannot do either the machine is broken.
func (m *machine) applyEntry(draft *metadata.Draft, log *raft.Log) (applied bool, err error) {
	e, err := parseEntry(log.Data)
	if err != nil {
		return false, m.breaks(log.Index, err)
	}
	if last := m.requests[e.request.node]; last.incarnation == e.request.incarnation && last.sequence >= e.request.sequence {
		return false, nil // proposed twice, and applied the first time
	}
	if e.controllerEpoch != draft.ControllerEpoch() {
		return false, protocol.ErrNotController
	}
	for _, r := range e.records {
		if err := draft.Apply(r); err != nil {
			return false, m.breaks(log.Index, err)
		}
	}
	m.requests[e.request.node] = e.request
	return true, nil
}

// breaks stops the machine: an entry that every node must apply cannot be applied.
func (m *machine) breaks(index uint64, err error) error {
	err = fmt.Errorf("metadata entry %d: %w", index, err)
	m.mu.Lock()
	m.broken = err
	m.mu.Unlock()
	m.logger.Error("Metadata can no longer be applied", "index", index, "err", err)
	return err
}

// Snapshot implements raft.FSM. The image is immutable, so this copies nothing of it.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	if err := m.err(); err != nil {
		return nil, err
	}
	s := &snapshot{image: m.image}
	for _, r := range m.requests {
		s.requests = append(s.requests, r)
	}
	return s, nil
}

// Restore implements raft.FSM.
func (m *machine) Restore(src io.ReadCloser) error {
	defer src.Close()
	image, requests, err := readSnapshot(src)
	if err != nil {
		return fmt.Errorf("restore metadata snapshot: %w", err)
	}
	m.requests = requests
	delta := metadata.Diff(m.image, image)
	m.publish(delta, image)
	return nil
}
