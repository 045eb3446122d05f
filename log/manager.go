package log

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barnabas-broker/barnabas/protocol"
)

// ManagerOptions says where the logs are and how they are looked after. The zero value
// of a field means its default.
type ManagerOptions struct {
	Dirs          []string                   // log.dirs; at least one
	Config        *Config                    // of topics without settings of their own; DefaultConfig()
	ConfigOf      func(topic string) *Config // of the topics found at the start; nil or a nil answer means Config
	ClusterID     string                     // checked against meta.properties and written to it; "" takes what is there, or a new one
	NodeID        int32                      // the same; negative takes what is there, or 0
	ProducerState *ProducerStateConfig       // producer ids expire after a day
	Cleaner       *CleanerOptions            // of compaction, which is off if nil; the manager fills in Dirs, Logs, FS, Now, OnDirFailure, and Logger if nil

	RecoveryThreads         int           // num.recovery.threads.per.data.dir; as many as there are processors
	RetentionInterval       time.Duration // log.retention.check.interval.ms; 5 min
	FlushCheckInterval      time.Duration // log.flush.scheduler.interval.ms; Forever
	CheckpointInterval      time.Duration // log.flush.offset.checkpoint.interval.ms; 1 min
	StartCheckpointInterval time.Duration // log.flush.start.offset.checkpoint.interval.ms; 1 min
	WatermarkInterval       time.Duration // replica.high.watermark.checkpoint.interval.ms; 5 s
	ProgressInterval        time.Duration // between two notes of what need not be recovered after a kill; 1 s
	ProducerExpirationCheck time.Duration // producer.id.expiration.check.interval.ms; 10 min
	MaxOpenSegments         int           // segments kept open at a time, over all logs; half the descriptors allowed, at most 8192
	NoBackground            bool          // tests call the Run… methods themselves
	OnDirFailure            func(dir string, err error)

	FS     FS                  // the operating system's files
	BootID string              // changes when the page cache is lost; the kernel's boot id
	Now    func() time.Time    // time.Now
	Rand   func(n int64) int64 // a number from 0 up to, not including, n; math/rand
	Logger *slog.Logger        // discards
}

