package log

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// TestManagerCompactsApacheDirectories opens log directories that Apache Kafka wrote,
// compacts them on the disk, and finds the same segments as Apache's cleaner left.
func TestManagerCompactsApacheDirectories(t *testing.T) {
	for name, fsys := range goldenCases(t, "compact") {
		rounds, modified := goldenMeta(t, fsys)
		for _, r := range rounds {
			t.Run(name+"/"+r.name, func(t *testing.T) { testManagerCompacts(t, fsys, r, modified) })
		}
	}
}

func testManagerCompacts(t *testing.T, fsys fs.FS, r goldenRound, modified map[string]time.Time) {
	dir := t.TempDir()
	from, to := "in"+r.name, filepath.Join(dir, "t-0")
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	files, err := fs.ReadDir(fsys, from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := fs.ReadFile(fsys, from+"/"+f.Name())
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, f.Name())
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if m, ok := modified[from+"/"+f.Name()]; ok {
			if err := os.Chtimes(path, m, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	tp := protocol.TopicPartition{Topic: "t"}
	for name, offset := range map[string]int64{
		CleanerOffsetCheckpointName: r.values["dirty"], HighWatermarkCheckpointName: r.values["leo"],
	} {
		if err := NewCheckpointFile(OS{}, filepath.Join(dir, name)).Write([]PartitionOffset{{tp, offset}}); err != nil {
			t.Fatal(err)
		}
	}
	config := compactConfig()
	config.SegmentSize, config.MaxIndexSize, config.MinDirtyRatio = r.values["segmentBytes"], 4096, 0
	config.SegmentAge, config.DeleteRetention = Forever, 10*time.Second
	producers := &ProducerStateConfig{}
	producers.ExpirationMs.Store(1 << 40)
	open := func() *Manager {
		m, err := OpenManager(context.Background(), ManagerOptions{
			Dirs: []string{dir}, Config: config, ProducerState: producers, NoBackground: true,
			Now:     func() time.Time { return time.UnixMilli(r.values["now"]) },
			Cleaner: &CleanerOptions{DedupeBufferSize: r.values["mapBytes"]},
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := open()
	l := m.Get(tp)
	if l == nil {
		t.Fatal("the log was not found")
	}
	l.SetHighWatermark(r.values["leo"])
	if l.LogEndOffset() != r.values["leo"] || l.LastStableOffset() != r.values["lso"] {
		t.Errorf("log end offset %d, last stable offset %d, want %v", l.LogEndOffset(), l.LastStableOffset(), r.values)
	}
	if r.values["mapBytes"] < 1<<16 {
		t.Skip("Apache's map was made too small, which ours cannot be made just so")
	}
	cleaned, err := m.Cleaner().CleanOnce(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if cleaned != (r.values["cleanableBytes"] > 0) {
		t.Fatalf("compacted: %v", cleaned)
	}
	want := goldenSegments(t, fsys, "out"+r.name, nil, modified)
	check := func() {
		t.Helper()
		if difference := compareSegments(t, segmentsOnDisk(t, to), want); difference != "" {
			t.Error(difference)
		}
	}
	check()
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	m = open()
	if l = m.Get(tp); l == nil || l.LogEndOffset() != r.values["leo"] {
		t.Error("the compacted log cannot be opened again")
	}
	check()
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func segmentsOnDisk(t *testing.T, dir string) []*memorySegment {
	t.Helper()
	modified := make(map[string]time.Time)
	files, _ := filepath.Glob(dir + "/*.log")
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		modified[filepath.Base(f)] = info.ModTime()
	}
	return goldenSegments(t, os.DirFS(dir), ".", nil, modified)
}
