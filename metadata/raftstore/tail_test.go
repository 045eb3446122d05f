package raftstore

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// killedAtRotation is a metaStore that a crash keeps from noting that a segment is sealed.
type killedAtRotation struct{ *metaStore }

func (s killedAtRotation) CommitState(types.PersistentState) error { return errors.New("killed") }

// seal appends to the log of the closed store in dir until its last segment is sealed, and
// has the store killed before that is noted. It returns the last index and the segment.
func seal(t *testing.T, dir string, segmentBytes int) (last uint64, tail types.SegmentInfo) {
	t.Helper()
	meta := &metaStore{}
	defer meta.Close()
	log, err := wal.Open(dir, wal.WithMetaStore(killedAtRotation{meta}), wal.WithSegmentSize(segmentBytes))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if last, err = log.LastIndex(); err != nil {
		t.Fatal(err)
	}
	var newest raft.Log
	if err := log.GetLog(last, &newest); err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		entry := &raft.Log{Index: last + 1, Term: newest.Term, Type: raft.LogNoop, Data: make([]byte, 100)}
		if err := log.StoreLog(entry); errors.Is(err, types.ErrSealed) {
			return last, meta.content.State.Segments[len(meta.content.State.Segments)-1]
		} else if err != nil {
			t.Fatal(err)
		}
		last++
	}
	t.Fatal("no segment was sealed")
	return 0, tail
}

// appendEnd returns where the frames of the segment end.
func appendEnd(t *testing.T, f *os.File) int64 {
	t.Helper()
	found, err := scanTail(f)
	if err != nil || !found.whole {
		t.Fatal(found, err)
	}
	return found.end
}

// A kill between the append that seals a segment and the note that it is sealed left a log to
// which nothing could be appended, and a start that waited for ever.
func TestAKillWhileASegmentIsSealed(t *testing.T) {
	for name, test := range map[string]struct {
		tear func(f *os.File, end int64) error // nil: the append was whole
	}{
		"whole": {},
		"no commit frame": {func(f *os.File, end int64) error {
			_, err := f.WriteAt(make([]byte, frameHeaderSize), end-frameHeaderSize)
			return err
		}},
		"index cut short": {func(f *os.File, end int64) error { return f.Truncate(end - 3*frameHeaderSize) }},
		"wrong checksum": {func(f *os.File, end int64) error {
			var b [4]byte
			if _, err := f.ReadAt(b[:], end-4); err != nil {
				return err
			}
			binary.LittleEndian.PutUint32(b[:], ^binary.LittleEndian.Uint32(b[:]))
			_, err := f.WriteAt(b[:], end-4)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions(t, t.TempDir())
			opts.SegmentBytes = 16 << 10
			s := open(t, opts)
			register(t, s)
			create(t, s, "before", 1)
			s.Close()
			for _, topic := range []string{"first", "second"} {
				last, tail := seal(t, opts.Dir, opts.SegmentBytes)
				if test.tear != nil {
					f, err := os.OpenFile(filepath.Join(opts.Dir, segment.FileName(tail)), os.O_RDWR, 0)
					if err != nil {
						t.Fatal(err)
					}
					if err := test.tear(f, appendEnd(t, f)); err != nil {
						t.Fatal(err)
					}
					f.Close()
					last--
				}
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				s, err := Open(ctx, opts)
				if err != nil {
					t.Fatal(err)
				}
				var entry raft.Log
				if err := s.log.GetLog(last, &entry); err != nil || entry.Type != raft.LogNoop {
					t.Errorf("the last entry that was answered: %v, type %v", err, entry.Type)
				}
				if err := s.log.GetLog(last+1, &entry); err != nil || len(entry.Data) == 100 {
					t.Errorf("the entry behind it: %v, %d bytes", err, len(entry.Data))
				}
				create(t, s, topic, 1)
				if s.Image().Topic("before") == nil {
					t.Error("a topic is forgotten")
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s = open(t, opts)
			if s.Image().TopicCount() != 3 {
				t.Errorf("%d topics after the last start", s.Image().TopicCount())
			}
		})
	}
}

// A torn append is not cut off a log that had been longer: the start refuses that.
func TestADamagedSealIsLeftAsItIs(t *testing.T) {
	opts := testOptions(t, t.TempDir())
	opts.SegmentBytes = 16 << 10
	s := open(t, opts)
	s.Close()
	last, tail := seal(t, opts.Dir, opts.SegmentBytes)
	f, err := os.OpenFile(filepath.Join(opts.Dir, segment.FileName(tail)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, frameHeaderSize), appendEnd(t, f)-frameHeaderSize); err != nil {
		t.Fatal(err)
	}
	state := types.PersistentState{NextSegmentID: tail.ID + 1, Segments: []types.SegmentInfo{tail}}
	for _, noted := range []uint64{last, last - 1} {
		before, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, changed, err := mendTail(opts.Dir, state, noted); err != nil || changed {
			t.Error(changed, err)
		}
		after, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if cut := after.Size() < before.Size(); cut != (noted < last) {
			t.Errorf("a log known to have had %d entries, and had %d: cut %t", noted, last, cut)
		}
	}
}
