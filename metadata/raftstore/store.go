package raftstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/metadata/controller"
	"github.com/barnabas-broker/barnabas/protocol"
)

// Store is metadata.Store on a Raft log.
type Store struct {
	// Constant after Open.
	opts    Options
	raft    *raft.Raft
	log     *wal.WAL
	meta    *metaStore // of log, which does not close it
	machine *machine
	ready   chan struct{} // closed when the image can be served, or startErr says why it cannot
	closing chan struct{}
	decided chan struct{} // closed when nothing is decided any more
	failed  chan error    // holds the first failed write of the log
	// requests is what the deciding goroutine takes commands from. When it is full, callers
	// wait until their context is over.
	requests chan *request

	startErr  error // read after ready is closed
	startOnce sync.Once
	closeOnce sync.Once
	closeErr  error
	wg        sync.WaitGroup

	// Used by the deciding goroutine alone.
	controller *controller.Controller
	request    requestID // of the last proposal
	leading    bool
	scratch    []byte
}

var _ metadata.Store = (*Store)(nil)

// Open opens the store in opts.Dir, a new one if there is none, and returns when its image
// can be served: alone, when all that was ever committed is applied and this node decides; with
// other voters, when there is a cluster.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts.setDefaults()
	if opts.Dir == "" {
		return nil, errors.New("open metadata store: no directory given")
	}
	s := &Store{
		opts:       opts,
		machine:    newMachine(opts.Logger),
		ready:      make(chan struct{}),
		closing:    make(chan struct{}),
		decided:    make(chan struct{}),
		failed:     make(chan error, 1),
		requests:   make(chan *request, 256),
		controller: controller.New(opts.Controller),
		request:    requestID{node: opts.NodeID, incarnation: rand.Uint64()},
	}
	if err := s.openRaft(); err != nil {
		return nil, fmt.Errorf("open metadata store %s: %w", opts.Dir, err)
	}
	cancelWatch := s.machine.publisher.Subscribe(s.watchForCluster)
	s.wg.Go(s.decide)
	var err error
	select {
	case <-s.ready:
		err = s.startErr
	case <-ctx.Done():
		err = ctx.Err()
	}
	cancelWatch()
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("open metadata store %s: %w", opts.Dir, err)
	}
	return s, nil
}

// serverID is this node's name in Raft.
func (s *Store) serverID() raft.ServerID {
	return raft.ServerID(strconv.Itoa(int(s.opts.NodeID)) + "-" + s.opts.DirectoryID.String())
}

// isAlone says whether this node is the whole quorum.
func (s *Store) isAlone() bool { return s.opts.Transport == nil }

