package raftstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// The append that fills a segment seals it: it writes the segment's index before its commit
// frame. That the segment is sealed is noted in the metaStore only afterwards, when the append
// has been answered. A crash in between leaves a segment that is sealed and not noted so, to
// which raft-wal never appends again, nor does it begin another: see mendTail.
//
// A segment is a header and frames, each padded to eight bytes:
//
//	type    byte: 1 entry, 2 index, 3 commit
//	zero    3 bytes
//	length  uint32, little-endian, of the payload; in a commit frame, which has none, the
//	        CRC-32C of everything since the last commit frame or the start of the file
const (
	segmentHeaderSize = 32
	frameHeaderSize   = 8

	frameEntry  = 1
	frameIndex  = 2
	frameCommit = 3
)

// sealedTail is what scanTail finds out about a segment that ends with an index.
type sealedTail struct {
	indexStart int64  // of the index, behind its frame header; 0 if there is none
	entries    uint64 // committed ones
	whole      bool   // the append that wrote the index was committed
	end        int64  // of the last good commit frame; 0 if there is none
}

// scanTail reads a segment as raft-wal does after a crash.
func scanTail(f io.ReaderAt) (sealedTail, error) {
	type commit struct {
		end     int64
		entries uint64
		crc     uint32
	}
	var out sealedTail
	var last, previous commit
	entries := uint64(0)
	for at, more := int64(segmentHeaderSize), true; more; {
		var head [frameHeaderSize]byte
		if n, err := f.ReadAt(head[:], at); n < len(head) && err != io.EOF {
			return out, err
		} else if n < len(head) {
			break
		}
		value := binary.LittleEndian.Uint32(head[4:])
		size := int64(0)
		switch head[0] {
		case frameEntry:
			entries++
			size = int64(value)
		case frameIndex:
			out.indexStart = at + frameHeaderSize
			size = int64(value)
		case frameCommit:
			previous, last = last, commit{end: at + frameHeaderSize, entries: entries, crc: value}
		default:
			more = false // zeros, or what a crash left
		}
		at += frameHeaderSize + (size+frameHeaderSize-1)&^(frameHeaderSize-1)
	}
	if out.indexStart == 0 || last.end == 0 {
		return out, nil
	}
	if last.entries == entries {
		crc := crc32.New(castagnoli)
		if _, err := io.Copy(crc, io.NewSectionReader(f, previous.end, last.end-frameHeaderSize-previous.end)); err != nil {
			return out, err
		}
		if crc.Sum32() != last.crc {
			last = previous
		}
	}
	out.entries, out.end = last.entries, last.end
	out.whole = last.entries == entries && last.end > out.indexStart
	return out, nil
}

// mendTail completes what a crash kept from being completed when the last segment was sealed,
// and returns the state with which the log can go on. If the append that sealed the segment was
// committed the segment becomes a sealed one, and the next one the tail, which raft-wal makes
// if it is not there. If not, the index is cut off with the rest of that append. noted is an
// index that the log is known to have reached; nothing is cut off a log that is shorter.
func mendTail(dir string, state types.PersistentState, noted uint64) (_ types.PersistentState, changed bool, err error) {
	if len(state.Segments) == 0 {
		return state, false, nil
	}
	tail := state.Segments[len(state.Segments)-1]
	if !tail.SealTime.IsZero() {
		return state, false, nil
	}
	f, err := os.OpenFile(filepath.Join(dir, segment.FileName(tail)), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return state, false, nil
	}
	if err != nil {
		return state, false, err
	}
	defer f.Close()
	found, err := scanTail(f)
	if err != nil || found.indexStart == 0 {
		return state, false, err
	}
	if !found.whole {
		if tail.BaseIndex+found.entries <= noted {
			return state, false, nil
		}
		return state, false, errors.Join(f.Truncate(found.end), f.Sync())
	}
	tail.SealTime = time.Now()
	tail.MaxIndex = tail.BaseIndex + found.entries - 1
	tail.IndexStart = uint64(found.indexStart)
	next := types.SegmentInfo{ID: state.NextSegmentID, BaseIndex: tail.MaxIndex + 1, MinIndex: tail.MaxIndex + 1,
		Codec: tail.Codec, CreateTime: tail.SealTime, SizeLimit: tail.SizeLimit}
	state.Segments = append(slices.Clone(state.Segments[:len(state.Segments)-1]), tail, next)
	state.NextSegmentID++
	return state, true, nil
}
