package log

import (
	"archive/zip"
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// goldenCases returns the file systems with golden files of a kind: the committed ones
// and, if BARNABAS_GOLDEN names a directory of freshly made ones, those.
// testdata/apache/README.md tells how they are made.
func goldenCases(t *testing.T, kind string) map[string]fs.FS {
	t.Helper()
	cases := make(map[string]fs.FS)
	archives, err := filepath.Glob("testdata/apache/" + kind + "*.zip")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range archives {
		z, err := zip.OpenReader(a)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { z.Close() })
		cases[filepath.Base(a)] = z
	}
	if dir := os.Getenv("BARNABAS_GOLDEN"); dir != "" {
		fresh, _ := filepath.Glob(filepath.Join(dir, kind+"*"))
		for _, d := range fresh {
			cases[filepath.Base(d)] = os.DirFS(d)
		}
	}
	if len(cases) == 0 {
		t.Fatalf("no golden files of kind %s", kind)
	}
	return cases
}

type goldenRound struct {
	name        string
	values      map[string]int64
	lastRecords map[int64]LastRecord
}

// goldenMeta reads meta.txt: the rounds, and the modification times of the segments.
func goldenMeta(t *testing.T, fsys fs.FS) (rounds []goldenRound, modified map[string]time.Time) {
	t.Helper()
	b, err := fs.ReadFile(fsys, "meta.txt")
	if err != nil {
		t.Fatal(err)
	}
	modified = make(map[string]time.Time)
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		switch f[0] {
		case "mtime":
			ms, _ := strconv.ParseInt(f[3], 10, 64)
			modified[f[1]+"/"+f[2]] = time.UnixMilli(ms)
		case "round":
			r := goldenRound{name: f[1], values: make(map[string]int64), lastRecords: make(map[int64]LastRecord)}
			i := 2
			for ; f[i] != "producers"; i += 2 {
				if r.values[f[i]], err = strconv.ParseInt(f[i+1], 10, 64); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range f[i+1:] {
				var id int64
				var last LastRecord
				if _, err := fmt.Sscanf(p, "%d:%d:%d", &id, &last.LastDataOffset, &last.ProducerEpoch); err != nil {
					t.Fatal(err)
				}
				r.lastRecords[id] = last
			}
			rounds = append(rounds, r)
		}
	}
	return rounds, modified
}

func goldenSegments(t *testing.T, fsys fs.FS, dir string, l *memoryLog, modified map[string]time.Time) []*memorySegment {
	t.Helper()
	names, err := fs.Glob(fsys, dir+"/*.log")
	if err != nil {
		t.Fatal(err)
	}
	var segments []*memorySegment
	for _, name := range names {
		base, _ := strconv.ParseInt(strings.TrimSuffix(filepath.Base(name), ".log"), 10, 64)
		s := &memorySegment{log: l, base: base, modified: modified[name]}
		if s.batches, err = fs.ReadFile(fsys, name); err != nil {
			t.Fatal(err)
		}
		if b, err := fs.ReadFile(fsys, strings.TrimSuffix(name, ".log")+TxnIndexSuffix); err == nil {
			if s.aborted, err = ParseTxnIndex(b); err != nil {
				t.Fatal(err)
			}
		}
		segments = append(segments, s)
	}
	return segments
}

// TestCompactionMatchesApache compacts logs that Apache Kafka's cleaner compacted too, at
// the same time by the same clock, and wants the same batches and records.
func TestCompactionMatchesApache(t *testing.T) {
	for _, kind := range []string{"compact", "legacy"} {
		for name, fsys := range goldenCases(t, kind) {
			rounds, modified := goldenMeta(t, fsys)
			for _, r := range rounds {
				t.Run(name+"/"+r.name, func(t *testing.T) { testGoldenRound(t, fsys, r, modified) })
			}
		}
	}
}

