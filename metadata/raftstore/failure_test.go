package raftstore

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"

	"github.com/barnabas-broker/barnabas/metadata"
)

// failingFS is a disk that takes no more writes once it is broken.
type failingFS struct {
	types.VFS
	broken *atomic.Bool
	sync   bool // it breaks at fsync, after the write
}

type failingFile struct {
	types.WritableFile
	fs failingFS
}

var errDisk = errors.New("input/output error")

func (f failingFS) Create(dir, name string, size uint64) (types.WritableFile, error) {
	file, err := f.VFS.Create(dir, name, size)
	return failingFile{file, f}, err
}

func (f failingFS) OpenWriter(dir, name string) (types.WritableFile, error) {
	file, err := f.VFS.OpenWriter(dir, name)
	return failingFile{file, f}, err
}

func (f failingFile) WriteAt(b []byte, at int64) (int, error) {
	if f.fs.broken.Load() && !f.fs.sync {
		return 0, errDisk
	}
	return f.WritableFile.WriteAt(b, at)
}

func (f failingFile) Sync() error {
	if f.fs.broken.Load() {
		return errDisk
	}
	return f.WritableFile.Sync()
}

// A log that cannot be written is told of once, and the next start has what was there.
func TestFailedWriteIsToldOf(t *testing.T) {
	for name, atSync := range map[string]bool{"write": false, "fsync": true} {
		t.Run(name, func(t *testing.T) {
			disk := failingFS{fs.New(), new(atomic.Bool), atSync}
			dir := t.TempDir()
			opts := testOptions(t, dir)
			opts.FS = disk
			s := open(t, opts)
			register(t, s)
			create(t, s, "before", 1)
			select {
			case err := <-s.Failed():
				t.Fatal(err)
			default:
			}
			disk.broken.Store(true)
			out, err := s.CreateTopics(context.Background(), metadata.CreateTopics{Topics: []metadata.NewTopic{
				{Name: "lost", Partitions: 1, ReplicationFactor: -1}}})
			if err == nil && out[0].Err == nil {
				t.Fatal("a topic was made in a log that cannot be written")
			}
			if err := <-s.Failed(); !errors.Is(err, errDisk) || !strings.Contains(err.Error(), dir) {
				t.Errorf("told %v", err)
			}
			s.Close()
			s = open(t, testOptions(t, dir))
			if s.Image().Topic("before") == nil {
				t.Error("a topic is gone")
			}
			create(t, s, "after", 1)
		})
	}
}
