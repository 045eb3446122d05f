package log

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// ManagerOptions says where the logs are and how they are looked after. The zero value
// of a field means its default.
type ManagerOptions struct {
	Dirs          []string                   // log.dirs; at least one
	Config        *Config                    // of topics without settings of their own; DefaultConfig()
	ConfigOf      func(topic string) *Config // of the topics found at the start; nil or a nil answer means Config
	ClusterID     string                     // written to and checked against meta.properties; "" takes what is there
	NodeID        int32                      // the same
	ProducerState *ProducerStateConfig

	RecoveryThreads           int           // num.recovery.threads.per.data.dir; as many as there are processors
	RetentionInterval         time.Duration // log.retention.check.interval.ms; 5 min
	FlushCheckInterval        time.Duration // log.flush.scheduler.interval.ms; Forever
	CheckpointInterval        time.Duration // log.flush.offset.checkpoint.interval.ms; 1 min
	StartCheckpointInterval   time.Duration // log.flush.start.offset.checkpoint.interval.ms; 1 min
	WatermarkInterval         time.Duration // replica.high.watermark.checkpoint.interval.ms; 5 s
	ProducerExpirationCheck   time.Duration // producer.id.expiration.check.interval.ms; 10 min
	MaxOpenSegments           int           // segments kept open at a time, over all logs; 1000
	NoBackground              bool          // tests call the Run… methods themselves
	OnDirFailure              func(dir string, err error)
	OnLogStartOffsetIncreased func(l *Log) // by retention; called without locks

	FS     FS               // the operating system's files
	Now    func() time.Time // time.Now
	Logger *slog.Logger     // discards
}

// DirStatus describes one data directory.
type DirStatus struct {
	Path   string // as configured
	ID     protocol.UUID
	Err    error // why it is offline, or nil
	Total  int64 // bytes of its file system, -1 if unknown
	Usable int64 // bytes free there, -1 if unknown
}

// Manager owns the data directories of a broker and all logs in them.
type Manager struct{}

// OpenManager locks the data directories, checks or writes their meta.properties, and
// loads the logs in them, recovering those that were not closed. Directories that fail
// are offline; only if all of them do, or if one is in use by another process or
// belongs to another broker, is there an error.
func OpenManager(ctx context.Context, opts ManagerOptions) (*Manager, error) { return nil, errTodo }

// ClusterID is the cluster that the data directories belong to.
func (m *Manager) ClusterID() string { return "" }

// NodeID is the broker that the data directories belong to.
func (m *Manager) NodeID() int32 { return 0 }

// WasClean says whether the data directory of the broker's last run was closed cleanly
// in all directories.
func (m *Manager) WasClean() bool { return false }

// Get returns the current log of a partition, or nil.
func (m *Manager) Get(tp protocol.TopicPartition) *Log { return nil }

// Future returns the log being built in another data directory, or nil.
func (m *Manager) Future(tp protocol.TopicPartition) *Log { return nil }

// Logs iterates over the current logs, in no particular order.
func (m *Manager) Logs() iter.Seq[*Log] { return nil }

// Count is the number of current logs.
func (m *Manager) Count() int { return 0 }

// Create returns the log of a partition, which is made if it does not exist: in the data
// directory dirHint (a path or a directory id), or the one with the fewest logs if that
// is "". A log that exists under another topic id is an INCONSISTENT_TOPIC_ID error.
func (m *Manager) Create(tp protocol.TopicPartition, topicID protocol.UUID, cfg *Config, dirHint string) (*Log, error) {
	return nil, errTodo
}

// CreateFuture makes the log that is to replace the current one, in another data
// directory.
func (m *Manager) CreateFuture(tp protocol.TopicPartition, dir string) (*Log, error) {
	return nil, errTodo
}

// SwapFuture makes the future log the current one and deletes the old one. The caller
// has let it catch up and sees to it that nobody appends.
func (m *Manager) SwapFuture(tp protocol.TopicPartition) (*Log, error) { return nil, errTodo }

// DeleteFuture gives up a future log.
func (m *Manager) DeleteFuture(tp protocol.TopicPartition) error { return errTodo }

// Delete closes a log at once and removes its files after file.delete.delay.ms.
func (m *Manager) Delete(tp protocol.TopicPartition) error { return errTodo }

// MarkStray takes a log out of service that the cluster does not know of, and leaves its
// files in a directory renamed to end in -stray.
func (m *Manager) MarkStray(tp protocol.TopicPartition) error { return errTodo }

// SetDefaultConfig changes the settings of topics without settings of their own.
func (m *Manager) SetDefaultConfig(c *Config) {}

// Dirs describes the data directories, in the order configured.
func (m *Manager) Dirs() []DirStatus { return nil }

// RunRetention deletes what the retention settings say, in all logs.
func (m *Manager) RunRetention() {}

// RunFlush syncs the logs whose flush.ms has passed.
func (m *Manager) RunFlush() {}

// RunCheckpoint writes the recovery point and log start offset checkpoints.
func (m *Manager) RunCheckpoint() {}

// RunWatermarkCheckpoint writes the high watermark checkpoints.
func (m *Manager) RunWatermarkCheckpoint() {}

// RunDeletions removes the files whose file.delete.delay.ms has passed.
func (m *Manager) RunDeletions() {}

// RunProducerExpiration forgets producers unheard of for producer.id.expiration.ms.
func (m *Manager) RunProducerExpiration() {}

// Close flushes and closes all logs and leaves a clean shutdown behind. If ctx ends
// first, the next start recovers.
func (m *Manager) Close(ctx context.Context) error { return errTodo }
