package raftstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	wal "github.com/hashicorp/raft-wal"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

var testDirectory = protocol.UUID{1, 2, 3, 4, 5, 6, 7, 8, 9}

func testOptions(tb testing.TB, dir string) Options {
	return Options{Dir: dir, NodeID: 1, DirectoryID: testDirectory}
}

func open(tb testing.TB, opts Options) *Store {
	tb.Helper()
	s, err := Open(context.Background(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func register(tb testing.TB, s *Store) int64 {
	tb.Helper()
	epoch, err := s.RegisterBroker(context.Background(), metadata.BrokerRegistration{ID: s.opts.NodeID, Incarnation: protocol.NewUUID(),
		LogDirs: []protocol.UUID{testDirectory}, PreviousEpoch: -1})
	if err != nil {
		tb.Fatal(err)
	}
	return epoch
}

func create(tb testing.TB, s *Store, name string, partitions int32) metadata.CreateTopicResult {
	tb.Helper()
	out, err := s.CreateTopics(context.Background(), metadata.CreateTopics{Topics: []metadata.NewTopic{
		{Name: name, Partitions: partitions, ReplicationFactor: -1}}})
	if err != nil || out[0].Err != nil {
		tb.Fatal(err, out)
	}
	return out[0]
}

func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testOptions(t, dir))
	clusterID := s.Image().ClusterID()
	if _, err := protocol.ParseUUID(clusterID); err != nil {
		t.Errorf("cluster id %q: %v", clusterID, err)
	}
	register(t, s)
	id := create(t, s, "orders", 3).ID
	controllerEpoch := s.Image().ControllerEpoch()
	version := s.Image().Version()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, testOptions(t, dir))
	m := s.Image()
	if m.ClusterID() != clusterID || m.Topic("orders") == nil || m.Topic("orders").ID != id || len(m.TopicByID(id).Partitions) != 3 ||
		m.ControllerEpoch() != controllerEpoch+1 || m.Version() <= version || m.ControllerID() != 1 {
		t.Errorf("after the restart: cluster %s, %d topics, controller epoch %d, version %d", m.ClusterID(), m.TopicCount(), m.ControllerEpoch(), m.Version())
	}
}

func TestSnapshotTakesThePlaceOfTheLog(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testOptions(t, dir))
	register(t, s)
	for i := range 300 {
		create(t, s, fmt.Sprintf("topic-%d", i), 2)
	}
	if err := s.Raft().Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	create(t, s, "after", 1)
	s.Close()
	s = open(t, testOptions(t, dir))
	if m := s.Image(); m.TopicCount() != 301 || m.PartitionCount() != 601 || m.Topic("after") == nil || m.Topic("topic-7") == nil {
		t.Errorf("%d topics, %d partitions after the restart", m.TopicCount(), m.PartitionCount())
	}
}

func TestSomebodyElsesDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	opts := testOptions(t, dir)
	opts.ClusterID = "aaaaaaaaaaaaaaaaaaaaaA"
	open(t, opts).Close()
	for _, change := range []func(*Options){
		func(o *Options) { o.NodeID = 2 },
		func(o *Options) { o.ClusterID = "bbbbbbbbbbbbbbbbbbbbbA" },
	} {
		other := opts
		change(&other)
		s, err := Open(context.Background(), other)
		if err == nil {
			s.Close()
			t.Error("opened")
		} else if !strings.Contains(err.Error(), "belongs to") {
			t.Error(err)
		}
	}
	open(t, opts)
}

