package raftstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/metadata/kraftimport"
	"github.com/barnabas-broker/barnabas/protocol"
)

// openCluster opens three voters that talk in memory.
func openCluster(t *testing.T) []*Store {
	t.Helper()
	var transports []*raft.InmemTransport
	var voters []raft.Server
	var opts []Options
	for id := range int32(3) {
		address, transport := raft.NewInmemTransport(raft.ServerAddress(fmt.Sprintf("node-%d", id+1)))
		transports = append(transports, transport)
		o := Options{Dir: t.TempDir(), NodeID: id + 1, DirectoryID: protocol.UUID{1, 15: byte(id + 1)}, Transport: transport,
			HeartbeatTimeout: 100 * time.Millisecond, Join: id > 0}
		voters = append(voters, raft.Server{Suffrage: raft.Voter, ID: (&Store{opts: o}).serverID(), Address: address})
		opts = append(opts, o)
	}
	for _, a := range transports {
		for _, b := range transports {
			a.Connect(b.LocalAddr(), b)
		}
	}
	opts[0].Voters = voters
	stores := make([]*Store, 3)
	errs := make(chan error, 3)
	for i := range opts {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			var err error
			stores[i], err = Open(ctx, opts[i])
			errs <- err
		}()
	}
	for range opts {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range stores {
		t.Cleanup(func() { s.Close() })
	}
	return stores
}

// decidedBy runs a command on whichever store decides.
func decidedBy(t *testing.T, stores []*Store, command func(*Store) error) *Store {
	t.Helper()
	for range 300 {
		for _, s := range stores {
			switch err := command(s); {
			case err == nil:
				return s
			case !errors.Is(err, protocol.ErrNotController) && !errors.Is(err, protocol.ErrRequestTimedOut):
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("nobody decides")
	return nil
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not within five seconds", what)
}

func TestThreeVotersKeepOneImage(t *testing.T) {
	stores := openCluster(t)
	ctx := context.Background()
	leader := decidedBy(t, stores, func(s *Store) error {
		_, err := s.RegisterBroker(ctx, metadata.BrokerRegistration{ID: 1, Incarnation: protocol.NewUUID(), PreviousEpoch: -1})
		return err
	})
	create(t, leader, "before", 3)
	for _, s := range stores {
		eventually(t, "the topic is everywhere", func() bool { return s.Image().Topic("before") != nil })
	}
	reign := leader.Image().ControllerEpoch()
	leader.Close()
	var rest []*Store
	for _, s := range stores {
		if s != leader {
			rest = append(rest, s)
		}
	}
	next := decidedBy(t, rest, func(s *Store) error {
		out, err := s.CreateTopics(ctx, metadata.CreateTopics{Topics: []metadata.NewTopic{{Name: "after", Partitions: 1, ReplicationFactor: 1}}})
		if err == nil && out[0].Err != nil && !errors.Is(out[0].Err, protocol.ErrTopicAlreadyExists) {
			return out[0].Err
		}
		return err
	})
	if m := next.Image(); m.ControllerEpoch() <= reign || m.ControllerID() != next.opts.NodeID || m.Topic("before") == nil {
		t.Errorf("controller %d in epoch %d after epoch %d", m.ControllerID(), m.ControllerEpoch(), reign)
	}
	for _, s := range rest {
		eventually(t, "both topics are everywhere", func() bool {
			return s.Image().Topic("after") != nil && s.Image().Topic("after").ID == next.Image().Topic("after").ID
		})
	}
}

func TestEntriesOfADeposedControllerAreVoid(t *testing.T) {
	s := open(t, testOptions(t, t.TempDir()))
	epoch := s.Image().ControllerEpoch()
	old := entry{controllerEpoch: epoch - 1, request: requestID{9, 9, 1}, records: []metadata.Record{&metadata.FeatureRecord{Name: "x", Level: 1}}}
	future := s.raft.Apply(old.append(nil), 0)
	if err := future.Error(); err != nil {
		t.Fatal(err)
	}
	if err, _ := future.Response().(error); !errors.Is(err, protocol.ErrNotController) || s.Image().Feature("x") != 0 {
		t.Errorf("response %v, level %d", err, s.Image().Feature("x"))
	}
	current := old
	current.controllerEpoch = epoch
	for range 2 {
		if err := s.raft.Apply(current.append(nil), 0).Error(); err != nil {
			t.Fatal(err)
		}
		current.records = []metadata.Record{&metadata.FeatureRecord{Name: "x", Level: 2}}
	}
	if s.Image().Feature("x") != 1 {
		t.Error("a proposal that came twice was applied twice")
	}
}

func TestApacheDirectoryBecomesAStore(t *testing.T) {
	m, err := kraftimport.Read(os.DirFS("../kraftimport/testdata/3.9.2"))
	if err != nil {
		t.Fatal(err)
	}
	opts := testOptions(t, t.TempDir())
	opts.ClusterID = "MkU3OEVBNTcwNTJENDM2Qg"
	opts.Initial = func() ([]metadata.Record, error) { return m.Records, nil }
	opts.DirectoryID, err = protocol.ParseUUID("xQT49qIqFfMcnp38KWpo7w")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, opts)
	old := s.Image().Broker(1)
	epoch, err := s.RegisterBroker(context.Background(), metadata.BrokerRegistration{ID: 1, ClusterID: opts.ClusterID, Incarnation: protocol.NewUUID(),
		LogDirs: []protocol.UUID{opts.DirectoryID}, PreviousEpoch: -1})
	if err != nil || epoch <= old.Epoch {
		t.Fatalf("epoch %d after %d, %v", epoch, old.Epoch, err)
	}
	for topic := range s.Image().Topics() {
		for i, p := range topic.Partitions {
			if p.Leader != 1 || p.LeaderEpoch != 2 {
				t.Fatalf("%s-%d: %+v", topic.Name, i, p)
			}
		}
	}
	block, err := s.AllocateProducerIDs(context.Background(), 1, epoch)
	if err != nil || block.First != 1000 {
		t.Errorf("producer ids %+v, %v", block, err)
	}
}
