package raftstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/barnabas-broker/barnabas/metadata"
)

// entryVersion is the first byte of every entry.
const entryVersion = 1

// entry is the content of one Raft log entry: records that happen together or not at all.
type entry struct {
	// controllerEpoch is the epoch the records were decided in. In another they are void.
	controllerEpoch int32
	// request names the proposal, so that one proposed twice is applied once.
	request requestID
	records []metadata.Record
}

// requestID numbers the proposals of one life of one node.
type requestID struct {
	node        int32
	incarnation uint64
	sequence    uint64
}

var errCorruptEntry = errors.New("corrupt metadata entry")

func (e *entry) append(dst []byte) []byte {
	return metadata.AppendRecords(e.appendHeader(dst), e.records)
}

// appendHeader appends what is before the records and their number.
func (e *entry) appendHeader(dst []byte) []byte {
	dst = append(dst, entryVersion)
	dst = binary.AppendVarint(dst, int64(e.controllerEpoch))
	return e.request.append(dst)
}

func (r requestID) append(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(r.node))
	dst = binary.BigEndian.AppendUint64(dst, r.incarnation)
	return binary.AppendUvarint(dst, r.sequence)
}

// parseEntryHeader returns the entry without its records, and their encoding.
func parseEntryHeader(src []byte) (e entry, records []byte, err error) {
	if len(src) == 0 || src[0] != entryVersion {
		return e, nil, fmt.Errorf("%w: not version %d", errCorruptEntry, entryVersion)
	}
	epoch, n := binary.Varint(src[1:])
	if n <= 0 || epoch < 0 || epoch > math.MaxInt32 {
		return e, nil, errCorruptEntry
	}
	e.controllerEpoch = int32(epoch)
	e.request, records, err = parseRequestID(src[1+n:])
	return e, records, err
}

func parseRequestID(src []byte) (r requestID, rest []byte, err error) {
	node, n := binary.Varint(src)
	if n <= 0 || node < math.MinInt32 || node > math.MaxInt32 || len(src) < n+8 {
		return r, nil, errCorruptEntry
	}
	r.node = int32(node)
	r.incarnation = binary.BigEndian.Uint64(src[n:])
	src = src[n+8:]
	r.sequence, n = binary.Uvarint(src)
	if n <= 0 {
		return r, nil, errCorruptEntry
	}
	return r, src[n:], nil
}

func parseEntry(src []byte) (entry, error) {
	e, rest, err := parseEntryHeader(src)
	if err != nil {
		return e, err
	}
	e.records, err = metadata.ParseRecords(rest)
	return e, err
}