func (o *ManagerOptions) setDefaults() {
	if o.Config == nil {
		o.Config = DefaultConfig()
	}
	if o.ProducerState == nil {
		o.ProducerState = &ProducerStateConfig{}
		o.ProducerState.ExpirationMs.Store((24 * time.Hour).Milliseconds())
		o.ProducerState.MaxTransactionTimeoutMs.Store((15 * time.Minute).Milliseconds())
	}
	if o.RecoveryThreads <= 0 {
		o.RecoveryThreads = runtime.GOMAXPROCS(0)
	}
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{
		{&o.RetentionInterval, 5 * time.Minute}, {&o.FlushCheckInterval, Forever}, {&o.CheckpointInterval, time.Minute},
		{&o.StartCheckpointInterval, time.Minute}, {&o.WatermarkInterval, 5 * time.Second}, {&o.ProgressInterval, time.Second},
		{&o.ProducerExpirationCheck, 10 * time.Minute},
	} {
		if *d.v <= 0 {
			*d.v = d.d
		}
	}
	if o.MaxOpenSegments <= 0 {
		o.MaxOpenSegments = 512
		var limit unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
			o.MaxOpenSegments = int(min(limit.Cur/2, 8192))
		}
	}
	o.MaxOpenSegments = max(o.MaxOpenSegments, 1)
	if o.FS == nil {
		o.FS = OS{}
	}
	if o.BootID == "" {
		if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
			o.BootID = strings.TrimSpace(string(b))
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Int64N
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
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
type Manager struct {
	// Constant after open.
	opts      ManagerOptions
	dirs      []*dataDir
	cache     *segmentCache
	cleaner   *Cleaner // nil if compaction is off
	clusterID string
	nodeID    int32
	wasClean  bool

	validators   sync.Pool // of *protocol.Validator
	groupBuffers sync.Pool // of *[]byte, for what appends of a group write together
	scanners     sync.Pool // of *batchScanner
	longScanners sync.Pool // of *batchScanner with large windows

	defaultConfig atomic.Pointer[Config]

	creating [32]sync.Mutex // one is held while a log of its share of the partitions is made, moved or deleted

	mu      sync.RWMutex
	logs    map[protocol.TopicPartition]*Log
	futures map[protocol.TopicPartition]*Log
	broken  map[protocol.TopicPartition]*brokenLog // could not be loaded
	strays  []*Log

	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{} // wakes the background loop when something is to be deleted
}

// OpenManager locks the data directories, checks or writes their meta.properties, and
// loads the logs in them, recovering those that were not closed. Directories that fail
// are offline; only if all of them do, or if one is in use by another process or
// belongs to another broker, is there an error.
func OpenManager(ctx context.Context, opts ManagerOptions) (*Manager, error) {
	opts.setDefaults()
	m := &Manager{
		opts: opts, cache: newSegmentCache(opts.MaxOpenSegments), nodeID: opts.NodeID, clusterID: opts.ClusterID,
		logs: make(map[protocol.TopicPartition]*Log), futures: make(map[protocol.TopicPartition]*Log),
		broken: make(map[protocol.TopicPartition]*brokenLog), kick: make(chan struct{}, 1),
	}
	m.validators.New = func() any { return &protocol.Validator{} }
	m.groupBuffers.New = func() any { return new([]byte) }
	m.scanners.New = func() any { return newBatchScanner(scanWindow) }
	m.longScanners.New = func() any { return newBatchScanner(longScanWindow) }
	m.defaultConfig.Store(opts.Config)
	if err := m.open(ctx); err != nil {
		for _, d := range m.dirs {
			d.unlock()
		}
		return nil, err
	}
	return m, nil
}

func (m *Manager) open(ctx context.Context) error {
	if len(m.opts.Dirs) == 0 {
		return errors.New("no data directory is configured")
	}
	seen := make(map[string]bool)
	for _, path := range m.opts.Dirs {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if seen[absolute] {
			return fmt.Errorf("data directory %s is named twice", path)
		}
		seen[absolute] = true
		m.dirs = append(m.dirs, newDataDir(m, path))
	}
	for _, d := range m.dirs {
		d.progress.bootID = m.opts.BootID
		var inUse *InUseError
		if err := d.open(); errors.As(err, &inUse) {
			return err
		}
	}
	if err := m.checkIdentities(); err != nil {
		return err
	}
	if err := m.load(ctx); err != nil {
		return err
	}
	if len(m.live()) == 0 {
		return fmt.Errorf("no data directory can be used: %w", m.dirs[0].err())
	}
	if err := m.makeCleaner(); err != nil {
		return err
	}
	m.startBackground()
	return nil
}

func (m *Manager) makeCleaner() error {
	if m.opts.Cleaner == nil {
		return nil
	}
	o := *m.opts.Cleaner
	for _, d := range m.live() {
		o.Dirs = append(o.Dirs, d.path)
	}
	o.Logs = func(yield func(CleanableLog) bool) {
		for _, l := range m.snapshot() {
			if l.Err() == nil && !yield(l) {
				return
			}
		}
	}
	if o.Logger == nil {
		o.Logger = m.opts.Logger
	}
	o.FS, o.Now, o.OnDirFailure = m.opts.FS, m.opts.Now, m.FailDir
	c, err := NewCleaner(o)
	m.cleaner = c
	return err
}

// Cleaner compacts the logs; nil if compaction is off.
func (m *Manager) Cleaner() *Cleaner { return m.cleaner }

// pauseCleaning keeps compaction from a partition until the function it returns is
// called.
func (m *Manager) pauseCleaning(tp protocol.TopicPartition) (resume func()) {
	if m.cleaner == nil {
		return func() {}
	}
	m.cleaner.Pause(tp)
	return func() { m.cleaner.Resume(tp) }
}

// live returns the directories that are not offline.
func (m *Manager) live() []*dataDir {
	return slices.DeleteFunc(slices.Clone(m.dirs), func(d *dataDir) bool { return d.err() != nil })
}

// checkIdentities reads meta.properties of all directories, which must belong to the
// same broker of the same cluster, and writes those that are missing.
func (m *Manager) checkIdentities() error {
	var missing []*dataDir
	ids := make(map[protocol.UUID]string)
	for _, d := range m.live() {
		p, err := ReadMetaProperties(m.opts.FS, d.path)
		switch {
		case isNotExist(err):
			missing = append(missing, d)
			continue
		case errors.Is(err, ErrMetaProperties):
			return fmt.Errorf("data directory %s: %w", d.path, err)
		case err != nil:
			d.fail("read meta.properties", err)
			continue
		}
		if p.ClusterID == "" && p.NodeID < 0 {
			return fmt.Errorf("%s does not say whose directory it is in: there is neither cluster.id nor broker.id or node.id in it",
				filepath.Join(d.path, MetaPropertiesName))
		}
		if m.clusterID == "" {
			m.clusterID = p.ClusterID
		}
		if m.nodeID < 0 {
			m.nodeID = p.NodeID
		}
		if p.ClusterID != "" && p.ClusterID != m.clusterID {
			return fmt.Errorf("data directory %s belongs to cluster %s by its meta.properties, not to %s", d.path, p.ClusterID, m.clusterID)
		}
		if p.NodeID >= 0 && p.NodeID != m.nodeID {
			return fmt.Errorf("data directory %s belongs to broker %d by its meta.properties, not to %d", d.path, p.NodeID, m.nodeID)
		}
		if other, ok := ids[p.DirectoryID]; ok && !p.DirectoryID.IsZero() {
			return fmt.Errorf("data directories %s and %s have the same directory.id: one is a copy of the other", other, d.path)
		}
		if p.DirectoryID.IsZero() {
			// Written before there were such ids (KIP-858). Apache Kafka adds one, too.
			p.DirectoryID = protocol.NewUUID()
			if err := WriteMetaProperties(m.opts.FS, d.path, p, m.opts.Now()); err != nil {
				d.fail("write meta.properties", err)
				continue
			}
		}
		ids[p.DirectoryID] = d.path
		d.id = p.DirectoryID
	}
	if m.clusterID == "" {
		m.clusterID = protocol.NewUUID().String()
	}
	m.nodeID = max(m.nodeID, 0)
	for _, d := range missing {
		d.id = protocol.NewUUID()
		p := MetaProperties{Version: 1, ClusterID: m.clusterID, NodeID: m.nodeID, DirectoryID: d.id}
		if err := WriteMetaProperties(m.opts.FS, d.path, p, m.opts.Now()); err != nil {
			d.fail("write meta.properties", err)
		}
	}
	return nil
}

func (m *Manager) nowMs() int64 { return m.opts.Now().UnixMilli() }

func (m *Manager) scanner() *batchScanner { return m.scanners.Get().(*batchScanner) }

// jitter is how much earlier than segment.ms a segment rolls, so that not all do at once.
func (m *Manager) jitter(cfg *Config) int64 {
	most := min(cfg.SegmentJitter, cfg.SegmentAge).Milliseconds()
	if most <= 0 {
		return 0
	}
	return m.opts.Rand(most)
}

func (m *Manager) newLog(tp protocol.TopicPartition, at *location) *Log {
	l := &Log{partition: tp, manager: m}
	l.location.Store(at)
	cfg := m.defaultConfig.Load()
	if m.opts.ConfigOf != nil {
		if c := m.opts.ConfigOf(tp.Topic); c != nil {
			cfg = c
		}
	}
	l.config.Store(cfg)
	l.firstUnstable.Store(-1)
	return l
}

// ClusterID is the cluster that the data directories belong to.
func (m *Manager) ClusterID() string { return m.clusterID }

// NodeID is the broker that the data directories belong to.
func (m *Manager) NodeID() int32 { return m.nodeID }

// WasClean says whether all data directories were closed cleanly when last used, or are
// new.
func (m *Manager) WasClean() bool { return m.wasClean }

// Get returns the current log of a partition, or nil.
func (m *Manager) Get(tp protocol.TopicPartition) *Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.logs[tp]
}

