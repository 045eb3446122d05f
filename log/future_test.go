package log

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// hookedFS calls a function before each file is opened.
type hookedFS struct {
	OS
	hook func(name string)
}

func (h hookedFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	h.hook(name)
	return h.OS.OpenFile(name, flag, perm)
}

// A flush goes by the names of files, which change when a future log takes the current one's
// place: it must not find them gone, and take the partition out of service for it.
func TestAFutureLogIsSwappedWhileItIsFlushed(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	var m *Manager
	var swap sync.Once
	swapped := make(chan error, 1)
	hook := func(name string) {
		if !strings.HasSuffix(name, LeaderEpochCheckpointName+".tmp") || !strings.Contains(name, futureSuffix) {
			return
		}
		swap.Do(func() {
			done := make(chan struct{})
			go func() {
				_, err := m.SwapFuture(testPartition, func(*Log) {})
				swapped <- err
				close(done)
			}()
			select { // it comes now, or waits for the flush
			case <-done:
			case <-time.After(100 * time.Millisecond):
			}
		})
	}
	m = testManager(t, "", func(o *ManagerOptions) { o.Dirs, o.FS = dirs, hookedFS{hook: hook} })
	l, err := m.Create(testPartition, protocol.UUID{1}, nil, dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, testBatch(t, 1, 100, 1))
	future, err := m.CreateFuture(testPartition, dirs[1])
	if err != nil {
		t.Fatal(err)
	}
	copyNext(t, l, future, 1<<20)
	if err := future.Flush(); err != nil {
		t.Error(err)
	}
	if err := <-swapped; err != nil {
		t.Error(err)
	}
	if err := future.Err(); err != nil || m.Get(testPartition) != future {
		t.Errorf("after the swap: %v", err)
	}
}

// A log is deleted whether or not the one that is to replace it can be.
func TestALogIsDeletedWhoseMoveGoesToADirectoryThatFailed(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	m := testManager(t, "", func(o *ManagerOptions) { o.Dirs = dirs })
	l, err := m.Create(testPartition, protocol.UUID{1}, nil, dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, testBatch(t, 1, 100, 1))
	if _, err := m.CreateFuture(testPartition, dirs[1]); err != nil {
		t.Fatal(err)
	}
	m.FailDir(dirs[1], errors.New("no such disk"))
	if err := m.Delete(testPartition); err != nil {
		t.Error(err)
	}
	l, err = m.Create(testPartition, protocol.UUID{2}, nil, dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	if l.LogEndOffset() != 0 || m.Future(testPartition) != nil {
		t.Errorf("the new log ends at %d", l.LogEndOffset())
	}
	if left, _ := filepath.Glob(filepath.Join(dirs[0], "t-0", "*.log")); len(left) > 0 {
		t.Errorf("the new log has the deleted one's files: %v", left)
	}
}

// copyNext copies what comes next of a log to the one that is to replace it.
func copyNext(t *testing.T, current, future *Log, maxBytes int) {
	t.Helper()
	data, err := current.Read(future.LogEndOffset(), maxBytes, UpToLogEnd, true)
	if err != nil {
		t.Fatal(err)
	}
	b, err := data.Region.AppendTo(nil)
	data.Region.Release()
	if err == nil {
		_, err = future.AppendAsFollower(b)
	}
	if err != nil {
		t.Fatal(err)
	}
}
