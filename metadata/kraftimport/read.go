package kraftimport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// DirName is what Apache Kafka calls its metadata log.
const DirName = "__cluster_metadata-0"

// ErrCorrupt says that the directory does not hold what Apache Kafka writes.
var ErrCorrupt = errors.New("corrupt KRaft metadata log")

// ErrNewer says that the directory was written by an Apache Kafka that knows more than this
// program.
var ErrNewer = errors.New("KRaft metadata of a newer Apache Kafka")

// Metadata is what a metadata log says.
type Metadata struct {
	// Records make the cluster's image out of an empty one. They do not name the cluster:
	// its id is in meta.properties, not in the log.
	Records []metadata.Record
	// NextOffset is the offset after the last record read, Epoch the leader epoch of the last batch.
	NextOffset int64
	Epoch      int32
}

// Read reads the metadata log in dir: the newest checkpoint, then the log from there on. A
// batch that the end of the log cut short ends it.
func Read(dir fs.FS) (*Metadata, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	var checkpoint string
	var segments []segment
	end := int64(0) // offset that the checkpoint reaches to
	for _, e := range entries {
		name := e.Name()
		if base, ok := strings.CutSuffix(name, ".log"); ok {
			offset, err := strconv.ParseUint(base, 10, 63)
			if err != nil || len(base) != 20 {
				return nil, fmt.Errorf("%w: file %s", ErrCorrupt, name)
			}
			segments = append(segments, segment{int64(offset), name})
		}
		if offset, ok := checkpointOffset(name); ok && offset >= end {
			checkpoint, end = name, offset
		}
	}
	if len(segments) == 0 && checkpoint == "" {
		return nil, fmt.Errorf("%w: neither a segment nor a checkpoint", ErrCorrupt)
	}
	r := &reader{model: newModel()}
	if checkpoint != "" {
		if err := r.readFile(dir, checkpoint, -1, false); err != nil {
			return nil, err
		}
		if r.inTransaction {
			return nil, fmt.Errorf("%w: %s ends within a transaction", ErrCorrupt, checkpoint)
		}
		r.next = end
	}
	slices.SortFunc(segments, func(a, b segment) int { return strings.Compare(a.name, b.name) })
	if err := r.readSegments(dir, segments); err != nil {
		return nil, err
	}
	return &Metadata{Records: r.model.records(), NextOffset: r.next, Epoch: r.epoch}, nil
}

type segment struct {
	base int64
	name string
}

// checkpointOffset reads the end offset out of a name like 00000000000000000123-0000000004.checkpoint.
func checkpointOffset(name string) (int64, bool) {
	base, ok := strings.CutSuffix(name, ".checkpoint")
	if !ok || len(base) != 31 || base[20] != '-' {
		return 0, false
	}
	offset, err := strconv.ParseUint(base[:20], 10, 63)
	return int64(offset), err == nil
}

// reader goes through files batch by batch.
type reader struct {
	model *model
	next  int64 // offset of the next record of the log
	epoch int32
	buf   protocol.RecordsBuffer
	batch []byte

	// Records of a transaction that has begun are held back until it ends.
	inTransaction bool
	pending       [][]byte
}

func (r *reader) readSegments(dir fs.FS, segments []segment) error {
	for i, s := range segments {
		last := i == len(segments)-1
		if !last && segments[i+1].base <= r.next {
			continue // all of it is in the checkpoint
		}
		if s.base > r.next {
			return fmt.Errorf("%w: records from %d to %d are missing", ErrCorrupt, r.next, s.base)
		}
		if err := r.readFile(dir, s.name, r.next, last); err != nil {
			return err
		}
	}
	return nil
}

// readFile reads the records of a file whose offset is not below from, those of a
// checkpoint if from is -1. If the file is the last its tail may be torn.
func (r *reader) readFile(dir fs.FS, name string, from int64, last bool) error {
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	src, left := bufio.NewReaderSize(f, 64<<10), info.Size()
	for left > 0 {
		batch, h, err := r.readBatch(src, left)
		if err == nil {
			err = r.applyBatch(batch, &h, from)
		}
		switch {
		case err == nil:
		case last && errors.Is(err, errTorn):
			return nil
		default:
			return fmt.Errorf("%s, %d bytes before its end: %w", name, left, err)
		}
		left -= int64(len(batch))
	}
	return nil
}

// errTorn says that a batch is cut short or not what its checksum says.
var errTorn = fmt.Errorf("%w: torn batch", ErrCorrupt)

const batchLengthEnd = 12 // base offset and length field

func (r *reader) readBatch(src *bufio.Reader, left int64) ([]byte, protocol.RecordBatch, error) {
	var h protocol.RecordBatch
	head, err := src.Peek(batchLengthEnd)
	if err != nil {
		return nil, h, errTorn
	}
	size := int64(binary.BigEndian.Uint32(head[8:])) + batchLengthEnd
	if size > left || size < protocol.BatchOverhead {
		return nil, h, errTorn
	}
	// left is the size of a file that is there, so this is no more than it has.
	r.batch = slices.Grow(r.batch[:0], int(size))[:size]
	if _, err := io.ReadFull(src, r.batch); err != nil {
		return nil, h, errTorn
	}
	h, err = protocol.ParseRecordBatch(r.batch)
	if err != nil || protocol.BatchCRC(r.batch) != h.CRC {
		return nil, h, errTorn
	}
	return r.batch, h, nil
}

func (r *reader) applyBatch(batch []byte, h *protocol.RecordBatch, from int64) error {
	r.epoch = max(r.epoch, h.LeaderEpoch)
	if !h.IsControl() {
		err := protocol.WalkRecords(batch, h, &r.buf, func(record *protocol.Record) error {
			if from >= 0 && record.Offset < from {
				return nil
			}
			return r.apply(record.Value)
		})
		if err != nil {
			return err
		}
	}
	if from >= 0 {
		r.next = max(r.next, h.BaseOffset+int64(h.LastOffsetDelta)+1)
	}
	return nil
}

// apply applies one record, or keeps it for the end of its transaction.
func (r *reader) apply(value []byte) error {
	in := decoder{src: value}
	frame, key, version := in.uvarint(), in.uvarint(), in.uvarint()
	if in.failed || frame != 1 {
		return fmt.Errorf("%w: record frame", ErrCorrupt)
	}
	switch key {
	case keyBeginTransaction:
		r.inTransaction, r.pending = true, nil
		return nil
	case keyAbortTransaction:
		r.inTransaction, r.pending = false, nil
		return nil
	case keyEndTransaction:
		pending := r.pending
		r.inTransaction, r.pending = false, nil
		for _, value := range pending {
			if err := r.apply(value); err != nil {
				return err
			}
		}
		return nil
	}
	if r.inTransaction {
		r.pending = append(r.pending, slices.Clone(value))
		return nil
	}
	return r.model.apply(key, version, &in)
}