func testGoldenRound(t *testing.T, fsys fs.FS, r goldenRound, modified map[string]time.Time) {
	config := DefaultConfig()
	config.Compact, config.Delete = true, false
	config.SegmentSize, config.MaxIndexSize = r.values["segmentBytes"], 4096
	config.DeleteRetention = 10 * time.Second
	config.MinDirtyRatio = 0
	l := &memoryLog{config: config, logEnd: r.values["leo"], lastStable: r.values["lso"], lastRecords: r.lastRecords}
	l.segments = goldenSegments(t, fsys, "in"+r.name, l, modified)

	picked, err := assess(l, r.values["dirty"], true, r.values["now"])
	if err != nil {
		t.Fatal(err)
	}
	if picked.firstUncleanableOffset != r.values["uncleanable"] || picked.cleanBytes != r.values["cleanBytes"] || picked.cleanableBytes != r.values["cleanableBytes"] {
		t.Errorf("assessed as %+v, Apache's: %v", picked, r.values)
	}
	if picked.cleanableBytes == 0 {
		return // Apache would not have picked it either
	}
	want := goldenSegments(t, fsys, "out"+r.name, l, modified)
	next, difference := compactGolden(t, l, picked, r, want)
	if difference != "" {
		// Whether Apache takes an old abort for a new one depends on where its offset index
		// lets it begin to read.
		l.segments, l.staleAborted = goldenSegments(t, fsys, "in"+r.name, l, modified), true
		next, difference = compactGolden(t, l, picked, r, want)
	}
	if difference != "" || next != r.values["next"] {
		t.Errorf("compacted up to %d, Apache up to %d; %s", next, r.values["next"], difference)
	}
}

func compactGolden(t *testing.T, l *memoryLog, picked *logToClean, r goldenRound, want []*memorySegment) (next int64, difference string) {
	t.Helper()
	pass := &cleanerPass{
		log: l, config: l.config, firstDirtyOffset: picked.firstDirtyOffset, firstUncleanableOffset: picked.firstUncleanableOffset,
		nowMs: r.values["now"], buffer: make([]byte, 64<<10),
		throttle: func(int) error { return nil }, stopped: func() error { return nil },
		offsets: newOffsetMap(1<<20, 1, [16]byte{1}),
	}
	pass.offsets.maxKeys = int(float64(r.values["mapBytes"]/24) * 0.9)
	next, err := pass.clean()
	if err != nil {
		t.Fatal(err)
	}
	return next, compareSegments(t, l.segments, want)
}

// compareSegments returns the first difference, or nothing.
func compareSegments(t *testing.T, got, want []*memorySegment) string {
	t.Helper()
	gotText, err := dumpSegments(got)
	if err != nil {
		t.Fatal(err)
	}
	wantText, err := dumpSegments(want)
	if err != nil {
		t.Fatal(err)
	}
	if gotText != wantText {
		g, w := strings.Split(gotText, "\n"), strings.Split(wantText, "\n")
		for i := range min(len(g), len(w)) {
			if g[i] != w[i] {
				return fmt.Sprintf("line %d:\n ours   %s\n Apache %s\n before %s", i, g[i], w[i], g[max(i-1, 0)])
			}
		}
		return fmt.Sprintf("%d lines, Apache %d", len(g), len(w))
	}
	// The very bytes can be compared where nothing is compressed.
	for i, s := range got {
		compressed := false
		s.each(func(h *protocol.RecordBatch, _ []byte) error {
			compressed = compressed || h.Codec() != protocol.CodecNone
			return nil
		})
		if !compressed && !bytes.Equal(s.batches, want[i].batches) {
			return fmt.Sprintf("segment %d differs in bytes", s.base)
		}
		if !s.modified.Equal(want[i].modified) {
			return fmt.Sprintf("segment %d modified %v, Apache %v", s.base, s.modified, want[i].modified)
		}
	}
	return ""
}

// TestProducerStateMatchesApache replays appends that Apache Kafka accepted or refused.
func TestProducerStateMatchesApache(t *testing.T) {
	for name, fsys := range goldenCases(t, "producers") {
		t.Run(name, func(t *testing.T) {
			b, err := fs.ReadFile(fsys, "meta.txt")
			if err != nil {
				t.Fatal(err)
			}
			r := newProducerReplay(t)
			for line := range strings.Lines(string(b)) {
				ask, want, _ := strings.Cut(strings.TrimSpace(line), " -> ")
				if got := r.do(strings.Fields(ask)); got != want {
					t.Fatalf("%s:\n got  %s\n want %s", ask, got, want)
				}
			}
			names, _ := fs.Glob(fsys, "t-0/*.snapshot")
			last, err := fs.ReadFile(fsys, names[len(names)-1])
			if err != nil {
				t.Fatal(err)
			}
			entries, err := ParseProducerSnapshot(last)
			if err != nil {
				t.Fatal(err)
			}
			if got := AppendProducerSnapshot(nil, entries); !bytes.Equal(got, last) {
				t.Errorf("snapshot written again as % x, was % x", got, last)
			}
			if got := r.manager.snapshotEntries(); !slices.Equal(got, entries) {
				t.Errorf("state at the end\n got  %+v\n want %+v", got, entries)
			}
			index, err := fs.ReadFile(fsys, "t-0/00000000000000000000.txnindex")
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			for _, txn := range r.aborted {
				got = appendAbortedTxn(got, txn)
			}
			if !bytes.Equal(got, index) {
				t.Errorf("transaction index is\n % x, Apache's\n % x", got, index)
			}
		})
	}
}