// Future returns the log being built in another data directory, or nil.
func (m *Manager) Future(tp protocol.TopicPartition) *Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.futures[tp]
}

// Broken returns the partitions that could not be loaded, and why. They stay offline
// until they are deleted or the broker is restarted; the others are served.
func (m *Manager) Broken() map[protocol.TopicPartition]error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	broken := make(map[protocol.TopicPartition]error, len(m.broken))
	for tp, err := range m.broken {
		broken[tp] = err
	}
	return broken
}

// Logs iterates over the current logs, in no particular order.
func (m *Manager) Logs() iter.Seq[*Log] {
	return func(yield func(*Log) bool) {
		for _, l := range m.snapshot() {
			if !yield(l) {
				return
			}
		}
	}
}

func (m *Manager) snapshot() []*Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	logs := make([]*Log, 0, len(m.logs)+len(m.futures))
	for _, l := range m.logs {
		logs = append(logs, l)
	}
	return logs
}

// everyLog is snapshot with the future logs.
func (m *Manager) everyLog() []*Log {
	logs := m.snapshot()
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, l := range m.futures {
		logs = append(logs, l)
	}
	return logs
}

// Count is the number of current logs.
func (m *Manager) Count() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.logs)
}

// SetDefaultConfig changes the settings of topics without settings of their own: of
// those that will be created, and of the logs that share the one in force.
func (m *Manager) SetDefaultConfig(c *Config) {
	old := m.defaultConfig.Swap(c)
	for _, l := range m.everyLog() {
		l.config.CompareAndSwap(old, c)
	}
}

// Dirs describes the data directories, in the order configured.
func (m *Manager) Dirs() []DirStatus {
	list := make([]DirStatus, len(m.dirs))
	for i, d := range m.dirs {
		list[i] = DirStatus{Path: d.path, ID: d.id, Err: d.err(), Total: -1, Usable: -1}
		var st unix.Statfs_t
		if list[i].Err == nil && unix.Statfs(d.path, &st) == nil {
			list[i].Total, list[i].Usable = int64(st.Blocks)*st.Bsize, int64(st.Bavail)*st.Bsize
		}
	}
	return list
}

// FailDir takes a data directory offline, as an I/O error in it does.
func (m *Manager) FailDir(path string, err error) {
	for _, d := range m.dirs {
		if d.path == path {
			d.fail("use", err)
		}
	}
}
