package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// truth is what the files of a partition held before they were damaged.
type truth struct {
	dir      string // of the partition, relative to the scene
	segments []truthSegment
	records  map[int64]string // by offset, rendered whole
}

type truthSegment struct {
	name    string // of the .log file
	base    int64
	size    int64
	batches []truthBatch
}

type truthBatch struct {
	pos, size   int64
	first, last int64
	magic       int8
}

// readTruths reads all partitions of a scene.
func readTruths(dir string) (map[protocol.TopicPartition]*truth, error) {
	truths := map[protocol.TopicPartition]*truth{}
	for _, d := range []string{"a", "b"} {
		entries, err := os.ReadDir(filepath.Join(dir, d))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			tp, ok := parsePartition(e.Name())
			if !ok || !e.IsDir() || strings.HasPrefix(tp.Topic, "__cluster") {
				continue
			}
			t := &truth{dir: filepath.Join(d, e.Name()), records: map[int64]string{}}
			if err := t.read(filepath.Join(dir, t.dir)); err != nil {
				return nil, fmt.Errorf("%s: %w", t.dir, err)
			}
			truths[tp] = t
		}
	}
	return truths, nil
}

func parsePartition(name string) (tp protocol.TopicPartition, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 {
		return tp, false
	}
	n, err := strconv.Atoi(name[i+1:])
	return protocol.TopicPartition{Topic: name[:i], Partition: int32(n)}, err == nil
}

func (t *truth) read(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".log" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		base, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), ".log"), 10, 64)
		if err != nil {
			return err
		}
		s := truthSegment{name: e.Name(), base: base, size: int64(len(data))}
		err = walkBatches(data, func(pos int, b []byte) error {
			records, last, err := batchRecords(b)
			if err != nil {
				return fmt.Errorf("%s at %d: %w", e.Name(), pos, err)
			}
			batch := truthBatch{pos: int64(pos), size: int64(len(b)), first: last, last: last, magic: int8(b[16])}
			for offset, text := range records {
				t.records[offset] = text
				batch.first = min(batch.first, offset)
			}
			s.batches = append(s.batches, batch)
			return nil
		})
		if err != nil {
			return err
		}
		t.segments = append(t.segments, s)
	}
	slices.SortFunc(t.segments, func(a, b truthSegment) int { return cmp.Compare(a.base, b.base) })
	return nil
}

// walkBatches cuts b into batches; a piece at the end is left out.
func walkBatches(b []byte, fn func(pos int, b []byte) error) error {
	for pos := 0; ; {
		_, _, size, err := protocol.PeekBatch(b[pos:])
		if err != nil || pos+size > len(b) {
			return nil
		}
		if err := fn(pos, b[pos:pos+size]); err != nil {
			return err
		}
		pos += size
	}
}

// batchRecords checks a batch and renders its records, by offset.
func batchRecords(b []byte) (records map[int64]string, last int64, err error) {
	if err := protocol.CheckCRC(b); err != nil {
		return nil, 0, err
	}
	parsed, err := protocol.ReadRecords(b)
	if err != nil {
		return nil, 0, err
	}
	last, _, _, _ = protocol.PeekBatch(b)
	producer := ""
	if b[16] == 2 {
		h, err := protocol.ParseRecordBatch(b)
		if err != nil {
			return nil, 0, err
		}
		last = h.LastOffset()
		producer = fmt.Sprintf("pid %d epoch %d control %v", h.ProducerID, h.ProducerEpoch, h.IsControl())
	}
	records = map[int64]string{}
	for _, r := range parsed {
		records[r.Offset] = fmt.Sprintf("@%d %s %s %v seq %d magic %d %s", r.Timestamp, quote(r.Key), quote(r.Value), r.Headers, r.Sequence, r.Magic, producer)
	}
	return records, last, nil
}

func quote(b []byte) string {
	if b == nil {
		return "null"
	}
	return strconv.Quote(string(b))
}

// firstIn is the first offset of the batches of a segment that bytes from pos on touch;
// the largest there is if none does.
func (s *truthSegment) firstIn(pos int64) int64 {
	for _, b := range s.batches {
		if b.pos+b.size > pos {
			return b.first
		}
	}
	return never
}

const never = int64(1<<63 - 1)