// The store knows its own name, whatever has become of the directories beside it. One of the
// first versions, which did not note it, is told it.
func TestTheStoreKnowsItsDirectoryID(t *testing.T) {
	opts := testOptions(t, t.TempDir())
	open(t, opts).Close()
	other := opts
	other.DirectoryID = protocol.NewUUID()
	s := open(t, other)
	if q := s.Quorum(); len(q.Voters) != 1 || q.Voters[0].DirectoryID != testDirectory || q.Voters[0].LogEndOffset < 0 {
		t.Errorf("%+v", q)
	}
	if err := s.log.Set(directoryIDKey, nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s, err := Open(context.Background(), other); err == nil {
		s.Close()
		t.Error("another directory's store was opened")
	} else if !strings.Contains(err.Error(), "belongs to") {
		t.Error(err)
	}
	open(t, opts).Close()
	open(t, other)
}

func TestCorruptStoreIsAnErrorNotAPanic(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testOptions(t, dir))
	register(t, s)
	for i := range 20 {
		create(t, s, fmt.Sprintf("topic-%d", i), 1)
	}
	if err := s.Raft().Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	s.Close()
	states, _ := filepath.Glob(filepath.Join(dir, "snapshots", "*", "state.bin"))
	if len(states) == 0 {
		t.Fatal("no snapshot")
	}
	for _, name := range states {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 0x40
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := Open(context.Background(), testOptions(t, dir)); err == nil {
		s.Close()
		t.Error("a corrupt snapshot was opened")
	} else {
		t.Log(err)
	}
	for _, name := range metaNames {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("nonsense"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := Open(context.Background(), testOptions(t, dir)); err == nil {
		s.Close()
		t.Error("a corrupt log was opened")
	} else {
		t.Log(err)
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		s := open(t, testOptions(t, t.TempDir()))
		register(t, s)
		s.Close()
		if _, err := s.CreateTopics(context.Background(), metadata.CreateTopics{}); err != metadata.ErrClosed {
			t.Errorf("command after Close: %v", err)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

func TestConcurrentCommandsShareEntries(t *testing.T) {
	s := open(t, testOptions(t, t.TempDir()))
	register(t, s)
	first := s.Image().Version()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			name := fmt.Sprintf("topic-%d", i)
			id := create(t, s, name, 1).ID
			if topic := s.Image().Topic(name); topic == nil || topic.ID != id || topic.Partitions[0].Leader != 1 {
				t.Errorf("%s is not to be read by who created it", name)
			}
		})
	}
	wg.Wait()
	if m := s.Image(); m.TopicCount() != 200 {
		t.Errorf("%d topics", m.TopicCount())
	} else {
		t.Logf("200 concurrent commands in %d entries", m.Version()-first)
	}
}

func BenchmarkOpen(b *testing.B) {
	b.Run("empty", func(b *testing.B) {
		for b.Loop() {
			dir := b.TempDir()
			s := open(b, testOptions(b, dir))
			b.StopTimer()
			s.Close()
			b.StartTimer()
		}
	})
	for _, topics := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("restart/topics=%d", topics), func(b *testing.B) {
			dir := b.TempDir()
			s := open(b, testOptions(b, dir))
			register(b, s)
			var wg sync.WaitGroup
			for w := range 64 {
				wg.Go(func() {
					for i := w; i < topics; i += 64 {
						create(b, s, fmt.Sprintf("topic-%d", i), 1)
					}
				})
			}
			wg.Wait()
			s.Close()
			for b.Loop() {
				s := open(b, testOptions(b, dir))
				b.StopTimer()
				s.Close()
				b.StartTimer()
			}
		})
	}
}

func BenchmarkCreateTopics(b *testing.B) {
	b.Run("one", func(b *testing.B) {
		s := open(b, testOptions(b, b.TempDir()))
		register(b, s)
		i := 0
		for b.Loop() {
			i++
			create(b, s, fmt.Sprintf("topic-%d", i), 1)
		}
	})
	b.Run("partitions=10000", func(b *testing.B) {
		s := open(b, testOptions(b, b.TempDir()))
		register(b, s)
		i := 0
		for b.Loop() {
			i++
			create(b, s, fmt.Sprintf("topic-%d", i), 10_000)
		}
	})
	b.Run("topics=10000", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			s := open(b, testOptions(b, b.TempDir()))
			register(b, s)
			cmd := metadata.CreateTopics{}
			for i := range 10_000 {
				cmd.Topics = append(cmd.Topics, metadata.NewTopic{Name: fmt.Sprintf("topic-%d", i), Partitions: 1, ReplicationFactor: -1})
			}
			b.StartTimer()
			if _, err := s.CreateTopics(context.Background(), cmd); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// raft.BootstrapCluster writes the term before the first entry: a kill in between left a store
// whose start waited for ever.
func TestAKillWhileTheStoreIsMade(t *testing.T) {
	for term, works := range map[uint64]bool{1: true, 7: false} {
		dir := t.TempDir()
		meta := &metaStore{}
		log, err := wal.Open(dir, wal.WithMetaStore(meta))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(log.SetUint64([]byte("CurrentTerm"), term), log.Close(), meta.Close()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		s, err := Open(ctx, testOptions(t, dir))
		if err == nil {
			register(t, s)
			create(t, s, "t", 1)
			s.Close()
			s = open(t, testOptions(t, dir))
			if s.Image().Topic("t") == nil {
				t.Error("a topic is forgotten")
			}
		}
		if (err == nil) != works || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("term %d: %v", term, err)
		}
	}
}

// Found by tests/torture: raft-wal takes a segment that is missing, or whose beginning is
// zeroed, for one that a crash kept from being written.
func TestALogThatHasBecomeShorterIsRefused(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"zeroed": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt(make([]byte, 4096), 0)
			return err
		},
	} {
		dir := t.TempDir()
		s := open(t, testOptions(t, dir))
		register(t, s)
		create(t, s, "kept", 1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		segments, err := filepath.Glob(filepath.Join(dir, "*.wal"))
		if err != nil || len(segments) != 1 {
			t.Fatal(segments, err)
		}
		if err := damage(segments[0]); err != nil {
			t.Fatal(err)
		}
		s, err = Open(context.Background(), testOptions(t, dir))
		if err == nil {
			if s.Image().Topic("kept") == nil {
				t.Errorf("%s: a store that has forgotten a topic is opened", name)
			}
			s.Close()
		} else if !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
