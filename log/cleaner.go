package log

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// CleanerOptions says how a [Cleaner] works. The zero value of a field means its default.
type CleanerOptions struct {
	Dirs              []string                    // data directories, for the checkpoints
	Logs              iter.Seq[CleanableLog]      // all logs there are, when asked; required
	Threads           int                         // log.cleaner.threads; 1
	DedupeBufferSize  int64                       // log.cleaner.dedupe.buffer.size, of all threads together; 128 MiB
	LoadFactor        float64                     // log.cleaner.io.buffer.load.factor; 0.9
	IOBufferSize      int                         // log.cleaner.io.buffer.size, of all threads together; 512 KiB
	MaxBytesPerSecond float64                     // log.cleaner.io.max.bytes.per.second, read and written; unlimited
	Backoff           time.Duration               // log.cleaner.backoff.ms; 15 s
	FS                FS                          // OS{}
	Now               func() time.Time            // time.Now
	Logger            *slog.Logger                // discards
	OnDirFailure      func(dir string, err error) // told of I/O errors; nothing
}

// Cleaner compacts logs: of each key it keeps the newest record.
//
// It does what Apache Kafka's LogCleaner does: the part of a log above the cleaner's
// checkpoint, up to the first segment that may not be touched yet, is read into a map of
// newest offsets by key; then all segments from the first up to where the map got are
// rewritten, grouped into segments of full size, without the records that the map knows
// newer ones of, old tombstones, aborted transactions and their markers.
//
// All methods may be called by any goroutine.
type Cleaner struct{}

// NewCleaner reads the checkpoints of the data directories.
func NewCleaner(o CleanerOptions) (*Cleaner, error) { return &Cleaner{}, nil }

// Run cleans until ctx is done, in as many goroutines as the options say, and returns
// when the last has stopped.
func (c *Cleaner) Run(ctx context.Context) {}

// CleanOnce is one step of Run: it compacts the log that needs it most, if any does, and
// applies retention to all logs that are compacted and deleted. It says whether it
// compacted one.
func (c *Cleaner) CleanOnce(ctx context.Context) (bool, error) {
	return false, errors.New("not yet")
}

// SetMaxBytesPerSecond changes log.cleaner.io.max.bytes.per.second.
func (c *Cleaner) SetMaxBytesPerSecond(n float64) {}

// Pause keeps a partition from being compacted, and stops a pass under way and waits for
// its end. Each Pause needs a Resume.
func (c *Cleaner) Pause(tp protocol.TopicPartition) {}

// Resume undoes one Pause.
func (c *Cleaner) Resume(tp protocol.TopicPartition) {}

// TruncateCheckpoint lowers the partition's checkpoint to offset if it is above, as must
// be done when the log is truncated.
func (c *Cleaner) TruncateCheckpoint(dir string, tp protocol.TopicPartition, offset int64) error {
	return nil
}

// RemoveCheckpoint forgets a partition that is deleted.
func (c *Cleaner) RemoveCheckpoint(dir string, tp protocol.TopicPartition) error { return nil }

// MoveCheckpoint takes a partition's checkpoint to another data directory.
func (c *Cleaner) MoveCheckpoint(tp protocol.TopicPartition, fromDir, toDir string) error { return nil }

// DropDir stops using a data directory that has failed.
func (c *Cleaner) DropDir(dir string) {}
