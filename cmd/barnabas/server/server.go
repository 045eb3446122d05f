// Package server wires a broker together: data directories, metadata store, broker, in
// that order, and closes them in reverse. It is the one place that knows which metadata
// store runs.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/barnabas-broker/barnabas/broker"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/broker/loggers"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/metadata/controller"
	"github.com/barnabas-broker/barnabas/metadata/kraftimport"
	"github.com/barnabas-broker/barnabas/metadata/raftstore"
	"github.com/barnabas-broker/barnabas/protocol"
)

// DefaultNodeID is the id of a broker whose configuration and data directory name none.
const DefaultNodeID = 1

// Options of a Server. Config is required.
type Options struct {
	Config  *config.Config
	Version string
	Logger  *slog.Logger // discards
	// Loggers are the levels of Logger and of the rooms' own; a new one. Logger then lets
	// everything pass, or is its root.
	Loggers *loggers.Registry
	// PanicsEnd is for tests, see [broker.Options].
	PanicsEnd bool
}

// Server is a running broker with everything under it.
type Server struct {
	logger *slog.Logger
	logs   *log.Manager
	store  *raftstore.Store
	broker *broker.Broker
	closed bool

	producerState *log.ProducerStateConfig // read by all logs
}

// Open starts a broker. It returns when clients are served.
func Open(ctx context.Context, opts Options) (_ *Server, err error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Loggers == nil {
		opts.Loggers = loggers.New(slog.LevelInfo)
	}
	named := func(name string) *slog.Logger { return opts.Loggers.Logger(name, opts.Logger.Handler()) }
	c, b := opts.Config, opts.Config.Broker()
	s := &Server{logger: opts.Logger, producerState: &log.ProducerStateConfig{}}
	s.configure(c)
	defer func() {
		if err != nil {
			s.Close(ctx)
		}
	}()
	s.logs, err = log.OpenManager(ctx, log.ManagerOptions{
		Dirs: b.LogDirs, NodeID: nodeID(b), Config: c.Topic(nil), Logger: named("log"),
		ProducerState:           s.producerState,
		Cleaner:                 cleanerOptions(b, named("log.cleaner")),
		RetentionInterval:       b.Log.RetentionCheckInterval,
		FlushCheckInterval:      b.Log.FlushSchedulerInterval,
		CheckpointInterval:      b.Log.FlushOffsetCheckpointInterval,
		StartCheckpointInterval: b.Log.FlushStartOffsetCheckpointInterval,
		WatermarkInterval:       b.Replication.HighWatermarkCheckpointInterval,
		ProducerExpirationCheck: b.Log.ProducerIDExpirationCheckInterval,
	})
	if err != nil {
		return nil, err
	}
	var running atomic.Pointer[broker.Broker] // what is altered while there is none is judged by the file
	schema := &config.Schema{Current: func() *config.Config {
		if b := running.Load(); b != nil {
			return b.Config()
		}
		return c
	}, Security: func(next *config.Config) error {
		if b := running.Load(); b != nil {
			return b.CheckSecurity(next)
		}
		return nil
	}, Node: s.logs.NodeID()}
	storeDir := filepath.Join(b.MetadataLogDir, raftstore.DirName)
	// initial is what a new cluster begins with. That a directory of the store is there says
	// nothing: an earlier start may have ended before anything was in it.
	initial := sync.OnceValues(func() ([]metadata.Record, error) {
		records, err := importKRaft(b.MetadataLogDir, opts.Logger)
		if n := s.logs.Count(); err == nil && n > 0 && len(records) == 0 {
			err = fmt.Errorf("the data directories hold %d partitions, but there is no cluster in the metadata store %s: in a new one none of them would be known; "+
				"put it back, or move the partitions away", n, storeDir)
		}
		return records, err
	})
	if !raftstore.Exists(storeDir) {
		if _, err := initial(); err != nil {
			return nil, err // before there is a new store
		}
	}
	s.store, err = raftstore.Open(ctx, raftstore.Options{
		Dir: storeDir, NodeID: s.logs.NodeID(),
		DirectoryID: s.directoryID(), ClusterID: s.logs.ClusterID(), Initial: initial,
		Controller: controller.Options{
			DefaultPartitions: b.Topics.NumPartitions, DefaultReplicationFactor: b.Topics.DefaultReplicationFactor,
			Schema: schema, SessionTimeout: b.Metadata.BrokerSessionTimeout,
			Features: broker.SupportedFeatures(),
		},
		RebalanceInterval: b.Replication.LeaderImbalanceCheckInterval,
		NoRebalance:       !b.Replication.AutoLeaderRebalanceEnable,
		Logger:            named("raftstore"),
	})
	if err != nil {
		return nil, fmt.Errorf("open the metadata store: %w", err)
	}
	scramPepper, err := pepper(storeDir)
	if err != nil { // logins go on; the salts of users that do not exist are others after a restart
		opts.Logger.Warn("cannot keep what the salts of unknown SCRAM users are made of", "error", err)
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	s.broker, err = broker.Start(ctx, broker.Options{
		NodeID: s.logs.NodeID(), HostName: host, Config: c, Logs: s.logs, Store: s.store,
		Version: opts.Version, Logger: opts.Logger, Loggers: opts.Loggers, OnConfig: s.configure, PanicsEnd: opts.PanicsEnd,
		ScramPepper: scramPepper,
		OnServing:   func(b *broker.Broker) { running.Store(b) },
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// configure puts the settings in force that the rooms below the broker read as they go.
func (s *Server) configure(c *config.Config) {
	s.producerState.ExpirationMs.Store(c.Broker().Log.ProducerIDExpiration.Milliseconds())
	s.producerState.MaxTransactionTimeoutMs.Store(c.Broker().Transaction.MaxTimeout.Milliseconds())
	if s.logs == nil || s.logs.Cleaner() == nil {
		return
	}
	if o := cleanerOptions(c.Broker(), nil); o != nil {
		if err := s.logs.Cleaner().Configure(*o); err != nil {
			s.logger.Error("Compaction goes on with the settings that it has", "err", err)
		}
	}
}

// directoryID is that of the first data directory that can be used. A new metadata store gets
// it; it is in that directory, unless metadata.log.dir says otherwise.
func (s *Server) directoryID() protocol.UUID {
	for _, d := range s.logs.Dirs() {
		if d.Err == nil {
			return d.ID
		}
	}
	return protocol.NewUUID()
}

// cleanerOptions are those of compaction, nil if log.cleaner.enable=false.
func cleanerOptions(b *config.Broker, logger *slog.Logger) *log.CleanerOptions {
	if !b.Cleaner.Enable {
		return nil
	}
	return &log.CleanerOptions{
		Threads: b.Cleaner.Threads, DedupeBufferSize: b.Cleaner.DedupeBufferSize, IOBufferSize: b.Cleaner.IOBufferSize,
		MaxBytesPerSecond: b.Cleaner.IOMaxBytesPerSecond, Backoff: b.Cleaner.Backoff, Logger: logger,
	}
}

// importKRaft returns what the metadata log of an Apache Kafka node says, if this
// directory was one's.
func importKRaft(dir string, logger *slog.Logger) ([]metadata.Record, error) {
	apache := filepath.Join(dir, kraftimport.DirName)
	if _, err := os.Stat(apache); err != nil {
		return nil, nil
	}
	m, err := kraftimport.Read(os.DirFS(apache))
	if err != nil {
		return nil, fmt.Errorf("import the metadata of Apache Kafka in %s: %w", apache, err)
	}
	logger.Info("imported the metadata of an Apache Kafka node", "dir", apache, "records", len(m.Records), "offset", m.NextOffset)
	return m.Records, nil
}

// nodeID is the id that the configuration names, or the data directory of an earlier run.
func nodeID(b *config.Broker) int32 {
	if b.NodeID >= 0 {
		return b.NodeID
	}
	for _, dir := range b.LogDirs {
		if p, err := log.ReadMetaProperties(log.OS{}, dir); err == nil && p.NodeID >= 0 {
			return p.NodeID
		}
	}
	return DefaultNodeID
}

// Failed is where it comes that the broker cannot go on: the metadata log cannot be written.
// The server is then to be closed and the process to end, as Apache's does.
func (s *Server) Failed() <-chan error { return s.store.Failed() }

// Broker is the broker that runs.
func (s *Server) Broker() *broker.Broker { return s.broker }

// NodeID is the broker's id.
func (s *Server) NodeID() int32 { return s.logs.NodeID() }

// Notes returns what the operator should be told of a configuration at start: oddities,
// and replication factors that one broker cannot give.
func Notes(c *config.Config) []config.Note {
	notes := config.Collapse(c.Notes())
	_, _, _, clamped := c.ClampReplicationFactors(1)
	return append(notes, clamped...)
}

// EffectiveConfig is the configuration as the log shows it at start.
func EffectiveConfig(c *config.Config) string {
	return "KafkaConfig values:\n\t" + strings.Join(c.Print(false), "\n\t")
}

// Close stops the broker and leaves a clean shutdown behind. If ctx ends first, the next
// start recovers.
func (s *Server) Close(ctx context.Context) error {
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	if s.broker != nil {
		errs = append(errs, s.broker.Close(ctx))
	}
	if s.logs != nil {
		errs = append(errs, s.logs.Close(ctx))
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}
