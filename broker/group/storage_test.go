package group

import (
	"context"
	"sync"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
)

// memoryStorage keeps the partitions of __consumer_offsets as batches in memory.
type memoryStorage struct {
	mu         sync.Mutex
	count      int32
	partitions map[int32][][]byte
	appends    int
	fail       error // of every append
	hold       bool  // appends are done when release is called
	held       []func()
	loadGate   chan struct{} // loads wait for it if set
	maxBytes   int           // larger batches are refused; 0 is no bound
}

func newMemoryStorage(count int32) *memoryStorage {
	return &memoryStorage{count: count, partitions: make(map[int32][][]byte)}
}

func (m *memoryStorage) PartitionCount() int32 { return m.count }

func (m *memoryStorage) MaxBatchBytes(int32) int {
	if m.maxBytes == 0 {
		return 1<<20 + 12
	}
	return m.maxBytes
}

func (m *memoryStorage) Append(w Write, done func(error)) {
	m.mu.Lock()
	m.appends++
	if m.fail != nil {
		err := m.fail
		m.mu.Unlock()
		done(err)
		return
	}
	if m.maxBytes > 0 && len(w.Batch) > m.maxBytes {
		m.mu.Unlock()
		done(protocol.ErrMessageTooLarge)
		return
	}
	m.appendLocked(w.Partition, w.Batch)
	if m.hold {
		m.held = append(m.held, func() { done(nil) })
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	done(nil)
}

func (m *memoryStorage) appendLocked(partition int32, batch []byte) {
	m.partitions[partition] = append(m.partitions[partition], append([]byte(nil), batch...))
}

func (m *memoryStorage) release() {
	m.mu.Lock()
	held := m.held
	m.held = nil
	m.mu.Unlock()
	for _, f := range held {
		f()
	}
}

func (m *memoryStorage) Load(ctx context.Context, partition int32, fn func([]byte) error) error {
	if m.loadGate != nil {
		select {
		case <-m.loadGate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.mu.Lock()
	batches := m.partitions[partition]
	m.mu.Unlock()
	for _, b := range batches {
		if err := fn(b); err != nil {
			return err
		}
	}
	return nil
}

// records returns all records of a partition, checked.
func (m *memoryStorage) records(t *testing.T, partition int32) []protocol.Record {
	t.Helper()
	var all []protocol.Record
	for _, b := range m.partitions[partition] {
		if err := protocol.CheckBatchCRC(b); err != nil {
			t.Fatal(err)
		}
		records, err := protocol.ReadRecords(b)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, records...)
	}
	return all
}