func (s *Store) openRaft() (err error) {
	if err := os.MkdirAll(s.opts.Dir, 0o755); err != nil {
		return err
	}
	logger := &raftLogger{logger: s.opts.Logger, name: "raft", quiet: s.isAlone()}
	s.meta = &metaStore{}
	s.log, err = wal.Open(s.opts.Dir, wal.WithMetaStore(s.meta), wal.WithSegmentSize(s.opts.SegmentBytes), wal.WithLogger(logger),
		wal.WithSegmentFiler(segment.NewFiler(s.opts.Dir, s.opts.FS)))
	if err != nil {
		return errors.Join(err, s.meta.Close())
	}
	defer func() {
		if err != nil {
			s.log.Close()
			s.meta.Close()
		}
	}()
	if err := s.checkLastIndex(); err != nil {
		return err
	}
	named, err := s.readDirectoryID()
	if err != nil {
		return err
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(s.opts.Dir, 2, logger)
	if err != nil {
		return err
	}
	transport := s.opts.Transport
	if transport == nil {
		_, transport = raft.NewInmemTransport(raft.ServerAddress("local"))
	}
	config := s.raftConfig(logger)
	existing, err := raft.HasExistingState(s.log, s.log, snapshots)
	if err != nil {
		return err
	}
	if existing && s.isAlone() && !s.opts.Join {
		if existing, err = s.isBootstrapped(snapshots); err != nil {
			return err
		}
	}
	if !existing && !s.opts.Join {
		voters := s.opts.Voters
		if voters == nil {
			voters = []raft.Server{{Suffrage: raft.Voter, ID: config.LocalID, Address: transport.LocalAddr()}}
		}
		if err := raft.BootstrapCluster(config, s.log, s.log, snapshots, transport, raft.Configuration{Servers: voters}); err != nil {
			return err
		}
	}
	s.raft, err = raft.NewRaft(config, s.machine, watchedLog{s.log, s.fail}, s.log, snapshots, transport)
	if err != nil {
		return err
	}
	if err := s.checkMembership(config.LocalID); err != nil {
		s.raft.Shutdown().Error()
		return err
	}
	if !named {
		if err := s.log.Set(directoryIDKey, s.opts.DirectoryID[:]); err != nil {
			s.raft.Shutdown().Error()
			return err
		}
	}
	if s.isAlone() {
		// Nobody else can be leader, so there is nothing to wait for: a shorter timeout
		// makes a follower look at once whether it still hears a leader.
		reload := s.raft.ReloadableConfig()
		reload.HeartbeatTimeout = s.opts.HeartbeatTimeout
		return s.raft.ReloadConfig(reload)
	}
	return nil
}

// isBootstrapped says whether there is more than what raft.BootstrapCluster writes first, the
// first term. Where a crash left it with that alone it is taken back, for nothing had begun.
func (s *Store) isBootstrapped(snapshots raft.SnapshotStore) (bool, error) {
	currentTerm := []byte("CurrentTerm") // Raft's key
	last, err := s.log.LastIndex()
	if err != nil || last > 0 {
		return true, err
	}
	if list, err := snapshots.List(); err != nil || len(list) > 0 {
		return true, err
	}
	if noted, err := s.log.Get(lastIndexKey); err != nil || noted != nil {
		return true, err
	}
	if term, err := s.log.GetUint64(currentTerm); err != nil || term != 1 {
		return true, err
	}
	return false, s.log.SetUint64(currentTerm, 0)
}

// directoryIDKey is where the stable store has the id that the store was made with.
var directoryIDKey = []byte("BarnabasDirectoryID")

// readDirectoryID takes the store's own id for the one of the options, if it has noted it.
// Stores of the first versions have not.
func (s *Store) readDirectoryID() (noted bool, err error) {
	b, err := s.log.Get(directoryIDKey)
	if err != nil || len(b) != len(s.opts.DirectoryID) {
		return false, err
	}
	s.opts.DirectoryID = protocol.UUID(b)
	return true, nil
}

// lastIndexKey is where the stable store has an index that the log had reached: at the last
// start, or the last stop if that was clean.
var lastIndexKey = []byte("BarnabasLastIndex")

// checkLastIndex refuses a log that has become shorter, because a file of it was lost or
// damaged: raft-wal takes it for one cut short by a crash, and topics would be forgotten and
// their partitions set aside. A crash takes no entry that had been written.
func (s *Store) checkLastIndex() error {
	b, err := s.log.Get(lastIndexKey)
	if err != nil || len(b) != 8 || !s.isAlone() {
		return err
	}
	last, err := s.log.LastIndex()
	if err != nil {
		return err
	}
	if had := binary.BigEndian.Uint64(b); last < had {
		return fmt.Errorf("the log in %s ends at entry %d, and had %d: a file of it is missing or damaged and must be put back from a copy",
			filepath.Join(s.opts.Dir, "*.wal"), last, had)
	}
	return nil
}

// noteLastIndex has the next start know how far the log has come.
func (s *Store) noteLastIndex() error {
	last, err := s.log.LastIndex()
	if err != nil || !s.isAlone() {
		return err
	}
	return s.log.Set(lastIndexKey, binary.BigEndian.AppendUint64(nil, last))
}

// Exists says whether there is a store in dir.
func Exists(dir string) bool {
	for _, name := range metaNames {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Size() > 0 {
			return true
		}
	}
	return false
}

func (s *Store) raftConfig(logger *raftLogger) *raft.Config {
	config := raft.DefaultConfig()
	config.LocalID = s.serverID()
	config.Logger = logger
	config.HeartbeatTimeout = s.opts.HeartbeatTimeout
	config.ElectionTimeout = s.opts.HeartbeatTimeout
	config.LeaderLeaseTimeout = s.opts.HeartbeatTimeout / 2
	config.SnapshotThreshold = s.opts.SnapshotThreshold
	config.MaxAppendEntries = 512
	config.BatchApplyCh = true
	config.NoLegacyTelemetry = true
	if s.isAlone() {
		// The lease is of a quorum of one: looking after it is only for form's sake. See
		// openRaft for why the first timeout is the longer.
		config.HeartbeatTimeout += s.opts.HeartbeatTimeout
		config.ElectionTimeout = config.HeartbeatTimeout
		config.LeaderLeaseTimeout = s.opts.HeartbeatTimeout
		config.TrailingLogs = 128 // kept for followers to catch up with
	}
	return config
}

// checkMembership refuses to run as somebody else than the directory belongs to.
func (s *Store) checkMembership(id raft.ServerID) error {
	future := s.raft.GetConfiguration()
	if err := future.Error(); err != nil {
		return err
	}
	servers := future.Configuration().Servers
	if len(servers) == 0 {
		if s.isAlone() && !s.opts.Join {
			return errors.New("it has neither a log nor a snapshot that says which node it belongs to")
		}
		return nil // waiting to be taken in
	}
	for _, server := range servers {
		if server.ID == id {
			return nil
		}
	}
	if s.isAlone() {
		return fmt.Errorf("it belongs to node %s (node id and directory id), not to %s", servers[0].ID, id)
	}
	return nil // removed, or not yet taken in
}

// watchForCluster makes a follower ready when it knows the cluster.
func (s *Store) watchForCluster(_ *metadata.Delta, image *metadata.Image) {
	if !s.isAlone() && image.ClusterID() != "" {
		s.start(s.checkClusterID(image))
	}
}

func (s *Store) checkClusterID(image *metadata.Image) error {
	if s.opts.ClusterID != "" && image.ClusterID() != s.opts.ClusterID {
		return fmt.Errorf("it belongs to cluster %s, not to %s", image.ClusterID(), s.opts.ClusterID)
	}
	return nil
}

// start lets Open return.
func (s *Store) start(err error) {
	s.startOnce.Do(func() {
		s.startErr = err
		close(s.ready)
	})
}

// Image implements metadata.Store.
func (s *Store) Image() *metadata.Image { return s.machine.publisher.Image() }

// Subscribe implements metadata.Store.
func (s *Store) Subscribe(fn func(*metadata.Delta, *metadata.Image)) (cancel func()) {
	return s.machine.publisher.Subscribe(fn)
}

// Raft returns the Raft node, for membership changes and for looking at.
func (s *Store) Raft() *raft.Raft { return s.raft }

// watchedLog is a log that tells of writes that fail.
type watchedLog struct {
	*wal.WAL
	failed func(error)
}

// StoreLog implements raft.LogStore.
func (l watchedLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore.
func (l watchedLog) StoreLogs(entries []*raft.Log) error {
	err := l.WAL.StoreLogs(entries)
	if err != nil && !errors.Is(err, wal.ErrClosed) {
		l.failed(err)
	}
	return err
}

// fail takes down that the log failed.
func (s *Store) fail(err error) {
	select {
	case s.failed <- fmt.Errorf("the metadata log in %s cannot be written: %w", s.opts.Dir, err):
	default: // not the first
	}
}

// Failed is where it comes, once, that the log could not be written. Nothing can be changed
// then until the store is opened again: raft-wal does not know how much of the write is there.
func (s *Store) Failed() <-chan error { return s.failed }

// IsLeader says whether this node is Raft's leader.
func (s *Store) IsLeader() bool { return s.raft.State() == raft.Leader }

// Close implements metadata.Store.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.start(errors.New("closed"))
		// Raft first: what the deciding goroutine waits for then fails.
		err := s.raft.Shutdown().Error()
		s.wg.Wait()
		s.closeErr = errors.Join(err, s.noteLastIndex(), s.log.Close(), s.meta.Close())
	})
	return s.closeErr
}

// Remove deletes the store in dir, which nobody may have open.
func Remove(dir string) error {
	for _, name := range []string{metaNames[0], metaNames[1], "snapshots"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		return err
	}
	for _, name := range segments {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}
