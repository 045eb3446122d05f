package log

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"

	"github.com/barnabas-broker/barnabas/protocol"
)

// The checkpoint files of a data directory.
const (
	RecoveryPointCheckpointName = "recovery-point-offset-checkpoint" // below it everything is synced
	HighWatermarkCheckpointName = "replication-offset-checkpoint"    // high watermarks
	LogStartCheckpointName      = "log-start-offset-checkpoint"      // where DeleteRecords has moved it
	CleanerOffsetCheckpointName = "cleaner-offset-checkpoint"        // up to where compaction has come
	checkpointVersion           = 0
	checkpointMaxFileSize       = 256 << 20 // a million partitions with the longest names
)

// ErrCorruptCheckpoint says that a checkpoint file cannot be read.
var ErrCorruptCheckpoint = errors.New("checkpoint file is corrupt")

// PartitionOffset is one line of a checkpoint file.
type PartitionOffset struct {
	Partition protocol.TopicPartition
	Offset    int64
}

// CheckpointFile is a file of a data directory that holds an offset for each of its
// partitions: a line with the version, 0, a line with the number of entries, and a line
// for each, topic, partition and offset with blanks between.
//
// It may be used by any goroutine.
type CheckpointFile struct {
	fs   FS
	path string
	mu   sync.Mutex // held while the file is written
}

// NewCheckpointFile names a file, which need not exist.
func NewCheckpointFile(fsys FS, path string) *CheckpointFile {
	return &CheckpointFile{fs: fsys, path: path}
}

// Read returns the entries; a file that does not exist, or is empty, has none.
func (c *CheckpointFile) Read() (map[protocol.TopicPartition]int64, error) {
	b, err := readCheckpointFile(c.fs, c.path)
	if err != nil {
		return nil, err
	}
	entries, err := ParseOffsetCheckpoint(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.path, err)
	}
	offsets := make(map[protocol.TopicPartition]int64, len(entries))
	for _, e := range entries {
		offsets[e.Partition] = e.Offset
	}
	return offsets, nil
}

// Write replaces the file's contents; a crash leaves the old ones or the new ones. It
// sorts the entries.
func (c *CheckpointFile) Write(entries []PartitionOffset) error {
	slices.SortFunc(entries, func(a, b PartitionOffset) int {
		return cmp.Or(cmp.Compare(a.Partition.Topic, b.Partition.Topic), cmp.Compare(a.Partition.Partition, b.Partition.Partition))
	})
	b := AppendOffsetCheckpoint(nil, entries)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := writeFileAtomically(c.fs, c.path, b); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// ParseOffsetCheckpoint reads the contents of a checkpoint file.
func ParseOffsetCheckpoint(b []byte) ([]PartitionOffset, error) {
	var entries []PartitionOffset
	topic := ""
	err := parseCheckpoint(b, 3, func(fields [][]byte) error {
		partition, err := parseInt(fields[1], 32)
		if err != nil {
			return fmt.Errorf("%q is not a partition", fields[1])
		}
		offset, err := parseInt(fields[2], 64)
		if err != nil {
			return fmt.Errorf("%q is not an offset", fields[2])
		}
		if string(fields[0]) != topic {
			topic = string(fields[0]) // shared by its partitions if they are together
		}
		entries = append(entries, PartitionOffset{Partition: protocol.TopicPartition{Topic: topic, Partition: int32(partition)}, Offset: offset})
		return nil
	})
	return entries, err
}

// AppendOffsetCheckpoint appends the contents of a checkpoint file to dst.
func AppendOffsetCheckpoint(dst []byte, entries []PartitionOffset) []byte {
	dst = appendCheckpointHeader(dst, len(entries))
	for i := range entries {
		e := &entries[i]
		dst = append(dst, e.Partition.Topic...)
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, int64(e.Partition.Partition), 10)
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, e.Offset, 10)
		dst = append(dst, '\n')
	}
	return dst
}

// readCheckpointFile reads a file that need not exist.
func readCheckpointFile(fsys FS, path string) ([]byte, error) {
	b, err := readFile(fsys, path, checkpointMaxFileSize)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return b, nil
}

func appendCheckpointHeader(dst []byte, count int) []byte {
	dst = strconv.AppendInt(dst, checkpointVersion, 10)
	dst = append(dst, '\n')
	dst = strconv.AppendInt(dst, int64(count), 10)
	return append(dst, '\n')
}

// parseCheckpoint reads the version and count of a checkpoint file and hands the fields of
// each line to entry. Like Apache's it takes an empty file, and one with only a version,
// for one without entries. Errors are [ErrCorruptCheckpoint] and name the line.
func parseCheckpoint(b []byte, fieldCount int, entry func(fields [][]byte) error) error {
	line, rest := cutLine(b)
	if len(b) == 0 {
		return nil
	}
	version, err := parseInt(line, 32)
	if err != nil {
		return fmt.Errorf("%w: line 1: %.40q is not a version", ErrCorruptCheckpoint, line)
	}
	if version != checkpointVersion {
		return fmt.Errorf("%w: line 1: version %d is unknown", ErrCorruptCheckpoint, version)
	}
	if len(rest) == 0 {
		return nil
	}
	line, rest = cutLine(rest)
	count, err := parseInt(line, 32)
	if err != nil || count < 0 {
		return fmt.Errorf("%w: line 2: %.40q is not a number of entries", ErrCorruptCheckpoint, line)
	}
	read := int64(0)
	fields := make([][]byte, 0, 4)
	for ; len(rest) > 0; read++ {
		line, rest = cutLine(rest)
		if fields = splitBlanks(fields[:0], line); len(fields) != fieldCount {
			return fmt.Errorf("%w: line %d: %.300q does not have %d fields", ErrCorruptCheckpoint, read+3, line, fieldCount)
		}
		if err := entry(fields); err != nil {
			return fmt.Errorf("%w: line %d: %.300q: %w", ErrCorruptCheckpoint, read+3, line, err)
		}
	}
	if read != count {
		return fmt.Errorf("%w: %d entries instead of %d", ErrCorruptCheckpoint, read, count)
	}
	return nil
}

// cutLine cuts the first line off b, without its end.
func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'}), rest
}

// splitBlanks is bytes.Fields into fields, for blanks in the middle only and at most as
// many as fields has room for.
func splitBlanks(fields [][]byte, line []byte) [][]byte {
	start := 0
	for i := 0; i <= len(line); i++ {
		if i < len(line) && line[i] != ' ' && line[i] != '\t' {
			continue
		}
		if i > start || i == len(line) || start == 0 {
			if len(fields) == cap(fields) {
				return append(fields, nil) // too many; the caller counts
			}
			fields = append(fields, line[start:i])
		}
		start = i + 1
	}
	return fields
}

// parseInt reads a whole decimal number; it allocates only for an error.
func parseInt(b []byte, bits int) (int64, error) { return strconv.ParseInt(string(b), 10, bits) }
