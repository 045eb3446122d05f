package log

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barnabas-broker/barnabas/protocol"
)

// CleanerOptions says how a [Cleaner] works. The zero value of a field means its default.
type CleanerOptions struct {
	Dirs              []string                    // data directories, for the checkpoints
	Logs              iter.Seq[CleanableLog]      // all logs there are, whenever asked; required
	Threads           int                         // log.cleaner.threads; 1
	DedupeBufferSize  int64                       // log.cleaner.dedupe.buffer.size, for all threads together; 128 MiB
	LoadFactor        float64                     // log.cleaner.io.buffer.load.factor; 0.9
	IOBufferSize      int                         // log.cleaner.io.buffer.size, for all threads together; 512 KiB
	MaxBytesPerSecond float64                     // log.cleaner.io.max.bytes.per.second, read and written; unlimited
	Backoff           time.Duration               // log.cleaner.backoff.ms; 15 s
	FS                FS                          // the operating system's files
	Now               func() time.Time            // time.Now
	Rand              func([]byte)                // fills in the secret of the key hash; crypto/rand
	Logger            *slog.Logger                // discards
	OnDirFailure      func(dir string, err error) // told of I/O errors in a data directory
}

func (o CleanerOptions) withDefaults() CleanerOptions {
	o.Threads = cmp.Or(max(o.Threads, 0), 1)
	o.DedupeBufferSize = cmp.Or(o.DedupeBufferSize, 128<<20)
	o.LoadFactor = cmp.Or(o.LoadFactor, 0.9)
	o.IOBufferSize = cmp.Or(o.IOBufferSize, 512<<10)
	o.Backoff = cmp.Or(o.Backoff, 15*time.Second)
	if o.FS == nil {
		o.FS = OS{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = func(b []byte) { rand.Read(b) }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnDirFailure == nil {
		o.OnDirFailure = func(string, error) {}
	}
	return o
}

// Cleaner compacts logs: of each key it keeps the newest record.
//
// It does what Apache Kafka's LogCleaner does. The part of a log above the cleaner's
// checkpoint, up to the first segment that may not be touched yet, is read into a map of
// the newest offset of each key. Then all segments from the first up to where the map got
// are rewritten, grouped into segments of full size, without the records that the map
// knows newer ones of, old tombstones, aborted transactions and the markers of
// transactions that have no records left.
//
// Any goroutine may call its methods. Memory is bounded by DedupeBufferSize and
// IOBufferSize, but for batches larger than the latter, and let go after each compaction.
type Cleaner struct {
	opts     CleanerOptions // but for what cleanerSettings has
	throttle cleanerThrottle

	mu          sync.Mutex
	changed     sync.Cond // a partition's state has
	partitions  map[protocol.TopicPartition]*cleanerState
	uncleanable map[protocol.TopicPartition]struct{}
	dirs        map[string]*cleanerDir
	status      CleanerStatus
	settings    cleanerSettings
	altered     chan struct{} // closed when settings have changed since Run read them
}

// cleanerSettings are the options that [Cleaner.Configure] changes.
type cleanerSettings struct {
	threads           int
	dedupeBufferSize  int64
	ioBufferSize      int
	maxBytesPerSecond float64 // throttle has it too
	backoff           time.Duration
}

// settings are those of the options, or an error if they cannot be kept.
func (o CleanerOptions) settings() (cleanerSettings, error) {
	if float64(o.DedupeBufferSize/int64(o.Threads)/offsetMapSlotSize)*o.LoadFactor <= 1 {
		return cleanerSettings{}, fmt.Errorf("the dedupe buffer of %d bytes is too small for %d cleaner threads", o.DedupeBufferSize, o.Threads)
	}
	return cleanerSettings{o.Threads, o.DedupeBufferSize, o.IOBufferSize, o.MaxBytesPerSecond, o.Backoff}, nil
}

// cleanerState is there while a partition is being worked on or paused.
type cleanerState struct {
	busy   bool
	stop   bool // the work shall end soon
	pauses int
}

type cleanerDir struct {
	file    *CheckpointFile
	offsets map[protocol.TopicPartition]int64 // first dirty offsets
	writing sync.Mutex                        // taken before Cleaner.mu, so that older contents never follow newer
}

// CleanerStatus is for metrics.
type CleanerStatus struct {
	LastRun            time.Time // when logs were last looked through
	MaxDirtyRatio      float64   // of the dirtiest log then
	MaxOverdue         time.Duration
	UncleanableCount   int
	LastPass           CleanStats
	LastPassDuration   time.Duration
	LastMapUtilization float64
}

// NewCleaner reads the checkpoints of the data directories. One that cannot be read is
// taken for empty: its logs are compacted from their start again.
func NewCleaner(opts CleanerOptions) (*Cleaner, error) {
	o := opts.withDefaults()
	if o.Logs == nil {
		return nil, errors.New("a cleaner needs logs")
	}
	settings, err := o.settings()
	if err != nil {
		return nil, err
	}
	c := &Cleaner{
		settings:    settings,
		altered:     make(chan struct{}),
		opts:        o,
		partitions:  make(map[protocol.TopicPartition]*cleanerState),
		uncleanable: make(map[protocol.TopicPartition]struct{}),
		dirs:        make(map[string]*cleanerDir),
	}
	c.changed.L = &c.mu
	c.throttle.set(o.MaxBytesPerSecond)
	for _, dir := range o.Dirs {
		d := &cleanerDir{file: NewCheckpointFile(o.FS, filepath.Join(dir, CleanerOffsetCheckpointName))}
		offsets, err := d.file.Read()
		if err != nil {
			o.Logger.Error("Cleaner checkpoint cannot be read, compaction starts over", "dir", dir, "err", err)
			offsets = make(map[protocol.TopicPartition]int64)
		}
		d.offsets = offsets
		c.dirs[dir] = d
	}
	return c, nil
}

// Configure takes the options that may change while the cleaner runs: Threads,
// DedupeBufferSize, IOBufferSize, MaxBytesPerSecond and Backoff. As on Apache Kafka the
// compactions under way end then, and begin anew.
func (c *Cleaner) Configure(opts CleanerOptions) error {
	o := opts.withDefaults()
	o.LoadFactor = c.opts.LoadFactor
	settings, err := o.settings()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if settings != c.settings {
		c.settings = settings
		c.throttle.set(settings.maxBytesPerSecond)
		close(c.altered)
		c.altered = make(chan struct{})
	}
	return nil
}

// Options returns the options in force.
func (c *Cleaner) Options() CleanerOptions {
	o := c.opts
	s, _ := c.current()
	o.Threads, o.DedupeBufferSize, o.IOBufferSize = s.threads, s.dedupeBufferSize, s.ioBufferSize
	o.MaxBytesPerSecond, o.Backoff = s.maxBytesPerSecond, s.backoff
	return o
}

// current returns the settings in force, and what is closed when they are no longer.
func (c *Cleaner) current() (cleanerSettings, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings, c.altered
}

// Run cleans until ctx is done, in as many goroutines as the settings say, and returns
// when the last has stopped.
func (c *Cleaner) Run(ctx context.Context) {
	for ctx.Err() == nil {
		settings, altered := c.current()
		running, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		for range settings.threads {
			wg.Go(func() { c.run(running, settings.backoff) })
		}
		select {
		case <-ctx.Done():
		case <-altered:
		}
		stop()
		wg.Wait()
	}
}

// run is one of Run's goroutines.
func (c *Cleaner) run(ctx context.Context, backoff time.Duration) {
	for ctx.Err() == nil {
		cleaned, err := c.CleanOnce(ctx)
		if err != nil && ctx.Err() == nil {
			c.opts.Logger.Error("Compaction failed", "err", err)
		}
		if !cleaned || err != nil {
			sleepOrDone(ctx, backoff)
		}
	}
}

func sleepOrDone(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// CleanOnce is one step of Run: it compacts the log that is the dirtiest, if any is dirty
// enough, and applies retention to all compacted logs. It says whether it compacted one.
// A log that cannot be compacted, for its bytes are corrupt, say, is left alone from then
// on; the error tells.
func (c *Cleaner) CleanOnce(ctx context.Context) (cleaned bool, err error) {
	filthiest, err := c.grabFilthiest()
	if filthiest != nil {
		err = errors.Join(err, c.compact(ctx, filthiest))
	}
	return filthiest != nil, errors.Join(err, c.deleteOldSegments(ctx))
}

// grabFilthiest looks through all logs and takes the one with the highest ratio of dirty
// bytes, if that or its age asks for compaction.
func (c *Cleaner) grabFilthiest() (*logToClean, error) {
	nowMs := c.opts.Now().UnixMilli()
	status := CleanerStatus{LastRun: c.opts.Now()}
	var filthiest *logToClean
	var errs []error
	present := make(map[protocol.TopicPartition]struct{})
	for log := range c.opts.Logs {
		tp := log.Partition()
		if c.hasUncleanable() {
			present[tp] = struct{}{}
		}
		checkpoint, hasCheckpoint, ok := c.mayClean(log, tp)
		if !ok || !log.Config().Compact {
			continue
		}
		l, err := assess(log, checkpoint, hasCheckpoint, nowMs)
		if errors.Is(err, errSegmentGone) || errors.Is(err, ErrClosed) {
			continue // deleted or replaced meanwhile; the next look tells
		}
		if err != nil {
			c.markUncleanable(tp)
			errs = append(errs, fmt.Errorf("assess %s for compaction: %w", tp, err))
			continue
		}
		if l.checkpointInvalid {
			if !log.Config().Delete {
				c.opts.Logger.Warn("Cleaner checkpoint is not an offset of the log, compaction starts over", "partition", tp, "offset", checkpoint)
			}
			errs = append(errs, c.setCheckpoint(log.DataDir(), tp, l.firstDirtyOffset))
		}
		if l.totalBytes() == 0 {
			continue
		}
		status.MaxDirtyRatio = max(status.MaxDirtyRatio, l.ratio())
		status.MaxOverdue = max(status.MaxOverdue, time.Duration(l.overdueMs)*time.Millisecond)
		if l.isDue() && (filthiest == nil || l.ratio() > filthiest.ratio()) {
			filthiest = l
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(present) > 0 {
		for tp := range c.uncleanable {
			if _, ok := present[tp]; !ok {
				delete(c.uncleanable, tp) // deleted meanwhile
			}
		}
	}
	status.UncleanableCount = len(c.uncleanable)
	status.LastPass, status.LastPassDuration, status.LastMapUtilization = c.status.LastPass, c.status.LastPassDuration, c.status.LastMapUtilization
	c.status = status
	// Paused, or taken by another goroutine, since it was looked at?
	if filthiest != nil && !c.takeLocked(filthiest.partition) {
		filthiest = nil
	}
	return filthiest, errors.Join(errs...)
}

func (c *Cleaner) hasUncleanable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.uncleanable) > 0
}

// mayClean says whether a log may be worked on now, and returns its checkpoint.
func (c *Cleaner) mayClean(log CleanableLog, tp protocol.TopicPartition) (checkpoint int64, hasCheckpoint, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir := c.dirs[log.DataDir()]
	if dir == nil || c.partitions[tp] != nil {
		return 0, false, false
	}
	if _, bad := c.uncleanable[tp]; bad {
		return 0, false, false
	}
	checkpoint, hasCheckpoint = dir.offsets[tp]
	return checkpoint, hasCheckpoint, true
}

func (c *Cleaner) takeLocked(tp protocol.TopicPartition) bool {
	if c.partitions[tp] != nil {
		return false
	}
	c.partitions[tp] = &cleanerState{busy: true}
	return true
}

// release ends the work on a partition and says whether it was asked to.
func (c *Cleaner) release(tp protocol.TopicPartition) (stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.partitions[tp]
	stopped = s.stop
	s.busy, s.stop = false, false
	if s.pauses == 0 {
		delete(c.partitions, tp)
	}
	c.changed.Broadcast()
	return stopped
}

func (c *Cleaner) markUncleanable(tp protocol.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uncleanable[tp] = struct{}{}
}

// compact runs one pass over a log that has been taken.
func (c *Cleaner) compact(ctx context.Context, l *logToClean) error {
	started := c.opts.Now()
	settings, _ := c.current()
	var seed [16]byte
	c.opts.Rand(seed[:])
	pass := &cleanerPass{
		log:                    l.log,
		config:                 l.config,
		firstDirtyOffset:       l.firstDirtyOffset,
		firstUncleanableOffset: l.firstUncleanableOffset,
		nowMs:                  started.UnixMilli(),
		offsets:                newOffsetMap(settings.dedupeBufferSize/int64(settings.threads), c.opts.LoadFactor, seed),
		buffer:                 make([]byte, max(settings.ioBufferSize/settings.threads/2, 1024)),
		throttle:               func(bytes int) error { return c.throttle.wait(ctx, bytes) },
		stopped:                func() error { return c.checkStopped(ctx, l.partition) },
	}
	next, err := pass.clean()
	if err == nil {
		// The checkpoint must not be written for a log that was truncated meanwhile: who
		// truncates pauses us first, which waits for this.
		err = c.setCheckpointUnlessStopped(l.log.DataDir(), l.partition, next)
	}
	stopped := c.release(l.partition)
	c.mu.Lock()
	c.status.LastPass, c.status.LastPassDuration = pass.stats, c.opts.Now().Sub(started)
	c.status.LastMapUtilization = float64(pass.offsets.keyCount) / float64(pass.offsets.maxKeys)
	c.mu.Unlock()
	switch {
	case err == nil:
		s := &pass.stats
		c.opts.Logger.Info("Compacted", "partition", l.partition, "from", l.firstDirtyOffset, "to", next, "keys", s.Keys,
			"recordsRead", s.RecordsRead, "recordsKept", s.RecordsKept, "bytesRead", s.BytesRead, "bytesWritten", s.BytesWritten)
		return nil
	case errors.Is(err, errCleaningAborted), stopped, ctx.Err() != nil, errors.Is(err, ErrClosed), errors.Is(err, errSegmentGone):
		return nil
	}
	err = fmt.Errorf("compact %s: %w", l.partition, err)
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE): // later there may be descriptors again
	case isDiskError(err):
		c.opts.OnDirFailure(l.log.DataDir(), err)
	default:
		c.markUncleanable(l.partition)
	}
	return err
}

func (c *Cleaner) checkStopped(ctx context.Context, tp protocol.TopicPartition) error {
	c.mu.Lock()
	stop := c.partitions[tp].stop
	c.mu.Unlock()
	if stop || ctx.Err() != nil {
		return errCleaningAborted
	}
	return nil
}

// deleteOldSegments applies retention to the logs that are compacted; the others are the
// manager's, which knows that this one may be replacing segments.
func (c *Cleaner) deleteOldSegments(ctx context.Context) error {
	var errs []error
	for log := range c.opts.Logs {
		if ctx.Err() != nil {
			break
		}
		tp := log.Partition()
		if !log.Config().Compact {
			continue
		}
		if _, _, ok := c.mayClean(log, tp); !ok {
			continue
		}
		c.mu.Lock()
		taken := c.takeLocked(tp)
		c.mu.Unlock()
		if !taken {
			continue
		}
		_, err := log.DeleteOldSegments()
		c.release(tp)
		if err != nil && !errors.Is(err, ErrClosed) {
			errs = append(errs, fmt.Errorf("delete old segments of %s: %w", tp, err))
		}
	}
	return errors.Join(errs...)
}

// Status tells of the last look through the logs and the last pass.
func (c *Cleaner) Status() CleanerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Pause keeps a partition from being compacted, stops a pass under way, and returns when
// it has ended. Each Pause needs a Resume. Whoever truncates, moves or deletes a log
// pauses it; the caller must hold no lock that the log's methods take.
func (c *Cleaner) Pause(tp protocol.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.partitions[tp]
	if s == nil {
		s = &cleanerState{}
		c.partitions[tp] = s
	}
	s.pauses++
	for s.busy {
		s.stop = true
		c.changed.Wait()
	}
}

// Resume undoes one Pause.
func (c *Cleaner) Resume(tp protocol.TopicPartition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.partitions[tp]
	if s == nil || s.pauses == 0 {
		panic("log: compaction was resumed more often than paused")
	}
	if s.pauses--; s.pauses == 0 && !s.busy {
		delete(c.partitions, tp)
	}
}
