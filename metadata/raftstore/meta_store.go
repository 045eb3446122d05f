package raftstore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/hashicorp/raft-wal/types"
)

// metaStore keeps what raft-wal and Raft must remember beside the log: its segments, the term,
// the vote. It is two small files that are written in turn, each whole and with one fsync:
//
//	magic       4 bytes "BRMS"
//	generation  uint64, one higher with every write
//	size        uint32, bytes of the payload
//	crc         uint32, CRC-32C of generation, size and payload
//	payload     JSON
//
// A write that a crash cut short leaves the other file, the state before. raft-wal's own
// choice, a bolt database, takes two fsyncs for each change and is left open by its Close.
type metaStore struct {
	mu         sync.Mutex
	files      [2]*os.File
	generation uint64
	content    metaContent
}

type metaContent struct {
	State  types.PersistentState
	Stable map[string][]byte // by key; JSON has the values in base64
}

const (
	metaMagic      = "BRMS"
	metaHeaderSize = 20
	maxMetaBytes   = 16 << 20 // a larger payload is corrupt
)

var metaNames = [2]string{"meta.0", "meta.1"}

// Load implements types.MetaStore.
func (s *metaStore) Load(dir string) (types.PersistentState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content.Stable = map[string][]byte{}
	fresh := true
	for i, name := range metaNames {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return types.PersistentState{}, err
		}
		s.files[i] = f
		if i == 0 {
			if err := lockFile(f); err != nil {
				return types.PersistentState{}, fmt.Errorf("another process or store has it open: %w", err)
			}
		}
		info, err := f.Stat()
		if err != nil {
			return types.PersistentState{}, err
		}
		fresh = fresh && info.Size() == 0
		content, generation, err := readMeta(f)
		if err == nil && generation > s.generation {
			s.content, s.generation = content, generation
		}
	}
	if s.generation > 0 {
		err := s.mendTailLocked(dir)
		return s.content.State, err
	}
	if !fresh {
		// Nothing can be read. That is a crash at the very first write, unless there is a log.
		if segments, err := filepath.Glob(filepath.Join(dir, "*.wal")); err != nil || len(segments) > 0 {
			return types.PersistentState{}, fmt.Errorf("%w: neither %s nor %s can be read", types.ErrCorrupt, metaNames[0], metaNames[1])
		}
	}
	return s.content.State, syncDir(dir)
}

// mendTailLocked makes the state one that raft-wal can go on with, see mendTail.
func (s *metaStore) mendTailLocked(dir string) error {
	noted := uint64(0)
	if b := s.content.Stable[string(lastIndexKey)]; len(b) == 8 {
		noted = binary.BigEndian.Uint64(b)
	}
	state, changed, err := mendTail(dir, s.content.State, noted)
	if err != nil || !changed {
		return err
	}
	return s.writeLocked(metaContent{State: state, Stable: s.content.Stable})
}

func readMeta(f io.ReaderAt) (content metaContent, generation uint64, err error) {
	var head [metaHeaderSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return content, 0, err
	}
	size := binary.BigEndian.Uint32(head[12:])
	if string(head[:4]) != metaMagic || size > maxMetaBytes {
		return content, 0, types.ErrCorrupt
	}
	payload, err := io.ReadAll(io.NewSectionReader(f, metaHeaderSize, int64(size)))
	if err != nil || len(payload) != int(size) || metaCRC(&head, payload) != binary.BigEndian.Uint32(head[16:]) {
		return content, 0, types.ErrCorrupt
	}
	if err := json.Unmarshal(payload, &content); err != nil {
		return content, 0, err
	}
	if content.Stable == nil {
		content.Stable = map[string][]byte{}
	}
	return content, binary.BigEndian.Uint64(head[4:]), nil
}

func metaCRC(head *[metaHeaderSize]byte, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[4:16], castagnoli), castagnoli, payload)
}

// writeLocked makes content durable, then the store's.
func (s *metaStore) writeLocked(content metaContent) error {
	payload, err := json.Marshal(content)
	if err != nil {
		return err
	}
	if len(payload) > maxMetaBytes {
		return fmt.Errorf("state of the metadata log has %d bytes", len(payload))
	}
	generation := s.generation + 1
	var head [metaHeaderSize]byte
	copy(head[:], metaMagic)
	binary.BigEndian.PutUint64(head[4:], generation)
	binary.BigEndian.PutUint32(head[12:], uint32(len(payload)))
	binary.BigEndian.PutUint32(head[16:], metaCRC(&head, payload))
	f := s.files[generation%2]
	if f == nil {
		return os.ErrClosed
	}
	if _, err := f.WriteAt(append(head[:], payload...), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	s.content, s.generation = content, generation
	return nil
}

// CommitState implements types.MetaStore.
func (s *metaStore) CommitState(state types.PersistentState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writeLocked(metaContent{State: state, Stable: s.content.Stable})
}

// GetStable implements types.MetaStore.
func (s *metaStore) GetStable(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content.Stable[string(key)], nil
}

// SetStable implements types.MetaStore.
func (s *metaStore) SetStable(key, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stable := maps.Clone(s.content.Stable)
	if value == nil {
		delete(stable, string(key))
	} else {
		stable[string(key)] = append([]byte{}, value...)
	}
	return s.writeLocked(metaContent{State: s.content.State, Stable: stable})
}

// Close implements io.Closer.
func (s *metaStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for i, f := range s.files {
		if f != nil {
			errs = append(errs, f.Close())
			s.files[i] = nil
		}
	}
	return errors.Join(errs...)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
