package log

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// PartitionMetadataName is the file in a log's directory that holds its topic's id.
const PartitionMetadataName = "partition.metadata"

const partitionMetadataMaxSize = 64 << 10

// ErrPartitionMetadata says that partition.metadata cannot be understood.
var ErrPartitionMetadata = errors.New("partition.metadata is invalid")

// ReadPartitionMetadata reads the topic id from the file in dir. If there is none, the
// error is fs.ErrNotExist.
func ReadPartitionMetadata(fsys FS, dir string) (protocol.UUID, error) {
	path := filepath.Join(dir, PartitionMetadataName)
	b, err := readFile(fsys, path, partitionMetadataMaxSize)
	if err != nil {
		return protocol.UUID{}, fmt.Errorf("read partition.metadata: %w", err)
	}
	id, err := ParsePartitionMetadata(b)
	if err != nil {
		return protocol.UUID{}, fmt.Errorf("read %s: %w", path, err)
	}
	return id, nil
}

// WritePartitionMetadata replaces the file in dir; a crash leaves the old one or the new
// one.
func WritePartitionMetadata(fsys FS, dir string, topicID protocol.UUID) error {
	if err := writeFileAtomically(fsys, filepath.Join(dir, PartitionMetadataName), AppendPartitionMetadata(nil, topicID)); err != nil {
		return fmt.Errorf("write partition.metadata: %w", err)
	}
	return nil
}

// ParsePartitionMetadata reads the contents of the file: "version: 0" and "topic_id: "
// with the id, on a line each. Later versions are read too; they may only add to it.
func ParsePartitionMetadata(b []byte) (protocol.UUID, error) {
	first, rest := cutLine(b)
	second, _ := cutLine(rest)
	version, ok := cutField(string(first))
	if !ok {
		return protocol.UUID{}, fmt.Errorf("%w: line 1: %.80q has no version", ErrPartitionMetadata, first)
	}
	if v, err := parseInt([]byte(version), 32); err != nil || v < 0 {
		return protocol.UUID{}, fmt.Errorf("%w: line 1: version %.40q is unknown", ErrPartitionMetadata, version)
	}
	text, ok := cutField(string(second))
	if !ok {
		return protocol.UUID{}, fmt.Errorf("%w: line 2: %.80q has no topic id", ErrPartitionMetadata, second)
	}
	id, err := protocol.ParseUUID(text)
	if err != nil {
		return protocol.UUID{}, fmt.Errorf("%w: line 2: %w", ErrPartitionMetadata, err)
	}
	if id.IsZero() {
		return protocol.UUID{}, fmt.Errorf("%w: line 2: the topic id is zero", ErrPartitionMetadata)
	}
	return id, nil
}

// cutField returns what stands behind the colon and blanks, of which there must be one.
func cutField(line string) (value string, ok bool) {
	_, after, found := strings.Cut(line, ":")
	value = strings.TrimLeft(after, " \t")
	return value, found && value != after && !strings.Contains(value, ": ")
}

// AppendPartitionMetadata appends the contents of the file to dst. The last line has no
// end, as Apache Kafka's has none.
func AppendPartitionMetadata(dst []byte, topicID protocol.UUID) []byte {
	return fmt.Appendf(dst, "version: 0\ntopic_id: %s", topicID)
}
