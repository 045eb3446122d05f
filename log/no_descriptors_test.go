package log

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/barnabas-broker/barnabas/protocol"
)

// fullTableFS has no descriptor left while full is set.
type fullTableFS struct {
	OS
	full *atomic.Bool
}

func (f fullTableFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if f.full.Load() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: unix.EMFILE}
	}
	return f.OS.OpenFile(name, flag, perm)
}

// That descriptors have run out, as when there are very many connections, is no fault of a
// disk: a read fails and nothing else.
func TestAReadWithoutADescriptorTakesNothingOffline(t *testing.T) {
	dir, full := t.TempDir(), new(atomic.Bool)
	open := func() *Manager {
		return testManager(t, dir, func(o *ManagerOptions) { o.FS = fullTableFS{full: full} })
	}
	m := open()
	l := testLog(t, m, configWith(func(c *Config) { c.SegmentSize = 300 }))
	for range 6 {
		mustAppend(t, l, testBatch(t, 1, 100, 1000))
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	m = open()
	l = m.Get(testPartition)
	full.Store(true)
	if _, err := l.Read(0, 100, UpToLogEnd, true); !errors.Is(err, protocol.ErrKafkaStorageError) {
		t.Errorf("a read: %v", err)
	}
	if _, err := l.OffsetForTimestamp(1000, UpToLogEnd); !errors.Is(err, protocol.ErrKafkaStorageError) {
		t.Errorf("a search: %v", err)
	}
	full.Store(false)
	data, err := l.Read(0, 100, UpToLogEnd, true)
	data.Region.Release()
	if err != nil || l.Err() != nil || m.Dirs()[0].Err != nil {
		t.Errorf("afterwards: %v, %v, %v", err, l.Err(), m.Dirs()[0].Err)
	}
}
