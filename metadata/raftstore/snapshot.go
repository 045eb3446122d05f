package raftstore

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/barnabas-broker/barnabas/metadata"
)

// A snapshot is a run of sections
//
//	kind    byte: 1 header, 2 records, 3 end
//	size    uint32, bytes of the payload
//	crc     uint32, CRC-32C of kind and payload
//	payload
//
// The header section is first and holds the version of the format, that of the image, and the
// last request of every node. Records sections hold encoded records, whole ones. The end
// section holds the number of records.
const (
	snapshotFormat = 1

	sectionHeader  = 1
	sectionRecords = 2
	sectionEnd     = 3

	sectionBytes    = 64 << 10 // a section is closed when it has grown past this
	maxSectionBytes = 64 << 20 // a longer one is corrupt
)

var errCorruptSnapshot = errors.New("corrupt metadata snapshot")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// snapshot is a moment of the machine.
type snapshot struct {
	image    *metadata.Image
	requests []requestID
}

// Persist implements raft.FSMSnapshot.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	out := bufio.NewWriterSize(sink, sectionBytes)
	if err := s.write(out); err != nil {
		sink.Cancel()
		return err
	}
	if err := out.Flush(); err != nil {
		sink.Cancel()
		return err
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot.
func (s *snapshot) Release() {}

func (s *snapshot) write(out io.Writer) error {
	header := binary.AppendUvarint(nil, snapshotFormat)
	header = binary.AppendVarint(header, s.image.Version())
	slices.SortFunc(s.requests, func(a, b requestID) int { return int(a.node) - int(b.node) })
	header = binary.AppendUvarint(header, uint64(len(s.requests)))
	for _, r := range s.requests {
		header = r.append(header)
	}
	if err := writeSection(out, sectionHeader, header); err != nil {
		return err
	}
	section := make([]byte, 0, sectionBytes+sectionBytes/2)
	count := uint64(0)
	for r := range s.image.Records() {
		before := len(section)
		section = metadata.AppendRecord(section, r)
		count++
		if before > 0 && len(section) > maxSectionBytes {
			// A large record has a section to itself.
			if err := writeSection(out, sectionRecords, section[:before]); err != nil {
				return err
			}
			section = section[:copy(section, section[before:])]
		}
		if len(section) >= sectionBytes {
			if err := writeSection(out, sectionRecords, section); err != nil {
				return err
			}
			section = section[:0]
		}
	}
	if len(section) > 0 {
		if err := writeSection(out, sectionRecords, section); err != nil {
			return err
		}
	}
	return writeSection(out, sectionEnd, binary.AppendUvarint(nil, count))
}

func writeSection(out io.Writer, kind byte, payload []byte) error {
	if len(payload) > maxSectionBytes {
		return fmt.Errorf("metadata snapshot: a section of %d bytes could not be read", len(payload))
	}
	var head [9]byte
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(payload)))
	crc := crc32.Update(crc32.Checksum(head[:1], castagnoli), castagnoli, payload)
	binary.BigEndian.PutUint32(head[5:], crc)
	if _, err := out.Write(head[:]); err != nil {
		return err
	}
	_, err := out.Write(payload)
	return err
}

// sectionReader reads sections into a buffer that grows with the bytes that really come.
type sectionReader struct {
	src io.Reader
	buf []byte
}

func (r *sectionReader) next() (kind byte, payload []byte, err error) {
	var head [9]byte
	if _, err := io.ReadFull(r.src, head[:]); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errCorruptSnapshot, err)
	}
	size := int(binary.BigEndian.Uint32(head[1:]))
	if size > maxSectionBytes {
		return 0, nil, fmt.Errorf("%w: section of %d bytes", errCorruptSnapshot, size)
	}
	r.buf = r.buf[:0]
	for len(r.buf) < size {
		n := min(size-len(r.buf), max(sectionBytes, len(r.buf)))
		at := len(r.buf)
		r.buf = slices.Grow(r.buf, n)[:at+n]
		if _, err := io.ReadFull(r.src, r.buf[at:]); err != nil {
			return 0, nil, fmt.Errorf("%w: %w", errCorruptSnapshot, err)
		}
	}
	if crc := crc32.Update(crc32.Checksum(head[:1], castagnoli), castagnoli, r.buf); crc != binary.BigEndian.Uint32(head[5:]) {
		return 0, nil, fmt.Errorf("%w: checksum", errCorruptSnapshot)
	}
	return head[0], r.buf, nil
}

// readSnapshot reads what write wrote.
func readSnapshot(src io.Reader) (*metadata.Image, map[int32]requestID, error) {
	in := sectionReader{src: bufio.NewReaderSize(src, sectionBytes)}
	kind, payload, err := in.next()
	if err != nil {
		return nil, nil, err
	}
	if kind != sectionHeader {
		return nil, nil, fmt.Errorf("%w: no header", errCorruptSnapshot)
	}
	version, requests, err := parseSnapshotHeader(payload)
	if err != nil {
		return nil, nil, err
	}
	draft := metadata.NewDraft(metadata.EmptyImage())
	for count := uint64(0); ; {
		kind, payload, err := in.next()
		if err != nil {
			return nil, nil, err
		}
		switch kind {
		case sectionRecords:
			for len(payload) > 0 {
				var r metadata.Record
				if r, payload, err = metadata.ParseRecord(payload); err != nil {
					return nil, nil, err
				}
				if err := draft.Apply(r); err != nil {
					return nil, nil, err
				}
				count++
			}
		case sectionEnd:
			if want, n := binary.Uvarint(payload); n <= 0 || want != count {
				return nil, nil, fmt.Errorf("%w: %d records", errCorruptSnapshot, count)
			}
			image, _ := draft.Finish(version)
			return image, requests, nil
		default:
			return nil, nil, fmt.Errorf("%w: section of kind %d", errCorruptSnapshot, kind)
		}
	}
}

func parseSnapshotHeader(src []byte) (version int64, requests map[int32]requestID, err error) {
	format, n := binary.Uvarint(src)
	if n <= 0 || format != snapshotFormat {
		return 0, nil, fmt.Errorf("%w: format %d", errCorruptSnapshot, format)
	}
	src = src[n:]
	version, n = binary.Varint(src)
	if n <= 0 {
		return 0, nil, errCorruptSnapshot
	}
	src = src[n:]
	count, n := binary.Uvarint(src)
	if n <= 0 || count > uint64(len(src)) {
		return 0, nil, errCorruptSnapshot
	}
	src = src[n:]
	requests = map[int32]requestID{}
	for range count {
		var r requestID
		if r, src, err = parseRequestID(src); err != nil {
			return 0, nil, err
		}
		requests[r.node] = r
	}
	if len(src) != 0 {
		return 0, nil, errCorruptSnapshot
	}
	return version, requests, nil
}
