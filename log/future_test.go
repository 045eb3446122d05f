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

// heldFS lets the syncs of segments in one directory wait until told.
type heldFS struct {
	OS
	dir   string
	held  chan struct{} // a value for each sync that waits
	letGo chan struct{} // closed to let all go on
}

type heldFile struct {
	File
	fs heldFS
}

func (h heldFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := h.OS.OpenFile(name, flag, perm)
	if err == nil && strings.HasPrefix(name, h.dir+"/") && strings.HasSuffix(name, logSuffix) {
		f = heldFile{f, h}
	}
	return f, err
}

func (f heldFile) Sync() error {
	f.fs.held <- struct{}{}
	<-f.fs.letGo
	return f.File.Sync()
}

// Who waits for the disk of a log that is moved to another directory then waits for that one's:
// the records are there.
func TestWaitersForTheDiskGoAlongWithAMove(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	held := heldFS{dir: dirs[0], held: make(chan struct{}, 10), letGo: make(chan struct{})}
	m := testManager(t, "", func(o *ManagerOptions) { o.Dirs, o.FS, o.NoBackground = dirs, held, false })
	var once sync.Once
	defer once.Do(func() { close(held.letGo) })
	l, err := m.Create(testPartition, protocol.UUID{1}, configWith(func(c *Config) { c.DurableAcks = true }), dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan error, 10)
	answered := func(err error) { answers <- err }
	for range 3 {
		l.WaitDurable(mustAppend(t, l, testBatch(t, 1, 100, 1)).LastOffset+1, answered)
	}
	<-held.held
	future, err := m.CreateFuture(testPartition, dirs[1])
	if err != nil {
		t.Fatal(err)
	}
	copyNext(t, l, future, 1<<20)
	if _, err := m.SwapFuture(testPartition, func(*Log) {
		l.WaitDurable(3, answered) // by one who does not know yet
	}); err != nil {
		t.Fatal(err)
	}
	l.WaitDurable(3, answered)
	for range 5 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if future.DurableOffset() != 3 {
		t.Errorf("answered with the disk having all below %d", future.DurableOffset())
	}
	once.Do(func() { close(held.letGo) })
}

// What the current log calls durable while it is replaced would be gone with it.
func TestWhatIsDurableIsSoAfterAMove(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	m := testManager(t, "", func(o *ManagerOptions) { o.Dirs = dirs })
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
	l.WaitDurable(1, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
	if _, err := m.SwapFuture(testPartition, func(*Log) {
		if err := l.Flush(); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if future.DurableOffset() != 1 {
		t.Errorf("durable below %d after the move, it was below 1 before", future.DurableOffset())
	}
}

// A flush goes by the names of files. A topic made anew must not get its predecessor's.
func TestALogIsDeletedAndMadeAnewWhileItIsFlushed(t *testing.T) {
	var m *Manager
	var once sync.Once
	anew := make(chan error, 1)
	hook := func(name string) {
		if !strings.HasSuffix(name, LeaderEpochCheckpointName+".tmp") {
			return
		}
		once.Do(func() {
			done := make(chan struct{})
			go func() {
				defer close(done)
				err := m.Delete(testPartition)
				if err == nil {
					_, err = m.Create(testPartition, protocol.UUID{2}, nil, "")
				}
				anew <- err
			}()
			select { // it comes now, or waits for the flush
			case <-done:
			case <-time.After(100 * time.Millisecond):
			}
		})
	}
	m = testManager(t, t.TempDir(), func(o *ManagerOptions) { o.FS = hookedFS{hook: hook} })
	l := testLog(t, m, nil)
	if _, err := l.Append(testBatch(t, 1, 100, 1), AppendOptions{RequestVersion: 9, LeaderEpoch: 7}); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(); err != nil && err != ErrClosed {
		t.Error(err)
	}
	if err := <-anew; err != nil {
		t.Fatal(err)
	}
	if epoch := m.Get(testPartition).LatestEpoch(); epoch != -1 {
		t.Errorf("the new topic has leader epoch %d, its predecessor's", epoch)
	}
}