// TestGoldenStateFiles reads each small file of Apache's log directories and writes it
// again.
func TestGoldenStateFiles(t *testing.T) {
	read := make(map[string]int)
	for _, kind := range []string{"compact", "legacy", "producers"} {
		for name, fsys := range goldenCases(t, kind) {
			err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				b, err := fs.ReadFile(fsys, path)
				if err != nil {
					return err
				}
				var again []byte
				switch base := filepath.Base(path); {
				case base == LeaderEpochCheckpointName:
					entries, err := parseEpochs(b)
					if err != nil {
						return err
					}
					again = appendEpochs(nil, entries)
				case base == PartitionMetadataName:
					id, err := ParsePartitionMetadata(b)
					if err != nil {
						return err
					}
					again = AppendPartitionMetadata(nil, id)
				case strings.HasSuffix(base, ProducerSnapshotSuffix):
					entries, err := ParseProducerSnapshot(b)
					if err != nil {
						return err
					}
					again = AppendProducerSnapshot(nil, entries)
				case strings.HasSuffix(base, TxnIndexSuffix):
					txns, err := ParseTxnIndex(b)
					if err != nil {
						return err
					}
					for _, txn := range txns {
						again = appendAbortedTxn(again, txn)
					}
				default:
					return nil
				}
				read[filepath.Ext(path)]++
				if !bytes.Equal(b, again) {
					t.Errorf("%s: %s came back as %q, was %q", name, path, again, b)
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, ext := range []string{"", ".metadata", ".snapshot", ".txnindex"} {
		if read[ext] == 0 {
			t.Errorf("no file with extension %q was read", ext)
		}
	}
}

// TestGoldenDirectoryFiles is the same for the files of a data directory.
func TestGoldenDirectoryFiles(t *testing.T) {
	for name, fsys := range goldenCases(t, "files") {
		for _, file := range []string{"recovery-point-offset-checkpoint", "cleaner-offset-checkpoint"} {
			b, err := fs.ReadFile(fsys, file)
			if err != nil {
				t.Fatal(err)
			}
			entries, err := ParseOffsetCheckpoint(b)
			if err != nil {
				t.Fatal(err)
			}
			if again := AppendOffsetCheckpoint(nil, entries); !bytes.Equal(b, again) {
				t.Errorf("%s: %s came back as %q, was %q", name, file, again, b)
			}
		}
		for _, tt := range []struct {
			file string
			want MetaProperties
		}{
			{"meta.properties.v0", MetaProperties{Version: 0, ClusterID: "z0Yy1Xx2Ww3Vv4Uu5Tt6Ss", NodeID: 7}},
			{"meta.properties.v0-directory", MetaProperties{Version: 0, ClusterID: "z0Yy1Xx2Ww3Vv4Uu5Tt6Ss", NodeID: 7, DirectoryID: mustUUID(t, "JTGg2i9kTU-RxKQ0x8E6Gw")}},
			{"meta.properties.v1", MetaProperties{Version: 1, ClusterID: "z0Yy1Xx2Ww3Vv4Uu5Tt6Ss", NodeID: 7}},
			{"meta.properties.v1-directory", MetaProperties{Version: 1, ClusterID: "z0Yy1Xx2Ww3Vv4Uu5Tt6Ss", NodeID: 7, DirectoryID: mustUUID(t, "JTGg2i9kTU-RxKQ0x8E6Gw")}},
			{"meta.properties.v1-odd", MetaProperties{Version: 1, ClusterID: " odd: cluster=id\\ #!é", NodeID: 7}},
		} {
			b, err := fs.ReadFile(fsys, tt.file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseMetaProperties(b)
			if err != nil || got != tt.want {
				t.Errorf("%s: %+v, %v; want %+v", tt.file, got, err, tt.want)
			}
			lines := bufio.NewScanner(bytes.NewReader(b))
			lines.Scan()
			lines.Scan()
			at, err := time.Parse("#Mon Jan 02 15:04:05 MST 2006", lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			if again := AppendMetaProperties(nil, tt.want, at); !bytes.Equal(b, again) {
				t.Errorf("%s came back as %q, was %q", tt.file, again, b)
			}
		}
	}
}

func mustUUID(t *testing.T, s string) protocol.UUID {
	t.Helper()
	id, err := protocol.ParseUUID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
